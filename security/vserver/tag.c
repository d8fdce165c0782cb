// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: tags
 *
 * On a file system mounted with the option tag, what a process makes belongs to
 * its context. Those inside a context use what is theirs or nobody's; the rest
 * they see in directories. A tag stays with the inode: links and renames don't
 * change it. A unified file is nobody's.
 */

#include <linux/btrfs.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/kstrtox.h>
#include <linux/lsm_hooks.h>
#include <linux/magic.h>
#include <linux/posix_acl_xattr.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vserver_cow.h>
#include <linux/vserver_tag.h>
#include <linux/xattr.h>

#include "internal.h"

/* fs/xfs/libxfs/xfs_fs.h: all that two files have, and attributes by handle */
#define XFS_IOC_NR_SWAPEXT	109
#define XFS_IOC_NR_ATTRLIST	122
#define XFS_IOC_NR_ATTRMULTI	123

/**
 * vserver_tag_parse_param - the mount option tag, or tag=XID for files without
 * @fc:		of a mount or a remount
 * @param:	any option
 *
 * A remount may repeat the option, as mount(8) does.
 *
 * Return: 0; -ENOPARAM if this is another option; -EPERM for those inside a
 * context; -EINVAL.
 */
int vserver_tag_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	unsigned int xid = 0;

	if (strcmp(param->key, "tag") || !vserver_fs_supported(fc->fs_type))
		return -ENOPARAM;
	if (vserver_confining() || !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (param->type != fs_value_is_flag &&
	    (param->type != fs_value_is_string ||
	     kstrtouint(param->string, 10, &xid) || !vserver_tag_valid(xid)))
		return invalfc(fc, "tag: not a context id");
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE &&
	    vserver_sb(fc->root->d_sb)->tag != (VSERVER_TAGGED | xid))
		return invalfc(fc, "tag: can't be changed by a remount");
	fc->vserver_tag = VSERVER_TAGGED | xid;
	return 0;
}

/* The superblock begins to keep tags, if it does not yet. */
static int vserver_tag_begin(struct fs_context *fc)
{
	struct inode *root = d_backing_inode(fc->root);
	struct super_block *sb = root->i_sb;
	struct vserver_sb *vs = vserver_sb(sb);

	if (vs->tag == fc->vserver_tag)
		return 0;
	if (sb->s_flags & SB_BORN) {
		errorfc(fc, "tag: is mounted with another one, or without");
		return -EBUSY;
	}
	if (!(root->i_opflags & IOP_XATTR) ||
	    __vfs_getxattr(NULL, root, VSERVER_XATTR_NAME, NULL, 0) ==
	    -EOPNOTSUPP) {
		errorfc(fc, "tag: needs extended attributes security.*");
		return -EOPNOTSUPP;
	}
	vs->tag = fc->vserver_tag;
	return 0;
}

int __vserver_tag_sb(struct fs_context *fc)
{
	int error;

	if (!vserver_lsm_enabled || !vserver_fs_supported(fc->fs_type))
		return 0;
	error = fc->vserver_tag ? vserver_tag_begin(fc) : 0;
	if (!error)
		vserver_dlimit_mounted(fc->root->d_sb);
	return error;
}

int vserver_sb_show_options(struct seq_file *m, struct super_block *sb)
{
	u32 tag = vserver_sb(sb)->tag;

	if (tag)
		seq_puts(m, ",tag");
	if (tag & ~VSERVER_TAGGED)
		seq_printf(m, "=%u", tag & ~VSERVER_TAGGED);
	return 0;
}

/* What is shared, or was, is nobody's: whose it is shows in the state alone. */
static u32 vserver_state_tag(const struct super_block *sb, u64 state)
{
	u32 tag = state >> VSERVER_STATE_TAG_SHIFT;

	if (!tag && !(state & VSERVER_XATTR_IUNLINK))
		tag = vserver_sb(sb)->tag & ~VSERVER_TAGGED;
	return tag;
}

/**
 * vserver_known_tag - the context that an inode belongs to, if that is known
 * @inode:	an inode of a file system that keeps tags
 * @tag:	the answer; 0 is nobody
 *
 * Does not sleep, and takes no lock.
 *
 * Return: whether there is an answer.
 */
bool vserver_known_tag(const struct inode *inode, u32 *tag)
{
	const struct vserver_inode *vi = vserver_inode(inode);
	u64 state = vi ? READ_ONCE(vi->state) : 0;

	*tag = vserver_state_tag(inode->i_sb, state);
	return state & VSERVER_STATE_KNOWN;
}

/**
 * vserver_inode_tag - the context that an inode belongs to
 * @inode:	an inode of a file system that keeps tags
 * @nowait:	the caller may not sleep
 * @tag:	the answer; 0 is nobody
 *
 * Return: 0, -ECHILD if that can't be found out now, or the error of reading
 * the attribute.
 */
int vserver_inode_tag(struct inode *inode, bool nowait, u32 *tag)
{
	struct vserver_inode *vi = vserver_inode(inode);
	u64 state;
	int error;

	*tag = 0;
	if (!vi)
		return 0;
	error = vserver_known(inode, vi, nowait, &state);
	if (error)
		return error;
	*tag = vserver_state_tag(inode->i_sb, state);
	return 0;
}

/* Apart from the test, so that who is on the host saves no registers for it. */
static noinline int vserver_tag_allows(const struct vserver_ctx *ctx,
				       struct inode *inode, bool nowait)
{
	u32 tag;
	int error;

	if (!vserver_sb(inode->i_sb)->tag)
		return 0;
	error = vserver_inode_tag(inode, nowait, &tag);
	if (error)
		return error;
	return tag && tag != ctx->xid ? -EACCES : 0;
}

/**
 * vserver_tag_permission - may the caller use this inode, as far as its tag goes?
 * @inode:	any inode
 * @nowait:	the caller may not sleep
 *
 * Return: 0; -EACCES if it belongs to another context than the one that holds
 * the caller; those of vserver_inode_tag().
 */
int vserver_tag_permission(struct inode *inode, bool nowait)
{
	const struct vserver_ctx *ctx = vserver_confining();

	if (likely(!ctx))
		return 0;
	return vserver_tag_allows(ctx, inode, nowait);
}

/*
 * inode_init_security: the attribute is written in the transaction that makes
 * the inode, or just after it on xfs.
 */
int vserver_inode_init_security(struct inode *inode, struct inode *dir,
				const struct qstr *qstr, struct xattr *xattrs,
				int *xattr_count)
{
	struct vserver_xattr *x;
	struct xattr *slot;
	u32 tag;

	if (likely(!vserver_sb(inode->i_sb)->tag) || !vserver_inode(inode))
		return -EOPNOTSUPP;
	tag = vserver_current_tag();
	if (!tag) {
		vserver_know_nothing(inode);
		return -EOPNOTSUPP;
	}
	slot = lsm_get_xattr_slot(xattrs, xattr_count);
	if (!slot)
		return -EOPNOTSUPP;
	x = kzalloc_obj(*x, GFP_NOFS);
	slot->name = VSERVER_XATTR_SUFFIX;
	slot->value = x;
	slot->value_len = sizeof(*x);
	if (!x)
		return -ENOMEM;
	x->version = VSERVER_XATTR_VERSION;
	x->xid = cpu_to_le32(tag);
	vserver_xattr_assume(inode, x);
	return 0;
}

/* d_instantiate: from here on no path walk has to wait for the attribute. */
void vserver_d_instantiate(struct dentry *dentry, struct inode *inode)
{
	u32 tag;

	if (inode && unlikely(vserver_sb(inode->i_sb)->tag))
		vserver_inode_tag(inode, false, &tag);	/* or when it is used */
}

/*
 * What inode_permission does not see: a name in a directory of one's own may
 * lead to another's file, and the owner of a file is a number that contexts
 * have in common.
 */
int vserver_inode_link(struct dentry *old_dentry, struct inode *dir,
		       struct dentry *new_dentry)
{
	return vserver_tag_permission(d_backing_inode(old_dentry), false);
}

int vserver_inode_unlink(struct inode *dir, struct dentry *dentry)
{
	return vserver_tag_permission(d_backing_inode(dentry), false);
}

int vserver_inode_rename(struct inode *old_dir, struct dentry *old_dentry,
			 struct inode *new_dir, struct dentry *new_dentry)
{
	int error = vserver_tag_permission(d_backing_inode(old_dentry), false);

	if (error || d_is_negative(new_dentry))
		return error;
	return vserver_tag_permission(d_backing_inode(new_dentry), false);
}

/* inode_readlink, inode_listxattr */
int vserver_inode_read(struct dentry *dentry)
{
	return vserver_tag_permission(d_backing_inode(dentry), false);
}

int vserver_inode_follow_link(struct dentry *dentry, struct inode *inode,
			      bool rcu)
{
	return vserver_tag_permission(inode, rcu);
}

int vserver_inode_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			  const char *acl_name, struct posix_acl *kacl)
{
	struct inode *inode = d_backing_inode(dentry);
	size_t size = kacl ? posix_acl_xattr_size(kacl->a_count) : 0;

	return vserver_tag_permission(inode, false) ?:
	       vserver_dlimit_fits(inode, size);
}

/* inode_get_acl, inode_remove_acl */
int vserver_inode_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		      const char *acl_name)
{
	return vserver_tag_permission(d_backing_inode(dentry), false);
}

int vserver_inode_file_getattr(struct dentry *dentry, struct file_kattr *fa)
{
	return vserver_tag_permission(d_backing_inode(dentry), false);
}

static bool vserver_ioctl_shows_tags(const struct super_block *sb,
				     unsigned int cmd)
{
	switch (sb->s_magic) {
	case BTRFS_SUPER_MAGIC:
		return cmd == BTRFS_IOC_TREE_SEARCH ||
		       cmd == BTRFS_IOC_TREE_SEARCH_V2 ||
		       /* Those of 32 bits have it in another size. */
		       (_IOC_TYPE(cmd) == BTRFS_IOCTL_MAGIC &&
			_IOC_NR(cmd) == _IOC_NR(BTRFS_IOC_SEND));
	case XFS_SUPER_MAGIC:
		return _IOC_TYPE(cmd) == 'X' &&
		       (_IOC_NR(cmd) == XFS_IOC_NR_ATTRLIST ||
			_IOC_NR(cmd) == XFS_IOC_NR_ATTRMULTI);
	default:
		return false;
	}
}

/* What a file has goes to another without asking whose that is. */
static bool vserver_ioctl_swaps(const struct super_block *sb, unsigned int cmd)
{
	return sb->s_magic == XFS_SUPER_MAGIC && _IOC_TYPE(cmd) == 'X' &&
	       _IOC_NR(cmd) == XFS_IOC_NR_SWAPEXT;
}

/* Subvolumes come, change and go without asking whose the files in them are. */
static bool vserver_ioctl_is_subvolume(const struct super_block *sb,
				       unsigned int cmd)
{
	if (sb->s_magic != BTRFS_SUPER_MAGIC)
		return false;
	switch (cmd) {
	case BTRFS_IOC_SUBVOL_CREATE:
	case BTRFS_IOC_SUBVOL_CREATE_V2:
	case BTRFS_IOC_SNAP_CREATE:
	case BTRFS_IOC_SNAP_CREATE_V2:
	case BTRFS_IOC_SNAP_DESTROY:
	case BTRFS_IOC_SNAP_DESTROY_V2:
	case BTRFS_IOC_SUBVOL_SETFLAGS:	/* what is read-only does not count */
		return true;
	default:
		return false;
	}
}

int vserver_tag_ioctl(const struct file *file, unsigned int cmd)
{
	const struct super_block *sb = file_inode(file)->i_sb;

	if (likely(!vserver_confining()) || !vserver_sb(sb)->tag)
		return 0;
	return vserver_ioctl_shows_tags(sb, cmd) ||
	       vserver_ioctl_swaps(sb, cmd) ||
	       vserver_ioctl_is_subvolume(sb, cmd) ? -EPERM : 0;
}
