// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what those inside a context can't reach though
 * no capability guards it
 *
 * Root inside is root to the mode of a file: that is no protection where a file
 * stands for the machine.
 */

#include <linux/cgroup.h>
#include <linux/cgroup_namespace.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kernfs.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/netlink.h>
#include <linux/nsproxy.h>
#include <linux/rcupdate.h>
#include <linux/syslog.h>
#include <linux/vserver_caps.h>
#include <linux/vserver_cow.h>
#include <linux/xattr.h>
#include <net/sock.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

#define CONFIGFS_MAGIC	0x62656570	/* fs/configfs/mount.c */
#define FUSE_CTL_MAGIC	0x65735543	/* fs/fuse/control.c */

#ifdef CONFIG_CGROUPS
/*
 * The caller's are those below the root of its cgroup namespace, if that is not
 * everybody's; and of the root what is not for the one who set it up.
 */
static bool vserver_has_cgroup(const struct inode *inode)
{
	const struct nsproxy *ns = current->nsproxy;
	struct kernfs_node *kn = inode->i_private, *dir = kn;
	bool is_file = kernfs_type(kn) == KERNFS_FILE;
	struct cgroup *root, *cgrp;
	struct cftype *type;

	if (!ns)
		return false;
	root = ns->cgroup_ns->root_cset->dfl_cgrp;
	guard(rcu)();
	if (is_file)
		dir = rcu_dereference(kn->__parent);
	cgrp = rcu_dereference(*(void __rcu __force **)&dir->priv);
	if (!cgroup_parent(root) || !cgrp || !cgroup_is_descendant(cgrp, root))
		return false;
	if (cgrp != root || !is_file)
		return true;
	type = kn->priv;
	return type->flags & CFTYPE_NS_DELEGATABLE;
}
#else
static bool vserver_has_cgroup(const struct inode *inode)
{
	return false;
}
#endif

/* Devices that belong to nobody, and terminals. */
static bool vserver_is_harmless(dev_t dev)
{
	switch (MAJOR(dev)) {
	case MEM_MAJOR:
		switch (MINOR(dev)) {
		case 3:		/* null */
		case 5:		/* zero */
		case 7:		/* full */
		case 8:		/* random */
		case 9:		/* urandom */
			return true;
		}
		return false;
	case TTYAUX_MAJOR:
		return MINOR(dev) == 0 || MINOR(dev) == 2;	/* tty, ptmx */
	case UNIX98_PTY_SLAVE_MAJOR ... UNIX98_PTY_SLAVE_MAJOR + 7:
		return true;
	default:
		return false;
	}
}

/* Who may make device nodes may open them. */
static int vserver_device_permission(const struct inode *inode)
{
	if (!inode->i_rdev || inode->i_rdev == WHITEOUT_DEV ||
	    (S_ISCHR(inode->i_mode) && vserver_is_harmless(inode->i_rdev)))
		return 0;
	return vserver_capable(current_cred(), CAP_MKNOD);
}

/* What not everybody on the host may read: devices, addresses, serial numbers. */
static bool vserver_is_secret(const struct inode *inode)
{
	return S_ISREG(inode->i_mode) && !(inode->i_mode & 0004);
}

/* File systems by which the kernel is looked into and set. */
static int vserver_fs_permission(const struct inode *inode, int mask)
{
	const struct super_block *sb = inode->i_sb;
	bool changes = mask & (MAY_WRITE | MAY_APPEND);

	switch (sb->s_magic) {
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case PSTOREFS_MAGIC:
	case EFIVARFS_MAGIC:
	case SECURITYFS_MAGIC:
	case AAFS_MAGIC:
	case BPF_FS_MAGIC:
	case XENFS_SUPER_MAGIC:
		return -EACCES;
	case SYSFS_MAGIC:
		if (mask & MAY_READ && vserver_is_secret(inode))
			return -EACCES;
		fallthrough;
	case CONFIGFS_MAGIC:
	case FUSE_CTL_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case SELINUX_MAGIC:
	case SMACK_MAGIC:
		return changes ? -EACCES : 0;
	case CGROUP2_SUPER_MAGIC:
		return changes && !vserver_has_cgroup(inode) ? -EACCES : 0;
	case BINFMTFS_MAGIC:
		return changes && sb->s_user_ns == &init_user_ns ? -EACCES : 0;
	default:
		return 0;
	}
}

/*
 * The barrier's directory is what a chroot's root is in. Apart from the hook,
 * so that who is on the host saves no registers for it.
 */
static noinline int vserver_inode_confined(struct inode *inode, int mask)
{
	int error;

	error = vserver_tag_permission(inode, mask & MAY_NOT_BLOCK);
	if (error)
		return error;
	if (S_ISDIR(inode->i_mode)) {
		error = vserver_is_barrier(inode, mask & MAY_NOT_BLOCK);
		if (error)
			return error < 0 ? error : -EACCES;
	} else if (S_ISBLK(inode->i_mode) || S_ISCHR(inode->i_mode)) {
		return vserver_device_permission(inode);
	}
	return vserver_fs_permission(inode, mask);
}

/* inode_permission: also called in a lockless path walk, with MAY_NOT_BLOCK. */
int vserver_inode_permission(struct inode *inode, int mask)
{
	if (likely(!vserver_confining()))
		return 0;
	return vserver_inode_confined(inode, mask);
}

/*
 * Whoever owns a file may change its mode and times, though not what is in it.
 * The entries of /proc are one for all who see them.
 */
static int vserver_setattr_confined(struct dentry *dentry,
				    const struct iattr *attr)
{
	int error = 0;

	/* Who may write to an open file takes its set-user-id away. */
	if (!(attr->ia_valid & ATTR_FORCE))
		error = vserver_tag_permission(d_backing_inode(dentry), false);
	if (error)
		return error;
	if (dentry->d_sb->s_magic == PROC_SUPER_MAGIC &&
	    attr->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	return vserver_fs_permission(d_inode(dentry), MAY_WRITE);
}

/* inode_setattr: of a context's files the host may change the owner, too. */
int vserver_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	int error = 0;

	if (unlikely(vserver_confining()))
		error = vserver_setattr_confined(dentry, attr);
	if (!error && static_branch_unlikely(&vserver_dlimit_key))
		error = vserver_quota_setattr(idmap, dentry, attr);
	return error;
}

/*
 * For inode_setxattr and inode_removexattr: attributes that the VFS guards by
 * capabilities alone. The inode is locked. A unified file that is to stay what
 * it is was refused before.
 */
int vserver_xattr_permission(struct mnt_idmap *idmap, struct inode *inode,
			     const char *name)
{
	if (likely(!vserver_confining()) ||
	    (strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN) &&
	     strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN)))
		return 0;
	return inode_permission(idmap, inode, MAY_WRITE | MAY_COW);
}

/*
 * netlink_send: the records of audit are the host's. As in a user namespace
 * one is told that there is no audit: on EPERM nobody could log in.
 */
int vserver_netlink_send(struct sock *sk, struct sk_buff *skb)
{
	const u64 audit = BIT_ULL(CAP_AUDIT_WRITE) | BIT_ULL(CAP_AUDIT_CONTROL) |
			  BIT_ULL(CAP_AUDIT_READ);
	const struct vserver_ctx *ctx = vserver_confining();

	if (likely(!ctx) || sk->sk_protocol != NETLINK_AUDIT)
		return 0;
	return READ_ONCE(ctx->bcaps) & audit ? 0 : -ECONNREFUSED;
}

/*
 * What is loaded into the kernel is everybody's. A module is loaded by who asks
 * for a protocol, and another kernel by who may reboot.
 */
static int vserver_load_permission(void)
{
	return vserver_capable(current_cred(), CAP_SYS_MODULE);
}

int vserver_kernel_module_request(char *name)
{
	return vserver_load_permission();
}

int vserver_kernel_load_data(enum kernel_load_data_id id, bool contents)
{
	return vserver_load_permission();
}

int vserver_kernel_read_file(struct file *file, enum kernel_read_file_id id,
			     bool contents)
{
	return vserver_load_permission();
}

/* syslog: the kernel's log tells about the machine. */
int vserver_syslog(int type)
{
	const struct vserver_ctx *ctx = vserver_confining();

	switch (type) {
	case SYSLOG_ACTION_OPEN:
	case SYSLOG_ACTION_CLOSE:
	case SYSLOG_ACTION_READ:
	case SYSLOG_ACTION_READ_ALL:
	case SYSLOG_ACTION_SIZE_UNREAD:
	case SYSLOG_ACTION_SIZE_BUFFER:
		if (!ctx || READ_ONCE(ctx->ccaps) & VXC_SYSLOG)
			return 0;
	}
	return vserver_capable(current_cred(), CAP_SYSLOG);
}
