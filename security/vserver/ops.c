// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: the module's operations
 *
 * vserver_key is on while a module is registered. Hooks that have a context
 * at hand reach the operations through it: a context holds a reference to the
 * module. The others pin the module for the call.
 */

#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>
#include <linux/vserver_cow.h>
#include <linux/vserver_sched.h>
#include <linux/wait_bit.h>

#include <asm/irq_regs.h>

#include "internal.h"

struct static_key_false vserver_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(vserver_key);

static const struct vserver_ops __rcu *vserver_ops;
static DEFINE_MUTEX(vserver_ops_lock);
static atomic_t vserver_users = ATOMIC_INIT(0);

DEFINE_STATIC_CALL_RET0(vserver_charge_call, vserver_charge_type);

/**
 * vserver_register - give the hooks something to call
 * @ops:	the operations, valid until vserver_unregister() returns
 *
 * Return: 0, -EBUSY if a module is registered already, -EOPNOTSUPP if the
 * kernel was booted without the vserver security module, -ENOMEM.
 */
int vserver_register(const struct vserver_ops *ops)
{
	int error;

	if (!vserver_lsm_enabled)
		return -EOPNOTSUPP;

	guard(mutex)(&vserver_ops_lock);
	if (rcu_access_pointer(vserver_ops))
		return -EBUSY;
	error = vserver_traffic_start();
	if (error)
		return error;
	rcu_assign_pointer(vserver_ops, ops);
	static_call_update(vserver_charge_call, ops->charge);
	static_branch_enable(&vserver_key);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_register);

/**
 * vserver_unregister - stop calling @ops
 * @ops:	what vserver_register() got
 *
 * Called when the module goes, so no context and no call in progress holds a
 * reference to it. Whoever calls it otherwise waits for them. May sleep.
 */
void vserver_unregister(const struct vserver_ops *ops)
{
	guard(mutex)(&vserver_ops_lock);
	if (WARN_ON_ONCE(rcu_access_pointer(vserver_ops) != ops))
		return;
	static_branch_disable(&vserver_key);
	static_call_update(vserver_charge_call,
			   (void *)&__static_call_return0);
	RCU_INIT_POINTER(vserver_ops, NULL);
	synchronize_rcu();
	wait_var_event(&vserver_users, !atomic_read(&vserver_users));
	vserver_traffic_stop();
}
EXPORT_SYMBOL_GPL(vserver_unregister);

const struct vserver_ops *vserver_ops_get(void)
{
	const struct vserver_ops *ops;

	guard(rcu)();
	ops = rcu_dereference(vserver_ops);
	if (!ops || !try_module_get(ops->owner))
		return NULL;
	vserver_users_inc();
	return ops;
}

void vserver_ops_put(const struct vserver_ops *ops)
{
	struct module *owner = ops->owner;

	vserver_users_dec();
	module_put(owner);
}

void vserver_users_inc(void)
{
	atomic_inc(&vserver_users);
}

void vserver_users_dec(void)
{
	if (atomic_dec_and_test(&vserver_users))
		wake_up_var(&vserver_users);
}

/* Apart from the hook, so that a task on the host saves no registers for it. */
static noinline void vserver_charge_ctx(struct task_struct *p,
					struct vserver_ctx *ctx, u64 ns)
{
	struct vserver_task *vt = vserver_task(p);
	struct pt_regs *regs;
	struct vserver_cpu *use;

	if (ns) {
		/* The lock of this CPU's run queue makes us the only writer. */
		use = per_cpu_ptr(ctx->cpu, task_cpu(p));
		WRITE_ONCE(use->run_ns, use->run_ns + ns);
		regs = p == current ? get_irq_regs() : NULL;
		if (regs && user_mode(regs))
			WRITE_ONCE(use->user_ticks, use->user_ticks + 1);
		else if (regs)
			WRITE_ONCE(use->sys_ticks, use->sys_ticks + 1);
	}
	if (!static_call(vserver_charge_call)(ctx, ns))
		return;
	if (READ_ONCE(vt->hold) || (p->flags & (PF_EXITING | PF_KTHREAD)))
		return;
	WRITE_ONCE(vt->hold, true);
	set_notify_resume(p);
}

void __vserver_charge(struct task_struct *p, u64 ns)
{
	struct vserver_ctx *ctx = READ_ONCE(vserver_task(p)->ctx);

	if (ctx)
		vserver_charge_ctx(p, ctx, ns);
}

/*
 * A dying task has lost its fatal signal already, and others wait for it. An
 * io_uring submission thread comes here only while it ends, with a lock held
 * that they need; io_uring workers have worker_private.
 */
static bool vserver_may_wait(void)
{
	if ((current->signal->flags & SIGNAL_GROUP_EXIT) ||
	    current->signal->group_exec_task)
		return false;
	return !(current->flags & PF_IO_WORKER) || current->worker_private;
}

void __vserver_hold(void)
{
	struct vserver_task *vt = vserver_task(current);
	struct vserver_ctx *ctx = vt->ctx;
	bool released;
	u64 start;

	if (likely(!READ_ONCE(vt->hold)))
		return;
	WRITE_ONCE(vt->hold, false);
	if (!vserver_may_wait())
		return;
	start = ktime_get_ns();
	released = ctx->ops->hold(ctx);
	this_cpu_add(ctx->cpu->hold_ns, ktime_get_ns() - start);
	if (released)
		return;
	/* A signal goes first; its handler's return leads here again. */
	WRITE_ONCE(vt->hold, true);
	set_thread_flag(TIF_NOTIFY_RESUME);
}

/**
 * vserver_ctx_cpu - what a context used of a CPU
 * @ctx:	the context
 * @cpu:	a possible CPU
 * @use:	the answer
 */
void vserver_ctx_cpu(struct vserver_ctx *ctx, unsigned int cpu,
		     struct vserver_cpu *use)
{
	const struct vserver_cpu *p = per_cpu_ptr(ctx->cpu, cpu);

	use->run_ns = READ_ONCE(p->run_ns);
	use->user_ticks = READ_ONCE(p->user_ticks);
	use->sys_ticks = READ_ONCE(p->sys_ticks);
	use->hold_ns = READ_ONCE(p->hold_ns);
}
EXPORT_SYMBOL_GPL(vserver_ctx_cpu);

int __vserver_break_link(struct path *path, loff_t keep)
{
	struct inode *inode = d_backing_inode(path->dentry);
	const struct vserver_ops *ops;
	dev_t dev = inode->i_sb->s_dev;
	u64 ino = inode->i_ino;
	int error;

	error = vserver_is_unified(inode);
	if (error <= 0)
		return error;
	ops = vserver_ops_get();
	if (!ops)
		return -EPERM;
	error = ops->break_link(ops, path, keep);
	vserver_audit_moved(dev, ino, d_backing_inode(path->dentry));
	vserver_ops_put(ops);
	return error;
}
