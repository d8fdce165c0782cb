// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what path lookup does with unified files
 *
 * To open one for writing, to link one, and the file that becomes a copy. All
 * of it may sleep.
 */

#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/security.h>
#include <linux/vserver_cow.h>
#include <uapi/linux/vserver.h>

#include "../../fs/internal.h"
#include "../../fs/mount.h"
#include "internal.h"

/* Security modules may not refuse the open when it is too late. */
static int vserver_ask_before_open(const struct path *path, struct file *file,
				   int open_flag)
{
	int error;

	file->__f_path = *path;
	file->f_inode = d_backing_inode(path->dentry);
	error = security_file_open(file);
	if (!error && (open_flag & O_TRUNC))
		error = security_file_truncate(file);
	if (!error && (open_flag & O_TRUNC))
		error = vserver_ask_before_cut(path, 0,
					       ATTR_MTIME | ATTR_CTIME | ATTR_OPEN,
					       file);
	file->__f_path = (struct path){};
	file->f_inode = NULL;
	return error;
}

/**
 * vserver_open - make the file private that is opened for writing
 * @path:	the file, a unified one; its reference is exchanged as by
 *		__vserver_break_link()
 * @file:	what it is opened as, for security modules to be asked
 * @acc_mode:	MAY_*, as for may_open()
 * @open_flag:	O_*
 * @lookup_flags: LOOKUP_*, those that the open began with
 * @do_truncate: set if it is to be truncated, with write access to the file
 *		system held: as of what is cut off nothing was copied, that has
 *		begun, and no remount may come between
 *
 * Return: 0 or the errno of the open.
 */
int vserver_open(struct path *path, struct file *file, int acc_mode,
		 int open_flag, unsigned int lookup_flags, bool *do_truncate)
{
	struct vfsmount *mnt = path->mnt;
	loff_t keep = VSERVER_KEEP_ALL;
	int error;

	if (lookup_flags & LOOKUP_CACHED)
		return -EAGAIN;
	error = may_open(mnt_idmap(mnt), path, acc_mode | MAY_COW, open_flag);
	if (!error)
		error = vserver_ask_before_open(path, file, open_flag);
	if (error)
		return error;
	/* As generic_file_open() says when it is too late. */
	if (!(open_flag & O_LARGEFILE) &&
	    i_size_read(d_backing_inode(path->dentry)) > MAX_NON_LFS)
		return -EOVERFLOW;

	if ((open_flag & O_TRUNC) && vserver_may_cut(path))
		keep = 0;
	error = mnt_get_write_access(mnt);
	if (error)
		return error;
	error = __vserver_break_link(path, keep);
	if (!error && (open_flag & O_TRUNC)) {
		error = mnt_want_write(mnt);
		*do_truncate = !error;
	}
	mnt_put_write_access(mnt);
	return error;
}

int __vserver_link(struct path *path)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int error;

	if (vserver_current_xid() <= VX_XID_WATCH)
		return 0;
	error = may_linkat(idmap, path);
	if (error)
		return error;
	/* Without protected_hardlinks anybody may link, but not copy. */
	if (!inode_owner_or_capable(idmap, inode) &&
	    !safe_hardlink_source(idmap, inode))
		return -EPERM;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

/*
 * The target's name stays, and yet who has no right to replace it must not lose
 * the one that he has.
 */
int __vserver_rename_same(const struct renamedata *rd)
{
	int error;

	if (rd->flags & RENAME_WHITEOUT)
		return -EINVAL;
	if (rd->flags)
		return 0;
	error = may_delete_dentry(rd->mnt_idmap, d_inode(rd->new_parent),
				  rd->new_dentry, false);
	if (error)
		return error;
	if (is_local_mountpoint(rd->new_dentry))
		return -EBUSY;
	return vfs_unlink(rd->mnt_idmap, d_inode(rd->old_parent),
			  rd->old_dentry, rd->delegated_inode);
}

/**
 * vserver_tmpfile_open - kernel_tmpfile_open() of which no watcher hears
 * @idmap:	that of the mount
 * @parentpath:	the directory
 * @mode:	the file's mode
 * @open_flag:	O_*
 * @cred:	with whose credentials it is opened
 *
 * From the open on: one that is asked for permission might itself wait for
 * what the file is made for.
 *
 * Return: the file, or an ERR_PTR().
 */
struct file *vserver_tmpfile_open(struct mnt_idmap *idmap,
				  const struct path *parentpath,
				  umode_t mode, int open_flag,
				  const struct cred *cred)
{
	struct file *file;
	int error;

	file = alloc_empty_file_noaccount(open_flag, cred);
	if (IS_ERR(file))
		return file;

	file_set_fsnotify_mode(file, FMODE_NONOTIFY);
	file->f_mode |= FMODE_NOCMTIME;	/* the caller sets the times */
	error = vfs_tmpfile(idmap, parentpath, file, mode);
	if (error) {
		fput(file);
		file = ERR_PTR(error);
	}
	return file;
}
