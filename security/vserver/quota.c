// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: quotas of users and groups in a context
 *
 * Where a context is charged for an inode, so are its owner and its group, if
 * that was asked for. A hard limit is never exceeded, a soft one for a time.
 * Root inside, and the host, are charged and not refused.
 *
 * chown(2) changes the owner where we don't see it, while others may charge for
 * the inode. So as long as that lasts those who were charged before are kept in
 * the blob, and are charged; then all of it changes sides.
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>

#include "dlimit.h"

/* Those inside say how many there are: it is their memory. */
#define VSERVER_QUOTA_GFP	(GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN)

/**
 * vserver_quota_id - find a user or group, who may never have had anything
 * @quota:	the quota, with its lock held
 * @type:	USRQUOTA or GRPQUOTA
 * @id:		in the initial user namespace
 *
 * Return: it, for vserver_quota_put(), or NULL without memory, or if the quota is
 * gone.
 */
struct vserver_quota_id *vserver_quota_id(struct vserver_quota *quota, int type,
					  u32 id)
{
	struct vserver_quota_id *dq;

	lockdep_assert_held(&quota->lock);
	dq = xa_load(&quota->ids[type], id);
	if (dq || quota->gone)
		return dq;
	dq = kzalloc_obj(*dq, VSERVER_QUOTA_GFP);
	if (dq && xa_err(xa_store(&quota->ids[type], id, dq,
				  VSERVER_QUOTA_GFP))) {
		kfree(dq);
		dq = NULL;
	}
	return dq;
}

/**
 * vserver_quota_put - forget a user or group of whom there is nothing to remember
 * @quota:	the quota, with its lock held
 * @type:	USRQUOTA or GRPQUOTA
 * @id:		in the initial user namespace
 * @dq:		what vserver_quota_id() found
 *
 * So there are no more of them than files, and limits. An inode can be given to
 * each id that there is.
 */
void vserver_quota_put(struct vserver_quota *quota, int type, u32 id,
		       struct vserver_quota_id *dq)
{
	int i;

	lockdep_assert_held(&quota->lock);
	for (i = 0; i < VSERVER_QUOTA_ITEMS; i++) {
		const struct vserver_quota_item *item = &dq->items[i];

		if (item->used || item->soft || item->hard)
			return;
	}
	xa_erase(&quota->ids[type], id);
	kfree(dq);
}

/* Of those who are charged. Returns whether there is a valid id. */
static bool vserver_owners_id(struct vserver_owners owners, int type, u32 *id)
{
	if (type == USRQUOTA) {
		*id = from_kuid(&init_user_ns, owners.uid);
		return uid_valid(owners.uid);
	}
	*id = from_kgid(&init_user_ns, owners.gid);
	return gid_valid(owners.gid);
}

/**
 * vserver_owners - who is charged for an inode
 * @inode:	the inode, with its i_lock held, or of which nothing changes
 */
struct vserver_owners vserver_owners(struct inode *inode)
{
	const struct vserver_inode *vi = vserver_inode(inode);

	/* The blob is gone before xfs frees what the inode has. */
	if (!(inode_state_read_once(inode) & I_CLEAR) && vi &&
	    READ_ONCE(vi->state) & VSERVER_STATE_CHOWN)
		return vi->owners;
	return (struct vserver_owners){ inode->i_uid, inode->i_gid };
}

/* Root in a user namespace may be anybody. */
static bool vserver_quota_exempt(void)
{
	return !vserver_cred(current_cred())->ctx ||
	       uid_eq(current_fsuid(), GLOBAL_ROOT_UID);
}

/**
 * vserver_quota_change - somebody has more, or less
 * @item:	of what, with the quota's lock held
 * @n:		how much; 0 if a limit has changed
 * @grace:	how long that may be above the soft limit
 */
void vserver_quota_change(struct vserver_quota_item *item, s64 n,
			  unsigned int grace)
{
	item->used += n;
	if (!item->soft || item->used <= (s64)item->soft)
		item->until = 0;
	else if (!item->until)
		item->until = ktime_get_real_seconds() + grace;
}

static bool vserver_quota_item_fits(const struct vserver_quota_item *item,
				    s64 n)
{
	if (n <= 0)
		return true;
	if (item->hard && item->used > (s64)item->hard - n)
		return false;
	return !item->soft || item->used <= (s64)item->soft - n ||
	       !item->until || ktime_get_real_seconds() < item->until;
}

/* With the quota's lock. */
static bool vserver_quota_check(struct vserver_quota *quota,
				struct vserver_owners owners,
				const s64 n[VSERVER_QUOTA_ITEMS])
{
	const struct vserver_quota_id *dq;
	int type, i;
	u32 id;

	for (type = 0; type < VSERVER_QUOTAS; type++) {
		if (!quota->enforced[type] ||
		    !vserver_owners_id(owners, type, &id))
			continue;
		dq = xa_load(&quota->ids[type], id);
		for (i = 0; dq && i < VSERVER_QUOTA_ITEMS; i++) {
			if (!vserver_quota_item_fits(&dq->items[i], n[i]))
				return false;
		}
	}
	return true;
}

/* With the quota's lock. Without memory an id counts when it is set again. */
static void vserver_quota_apply(struct vserver_quota *quota,
				struct vserver_owners owners,
				const s64 n[VSERVER_QUOTA_ITEMS])
{
	struct vserver_quota_id *dq;
	int type, i;
	u32 id;

	for (type = 0; type < VSERVER_QUOTAS; type++) {
		if (!vserver_owners_id(owners, type, &id))
			continue;
		dq = vserver_quota_id(quota, type, id);
		if (!dq)
			continue;
		for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
			vserver_quota_change(&dq->items[i], n[i],
					     quota->grace[type][i]);
		vserver_quota_put(quota, type, id, dq);
	}
}

/**
 * vserver_quota_fits - would more exceed the limits of an owner or a group?
 * @quota:	of the context
 * @owners:	whose
 * @bytes:	space
 * @inodes:	inodes
 *
 * Return: 0, or -EDQUOT.
 */
int vserver_quota_fits(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes)
{
	const s64 n[VSERVER_QUOTA_ITEMS] = { bytes, inodes };

	if (vserver_quota_exempt())
		return 0;
	guard(spinlock)(&quota->lock);
	return vserver_quota_check(quota, owners, n) ? 0 : -EDQUOT;
}

/**
 * vserver_quota_take - charge, if the limits allow it; in one step
 * @quota:	of the context
 * @owners:	whom
 * @bytes:	space
 * @inodes:	inodes
 *
 * Return: 0, or -EDQUOT.
 */
int vserver_quota_take(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes)
{
	const s64 n[VSERVER_QUOTA_ITEMS] = { bytes, inodes };
	bool exempt = vserver_quota_exempt();

	guard(spinlock)(&quota->lock);
	if (!exempt && !vserver_quota_check(quota, owners, n))
		return -EDQUOT;
	vserver_quota_apply(quota, owners, n);
	return 0;
}

/**
 * vserver_quota_add - charge what can't be refused any more, or give back
 * @quota:	of the context
 * @owners:	whom
 * @bytes:	space
 * @inodes:	inodes
 */
void vserver_quota_add(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes)
{
	const s64 n[VSERVER_QUOTA_ITEMS] = { bytes, inodes };

	if (!bytes && !inodes)
		return;
	guard(spinlock)(&quota->lock);
	vserver_quota_apply(quota, owners, n);
}

/* The quota in which an inode counts, if there is one. Under RCU. */
static struct vserver_quota *vserver_quota_of(struct inode *inode)
{
	struct vserver_dlimit *dl = vserver_dlimit_of(inode);

	return dl ? rcu_dereference(dl->quota) : NULL;
}

/* Those who differ: what does not change sides is not touched. */
static void vserver_owners_differ(struct vserver_owners *from,
				  struct vserver_owners *to)
{
	if (uid_eq(from->uid, to->uid)) {
		from->uid = INVALID_UID;
		to->uid = INVALID_UID;
	}
	if (gid_eq(from->gid, to->gid)) {
		from->gid = INVALID_GID;
		to->gid = INVALID_GID;
	}
}

/* A change of the owner is over, or has failed. With the inode's i_lock. */
static void vserver_quota_settle(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_owners from, to;
	struct vserver_quota *quota;
	s64 bytes;

	if (!vi || !(READ_ONCE(vi->state) & VSERVER_STATE_CHOWN))
		return;
	from = vserver_owners(inode);
	vserver_clear_state(vi, VSERVER_STATE_CHOWN);
	to = vserver_owners(inode);
	vserver_owners_differ(&from, &to);
	bytes = vserver_inode_bytes(inode);
	guard(rcu)();
	quota = vserver_quota_of(inode);
	if (!quota)
		return;
	vserver_quota_add(quota, from, -bytes, -1);
	vserver_quota_add(quota, to, bytes, 1);
}

/**
 * vserver_quota_setattr - may an inode change its owner?
 * @idmap:	of the mount
 * @inode:	the inode, which is locked
 * @attr:	what is to change
 *
 * From here on it is charged to those who have it now, until
 * vserver_quota_chown(), or if the change fails until the next one. May sleep.
 *
 * Return: 0; -EDQUOT if who gets it has no room; or the error of finding out
 * whose it is.
 */
int vserver_quota_setattr(struct mnt_idmap *idmap, struct inode *inode,
			  const struct iattr *attr)
{
	struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_owners from, to;
	struct vserver_quota *quota;
	int error;

	if (!(attr->ia_valid & (ATTR_UID | ATTR_GID)) || !vi)
		return 0;
	error = __vserver_load_tag(inode);
	if (error)
		return error;
	guard(rcu)();
	guard(spinlock)(&inode->i_lock);
	vserver_quota_settle(inode);
	quota = vserver_quota_of(inode);
	if (!quota)
		return 0;
	from = vserver_owners(inode);
	to = from;
	if (attr->ia_valid & ATTR_UID)
		to.uid = from_vfsuid(idmap, i_user_ns(inode), attr->ia_vfsuid);
	if (attr->ia_valid & ATTR_GID)
		to.gid = from_vfsgid(idmap, i_user_ns(inode), attr->ia_vfsgid);
	vi->owners = from;
	vserver_owners_differ(&from, &to);
	error = vserver_quota_fits(quota, to, vserver_inode_bytes(inode), 1);
	if (!error)
		vserver_set_state(vi, VSERVER_STATE_CHOWN);
	return error;
}

/* inode_post_setattr: the owner has changed. */
void vserver_inode_post_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				int ia_valid)
{
	struct inode *inode = d_inode(dentry);

	if (!(ia_valid & (ATTR_UID | ATTR_GID)) ||
	    !static_branch_unlikely(&vserver_dlimit_key))
		return;
	guard(spinlock)(&inode->i_lock);
	vserver_quota_settle(inode);
}
