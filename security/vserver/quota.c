// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: quotas of users and groups in a context
 *
 * Where a context is charged for an inode, so are its owner and its group, if
 * that was asked for. What exceeds a hard limit is refused where check and charge
 * are one step (see quota.rst for where they aren't), a soft one for a time.
 * Root inside, and the host, are charged and not refused.
 *
 * chown(2) changes the owner where we don't see it, while others may charge for
 * the inode. So as long as that lasts those who were charged before are kept in
 * the blob, and are charged; then all of it changes sides, also what the inode
 * got meanwhile.
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/magic.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>

#include "dlimit.h"

/*
 * Each of them has an inode, so that a context has no more of them than it has
 * inodes. They are its memory; but rather more of that than it may have, as
 * GFP_ATOMIC allows, than to lose count for good.
 */
#define VSERVER_QUOTA_GFP	(GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN)

/* With the quota's lock. Somebody may never have had anything. NULL: no memory. */
static struct vserver_quota_id *vserver_quota_id(struct vserver_quota *quota,
						 int type, u32 id)
{
	struct vserver_quota_id *dq = xa_load(&quota->ids[type], id);

	if (dq)
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
 * vserver_quota_forget - forget a user or group of whom there is nothing to tell
 * @quota:	the quota, with its lock held
 * @type:	USRQUOTA or GRPQUOTA
 * @id:		in the initial user namespace
 * @dq:		that one, who may have or be allowed something
 *
 * So there are no more of them than files, and limits. An inode can be given to
 * each id that there is.
 */
void vserver_quota_forget(struct vserver_quota *quota, int type, u32 id,
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

	/* The blob is gone before xfs frees what the inode has: it was settled. */
	if (inode_state_read_once(inode) & I_CLEAR &&
	    inode->i_sb->s_magic == XFS_SUPER_MAGIC)
		vi = NULL;
	if (vi && READ_ONCE(vi->state) & VSERVER_STATE_CHOWN)
		return vi->owners;
	return (struct vserver_owners){ inode->i_uid, inode->i_gid };
}

/*
 * The host, and root inside, but not root in a user namespace, who may be anybody.
 * A task of a context that breaks a link acts for the owner of the file, with the
 * host's credentials; a worker has nobody's.
 */
static bool vserver_quota_exempt(void)
{
	return (!vserver_task(current)->ctx &&
		!vserver_cred(current_cred())->ctx) ||
	       uid_eq(current_fsuid(), GLOBAL_ROOT_UID);
}

/* Somebody has more, or less, at this time. With the quota's lock. */
static void vserver_quota_change(struct vserver_quota_item *item, s64 n,
				 unsigned int grace, bool enforced,
				 time64_t now)
{
	/* Of no use where it was said that there is less. */
	if (!vserver_quota_above(item))
		item->until = 0;
	item->used += n;
	if (!vserver_quota_above(item))
		item->until = 0;
	else if (enforced && !item->until)
		item->until = now + grace;
}

static bool vserver_quota_item_fits(const struct vserver_quota_item *item,
				    s64 n, time64_t now)
{
	if (n <= 0)
		return true;
	if (item->hard && item->used > (s64)item->hard - n)
		return false;
	return !vserver_quota_above(item) || !item->until || now < item->until;
}

/* With the quota's lock. */
static bool vserver_quota_check(struct vserver_quota *quota,
				struct vserver_owners owners,
				const s64 n[VSERVER_QUOTA_ITEMS])
{
	const time64_t now = ktime_get_real_seconds();
	const struct vserver_quota_id *dq;
	int type, i;
	u32 id;

	for (type = 0; type < VSERVER_QUOTAS; type++) {
		if (!quota->enforced[type] ||
		    !vserver_owners_id(owners, type, &id))
			continue;
		dq = xa_load(&quota->ids[type], id);
		for (i = 0; dq && i < VSERVER_QUOTA_ITEMS; i++) {
			if (!vserver_quota_item_fits(&dq->items[i], n[i], now))
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
	const time64_t now = ktime_get_real_seconds();
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
					     quota->grace[type][i],
					     quota->enforced[type], now);
		vserver_quota_forget(quota, type, id, dq);
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

/**
 * vserver_quota_move - charge others for what somebody has been charged for
 * @quota:	of the context
 * @from:	whom no more
 * @to:		whom instead
 * @bytes:	space
 * @inodes:	inodes
 */
void vserver_quota_move(struct vserver_quota *quota, struct vserver_owners from,
			struct vserver_owners to, s64 bytes, s64 inodes)
{
	vserver_owners_differ(&from, &to);
	vserver_quota_add(quota, to, bytes, inodes);
	vserver_quota_add(quota, from, -bytes, -inodes);
}

/* The quota in which an inode counts, if there is one. Under RCU. */
static struct vserver_quota *vserver_quota_of(struct inode *inode)
{
	struct vserver_dlimit *dl = vserver_dlimit_of(inode);

	return dl ? rcu_dereference(dl->quota) : NULL;
}

/**
 * vserver_quota_settle - a change of the owner is over, or has failed
 * @inode:	the inode, with its i_lock held
 */
void vserver_quota_settle(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_quota *quota;
	struct vserver_owners from;

	if (!vi || !(READ_ONCE(vi->state) & VSERVER_STATE_CHOWN))
		return;
	from = vserver_owners(inode);
	vserver_clear_state(vi, VSERVER_STATE_CHOWN);
	guard(rcu)();
	quota = vserver_quota_of(inode);
	if (quota)
		vserver_quota_move(quota, from, vserver_owners(inode),
				   vserver_inode_bytes(inode), 1);
}

/*
 * From here on the inode is charged to those who have it now, until it is
 * settled. Returns -EDQUOT if who gets it has no room.
 */
static int vserver_quota_unsettle(struct mnt_idmap *idmap, struct inode *inode,
				  const struct iattr *attr)
{
	struct vserver_inode *vi = vserver_inode(inode);
	struct vserver_owners from, to;
	struct vserver_quota *quota;

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
	vserver_set_state(vi, VSERVER_STATE_CHOWN);
	vserver_owners_differ(&from, &to);
	return vserver_quota_fits(quota, to, vserver_inode_bytes(inode), 1);
}

/* Or the file system is going to say so: then nobody learns of others' limits. */
static bool vserver_may_chown(struct mnt_idmap *idmap, struct dentry *dentry,
			      const struct iattr *attr)
{
	struct iattr owners = *attr;

	owners.ia_valid &= ATTR_UID | ATTR_GID | ATTR_FORCE;
	return !setattr_prepare(idmap, dentry, &owners);
}

/**
 * vserver_quota_setattr - may an inode change its owner?
 * @idmap:	of the mount
 * @dentry:	of the inode, which is locked
 * @attr:	what is to change
 *
 * If the change fails later, those who had the inode are charged for it until
 * the next one, or until it is evicted. May sleep.
 *
 * Return: 0; -EDQUOT if who gets it has no room; or the error of finding out
 * whose it is.
 */
int vserver_quota_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  const struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int error;

	if (!(attr->ia_valid & (ATTR_UID | ATTR_GID)) || !vserver_inode(inode))
		return 0;
	error = __vserver_load_tag(inode);
	if (error)
		return error;
	error = vserver_quota_unsettle(idmap, inode, attr);
	if (!error || !vserver_may_chown(idmap, dentry, attr))
		return 0;
	guard(spinlock)(&inode->i_lock);
	vserver_quota_settle(inode);
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

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "quota_test.c"
#endif
