// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: modifying a unified file
 *
 * Each decides whether the caller may do the operation, as the operation itself
 * will again on the copy, and has the link broken: nobody may fill the disk with
 * copies of files that he can't modify. Nothing of the inode that its other names
 * show changes before that.
 */

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/mount.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/string.h>
#include <linux/vserver_caps.h>
#include <linux/vserver_cow.h>
#include <linux/xattr.h>
#include <uapi/linux/vserver.h>

#include "../../fs/internal.h"
#ifdef CONFIG_IMA
#include "../integrity/ima/ima.h"
#endif
#include "../landlock/cred.h"
#include "../landlock/setup.h"
#include "internal.h"

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

/*
 * As notify_change() does. Returns 0, their errno, or -EINTR if the caller is
 * being killed. Locks the inode.
 */
static int vserver_ask_before_setattr(const struct path *path,
				      struct iattr *attr)
{
	struct inode *inode = d_backing_inode(path->dentry);
	int error;

	error = inode_lock_killable(inode);
	if (error)
		return error;
	error = security_inode_setattr(mnt_idmap(path->mnt), path->dentry, attr);
	inode_unlock(inode);
	return error;
}

/**
 * vserver_ask_before_cut - ask security modules about a truncation
 * @path:	a unified file
 * @length:	its size then
 * @time_attrs:	ATTR_*, what else changes
 * @file:	by which it is opened, or NULL
 *
 * All that do_truncate() has them asked. Locks the inode.
 *
 * Return: 0, their errno, or -EINTR if the caller is being killed.
 */
int vserver_ask_before_cut(const struct path *path, loff_t length,
			   unsigned int time_attrs, struct file *file)
{
	struct iattr attr = {
		.ia_valid = ATTR_SIZE | time_attrs | (file ? ATTR_FILE : 0),
		.ia_size = length,
		.ia_file = file,
		.ia_mode = d_backing_inode(path->dentry)->i_mode,
	};
	int privs;

	privs = dentry_needs_remove_privs(mnt_idmap(path->mnt), path->dentry);
	if (privs < 0)
		return privs;
	if (privs)
		attr.ia_valid |= privs | ATTR_FORCE;
	if (privs & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		attr.ia_valid |= ATTR_MODE;
	if (privs & ATTR_KILL_SUID)
		attr.ia_mode &= ~S_ISUID;
	if (privs & ATTR_KILL_SGID)
		attr.ia_mode &= ~S_ISGID;
	return vserver_ask_before_setattr(path, &attr);
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
	/* In the order of notify_change() and the file system. */
	error = vserver_ask_before_setattr(path, attr);
	if (error)
		return error;
	return setattr_prepare(idmap, path->dentry, attr);
}

/* A rule of Landlock's may be for the inode: then there is none for the copy. */
static bool vserver_landlocked(void)
{
#ifdef CONFIG_SECURITY_LANDLOCK
	return landlock_initialized && landlocked(current);
#else
	return false;
#endif
}

/* Does integrity measurement or appraisal look at the content that is opened? */
static bool vserver_measured(void)
{
#ifdef CONFIG_IMA
	return ima_policy_flag & (IMA_MEASURE | IMA_APPRAISE | IMA_AUDIT);
#else
	return false;
#endif
}

/*
 * Need what is cut off not be copied? Watchers that are asked for permission,
 * Landlock and integrity appraisal may still refuse.
 */
bool vserver_may_cut(const struct path *path)
{
	if (vserver_landlocked() || vserver_measured())
		return false;
#ifdef CONFIG_FANOTIFY_ACCESS_PERMISSIONS
	if (fsnotify_sb_has_priority_watchers(path->dentry->d_sb,
					      FSNOTIFY_PRIO_CONTENT))
		return false;
#endif
	return true;
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
	if (!error)
		error = vserver_ask_before_cut(path, length, 0, NULL);
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
		return vserver_trusted_capable(name) ? 0 : -EPERM;
	return inode_permission(idmap, inode, MAY_WRITE | MAY_COW);
}

/* The inode is locked. */
static int vserver_ask_before_acl(const struct path *path, const char *name,
				  const void *value, size_t size)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct posix_acl *acl = NULL;
	int error;

	if (size) {
		acl = posix_acl_from_xattr(current_user_ns(), value, size);
		if (IS_ERR(acl))
			return PTR_ERR(acl);
	}
	error = security_inode_set_acl(idmap, path->dentry, name, acl);
	posix_acl_release(acl);
	return error;
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
	scoped_guard(rwsem_write, &inode->i_rwsem) {
		if (is_posix_acl_xattr(name))
			error = vserver_ask_before_acl(path, name, value, size);
		else
			error = security_inode_setxattr(idmap, path->dentry,
							name, value, size,
							flags);
	}
	if (error)
		return error;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}

int __vserver_cow_removexattr(struct path *path, const char *name)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	int error;

	error = vserver_may_write_xattr(path, name);
	if (error)
		return error;
	scoped_guard(rwsem_write, &d_backing_inode(path->dentry)->i_rwsem) {
		if (is_posix_acl_xattr(name))
			error = security_inode_remove_acl(idmap, path->dentry,
							  name);
		else
			error = security_inode_removexattr(idmap, path->dentry,
							   name);
	}
	if (error)
		return error;
	return __vserver_break_link(path, VSERVER_KEEP_ALL);
}
