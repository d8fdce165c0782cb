// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what nobody may do to a unified file
 *
 * File systems do these to an immutable inode, and they are nothing for which a
 * copy could be made.
 */

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/vserver_cow.h>
#include <uapi/linux/ext4.h>
#include <uapi/linux/f2fs.h>
#include <uapi/linux/magic.h>

#include "internal.h"

/*
 * What a file system does to an immutable inode, too; so this is asked without
 * the module as well.
 */
static int vserver_refuse_unified(struct inode *inode)
{
	return IS_IMMUTABLE(inode) && __vserver_unified(inode) ? -EPERM : 0;
}

/* A quota file is written without being opened. */
int vserver_quota_on(struct dentry *dentry)
{
	return vserver_refuse_unified(d_backing_inode(dentry));
}

/*
 * What file systems do to an immutable inode by a descriptor that is open for
 * reading: ext4 lets the owner change the generation (without metadata
 * checksums) and the block map, f2fs lets anybody pin a file, set the priority
 * of its I/O and give up or claim back the blocks that compression saves, and
 * an administrator write it anew elsewhere, through folios that are not for that.
 */
int vserver_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case FS_IOC_SETVERSION:
	case FS_IOC32_SETVERSION:
		/* ecryptfs passes these on to a file about which nobody is asked. */
		if (file_inode(file)->i_sb->s_magic == ECRYPTFS_SUPER_MAGIC)
			return -EPERM;
		fallthrough;
	case EXT4_IOC_SETVERSION:
	case EXT4_IOC32_SETVERSION:
	case EXT4_IOC_MIGRATE:
	case F2FS_IOC_DEFRAGMENT:
	case F2FS_IOC_IO_PRIO:
	case F2FS_IOC_SET_PIN_FILE:
	case F2FS_IOC_RELEASE_COMPRESS_BLOCKS:
	case F2FS_IOC_RESERVE_COMPRESS_BLOCKS:
		return vserver_refuse_unified(file_inode(file));
	default:
		return vserver_tag_ioctl(file, cmd) ?:
		       vserver_tty_ioctl(file, cmd);
	}
}
