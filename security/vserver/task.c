// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: which context a task belongs to */

#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/fdtable.h>
#include <linux/fs_struct.h>
#include <linux/iocontext.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/resource.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sem.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/vserver_init.h>
#include <linux/vserver_sched.h>

#include "internal.h"

/* task_alloc: a child is born into its parent's context, if there is room. */
int vserver_task_alloc(struct task_struct *p, u64 clone_flags)
{
	const struct vserver_task *parent = vserver_task(current);
	struct vserver_task *vt = vserver_task(p);
	int error = vserver_may_clone(clone_flags);

	if (error)
		return error;
	if (parent->ctx && !vserver_limit_charge(parent->ctx, RLIMIT_NPROC, 1))
		return -EAGAIN;
	vt->xid = parent->xid;
	vt->tag = parent->tag;
	vt->ctx = parent->ctx;
	if (vt->ctx) {
		vserver_ctx_get(vt->ctx);
		atomic_inc(&vt->ctx->tasks);
		atomic_inc(&vt->ctx->forks);
		vt->counted = true;
		vt->entered = parent->entered;
		vt->prio_bias = parent->prio_bias;
	}
	return 0;
}

/*
 * task_free: may run in softirq. A task is still counted here only if its
 * fork failed, and then its parent is counted too: never the last one.
 */
void vserver_task_free(struct task_struct *p)
{
	struct vserver_task *vt = vserver_task(p);

	if (!vt->ctx)
		return;
	if (vt->counted) {
		vserver_limit_uncharge(vt->ctx, RLIMIT_NPROC, 1);
		atomic_dec(&vt->ctx->tasks);
	}
	vserver_ctx_put(vt->ctx);
}

/*
 * bprm_committed_creds: memory and what was to be closed on exec are gone. Those
 * who look wait for the end of exec, by its locks.
 */
void vserver_bprm_committed_creds(const struct linux_binprm *bprm)
{
	WRITE_ONCE(vserver_task(current)->entered, false);
}

/* The time until the last switch is still billed: the reference stays. */
void __vserver_exit(struct task_struct *p, bool group_dead, long code)
{
	struct vserver_task *vt = vserver_task(p);
	bool last;

	if (!vt->counted)
		return;
	vt->counted = false;
	if (group_dead)
		cmpxchg(&vt->ctx->reaper, p->tgid, 0);
	vserver_limit_uncharge(vt->ctx, RLIMIT_NPROC, 1);
	last = atomic_dec_and_test(&vt->ctx->tasks);
	vt->ctx->ops->task_exit(vt->ctx, p->tgid, group_dead, code, last);
}

static void vserver_ctx_free(struct work_struct *work)
{
	struct vserver_ctx *ctx = container_of(to_rcu_work(work),
					       struct vserver_ctx, free_work);
	const struct vserver_ops *ops = ctx->ops;
	struct module *owner = ops->owner;

	vserver_load_end();
	vserver_limit_check(ctx);
	free_percpu(ctx->cpu);
	ops->ctx_free(ctx);
	vserver_users_dec();
	module_put(owner);
}

/* Ends wait for helpers and for mounts: not in a queue that these need. */
static struct workqueue_struct *vserver_end_wq __ro_after_init;

static int __init vserver_end_init(void)
{
	vserver_end_wq = alloc_workqueue("vserver", WQ_UNBOUND, 0);
	return vserver_end_wq ? 0 : -ENOMEM;
}
core_initcall(vserver_end_init);

static void vserver_ctx_end_work(struct work_struct *work)
{
	struct vserver_ctx *ctx = container_of(work, struct vserver_ctx,
					       end_work);

	ctx->ops->ctx_end(ctx);
	vserver_ctx_put(ctx);
}

static atomic64_t vserver_serial = ATOMIC64_INIT(0);

/* What hooks read is in one cache line, which counters don't share. */
static_assert(offsetofend(struct vserver_ctx, cpu) <= SMP_CACHE_BYTES);

/**
 * vserver_ctx_init - prepare the built-in part of a context
 * @ctx:	the context, which gets one reference
 * @xid:	its id
 * @ops:	the module's operations
 *
 * May sleep.
 *
 * Return: 0, -ENOMEM, or -ENODEV if the module is going away.
 */
int vserver_ctx_init(struct vserver_ctx *ctx, u32 xid,
		     const struct vserver_ops *ops)
{
	if (!vserver_end_wq)
		return -ENOMEM;
	memset(ctx, 0, sizeof(*ctx));
	ctx->cpu = alloc_percpu(struct vserver_cpu);
	if (!ctx->cpu)
		return -ENOMEM;
	if (!try_module_get(ops->owner)) {
		free_percpu(ctx->cpu);
		return -ENODEV;
	}
	vserver_contexts_begin();
	ctx->xid = xid;
	ctx->serial = atomic64_inc_return(&vserver_serial);
	refcount_set(&ctx->usage, 1);
	atomic_set(&ctx->tasks, 0);
	ctx->born_ns = ktime_get_boottime_ns();
	vserver_load_begin(&ctx->load);
	ctx->ops = ops;
	vserver_cpu_init(ctx);
	vserver_idle_init(ctx);
	vserver_limit_init(ctx);
	INIT_WORK(&ctx->end_work, vserver_ctx_end_work);
	INIT_RCU_WORK(&ctx->free_work, vserver_ctx_free);
	vserver_users_inc();
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_ctx_init);

void vserver_ctx_get(struct vserver_ctx *ctx)
{
	refcount_inc(&ctx->usage);
}
EXPORT_SYMBOL_GPL(vserver_ctx_get);

/* Any context, softirq included: freeing is left to a worker. */
void vserver_ctx_put(struct vserver_ctx *ctx)
{
	if (refcount_dec_and_test(&ctx->usage))
		queue_rcu_work(system_dfl_wq, &ctx->free_work);
}
EXPORT_SYMBOL_GPL(vserver_ctx_put);

/**
 * vserver_ctx_end - call the module's ctx_end() from a worker, once
 * @ctx:	the context; the worker has a reference of its own, given back by
 *		built-in code: the module may go as soon as its function returns
 */
void vserver_ctx_end(struct vserver_ctx *ctx)
{
	vserver_ctx_get(ctx);
	if (!queue_work(vserver_end_wq, &ctx->end_work))
		vserver_ctx_put(ctx);
}
EXPORT_SYMBOL_GPL(vserver_ctx_end);

/**
 * vserver_current_ctx - the caller's context
 *
 * Return: borrowed from the caller's blob, valid while the caller does not
 * call vserver_enter(); NULL on the host and for a spectator.
 */
struct vserver_ctx *vserver_current_ctx(void)
{
	return vserver_task(current)->ctx;
}
EXPORT_SYMBOL_GPL(vserver_current_ctx);

/*
 * Nothing that the caller has in common with processes that stay outside goes
 * in, and no hold on them. That it has children there, or is traced from there,
 * gives it nothing.
 */
static bool vserver_is_alone(void)
{
#ifdef CONFIG_IO_URING
	if (current->io_uring)
		return false;
#endif
#ifdef CONFIG_BLOCK
	/* What has its priority is set for all who share it. */
	if (current->io_context &&
	    atomic_read(&current->io_context->active_ref) > 1)
		return false;
#endif
	return current_is_single_threaded() &&
	       atomic_read(&current->files->count) == 1 &&
	       READ_ONCE(current->fs->users) == 1 &&
	       list_empty(&current->ptraced);
}

/**
 * vserver_enter - move the caller into a context
 * @ctx:	the context, whose reference is taken over on success, or NULL for
 *		the spectator
 * @xid:	its id
 *
 * The caller comes from the host or from the spectator context. For a context
 * it is one of @ctx->tasks from now on; the module's table is locked, so that
 * the context can't end meanwhile.
 *
 * Return: 0, -EPERM if the caller is inside a context, -EINVAL if it has
 * other threads, which would stay where they are, if it shares memory, open
 * files, the working directory or what I/O is queued by with another process,
 * has used io_uring or traces somebody, -EAGAIN if the context has as many
 * processes as it may have, -EINTR if the caller was killed, -ENOMEM. The files
 * that the caller has open stay the host's; its memory and descriptors do not.
 */
int vserver_enter(struct vserver_ctx *ctx, u32 xid)
{
	struct vserver_task *vt = vserver_task(current);
	struct cred *cred;
	int error;

	if (vt->ctx)
		return -EPERM;
	if (!vserver_is_alone())
		return -EINVAL;
	if (ctx) {
		cred = prepare_creds();
		if (!cred)
			return -ENOMEM;
		if (!vserver_limit_charge(ctx, RLIMIT_NPROC, 1)) {
			abort_creds(cred);
			return -EAGAIN;
		}
		error = vserver_mm_enter(ctx);
		if (error) {
			vserver_limit_uncharge(ctx, RLIMIT_NPROC, 1);
			abort_creds(cred);
			return error;
		}
		vserver_ctx_get(ctx);
		vserver_cred(cred)->ctx = ctx;
		atomic_inc(&ctx->tasks);
		vt->counted = true;
		WRITE_ONCE(vt->entered, true);
		/* Nor does what it brought along go into a core dump. */
		task_exec_state_set_dumpable(TASK_DUMPABLE_OFF);
		commit_creds(cred);
		/* What it left undone with semaphores is the host's. */
		exit_sem(current);
	} else {
		vserver_contexts_begin();
	}
	WRITE_ONCE(vt->xid, xid);
	WRITE_ONCE(vt->tag, ctx ? xid : 0);
	/* A charge from another CPU looks into the context without a lock. */
	smp_store_release(&vt->ctx, ctx);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_enter);

u32 vserver_current_xid(void)
{
	return vserver_task(current)->xid;
}
EXPORT_SYMBOL_GPL(vserver_current_xid);

/**
 * vserver_set_tag - say to which context what the caller makes is to belong
 * @tag:	a context's id, or 0
 *
 * Its children inherit it, and it goes when they enter a context.
 *
 * Return: 0; -EPERM inside a context, to which all belongs; -EINVAL.
 */
int vserver_set_tag(u32 tag)
{
	struct vserver_task *vt = vserver_task(current);

	if (vt->ctx)
		return tag == vt->tag ? 0 : -EPERM;
	if (!vserver_tag_valid(tag))
		return -EINVAL;
	WRITE_ONCE(vt->tag, tag);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_set_tag);

/**
 * vserver_task_xid - the context id of a process
 * @pid:	the process, in the caller's pid namespace; 0 is the caller
 * @xid:	the answer
 * @tag:	to which context what it makes belongs
 *
 * Return: 0, or -ESRCH if there is no such process.
 */
int vserver_task_xid(pid_t pid, u32 *xid, u32 *tag)
{
	struct task_struct *p = current;
	struct pid_namespace *ns;

	guard(rcu)();
	if (pid) {
		/* Not find_task_by_vpid(), which hides what others have. */
		ns = task_active_pid_ns(current);
		p = find_task_by_pid_ns(vserver_real_nr(pid, ns), ns);
	}
	if (!p)
		return -ESRCH;
	*xid = READ_ONCE(vserver_task(p)->xid);
	*tag = READ_ONCE(vserver_task(p)->tag);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_task_xid);

/**
 * vserver_ctx_signal - send a signal to processes of a context
 * @ctx:	the context
 * @which:	%VSERVER_SIGNAL_ALL of them, all %VSERVER_SIGNAL_BUT @tgid, or
 *		%VSERVER_SIGNAL_ONLY @tgid
 * @tgid:	a process, by its number in the initial pid namespace
 * @sig:	the signal, 0 to ask only whether there is anybody
 *
 * A process forked meanwhile may be missed unless @sig is fatal to its
 * parent: the fork of a process with a pending signal fails.
 *
 * Return: 0 if a process was reached, else -ESRCH or the last error.
 */
int vserver_ctx_signal(struct vserver_ctx *ctx, int which, pid_t tgid, int sig)
{
	struct task_struct *p;
	int error, ret = -ESRCH;

	read_lock(&tasklist_lock);
	for_each_process(p) {
		if (READ_ONCE(vserver_task(p)->ctx) != ctx)
			continue;
		if (which == VSERVER_SIGNAL_ONLY && p->tgid != tgid)
			continue;
		if (which == VSERVER_SIGNAL_BUT && p->tgid == tgid)
			continue;
		error = group_send_sig_info(sig, SEND_SIG_PRIV, p, PIDTYPE_MAX);
		if (ret)
			ret = error;
	}
	read_unlock(&tasklist_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vserver_ctx_signal);
