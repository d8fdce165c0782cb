/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of unified files, shared until the first modification */
#ifndef _LINUX_VSERVER_COW_H
#define _LINUX_VSERVER_COW_H

#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/path.h>

/*
 * A mask bit of inode_permission(): the caller breaks the link of a unified
 * file before it modifies anything, so immutability is no reason to refuse.
 * Never seen by ->permission() and the security modules.
 */
#define MAY_COW		0x00000100

/* How much of a file is copied if it is not to be truncated next */
#define VSERVER_KEEP_ALL	LLONG_MAX

/* How a link was broken, for the tracepoint. */
#define VSERVER_COW_FAIL	0	/* it was not */
#define VSERVER_COW_CLONE	1	/* the copy shares the blocks */
#define VSERVER_COW_COPY	2	/* the copy has blocks of its own */
#define VSERVER_COW_CLEAR	3	/* the last name keeps the inode */

/* For the path of vserver_cow_borrow(), which hardly ever holds anything. */
static __always_inline void vserver_cow_put(const struct path *path)
{
	if (unlikely(path->dentry))
		path_put(path);
}

DEFINE_FREE(vserver_cow, struct path, vserver_cow_put(&_T))

/* fs/namei.c, for security/vserver/open.c */
int may_open(struct mnt_idmap *idmap, const struct path *path, int acc_mode,
	     int flag);
bool safe_hardlink_source(struct mnt_idmap *idmap, struct inode *inode);

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_module_key);

bool __vserver_unified(struct inode *inode);
bool __vserver_maybe_unified(struct inode *inode, bool nowait);
int __vserver_break_link(struct path *path, loff_t keep);
int __vserver_may_break(const struct path *path);
int vserver_open(struct path *path, struct file *file, int acc_mode,
		 int open_flag, unsigned int lookup_flags, bool *do_truncate);
int __vserver_truncate(struct path *path, loff_t length);
int __vserver_cow_chmod(struct path *path, umode_t mode);
int __vserver_cow_chown(struct path *path, uid_t user, gid_t group);
int __vserver_cow_utimes(struct path *path, bool touch);
int __vserver_cow_setxattr(struct path *path, const char *name,
			   const void *value, size_t size, int flags);
int __vserver_cow_removexattr(struct path *path, const char *name);
int __vserver_link(struct path *path);
int __vserver_rename_same(const struct renamedata *rd);
int __vserver_nameless(struct dentry **dentry);
int __vserver_raced(struct inode *inode, int error, bool nowait);
bool __vserver_silent(void);

/**
 * struct vserver_acting - what a task was before vserver_act_begin()
 * @cred:	its credentials
 * @audit:	its records
 */
struct vserver_acting {
	const struct cred *cred;
	struct audit_context *audit;
};

/* For the module, see security/vserver/cow.c and inode.c */
int vserver_breaking_begin(struct inode *inode, bool alone);
bool vserver_breaking_try(struct inode *inode);
void vserver_breaking_end(struct inode *inode, bool alone);
struct vserver_renewal *vserver_renewal_begin(const struct dentry *name);
void vserver_renewal_end(struct vserver_renewal *r);
bool vserver_sweep_begin(struct inode *dir);
void vserver_sweep_again(struct inode *dir);
void vserver_cred_silence(struct cred *cred);
void vserver_act_begin(struct vserver_acting *acting, const struct cred *cred);
void vserver_act_end(const struct vserver_acting *acting);
bool vserver_may_clear_last(const struct path *path);
int vserver_clear_last(const struct path *path, int readers);
int vserver_copy_fsflags(struct dentry *from, struct dentry *to, bool project);
void vserver_copy_mode(struct inode *copy, const struct inode *of, bool mtime);
int vserver_tell_label(struct inode *copy, struct inode *of, void *label,
		       u32 len);
void vserver_mark_copy(struct inode *copy, const struct inode *of);
void vserver_mark_replaced(struct inode *old, const struct inode *by);
bool vserver_stands_for(const struct inode *inode, const struct inode *of);
bool vserver_reachable(const struct path *path);
bool vserver_deny_mount(struct dentry *dentry);
void vserver_allow_mount(struct dentry *dentry);

/* For the module, see security/vserver/errand.c */
int vserver_errand(void (*fn)(void *data), void *data);
void vserver_errand_pause(void);

/* For the module, see security/vserver/trace.c */
void vserver_cow_report(const struct path *old, const struct path *new,
			int how, u64 size, u64 ns, int ret);

/* For the abstractions in rust/kernel/vfs, see security/vserver/open.c */
struct file *vserver_tmpfile_open(struct mnt_idmap *idmap,
				  const struct path *parentpath,
				  umode_t mode, int open_flag,
				  const struct cred *cred);

/**
 * vserver_unified - is this inode shared copy-on-write?
 * @inode:	any inode
 *
 * Always false without the module: then a unified file is merely immutable.
 * May sleep the first time it meets an immutable inode.
 */
static __always_inline bool vserver_unified(struct inode *inode)
{
	return static_branch_unlikely(&vserver_module_key) &&
	       unlikely(IS_IMMUTABLE(inode)) && __vserver_unified(inode);
}

/**
 * vserver_maybe_unified - is there a link to break, or an error to report?
 * @inode:	any inode
 *
 * As vserver_unified(), but also true if that can't be found out because the
 * inode's attribute can't be read: whoever goes on to break the link gets the
 * error.
 */
static __always_inline bool vserver_maybe_unified(struct inode *inode)
{
	return static_branch_unlikely(&vserver_module_key) &&
	       unlikely(IS_IMMUTABLE(inode)) &&
	       __vserver_maybe_unified(inode, false);
}

/**
 * vserver_opens - has an open for writing to go by way of vserver_open()?
 * @inode:	any inode
 * @nowait:	the caller may not sleep: then also if that takes sleeping
 */
static __always_inline bool vserver_opens(struct inode *inode, bool nowait)
{
	return static_branch_unlikely(&vserver_module_key) &&
	       unlikely(IS_IMMUTABLE(inode)) &&
	       __vserver_maybe_unified(inode, nowait);
}

/**
 * vserver_event_flags - how a watcher gets a file
 * @inode:	the file
 * @flags:	O_*, as it asked for all files
 *
 * An event tells of the file that it was: this one can only be read.
 */
static __always_inline unsigned int vserver_event_flags(struct inode *inode,
							unsigned int flags)
{
	return vserver_unified(inode) ? flags & ~O_ACCMODE : flags;
}

/**
 * vserver_immutable - does immutability forbid to name this inode otherwise?
 * @inode:	the inode to link, unlink or rename
 */
static __always_inline bool vserver_immutable(struct inode *inode)
{
	/* Looked at again: it may have been made an ordinary file meanwhile. */
	return IS_IMMUTABLE(inode) && !vserver_unified(inode) &&
	       IS_IMMUTABLE(inode);
}

/**
 * vserver_immutable_to - does immutability forbid to write to this inode?
 * @inode:	any inode
 * @mask:	as for inode_permission(); with MAY_COW, who asks breaks the link
 *		of a unified file first
 */
static __always_inline bool vserver_immutable_to(struct inode *inode, int mask)
{
	return IS_IMMUTABLE(inode) &&
	       !((mask & MAY_COW) && vserver_maybe_unified(inode)) &&
	       IS_IMMUTABLE(inode);
}

/**
 * vserver_may_break - does something else than permission forbid to modify?
 * @path:	any file
 *
 * For access(2): nobody could replace the name of a unified file, or not by way
 * of this path, and it can't be made an ordinary one in place. May sleep.
 *
 * Return: 0, or what __vserver_break_link() would fail with.
 */
static __always_inline int vserver_may_break(const struct path *path)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_may_break(path);
	return 0;
}

/**
 * vserver_cow_borrow - get ready to break the link behind a borrowed path
 * @path:	a path without a reference of its own
 * @cow:	receives the reference if the file is unified; @path then points
 *		here. Declare it as an empty path with __free(vserver_cow).
 *
 * Return: true if the file is unified and @cow is to be broken.
 */
static __always_inline bool vserver_cow_borrow(const struct path **path,
					       struct path *cow)
{
	if (!vserver_maybe_unified(d_backing_inode((*path)->dentry)))
		return false;
	*cow = **path;
	path_get(cow);
	*path = cow;
	return true;
}

/*
 * vserver_cow_*: if the file is unified, decide whether the caller may do the
 * operation at all, then break the link as __vserver_break_link() does.
 */
static __always_inline int vserver_cow_chmod(struct path *path, umode_t mode)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_cow_chmod(path, mode);
	return 0;
}

static __always_inline int vserver_cow_chown(struct path *path, uid_t user,
					     gid_t group)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_cow_chown(path, user, group);
	return 0;
}

static __always_inline int vserver_cow_utimes(struct path *path, bool touch)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_cow_utimes(path, touch);
	return 0;
}

static __always_inline int vserver_cow_setxattr(struct path *path,
						const char *name,
						const void *value, size_t size,
						int flags)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_cow_setxattr(path, name, value, size, flags);
	return 0;
}

static __always_inline int vserver_cow_removexattr(struct path *path,
						   const char *name)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_cow_removexattr(path, name);
	return 0;
}

/**
 * vserver_link - make a file private that those inside a context link
 * @path:	the file; if it is unified, its reference is exchanged as by
 *		__vserver_break_link()
 *
 * Inside a context, both names must go on naming one file that can be written.
 * On the host they are links to the unified inode.
 *
 * Return: 0 or the errno of the link.
 */
static __always_inline int vserver_link(struct path *path)
{
	if (vserver_maybe_unified(d_backing_inode(path->dentry)))
		return __vserver_link(path);
	return 0;
}

/**
 * vserver_rename_same - rename one name of a file to another one of its names
 * @rd:		the names, whose directories are locked
 *
 * For POSIX they are one file, and nothing is to be done. But two names of a
 * unified file are two files: one replaces the other, for which nothing has to
 * be done but to remove the old name. So it is unlink's hook that security
 * modules are asked by, not security_inode_rename(), and watchers see a delete.
 * To exchange them changes nothing. To leave a whiteout is refused: file systems
 * are never asked to rename between two names of an inode.
 *
 * Return: 0 or the errno of the rename.
 */
static __always_inline int vserver_rename_same(const struct renamedata *rd)
{
	struct inode *inode = d_backing_inode(rd->old_dentry);

	if (inode && rd->old_dentry != rd->new_dentry && vserver_unified(inode))
		return __vserver_rename_same(rd);
	return 0;
}

/**
 * vserver_nameless - forget under which name a file handle found a file
 * @dentry:	what the handle was decoded to; if it is a unified file of
 *		several names, its reference is exchanged for one to a dentry
 *		without a name
 *
 * A handle names an inode. Which of its names is found may be another
 * context's, and is not the caller's to break a link of.
 *
 * Return: 0, or -ENOMEM with @dentry as before.
 */
static __always_inline int vserver_nameless(struct dentry **dentry)
{
	if (vserver_unified(d_backing_inode(*dentry)))
		return __vserver_nameless(dentry);
	return 0;
}

/**
 * vserver_raced - did an open fail because the file was made unified meanwhile?
 * @inode:	the file, to whose name no link is broken any more
 * @error:	what the open or truncation for writing failed with
 * @nowait:	the caller may not sleep
 *
 * To make a file unified keeps writers out for a moment, and then it is
 * immutable. Waits until that is done.
 *
 * Return: -ESTALE if the open is to be tried again, as then the link can be
 * broken; -EAGAIN if that may take waiting; -ERESTARTSYS if a fatal signal came
 * first; else @error.
 */
static __always_inline int vserver_raced(struct inode *inode, int error,
					 bool nowait)
{
	if (static_branch_unlikely(&vserver_module_key) &&
	    unlikely(error == -EPERM || error == -ETXTBSY))
		return __vserver_raced(inode, error, nowait);
	return error;
}

/**
 * vserver_truncate - truncate a file, unified or not
 * @path:	the file; if it is unified, its reference is exchanged as by
 *		__vserver_break_link()
 * @length:	its new size
 *
 * Of a unified file no more is copied than is kept, which is half of the
 * truncation.
 *
 * Return: 0 or a negative errno, as of vfs_truncate() and __vserver_break_link().
 */
static __always_inline int vserver_truncate(struct path *path, loff_t length)
{
	struct inode *inode = d_backing_inode(path->dentry);

	if (vserver_maybe_unified(inode))
		return __vserver_truncate(path, length);
	return vserver_raced(inode, vfs_truncate(path, length), false);
}

/**
 * vserver_silent - is what happens here no event for watchers?
 *
 * True while a link is broken: watchers would hear of a copy in the making.
 */
static __always_inline bool vserver_silent(void)
{
	return static_branch_unlikely(&vserver_module_key) && __vserver_silent();
}

#else

static inline bool vserver_unified(struct inode *inode)
{
	return false;
}

static inline bool vserver_maybe_unified(struct inode *inode)
{
	return false;
}

static inline bool vserver_opens(struct inode *inode, bool nowait)
{
	return false;
}

static inline unsigned int vserver_event_flags(struct inode *inode,
					       unsigned int flags)
{
	return flags;
}

static inline bool vserver_immutable(struct inode *inode)
{
	return IS_IMMUTABLE(inode);
}

static inline bool vserver_immutable_to(struct inode *inode, int mask)
{
	return IS_IMMUTABLE(inode);
}

static inline int vserver_may_break(const struct path *path)
{
	return 0;
}

static inline bool vserver_cow_borrow(const struct path **path,
				      struct path *cow)
{
	return false;
}

static inline int vserver_open(struct path *path, struct file *file,
			       int acc_mode, int open_flag,
			       unsigned int lookup_flags, bool *do_truncate)
{
	return 0;
}

static inline int vserver_truncate(struct path *path, loff_t length)
{
	return vfs_truncate(path, length);
}

static inline int vserver_cow_chmod(struct path *path, umode_t mode)
{
	return 0;
}

static inline int vserver_cow_chown(struct path *path, uid_t user, gid_t group)
{
	return 0;
}

static inline int vserver_cow_utimes(struct path *path, bool touch)
{
	return 0;
}

static inline int vserver_cow_setxattr(struct path *path, const char *name,
				       const void *value, size_t size,
				       int flags)
{
	return 0;
}

static inline int vserver_cow_removexattr(struct path *path, const char *name)
{
	return 0;
}

static inline int vserver_link(struct path *path)
{
	return 0;
}

static inline int vserver_rename_same(const struct renamedata *rd)
{
	return 0;
}

static inline int vserver_nameless(struct dentry **dentry)
{
	return 0;
}

static inline int vserver_raced(struct inode *inode, int error, bool nowait)
{
	return error;
}

static inline bool vserver_silent(void)
{
	return false;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_COW_H */
