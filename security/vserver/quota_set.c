// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: quotas in a context are begun, set and read
 *
 * The host says when to count, and what there is already, as only it sees all of
 * that. It can read and set the rest, too, to keep it over a mount.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/vserver.h>

#include "dlimit.h"

/* As the other file systems have it. */
#define VSERVER_QUOTA_GRACE	(7 * 24 * 60 * 60)

/* Of each type. Limits cost memory, whether or not somebody has anything. */
#define VSERVER_QUOTA_LIMITED	65536

/* How many change without a pause. */
#define VSERVER_QUOTA_CHUNK	256

static struct vserver_quota *vserver_quota_new(void)
{
	struct vserver_quota *quota = kzalloc_obj(*quota);
	int type, i;

	if (!quota)
		return NULL;
	refcount_set(&quota->refs, 1);
	spin_lock_init(&quota->lock);
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		xa_init_flags(&quota->ids[type], XA_FLAGS_ACCOUNT);
		for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
			quota->grace[type][i] = VSERVER_QUOTA_GRACE;
	}
	return quota;
}

static void vserver_quota_free(struct work_struct *work)
{
	struct vserver_quota *quota = container_of(to_rcu_work(work),
						   struct vserver_quota, free);
	struct vserver_quota_id *dq;
	unsigned long id;
	int type;

	for (type = 0; type < VSERVER_QUOTAS; type++) {
		xa_for_each(&quota->ids[type], id, dq) {
			kfree(dq);
			cond_resched();
		}
		xa_destroy(&quota->ids[type]);
	}
	kfree(quota);
}

/* Does not sleep. NULL is nothing. Who found it under RCU may still use it. */
void vserver_quota_put(struct vserver_quota *quota)
{
	if (!quota || !refcount_dec_and_test(&quota->refs))
		return;
	INIT_RCU_WORK(&quota->free, vserver_quota_free);
	queue_rcu_work(system_dfl_wq, &quota->free);
}

/* That of a context, if it is counted. Under RCU. */
struct vserver_quota *vserver_quota_find(const struct super_block *sb, u32 xid)
{
	const struct vserver_dlimit *dl = vserver_dlimit_find(sb, xid);

	return dl ? rcu_dereference(dl->quota) : NULL;
}

/* The same, for vserver_quota_put(). */
struct vserver_quota *vserver_quota_get_ref(const struct super_block *sb,
					    u32 xid)
{
	struct vserver_quota *quota;

	guard(rcu)();
	quota = vserver_quota_find(sb, xid);
	return quota && refcount_inc_not_zero(&quota->refs) ? quota : NULL;
}

/**
 * vserver_quota_begin - count what users and groups in a context have
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * From nothing, and without limits. May sleep.
 *
 * Return: 0; -ESRCH if what the context has is not counted; -EEXIST if that is
 * done already; -ENOMEM.
 */
int vserver_quota_begin(const struct path *path, u32 xid)
{
	struct vserver_quota *quota __free(vserver_quota_put) =
		vserver_quota_new();
	struct vserver_dlimit *dl;

	if (!quota)
		return -ENOMEM;
	guard(spinlock)(&vserver_dlimit_lock);
	dl = vserver_dlimit_listed(path, xid);
	if (!dl)
		return -ESRCH;
	if (rcu_access_pointer(dl->quota))
		return -EEXIST;
	rcu_assign_pointer(dl->quota, no_free_ptr(quota));
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_quota_begin);

/**
 * vserver_quota_end - forget what users and groups in a context have, and may
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * Return: 0, or -ESRCH if that is not counted.
 */
int vserver_quota_end(const struct path *path, u32 xid)
{
	struct vserver_quota *quota;
	struct vserver_dlimit *dl;

	guard(spinlock)(&vserver_dlimit_lock);
	dl = vserver_dlimit_listed(path, xid);
	if (!dl)
		return -ESRCH;
	quota = rcu_replace_pointer(dl->quota, NULL,
				    lockdep_is_held(&vserver_dlimit_lock));
	vserver_quota_put(quota);
	return quota ? 0 : -ESRCH;
}
EXPORT_SYMBOL_GPL(vserver_quota_end);

static bool vserver_quota_limited(const struct vserver_quota_id *dq)
{
	int i;

	for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
		if (dq->items[i].soft || dq->items[i].hard)
			return true;
	return false;
}

static void vserver_quota_set_item(struct vserver_quota_item *item,
				   const struct vserver_quota_amount *to,
				   unsigned int grace, bool enforced)
{
	if (to->used != CDLIM64_KEEP)
		item->used = to->used;
	if (to->soft != CDLIM64_KEEP)
		item->soft = to->soft;
	if (to->hard != CDLIM64_KEEP)
		item->hard = to->hard;
	if (!vserver_quota_above(item))
		item->until = 0;
	else if (to->until != CDLIM64_KEEP)
		item->until = to->until;
	else if (enforced && !item->until)
		item->until = ktime_get_real_seconds() + grace;
}

/* With the quota's lock; @new is used if there is none, and has a place. */
static int vserver_quota_set_one(struct vserver_quota *quota, int type, u32 id,
				 struct vserver_quota_id **new,
				 const struct vserver_quota_amount *to)
{
	struct vserver_quota_id *dq = xa_load(&quota->ids[type], id);
	struct vserver_quota_id was;
	int i;

	if (!dq) {
		if (xa_err(xa_store(&quota->ids[type], id, *new, GFP_NOWAIT)))
			return -ENOMEM;
		dq = no_free_ptr(*new);
	}
	was = *dq;
	for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
		vserver_quota_set_item(&dq->items[i], &to[i],
				       quota->grace[type][i],
				       quota->enforced[type]);
	if (!vserver_quota_limited(&was) && vserver_quota_limited(dq) &&
	    quota->limited[type] >= VSERVER_QUOTA_LIMITED) {
		*dq = was;
		vserver_quota_forget(quota, type, id, dq);
		return -ENOSPC;
	}
	quota->limited[type] += vserver_quota_limited(dq) -
				vserver_quota_limited(&was);
	vserver_quota_forget(quota, type, id, dq);
	return 0;
}

/**
 * vserver_quota_set_id - set what a user or a group has, and may have
 * @quota:	of the context, with a reference
 * @type:	USRQUOTA or GRPQUOTA
 * @id:		who, in the initial user namespace
 * @to:		what of it, by item
 *
 * Allocates before it takes the lock, as whoever asks may ask for much. Sleeps.
 *
 * Return: 0; -ENOMEM; -ENOSPC if too many have limits.
 */
int vserver_quota_set_id(struct vserver_quota *quota, int type, u32 id,
			 const struct vserver_quota_amount to[VSERVER_QUOTA_ITEMS])
{
	struct vserver_quota_id *new __free(kfree) =
		kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	int error;

	if (!new)
		return -ENOMEM;
	error = xa_reserve(&quota->ids[type], id, GFP_KERNEL_ACCOUNT);
	if (error)
		return error;
	scoped_guard(spinlock, &quota->lock)
		error = vserver_quota_set_one(quota, type, id, &new, to);
	/* Nothing if it was used. */
	xa_release(&quota->ids[type], id);
	return error;
}

/* A part of them. Returns from where to go on, or 0. */
static unsigned long
vserver_quota_set_some(struct vserver_quota *quota, int type,
		       unsigned long from,
		       const struct vserver_quota_amount to[VSERVER_QUOTA_ITEMS])
{
	int i, left = VSERVER_QUOTA_CHUNK;
	struct vserver_quota_id *dq;
	unsigned long id;

	guard(spinlock)(&quota->lock);
	xa_for_each_start(&quota->ids[type], id, dq, from) {
		if (!left--)
			return id;
		/* The time above a soft limit is for who says what each has. */
		for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
			if (to[i].used != CDLIM64_KEEP)
				dq->items[i].used = to[i].used;
		vserver_quota_forget(quota, type, id, dq);
	}
	return 0;
}

static int vserver_quota_set_all(struct vserver_quota *quota, int type,
				 const struct vserver_quota_amount *to)
{
	unsigned long from = 0;
	int i;

	for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
		if (to[i].soft != CDLIM64_KEEP || to[i].hard != CDLIM64_KEEP ||
		    to[i].until != CDLIM64_KEEP)
			return -EINVAL;
	do {
		from = vserver_quota_set_some(quota, type, from, to);
		cond_resched();
	} while (from);
	return 0;
}

static bool vserver_quota_number(u64 value)
{
	return value == CDLIM64_KEEP || value <= S64_MAX / 2;
}

/* Can they be added up? */
bool vserver_quota_valid(const struct vserver_quota_amount *to)
{
	return vserver_quota_number(to->used) &&
	       vserver_quota_number(to->soft) && vserver_quota_number(to->hard);
}

/**
 * vserver_quota_set - change what a user or a group in a context has, and may
 * @path:	a file of the file system
 * @xid:	the context's id
 * @state:	who and what; each number may be %CDLIM64_KEEP, and is but for what is
 *		used if it is all of them. The time above a soft limit is what is said,
 *		if there is one; else it goes on, or begins if limits hold.
 *
 * May sleep.
 *
 * Return: 0; -ESRCH if that is not counted; -EINVAL; -ENOSPC if too many have
 * limits; -ENOMEM.
 */
int vserver_quota_set(const struct path *path, u32 xid,
		      const struct vserver_quota_state *state)
{
	const struct vserver_quota_amount to[VSERVER_QUOTA_ITEMS] = {
		[VSERVER_QUOTA_SPACE] = state->space,
		[VSERVER_QUOTA_INODES] = state->inodes,
	};
	struct vserver_quota *quota __free(vserver_quota_put) = NULL;

	if (state->type >= VSERVER_QUOTAS ||
	    !vserver_quota_valid(&state->space) ||
	    !vserver_quota_number(state->space.until) ||
	    !vserver_quota_valid(&state->inodes) ||
	    !vserver_quota_number(state->inodes.until))
		return -EINVAL;
	quota = vserver_quota_get_ref(path->dentry->d_sb, xid);
	if (!quota)
		return -ESRCH;
	if (state->id == (u32)-1)
		return vserver_quota_set_all(quota, state->type, to);
	return vserver_quota_set_id(quota, state->type, state->id, to);
}
EXPORT_SYMBOL_GPL(vserver_quota_set);

/* What there is to say of somebody; with the quota's lock. */
void vserver_quota_look(const struct vserver_quota_item *item,
			struct vserver_quota_amount *amount)
{
	amount->used = max(item->used, 0);
	amount->soft = item->soft;
	amount->hard = item->hard;
	amount->until = vserver_quota_above(item) ? item->until : 0;
}

/**
 * vserver_quota_get - who comes next of those who have something, or a limit
 * @path:	a file of the file system
 * @xid:	the context's id
 * @state:	of which type and from which id on; the answer
 *
 * Return: 0; -ENOENT if there is nobody; -ESRCH if it is not counted; -EINVAL.
 */
int vserver_quota_get(const struct path *path, u32 xid,
		      struct vserver_quota_state *state)
{
	struct vserver_quota *quota __free(vserver_quota_put) = NULL;
	const struct vserver_quota_id *dq;
	unsigned long id = state->id;

	if (state->type >= VSERVER_QUOTAS)
		return -EINVAL;
	quota = vserver_quota_get_ref(path->dentry->d_sb, xid);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	dq = xa_find(&quota->ids[state->type], &id, U32_MAX, XA_PRESENT);
	if (!dq)
		return -ENOENT;
	state->id = id;
	vserver_quota_look(&dq->items[VSERVER_QUOTA_SPACE], &state->space);
	vserver_quota_look(&dq->items[VSERVER_QUOTA_INODES], &state->inodes);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_quota_get);

/**
 * vserver_quota_set_info - change what holds for all users, or groups
 * @path:	a file of the file system
 * @xid:	the context's id
 * @info:	of which type, and what; each number may be %CDLIM_KEEP
 *
 * Return: 0; -ESRCH if that is not counted; -EINVAL.
 */
int vserver_quota_set_info(const struct path *path, u32 xid,
			   const struct vserver_quota_info *info)
{
	struct vserver_quota *quota __free(vserver_quota_put) = NULL;
	const u32 type = info->type;

	if (type >= VSERVER_QUOTAS ||
	    (info->flags != CDLIM_KEEP &&
	     info->flags & ~(CQUOTA_ENFORCED | CQUOTA_COUNTED)))
		return -EINVAL;
	quota = vserver_quota_get_ref(path->dentry->d_sb, xid);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	if (info->flags != CDLIM_KEEP) {
		quota->enforced[type] = info->flags & CQUOTA_ENFORCED;
		quota->counted[type] = info->flags & CQUOTA_COUNTED;
	}
	if (info->space_grace != CDLIM_KEEP)
		quota->grace[type][VSERVER_QUOTA_SPACE] = info->space_grace;
	if (info->inodes_grace != CDLIM_KEEP)
		quota->grace[type][VSERVER_QUOTA_INODES] = info->inodes_grace;
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_quota_set_info);

/**
 * vserver_quota_get_info - what holds for all users, or groups
 * @path:	a file of the file system
 * @xid:	the context's id
 * @info:	of which type; the answer
 *
 * Return: 0; -ESRCH if that is not counted; -EINVAL.
 */
int vserver_quota_get_info(const struct path *path, u32 xid,
			   struct vserver_quota_info *info)
{
	struct vserver_quota *quota __free(vserver_quota_put) = NULL;
	const u32 type = info->type;

	if (type >= VSERVER_QUOTAS)
		return -EINVAL;
	quota = vserver_quota_get_ref(path->dentry->d_sb, xid);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	info->flags = (quota->enforced[type] ? CQUOTA_ENFORCED : 0) |
		      (quota->counted[type] ? CQUOTA_COUNTED : 0);
	info->space_grace = quota->grace[type][VSERVER_QUOTA_SPACE];
	info->inodes_grace = quota->grace[type][VSERVER_QUOTA_INODES];
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_quota_get_info);
