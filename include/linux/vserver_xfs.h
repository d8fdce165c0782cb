/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of disk limits in xfs, which has no quota of the VFS */
#ifndef _LINUX_VSERVER_XFS_H
#define _LINUX_VSERVER_XFS_H

#include <linux/errno.h>
#include <linux/types.h>
#include <linux/vserver_dlimit.h>

struct inode;
struct super_block;

#ifdef CONFIG_SECURITY_VSERVER

/**
 * struct vserver_xfs - an inode of xfs, in its struct xfs_inode
 * @reserved:	bytes that are charged beside what it has: 0 unless ILOCK_EXCL is
 *		held, which protects it
 * @xid:	to whom, or, once the VFS has let go of the inode, whose it was
 * @locked:	ILOCK_EXCL is held since it was seen what the inode has
 */
struct vserver_xfs {
	s64 reserved;
	u32 xid;
	bool locked;
};

/**
 * struct vserver_xfs_hold - what a transaction holds for an inode to be made
 * @bytes:	space
 * @xid:	of whom, or 0 for nobody
 * @owners:	and of whom inside
 * @inode:	and the inode itself, until it is there
 */
struct vserver_xfs_hold {
	s64 bytes;
	u32 xid;
	struct vserver_owners owners;
	bool inode;
};

void __vserver_xfs_lock(struct inode *inode, struct vserver_xfs *x, u64 blocks);
void __vserver_xfs_unlock(struct inode *inode, struct vserver_xfs *x,
			  u64 blocks);
int __vserver_xfs_reserve(struct inode *inode, struct vserver_xfs *x,
			  s64 blocks);
int __vserver_xfs_exchange(struct inode *inode1, struct vserver_xfs *x1,
			   struct inode *inode2, struct vserver_xfs *x2,
			   s64 blocks);
int __vserver_xfs_hold(struct super_block *sb, struct vserver_xfs_hold *hold,
		       u64 blocks);
void __vserver_xfs_drop(struct super_block *sb, struct vserver_xfs_hold *hold);
void __vserver_xfs_created(struct inode *inode, struct vserver_xfs_hold *hold);
void __vserver_xfs_freed(struct inode *inode, const struct vserver_xfs *x);
void __vserver_xfs_evict(struct inode *inode, struct vserver_xfs *x);
bool __vserver_xfs_counts(const struct super_block *sb);
void __vserver_xfs_attempt(void);
bool __vserver_xfs_refused(void);
bool __vserver_quota_shown(const struct super_block *sb);

/**
 * vserver_xfs_lock - somebody may change what an inode has
 * @inode:	the inode, whose ILOCK_EXCL has just been taken
 * @x:		of this inode
 * @blocks:	what it has, reserved for delayed allocation included
 *
 * Does not sleep, and takes no lock.
 */
static inline void vserver_xfs_lock(struct inode *inode, struct vserver_xfs *x,
				    u64 blocks)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_lock(inode, x, blocks);
}

/**
 * vserver_xfs_unlock - charge for what an inode has more, or less, than it had
 * @inode:	the inode, whose ILOCK_EXCL is about to be given up
 * @x:		of this inode
 * @blocks:	what it has now
 *
 * Does not sleep; takes the inode's i_lock.
 */
static inline void vserver_xfs_unlock(struct inode *inode,
				      struct vserver_xfs *x, u64 blocks)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_unlock(inode, x, blocks);
}

/**
 * vserver_xfs_reserve - may an inode have more?
 * @inode:	the inode, with ILOCK_EXCL, which is charged for that until it is
 *		given up
 * @x:		of this inode
 * @blocks:	how much, at most; if it is not above zero nothing is done
 *
 * Does not sleep; takes the inode's i_lock.
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_xfs_reserve(struct inode *inode,
				      struct vserver_xfs *x, s64 blocks)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_xfs_reserve(inode, x, blocks);
	return 0;
}

/**
 * vserver_xfs_exchange - may two inodes exchange what they have?
 * @inode1:	the one, with ILOCK_EXCL
 * @x1:		of this one
 * @inode2:	the other, with ILOCK_EXCL
 * @x2:		of that
 * @blocks:	how much the first one gains, or, below zero, the second
 *
 * As vserver_xfs_reserve() of the one that gains, if they are not the same
 * context's.
 */
static inline int vserver_xfs_exchange(struct inode *inode1,
				       struct vserver_xfs *x1,
				       struct inode *inode2,
				       struct vserver_xfs *x2, s64 blocks)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_xfs_exchange(inode1, x1, inode2, x2, blocks);
	return 0;
}

/**
 * vserver_xfs_hold - may the caller make an inode?
 * @sb:		the file system
 * @hold:	of the transaction: the inode and @blocks are charged until it ends
 * @blocks:	how much its directory may grow, and what a symlink takes
 *
 * It counts for the caller until it is known whose they are. Does not sleep, and
 * takes no lock of an inode.
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_xfs_hold(struct super_block *sb,
				   struct vserver_xfs_hold *hold, u64 blocks)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_xfs_hold(sb, hold, blocks);
	return 0;
}

/**
 * vserver_xfs_drop - a transaction ends
 * @sb:		its file system
 * @hold:	what it holds
 */
static inline void vserver_xfs_drop(struct super_block *sb,
				    struct vserver_xfs_hold *hold)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_drop(sb, hold);
}

/**
 * vserver_xfs_pass - a transaction goes on in another
 * @from:	what it holds
 * @to:		what the new one does
 */
static inline void vserver_xfs_pass(struct vserver_xfs_hold *from,
				    struct vserver_xfs_hold *to)
{
	if (static_branch_unlikely(&vserver_dlimit_key)) {
		*to = *from;
		*from = (struct vserver_xfs_hold){};
	}
}

/**
 * vserver_xfs_created - a new inode belongs to the caller's context
 * @inode:	the inode, with ILOCK_EXCL, which has nothing yet
 * @hold:	of the transaction that makes it
 *
 * Does not sleep; takes the inode's i_lock.
 */
static inline void vserver_xfs_created(struct inode *inode,
				       struct vserver_xfs_hold *hold)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_created(inode, hold);
}

/**
 * vserver_xfs_freed - an inode is free
 * @inode:	the inode, with ILOCK_EXCL
 * @x:		of this inode
 */
static inline void vserver_xfs_freed(struct inode *inode,
				     const struct vserver_xfs *x)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_freed(inode, x);
}

/**
 * vserver_xfs_evict - remember whose an inode was
 * @inode:	the inode, which the VFS lets go of: what it has is freed later
 * @x:		of this inode
 *
 * Does not sleep; takes the inode's i_lock.
 */
static inline void vserver_xfs_evict(struct inode *inode,
				     struct vserver_xfs *x)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_evict(inode, x);
}

/**
 * vserver_xfs_counts - does it matter who has what of a file system?
 * @sb:		the file system
 *
 * Then what is to be freed later is freed for who asks, or was refused.
 */
static inline bool vserver_xfs_counts(const struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_xfs_counts(sb);
	return false;
}

/**
 * vserver_xfs_quota - has the caller's context quotas of its own?
 * @sb:		the file system. Does not sleep.
 */
static inline bool vserver_xfs_quota(const struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_quota_shown(sb);
	return false;
}

/**
 * vserver_xfs_attempt - the caller tries to write
 *
 * What it was refused before is not why that fails, if it does.
 */
static inline void vserver_xfs_attempt(void)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_xfs_attempt();
}

/**
 * vserver_xfs_refused - was it a limit that the caller reached, not the disk?
 * @ret:	what came of an attempt to write
 *
 * Then nothing that others have, and no flush, is of any help. It is said once.
 */
static inline bool vserver_xfs_refused(ssize_t ret)
{
	if (static_branch_unlikely(&vserver_dlimit_key) && ret == -ENOSPC)
		return __vserver_xfs_refused();
	return false;
}

#else /* !CONFIG_SECURITY_VSERVER */

struct vserver_xfs {
};

struct vserver_xfs_hold {
};

static inline void vserver_xfs_lock(struct inode *inode, struct vserver_xfs *x,
				    u64 blocks)
{
}

static inline void vserver_xfs_unlock(struct inode *inode,
				      struct vserver_xfs *x, u64 blocks)
{
}

static inline int vserver_xfs_reserve(struct inode *inode,
				      struct vserver_xfs *x, s64 blocks)
{
	return 0;
}

static inline int vserver_xfs_exchange(struct inode *inode1,
				       struct vserver_xfs *x1,
				       struct inode *inode2,
				       struct vserver_xfs *x2, s64 blocks)
{
	return 0;
}

static inline int vserver_xfs_hold(struct super_block *sb,
				   struct vserver_xfs_hold *hold, u64 blocks)
{
	return 0;
}

static inline void vserver_xfs_drop(struct super_block *sb,
				    struct vserver_xfs_hold *hold)
{
}

static inline void vserver_xfs_pass(struct vserver_xfs_hold *from,
				    struct vserver_xfs_hold *to)
{
}

static inline void vserver_xfs_created(struct inode *inode,
				       struct vserver_xfs_hold *hold)
{
}

static inline void vserver_xfs_freed(struct inode *inode,
				     const struct vserver_xfs *x)
{
}

static inline void vserver_xfs_evict(struct inode *inode,
				     struct vserver_xfs *x)
{
}

static inline bool vserver_xfs_counts(const struct super_block *sb)
{
	return false;
}

static inline bool vserver_xfs_quota(const struct super_block *sb)
{
	return false;
}

static inline void vserver_xfs_attempt(void)
{
}

static inline bool vserver_xfs_refused(ssize_t ret)
{
	return false;
}

#endif /* CONFIG_SECURITY_VSERVER */

#endif /* _LINUX_VSERVER_XFS_H */
