/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what users and groups in a context have */
#ifndef _SECURITY_VSERVER_QUOTA_H
#define _SECURITY_VSERVER_QUOTA_H

#include <linux/quota.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

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
 * @until:	when that time is over, in seconds since 1970; 0 if not above @soft
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
 * @lock:	for all below; nests inside an inode's i_lock
 * @ids:	struct vserver_quota_id by type and by id of the initial user
 *		namespace: who has something, or a limit
 * @grace:	by type and item: for how many seconds one may be above a soft limit
 * @enforced:	by type: limits hold; they are kept, and all is counted, if not
 * @gone:	nothing may be added to @ids any more
 * @rcu:	frees it
 */
struct vserver_quota {
	spinlock_t lock;		/* for all below */
	struct xarray ids[VSERVER_QUOTAS];
	unsigned int grace[VSERVER_QUOTAS][VSERVER_QUOTA_ITEMS];
	bool enforced[VSERVER_QUOTAS];
	bool gone;
	struct rcu_head rcu;
};

/* quota.c: all under RCU, and none sleeps */
struct vserver_quota_id *vserver_quota_id(struct vserver_quota *quota, int type,
					  u32 id);
void vserver_quota_put(struct vserver_quota *quota, int type, u32 id,
		       struct vserver_quota_id *dq);
struct vserver_owners vserver_owners(struct inode *inode);
int vserver_quota_fits(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
int vserver_quota_take(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
void vserver_quota_add(struct vserver_quota *quota,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
void vserver_quota_change(struct vserver_quota_item *item, s64 n,
			  unsigned int grace);

/* quota_set.c */
void vserver_quota_free(struct vserver_quota *quota);

#endif /* _SECURITY_VSERVER_QUOTA_H */
