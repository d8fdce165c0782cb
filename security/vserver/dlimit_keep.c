// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what is counted for disk limits survives a mount
 *
 * It is in memory alone as long as a file system can be written to. When that
 * ends, by an unmount or because it becomes read-only, it is written to an
 * attribute of the root directory, when all that was removed is freed. The next
 * mount takes it from there. Before anything can change the attribute goes, and
 * that is on the disk: some file systems bring back what fsync(2) has written on
 * top of an older state of the rest. So after a crash there is none, and what is
 * there was true when this kernel wrote to the file system last.
 */

#define pr_fmt(fmt) "vserver: " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/quota.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uuid.h>
#include <linux/xattr.h>

#include "dlimit.h"

#define VSERVER_KEPT_VERSION	1

/* As often what is written may change what is counted before we give up. */
#define VSERVER_KEPT_TRIES	4

/**
 * struct vserver_kept_limit - as struct vserver_dlimit, little endian
 * @xid:	the context's id
 * @reserved:	in percent
 * @space:	bytes used, and at most
 * @inodes:	inodes used, and at most
 */
struct vserver_kept_limit {
	__le32 xid;
	__le32 reserved;
	__le64 space[2];
	__le64 inodes[2];
};

/**
 * struct vserver_kept - the attribute
 * @version:	%VSERVER_KEPT_VERSION
 * @zero:	0
 * @untagged:	to which context files without a tag belonged
 * @count:	how many limits there are
 * @uuid:	of the file system: in a copy of its files it means nothing
 * @limits:	by xid
 */
struct vserver_kept {
	u8 version;
	u8 zero[7];
	__le32 untagged;
	__le32 count;
	u8 uuid[UUID_SIZE];
	struct vserver_kept_limit limits[];
};

static_assert(sizeof(struct vserver_kept) == 32);
static_assert(sizeof(struct vserver_kept_limit) == 40);

static size_t vserver_kept_size(const struct vserver_kept *kept)
{
	return struct_size(kept, limits, le32_to_cpu(kept->count));
}

static bool vserver_kept_amount_valid(const __le64 amount[2])
{
	u64 used = le64_to_cpu(amount[0]);
	u64 total = le64_to_cpu(amount[1]);

	return used <= S64_MAX >> 1 &&
	       (total <= S64_MAX >> 1 || total == VSERVER_DLIMIT_NONE);
}

static bool vserver_kept_limit_valid(const struct vserver_kept_limit *limit)
{
	return le32_to_cpu(limit->reserved) <= 100 &&
	       vserver_kept_amount_valid(limit->space) &&
	       vserver_kept_amount_valid(limit->inodes);
}

/* Whether this kernel has written it, as far as that can be said. */
static bool vserver_kept_valid(const struct vserver_kept *kept, ssize_t len)
{
	u32 last = 0;

	if (len < (ssize_t)sizeof(*kept) ||
	    kept->version != VSERVER_KEPT_VERSION ||
	    memchr_inv(kept->zero, 0, sizeof(kept->zero)) ||
	    len != vserver_kept_size(kept))
		return false;
	for (u32 i = 0; i < le32_to_cpu(kept->count); i++) {
		u32 xid = le32_to_cpu(kept->limits[i].xid);

		if (xid <= last || !vserver_tag_valid(xid) ||
		    !vserver_kept_limit_valid(&kept->limits[i]))
			return false;
		last = xid;
	}
	return true;
}

static void vserver_kept_from(__le64 to[2], const struct vserver_amount *amount)
{
	to[0] = cpu_to_le64(atomic64_read(&amount->used));
	to[1] = cpu_to_le64(READ_ONCE(amount->total));
}

static void vserver_kept_to(struct vserver_amount *amount, const __le64 from[2])
{
	atomic64_set(&amount->used, le64_to_cpu(from[0]));
	amount->total = le64_to_cpu(from[1]);
}

/*
 * At most @most of those that are known: not what nobody has counted yet, nor
 * what can't be, less than nothing.
 */
static void vserver_kept_fill(struct vserver_kept *kept,
			      const struct super_block *sb, u32 most)
{
	struct vserver_sb *vs = vserver_sb(sb);
	const struct vserver_dlimit *dl;
	unsigned long xid;
	u32 n = 0;

	kept->version = VSERVER_KEPT_VERSION;
	kept->untagged = cpu_to_le32(vs->tag & ~VSERVER_TAGGED);
	export_uuid(kept->uuid, &sb->s_uuid);
	guard(rcu)();
	xa_for_each(&vs->dlimits, xid, dl) {
		struct vserver_kept_limit *limit = &kept->limits[n];

		if (n == most)
			break;
		if (!(READ_ONCE(dl->flags) & CDLIM_COUNTED))
			continue;
		limit->xid = cpu_to_le32(xid);
		limit->reserved = cpu_to_le32(READ_ONCE(dl->reserved));
		vserver_kept_from(limit->space, &dl->space);
		vserver_kept_from(limit->inodes, &dl->inodes);
		n += vserver_kept_limit_valid(limit);
	}
	kept->count = cpu_to_le32(n);
}

/* The attribute may take space itself, which somebody is charged for. */
static bool vserver_kept_is_true(const struct vserver_kept *kept,
				 const struct super_block *sb)
{
	const struct vserver_kept_limit *limit = kept->limits;
	const struct vserver_dlimit *dl;

	guard(rcu)();
	for (u32 i = 0; i < le32_to_cpu(kept->count); i++, limit++) {
		dl = vserver_dlimit_find(sb, le32_to_cpu(limit->xid));
		if (!dl || le64_to_cpu(limit->space[0]) !=
			   atomic64_read(&dl->space.used) ||
		    le64_to_cpu(limit->inodes[0]) !=
		    atomic64_read(&dl->inodes.used))
			return false;
	}
	return true;
}

static int vserver_kept_write(const struct vserver_kept *kept,
			      struct inode *root)
{
	int error;

	/* There is no dentry any more; these file systems need none. */
	inode_lock(root);
	error = __vfs_setxattr(&nop_mnt_idmap, NULL, root, VSERVER_KEPT_NAME,
			       kept, vserver_kept_size(kept), 0);
	inode_unlock(root);
	return error;
}

/*
 * How many to try with. What is too large for a block ext4 may have in an inode
 * of its own, and that it would put with a transaction open: when the file
 * system goes this writes the inode out, which no transaction may wait for.
 */
static u32 vserver_kept_most(const struct super_block *sb)
{
	size_t size = XATTR_SIZE_MAX;

	if (sb->s_magic == EXT4_SUPER_MAGIC)
		size = sb->s_blocksize * 3 / 4;
	size = min_t(size_t, size, XATTR_SIZE_MAX);
	return (size - sizeof(struct vserver_kept)) /
	       sizeof(struct vserver_kept_limit);
}

/* Of as many contexts as the file system takes in an attribute. */
static int vserver_kept_try(struct vserver_kept *kept, struct inode *root)
{
	u32 most = vserver_kept_most(root->i_sb);
	int tries = VSERVER_KEPT_TRIES;
	int error;

	do {
		vserver_kept_fill(kept, root->i_sb, most);
		error = vserver_kept_write(kept, root);
		if (error == -ENOSPC || error == -E2BIG || error == -ERANGE)
			most = le32_to_cpu(kept->count) / 2;
		else if (error || vserver_kept_is_true(kept, root->i_sb))
			return error;
		else if (!--tries)
			return -EBUSY;
	} while (most);
	return error;
}

/*
 * s_umount is held. What was removed is still about to be freed on some file
 * systems, which sync_fs() waits for where anything is counted.
 */
static int vserver_dlimit_write(struct super_block *sb, struct inode *root)
{
	struct vserver_kept *kept;
	int error = 0;

	if (sb->s_op->sync_fs)
		error = sb->s_op->sync_fs(sb, 1);
	error = error ?: sync_blockdev(sb->s_bdev);
	if (error)
		return error;
	kept = kvzalloc(XATTR_SIZE_MAX, GFP_KERNEL);
	if (!kept)
		return -ENOMEM;
	error = vserver_kept_try(kept, root);
	if (error) {
		/* What was written before was not true, or is an old one. */
		kept->count = 0;
		vserver_kept_write(kept, root);
	}
	kvfree(kept);
	return error;
}

static void vserver_dlimit_keep(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);
	int error;

	if (!vs->root || sb_rdonly(sb) ||
	    (xa_empty(&vs->dlimits) && !vs->kept))
		return;
	WRITE_ONCE(vs->kept, true);
	error = vserver_dlimit_write(sb, vs->root);
	if (error)
		pr_notice("%s: can't write down what contexts have of it, error %d: it will have to be counted again\n",
			  sb->s_id, error);
}

/*
 * s_umount is held, with which f2fs does not get at its quota in a checkpoint
 * unless it took that itself: then it would call the quota damaged. So that is
 * written out before.
 */
static int vserver_dlimit_sync(struct super_block *sb)
{
	const struct quotactl_ops *ops = sb->s_qcop;
	int error = 0;

	if (sb->s_magic == F2FS_SUPER_MAGIC && ops && ops->quota_sync)
		error = ops->quota_sync(sb, -1);
	return error ?: sync_filesystem(sb);
}

/* What is written down is not true much longer. s_umount is held. */
static void vserver_dlimit_unkeep(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);
	struct inode *root = d_backing_inode(sb->s_root);
	int error;

	if (!vs->root)
		pr_notice("%s: writable without tags: what contexts have of it will have to be counted again\n",
			  sb->s_id);
	inode_lock(root);
	error = __vfs_removexattr(&nop_mnt_idmap, sb->s_root,
				  VSERVER_KEPT_NAME);
	inode_unlock(root);
	if (!error || error == -ENODATA)
		error = vserver_dlimit_sync(sb);
	if (error)
		pr_warn("%s: can't take back what contexts had of it, error %d: after a crash it has to be checked\n",
			sb->s_id, error);
	else
		WRITE_ONCE(vs->kept, false);
}

static int vserver_dlimit_restore_one(struct super_block *sb,
				      const struct vserver_kept_limit *limit)
{
	struct vserver_dlimit *dl = kzalloc_obj(*dl);
	int error;

	if (!dl)
		return -ENOMEM;
	vserver_kept_to(&dl->space, limit->space);
	vserver_kept_to(&dl->inodes, limit->inodes);
	dl->reserved = le32_to_cpu(limit->reserved);
	dl->flags = CDLIM_COUNTED | CDLIM_KEPT;
	dl->xid = le32_to_cpu(limit->xid);
	dl->sb = sb;
	error = vserver_dlimit_insert(dl);
	if (error)
		kfree(dl);
	return error;
}

/* It was written when the file system was mounted as it is now. */
static bool vserver_kept_fits(const struct vserver_kept *kept,
			      const struct super_block *sb)
{
	uuid_t uuid;

	import_uuid(&uuid, kept->uuid);
	return uuid_equal(&uuid, &sb->s_uuid) &&
	       le32_to_cpu(kept->untagged) ==
	       (vserver_sb(sb)->tag & ~VSERVER_TAGGED);
}

static void vserver_dlimit_restore(struct super_block *sb,
				   const struct vserver_kept *kept, ssize_t len)
{
	if (!vserver_kept_valid(kept, len)) {
		pr_notice("%s: what was written down of disk limits is not valid, and not used\n",
			  sb->s_id);
		return;
	}
	if (!vserver_kept_fits(kept, sb))
		return;
	/* Whose is missing is counted again. */
	for (u32 i = 0; i < le32_to_cpu(kept->count); i++)
		if (vserver_dlimit_restore_one(sb, &kept->limits[i]))
			return;
}

/* Also of a file system that has no tags now it has to be known. */
static void vserver_dlimit_find_kept(struct super_block *sb)
{
	struct inode *root = d_backing_inode(sb->s_root);
	struct vserver_sb *vs = vserver_sb(sb);
	struct vserver_kept *kept;
	ssize_t len;

	if (!(root->i_opflags & IOP_XATTR))
		return;
	len = __vfs_getxattr(NULL, root, VSERVER_KEPT_NAME, NULL, 0);
	if (len == -ENODATA || len == -EOPNOTSUPP)
		return;
	/* Or that can't be said: then it must not be found after a crash. */
	WRITE_ONCE(vs->kept, true);
	/* For whoever makes it writable, and to charge for what goes with it. */
	static_branch_enable(&vserver_dlimit_key);
	if (!vs->root || !vserver_dlimit_supported(sb))
		return;
	kept = kvzalloc(XATTR_SIZE_MAX, GFP_KERNEL);
	if (!kept)
		return;
	len = __vfs_getxattr(NULL, root, VSERVER_KEPT_NAME, kept,
			     XATTR_SIZE_MAX);
	if (len < 0)
		pr_notice("%s: can't read what was written down of disk limits, error %zd\n",
			  sb->s_id, len);
	else
		vserver_dlimit_restore(sb, kept, len);
	kvfree(kept);
}

/**
 * vserver_dlimit_mounted - a file system was mounted
 * @sb:		the file system, with s_umount held, and its tags if it has any; not in
 *		use yet if it was not mounted before. May sleep.
 */
void vserver_dlimit_mounted(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);
	u32 tag;

	if (!(sb->s_type->fs_flags & FS_REQUIRES_DEV))
		return;
	if (!(sb->s_flags & SB_BORN)) {
		if (vs->tag) {
			vs->root = d_backing_inode(sb->s_root);
			ihold(vs->root);
			/* It came before tags did. Else it is nobody's. */
			vserver_inode_tag(vs->root, false, &tag);
		}
		vserver_dlimit_find_kept(sb);
	}
	/* btrfs becomes writable by a second mount, too. */
	if (vs->kept && !sb_rdonly(sb))
		vserver_dlimit_unkeep(sb);
}

/*
 * sb_delete: nobody uses the file system any more, and all inodes are gone that
 * it does not hold itself. It can still be written to. s_umount is held.
 */
void vserver_sb_delete(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);
	struct inode *root = vs->root;

	if (!root)
		return;
	vserver_dlimit_keep(sb);
	vs->root = NULL;
	iput(root);
}

void __vserver_dlimit_rest(struct super_block *sb)
{
	vserver_sb(sb)->resting = true;
	/* That one gives up first what it has in store for files. */
	if (sb->s_magic == XFS_SUPER_MAGIC || !vserver_sb(sb)->root)
		return;
	if (!vserver_dlimit_sync(sb))
		vserver_dlimit_keep(sb);
}

void __vserver_dlimit_rested(struct super_block *sb)
{
	/* Not if it becomes read-only in an emergency. */
	if (vserver_sb(sb)->resting)
		vserver_dlimit_keep(sb);
}
EXPORT_SYMBOL_GPL(__vserver_dlimit_rested);

void __vserver_dlimit_remounted(struct super_block *sb)
{
	struct vserver_sb *vs = vserver_sb(sb);

	vs->resting = false;
	if (vs->kept && !sb_rdonly(sb))
		vserver_dlimit_unkeep(sb);
}

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "dlimit_keep_test.c"
#endif
