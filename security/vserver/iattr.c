// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: attributes, of files and of entries of /proc */

#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/path.h>
#include <linux/vserver_proc.h>

#include "internal.h"

/**
 * vserver_iattr_get - read a file's attributes
 * @dentry:	the file
 * @xid:	the context it belongs to, 0 if none; those inside don't learn it
 * @flags:	IATTR_*
 * @mask:	the IATTR_* that can be set on it; none where nobody keeps them
 *
 * May sleep.
 *
 * Return: 0 or a negative errno.
 */
int vserver_iattr_get(struct dentry *dentry, u32 *xid, u32 *flags, u32 *mask)
{
	struct inode *inode = d_backing_inode(dentry);

	*mask = vserver_proc_iattr_mask(inode);
	if (!*mask)
		return vserver_inode_iattr_get(inode, xid, flags, mask);
	*xid = 0;
	*flags = vserver_proc_iattr(inode);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_iattr_get);

/**
 * vserver_iattr_set - change a file's attributes
 * @path:	the file
 * @xid:	the context that it is to belong to, with %IATTR_TAG in @mask
 * @flags:	the new IATTR_*
 * @mask:	which of them to change
 *
 * After success with IUNLINK and IMMUTABLE the content stands still: compare
 * after, link last. May sleep; the caller holds no locks and no write access.
 *
 * Return: 0; -EPERM without CAP_LINUX_IMMUTABLE; -EOPNOTSUPP if the file system
 * or the kind of file can't have attributes, -EINVAL if it can't have these;
 * -ETXTBSY if the file is open for writing, mapped so, or pages of it are
 * pinned; -EBUSY if it is a unified file whose inode can't be written to without
 * the flag either, only a copy can; -ERESTARTSYS if a fatal signal came while
 * somebody broke a link to the file.
 */
int vserver_iattr_set(const struct path *path, u32 xid, u32 flags, u32 mask)
{
	struct inode *inode = d_backing_inode(path->dentry);
	u32 can = vserver_proc_iattr_mask(inode);

	if (!capable(CAP_LINUX_IMMUTABLE))
		return -EPERM;
	if (!can)
		return vserver_inode_iattr_set(path, xid, flags, mask);
	if (flags & mask & ~can)
		return -EINVAL;
	vserver_proc_set_iattr(inode, flags, mask);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_iattr_set);
