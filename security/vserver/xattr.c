// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: the extended attribute security.vserver
 *
 * What a file system keeps of an inode's flags and tag. It is read once, into
 * the inode's blob, and written by us; where there are tags, who backs up and
 * restores the host's files may read and write it as any other.
 */

#define pr_fmt(fmt) "vserver: " fmt

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vserver_cow.h>
#include <linux/vserver_tag.h>
#include <linux/xattr.h>

#include "internal.h"

static_assert(sizeof(struct vserver_xattr) == 8);
static_assert(offsetof(struct vserver_xattr, xid) == 4);

#define VSERVER_XATTR_FLAGS	(VSERVER_XATTR_IUNLINK | VSERVER_XATTR_BARRIER)

/*
 * Only file systems that are known to keep the flag and the attribute, and to
 * give the attribute without a dentry: overlayfs and others can't.
 */
bool vserver_fs_supported(const struct file_system_type *type)
{
	static const char * const names[] = {
		"ext4", "xfs", "btrfs", "tmpfs", "f2fs",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(type->name, names[i]))
			return true;
	return false;
}

bool vserver_tag_valid(u32 xid)
{
	return !xid || (xid >= VX_XID_MIN && xid <= VX_XID_MAX);
}

/* What this version did not write it does not obey. */
static bool vserver_xattr_valid(const struct vserver_xattr *x, ssize_t len)
{
	return len == sizeof(*x) && x->version == VSERVER_XATTR_VERSION &&
	       !(x->flags & ~VSERVER_XATTR_FLAGS) && !x->reserved &&
	       vserver_tag_valid(le32_to_cpu(x->xid));
}

static u64 vserver_xattr_state(const struct vserver_xattr *x)
{
	return VSERVER_STATE_KNOWN | x->flags |
	       (u64)le32_to_cpu(x->xid) << VSERVER_STATE_TAG_SHIFT;
}

/* Whoever changes the attribute stores after us, or was first. */
static void vserver_know(struct vserver_inode *vi,
			 const struct vserver_xattr *x)
{
	u64 old = READ_ONCE(vi->state);

	do {
		if (old & VSERVER_STATE_KNOWN)
			break;
	} while (!try_cmpxchg(&vi->state, &old,
			      old | vserver_xattr_state(x)));
}

/* For an inode that can have no attribute. */
void vserver_know_nothing(struct inode *inode)
{
	vserver_know(vserver_inode(inode), &(struct vserver_xattr){});
}

/*
 * The attribute is going to be this; the inode is locked, or new. What is
 * charged for it changes in the same step.
 */
void vserver_xattr_assume(struct inode *inode, const struct vserver_xattr *x)
{
	struct vserver_inode *vi = vserver_inode(inode);
	u64 state = READ_ONCE(vi->state);
	u32 from, to;
	bool known;

	guard(spinlock)(&inode->i_lock);
	known = vserver_known_tag(inode, &from);
	while (!try_cmpxchg(&vi->state, &state,
			    vserver_xattr_state(x) |
			    (state & VSERVER_STATE_LOCAL)))
		;
	vserver_known_tag(inode, &to);
	if (known)
		vserver_dlimit_move(inode, from, to);
}

/* Once for a mount: whoever is inside can come across all of them. */
static void vserver_report_damage(const struct inode *inode)
{
	struct vserver_sb *vs = vserver_sb(inode->i_sb);

	if (!xchg(&vs->damage_reported, true))
		pr_notice("%s: inode %llu: attribute not valid and not obeyed, there may be more\n",
			  inode->i_sb->s_id, (u64)inode->i_ino);
}

/**
 * vserver_xattr_read - read the attribute
 * @inode:	an inode with a blob, of a supported file system
 * @x:		the answer; zero if the attribute is missing or not valid
 *
 * Also fills the cache. May sleep; takes locks of the file system.
 *
 * Return: 0 or a negative errno.
 */
int vserver_xattr_read(struct inode *inode, struct vserver_xattr *x)
{
	ssize_t len;

	len = __vfs_getxattr(NULL, inode, VSERVER_XATTR_NAME, x, sizeof(*x));
	if (len < 0 && len != -ENODATA && len != -ERANGE && len != -EOPNOTSUPP)
		return len;
	if (!vserver_xattr_valid(x, len)) {
		if (len >= 0 || len == -ERANGE)
			vserver_report_damage(inode);
		*x = (struct vserver_xattr){};
	}
	vserver_know(vserver_inode(inode), x);
	return 0;
}

/* The inode is locked, its file system writable. */
int vserver_xattr_write(struct dentry *dentry, struct vserver_xattr *x)
{
	struct inode *inode = d_backing_inode(dentry);
	int error;

	if (x->flags || x->xid) {
		x->version = VSERVER_XATTR_VERSION;
		error = __vfs_setxattr(&nop_mnt_idmap, dentry, inode,
				       VSERVER_XATTR_NAME, x, sizeof(*x), 0);
	} else {
		error = __vfs_removexattr(&nop_mnt_idmap, dentry,
					  VSERVER_XATTR_NAME);
		if (error == -ENODATA)
			error = 0;
	}
	if (!error)
		vserver_xattr_assume(inode, x);
	return error;
}

/*
 * What is restored takes effect as if set_iattr had been called, and it makes
 * nothing unified: that would take the immutable flag, with which nobody comes
 * here.
 */
static int vserver_may_restore(struct inode *inode)
{
	u32 tag;

	if (!vserver_sb(inode->i_sb)->tag || vserver_unified(inode) ||
	    vserver_current_xid() != VX_XID_HOST ||
	    !capable(CAP_LINUX_IMMUTABLE))
		return -EPERM;
	/* Who has been charged for it has to be known. */
	return vserver_inode_tag(inode, false, &tag);
}

/* May this inode have such an attribute? */
static bool vserver_xattr_fits(struct inode *inode,
			       const struct vserver_xattr *x, size_t size)
{
	return vserver_xattr_valid(x, size) &&
	       !(vserver_xattr_to_iattr(inode, x->flags) &
		 ~vserver_iattr_mask(inode));
}

/*
 * What is kept of disk limits: of no use to anybody else, a copy of it in a
 * backup would be wrong, and those inside never see it.
 */
static bool vserver_is_kept(const struct inode *inode, const char *name)
{
	return !strcmp(name, VSERVER_KEPT_NAME) &&
	       (vserver_sb(inode->i_sb)->tag || vserver_confining());
}

static int vserver_may_change_xattr(struct mnt_idmap *idmap,
				    struct inode *inode, const char *name)
{
	if (vserver_is_kept(inode, name))
		return -EPERM;
	return vserver_tag_permission(inode, false) ?:
	       vserver_xattr_permission(idmap, inode, name);
}

int vserver_inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry,
			   const char *name, const void *value, size_t size,
			   int flags)
{
	struct inode *inode = d_backing_inode(dentry);
	int error;

	if (strcmp(name, VSERVER_XATTR_NAME))
		return vserver_may_change_xattr(idmap, inode, name) ?:
		       vserver_dlimit_fits(inode, size);
	error = vserver_may_restore(inode);
	if (error)
		return error;
	return vserver_xattr_fits(inode, value, size) ? 0 : -EINVAL;
}

int vserver_inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry,
			      const char *name)
{
	struct inode *inode = d_backing_inode(dentry);

	if (!strcmp(name, VSERVER_XATTR_NAME))
		return vserver_may_restore(inode);
	return vserver_may_change_xattr(idmap, inode, name);
}

/* The inode is locked, and the value what was found right. */
void vserver_inode_post_setxattr(struct dentry *dentry, const char *name,
				 const void *value, size_t size, int flags)
{
	if (!strcmp(name, VSERVER_XATTR_NAME))
		vserver_xattr_assume(d_backing_inode(dentry), value);
}

void vserver_inode_post_removexattr(struct dentry *dentry, const char *name)
{
	if (!strcmp(name, VSERVER_XATTR_NAME))
		vserver_xattr_assume(d_backing_inode(dentry),
				     &(struct vserver_xattr){});
}

/* To whom a file belongs is no business of those inside. */
static bool vserver_is_hidden(const struct inode *inode, const char *name)
{
	return vserver_is_kept(inode, name) ||
	       (vserver_confining() && !strcmp(name, VSERVER_XATTR_NAME));
}

/* For most names the VFS asks nobody else. */
int vserver_inode_getxattr(struct dentry *dentry, const char *name)
{
	struct inode *inode = d_backing_inode(dentry);

	if (vserver_is_hidden(inode, name))
		return -ENODATA;
	return vserver_tag_permission(inode, false);
}

/* In overlayfs a copy belongs to whoever makes it. */
int vserver_inode_copy_up_xattr(struct dentry *src, const char *name)
{
	return strcmp(name, VSERVER_XATTR_NAME) &&
	       strcmp(name, VSERVER_KEPT_NAME) ? -EOPNOTSUPP : -ECANCELED;
}

static ssize_t vserver_take_out(const struct inode *inode, char *list,
				ssize_t len)
{
	char *name = list, *next, *end = list + len;

	while (name < end) {
		next = name + strnlen(name, end - name - 1) + 1;
		if (!vserver_is_hidden(inode, name)) {
			name = next;
			continue;
		}
		memmove(name, next, end - next);
		end -= next - name;
	}
	return end - list;
}

/* How long a list is, or one that had no room, can be told from the whole. */
static ssize_t vserver_list_visible(struct dentry *dentry, char *list,
				    size_t size)
{
	const struct inode *inode = d_backing_inode(dentry);
	const struct inode_operations *op = inode->i_op;
	ssize_t len = op->listxattr(dentry, NULL, 0);
	char *all;

	if (len <= 0)
		return len;
	all = kvmalloc(len, GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	len = op->listxattr(dentry, all, len);
	if (len > 0)
		len = vserver_take_out(inode, all, len);
	if (size && len > (ssize_t)size)
		len = -ERANGE;
	else if (size && len > 0)
		memcpy(list, all, len);
	kvfree(all);
	return len;
}

ssize_t __vserver_hide_xattr(struct dentry *dentry, char *list, size_t size,
			     ssize_t len)
{
	const struct inode *inode = d_backing_inode(dentry);

	if (likely(!vserver_confining() &&
		   inode != READ_ONCE(vserver_sb(inode->i_sb)->root)))
		return len;
	if (size && len > 0)
		return vserver_take_out(inode, list, len);
	if ((len > 0 || len == -ERANGE) && inode->i_op->listxattr)
		return vserver_list_visible(dentry, list, size);
	return len;
}

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "xattr_test.c"
#endif
