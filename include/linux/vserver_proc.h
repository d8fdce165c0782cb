/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: the attributes of entries of /proc */
#ifndef _LINUX_VSERVER_PROC_H
#define _LINUX_VSERVER_PROC_H

#include <linux/types.h>

struct inode;

u32 vserver_proc_iattr_mask(const struct inode *inode);
u32 vserver_proc_iattr(const struct inode *inode);
void vserver_proc_set_iattr(struct inode *inode, u32 flags, u32 mask);

#endif /* _LINUX_VSERVER_PROC_H */
