// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: the module's operations
 *
 * vserver_module_key is on while a module is registered, vserver_key from its
 * first context on. Hooks that have a context at hand reach the operations
 * through it: a context holds a reference to the module. The others pin the
 * module for the call.
 */

#include <linux/export.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/vserver_cow.h>
#include <linux/wait_bit.h>

#include "internal.h"

struct static_key_false vserver_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(vserver_key);
struct static_key_false vserver_module_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(vserver_module_key);

static const struct vserver_ops __rcu *vserver_ops;
static DEFINE_MUTEX(vserver_ops_lock);
/* Who goes waits with the other one held for those who take this. */
static DEFINE_MUTEX(vserver_begin_lock);
static atomic_t vserver_users = ATOMIC_INIT(0);

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
	vserver_charge_start(ops);
	static_branch_enable(&vserver_module_key);
	rcu_assign_pointer(vserver_ops, ops);
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
	RCU_INIT_POINTER(vserver_ops, NULL);
	synchronize_rcu();
	wait_var_event(&vserver_users, !atomic_read(&vserver_users));
	static_branch_disable(&vserver_module_key);
	static_branch_disable(&vserver_key);
	vserver_hooks_switch(false);
	vserver_charge_stop();
	vserver_traffic_stop();
}
EXPORT_SYMBOL_GPL(vserver_unregister);

/**
 * vserver_contexts_begin - there is to be a context, or a spectator
 *
 * Called before anybody can enter it: those in a context pass hooks that all are
 * on, to count. They stay on as long as the module does. May sleep.
 */
void vserver_contexts_begin(void)
{
	guard(mutex)(&vserver_begin_lock);
	if (static_key_enabled(&vserver_key))
		return;
	vserver_hooks_switch(true);
	static_branch_enable(&vserver_key);
}

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

int __vserver_may_break(const struct path *path)
{
	const struct vserver_ops *ops;
	int error;

	error = vserver_is_unified(d_backing_inode(path->dentry), false);
	if (error <= 0)
		return error;
	ops = vserver_ops_get();
	if (!ops)
		return -EPERM;
	error = ops->may_break(path);
	vserver_ops_put(ops);
	return error;
}

/**
 * __vserver_break_link - make the file at @path private before it is modified
 * @path:	the file; if it is unified, its reference is exchanged for one
 *		to the private copy that now has the name
 * @keep:	so many bytes are copied, or VSERVER_KEEP_ALL
 *
 * The caller has decided that the operation is permitted and holds neither
 * locks nor write access to the file system.
 *
 * Return: 0 with @path ready to be modified, or a negative errno, name and
 * inode as before: -ESTALE if the name has moved meanwhile.
 */
int __vserver_break_link(struct path *path, loff_t keep)
{
	struct inode *inode = d_backing_inode(path->dentry);
	const struct vserver_ops *ops;
	dev_t dev = inode->i_sb->s_dev;
	u64 ino = inode->i_ino;
	int error;

	error = vserver_is_unified(inode, false);
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
