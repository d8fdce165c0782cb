// SPDX-License-Identifier: GPL-2.0

#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/sched/signal.h>

__rust_helper struct dentry *rust_helper_dget(struct dentry *dentry)
{
	return dget(dentry);
}

__rust_helper int rust_helper_d_unhashed(const struct dentry *dentry)
{
	return d_unhashed(dentry);
}

__rust_helper bool rust_helper_d_mountpoint(const struct dentry *dentry)
{
	return d_mountpoint(dentry);
}

__rust_helper bool rust_helper_d_can_lookup(const struct dentry *dentry)
{
	return d_can_lookup(dentry);
}

__rust_helper void rust_helper_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

__rust_helper void rust_helper_inode_lock_parent(struct inode *inode)
{
	inode_lock_nested(inode, I_MUTEX_PARENT);
}

__rust_helper void rust_helper_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

__rust_helper loff_t rust_helper_i_size_read(const struct inode *inode)
{
	return i_size_read(inode);
}

__rust_helper bool rust_helper_inode_is_posixacl(const struct inode *inode)
{
	return IS_POSIXACL(inode);
}

#ifdef CONFIG_FS_POSIX_ACL
__rust_helper void rust_helper_posix_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}
#endif

__rust_helper bool
rust_helper_is_delegated(struct delegated_inode *delegated)
{
	return is_delegated(delegated);
}

__rust_helper int
rust_helper_break_deleg_wait(struct delegated_inode *delegated)
{
	return break_deleg_wait(delegated);
}

__rust_helper void
rust_helper_delegated_inode_put(struct delegated_inode *delegated)
{
#ifdef CONFIG_FILE_LOCKING
	iput(delegated->di_inode);
#endif
}

__rust_helper const struct cred *
rust_helper_override_creds(const struct cred *cred)
{
	return override_creds(cred);
}

__rust_helper const struct cred *
rust_helper_revert_creds(const struct cred *cred)
{
	return revert_creds(cred);
}

__rust_helper void rust_helper_cred_drop_cap(struct cred *cred, int cap)
{
	cap_lower(cred->cap_permitted, cap);
	cap_lower(cred->cap_effective, cap);
}

__rust_helper int rust_helper_fatal_signal_pending(struct task_struct *p)
{
	return fatal_signal_pending(p);
}

__rust_helper unsigned long rust_helper_rlimit(unsigned int limit)
{
	return rlimit(limit);
}
