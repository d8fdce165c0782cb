/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what users and groups in a context have */
#ifndef _SECURITY_VSERVER_QUOTA_H
#define _SECURITY_VSERVER_QUOTA_H

#include <linux/cleanup.h>
#include <linux/quota.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct vserver_quota_amount;

/* USRQUOTA and GRPQUOTA; contexts have no projects. */
#define VSERVER_QUOTAS	2

/* What has a limit */
enum {
	VSERVER_QUOTA_SPACE,
	VSERVER_QUOTA_INODES,
	VSERVER_QUOTA_ITEMS,
};

/**
 * struct vserver_quota_item - how much somebody has of something
 * @used:	bytes or inodes; below zero if more was freed than was said to be
 *		there before it was counted
 * @soft:	more than that only for a time; 0 is no limit
 * @hard:	the most; 0 is no limit
 * @until:	when that time is over, in seconds since 1970; 0 if it has not begun.
 *		It says nothing if not above @soft.
 */
struct vserver_quota_item {
	s64 used;
	u64 soft;
	u64 hard;
	time64_t until;
};

/* A user, or a group, who has something or a limit. */
struct vserver_quota_id {
	struct vserver_quota_item items[VSERVER_QUOTA_ITEMS];
};

/**
 * struct vserver_quota - what the users and groups in a context have
 * @lock:	for all below but @refs; nests inside an inode's i_lock
 * @ids:	struct vserver_quota_id by type and by id of the initial user
 *		namespace: who has something, or a limit
 * @grace:	by type and item: for how many seconds one may be above a soft limit
 * @limited:	by type: how many have a limit
 * @enforced:	by type: limits hold; they are kept, and all is counted, if not
 * @counted:	by type: it was said what there was before it was counted
 * @refs:	one is the disk limit's; who changes much has one, too. Others use it
 *		under RCU.
 * @free:	frees it, as there may be much of it
 */
struct vserver_quota {
	spinlock_t lock;		/* for what is below */
	struct xarray ids[VSERVER_QUOTAS];
	unsigned int grace[VSERVER_QUOTAS][VSERVER_QUOTA_ITEMS];
	unsigned int limited[VSERVER_QUOTAS];
	bool enforced[VSERVER_QUOTAS];
	bool counted[VSERVER_QUOTAS];
	refcount_t refs;
	struct rcu_work free;
};

static inline bool vserver_quota_above(const struct vserver_quota_item *item)
{
	return item->soft && item->used > (s64)item->soft;
}

/* quota.c: all under RCU, and none sleeps */
void vserver_quota_forget(struct vserver_quota *quota, int type, u32 id,
			  struct vserver_quota_id *dq);
struct vserver_owners vserver_owners(struct inode *inode);
int vserver_quota_fits(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
int vserver_quota_take(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
void vserver_quota_add(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
void vserver_quota_move(struct vserver_quota *quota, struct vserver_owners from,
			struct vserver_owners to, s64 bytes, s64 inodes);
void vserver_quota_settle(struct inode *inode);

/* quota_set.c */
struct vserver_quota *vserver_quota_find(const struct super_block *sb, u32 xid);
void vserver_quota_put(struct vserver_quota *quota);
struct vserver_quota *vserver_quota_get_ref(const struct super_block *sb,
					    u32 xid);
int vserver_quota_set_id(struct vserver_quota *quota, int type, u32 id,
			 const struct vserver_quota_amount to[VSERVER_QUOTA_ITEMS]);
bool vserver_quota_valid(const struct vserver_quota_amount *to);
void vserver_quota_look(const struct vserver_quota_item *item,
			struct vserver_quota_amount *amount);

DEFINE_FREE(vserver_quota_put, struct vserver_quota *, vserver_quota_put(_T))

#endif /* _SECURITY_VSERVER_QUOTA_H */
