// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what a context may do beside its bound on
 * capabilities
 *
 * A context capability lends the capability for one check: the credentials must
 * still have it, and other security modules are asked as ever.
 */

#include <linux/array_size.h>
#include <linux/capability.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/ipc_namespace.h>
#include <linux/mount.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/string.h>
#include <linux/sysctl.h>
#include <linux/user_namespace.h>
#include <linux/vserver_caps.h>
#include <linux/xattr.h>
#include <net/net_namespace.h>
#include <uapi/linux/mount.h>

#include "../../fs/pnode.h"
#include "internal.h"

static bool vserver_has_ccap(u64 ccap)
{
	const struct vserver_ctx *ctx = vserver_cred(current_cred())->ctx;

	return ctx && READ_ONCE(ctx->ccaps) & ccap;
}

bool __vserver_ns_ccap(struct user_namespace *ns, int cap, u64 ccap)
{
	struct vserver_task *vt = vserver_task(current);
	u8 lent = vt->lent;
	bool capable;

	if (!vserver_has_ccap(ccap))
		return ns_capable(ns, cap);
	vt->lent = cap + 1;
	capable = ns_capable(ns, cap);
	vt->lent = lent;
	return capable;
}

/* What overlayfs leaves in its layers is taken at its word by who mounts it. */
bool __vserver_trusted_capable(const char *name)
{
	u64 ccap = strstarts(name, XATTR_TRUSTED_PREFIX "overlay.") ?
		   0 : VXC_FS_TRUSTED;

	return __vserver_ns_ccap(&init_user_ns, CAP_SYS_ADMIN, ccap);
}

bool __vserver_may_unshare(struct user_namespace *ns, u64 flags)
{
	const struct vserver_ctx *ctx = vserver_confining();

	if (ctx && flags & CLONE_NS_ALL & ~CLONE_NEWUSER &
		   ~READ_ONCE(ctx->umask))
		return false;
	return __vserver_ns_ccap(ns, CAP_SYS_ADMIN, VXC_NAMESPACE);
}

bool __vserver_may_setns(u32 type)
{
	const struct vserver_ctx *ctx = vserver_confining();

	return !ctx || READ_ONCE(ctx->umask) & type;
}

/* userns_create: makes all capabilities, which other hooks then bound. */
int vserver_userns_create(const struct cred *cred)
{
	return __vserver_may_setns(CLONE_NEWUSER) ? 0 : -EPERM;
}

#ifdef CONFIG_SYSCTL
/* Sets of the initial namespaces are the host's, and so is all that has none. */
static bool vserver_is_host_set(const struct ctl_table_set *set)
{
	return !set->is_seen ||
#ifdef CONFIG_NET
	       set == &init_net.sysctls ||
#endif
#if defined(CONFIG_SYSVIPC) || defined(CONFIG_POSIX_MQUEUE)
	       set == &init_ipc_ns.ipc_set || set == &init_ipc_ns.mq_set ||
#endif
	       set == &init_pid_ns.set || set == &init_user_ns.set;
}

/* The names of each UTS namespace are reached by one initial set. */
static bool vserver_is_uts_name(const struct ctl_table *table)
{
	const void *names = &init_uts_ns.name;

	return table->data >= names &&
	       table->data < names + sizeof(init_uts_ns.name);
}

bool __vserver_may_set_sysctl(struct ctl_table_set *set,
			      const struct ctl_table *table)
{
	if (!vserver_confining())
		return true;
	if (vserver_is_uts_name(table))
		return vserver_uts_capable(current->nsproxy->uts_ns);
	return !vserver_is_host_set(set) && set->is_seen(set);
}
#endif

/* File systems that show or keep nothing but the mounting context's own. */
static bool vserver_is_own_kind(const char *type)
{
	return !strcmp(type, "tmpfs") || !strcmp(type, "proc");
}

/*
 * In a mount namespace that is not the host's, and never to run as others. Who
 * has the capability needs no loan, and gets no restrictions with it.
 */
static bool vserver_lend(u64 ccap, unsigned long *flags, unsigned long kind)
{
	const unsigned long kinds = MS_REMOUNT | MS_BIND | MS_MOVE | MS_SHARED |
				    MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
	unsigned long wanted = *flags;

	/* As path_mount() does: a magic number that hides other flags. */
	if ((wanted & MS_MGC_MSK) == MS_MGC_VAL)
		wanted &= ~MS_MGC_MSK;
	if (!vserver_has_ccap(ccap) || (wanted & kinds) != kind ||
	    !vserver_capable(current_cred(), CAP_SYS_ADMIN) ||
	    current->nsproxy->mnt_ns == init_task.nsproxy->mnt_ns)
		return false;
	*flags = wanted | MS_NODEV | MS_NOSUID;
	vserver_task(current)->lent = CAP_SYS_ADMIN + 1;
	return true;
}

/* Where mounts are shared it would be mounted in other trees too. */
bool __vserver_lend_mount(const struct path *path, const char *type,
			  unsigned long *flags)
{
	return type && vserver_is_own_kind(type) &&
	       !IS_MNT_SHARED(real_mount(path->mnt)) &&
	       vserver_lend(VXC_SECURE_MOUNT, flags, 0);
}

bool __vserver_lend_remount(const struct path *path, unsigned long *flags)
{
	const struct super_block *sb = path->mnt->mnt_sb;
	const struct vserver_ctx *ctx = vserver_confining();

	return ctx && vserver_sb(sb)->owner == vserver_owner(ctx) &&
	       vserver_is_own_kind(sb->s_type->name) &&
	       vserver_lend(VXC_SECURE_REMOUNT, flags, MS_REMOUNT);
}

void __vserver_lend_end(void)
{
	vserver_task(current)->lent = 0;
}

int vserver_sb_alloc(struct super_block *sb)
{
	vserver_sb(sb)->owner = vserver_owner(vserver_confining());
	xa_init(&vserver_sb(sb)->dlimits);
	return 0;
}

/* Of tmpfs and proc: what is about the mount alone. */
static const char *const vserver_lent_options[] = {
	"gid", "hidepid", "huge", "inode32", "inode64", "mode", "mpol",
	"nr_blocks", "nr_inodes", "size", "source", "subset", "uid",
};

/* Of tmpfs, which answers in the kernel's log. */
static const char *const vserver_logged_options[] = {
	"casefold", "strict_encoding",
};

/*
 * fs_context_parse_param: other options of what is lent want the capability for
 * something else: noswap keeps pages from the swap space, pidns shows other
 * processes. And our own.
 */
int vserver_fs_context_parse_param(struct fs_context *fc,
				   struct fs_parameter *param)
{
	if (vserver_task(current)->lent == CAP_SYS_ADMIN + 1 &&
	    match_string(vserver_lent_options,
			 ARRAY_SIZE(vserver_lent_options), param->key) < 0)
		return -EPERM;
	if (vserver_confining() &&
	    match_string(vserver_logged_options,
			 ARRAY_SIZE(vserver_logged_options), param->key) >= 0)
		return -EPERM;
	return vserver_tag_parse_param(fc, param);
}

bool __vserver_may_log(void)
{
	return !vserver_confining();
}
