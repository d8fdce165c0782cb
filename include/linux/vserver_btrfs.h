/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of disk limits in btrfs, which has no quota of the VFS */
#ifndef _LINUX_VSERVER_BTRFS_H
#define _LINUX_VSERVER_BTRFS_H

#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/vserver_dlimit.h>

#ifdef CONFIG_SECURITY_VSERVER

/**
 * struct vserver_btrfs_room - what is charged before an inode has it
 * @bytes:	how much
 * @xid:	to whom
 */
struct vserver_btrfs_room {
	s64 bytes;
	u32 xid;
};

/**
 * struct vserver_btrfs_hold - what a task may add to an inode
 * @inode:	the inode, to which the task has a reference, or NULL
 * @room:	how much is charged for that
 * @open:	in a scope of CLASS(vserver_btrfs_hold)
 * @all:	what the scope may add is held
 */
struct vserver_btrfs_hold {
	struct inode *inode;
	struct vserver_btrfs_room room;
	bool open;
	bool all;
};

/**
 * struct vserver_btrfs_scope - where a task may hold something
 * @outer:	what it held when it came there
 * @entered:	whether that is so
 */
struct vserver_btrfs_scope {
	struct vserver_btrfs_hold outer;
	bool entered;
};

void __vserver_btrfs_change(struct inode *inode, u64 delalloc, s64 reserved,
			    s64 bytes);
struct vserver_btrfs_hold __vserver_btrfs_enter(struct inode *inode,
						struct vserver_btrfs_room *room);
void __vserver_btrfs_leave(const struct vserver_btrfs_hold *outer);
int __vserver_btrfs_hold(struct inode *inode, s64 bytes, bool all);
void __vserver_btrfs_lend(struct vserver_btrfs_room *room, s64 bytes);
void __vserver_btrfs_free(struct super_block *sb,
			  struct vserver_btrfs_room *room);
int __vserver_btrfs_new(struct inode *inode, bool subvol);
void __vserver_btrfs_created(struct inode *inode);
void __vserver_btrfs_evict(struct inode *inode, bool readonly);
bool __vserver_btrfs_counts(const struct super_block *sb);

/**
 * vserver_btrfs_change - an inode has more, or less
 * @inode:	the inode, with the lock of its btrfs_inode; not of a directory
 * @delalloc:	how many bytes that it does not have are reserved for delalloc
 * @reserved:	how many more, or less, that are than before
 * @bytes:	how many more, or less, it has: i_blocks and i_bytes change here
 *
 * Does not sleep; takes the inode's i_lock.
 */
static inline void vserver_btrfs_change(struct inode *inode, u64 delalloc,
					s64 reserved, s64 bytes)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_btrfs_change(inode, delalloc, reserved, bytes);
	else if (bytes > 0)
		inode_add_bytes(inode, bytes);
	else if (bytes < 0)
		inode_sub_bytes(inode, -bytes);
}

/**
 * vserver_btrfs_active - may there be limits at all?
 */
static inline bool vserver_btrfs_active(void)
{
	return static_branch_unlikely(&vserver_dlimit_key);
}

static inline struct vserver_btrfs_scope
vserver_btrfs_enter(struct inode *inode, struct vserver_btrfs_room *room)
{
	struct vserver_btrfs_scope scope = {};

	if (static_branch_unlikely(&vserver_dlimit_key)) {
		scope.outer = __vserver_btrfs_enter(inode, room);
		scope.entered = true;
	}
	return scope;
}

static inline void vserver_btrfs_leave(const struct vserver_btrfs_scope *scope)
{
	if (static_branch_unlikely(&vserver_dlimit_key) && scope->entered)
		__vserver_btrfs_leave(&scope->outer);
}

/*
 * CLASS(vserver_btrfs_hold, scope)(inode, room): to its end the task may hold
 * something, and gives back then what is left of it. A scope in another one has
 * nothing to do with what that one holds. With an inode it begins with what was
 * held for an ordered extent of that, of which the file gets to know now.
 */
DEFINE_CLASS(vserver_btrfs_hold, struct vserver_btrfs_scope,
	     vserver_btrfs_leave(&_T), vserver_btrfs_enter(inode, room),
	     struct inode *inode, struct vserver_btrfs_room *room)

/**
 * vserver_btrfs_hold - may an inode have more?
 * @inode:	the inode, to which the caller has a reference until the scope ends
 * @bytes:	how much, at most; what is still held for it is part of that
 * @all:	so that nothing more need be asked for in this scope
 *
 * It is charged now, and what the task adds to the inode comes off that. What is
 * held for another inode is given back. Outside of a scope nothing is held. Does
 * not sleep; takes the inode's i_lock.
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_btrfs_hold(struct inode *inode, s64 bytes, bool all)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_btrfs_hold(inode, bytes, all);
	return 0;
}

/**
 * vserver_btrfs_lend - what the task holds is for an ordered extent
 * @room:	of the ordered extent, which somebody else will finish
 * @bytes:	how much of it, at most
 */
static inline void vserver_btrfs_lend(struct vserver_btrfs_room *room,
				      s64 bytes)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_btrfs_lend(room, bytes);
}

/**
 * vserver_btrfs_split - an ordered extent becomes two
 * @from:	what is held for it
 * @to:		of the new one, for which nothing is held yet
 * @bytes:	how long that is
 */
static inline void vserver_btrfs_split(struct vserver_btrfs_room *from,
				       struct vserver_btrfs_room *to,
				       s64 bytes)
{
	if (static_branch_unlikely(&vserver_dlimit_key)) {
		to->bytes = min(bytes, from->bytes);
		to->xid = from->xid;
		from->bytes -= to->bytes;
	}
}

/**
 * vserver_btrfs_free - an ordered extent is freed
 * @sb:		its file system
 * @room:	what is still held for it, if it came to nothing
 */
static inline void vserver_btrfs_free(struct super_block *sb,
				      struct vserver_btrfs_room *room)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_btrfs_free(sb, room);
}

/**
 * vserver_btrfs_new - charge for a new inode, and for what it has
 * @inode:	the inode, which nobody else knows yet; its owner is set
 * @subvol:	it is the root of a subvolume, which gets no attributes
 *
 * If it is not created it is given back when it is evicted. Does not sleep; takes
 * the lock of the quotas inside the context.
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_btrfs_new(struct inode *inode, bool subvol)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_btrfs_new(inode, subvol);
	return 0;
}

/**
 * vserver_btrfs_created - a new inode is there
 * @inode:	the inode, of which nobody else has a reference yet
 */
static inline void vserver_btrfs_created(struct inode *inode)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_btrfs_created(inode);
}

/**
 * vserver_btrfs_evict - an inode goes, if without names for good
 * @inode:	the inode, which has no pages any more
 * @readonly:	so is its subvolume
 *
 * Does not sleep; takes the lock of the quotas inside the context.
 */
static inline void vserver_btrfs_evict(struct inode *inode, bool readonly)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_btrfs_evict(inode, readonly);
}

/**
 * vserver_btrfs_counts - does it matter who has what of a file system?
 * @sb:		the file system
 */
static inline bool vserver_btrfs_counts(const struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_btrfs_counts(sb);
	return false;
}

#else /* !CONFIG_SECURITY_VSERVER */

struct vserver_btrfs_room {
};

static inline void vserver_btrfs_change(struct inode *inode, u64 delalloc,
					s64 reserved, s64 bytes)
{
	if (bytes > 0)
		inode_add_bytes(inode, bytes);
	else if (bytes < 0)
		inode_sub_bytes(inode, -bytes);
}

DEFINE_CLASS(vserver_btrfs_hold, bool, (void)_T, false,
	     struct inode *inode, struct vserver_btrfs_room *room)

static inline void vserver_btrfs_lend(struct vserver_btrfs_room *room,
				      s64 bytes)
{
}

static inline void vserver_btrfs_split(struct vserver_btrfs_room *from,
				       struct vserver_btrfs_room *to,
				       s64 bytes)
{
}

static inline void vserver_btrfs_free(struct super_block *sb,
				      struct vserver_btrfs_room *room)
{
}

static inline void vserver_btrfs_created(struct inode *inode)
{
}

static inline void vserver_btrfs_evict(struct inode *inode, bool readonly)
{
}

#endif /* CONFIG_SECURITY_VSERVER */

#endif /* _LINUX_VSERVER_BTRFS_H */
