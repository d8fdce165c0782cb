// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: disk limits are added, changed, and shown */

#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/math.h>
#include <linux/path.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "dlimit.h"

static LIST_HEAD(vserver_dlimits);
DEFINE_SPINLOCK(vserver_dlimit_lock);

/* Where what is charged is all that there is. */
bool vserver_dlimit_supported(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
		return IS_ENABLED(CONFIG_QUOTA);
	case TMPFS_MAGIC:
		return IS_ENABLED(CONFIG_TMPFS_QUOTA);
	case BTRFS_SUPER_MAGIC:
		return IS_ENABLED(CONFIG_BTRFS_FS);
	case XFS_SUPER_MAGIC:
		return IS_ENABLED(CONFIG_XFS_QUOTA);
	default:
		return false;
	}
}

/**
 * vserver_dlimit_insert - from now on it is there
 * @dl:		a limit, with its numbers. May sleep.
 *
 * Return: 0; -EBUSY if the context has one already; -ENOMEM. Then it is the
 * caller's still.
 */
int vserver_dlimit_insert(struct vserver_dlimit *dl)
{
	int error;

	static_branch_enable(&vserver_dlimit_key);
	error = xa_insert(&vserver_sb(dl->sb)->dlimits, dl->xid, dl,
			  GFP_KERNEL);
	if (error)
		return error;
	guard(spinlock)(&vserver_dlimit_lock);
	list_add_tail(&dl->list, &vserver_dlimits);
	return 0;
}

/**
 * vserver_dlimit_add - begin to count what a context has of a file system
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * From nothing, and without a limit: what it has already is for the caller to
 * say. May sleep.
 *
 * Return: 0; -EEXIST if that is done already; -EOPNOTSUPP if the file system
 * keeps no tags or can't count; -ENOMEM.
 */
int vserver_dlimit_add(const struct path *path, u32 xid)
{
	struct super_block *sb = path->dentry->d_sb;
	struct vserver_dlimit *dl;
	int error;

	if (!vserver_sb(sb)->tag || !vserver_dlimit_supported(sb))
		return -EOPNOTSUPP;
	dl = kzalloc_obj(*dl);
	if (!dl)
		return -ENOMEM;
	dl->space.total = VSERVER_DLIMIT_NONE;
	dl->inodes.total = VSERVER_DLIMIT_NONE;
	dl->xid = xid;
	dl->sb = sb;
	error = vserver_dlimit_insert(dl);
	if (error)
		kfree(dl);
	return error == -EBUSY ? -EEXIST : error;
}
EXPORT_SYMBOL_GPL(vserver_dlimit_add);

/* With vserver_dlimit_lock: who adds one has not linked it yet, then it is not there. */
struct vserver_dlimit *vserver_dlimit_listed(const struct path *path, u32 xid)
{
	struct vserver_sb *vs = vserver_sb(path->dentry->d_sb);
	struct vserver_dlimit *dl = xa_load(&vs->dlimits, xid);

	return dl && dl->list.next ? dl : NULL;
}

/* The same, and nobody finds it any more but under RCU. */
static void vserver_dlimit_forget(struct vserver_dlimit *dl)
{
	struct vserver_quota *quota;

	quota = rcu_replace_pointer(dl->quota, NULL,
				    lockdep_is_held(&vserver_dlimit_lock));
	vserver_quota_put(quota);
	list_del(&dl->list);
	kfree_rcu(dl, rcu);
}

/**
 * vserver_dlimit_remove - forget a limit
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * Return: 0, or -ESRCH if there is none.
 */
int vserver_dlimit_remove(const struct path *path, u32 xid)
{
	struct vserver_sb *vs = vserver_sb(path->dentry->d_sb);
	struct vserver_dlimit *dl;

	guard(spinlock)(&vserver_dlimit_lock);
	dl = vserver_dlimit_listed(path, xid);
	if (!dl)
		return -ESRCH;
	xa_erase(&vs->dlimits, xid);
	vserver_dlimit_forget(dl);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_dlimit_remove);

/*
 * sb_free_security: nobody uses the superblock any more. It has no blob if that
 * could not be had.
 */
void vserver_dlimit_free(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);
	struct vserver_dlimit *dl;
	unsigned long xid;

	if (!sb->s_security || xa_empty(&vs->dlimits))
		return;
	guard(spinlock)(&vserver_dlimit_lock);
	xa_for_each(&vs->dlimits, xid, dl)
		vserver_dlimit_forget(dl);
	xa_destroy(&vs->dlimits);
}

static u64 vserver_amount_total(const struct vserver_amount *amount, int shift)
{
	s64 total = READ_ONCE(amount->total);

	return total == VSERVER_DLIMIT_NONE ? CDLIM64_INFINITY : total >> shift;
}

static void vserver_dlimit_look(const struct vserver_dlimit *dl,
				struct vserver_dlimit_state *state)
{
	state->space_used = DIV_ROUND_UP(vserver_amount_used(&dl->space), 1024);
	state->space_total = vserver_amount_total(&dl->space, 10);
	state->inodes_used = vserver_amount_used(&dl->inodes);
	state->inodes_total = vserver_amount_total(&dl->inodes, 0);
	state->reserved = READ_ONCE(dl->reserved);
	state->flags = READ_ONCE(dl->flags);
}

/**
 * vserver_dlimit_get - read a limit
 * @path:	a file of the file system
 * @xid:	the context's id
 * @state:	the answer
 *
 * Return: 0, or -ESRCH if there is none.
 */
int vserver_dlimit_get(const struct path *path, u32 xid,
		       struct vserver_dlimit_state *state)
{
	const struct vserver_dlimit *dl;

	guard(rcu)();
	dl = vserver_dlimit_find(path->dentry->d_sb, xid);
	if (!dl)
		return -ESRCH;
	vserver_dlimit_look(dl, state);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_dlimit_get);

static void vserver_amount_set(struct vserver_amount *amount, u64 used,
			       u64 total, int shift)
{
	if (used != CDLIM64_KEEP)
		atomic64_set(&amount->used, used << shift);
	if (total == CDLIM64_INFINITY)
		WRITE_ONCE(amount->total, VSERVER_DLIMIT_NONE);
	else if (total != CDLIM64_KEEP)
		WRITE_ONCE(amount->total, total << shift);
}

/* Is there such a number of bytes? */
static bool vserver_amount_valid(u64 value)
{
	return value == CDLIM64_KEEP || value <= S64_MAX >> 11;
}

/**
 * vserver_dlimit_set - change a limit, and what is said to be used
 * @path:	a file of the file system
 * @xid:	the context's id
 * @state:	each may be %CDLIM64_KEEP, the totals %CDLIM64_INFINITY
 *
 * It takes effect with the next allocation; what is used already beyond it
 * stays.
 *
 * Return: 0; -ESRCH if there is none; -EINVAL.
 */
int vserver_dlimit_set(const struct path *path, u32 xid,
		       const struct vserver_dlimit_state *state)
{
	struct vserver_dlimit *dl;

	if (!vserver_amount_valid(state->space_used) ||
	    !vserver_amount_valid(state->inodes_used) ||
	    (state->space_total != CDLIM64_INFINITY &&
	     !vserver_amount_valid(state->space_total)) ||
	    (state->inodes_total != CDLIM64_INFINITY &&
	     !vserver_amount_valid(state->inodes_total)) ||
	    (state->reserved != CDLIM64_KEEP && state->reserved > 100))
		return -EINVAL;
	guard(rcu)();
	dl = vserver_dlimit_find(path->dentry->d_sb, xid);
	if (!dl)
		return -ESRCH;
	vserver_amount_set(&dl->space, state->space_used, state->space_total,
			   10);
	vserver_amount_set(&dl->inodes, state->inodes_used, state->inodes_total,
			   0);
	if (state->reserved != CDLIM64_KEEP)
		WRITE_ONCE(dl->reserved, state->reserved);
	if (state->space_used != CDLIM64_KEEP &&
	    state->inodes_used != CDLIM64_KEEP)
		WRITE_ONCE(dl->flags, CDLIM_COUNTED);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_dlimit_set);

/**
 * vserver_dlimit_show - list the limits of a context, a line for a file system
 * @m:		where to
 * @xid:	the context's id
 */
void vserver_dlimit_show(struct seq_file *m, u32 xid)
{
	struct vserver_dlimit_state state;
	const struct vserver_dlimit *dl;

	guard(spinlock)(&vserver_dlimit_lock);
	list_for_each_entry(dl, &vserver_dlimits, list) {
		if (dl->xid != xid)
			continue;
		vserver_dlimit_look(dl, &state);
		seq_printf(m, "%u:%u\t%llu\t%lld\t%llu\t%lld\t%llu\n",
			   MAJOR(dl->sb->s_dev), MINOR(dl->sb->s_dev),
			   state.space_used, state.space_total,
			   state.inodes_used, state.inodes_total,
			   state.reserved);
	}
}
EXPORT_SYMBOL_GPL(vserver_dlimit_show);
