/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: what of /proc there is for whom; internal.h includes this */
#ifndef _FS_PROC_VSERVER_H
#define _FS_PROC_VSERVER_H

#include <linux/vserver_illusion.h>
#include <linux/vserver_init.h>
#include <linux/vserver_visible.h>

/* An entry's attributes are three of its flags, IATTR_* shifted by this. */
#define PROC_ENTRY_IATTR_SHIFT	4

#ifdef CONFIG_SECURITY_VSERVER

const struct dentry_operations *proc_root_d_op(void);
void pde_set_iattr_default(const struct proc_dir_entry *dir,
			   struct proc_dir_entry *de);

/* What lies below an entry is reached through it. */
static inline bool pde_visible(const struct proc_dir_entry *de)
{
	const struct proc_dir_entry *dir = de->parent, *above = dir->parent;

	if (!vserver_sees_entry(READ_ONCE(de->flags) >> PROC_ENTRY_IATTR_SHIFT))
		return false;
	/* The root is its own parent. */
	return dir == above || above != above->parent ||
	       vserver_sees_proc_in(dir->name, dir->data, de->name);
}

#else

static inline const struct dentry_operations *proc_root_d_op(void)
{
	return NULL;
}

static inline void pde_set_iattr_default(const struct proc_dir_entry *dir,
					 struct proc_dir_entry *de)
{
}

static inline bool pde_visible(const struct proc_dir_entry *de)
{
	return true;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _FS_PROC_VSERVER_H */
