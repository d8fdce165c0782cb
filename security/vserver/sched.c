// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: CPU time of contexts, billed and held
 *
 * The run queue's lock is held where time is billed, so a task whose context
 * used its tokens up is only marked there. It waits on its way to user mode,
 * where it has no locks that others need.
 */

#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>
#include <linux/tick.h>
#include <linux/vserver_sched.h>
#include <trace/events/vserver.h>

#include <asm/irq_regs.h>

#include "internal.h"

DEFINE_STATIC_CALL_RET0(vserver_charge_call, vserver_charge_type);

void vserver_charge_start(const struct vserver_ops *ops)
{
	static_call_update(vserver_charge_call, ops->charge);
}

void vserver_charge_stop(void)
{
	static_call_update(vserver_charge_call,
			   (void *)&__static_call_return0);
}

/* The most that a CPU collects before it charges it. */
#define VSERVER_SLICE_NS	(TICK_NSEC / 4)

/* How soon one looks again at the earliest. */
#define VSERVER_LOOK_NS		(TICK_NSEC / 16)

static DEFINE_PER_CPU(struct hrtimer, vserver_look_timer);

/* Lets the scheduler bill who runs, and with it look at the tokens. */
static enum hrtimer_restart vserver_look(struct hrtimer *unused)
{
	if (vserver_task(current)->ctx)
		task_sched_runtime(current);
	return HRTIMER_NORESTART;
}

static int __init vserver_look_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_setup(per_cpu_ptr(&vserver_look_timer, cpu),
			      vserver_look, CLOCK_MONOTONIC,
			      HRTIMER_MODE_ABS_PINNED_HARD);
	return 0;
}
core_initcall(vserver_look_init);

/*
 * How long nobody need look where @left nanoseconds are in the books: all that
 * can run may do so, and have as much that is not due yet.
 */
static s64 vserver_lasts(const struct vserver_ctx *ctx, s64 left)
{
	int runners = min_t(int, num_online_cpus(), vserver_ctx_tasks(ctx));

	return div_s64(left, 2 * max(runners, 1));
}

/*
 * The last token may go before the next tick: a timer looks when that may be,
 * and again, as other CPUs may not have used their part. The run queue's lock
 * is held.
 */
static void vserver_look_in(const struct task_struct *p, s64 ns)
{
	struct hrtimer *timer = this_cpu_ptr(&vserver_look_timer);
	ktime_t at = ktime_add_ns(ktime_get(), max(ns, VSERVER_LOOK_NS));

	if (task_cpu(p) == smp_processor_id() &&
	    (!hrtimer_is_queued(timer) || hrtimer_get_expires(timer) > at))
		hrtimer_start(timer, at, HRTIMER_MODE_ABS_PINNED_HARD);
}

/*
 * What is due now of what a task ran: nothing, as long as its CPU has collected
 * less than a slice. So CPUs don't fight over the bucket for every switch.
 */
static u64 vserver_due(struct vserver_cpu *use, u64 ns)
{
	if (atomic64_add_return(ns, &use->owed_ns) < use->slice_ns)
		return 0;
	return atomic64_xchg(&use->owed_ns, 0);
}

/*
 * It is held on its way to user mode, unless it is in no context. The run
 * queue's lock is held.
 */
void vserver_mark(struct task_struct *p)
{
	struct vserver_task *vt = vserver_task(p);

	/* Pairs with vserver_unmark(): who clears the mark sees the tokens gone. */
	smp_mb();
	if (READ_ONCE(vt->hold) || !READ_ONCE(vt->ctx) ||
	    (p->flags & (PF_EXITING | PF_KTHREAD)))
		return;
	WRITE_ONCE(vt->hold, true);
	set_notify_resume(p);
}

/*
 * On a CPU that does without the tick, nobody would look before a second is
 * over. The run queue's lock is held.
 */
static void vserver_keep_tick(struct task_struct *p,
			      const struct vserver_ctx *ctx)
{
	if (READ_ONCE(ctx->flags) & VXF_SCHED_HARD)
		tick_dep_set_task(p, TICK_DEP_BIT_SCHED);
	else
		tick_dep_clear_task(p, TICK_DEP_BIT_SCHED);
}

/* Apart from the hook, so that a task on the host saves no registers for it. */
static noinline void vserver_charge_ctx(struct task_struct *p,
					struct vserver_ctx *ctx, u64 ns)
{
	struct vserver_cpu *use = NULL;
	struct pt_regs *regs;
	s64 left;

	vserver_keep_tick(p, ctx);
	if (ns) {
		/* The lock of this CPU's run queue makes us the only writer. */
		use = per_cpu_ptr(ctx->cpu, task_cpu(p));
		WRITE_ONCE(use->run_ns, use->run_ns + ns);
		regs = p == current ? get_irq_regs() : NULL;
		if (regs && user_mode(regs))
			WRITE_ONCE(use->user_ticks, use->user_ticks + 1);
		else if (regs)
			WRITE_ONCE(use->sys_ticks, use->sys_ticks + 1);
		if (static_branch_unlikely(&vserver_idle_key) &&
		    vserver_idle_bill(p, ctx, ns))
			return;
		ns = vserver_due(use, ns);
	}
	left = static_call(vserver_charge_call)(ctx, ns);
	if (left >= 0 && READ_ONCE(ctx->flags) & VXF_SCHED_HARD) {
		left = vserver_lasts(ctx, left);
		if (left < TICK_NSEC)
			vserver_look_in(p, left);
	}
	if (use)
		use->slice_ns = min(left, VSERVER_SLICE_NS);
	if (left < 0 ||
	    unlikely(vserver_task(p)->prio_bias != READ_ONCE(ctx->prio_bias)))
		vserver_mark(p);
}

void __vserver_charge(struct task_struct *p, u64 ns)
{
	struct vserver_ctx *ctx = READ_ONCE(vserver_task(p)->ctx);

	if (static_branch_unlikely(&vserver_idle_key) && !ns)
		vserver_idle_switch(p);
	if (ctx)
		vserver_charge_ctx(p, ctx, ns);
}

/* In set_load_weight(): it can't be below or above what there is for anybody. */
int __vserver_prio(const struct task_struct *p, int prio)
{
	return clamp(prio + vserver_task(p)->prio_bias, MAX_RT_PRIO,
		     MAX_PRIO - 1);
}

static void vserver_update_weight(struct vserver_task *vt)
{
	int bias = READ_ONCE(vt->ctx->prio_bias);

	if (vt->prio_bias == bias)
		return;
	WRITE_ONCE(vt->prio_bias, bias);
	vserver_reweigh();
}

/*
 * Of those who are let go some get nothing before the tokens are gone: others
 * were faster. Who had less than half of the tick that is meant for each goes
 * on where it was.
 */
static bool vserver_had_no_turn(const struct vserver_task *vt)
{
	u64 ran = current->se.sum_exec_runtime - vt->turn_ns;

	return vt->turn_ns && ran < TICK_NSEC / 2;
}

/* Whatever makes a new mark from now on is for the caller to see. */
static void vserver_unmark(struct vserver_task *vt)
{
	WRITE_ONCE(vt->hold, false);
	smp_mb();	/* Pairs with vserver_mark(). */
}

/* There are tokens, or idle time. */
static bool vserver_may_go_on(struct vserver_ctx *ctx)
{
	return ctx->ops->charge(ctx, 0) >= 0 || vserver_idle_take(ctx);
}

/* Returns whether the caller may go on. */
static bool vserver_wait(struct vserver_task *vt, const unsigned long *events)
{
	struct vserver_ctx *ctx = vt->ctx;
	struct vserver_cpu *use;
	enum vserver_release why;
	bool again = vserver_had_no_turn(vt);
	u64 before = vt->hold_ns;

	if (vserver_may_go_on(ctx))
		return true;
	trace_vserver_hold(ctx->xid);
	use = vserver_hold_begin(vt);
	why = vserver_idle_wait(ctx, again, events);
	if (!again && why == VSERVER_RELEASE_TOKENS)
		vt->turn_ns = current->se.sum_exec_runtime;
	vserver_hold_end(vt, use);
	trace_vserver_release(ctx->xid, vt->hold_ns - before, why);
	return why != VSERVER_RELEASE_SIGNAL;
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

/*
 * Who runs a virtual CPU has its mutex, so does not wait here: as by a signal,
 * only that there is none, KVM_RUN is interrupted, and the wait is on the way
 * back from it. get_signal() clears the flag.
 */
static bool vserver_enter_guest(struct vserver_ctx *ctx)
{
	if (vserver_may_go_on(ctx))
		return true;
	set_thread_flag(TIF_NOTIFY_SIGNAL);
	return false;
}

void __vserver_hold(const struct pt_regs *regs)
{
	struct vserver_task *vt = vserver_task(current);
	bool waits = regs || (current->flags & PF_IO_WORKER);

	if (likely(!READ_ONCE(vt->hold)))
		return;
	vserver_unmark(vt);
	if (!vserver_may_wait())
		return;
	vserver_update_weight(vt);
	if (waits ? vserver_wait(vt, NULL) : vserver_enter_guest(vt->ctx))
		return;
	/* A signal goes first; its handler's return leads here again. */
	WRITE_ONCE(vt->hold, true);
	set_thread_flag(TIF_NOTIFY_RESUME);
}

bool __vserver_must_hold(void)
{
	return unlikely(READ_ONCE(vserver_task(current)->hold));
}

bool __vserver_billed(void)
{
	return vserver_task(current)->ctx;
}
EXPORT_SYMBOL_GPL(__vserver_billed);

void __vserver_hold_worker(const unsigned long *events)
{
	struct vserver_task *vt = vserver_task(current);

	vserver_unmark(vt);
	vserver_update_weight(vt);
	if (!vserver_wait(vt, events))
		WRITE_ONCE(vt->hold, true);
}

/**
 * vserver_ctx_owed - take what CPUs have collected that is not due yet
 * @ctx:	the context, to whose bucket the caller charges it
 *
 * Return: nanoseconds.
 */
u64 vserver_ctx_owed(struct vserver_ctx *ctx)
{
	unsigned int cpu;
	u64 ns = 0;

	for_each_possible_cpu(cpu)
		ns += atomic64_xchg(&per_cpu_ptr(ctx->cpu, cpu)->owed_ns, 0);
	return ns;
}
EXPORT_SYMBOL_GPL(vserver_ctx_owed);
