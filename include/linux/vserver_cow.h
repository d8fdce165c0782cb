/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of unified files, shared until the first modification */
#ifndef _LINUX_VSERVER_COW_H
#define _LINUX_VSERVER_COW_H

#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/path.h>

/*
 * A mask bit of inode_permission(): the caller breaks the link of a unified
 * file before it modifies anything, so immutability is no reason to refuse.
 * Never seen by ->permission() and the security modules.
 */
#define MAY_COW		0x00000100

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

bool __vserver_unified(struct inode *inode);
int __vserver_break_link(struct path *path);

/**
 * vserver_unified - is this inode shared copy-on-write?
 * @inode:	any inode
 *
 * Always false without the module: then a unified file is merely immutable.
 * May sleep the first time it meets an immutable inode.
 */
static __always_inline bool vserver_unified(struct inode *inode)
{
	return static_branch_unlikely(&vserver_key) &&
	       unlikely(IS_IMMUTABLE(inode)) && __vserver_unified(inode);
}

/**
 * vserver_break_link - make the file at @path private before it is modified
 * @path:	the file; if it is unified, its reference is exchanged for one
 *		to the private copy that now has the name
 *
 * The caller has decided that the operation is permitted and holds neither
 * locks nor write access to the file system.
 *
 * Return: 0 with @path ready to be modified, or a negative errno, name and
 * inode as before: -ESTALE if the name has moved meanwhile.
 */
static __always_inline int vserver_break_link(struct path *path)
{
	if (vserver_unified(d_backing_inode(path->dentry)))
		return __vserver_break_link(path);
	return 0;
}

#else

static inline bool vserver_unified(struct inode *inode)
{
	return false;
}

static inline int vserver_break_link(struct path *path)
{
	return 0;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_COW_H */
