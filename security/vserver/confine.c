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
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/netlink.h>
#include <linux/nsproxy.h>
#include <linux/sched/task.h>
#include <linux/syslog.h>
#include <linux/vserver_caps.h>
#include <linux/vserver_cow.h>
#include <linux/xattr.h>
#include <net/sock.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

#define CONFIGFS_MAGIC	0x62656570	/* fs/configfs/mount.c */
#define FUSE_CTL_MAGIC	0x65735543	/* fs/fuse/control.c */

/* In a cgroup and a mount namespace of its own it sees its own cgroups only. */
static bool vserver_has_cgroups(void)
{
#ifdef CONFIG_CGROUPS
	const struct nsproxy *ns = current->nsproxy;

	return ns && ns->cgroup_ns != &init_cgroup_ns &&
	       ns->mnt_ns != init_task.nsproxy->mnt_ns;
#else
	return false;
#endif
}

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

/* File systems by which the kernel is looked into and set. */
static int vserver_sb_permission(const struct super_block *sb, int mask)
{
	switch (sb->s_magic) {
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case PSTOREFS_MAGIC:
	case EFIVARFS_MAGIC:
	case SECURITYFS_MAGIC:
		return -EACCES;
	case SYSFS_MAGIC:
	case CONFIGFS_MAGIC:
	case FUSE_CTL_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
		return mask & (MAY_WRITE | MAY_APPEND) ? -EACCES : 0;
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
		return mask & (MAY_WRITE | MAY_APPEND) &&
		       !vserver_has_cgroups() ? -EACCES : 0;
	case BINFMTFS_MAGIC:
		return mask & (MAY_WRITE | MAY_APPEND) &&
		       sb->s_user_ns == &init_user_ns ? -EACCES : 0;
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

	if (S_ISDIR(inode->i_mode)) {
		error = vserver_is_barrier(inode, mask & MAY_NOT_BLOCK);
		if (error)
			return error < 0 ? error : -EACCES;
	} else if (S_ISBLK(inode->i_mode) || S_ISCHR(inode->i_mode)) {
		return vserver_device_permission(inode);
	}
	return vserver_sb_permission(inode->i_sb, mask);
}

/* inode_permission: also called in a lockless path walk, with MAY_NOT_BLOCK. */
int vserver_inode_permission(struct inode *inode, int mask)
{
	if (likely(!vserver_confining()))
		return 0;
	return vserver_inode_confined(inode, mask);
}

/*
 * inode_setattr: whoever owns a file may change its mode and times, though not
 * what is in it. The entries of /proc are one for all who see them.
 */
int vserver_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	const struct super_block *sb = dentry->d_sb;

	if (likely(!vserver_confining()))
		return 0;
	if (sb->s_magic == PROC_SUPER_MAGIC &&
	    attr->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	return vserver_sb_permission(sb, MAY_WRITE);
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
