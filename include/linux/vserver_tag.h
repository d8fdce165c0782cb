/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of tags, which say to what context a file belongs */
#ifndef _LINUX_VSERVER_TAG_H
#define _LINUX_VSERVER_TAG_H

#include <linux/fs_context.h>
#include <linux/jump_label.h>
#include <linux/types.h>

struct dentry;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_module_key);

int __vserver_tag_sb(struct fs_context *fc);
ssize_t __vserver_hide_xattr(struct dentry *dentry, char *list, size_t size,
			     ssize_t len);

/**
 * vserver_tag_sb - the file system of a new mount keeps tags, or does not
 * @fc:		with the root; the superblock is locked, and not in use yet if it
 *		is new. May sleep.
 *
 * Also without tags it is looked for what is kept of disk limits, which is not
 * true any more when the file system is written to.
 *
 * Return: 0; -EBUSY if the superblock is in use otherwise; -EOPNOTSUPP if it
 * can't keep them.
 */
static inline int vserver_tag_sb(struct fs_context *fc)
{
	return __vserver_tag_sb(fc);
}

/**
 * vserver_hide_xattr - take the attribute of tags out of a list
 * @dentry:	a file
 * @list:	names, each with a NUL, of its attributes
 * @size:	how much would go there; 0 if there is no list
 * @len:	the length of the list, or a negative errno
 *
 * May sleep.
 *
 * Return: the length of what the caller may see, or what @len was.
 */
static inline ssize_t vserver_hide_xattr(struct dentry *dentry, char *list,
					 size_t size, ssize_t len)
{
	if (static_branch_unlikely(&vserver_module_key))
		return __vserver_hide_xattr(dentry, list, size, len);
	return len;
}

#else /* !CONFIG_SECURITY_VSERVER */

static inline int vserver_tag_sb(struct fs_context *fc)
{
	return 0;
}

static inline ssize_t vserver_hide_xattr(struct dentry *dentry, char *list,
					 size_t size, ssize_t len)
{
	return len;
}

#endif /* CONFIG_SECURITY_VSERVER */

#endif /* _LINUX_VSERVER_TAG_H */
