/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of descriptors */
#ifndef _LINUX_VSERVER_FILES_H
#define _LINUX_VSERVER_FILES_H

#include <linux/fdtable.h>
#include <linux/jump_label.h>

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

int __vserver_files_init(struct files_struct *files);
void __vserver_files_exit(struct files_struct *files);
int __vserver_fd_charge(const struct files_struct *files);
void __vserver_fd_uncharge(const struct files_struct *files);

/**
 * vserver_files_init - count the descriptors of a new table
 * @files:	a copy of the caller's that nobody else knows yet
 *
 * Return: 0, or -EMFILE if the context then had more than it may have.
 */
static __always_inline int vserver_files_init(struct files_struct *files)
{
	files->vserver = NULL;
	if (static_branch_unlikely(&vserver_key))
		return __vserver_files_init(files);
	return 0;
}

/**
 * vserver_files_exit - a table is freed
 * @files:	the table, whose bits still say what was open
 */
static __always_inline void vserver_files_exit(struct files_struct *files)
{
	if (static_branch_unlikely(&vserver_key) && files->vserver)
		__vserver_files_exit(files);
}

/**
 * vserver_fd_charge - count a descriptor that is about to be taken
 * @files:	the table, whose lock is held
 *
 * Return: 0, or -EMFILE if its context has as many as it may have.
 */
static __always_inline int vserver_fd_charge(const struct files_struct *files)
{
	if (static_branch_unlikely(&vserver_key) && files->vserver)
		return __vserver_fd_charge(files);
	return 0;
}

/**
 * vserver_fd_uncharge - a descriptor is free again
 * @files:	the table, whose lock is held
 */
static __always_inline void
vserver_fd_uncharge(const struct files_struct *files)
{
	if (static_branch_unlikely(&vserver_key) && files->vserver)
		__vserver_fd_uncharge(files);
}

#else

static inline int vserver_files_init(struct files_struct *files) { return 0; }
static inline void vserver_files_exit(struct files_struct *files) {}
static inline int vserver_fd_charge(const struct files_struct *files)
{
	return 0;
}

static inline void vserver_fd_uncharge(const struct files_struct *files) {}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_FILES_H */
