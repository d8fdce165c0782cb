// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: address space, locked memory and descriptors
 *
 * Memory and tables of descriptors are of the context in which they were made,
 * or to which the process that has them moved. They remember it, with a
 * reference: others may look at them when all of their processes are gone.
 */

#include <linux/bitmap.h>
#include <linux/fdtable.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vserver_files.h>
#include <linux/vserver_mm.h>

#include "internal.h"

static void vserver_account(struct vserver_ctx *ctx, unsigned int id, s64 n)
{
	if (n > 0)
		vserver_limit_force(ctx, id, n);
	else if (n < 0)
		vserver_limit_uncharge(ctx, id, -n);
}

void __vserver_mm_init(struct mm_struct *mm)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return;
	vserver_ctx_get(ctx);
	mm->vserver = ctx;
}

/* Whoever changes it after this, for a device, changes nothing here. */
void __vserver_mm_exit(struct mm_struct *mm)
{
	vserver_account(mm->vserver, RLIMIT_AS, -(s64)mm->total_vm);
	vserver_account(mm->vserver, RLIMIT_MEMLOCK, -(s64)mm->locked_vm);
	vserver_ctx_put(mm->vserver);
	mm->vserver = NULL;
}

int __vserver_vm_charge(const struct mm_struct *mm, unsigned long pages)
{
	if (!vserver_limit_charge(mm->vserver, RLIMIT_AS, pages))
		return -ENOMEM;
	return 0;
}

bool __vserver_vm_fits(const struct mm_struct *mm, unsigned long pages)
{
	return vserver_limit_fits(mm->vserver, RLIMIT_AS, pages);
}

void __vserver_vm_account(const struct mm_struct *mm, long pages)
{
	vserver_account(mm->vserver, RLIMIT_AS, pages);
}

unsigned long __vserver_locked_room(const struct mm_struct *mm)
{
	return vserver_limit_room(mm->vserver, RLIMIT_MEMLOCK);
}

bool __vserver_locked_fits(const struct mm_struct *mm, unsigned long pages)
{
	return vserver_limit_fits(mm->vserver, RLIMIT_MEMLOCK, pages);
}

void __vserver_locked_account(const struct mm_struct *mm, long pages)
{
	vserver_account(mm->vserver, RLIMIT_MEMLOCK, pages);
}

/* How many descriptors are open. Nobody changes that, or its lock is held. */
static unsigned int vserver_open_fds(struct files_struct *files)
{
	const struct fdtable *fdt = rcu_dereference_raw(files->fdt);

	return bitmap_weight(fdt->open_fds, fdt->max_fds);
}

int __vserver_files_init(struct files_struct *files)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return 0;
	if (!vserver_limit_charge(ctx, VLIMIT_OPENFD, vserver_open_fds(files)))
		return -EMFILE;
	vserver_ctx_get(ctx);
	files->vserver = ctx;
	return 0;
}

void __vserver_files_exit(struct files_struct *files)
{
	vserver_limit_uncharge(files->vserver, VLIMIT_OPENFD,
			       vserver_open_fds(files));
	vserver_ctx_put(files->vserver);
}

int __vserver_fd_charge(const struct files_struct *files)
{
	if (!vserver_limit_charge(files->vserver, VLIMIT_OPENFD, 1))
		return -EMFILE;
	return 0;
}

void __vserver_fd_uncharge(const struct files_struct *files)
{
	vserver_limit_uncharge(files->vserver, VLIMIT_OPENFD, 1);
}

/**
 * vserver_mm_enter - the caller takes what it has along into a context
 * @ctx:	the context
 *
 * The caller is on the host, and shares neither its memory nor its descriptors
 * with another process. None of it is refused. May sleep.
 *
 * Return: 0, or -EINTR if the caller was killed while it waited
 */
int vserver_mm_enter(struct vserver_ctx *ctx)
{
	struct files_struct *files = current->files;
	struct mm_struct *mm = current->mm;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vserver_ctx_get(ctx);
	mm->vserver = ctx;
	vserver_account(ctx, RLIMIT_AS, mm->total_vm);
	vserver_account(ctx, RLIMIT_MEMLOCK, mm->locked_vm);
	mmap_write_unlock(mm);

	spin_lock(&files->file_lock);
	vserver_ctx_get(ctx);
	files->vserver = ctx;
	vserver_account(ctx, VLIMIT_OPENFD, vserver_open_fds(files));
	spin_unlock(&files->file_lock);
	return 0;
}
