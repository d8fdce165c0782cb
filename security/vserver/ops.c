// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: the module's operations
 *
 * vserver_key is on while a module is registered. Hooks that have a context
 * at hand reach the operations through it: a context holds a reference to the
 * module. The others pin the module for the call.
 */

#include <linux/export.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>
#include <linux/vserver_cow.h>
#include <linux/vserver_sched.h>

#include "internal.h"

DEFINE_STATIC_KEY_FALSE(vserver_key);

static const struct vserver_ops __rcu *vserver_ops;
static DEFINE_MUTEX(vserver_ops_lock);

static bool vserver_no_charge(struct vserver_ctx *ctx, u64 ns);
DEFINE_STATIC_CALL_RET0(vserver_charge_call, vserver_no_charge);

/**
 * vserver_register - give the hooks something to call
 * @ops:	the operations, valid until vserver_unregister() returns
 *
 * Return: 0, -EBUSY if a module is registered already, -EOPNOTSUPP if the
 * kernel was booted without the vserver security module.
 */
int vserver_register(const struct vserver_ops *ops)
{
	if (!vserver_lsm_enabled)
		return -EOPNOTSUPP;

	guard(mutex)(&vserver_ops_lock);
	if (rcu_access_pointer(vserver_ops))
		return -EBUSY;
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
 * reference to it. May sleep.
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
}
EXPORT_SYMBOL_GPL(vserver_unregister);

const struct vserver_ops *vserver_ops_get(void)
{
	const struct vserver_ops *ops;

	guard(rcu)();
	ops = rcu_dereference(vserver_ops);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	return ops;
}

void vserver_ops_put(const struct vserver_ops *ops)
{
	module_put(ops->owner);
}

void __vserver_charge(struct task_struct *p, u64 ns)
{
	struct vserver_task *vt = vserver_task(p);
	struct vserver_ctx *ctx = READ_ONCE(vt->ctx);

	if (!ctx || !static_call(vserver_charge_call)(ctx, ns))
		return;
	if (READ_ONCE(vt->hold) || (p->flags & (PF_EXITING | PF_KTHREAD)))
		return;
	WRITE_ONCE(vt->hold, true);
	set_notify_resume(p);
}

void __vserver_hold(void)
{
	struct vserver_task *vt = vserver_task(current);

	if (likely(!READ_ONCE(vt->hold)))
		return;
	WRITE_ONCE(vt->hold, false);
	if (vt->ctx->ops->hold(vt->ctx))
		return;
	/* A signal goes first; its handler's return leads here again. */
	WRITE_ONCE(vt->hold, true);
	set_thread_flag(TIF_NOTIFY_RESUME);
}

int __vserver_break_link(struct path *path)
{
	const struct vserver_ops *ops = vserver_ops_get();
	int error;

	if (!ops)
		return -EPERM;
	error = ops->break_link(ops, path);
	vserver_ops_put(ops);
	return error;
}
