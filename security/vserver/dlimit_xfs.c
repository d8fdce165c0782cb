// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: disk limits on xfs
 *
 * xfs changes what an inode has in many places, and always with ILOCK_EXCL. So
 * it is charged when that is given up: the difference to what it was charged
 * for. This number is kept in the VFS inode, where xfs leaves it at 0, and is
 * changed under i_lock as elsewhere. What has to be refused is refused before,
 * by a reservation for as long as the lock is held: at that time no transaction
 * is dirty. Of space that is reserved for what is there already the owners are
 * asked and not charged, so that by calls at the same time they may together get
 * above their limits; for a new inode they are.
 *
 * The blob goes with the VFS inode, but xfs frees what the inode has, and the
 * inode, in the background later. Its tag is kept with xfs for that.
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/spinlock.h>
#include <linux/vserver_xfs.h>

#include "dlimit.h"

/* Who is charged; 0 is nobody. */
static u32 vserver_xfs_xid(struct inode *inode, const struct vserver_xfs *x)
{
	u32 tag;

	if (inode_state_read_once(inode) & I_CLEAR)
		return x->xid;
	return vserver_known_tag(inode, &tag) ? tag : 0;
}

/*
 * Who comes first since the inode was read, or since there are limits, sees what
 * it has by then, which whoever added a limit has counted.
 */
void __vserver_xfs_lock(struct inode *inode, struct vserver_xfs *x, u64 blocks)
{
	u64 bytes = blocks << inode->i_sb->s_blocksize_bits;

	if (!vserver_sb(inode->i_sb)->tag)
		return;
	if (__inode_get_bytes(inode) != bytes)
		inode_set_bytes(inode, bytes);
	x->locked = true;
}
EXPORT_SYMBOL_GPL(__vserver_xfs_lock);

void __vserver_xfs_unlock(struct inode *inode, struct vserver_xfs *x,
			  u64 blocks)
{
	struct super_block *sb = inode->i_sb;
	s64 bytes = blocks << sb->s_blocksize_bits;
	s64 more;
	u32 xid;

	/* Or there was no limit yet when it was locked. */
	if (!x->locked)
		return;
	x->locked = false;
	more = bytes - __inode_get_bytes(inode);
	if (!more && !x->reserved)
		return;
	guard(spinlock)(&inode->i_lock);
	inode_set_bytes(inode, bytes);
	xid = vserver_xfs_xid(inode, x);
	vserver_inode_owners_add(inode, xid, more);
	if (xid == x->xid)
		more -= x->reserved;
	else
		vserver_space_add(sb, x->xid, -x->reserved);
	x->reserved = 0;
	vserver_space_add(sb, xid, more);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_unlock);

int __vserver_xfs_reserve(struct inode *inode, struct vserver_xfs *x,
			  s64 blocks)
{
	struct super_block *sb = inode->i_sb;
	s64 bytes = blocks << sb->s_blocksize_bits;
	struct vserver_dlimit *dl;
	u32 xid;
	int error;

	if (!x->locked || blocks <= 0)
		return 0;
	guard(rcu)();
	guard(spinlock)(&inode->i_lock);
	xid = vserver_xfs_xid(inode, x);
	dl = vserver_dlimit_find(sb, xid);
	if (!dl)
		return 0;
	error = vserver_owners_fit(dl, vserver_owners(inode),
				   x->reserved + bytes, 0);
	if (error)
		return error;
	error = vserver_amount_take(dl, &dl->space, bytes);
	/* Less may fit: xfs asks for more than it needs first. */
	if (vserver_dlimit_note(sb, error))
		return error;
	/* It has changed sides meanwhile. */
	if (xid != x->xid && x->reserved) {
		vserver_space_add(sb, x->xid, -x->reserved);
		x->reserved = 0;
	}
	x->xid = xid;
	x->reserved += bytes;
	return 0;
}
EXPORT_SYMBOL_GPL(__vserver_xfs_reserve);

int __vserver_xfs_exchange(struct inode *inode1, struct vserver_xfs *x1,
			   struct inode *inode2, struct vserver_xfs *x2,
			   s64 blocks)
{
	if (vserver_xfs_xid(inode1, x1) == vserver_xfs_xid(inode2, x2))
		return 0;
	return blocks > 0 ? __vserver_xfs_reserve(inode1, x1, blocks) :
			    __vserver_xfs_reserve(inode2, x2, -blocks);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_exchange);

int __vserver_xfs_hold(struct super_block *sb, struct vserver_xfs_hold *hold,
		       u64 blocks)
{
	/* But where it is the directory that says which group it is. */
	const struct vserver_owners owners = { current_fsuid(), current_fsgid() };
	s64 bytes = blocks << sb->s_blocksize_bits;
	struct vserver_dlimit *dl;
	u32 xid;
	int error;

	xid = vserver_current_tag() ?: vserver_sb(sb)->tag & ~VSERVER_TAGGED;
	guard(rcu)();
	dl = vserver_dlimit_find(sb, xid);
	if (!dl)
		return 0;
	error = vserver_dlimit_take(dl, bytes);
	if (error)
		return error;
	error = vserver_owners_take(dl, owners, bytes, 1);
	if (error) {
		vserver_dlimit_give(dl, bytes);
		return error;
	}
	hold->bytes = bytes;
	hold->xid = xid;
	hold->owners = owners;
	hold->inode = true;
	return 0;
}
EXPORT_SYMBOL_GPL(__vserver_xfs_hold);

void __vserver_xfs_drop(struct super_block *sb, struct vserver_xfs_hold *hold)
{
	struct vserver_dlimit *dl;

	if (likely(!hold->xid))
		return;
	guard(rcu)();
	dl = vserver_dlimit_find(sb, hold->xid);
	if (!dl)
		return;
	atomic64_sub(hold->bytes, &dl->space.used);
	atomic64_sub(hold->inode, &dl->inodes.used);
	vserver_owners_add(dl, hold->owners, -hold->bytes, -(s64)hold->inode);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_drop);

/* The attribute is written when this transaction is over. */
void __vserver_xfs_created(struct inode *inode, struct vserver_xfs_hold *hold)
{
	struct vserver_dlimit *dl;
	u32 tag;

	__vserver_tag_new(inode);
	if (!vserver_sb(inode->i_sb)->tag || !vserver_known_tag(inode, &tag))
		return;
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, tag);
	if (!dl)
		return;
	if (hold->inode && hold->xid == tag) {
		hold->inode = false;
		vserver_owners_move(dl, hold->owners, vserver_owners(inode), 0,
				    1);
	} else {
		atomic64_inc(&dl->inodes.used);
		vserver_owners_add(dl, vserver_owners(inode), 0, 1);
	}
}
EXPORT_SYMBOL_GPL(__vserver_xfs_created);

void __vserver_xfs_freed(struct inode *inode, const struct vserver_xfs *x)
{
	struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, vserver_xfs_xid(inode, x));
	if (!dl)
		return;
	atomic64_dec(&dl->inodes.used);
	vserver_owners_add(dl, vserver_owners(inode), 0, -1);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_freed);

/*
 * Nobody else has a reference any more. Also 0 has to be remembered: the place in
 * memory was another inode's once. Whose the inode is inside is in the VFS inode,
 * which stays.
 */
void __vserver_xfs_evict(struct inode *inode, struct vserver_xfs *x)
{
	scoped_guard(spinlock, &inode->i_lock)
		vserver_quota_settle(inode);
	x->xid = vserver_xfs_xid(inode, x);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_evict);

bool __vserver_xfs_counts(const struct super_block *sb)
{
	return !xa_empty(&vserver_sb(sb)->dlimits);
}
EXPORT_SYMBOL_GPL(__vserver_xfs_counts);

void __vserver_xfs_attempt(void)
{
	vserver_task(current)->refused_by = NULL;
}
EXPORT_SYMBOL_GPL(__vserver_xfs_attempt);

bool __vserver_xfs_refused(void)
{
	struct vserver_task *task = vserver_task(current);
	bool refused = task->refused_by;

	task->refused_by = NULL;
	return refused;
}
EXPORT_SYMBOL_GPL(__vserver_xfs_refused);
