// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: disk limits
 *
 * How much space and how many inodes the files of a context may take on a file
 * system that keeps tags. It is charged where quota is, whether or not there is
 * any, and under the same lock: what a context has used is what its inodes have,
 * reserved for later included. So a change of an inode's tag takes along exactly
 * what was charged for it. xfs comes in by dlimit_xfs.c, btrfs by
 * dlimit_btrfs.c.
 */

#include <linux/blk_types.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/path.h>
#include <linux/quotaops.h>
#include <linux/spinlock.h>
#include <linux/stat.h>
#include <linux/statfs.h>

#include "dlimit.h"

struct static_key_false vserver_dlimit_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(vserver_dlimit_key);

static s64 vserver_reserved(const struct vserver_dlimit *dl, u64 total)
{
	return mul_u64_u32_div(total, READ_ONCE(dl->reserved), 100);
}

/* How much of it the caller may fill. */
static s64 vserver_amount_limit(const struct vserver_dlimit *dl,
				const struct vserver_amount *amount)
{
	s64 total = READ_ONCE(amount->total);

	if (total == VSERVER_DLIMIT_NONE ||
	    uid_eq(current_fsuid(), GLOBAL_ROOT_UID))
		return total;
	return total - vserver_reserved(dl, total);
}

/*
 * Check and charge in one step; nothing always fits. What is asked for is not
 * negative, and may be as much as a file can have. Under RCU.
 */
int vserver_amount_take(const struct vserver_dlimit *dl,
			struct vserver_amount *amount, s64 n)
{
	s64 limit = vserver_amount_limit(dl, amount);
	s64 old = atomic64_read(&amount->used);

	do {
		if (n && limit != VSERVER_DLIMIT_NONE && old > limit - n)
			return -ENOSPC;
	} while (!atomic64_try_cmpxchg(&amount->used, &old, old + n));
	return 0;
}

/* What came of a charge, for who asks why it was refused. */
int vserver_dlimit_note(const struct super_block *sb, int error)
{
	vserver_task(current)->refused_by = error ? sb : NULL;
	return error;
}

/* It is said once. */
bool __vserver_dlimit_refused(const struct super_block *sb)
{
	struct vserver_task *task = vserver_task(current);
	bool refused = task->refused_by == sb;

	task->refused_by = NULL;
	return refused;
}
EXPORT_SYMBOL_GPL(__vserver_dlimit_refused);

/* Space and an inode, or nothing. Under RCU. */
int vserver_dlimit_take(struct vserver_dlimit *dl, s64 bytes)
{
	int error = vserver_amount_take(dl, &dl->space, bytes);

	if (error)
		return error;
	error = vserver_amount_take(dl, &dl->inodes, 1);
	if (error)
		atomic64_sub(bytes, &dl->space.used);
	return error;
}

/* The other way. Under RCU. */
void vserver_dlimit_give(struct vserver_dlimit *dl, s64 bytes)
{
	atomic64_sub(bytes, &dl->space.used);
	atomic64_dec(&dl->inodes.used);
}

/* Whom to charge for an inode, if there is a limit. Under RCU. */
struct vserver_dlimit *vserver_dlimit_of(struct inode *inode)
{
	u32 tag;

	if (!vserver_sb(inode->i_sb)->tag || IS_NOQUOTA(inode) ||
	    !vserver_known_tag(inode, &tag))
		return NULL;
	return vserver_dlimit_find(inode->i_sb, tag);
}

void __vserver_tag_new(struct inode *inode)
{
	const struct vserver_xattr x = {
		.xid = cpu_to_le32(vserver_current_tag()),
	};

	if (vserver_sb(inode->i_sb)->tag && vserver_inode(inode))
		vserver_xattr_assume(inode, &x);
}
EXPORT_SYMBOL_GPL(__vserver_tag_new);

int __vserver_load_tag(struct inode *inode)
{
	u32 tag;

	if (!vserver_sb(inode->i_sb)->tag || IS_NOQUOTA(inode))
		return 0;
	return vserver_inode_tag(inode, false, &tag);
}

/* Would more exceed what they may have in the context? Under RCU. */
int vserver_owners_fit(const struct vserver_dlimit *dl,
		       struct vserver_owners owners, s64 bytes, s64 inodes)
{
	struct vserver_quota *quota = rcu_dereference(dl->quota);

	return quota ? vserver_quota_fits(quota, owners, bytes, inodes) : 0;
}

/* Charge them as well, and not otherwise. Under RCU. */
int vserver_owners_take(const struct vserver_dlimit *dl,
			struct vserver_owners owners, s64 bytes, s64 inodes)
{
	struct vserver_quota *quota = rcu_dereference(dl->quota);

	return quota ? vserver_quota_take(quota, owners, bytes, inodes) : 0;
}

/* More or less, of what can't be refused. Under RCU. */
void vserver_owners_add(const struct vserver_dlimit *dl,
			struct vserver_owners owners, s64 bytes, s64 inodes)
{
	struct vserver_quota *quota = rcu_dereference(dl->quota);

	if (quota)
		vserver_quota_add(quota, owners, bytes, inodes);
}

/* From those to these. Under RCU. */
void vserver_owners_move(const struct vserver_dlimit *dl,
			 struct vserver_owners from, struct vserver_owners to,
			 s64 bytes, s64 inodes)
{
	struct vserver_quota *quota = rcu_dereference(dl->quota);

	if (quota)
		vserver_quota_move(quota, from, to, bytes, inodes);
}

/* What @xid has more, or less; nobody if that is 0, or there is no limit. */
void vserver_space_add(const struct super_block *sb, u32 xid, s64 bytes)
{
	struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_find(sb, xid);
	if (dl)
		atomic64_add(bytes, &dl->space.used);
}

/* The same of whose the inode is in there; with its i_lock. */
void vserver_inode_owners_add(struct inode *inode, u32 xid, s64 bytes)
{
	const struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, xid);
	if (dl)
		vserver_owners_add(dl, vserver_owners(inode), bytes, 0);
}

int __vserver_charge_space(struct inode *inode, u64 bytes, int flags)
{
	struct vserver_dlimit *dl;
	int error;

	guard(rcu)();
	dl = vserver_dlimit_of(inode);
	if (!dl)
		return 0;
	if (flags & DQUOT_SPACE_NOFAIL) {
		atomic64_add(bytes, &dl->space.used);
		vserver_owners_add(dl, vserver_owners(inode), bytes, 0);
		return 0;
	}
	error = vserver_amount_take(dl, &dl->space, bytes);
	if (vserver_dlimit_note(inode->i_sb, error))
		return error;
	error = vserver_owners_take(dl, vserver_owners(inode), bytes, 0);
	if (error)
		atomic64_sub(bytes, &dl->space.used);
	return error;
}

void __vserver_uncharge_space(struct inode *inode, u64 bytes)
{
	struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_of(inode);
	if (!dl)
		return;
	atomic64_sub(bytes, &dl->space.used);
	vserver_owners_add(dl, vserver_owners(inode), -(s64)bytes, 0);
}

int __vserver_charge_inode(struct inode *inode)
{
	struct vserver_dlimit *dl;
	int error;

	guard(rcu)();
	dl = vserver_dlimit_of(inode);
	if (!dl)
		return 0;
	error = vserver_amount_take(dl, &dl->inodes, 1);
	if (vserver_dlimit_note(inode->i_sb, error))
		return error;
	error = vserver_owners_take(dl, vserver_owners(inode), 0, 1);
	if (error)
		atomic64_dec(&dl->inodes.used);
	return error;
}

void __vserver_uncharge_inode(struct inode *inode)
{
	struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_of(inode);
	if (!dl)
		return;
	atomic64_dec(&dl->inodes.used);
	vserver_owners_add(dl, vserver_owners(inode), 0, -1);
}

/* Allocated and reserved; the inode's i_lock is held. */
s64 vserver_inode_bytes(struct inode *inode)
{
	const struct dquot_operations *ops = inode->i_sb->dq_op;
	s64 bytes = __inode_get_bytes(inode);

	if (inode->i_sb->s_magic == BTRFS_SUPER_MAGIC)
		return vserver_btrfs_bytes(inode);
	if (ops && ops->get_reserved_space)
		bytes += *ops->get_reserved_space(inode);
	return bytes;
}

/**
 * vserver_dlimit_move - charge another context for an inode
 * @inode:	the inode, with its i_lock held, whose tag changes with it
 * @from:	the context it belonged to, or 0
 * @to:		the context it belongs to, or 0: also if it has no room
 */
void vserver_dlimit_move(struct inode *inode, u32 from, u32 to)
{
	struct vserver_dlimit *dl;
	s64 bytes;

	if (from == to || IS_NOQUOTA(inode) ||
	    !static_branch_unlikely(&vserver_dlimit_key))
		return;
	bytes = vserver_inode_bytes(inode);
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, from);
	if (dl) {
		vserver_dlimit_give(dl, bytes);
		vserver_owners_add(dl, vserver_owners(inode), -bytes, -1);
	}
	dl = vserver_dlimit_find(inode->i_sb, to);
	if (dl) {
		atomic64_add(bytes, &dl->space.used);
		atomic64_inc(&dl->inodes.used);
		vserver_owners_add(dl, vserver_owners(inode), bytes, 1);
	}
}

/**
 * vserver_dlimit_hold - have room for an inode that is going to be a context's
 * @path:	to the inode, locked, which is nobody's yet
 * @xid:	the context's id, or 0
 * @bytes:	how much is held, to be given back by vserver_dlimit_drop() when
 *		the inode has changed sides: until then it may count twice
 *
 * What it has is asked of the file system: on xfs the inode may not have been
 * charged yet. May sleep.
 *
 * Its owners are asked, too, but nothing is held of theirs.
 *
 * Return: 0, -ENOSPC, -EDQUOT, or why the file system does not say what it has.
 */
int vserver_dlimit_hold(const struct path *path, u32 xid, s64 *bytes)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct vserver_owners owners;
	struct vserver_dlimit *dl;
	struct kstat stat;
	int error;

	*bytes = -1;
	if (!static_branch_unlikely(&vserver_dlimit_key))
		return 0;
	error = vfs_getattr_nosec(path, &stat, STATX_BLOCKS, 0);
	if (error)
		return error;
	guard(rcu)();
	dl = vserver_dlimit_find(path->dentry->d_sb, xid);
	if (!dl)
		return 0;
	scoped_guard(spinlock, &inode->i_lock)
		owners = vserver_owners(inode);
	*bytes = stat.blocks << SECTOR_SHIFT;
	error = vserver_owners_fit(dl, owners, *bytes, 1);
	return error ?: vserver_dlimit_take(dl, *bytes);
}

/* Nothing if nothing was held. */
void vserver_dlimit_drop(struct inode *inode, u32 xid, s64 bytes)
{
	struct vserver_dlimit *dl;

	if (bytes < 0)
		return;
	guard(rcu)();
	dl = vserver_dlimit_find(inode->i_sb, xid);
	if (dl)
		vserver_dlimit_give(dl, bytes);
}

/**
 * vserver_dlimit_fits - may an attribute be set that the file system won't refuse?
 * @inode:	the inode
 * @size:	how large the attribute is
 *
 * xfs takes the space for all attributes but those of users without a question,
 * and charges for it. So ask before. Does not sleep; takes the inode's i_lock.
 *
 * Return: 0, -ENOSPC, or -EDQUOT.
 */
int vserver_dlimit_fits(struct inode *inode, size_t size)
{
	const s64 bytes = round_up(size, inode->i_sb->s_blocksize);
	struct vserver_owners owners;
	struct vserver_dlimit *dl;
	s64 limit;

	if (!static_branch_unlikely(&vserver_dlimit_key) ||
	    inode->i_sb->s_magic != XFS_SUPER_MAGIC)
		return 0;
	guard(rcu)();
	dl = vserver_dlimit_of(inode);
	if (!dl)
		return 0;
	limit = vserver_amount_limit(dl, &dl->space);
	if (limit != VSERVER_DLIMIT_NONE &&
	    atomic64_read(&dl->space.used) + bytes > limit)
		return -ENOSPC;
	scoped_guard(spinlock, &inode->i_lock)
		owners = vserver_owners(inode);
	return vserver_owners_fit(dl, owners, bytes, 0);
}

/* What a context sees of @total and @free, in units of @unit bytes. */
static void vserver_amount_show(const struct vserver_amount *amount, u64 unit,
				u64 *total, u64 *free)
{
	u64 limit = READ_ONCE(amount->total);
	u64 used = vserver_amount_used(amount);
	u64 left = limit > used ? div64_u64(limit - used, unit) : 0;

	if (limit == VSERVER_DLIMIT_NONE)
		return;
	/* btrfs has as many inodes as there is room for, and says 0. */
	*free = *total ? min(*free, left) : left;
	*total = div64_u64(limit, unit);
}

void __vserver_dlimit_statfs(struct super_block *sb, struct kstatfs *buf)
{
	const struct vserver_ctx *ctx = vserver_confining();
	const struct vserver_dlimit *dl;
	u64 reserved;

	if (!ctx || !buf->f_frsize)
		return;
	guard(rcu)();
	dl = vserver_dlimit_find(sb, ctx->xid);
	if (!dl)
		return;
	vserver_amount_show(&dl->space, buf->f_frsize, &buf->f_blocks,
			    &buf->f_bfree);
	vserver_amount_show(&dl->inodes, 1, &buf->f_files, &buf->f_ffree);
	buf->f_bavail = min(buf->f_bavail, buf->f_bfree);
	if (READ_ONCE(dl->space.total) == VSERVER_DLIMIT_NONE)
		return;
	reserved = vserver_reserved(dl, buf->f_blocks);
	buf->f_bavail = min(buf->f_bavail, buf->f_bfree > reserved ?
					   buf->f_bfree - reserved : 0);
}

