/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux-VServer: what the built-in part and the vserver module share
 *
 * The built-in part (security/vserver) keeps each task's context, dispatches
 * the hooks and keeps unified files immutable while there is no module. The
 * module brings all policy and registers one table of operations.
 *
 * Hook points include the small vserver_*.h headers, not this one.
 */
#ifndef _LINUX_VSERVER_H
#define _LINUX_VSERVER_H

#include <linux/atomic.h>
#include <linux/compiler_types.h>
#include <linux/path.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct module;
struct vserver_ctx;

/**
 * struct vserver_ops - what the module does for the built-in part
 * @owner:	the module; each context holds a reference to it
 * @syscall:	a vserver(2) command. Process context, may sleep; the module is
 *		pinned for the call.
 * @break_link:	replace the unified file at @path by a private copy and let
 *		@path name the copy. What lies beyond the first @keep bytes is
 *		not copied: the caller truncates the file. Process context, may
 *		sleep, no locks and no write access to the file system held.
 * @charge:	@ns nanoseconds of CPU time were used by a task of @ctx. The run
 *		queue's lock is held and interrupts are off. Returns true if the
 *		task has to be held before it returns to user mode. It may be
 *		called with 0 to ask just that.
 * @hold:	wait until @ctx has tokens. On the way to user mode, without
 *		locks. Returns false if a signal ended the wait early.
 * @task_exit:	a task of @ctx exits, @last if it was the only one counted; may
 *		sleep. @group_dead: no other thread of its process @tgid lives.
 * @ctx_end:	what vserver_ctx_end() asked for. Process context, may sleep, and may
 *		wait for strangers.
 * @ctx_free:	the last reference to @ctx is gone, and a grace period since.
 *		Process context, may sleep.
 */
struct vserver_ops {
	struct module *owner;
	long (*syscall)(const struct vserver_ops *ops, u32 cmd, u32 id,
			void __user *data);
	int (*break_link)(const struct vserver_ops *ops, struct path *path,
			  loff_t keep);
	bool (*charge)(struct vserver_ctx *ctx, u64 ns);
	bool (*hold)(struct vserver_ctx *ctx);
	void (*task_exit)(struct vserver_ctx *ctx, pid_t tgid, bool group_dead,
			  int code, bool last);
	void (*ctx_end)(struct vserver_ctx *ctx);
	void (*ctx_free)(struct vserver_ctx *ctx);
};

/**
 * struct vserver_cpu - what a context used of one CPU
 * @run_ns:	run time, exact. Written under the run queue's lock.
 * @user_ticks:	how often an interrupt found a task of it in user mode, and
 * @sys_ticks:	how often in the kernel: they divide @run_ns, as cputime_adjust()
 *		does it for tasks
 * @hold_ns:	time its tasks waited for tokens, by the CPU where it ended
 */
struct vserver_cpu {
	u64 run_ns;
	u64 user_ticks;
	u64 sys_ticks;
	u64 hold_ns;
};

/**
 * struct vserver_ctx - the part of a context that built-in code knows
 * @xid:	the context's id, constant
 * @usage:	references: one of each task, those of the module
 * @tasks:	living tasks; counted up at fork, down in do_exit(). A task that
 *		enters counts under the lock of the module's table.
 * @flags:	VXF_*, written under the lock of the module's table
 * @bcaps:	the upper bound on the capabilities of those inside
 * @ccaps:	VXC_*, powers that the bound does not take
 * @umask:	CLONE_NEW* that those inside may unshare. These four are read
 *		anywhere without a lock.
 * @ops:	the operations, valid while the context lives: the context holds
 *		a reference to the module
 * @cpu:	per-CPU use
 * @end_work:	runs @ops->ctx_end()
 * @free_work:	runs @ops->ctx_free() after a grace period, because a charge
 *		from another CPU reads a task's context without a reference
 *
 * Embedded in the module's own structure.
 */
struct vserver_ctx {
	u32 xid;
	refcount_t usage;
	atomic_t tasks;
	u64 flags;
	u64 bcaps;
	u64 ccaps;
	u64 umask;
	const struct vserver_ops *ops;
	struct vserver_cpu __percpu *cpu;
	struct work_struct end_work;
	struct rcu_work free_work;
};

static inline int vserver_ctx_tasks(const struct vserver_ctx *ctx)
{
	return atomic_read(&ctx->tasks);
}

static inline unsigned int vserver_ctx_usage(const struct vserver_ctx *ctx)
{
	return refcount_read(&ctx->usage);
}

int vserver_register(const struct vserver_ops *ops);
void vserver_unregister(const struct vserver_ops *ops);

int vserver_ctx_init(struct vserver_ctx *ctx, u32 xid,
		     const struct vserver_ops *ops);
void vserver_ctx_get(struct vserver_ctx *ctx);
void vserver_ctx_put(struct vserver_ctx *ctx);
void vserver_ctx_end(struct vserver_ctx *ctx);

/* Which tasks of a context vserver_ctx_signal() reaches */
#define VSERVER_SIGNAL_ALL	0
#define VSERVER_SIGNAL_BUT	1
#define VSERVER_SIGNAL_ONLY	2

int vserver_ctx_signal(struct vserver_ctx *ctx, int which, pid_t tgid, int sig);
struct vserver_ctx *vserver_current_ctx(void);
int vserver_enter(struct vserver_ctx *ctx, u32 xid);
u32 vserver_current_xid(void);
void vserver_ctx_cpu(struct vserver_ctx *ctx, unsigned int cpu,
		     struct vserver_cpu *use);
int vserver_task_xid(pid_t pid, u32 *xid);

int vserver_iattr_get(struct dentry *dentry, u32 *xid, u32 *flags, u32 *mask);
int vserver_iattr_set(const struct path *path, u32 xid, u32 flags, u32 mask);

#endif /* _LINUX_VSERVER_H */
