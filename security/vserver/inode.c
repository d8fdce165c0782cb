// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: unified files
 *
 * A unified file is a regular file with the file system's own immutable flag
 * and, in the extended attribute security.vserver, the flag iunlink. On any
 * kernel and without the module it is merely immutable. With the module,
 * whoever may modify it gets a private copy under that name first.
 *
 * This file changes the attribute and the flag together and decides what is
 * unified.
 */

#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/fileattr.h>	/* wants fs.h before it */
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/vserver_cow.h>
#include <linux/xattr.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

static bool vserver_has_fsflags(const struct inode *inode)
{
	return inode->i_op->fileattr_get && inode->i_op->fileattr_set;
}

/* What can be set on this inode, in terms of set_iattr. */
u32 vserver_iattr_mask(struct inode *inode)
{
	u32 mask = 0;

	/* Who may write to the kernel's own tmpfs, as by memfd, is not counted. */
	if (!vserver_fs_supported(inode->i_sb->s_type) ||
	    inode->i_sb->s_flags & SB_NOUSER ||
	    !vserver_inode(inode) || !(inode->i_opflags & IOP_XATTR))
		return 0;
	if (vserver_has_fsflags(inode) && S_ISREG(inode->i_mode))
		mask = IATTR_IUNLINK | IATTR_IMMUTABLE;
	else if (vserver_has_fsflags(inode) && S_ISDIR(inode->i_mode))
		mask = IATTR_BARRIER | IATTR_IMMUTABLE;
	if (vserver_sb(inode->i_sb)->tag)
		mask |= IATTR_TAG;
	return mask;
}

/**
 * vserver_learn - have the attribute in the blob, if there can be one
 * @inode:	an inode with a blob, of any file system
 * @nowait:	the caller may not sleep
 *
 * Apart from the tests of what is known, which are many.
 *
 * Return: 0, -ECHILD if that takes sleeping, or the error of reading it.
 */
noinline int vserver_learn(struct inode *inode, bool nowait)
{
	struct vserver_xattr x;

	if (!vserver_iattr_mask(inode)) {
		vserver_know_nothing(inode);
		return 0;
	}
	return nowait ? -ECHILD : vserver_xattr_read(inode, &x);
}

/**
 * vserver_is_unified - does this immutable inode carry the flag iunlink?
 * @inode:	an immutable inode
 * @nowait:	the caller may not sleep
 *
 * Return: 1 if it does, 0 if not, -ECHILD if that can't be found out now, or
 * the error of reading its attribute.
 */
int vserver_is_unified(struct inode *inode, bool nowait)
{
	struct vserver_inode *vi = vserver_inode(inode);
	u64 state;
	int error;

	/* One that is append-only, too, was made so where we are not known. */
	if (!S_ISREG(inode->i_mode) || !IS_IMMUTABLE(inode) ||
	    IS_APPEND(inode) || !vi)
		return 0;
	error = vserver_known(inode, vi, nowait, &state);
	if (error)
		return error;
	return !!(state & VSERVER_XATTR_IUNLINK);
}

/* One whose attribute can't be read counts as not unified: it stays immutable. */
bool __vserver_unified(struct inode *inode)
{
	return vserver_is_unified(inode, false) > 0;
}
EXPORT_SYMBOL_GPL(__vserver_unified);

/* For those who break the link: __vserver_break_link() will say what is wrong. */
bool __vserver_maybe_unified(struct inode *inode, bool nowait)
{
	return vserver_is_unified(inode, nowait) != 0;
}

/**
 * vserver_is_barrier - does this directory carry the flag barrier?
 * @dir:	a directory
 * @nowait:	the caller may not sleep
 *
 * Return: 1 if it does, 0 if not, -ECHILD if that can't be found out now, or
 * the error of reading its attribute.
 */
int vserver_is_barrier(struct inode *dir, bool nowait)
{
	struct vserver_inode *vi = vserver_inode(dir);
	u64 state;
	int error;

	if (!vi)
		return 0;
	error = vserver_known(dir, vi, nowait, &state);
	if (error)
		return error;
	return !!(state & VSERVER_XATTR_BARRIER);
}

/*
 * Inode flags, project id and hints of a unified file belong to all its names;
 * to un-unify it is the system call's part. An iunlink left behind by a kernel
 * without us, or by a crash, must not turn a file that the administrator makes
 * immutable into a unified one. The inode is locked.
 */
int vserver_inode_file_setattr(struct dentry *dentry, struct file_kattr *fa)
{
	struct inode *inode = d_backing_inode(dentry);
	struct vserver_xattr x;
	int error;

	error = vserver_tag_permission(inode, false);
	if (error)
		return error;
	if (vserver_unified(inode))
		return -EPERM;
	/*
	 * As any kernel does it: without the module the tools take the flag off
	 * and put it back, and the file is to stay what it was.
	 */
	if (!static_branch_unlikely(&vserver_module_key))
		return 0;
	if (IS_IMMUTABLE(inode) || !(fa->flags & FS_IMMUTABLE_FL) ||
	    !S_ISREG(inode->i_mode) || !vserver_iattr_mask(inode))
		return 0;
	error = vserver_xattr_read(inode, &x);
	if (error || !(x.flags & VSERVER_XATTR_IUNLINK))
		return error;
	x.flags &= ~VSERVER_XATTR_IUNLINK;
	return vserver_xattr_write(dentry, &x);
}

/*
 * Change the file system's own flags as vfs_fileattr_set() would, but without
 * asking anybody: keep what is not in @mask. The inode is locked.
 */
int vserver_change_fsflags(struct mnt_idmap *idmap, struct dentry *dentry,
			   u32 mask, u32 flags)
{
	struct inode *inode = d_backing_inode(dentry);
	struct file_kattr old = {}, fa = {};
	int error;

	error = inode->i_op->fileattr_get(dentry, &old);
	if (error)
		return error;
	flags = (old.flags & ~mask) | (flags & mask);
	if (flags == old.flags)
		return 0;
	fileattr_fill_flags(&fa, flags);
	fa.fsx_xflags |= old.fsx_xflags & ~FS_XFLAG_COMMON;
	fa.fsx_extsize = old.fsx_extsize;
	fa.fsx_nextents = old.fsx_nextents;
	fa.fsx_projid = old.fsx_projid;
	fa.fsx_cowextsize = old.fsx_cowextsize;
	return inode->i_op->fileattr_set(idmap, dentry, &fa);
}

/*
 * The attribute could not be removed, so the flag that is gone comes back:
 * unless somebody has opened the file for writing meanwhile, who found an
 * ordinary one and may keep it. The inode is locked.
 */
static void vserver_make_immutable_again(const struct path *path)
{
	struct inode *inode = d_backing_inode(path->dentry);

	if (S_ISREG(inode->i_mode) && vserver_deny_write(inode))
		return;
	vserver_change_fsflags(mnt_idmap(path->mnt), path->dentry,
			       FS_IMMUTABLE_FL, FS_IMMUTABLE_FL);
	if (S_ISREG(inode->i_mode))
		vserver_allow_write(inode);
}

/*
 * The attribute without the flag means nothing, so it is there first and goes
 * last. A crash in between leaves an ordinary file: on the way in that is what
 * it was, on the way out what was asked for. The other order would leave an
 * immutable one that nobody inside a context could replace or remove.
 */
int vserver_change_iattr(const struct path *path, struct vserver_xattr *old,
			 struct vserver_xattr *new, bool immutable)
{
	struct inode *inode = d_backing_inode(path->dentry);
	u32 fsflags = immutable ? FS_IMMUTABLE_FL : 0;
	bool was_immutable = IS_IMMUTABLE(inode);
	int error;

	if (immutable || !vserver_has_fsflags(inode)) {
		error = vserver_xattr_write(path->dentry, new);
		if (error || was_immutable == immutable)
			return error;
	}
	error = vserver_change_fsflags(mnt_idmap(path->mnt), path->dentry,
				       FS_IMMUTABLE_FL, fsflags);
	if (error && immutable) {
		vserver_xattr_write(path->dentry, old);
	} else if (!error && !immutable) {
		error = vserver_xattr_write(path->dentry, new);
		if (error && was_immutable)
			vserver_make_immutable_again(path);
	}
	return error;
}

static u8 vserver_iattr_to_xattr(u32 flags)
{
	return (flags & IATTR_IUNLINK ? VSERVER_XATTR_IUNLINK : 0) |
	       (flags & IATTR_BARRIER ? VSERVER_XATTR_BARRIER : 0);
}

u32 vserver_xattr_to_iattr(const struct inode *inode, u8 flags)
{
	return (IS_IMMUTABLE(inode) ? IATTR_IMMUTABLE : 0) |
	       (flags & VSERVER_XATTR_IUNLINK ? IATTR_IUNLINK : 0) |
	       (flags & VSERVER_XATTR_BARRIER ? IATTR_BARRIER : 0);
}

/* Would it be unified with these attributes? Then it is nobody's. */
static bool vserver_makes_unified(const struct inode *inode, u32 iattr)
{
	return S_ISREG(inode->i_mode) && iattr & IATTR_IUNLINK &&
	       iattr & IATTR_IMMUTABLE;
}

/* vserver_iattr_get() of a file that is none of /proc. */
int vserver_inode_iattr_get(struct inode *inode, u32 *xid, u32 *flags,
			    u32 *mask)
{
	struct vserver_xattr x = {};
	int error;

	*mask = vserver_iattr_mask(inode);
	if (*mask) {
		error = vserver_xattr_read(inode, &x);
		if (error)
			return error;
	}
	*xid = 0;
	*flags = vserver_xattr_to_iattr(inode, x.flags);
	if (!(*mask & IATTR_TAG))
		return 0;
	if (vserver_confining() || vserver_makes_unified(inode, *flags)) {
		*mask &= ~IATTR_TAG;
		return 0;
	}
	return vserver_inode_tag(inode, false, xid);
}

/* vserver_iattr_set() of a file that is none of /proc. */
int vserver_inode_iattr_set(const struct path *path, u32 xid, u32 flags,
			    u32 mask)
{
	struct inode *inode = d_backing_inode(path->dentry);
	u32 can = vserver_iattr_mask(inode);
	struct vserver_xattr x, want;
	bool freeze = false;
	u32 old, new;
	int error;

	if (!can)
		return -EOPNOTSUPP;
	if ((flags | IATTR_TAG) & mask & ~can ||
	    (mask & IATTR_TAG && !vserver_tag_valid(xid)))
		return -EINVAL;

	/*
	 * A break under way copies a file that stands still: were it made an
	 * ordinary one meanwhile, a torn copy would replace the name.
	 */
	if (S_ISREG(inode->i_mode)) {
		error = vserver_breaking_begin(inode, true);
		if (error)
			return error;
	}
	error = mnt_want_write(path->mnt);
	if (error)
		goto out_breaking;
	/* The bulk of it outside the lock. */
	if (S_ISREG(inode->i_mode) && (flags & mask & IATTR_IMMUTABLE))
		error = filemap_write_and_wait(inode->i_mapping);
	if (error)
		goto out_write;

	inode_lock(inode);
	error = vserver_xattr_read(inode, &x);
	if (error)
		goto out_unlock;
	old = vserver_xattr_to_iattr(inode, x.flags);
	new = (old & ~(mask & can)) | (flags & mask & ~IATTR_TAG);
	want = x;
	want.flags = vserver_iattr_to_xattr(new);
	if (mask & IATTR_TAG)
		want.xid = cpu_to_le32(xid);
	if (vserver_makes_unified(inode, new)) {
		error = -EINVAL;
		if (mask & IATTR_TAG && xid)
			goto out_unlock;
		want.xid = 0;
	}
	error = 0;
	if (new == old && want.xid == x.xid)
		goto out_unlock;
	error = -EPERM;
	if (new & IATTR_IUNLINK &&
	    (IS_APPEND(inode) || IS_NOQUOTA(inode) || IS_VERITY(inode)))
		goto out_unlock;
	/* Other immutable files are what they are by chattr(1). */
	if (vserver_makes_unified(inode, old) && !(new & IATTR_IMMUTABLE) &&
	    vserver_stays_readonly(inode)) {
		error = -EBUSY;
		goto out_unlock;
	}
	if (S_ISREG(inode->i_mode) && new & IATTR_IMMUTABLE) {
		error = vserver_deny_write(inode);
		if (error)
			goto out_unlock;
		freeze = true;
	}
	error = vserver_change_iattr(path, &x, &want, new & IATTR_IMMUTABLE);
	if (freeze)
		vserver_allow_write(inode);
out_unlock:
	inode_unlock(inode);
out_write:
	mnt_drop_write(path->mnt);
out_breaking:
	if (S_ISREG(inode->i_mode))
		vserver_breaking_end(inode, true);
	return error;
}

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "inode_test.c"
#endif
