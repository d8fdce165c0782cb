/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of disk limits, how much of a file system a context has */
#ifndef _LINUX_VSERVER_DLIMIT_H
#define _LINUX_VSERVER_DLIMIT_H

#include <linux/jump_label.h>
#include <linux/types.h>
#include <linux/uidgid_types.h>

struct inode;
struct kstatfs;
struct super_block;

#ifdef CONFIG_SECURITY_VSERVER

/* Who is charged for an inode; an id that is not valid is nobody. */
struct vserver_owners {
	kuid_t uid;
	kgid_t gid;
};

/* On once a limit was set. */
DECLARE_STATIC_KEY_FALSE(vserver_dlimit_key);

void __vserver_tag_new(struct inode *inode);
int __vserver_load_tag(struct inode *inode);
int __vserver_charge_space(struct inode *inode, u64 bytes, int flags);
void __vserver_uncharge_space(struct inode *inode, u64 bytes);
int __vserver_charge_inode(struct inode *inode);
void __vserver_uncharge_inode(struct inode *inode);
bool __vserver_dlimit_refused(const struct super_block *sb);
void __vserver_dlimit_statfs(struct super_block *sb, struct kstatfs *buf);
void __vserver_dlimit_rest(struct super_block *sb);
void __vserver_dlimit_rested(struct super_block *sb);
void __vserver_dlimit_remounted(struct super_block *sb);

/**
 * vserver_tag_new - a new inode belongs to the caller's context
 * @inode:	the inode, which nobody else knows yet and nothing is charged for.
 *		Does not sleep.
 */
static inline void vserver_tag_new(struct inode *inode)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_tag_new(inode);
}

/**
 * vserver_load_tag - find out whom to charge for an inode
 * @inode:	the inode, of which space is going to be allocated or freed. May
 *		sleep and read the inode's attributes.
 *
 * Return: 0, or the error of reading them.
 */
static inline int vserver_load_tag(struct inode *inode)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_load_tag(inode);
	return 0;
}

/**
 * vserver_charge_space - charge for space, reserved or allocated
 * @inode:	the inode, with its i_lock held: it has more bytes when that is let
 *		go, or is uncharged
 * @bytes:	how much
 * @flags:	DQUOT_SPACE_*
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_charge_space(struct inode *inode, u64 bytes,
				       int flags)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_charge_space(inode, bytes, flags);
	return 0;
}

/**
 * vserver_uncharge_space - give back space
 * @inode:	the inode, with its i_lock held
 * @bytes:	how much
 */
static inline void vserver_uncharge_space(struct inode *inode, u64 bytes)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_uncharge_space(inode, bytes);
}

/**
 * vserver_charge_inode - charge for a new inode. Does not sleep.
 * @inode:	the inode
 *
 * Return: 0; -ENOSPC; -EDQUOT if a limit of the owner or the group is reached.
 */
static inline int vserver_charge_inode(struct inode *inode)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_charge_inode(inode);
	return 0;
}

/**
 * vserver_uncharge_inode - give back an inode. Does not sleep.
 * @inode:	the inode
 */
static inline void vserver_uncharge_inode(struct inode *inode)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_uncharge_inode(inode);
}

/**
 * vserver_dlimit_refused - was it a limit that the caller reached, not the disk?
 * @sb:		the file system, which has no room for what the caller wants
 *
 * Then no space that becomes free is for it. It is said once. Does not sleep.
 */
static inline bool vserver_dlimit_refused(const struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		return __vserver_dlimit_refused(sb);
	return false;
}

/**
 * vserver_dlimit_statfs - show those inside a context the size of their part
 * @sb:		the file system. Does not sleep.
 * @buf:	what there is to tell of it
 */
static inline void vserver_dlimit_statfs(struct super_block *sb,
					 struct kstatfs *buf)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_dlimit_statfs(sb, buf);
}

/**
 * vserver_dlimit_rest - nobody can write to a file system, which will be read-only
 * @sb:		the file system, locked, and not read-only yet. May sleep.
 */
static inline void vserver_dlimit_rest(struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_dlimit_rest(sb);
}

/**
 * vserver_dlimit_rested - one that frees more by itself then has done so
 * @sb:		the file system, locked, and not read-only yet. May sleep.
 */
static inline void vserver_dlimit_rested(struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_dlimit_rested(sb);
}

/**
 * vserver_dlimit_remounted - a file system is read-only now, or is not
 * @sb:		the file system, locked; nobody can write to it yet. May sleep.
 */
static inline void vserver_dlimit_remounted(struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_dlimit_key))
		__vserver_dlimit_remounted(sb);
}

#else /* !CONFIG_SECURITY_VSERVER */

static inline void vserver_tag_new(struct inode *inode)
{
}

static inline int vserver_load_tag(struct inode *inode)
{
	return 0;
}

static inline int vserver_charge_space(struct inode *inode, u64 bytes,
				       int flags)
{
	return 0;
}

static inline void vserver_uncharge_space(struct inode *inode, u64 bytes)
{
}

static inline int vserver_charge_inode(struct inode *inode)
{
	return 0;
}

static inline void vserver_uncharge_inode(struct inode *inode)
{
}

static inline bool vserver_dlimit_refused(const struct super_block *sb)
{
	return false;
}

static inline void vserver_dlimit_statfs(struct super_block *sb,
					 struct kstatfs *buf)
{
}

static inline void vserver_dlimit_rest(struct super_block *sb)
{
}

static inline void vserver_dlimit_rested(struct super_block *sb)
{
}

static inline void vserver_dlimit_remounted(struct super_block *sb)
{
}

#endif /* CONFIG_SECURITY_VSERVER */

#endif /* _LINUX_VSERVER_DLIMIT_H */
