// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer: what of /proc there is for whom */

#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vserver_proc.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

#define VSERVER_PROC_IATTR	(IATTR_ADMIN | IATTR_WATCH | IATTR_HIDE)

#define VSERVER_PROC_FLAGS	(VSERVER_PROC_IATTR << PROC_ENTRY_IATTR_SHIFT)

static_assert(VSERVER_PROC_FLAGS == 0x70);
static_assert(!(VSERVER_PROC_FLAGS &
		(PROC_ENTRY_PERMANENT | PROC_ENTRY_proc_read_iter |
		 PROC_ENTRY_proc_compat_ioctl | PROC_ENTRY_proc_lseek |
		 PROC_ENTRY_FORCE_LOOKUP)));

/*
 * A process that is number 1 to those inside a context has a dentry of that
 * name beside its own, and beside that of the machine's process 1: which one
 * it is depends on who looks.
 */
static int proc_root_compare(const struct dentry *dentry, unsigned int len,
			     const char *str, const struct qstr *name)
{
	struct pid_namespace *ns = proc_pid_ns(dentry->d_sb);
	bool is_one = len == 1 && *str == '1';
	struct inode *inode;
	struct pid *pid;

	if (name->len != len || memcmp(name->name, str, len))
		return 1;
	/* Compared again when it is known, as in proc_sys_compare(). */
	if (d_in_lookup(dentry))
		return 0;
	inode = d_inode_rcu(dentry);
	if (!inode)
		return 1;
	/* Freed with the inode, after a grace period. */
	pid = proc_pid(inode);
	return pid && is_one != (vserver_shown_nr(pid_nr_ns(pid, ns), ns) == 1);
}

const struct dentry_operations *proc_root_d_op(void)
{
	static const struct dentry_operations ops = {
		.d_compare = proc_root_compare,
	};

	return &ops;
}

/* What programs look for, and nothing that is about the machine's inside. */
static const char *const shown_entries[] = {
	"cgroups", "cpuinfo", "devices", "filesystems", "loadavg", "locks",
	"meminfo", "mounts", "net", "pressure", "stat", "swaps", "sys",
	"sysvipc", "tty", "uptime", "version", "virtnet", "virtual", "vmstat",
};

/* What is at the top is hidden unless it is listed. @de is not visible yet. */
void pde_set_iattr_default(const struct proc_dir_entry *dir,
			   struct proc_dir_entry *de)
{
	if (dir == &proc_root &&
	    match_string(shown_entries, ARRAY_SIZE(shown_entries),
			 de->name) < 0)
		de->flags |= VSERVER_PROC_FLAGS;
}

/* The entry of an inode; processes and sysctls have none. */
static struct proc_dir_entry *vserver_pde(const struct inode *inode)
{
	if (inode->i_sb->s_op != &proc_sops || PDE(inode) == &proc_root)
		return NULL;
	return PDE(inode);
}

/**
 * vserver_proc_iattr_mask - which attributes of /proc an inode can have
 * @inode:	any inode
 *
 * Return: IATTR_*, 0 if it is no entry of /proc.
 */
u32 vserver_proc_iattr_mask(const struct inode *inode)
{
	return vserver_pde(inode) ? VSERVER_PROC_IATTR : 0;
}

/**
 * vserver_proc_iattr - the attributes of an entry of /proc
 * @inode:	an inode that can have them
 */
u32 vserver_proc_iattr(const struct inode *inode)
{
	return (READ_ONCE(PDE(inode)->flags) & VSERVER_PROC_FLAGS) >>
	       PROC_ENTRY_IATTR_SHIFT;
}

/**
 * vserver_proc_set_iattr - change the attributes of an entry of /proc
 * @inode:	an inode that can have them
 * @flags:	the new ones
 * @mask:	which to change
 *
 * They hold until the entry goes, in all mounts of /proc that have it.
 */
void vserver_proc_set_iattr(struct inode *inode, u32 flags, u32 mask)
{
	static DEFINE_SPINLOCK(lock);	/* the other flags are constant */
	struct proc_dir_entry *de = PDE(inode);
	u8 change = (mask & VSERVER_PROC_IATTR) << PROC_ENTRY_IATTR_SHIFT;
	u8 new = flags << PROC_ENTRY_IATTR_SHIFT;

	guard(spinlock)(&lock);
	WRITE_ONCE(de->flags, (de->flags & ~change) | (new & change));
}
