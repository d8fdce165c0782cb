/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what the files of disk limits share */
#ifndef _SECURITY_VSERVER_DLIMIT_H
#define _SECURITY_VSERVER_DLIMIT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/vserver_dlimit.h>
#include <linux/xarray.h>

#include "internal.h"
#include "quota.h"

#define VSERVER_DLIMIT_NONE	S64_MAX

/**
 * struct vserver_amount - something that is limited
 * @used:	how much of it; below zero if more was freed than was said to be
 *		there before the limit was. Changed without a lock.
 * @total:	the most, or %VSERVER_DLIMIT_NONE; read and written without a lock
 */
struct vserver_amount {
	atomic64_t used;
	s64 total;
};

/**
 * struct vserver_dlimit - what a context may have of a file system
 * @space:	bytes
 * @inodes:	inodes
 * @reserved:	percent of both that are root's alone
 * @flags:	%CDLIM_COUNTED if what is used is not only what came since the limit
 *		was added, %CDLIM_KEPT if it was so before the mount. Read and written
 *		without a lock.
 * @xid:	the context's id, constant; it may not exist
 * @sb:		the file system, constant. It frees the limit when it goes.
 * @quota:	what its users and groups have, if that is counted; written under
 *		vserver_dlimit_lock
 * @list:	all limits, under vserver_dlimit_lock
 * @rcu:	frees it
 */
struct vserver_dlimit {
	struct vserver_amount space;
	struct vserver_amount inodes;
	u32 reserved;
	u32 flags;
	u32 xid;
	struct super_block *sb;
	struct vserver_quota __rcu *quota;
	struct list_head list;
	struct rcu_head rcu;
};

static inline u64 vserver_amount_used(const struct vserver_amount *amount)
{
	return max(atomic64_read(&amount->used), 0);
}

/* Under RCU. */
static inline struct vserver_dlimit *
vserver_dlimit_find(const struct super_block *sb, u32 xid)
{
	struct vserver_sb *vs = vserver_sb(sb);

	return vs->tag && xid ? xa_load(&vs->dlimits, xid) : NULL;
}

/* dlimit.c: under RCU */
struct vserver_dlimit *vserver_dlimit_of(struct inode *inode);
s64 vserver_inode_bytes(struct inode *inode);
int vserver_amount_take(const struct vserver_dlimit *dl,
			struct vserver_amount *amount, s64 n);
void vserver_owners_add(const struct vserver_dlimit *dl,
			struct vserver_owners owners, s64 bytes, s64 inodes);
int vserver_owners_fit(const struct vserver_dlimit *dl,
		       struct vserver_owners owners, s64 bytes, s64 inodes);
int vserver_owners_take(const struct vserver_dlimit *dl,
			struct vserver_owners owners, s64 bytes, s64 inodes);
void vserver_owners_move(const struct vserver_dlimit *dl,
			 struct vserver_owners from, struct vserver_owners to,
			 s64 bytes, s64 inodes);
int vserver_dlimit_note(const struct super_block *sb, int error);
int vserver_dlimit_take(struct vserver_dlimit *dl, s64 bytes);
void vserver_dlimit_give(struct vserver_dlimit *dl, s64 bytes);

/* dlimit.c: for a file system that charges by itself */
void vserver_space_add(const struct super_block *sb, u32 xid, s64 bytes);
void vserver_inode_owners_add(struct inode *inode, u32 xid, s64 bytes);

/* dlimit_set.c */
extern spinlock_t vserver_dlimit_lock;
struct vserver_dlimit *vserver_dlimit_listed(const struct path *path, u32 xid);
bool vserver_dlimit_supported(const struct super_block *sb);
int vserver_dlimit_insert(struct vserver_dlimit *dl);

/* dlimit_btrfs.c */
s64 vserver_btrfs_bytes(struct inode *inode);

#endif /* _SECURITY_VSERVER_DLIMIT_H */
