// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: before and around the break of a link
 *
 * Whether the caller may do what the link would be broken for, and what the
 * module needs of the file system's internals to break it. How that is done
 * is the module's part.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/fileattr.h>	/* wants fs.h before it */
#include <linux/fs_struct.h>
#include <linux/fsnotify.h>
#include <linux/mount.h>
#include <linux/security.h>
#include <linux/string.h>
#include <linux/vserver_cow.h>
#include <linux/wait_bit.h>
#include <linux/xattr.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

static bool vserver_try_breaking(u32 *state)
{
	u32 old = READ_ONCE(*state);

	do {
		if (old & VSERVER_STATE_BREAKING)
			return false;
	} while (!try_cmpxchg(state, &old, old | VSERVER_STATE_BREAKING));
	return true;
}

/**
 * vserver_breaking_begin - be the only one who breaks links to an inode
 * @inode:	a unified inode, to which the caller holds a reference
 *
 * Many who open one file for writing would otherwise all copy it, for one to
 * win. Sleeps; pair with vserver_breaking_end().
 *
 * Return: 0; -ERESTARTSYS if a fatal signal came first; -EPERM for an inode that
 * can't be unified at all.
 */
int vserver_breaking_begin(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);

	if (!vi)
		return -EPERM;
	return wait_var_event_killable(&vi->state,
				       vserver_try_breaking(&vi->state));
}
EXPORT_SYMBOL_GPL(vserver_breaking_begin);

void vserver_breaking_end(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);
	u32 old;

	if (!vi)
		return;
	old = READ_ONCE(vi->state);
	do {
	} while (!try_cmpxchg(&vi->state, &old, old & ~VSERVER_STATE_BREAKING));
	/* try_cmpxchg() is a full barrier: a waiter sees the bit or is woken. */
	wake_up_var(&vi->state);
}
EXPORT_SYMBOL_GPL(vserver_breaking_end);

/**
 * vserver_sweep_begin - is a directory to be searched for debris?
 * @dir:	the directory, to which the caller holds a reference
 *
 * A crash may leave a copy under its temporary name. As the inode was not in
 * memory then, once is enough.
 *
 * Return: true to the first caller.
 */
bool vserver_sweep_begin(struct inode *dir)
{
	struct vserver_inode *vi = vserver_inode(dir);
	u32 old;

	if (!vi)
		return false;
	old = READ_ONCE(vi->state);
	do {
		if (old & VSERVER_STATE_SWEPT)
			return false;
	} while (!try_cmpxchg(&vi->state, &old, old | VSERVER_STATE_SWEPT));
	return true;
}
EXPORT_SYMBOL_GPL(vserver_sweep_begin);

/**
 * vserver_sweep_again - have a directory searched at the next break in it
 * @dir:	the directory, to which the caller holds a reference
 */
void vserver_sweep_again(struct inode *dir)
{
	struct vserver_inode *vi = vserver_inode(dir);
	u32 old;

	if (!vi)
		return;
	old = READ_ONCE(vi->state);
	do {
	} while (!try_cmpxchg(&vi->state, &old, old & ~VSERVER_STATE_SWEPT));
}
EXPORT_SYMBOL_GPL(vserver_sweep_again);

/* What a directory may have handed down to a copy, or the file may have had. */
#define VSERVER_COPY_FSFLAGS	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL |  \
				 FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL | \
				 FS_NOCOMP_FL | FS_NOTAIL_FL | FS_NOCOW_FL | \
				 FS_DAX_FL)

/* xfs's hints of how much to allocate at a time */
#define VSERVER_COPY_XFLAGS	(FS_XFLAG_EXTSIZE | FS_XFLAG_COWEXTSIZE)

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
 * vserver_mark_copy - remember what an inode is the private copy of
 * @copy:	the copy, not yet visible to anybody
 * @of:		the unified inode
 */
void vserver_mark_copy(struct inode *copy, const struct inode *of)
{
	struct vserver_inode *vi = vserver_inode(copy);

	if (!vi)
		return;
	vi->origin_gen = of->i_generation;
	vi->origin_ino = of->i_ino;
}
EXPORT_SYMBOL_GPL(vserver_mark_copy);

/**
 * vserver_is_copy - was @inode made by breaking a link to @of?
 * @inode:	any inode
 * @of:		a unified inode, to which the caller holds a reference: so its
 *		number can't have gone to another
 *
 * A caller that lost the race to break a link goes on with the winner's copy,
 * but never with a file that merely has the name now.
 */
bool vserver_is_copy(const struct inode *inode, const struct inode *of)
{
	const struct vserver_inode *vi = vserver_inode(inode);

	return vi && vi->origin_ino && inode->i_sb == of->i_sb &&
	       vi->origin_ino == of->i_ino &&
	       vi->origin_gen == of->i_generation;
}
EXPORT_SYMBOL_GPL(vserver_is_copy);

/**
 * vserver_reachable - does a path lie under the caller's root?
 * @path:	the path
 *
 * A descriptor from elsewhere or a file handle may name any alias of a unified
 * inode, also one that is another guest's.
 */
bool vserver_reachable(const struct path *path)
{
	struct path root __free(path_put) = {};

	get_fs_root(current->fs, &root);
	return path_is_under(path, &root);
}
EXPORT_SYMBOL_GPL(vserver_reachable);

/**
 * vserver_deny_mount - let nobody mount on a name that is about to be replaced
 * @dentry:	the name, whose directory is locked
 *
 * A rename detaches what other namespaces have mounted on the name. Whoever
 * mounts does not take the directory's lock, but d_set_mounted() looks at the
 * flag under the dentry's, and says that the name has gone. Pair with
 * vserver_allow_mount().
 *
 * Return: false if something is mounted there, in any namespace.
 */
bool vserver_deny_mount(struct dentry *dentry)
{
	guard(spinlock)(&dentry->d_lock);
	if (d_mountpoint(dentry))
		return false;
	dentry->d_flags |= DCACHE_CANT_MOUNT;
	return true;
}
EXPORT_SYMBOL_GPL(vserver_deny_mount);

/**
 * vserver_allow_mount - undo vserver_deny_mount(), if the name is still there
 * @dentry:	the name, whose directory is locked
 */
void vserver_allow_mount(struct dentry *dentry)
{
	guard(spinlock)(&dentry->d_lock);
	if (!d_unlinked(dentry))
		dentry->d_flags &= ~DCACHE_CANT_MOUNT;
}
EXPORT_SYMBOL_GPL(vserver_allow_mount);

/*
 * What follows decides whether the caller may do the operation, as the
 * operation itself will again on the copy: nobody may fill the disk with
 * copies of files that he can't modify. Nothing here changes the inode.
 */

/* Would the mount or the disk have no id for the owner or group? */
static bool vserver_ids_overflow(struct mnt_idmap *idmap, struct inode *inode,
				 const struct iattr *attr)
{
	struct user_namespace *fs_userns = inode->i_sb->s_user_ns;

	if (attr->ia_valid & ATTR_UID ?
	    !vfsuid_has_fsmapping(idmap, fs_userns, attr->ia_vfsuid) :
	    !vfsuid_valid(i_uid_into_vfsuid(idmap, inode)))
		return true;
	return attr->ia_valid & ATTR_GID ?
	       !vfsgid_has_fsmapping(idmap, fs_userns, attr->ia_vfsgid) :
	       !vfsgid_valid(i_gid_into_vfsgid(idmap, inode));
}

static int vserver_may_setattr(const struct path *path, struct iattr *attr)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct inode *inode = d_backing_inode(path->dentry);
	int error;

	if (attr->ia_valid & ATTR_TOUCH &&
	    !inode_owner_or_capable(idmap, inode)) {
		error = inode_permission(idmap, inode, MAY_WRITE | MAY_COW);
		if (error)
			return error;
	}
	if (vserver_ids_overflow(idmap, inode, attr))
		return -EOVERFLOW;
	error = setattr_prepare(idmap, path->dentry, attr);
	if (error)
		return error;
	return security_inode_setattr(idmap, path->dentry, attr);
}

/*
 * Need what is cut off not be copied? Watchers that are asked for permission
 * may still refuse, and integrity measurement looks at the whole content.
 */
bool vserver_may_cut(const struct path *path)
{
	struct dentry *dentry = path->dentry;

#ifdef CONFIG_FANOTIFY_ACCESS_PERMISSIONS
	if (fsnotify_sb_has_priority_watchers(dentry->d_sb,
					      FSNOTIFY_PRIO_CONTENT))
		return false;
#endif
	return !IS_ENABLED(CONFIG_IMA_APPRAISE) ||
	       __vfs_getxattr(dentry, d_backing_inode(dentry), XATTR_NAME_IMA,
			      NULL, 0) == -ENODATA;
}

int __vserver_truncate(struct path *path, loff_t length)
{
	struct inode *inode = d_backing_inode(path->dentry);
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	bool cut;
	int error;

	error = inode_permission(idmap, inode, MAY_WRITE | MAY_COW);
	if (!error)
		error = inode_newsize_ok(inode, length);
	if (!error)
		error = security_path_truncate(path);
	if (error)
		return error;

	/*
	 * xfs finds nothing to do when an empty file is truncated, and would
	 * leave it set-user-id.
	 */
	cut = vserver_may_cut(path) &&
	      (length || !setattr_should_drop_suidgid(idmap, inode));

	/* What is cut off has gone: nobody may make the mount read-only now. */
	error = mnt_get_write_access(path->mnt);
	if (error)
		return error;
	error = __vserver_break_link(path, cut ? length : VSERVER_KEEP_ALL);
	if (!error)
		error = vserver_raced(d_backing_inode(path->dentry),
				      vfs_truncate(path, length), false);
	mnt_put_write_access(path->mnt);
	return error;
}

int __vserver_cow_chmod(struct path *path, umode_t mode)
{
	struct iattr attr = {
		.ia_valid = ATTR_MODE,
		.ia_mode = (mode & S_IALLUGO) | S_IFREG,
	};
	int error;

	error = security_path_chmod(path, mode);
	if (!error)
		error = vserver_may_setattr(path, &attr);
	if (error)
		return error;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

int __vserver_cow_chown(struct path *path, uid_t user, gid_t group)
{
	kuid_t uid = make_kuid(current_user_ns(), user);
	kgid_t gid = make_kgid(current_user_ns(), group);
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct user_namespace *fs_userns = d_backing_inode(path->dentry)->i_sb->s_user_ns;
	struct iattr attr = {
		.ia_vfsuid = INVALID_VFSUID,
		.ia_vfsgid = INVALID_VFSGID,
	};
	int error;

	if (user != (uid_t)-1) {
		if (!uid_valid(uid))
			return -EINVAL;
		attr.ia_valid |= ATTR_UID;
		attr.ia_vfsuid = VFSUIDT_INIT(uid);
	}
	if (group != (gid_t)-1) {
		if (!gid_valid(gid))
			return -EINVAL;
		attr.ia_valid |= ATTR_GID;
		attr.ia_vfsgid = VFSGIDT_INIT(gid);
	}
	/* Anybody may ask for no change; only the owner is worth a copy. */
	if (!attr.ia_valid &&
	    !inode_owner_or_capable(idmap, d_backing_inode(path->dentry)))
		return -EPERM;
	error = security_path_chown(path,
				    from_vfsuid(idmap, fs_userns, attr.ia_vfsuid),
				    from_vfsgid(idmap, fs_userns, attr.ia_vfsgid));
	if (!error)
		error = vserver_may_setattr(path, &attr);
	if (error)
		return error;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

int __vserver_cow_utimes(struct path *path, bool touch)
{
	struct iattr attr = {
		.ia_valid = touch ? ATTR_TOUCH : ATTR_TIMES_SET,
	};
	int error;

	error = vserver_may_setattr(path, &attr);
	if (error)
		return error;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

/* xattr_permission() without the look at immutability, the VFS's part. */
static int vserver_may_write_xattr(const struct path *path, const char *name)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct inode *inode = d_backing_inode(path->dentry);

	if (IS_APPEND(inode) || HAS_UNMAPPED_ID(idmap, inode))
		return -EPERM;
	if (!strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN))
		return 0;
	if (!strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN))
		return inode_owner_or_capable(idmap, inode) ? 0 : -EPERM;
	if (!strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN))
		return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	return inode_permission(idmap, inode, MAY_WRITE | MAY_COW);
}

int __vserver_cow_setxattr(struct path *path, const char *name,
			   const void *value, size_t size, int flags)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct inode *inode = d_backing_inode(path->dentry);
	int error;

	error = vserver_may_write_xattr(path, name);
	if (error)
		return error;
	if (!strcmp(name, XATTR_NAME_CAPS) &&
	    !capable_wrt_inode_uidgid(idmap, inode, CAP_SETFCAP))
		return -EPERM;
	if (!is_posix_acl_xattr(name)) {
		guard(rwsem_write)(&inode->i_rwsem);
		error = security_inode_setxattr(idmap, path->dentry, name,
						value, size, flags);
		if (error)
			return error;
	}
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

int __vserver_cow_removexattr(struct path *path, const char *name)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int error;

	error = vserver_may_write_xattr(path, name);
	if (error)
		return error;
	if (!is_posix_acl_xattr(name)) {
		guard(rwsem_write)(&d_backing_inode(path->dentry)->i_rwsem);
		error = security_inode_removexattr(idmap, path->dentry, name);
		if (error)
			return error;
	}
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

int __vserver_nameless(struct dentry **dentry)
{
	struct inode *inode = d_backing_inode(*dentry);
	struct dentry *nameless;

	if (inode->i_nlink <= 1)
		return 0;
	nameless = d_alloc_anon(inode->i_sb);
	if (!nameless)
		return -ENOMEM;
	ihold(inode);
	d_instantiate(nameless, inode);
	dput(*dentry);
	*dentry = nameless;
	return 0;
}

int __vserver_raced(struct inode *inode, int error, bool nowait)
{
	struct vserver_inode *vi = vserver_inode(inode);

	if (!vi || !S_ISREG(inode->i_mode))
		return error;
	if (!(READ_ONCE(vi->state) & VSERVER_STATE_BREAKING))
		return __vserver_unified(inode) ? -ESTALE : error;
	if (nowait)
		return -EAGAIN;
	error = wait_var_event_killable(&vi->state, !(READ_ONCE(vi->state) &
						      VSERVER_STATE_BREAKING));
	return error ?: -ESTALE;
}

bool __vserver_silent(void)
{
	return vserver_cred(current_cred())->silent;
}

/**
 * vserver_cred_silence - let nothing that is done with credentials be an event
 * @cred:	new credentials, which nobody uses yet
 */
void vserver_cred_silence(struct cred *cred)
{
	vserver_cred(cred)->silent = true;
}
EXPORT_SYMBOL_GPL(vserver_cred_silence);
