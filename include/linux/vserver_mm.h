/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of address space and locked memory */
#ifndef _LINUX_VSERVER_MM_H
#define _LINUX_VSERVER_MM_H

#include <linux/jump_label.h>
#include <linux/limits.h>
#include <linux/mm_types.h>

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

void __vserver_mm_init(struct mm_struct *mm);
void __vserver_mm_exit(struct mm_struct *mm);
int __vserver_vm_charge(const struct mm_struct *mm, unsigned long pages);
bool __vserver_vm_fits(const struct mm_struct *mm, unsigned long pages);
void __vserver_vm_account(const struct mm_struct *mm, long pages);
unsigned long __vserver_locked_room(const struct mm_struct *mm);
bool __vserver_locked_fits(const struct mm_struct *mm, unsigned long pages);
void __vserver_locked_account(const struct mm_struct *mm, long pages);

/**
 * vserver_mm_init - memory is about to have its first mapping
 * @mm:		the caller's, or that of its child or of the program it runs
 */
static __always_inline void vserver_mm_init(struct mm_struct *mm)
{
	mm->vserver = NULL;
	if (static_branch_unlikely(&vserver_key))
		__vserver_mm_init(mm);
}

/**
 * vserver_mm_exit - nothing is mapped any more
 * @mm:		the memory; mmap_lock is held, or nobody else has a reference
 */
static __always_inline void vserver_mm_exit(struct mm_struct *mm)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		__vserver_mm_exit(mm);
}

/**
 * vserver_vm_charge - count what a child is about to have mapped
 * @mm:		its memory, of which nothing is counted yet
 * @pages:	how much that is
 *
 * Return: 0, or -ENOMEM if the context then had more than it may have.
 */
static __always_inline int vserver_vm_charge(const struct mm_struct *mm,
					     unsigned long pages)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		return __vserver_vm_charge(mm, pages);
	return 0;
}

/**
 * vserver_vm_fits - whether a context may have more mapped
 * @mm:		by whom
 * @pages:	how much more
 *
 * Those who ask at the same time may each be told yes.
 */
static __always_inline bool vserver_vm_fits(const struct mm_struct *mm,
					    unsigned long pages)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		return __vserver_vm_fits(mm, pages);
	return true;
}

/**
 * vserver_vm_account - count a change of total_vm
 * @mm:		where it changed
 * @pages:	by how much
 */
static __always_inline void vserver_vm_account(const struct mm_struct *mm,
					       long pages)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		__vserver_vm_account(mm, pages);
}

/**
 * vserver_locked_room - how much more a context may have locked
 * @mm:		by whom
 *
 * Return: pages
 */
static __always_inline unsigned long
vserver_locked_room(const struct mm_struct *mm)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		return __vserver_locked_room(mm);
	return ULONG_MAX;
}

/**
 * vserver_locked_fits - whether a context may have more locked
 * @mm:		by whom
 * @pages:	how much more
 *
 * As vserver_vm_fits()
 */
static __always_inline bool vserver_locked_fits(const struct mm_struct *mm,
						unsigned long pages)
{
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		return __vserver_locked_fits(mm, pages);
	return true;
}

/**
 * vserver_locked_add - change locked_vm, and count it
 * @mm:		whose
 * @pages:	by how much
 */
static __always_inline void vserver_locked_add(struct mm_struct *mm, long pages)
{
	mm->locked_vm += pages;
	if (static_branch_unlikely(&vserver_key) && mm->vserver)
		__vserver_locked_account(mm, pages);
}

#else

static inline void vserver_mm_init(struct mm_struct *mm) {}
static inline void vserver_mm_exit(struct mm_struct *mm) {}
static inline int vserver_vm_charge(const struct mm_struct *mm,
				    unsigned long pages)
{
	return 0;
}

static inline bool vserver_vm_fits(const struct mm_struct *mm,
				   unsigned long pages)
{
	return true;
}

static inline void vserver_vm_account(const struct mm_struct *mm, long pages) {}
static inline unsigned long vserver_locked_room(const struct mm_struct *mm)
{
	return ULONG_MAX;
}

static inline bool vserver_locked_fits(const struct mm_struct *mm,
				       unsigned long pages)
{
	return true;
}

static inline void vserver_locked_add(struct mm_struct *mm, long pages)
{
	mm->locked_vm += pages;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_MM_H */
