/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: what a context may add to a file system, and what is freed for it */
#ifndef _FS_BTRFS_VSERVER_H
#define _FS_BTRFS_VSERVER_H

#include <linux/vserver_btrfs.h>

struct btrfs_fs_info;
struct btrfs_inode;
struct btrfs_new_inode_args;

#ifdef CONFIG_SECURITY_VSERVER

int __btrfs_hold_range(struct btrfs_inode *inode, u64 start, u64 len,
		       bool nowait);
int __btrfs_hold_clone(struct btrfs_inode *src, u64 off,
		       struct btrfs_inode *inode, u64 destoff, u64 len);
int __btrfs_charge_new_inode(const struct btrfs_new_inode_args *args);
void __btrfs_free_removed(struct btrfs_fs_info *fs_info);

/**
 * btrfs_hold_range - may all of a range be written?
 * @inode:	the inode
 * @start:	where it begins, and
 * @len:	how long it is, both in whole blocks
 * @nowait:	don't sleep
 *
 * What the inode lacks is held until the caller leaves the scope of
 * CLASS(vserver_btrfs_hold), unless what the scope holds is said to be all. Who
 * is not in one is not asked.
 *
 * Waits for extents of the range to be unlocked and evicts other inodes, so no
 * extent and no folio may be locked, and no transaction be open. The inode's
 * locks and mmap_lock may be held.
 *
 * Return: 0, -ENOSPC, -EDQUOT if a limit of the owner or the group is reached,
 * -EAGAIN if that takes sleeping to say, or why the range can't be looked at.
 */
static inline int btrfs_hold_range(struct btrfs_inode *inode, u64 start,
				   u64 len, bool nowait)
{
	return vserver_btrfs_active() ?
	       __btrfs_hold_range(inode, start, len, nowait) : 0;
}

/**
 * btrfs_hold_clone - may an inode have there what another one has?
 * @src:	the other one; both are locked, nothing of either range is dirty
 * @off:	where its range begins
 * @inode:	the inode
 * @destoff:	where its range begins
 * @len:	how long they are; the last block need not be whole
 *
 * This is all that the scope holds: extents may be locked in the rest of it.
 * Otherwise as btrfs_hold_range().
 */
static inline int btrfs_hold_clone(struct btrfs_inode *src, u64 off,
				   struct btrfs_inode *inode, u64 destoff,
				   u64 len)
{
	return vserver_btrfs_active() ?
	       __btrfs_hold_clone(src, off, inode, destoff, len) : 0;
}

/**
 * btrfs_charge_new_inode - may there be a new inode?
 * @args:	the inode, which nobody else knows, and where it is made. May sleep,
 *		and evicts other inodes; no transaction is open.
 *
 * If it is not created it is given back when it is evicted.
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int
btrfs_charge_new_inode(const struct btrfs_new_inode_args *args)
{
	return vserver_btrfs_active() ? __btrfs_charge_new_inode(args) : 0;
}

/**
 * btrfs_free_removed - free what was removed while it was written out
 * @fs_info:	the file system, whose ordered extents were waited for
 *
 * Nothing if nobody counts. May sleep, and evicts inodes; no transaction is open.
 */
static inline void btrfs_free_removed(struct btrfs_fs_info *fs_info)
{
	if (vserver_btrfs_active())
		__btrfs_free_removed(fs_info);
}

#else /* !CONFIG_SECURITY_VSERVER */

static inline int btrfs_hold_range(struct btrfs_inode *inode, u64 start,
				   u64 len, bool nowait)
{
	return 0;
}

static inline int btrfs_hold_clone(struct btrfs_inode *src, u64 off,
				   struct btrfs_inode *inode, u64 destoff,
				   u64 len)
{
	return 0;
}

static inline int
btrfs_charge_new_inode(const struct btrfs_new_inode_args *args)
{
	return 0;
}

static inline void btrfs_free_removed(struct btrfs_fs_info *fs_info)
{
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _FS_BTRFS_VSERVER_H */
