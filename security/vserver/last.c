// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: the last name of a unified file
 *
 * It needs no copy: the inode becomes an ordinary one in place.
 */

#define pr_fmt(fmt) "vserver: " fmt

#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/vserver_cow.h>

#include "internal.h"

/*
 * Whoever holds the inode by O_PATH or in a path walk does so by the dentry of
 * some name, also of one that is gone.
 */
static bool vserver_only_alias(struct inode *inode, struct dentry *dentry)
{
	guard(spinlock)(&inode->i_lock);
	return hlist_is_singular_node(&dentry->d_alias, &inode->i_dentry);
}

struct vserver_readers {
	const struct inode *inode;
	const struct file *files[8];
	int n;
};

/* For iterate_fd(): is this one more file that is open for reading? */
static int vserver_count_reader(const void *data, struct file *file,
				unsigned int fd)
{
	struct vserver_readers *readers = (void *)data;

	if (file_inode(file) != readers->inode ||
	    (file->f_mode & (FMODE_READ | FMODE_WRITE)) != FMODE_READ)
		return 0;
	for (int i = 0; i < readers->n; i++)
		if (readers->files[i] == file)
			return 0;
	if (readers->n == ARRAY_SIZE(readers->files))
		return 1;
	readers->files[readers->n++] = file;
	return 0;
}

/* How often the caller itself has the inode open for reading, if not many times. */
static int vserver_own_readers(const struct inode *inode)
{
	struct vserver_readers readers = { .inode = inode };

	iterate_fd(current->files, 0, vserver_count_reader, &readers);
	return readers.n;
}

/*
 * Can nobody but the caller, who has it open for reading @readers times, see
 * what becomes of the inode? Another guest may still read or map a file whose
 * name it has removed, have its pages in a pipe, or hold it by an O_PATH
 * descriptor that it could open for writing then. Nor may the name have gone to
 * another file, which is the one that the caller wants; of an inode without
 * names any of them may have been his, and so are those of his descriptors that
 * are left. The inode is locked, which keeps vfs_link() out.
 */
static bool vserver_is_last(const struct path *path, int readers)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct vserver_inode *vi = vserver_inode(inode);

	if (!inode->i_nlink)
		readers = vserver_own_readers(inode);
	if (inode->i_nlink > 1 || atomic_read(&inode->i_readcount) > readers)
		return false;
	if (inode->i_nlink ? d_unlinked(path->dentry) :
			     READ_ONCE(vi->state) & VSERVER_STATE_REPLACED)
		return false;
	return vserver_only_alias(inode, path->dentry) &&
	       !vserver_stays_readonly(inode) &&
	       !vserver_is_used(inode->i_mapping);
}

/**
 * vserver_may_clear_last - would vserver_clear_last() make the file an ordinary
 * one?
 * @path:	the file, which is unified
 *
 * As far as can be said before, for a caller who does not have it open unless it
 * has no name. May sleep.
 */
bool vserver_may_clear_last(const struct path *path)
{
	guard(rwsem_read)(&d_backing_inode(path->dentry)->i_rwsem);
	return vserver_is_last(path, 0);
}
EXPORT_SYMBOL_GPL(vserver_may_clear_last);

/**
 * vserver_clear_last - make the last name of a unified file an ordinary one
 * @path:	the file, on a mount with write access
 * @readers:	how often the caller itself has it open for reading; of a file without
 *		names that is found out
 *
 * In place, if nobody else can see the inode. May sleep.
 *
 * Return: 0 if the file is not unified any more, -EMLINK if a copy is needed,
 * or another negative errno.
 */
int vserver_clear_last(const struct path *path, int readers)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct vserver_xattr x, want;
	s64 held;
	int error;

	guard(rwsem_write)(&inode->i_rwsem);
	if (!__vserver_unified(inode))
		return 0;
	if (!vserver_is_last(path, readers))
		return -EMLINK;
	error = vserver_xattr_read(inode, &x);
	if (error)
		return error;
	want = x;
	want.flags &= ~VSERVER_XATTR_IUNLINK;
	if (vserver_sb(inode->i_sb)->tag)
		want.xid = cpu_to_le32(vserver_current_tag());
	error = vserver_dlimit_hold(path, le32_to_cpu(want.xid), &held);
	if (error)
		return error;
	error = vserver_change_iattr(path, &x, &want, false);
	vserver_dlimit_drop(inode, le32_to_cpu(want.xid), held);
	/* Without the flag it is private and ordinary, whatever is left of it. */
	if (error && !IS_IMMUTABLE(inode)) {
		pr_warn_once("attribute of a private file not removed: %d\n",
			     error);
		error = 0;
	}
	return error;
}
EXPORT_SYMBOL_GPL(vserver_clear_last);
