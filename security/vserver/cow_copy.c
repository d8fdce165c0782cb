// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what a private copy has of the original beside
 * its content, where the module can't get at it
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/fileattr.h>	/* wants fs.h before it */
#include <linux/security.h>
#include <linux/string.h>
#include <linux/vserver_cow.h>

#include "internal.h"

/* What a directory may have handed down to a copy, or the file may have had. */
#define VSERVER_COPY_FSFLAGS	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL |  \
				 FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL | \
				 FS_NOCOMP_FL | FS_NOTAIL_FL | FS_NOCOW_FL | \
				 FS_DAX_FL | FS_CASEFOLD_FL)

/* xfs's hints of where to allocate, and how much at a time */
#define VSERVER_COPY_XFLAGS	(FS_XFLAG_REALTIME | FS_XFLAG_NODEFRAG | \
				 FS_XFLAG_FILESTREAM | FS_XFLAG_EXTSIZE | \
				 FS_XFLAG_COWEXTSIZE)

/* What @to has, but for what it is to have from @from. */
static void vserver_merge_fileattr(struct file_kattr *fa,
				   const struct file_kattr *from,
				   const struct file_kattr *to, bool project)
{
	fileattr_fill_flags(fa, (to->flags & ~VSERVER_COPY_FSFLAGS) |
				(from->flags & VSERVER_COPY_FSFLAGS));
	fa->fsx_valid = to->fsx_valid;
	fa->fsx_xflags |= to->fsx_xflags &
			  ~(FS_XFLAG_COMMON | VSERVER_COPY_XFLAGS);
	fa->fsx_xflags |= from->fsx_xflags & VSERVER_COPY_XFLAGS;
	fa->fsx_extsize = from->fsx_extsize;
	fa->fsx_cowextsize = from->fsx_cowextsize;
	fa->fsx_nextents = to->fsx_nextents;
	fa->fsx_projid = project ? from->fsx_projid : to->fsx_projid;
}

static bool vserver_same_fileattr(const struct file_kattr *a,
				  const struct file_kattr *b)
{
	return a->flags == b->flags && a->fsx_extsize == b->fsx_extsize &&
	       a->fsx_cowextsize == b->fsx_cowextsize &&
	       a->fsx_projid == b->fsx_projid &&
	       !((a->fsx_xflags ^ b->fsx_xflags) & VSERVER_COPY_XFLAGS);
}

/* A directory that hands down its project id takes no file of another one. */
static bool vserver_keeps_out(struct dentry *dir, u32 projid)
{
	struct inode *inode = d_backing_inode(dir);
	struct file_kattr fa = {};

	return inode->i_op->fileattr_get && !inode->i_op->fileattr_get(dir, &fa) &&
	       fa.fsx_xflags & FS_XFLAG_PROJINHERIT && fa.fsx_projid != projid;
}

/**
 * vserver_copy_fsflags - give a copy the inode flags of the original
 * @from:	the original
 * @to:		the copy
 * @project:	its project id too, even if it could not be linked into its
 *		directory then; otherwise only if it could, so that its content
 *		counts against that project's quota from the beginning
 *
 * May sleep. The caller has write access to the file system.
 *
 * Return: 0; 1 if the project ids differ and @project is false; or a negative
 * errno.
 */
int vserver_copy_fsflags(struct dentry *from, struct dentry *to, bool project)
{
	struct inode *original = d_backing_inode(from);
	struct inode *copy = d_backing_inode(to);
	struct file_kattr want = {}, have = {}, fa = {};
	int error;

	if (!original->i_op->fileattr_get)
		return 0;
	error = original->i_op->fileattr_get(from, &want);
	if (error)
		return error;
	if (!project) {
		struct dentry *dir = dget_parent(to);

		project = !vserver_keeps_out(dir, want.fsx_projid);
		dput(dir);
	}
	guard(rwsem_write)(&copy->i_rwsem);
	error = copy->i_op->fileattr_get(to, &have);
	if (error)
		return error;
	if ((want.flags ^ have.flags) & FS_JOURNAL_DATA_FL) {
		/* That is only for those who may have more than others. */
		scoped_with_kernel_creds()
			error = vserver_change_fsflags(&nop_mnt_idmap, to,
						       FS_JOURNAL_DATA_FL,
						       want.flags);
		if (error)
			return error;
		have.flags ^= FS_JOURNAL_DATA_FL;
	}
	vserver_merge_fileattr(&fa, &want, &have, project);
	if (!vserver_same_fileattr(&fa, &have))
		error = copy->i_op->fileattr_set(&nop_mnt_idmap, to, &fa);
	if (error)
		return error;
	return !project && want.fsx_projid != have.fsx_projid;
}
EXPORT_SYMBOL_GPL(vserver_copy_fsflags);

/**
 * vserver_copy_mode - give a copy the mode and times of the original
 * @copy:	the copy, which has no name yet
 * @of:		the original
 * @mtime:	its modification time too
 *
 * In memory: to link the copy changes its link count and time, so the file
 * system writes the inode down then, in the same transaction. May sleep.
 */
void vserver_copy_mode(struct inode *copy, const struct inode *of, bool mtime)
{
	guard(rwsem_write)(&copy->i_rwsem);
	copy->i_mode = of->i_mode;
	inode_set_atime_to_ts(copy, inode_get_atime(of));
	if (mtime)
		inode_set_mtime_to_ts(copy, inode_get_mtime(of));
}
EXPORT_SYMBOL_GPL(vserver_copy_mode);

/**
 * vserver_tell_label - have a copy labelled as the original is
 * @copy:	the copy, locked
 * @of:		the original
 * @label:	what both have on the disk
 * @len:	its length
 *
 * The security module has mostly done so when the copy was made, and might not
 * understand now what is on the disk: the policy may be a newer one. May sleep.
 *
 * Return: 0, or the module's errno.
 */
int vserver_tell_label(struct inode *copy, struct inode *of, void *label,
		       u32 len)
{
	struct lsm_prop has, wanted;

	security_inode_getlsmprop(copy, &has);
	security_inode_getlsmprop(of, &wanted);
	if (!memcmp(&has, &wanted, sizeof(has)))
		return 0;
	return security_inode_notifysecctx(copy, label, len);
}
EXPORT_SYMBOL_GPL(vserver_tell_label);
