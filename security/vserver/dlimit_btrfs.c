// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: disk limits on btrfs
 *
 * What an inode has, as stat(2) says it: its bytes, and what is reserved for
 * delalloc in its holes, in whole blocks each. Both change in few places, with
 * the lock of the btrfs_inode; they are charged there, and under i_lock, which
 * is what keeps a change of the tag out elsewhere. btrfs can't be asked for
 * what is reserved under i_lock, so the blob has it.
 *
 * None of these places can fail: they are reached when data has been accepted.
 * So who is about to add something holds it before, which is charged. What the
 * task adds then comes off the hold, and it gives back the rest. What the owners
 * have does not count it, so that together they may get above their limits what
 * they hold at the same time.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include <linux/vserver_btrfs.h>

#include "dlimit.h"

/* Who is charged; 0 is nobody. */
static u32 vserver_btrfs_xid(const struct inode *inode)
{
	u32 tag;

	return vserver_known_tag(inode, &tag) ? tag : 0;
}

/* An extent in the inode itself has less than a block, and counts as one. */
static s64 vserver_btrfs_blocks(struct inode *inode)
{
	return round_up(__inode_get_bytes(inode), i_blocksize(inode));
}

/**
 * vserver_btrfs_bytes - what is charged for an inode
 * @inode:	an inode of btrfs, with its i_lock, or that nobody else knows
 *
 * Return: bytes.
 */
s64 vserver_btrfs_bytes(struct inode *inode)
{
	return vserver_btrfs_blocks(inode) +
	       ((s64)vserver_inode(inode)->delalloc << inode->i_blkbits);
}

void __vserver_btrfs_change(struct inode *inode, u64 delalloc, s64 reserved,
			    s64 bytes)
{
	struct vserver_btrfs_hold *hold = &vserver_task(current)->btrfs_hold;
	struct super_block *sb = inode->i_sb;
	s64 more = reserved, held;
	u32 xid;

	guard(spinlock)(&inode->i_lock);
	more -= vserver_btrfs_blocks(inode);
	if (bytes > 0)
		__inode_add_bytes(inode, bytes);
	else if (bytes < 0)
		__inode_sub_bytes(inode, -bytes);
	more += vserver_btrfs_blocks(inode);
	if (!vserver_inode(inode))
		return;
	/* Also where there are no tags yet. */
	vserver_inode(inode)->delalloc = delalloc >> inode->i_blkbits;
	if (!vserver_sb(sb)->tag)
		return;
	xid = vserver_btrfs_xid(inode);
	vserver_inode_owners_add(inode, xid, more);
	if (more > 0 && hold->inode == inode && hold->room.xid == xid) {
		held = min(more, hold->room.bytes);
		hold->room.bytes -= held;
		more -= held;
	}
	if (more)
		vserver_space_add(sb, xid, more);
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_change);

struct vserver_btrfs_hold __vserver_btrfs_enter(struct inode *inode,
						struct vserver_btrfs_room *room)
{
	struct vserver_btrfs_hold *hold = &vserver_task(current)->btrfs_hold;
	const struct vserver_btrfs_hold outer = *hold;

	*hold = (struct vserver_btrfs_hold){ .inode = inode, .open = true };
	if (room) {
		hold->room = *room;
		room->bytes = 0;
	}
	return outer;
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_enter);

static void vserver_btrfs_give_back(struct vserver_btrfs_hold *hold)
{
	if (hold->inode)
		__vserver_btrfs_free(hold->inode->i_sb, &hold->room);
}

void __vserver_btrfs_leave(const struct vserver_btrfs_hold *outer)
{
	struct vserver_btrfs_hold *hold = &vserver_task(current)->btrfs_hold;

	vserver_btrfs_give_back(hold);
	*hold = *outer;
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_leave);

/* Under RCU. */
static int vserver_btrfs_hold_of(struct vserver_btrfs_hold *hold,
				 struct inode *inode, s64 bytes,
				 struct vserver_dlimit *dl)
{
	int error;

	if (hold->inode != inode || hold->room.xid != dl->xid) {
		vserver_btrfs_give_back(hold);
		hold->inode = inode;
		hold->room.xid = dl->xid;
	}
	bytes -= hold->room.bytes;
	if (bytes <= 0)
		return 0;
	error = vserver_amount_take(dl, &dl->space, bytes);
	if (!error)
		hold->room.bytes += bytes;
	return error;
}

/* Under RCU. */
static int vserver_btrfs_owners_fit(struct inode *inode, s64 bytes,
				    const struct vserver_dlimit *dl)
{
	struct vserver_owners owners;

	if (!rcu_access_pointer(dl->quota))
		return 0;
	scoped_guard(spinlock, &inode->i_lock)
		owners = vserver_owners(inode);
	return vserver_owners_fit(dl, owners, bytes, 0);
}

int __vserver_btrfs_hold(struct inode *inode, s64 bytes, bool all)
{
	struct vserver_btrfs_hold *hold = &vserver_task(current)->btrfs_hold;
	struct vserver_dlimit *dl;
	int error = 0;

	if (!hold->open || hold->all)
		return 0;
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, vserver_btrfs_xid(inode));
	if (dl)
		error = vserver_btrfs_owners_fit(inode, bytes, dl);
	if (dl && !error && READ_ONCE(dl->space.total) != VSERVER_DLIMIT_NONE)
		error = vserver_btrfs_hold_of(hold, inode, bytes, dl);
	if (!error)
		hold->all = all;
	return error;
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_hold);

void __vserver_btrfs_lend(struct vserver_btrfs_room *room, s64 bytes)
{
	struct vserver_btrfs_hold *hold = &vserver_task(current)->btrfs_hold;

	if (hold->inode)
		vserver_btrfs_split(&hold->room, room, bytes);
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_lend);

void __vserver_btrfs_free(struct super_block *sb,
			  struct vserver_btrfs_room *room)
{
	if (room->bytes)
		vserver_space_add(sb, room->xid, -room->bytes);
	room->bytes = 0;
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_free);

/* Nobody else knows the inode, so that its state needs no atomic change. */
int __vserver_btrfs_new(struct inode *inode, bool subvol)
{
	struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_dlimit *dl;
	s64 bytes;
	int error;

	if (!vserver_sb(inode->i_sb)->tag || !vi)
		return 0;
	if (subvol)
		WRITE_ONCE(vi->state, VSERVER_STATE_KNOWN);
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, vserver_btrfs_xid(inode));
	if (!dl)
		return 0;
	bytes = vserver_btrfs_bytes(inode);
	error = vserver_dlimit_take(dl, bytes);
	if (error)
		return error;
	error = vserver_owners_take(dl, vserver_owners(inode), bytes, 1);
	if (error)
		vserver_dlimit_give(dl, bytes);
	else
		WRITE_ONCE(vi->state, vi->state | VSERVER_STATE_UNMADE);
	return error;
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_new);

void __vserver_btrfs_created(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);

	if (vi && vi->state & VSERVER_STATE_UNMADE)
		WRITE_ONCE(vi->state, vi->state & ~(u64)VSERVER_STATE_UNMADE);
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_created);

/*
 * Without a name, or never made. If btrfs can't free it now, it does so at the
 * next mount, and nobody will find it until then. The root of a subvolume that
 * is removed keeps its link count; if it was read-only it did not count.
 */
void __vserver_btrfs_evict(struct inode *inode, bool readonly)
{
	const struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_dlimit *dl;
	s64 bytes;

	if (!vserver_sb(inode->i_sb)->tag || !vi)
		return;
	if (inode->i_nlink && (!IS_DEADDIR(inode) || readonly) &&
	    !(READ_ONCE(vi->state) & VSERVER_STATE_UNMADE))
		return;
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, vserver_btrfs_xid(inode));
	if (!dl)
		return;
	bytes = vserver_btrfs_bytes(inode);
	vserver_dlimit_give(dl, bytes);
	vserver_owners_add(dl, vserver_owners(inode), -bytes, -1);
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_evict);

bool __vserver_btrfs_counts(const struct super_block *sb)
{
	return !xa_empty(&vserver_sb(sb)->dlimits);
}
EXPORT_SYMBOL_GPL(__vserver_btrfs_counts);
