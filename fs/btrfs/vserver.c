// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer: what a context may add to a file system, and what is freed for it
 *
 * The worst case is held without a look, if there is room for it. Who is closer
 * to his limit has the extent maps looked at, and holds what the inode lacks. If
 * there is no room for that either he puts what was removed while it was written
 * out, which the cleaner would do later, and tries again.
 *
 * Extent maps are read with the extents locked, as elsewhere: what is read from
 * the tree goes to the cache, where it must not come too late. To evict an inode
 * data of others may have to be written out, which waits for their extents and
 * folios. So the caller may have locked none.
 */

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "async-thread.h"
#include "btrfs_inode.h"
#include "ctree.h"
#include "extent-io-tree.h"
#include "extent_map.h"
#include "fs.h"
#include "vserver.h"

static bool btrfs_is_hole(const struct extent_map *em)
{
	return em->disk_bytenr == EXTENT_MAP_HOLE;
}

/* Add up how many bytes of a range the inode does not have, nor does delalloc. */
static int btrfs_count_new_bytes(struct btrfs_inode *inode, u64 start, u64 len,
				 u64 *bytes)
{
	struct extent_io_tree *tree = &inode->io_tree;
	struct extent_state *cached_state = NULL;
	const u64 end = start + len;
	u64 at = start;
	int ret = 0;

	btrfs_lock_extent(tree, start, end - 1, &cached_state);
	while (at < end) {
		struct extent_map *em;
		u64 found = at;
		u64 next;

		em = btrfs_get_extent(inode, NULL, at, end - at);
		if (IS_ERR(em)) {
			ret = PTR_ERR(em);
			break;
		}
		next = min(btrfs_extent_map_end(em), end);
		if (btrfs_is_hole(em))
			*bytes += next - at -
				  btrfs_count_range_bits(tree, &found, next - 1,
							 U64_MAX,
							 EXTENT_DELALLOC_NEW,
							 false, NULL);
		btrfs_free_extent_map(em);
		at = next;
		cond_resched();
	}
	btrfs_unlock_extent(tree, start, end - 1, &cached_state);
	return ret;
}

/* Is what begins at an offset a hole, and how far does it go? */
static int btrfs_find_hole(struct btrfs_inode *inode, u64 start, u64 end,
			   u64 *next, bool *is_hole)
{
	struct extent_state *cached_state = NULL;
	struct extent_map *em;

	btrfs_lock_extent(&inode->io_tree, start, end - 1, &cached_state);
	em = btrfs_get_extent(inode, NULL, start, end - start);
	btrfs_unlock_extent(&inode->io_tree, start, end - 1, &cached_state);
	if (IS_ERR(em))
		return PTR_ERR(em);
	*next = min(btrfs_extent_map_end(em), end);
	*is_hole = btrfs_is_hole(em);
	btrfs_free_extent_map(em);
	return 0;
}

/* The same for what a clone adds. */
static int btrfs_count_cloned_bytes(struct btrfs_inode *src, u64 off,
				    struct btrfs_inode *inode, u64 destoff,
				    u64 len, u64 *bytes)
{
	const u64 end = off + len;
	u64 next;

	for (; off < end; destoff += next - off, off = next) {
		bool is_hole;
		int ret;

		ret = btrfs_find_hole(src, off, end, &next, &is_hole);
		if (!ret && !is_hole)
			ret = btrfs_count_new_bytes(inode, destoff, next - off,
						    bytes);
		if (ret)
			return ret;
	}
	return 0;
}

/* It is the context that has no room, or who owns the inode. */
static bool btrfs_is_full(int ret)
{
	return ret == -ENOSPC || ret == -EDQUOT;
}

/* What is removed may count until its last reference is put. */
static bool btrfs_put_removed(struct btrfs_fs_info *fs_info)
{
	if (current->journal_info || !atomic_read(&fs_info->nr_delayed_iputs))
		return false;
	btrfs_run_delayed_iputs(fs_info);
	return true;
}

static int btrfs_hold_bytes(struct btrfs_inode *inode, u64 bytes, bool all)
{
	int ret = vserver_btrfs_hold(&inode->vfs_inode, bytes, all);

	if (btrfs_is_full(ret) && btrfs_put_removed(inode->root->fs_info))
		ret = vserver_btrfs_hold(&inode->vfs_inode, bytes, all);
	return ret;
}

int __btrfs_hold_range(struct btrfs_inode *inode, u64 start, u64 len,
		       bool nowait)
{
	u64 bytes = 0;
	int ret;

	ret = vserver_btrfs_hold(&inode->vfs_inode, len, false);
	if (!btrfs_is_full(ret))
		return ret;
	if (nowait)
		return -EAGAIN;
	ret = btrfs_count_new_bytes(inode, start, len, &bytes);
	return ret ?: btrfs_hold_bytes(inode, bytes, false);
}

int __btrfs_hold_clone(struct btrfs_inode *src, u64 off,
		       struct btrfs_inode *inode, u64 destoff, u64 len)
{
	u64 bytes = 0;
	int ret;

	len = round_up(len, inode->root->fs_info->sectorsize);
	ret = vserver_btrfs_hold(&inode->vfs_inode, len, true);
	if (!btrfs_is_full(ret))
		return ret;
	ret = btrfs_count_cloned_bytes(src, off, inode, destoff, len, &bytes);
	return ret ?: btrfs_hold_bytes(inode, bytes, true);
}

int __btrfs_charge_new_inode(const struct btrfs_new_inode_args *args)
{
	int ret = vserver_btrfs_new(args->inode, args->subvol);

	if (btrfs_is_full(ret) && btrfs_put_removed(inode_to_fs_info(args->dir)))
		ret = vserver_btrfs_new(args->inode, args->subvol);
	return ret;
}

/* An ordered extent is complete before who finishes it puts its inode. */
void __btrfs_free_removed(struct btrfs_fs_info *fs_info)
{
	if (!vserver_btrfs_counts(fs_info->sb))
		return;
	flush_workqueue(fs_info->endio_workers);
	btrfs_flush_workqueue(fs_info->endio_write_workers);
	btrfs_run_delayed_iputs(fs_info);
	btrfs_wait_on_delayed_iputs(fs_info);
}
