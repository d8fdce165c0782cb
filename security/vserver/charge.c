// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: files, locks and IPC objects of a context
 *
 * A file is counted to the context of who opens it, a lock to that of its
 * file, a queue, segment or array to that of its creator. What the host opens
 * and passes in stays the host's.
 */

#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/ipc.h>
#include <linux/resource.h>
#include <linux/vserver_limit.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

/* file_alloc_security: ENFILE, as at the system's own limit. */
int vserver_file_alloc(struct file *file)
{
	struct vserver_ctx *ctx;

	if (!static_branch_unlikely(&vserver_key))
		return 0;
	ctx = vserver_cred(file->f_cred)->ctx;
	if (likely(!ctx))
		return 0;
	if (!vserver_limit_charge(ctx, RLIMIT_NOFILE, 1))
		return -ENFILE;
	vserver_file(file)->ctx = ctx;
	return 0;
}

/* file_free_security: comes before the file gives its credentials back. */
void vserver_file_free(struct file *file)
{
	struct vserver_ctx *ctx;

	if (!static_branch_unlikely(&vserver_key))
		return;
	ctx = vserver_file(file)->ctx;
	if (unlikely(ctx))
		vserver_limit_uncharge(ctx, RLIMIT_NOFILE, 1);
}

/* A lock is held no longer than its file is open. */
int __vserver_lock_charge(const struct file *file)
{
	struct vserver_ctx *ctx = vserver_file(file)->ctx;

	if (!ctx || vserver_limit_charge(ctx, RLIMIT_LOCKS, 1))
		return 0;
	return -ENOLCK;
}

void __vserver_lock_force(const struct file *file)
{
	struct vserver_ctx *ctx = vserver_file(file)->ctx;

	/* The lock that it replaces goes next: this is no new maximum. */
	if (ctx)
		atomic64_inc(&ctx->limits[RLIMIT_LOCKS].value);
}

void __vserver_lock_uncharge(const struct file *file)
{
	struct vserver_ctx *ctx = vserver_file(file)->ctx;

	if (ctx)
		vserver_limit_uncharge(ctx, RLIMIT_LOCKS, 1);
}

static void vserver_ipc_remember(struct kern_ipc_perm *perm,
				 struct vserver_ctx *ctx, unsigned int id,
				 unsigned long n)
{
	struct vserver_ipc *vi = vserver_ipc(perm);

	vserver_ctx_get(ctx);
	vi->ctx = ctx;
	vi->id = id;
	vi->n = n;
}

int __vserver_msg_charge(struct kern_ipc_perm *perm, unsigned long bytes)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return 0;
	if (!vserver_limit_charge(ctx, RLIMIT_MSGQUEUE, bytes))
		return -ENOSPC;
	vserver_ipc_remember(perm, ctx, RLIMIT_MSGQUEUE, bytes);
	return 0;
}

/* The queue's lock is held. */
int __vserver_msg_resize(struct kern_ipc_perm *perm, unsigned long bytes)
{
	struct vserver_ipc *vi = vserver_ipc(perm);

	if (!vi->ctx)
		return 0;
	if (bytes < vi->n)
		vserver_limit_uncharge(vi->ctx, vi->id, vi->n - bytes);
	else if (!vserver_limit_charge(vi->ctx, vi->id, bytes - vi->n))
		return -ENOSPC;
	vi->n = bytes;
	return 0;
}

/* EMFILE, as at the limit of the caller's user. */
int __vserver_mq_charge(struct vserver_charged *charged, unsigned long bytes)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return 0;
	if (!vserver_limit_charge(ctx, RLIMIT_MSGQUEUE, bytes))
		return -EMFILE;
	vserver_ctx_get(ctx);
	charged->ctx = ctx;
	charged->n = bytes;
	return 0;
}

void __vserver_mq_uncharge(struct vserver_charged *charged)
{
	if (!charged->ctx)
		return;
	vserver_limit_uncharge(charged->ctx, RLIMIT_MSGQUEUE, charged->n);
	vserver_ctx_put(charged->ctx);
}

int __vserver_shm_charge(struct kern_ipc_perm *perm, unsigned long pages)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return 0;
	if (!vserver_limit_charge(ctx, VLIMIT_SHMEM, pages))
		return -ENOSPC;
	vserver_ipc_remember(perm, ctx, VLIMIT_SHMEM, pages);
	return 0;
}

int __vserver_sem_charge(struct kern_ipc_perm *perm, int nsems)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx)
		return 0;
	if (!vserver_limit_charge(ctx, VLIMIT_SEMARY, 1))
		return -ENOSPC;
	if (!vserver_limit_charge(ctx, VLIMIT_NSEMS, nsems)) {
		vserver_limit_uncharge(ctx, VLIMIT_SEMARY, 1);
		return -ENOSPC;
	}
	vserver_ipc_remember(perm, ctx, VLIMIT_NSEMS, nsems);
	return 0;
}

/*
 * Also the hooks that free the objects' blobs, for those whose creation failed:
 * the others have been counted off when they were removed.
 */
void __vserver_ipc_uncharge(struct kern_ipc_perm *perm)
{
	struct vserver_ipc *vi = vserver_ipc(perm);
	struct vserver_ctx *ctx;

	if (!vi || !vi->ctx)
		return;
	ctx = vi->ctx;
	vi->ctx = NULL;
	vserver_limit_uncharge(ctx, vi->id, vi->n);
	if (vi->id == VLIMIT_NSEMS)
		vserver_limit_uncharge(ctx, VLIMIT_SEMARY, 1);
	vserver_ctx_put(ctx);
}
