// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: idle time for contexts on hold
 *
 *                     a CPU has nothing to run
 *	in the line ----------------------------> on idle time
 *	     ^                                        |
 *	     +----------------------------------------+
 *	       a tick is over, somebody arrives, or it sleeps
 *
 * Who waits for tokens waits for idle time, too, if the context has a rate for
 * it. A CPU that has nothing to run wakes one of them for a tick. The context
 * goes first that had least, in proportion to its rate. What is run that way is
 * not taken from the tokens.
 *
 * Only who is alone on a CPU is on idle time: when anybody arrives there it is
 * over at once, and to the scheduler, which looks for a place, such a CPU is
 * an idle one. So nobody waits for it but for what it does in the kernel, as
 * for everybody else. Real-time tasks get none: others would not get by them.
 *
 * The first event is the switch to the idle task. It misses CPUs that were idle
 * before, affinities that change, and races: a timer looks for these at each
 * tick, as long as somebody is in the line.
 *
 * Lock order: line_lock, a context's idle.lock, those of the scheduler.
 */

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/ext.h>
#include <linux/sched/rt.h>
#include <linux/sched/stat.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/timer.h>
#include <linux/vserver_sched.h>

#include "internal.h"

/**
 * struct vserver_wait - somebody who waits for tokens
 * @task:	the one, on whose stack this is
 * @events:	ends the wait when it becomes anything but 0, unless NULL
 * @granted:	done when there is idle time. Has a lock that an interrupt may
 *		take, and can wake on the CPU that idles.
 * @waiter:	@task, as @granted knows it
 * @node:	in the context's list
 */
struct vserver_wait {
	struct task_struct *task;
	const unsigned long *events;
	struct completion granted;
	struct swait_queue waiter;
	struct list_head node;
};

/* How long somebody may run before others are considered. */
#define IDLE_GRANT_NS	TICK_NSEC

/* What one had less, or more, than others counts for so much of its own time. */
#define IDLE_CATCH_UP_NS	NSEC_PER_SEC

/* How many of a context one looks at, and how many CPUs a poll wakes. */
#define IDLE_LOOKS		16
#define IDLE_POLL_CPUS		4

DEFINE_STATIC_KEY_FALSE(vserver_idle_key);
DEFINE_PER_CPU(u32, vserver_idle_left);

static DEFINE_RAW_SPINLOCK(line_lock);	/* for these two */
static LIST_HEAD(line);		/* of contexts with a rate where somebody waits */
static u64 line_floor;		/* the most that one had whose turn it was */

static void vserver_idle_poll(struct timer_list *unused);
static DEFINE_TIMER(idle_timer, vserver_idle_poll);

static void vserver_idle_work(struct irq_work *work);
static DEFINE_PER_CPU(struct irq_work, idle_work) =
	IRQ_WORK_INIT_HARD(vserver_idle_work);

/* What counts for the order: the time by the price. It may wrap around. */
static u64 vserver_idle_cost(u32 price, u64 ns)
{
	return mul_u64_u32_shr(ns, price, VSERVER_IDLE_PRICE_SHIFT);
}

static bool vserver_had_less(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

static u64 vserver_had(const struct vserver_idle *idle)
{
	return atomic64_read(&idle->had);
}

/*
 * Who wanted none for long does not get all now, and who got much while nobody
 * else wanted any is not made to wait for as long. Under line_lock.
 */
static void vserver_line_join(struct vserver_idle *idle)
{
	s64 most = vserver_idle_cost(idle->price, IDLE_CATCH_UP_NS);
	u64 had = vserver_had(idle);
	s64 ahead = had - line_floor;

	/* If that fails it has just been billed. */
	if (ahead < -most || ahead > most)
		atomic64_cmpxchg(&idle->had, had,
				 line_floor + clamp(ahead, -most, most));
}

/* It is the turn of this one. Under line_lock. */
static void vserver_line_serve(const struct vserver_idle *idle)
{
	if (vserver_had_less(line_floor, vserver_had(idle)))
		line_floor = vserver_had(idle);
}

/*
 * Those of the other classes get none. Others don't get by a real-time task,
 * and a sched_ext scheduler has tasks that wait where no CPU sees them.
 */
static bool vserver_may_idle(struct task_struct *p)
{
#ifdef CONFIG_SCHED_CLASS_EXT
	if ((READ_ONCE(p->scx.flags) & SCX_TASK_STATE_MASK) == SCX_TASK_ENABLED)
		return false;
#endif
	return !rt_or_dl_task_policy(p);
}

/* Asleep where @cpu can wake it, and not frozen. */
static bool vserver_could_run(struct task_struct *p, int cpu)
{
	return (READ_ONCE(p->__state) & TASK_INTERRUPTIBLE) &&
	       !READ_ONCE(p->on_rq) && !READ_ONCE(p->on_cpu) &&
	       cpumask_test_cpu(cpu, READ_ONCE(p->cpus_ptr)) &&
	       vserver_may_idle(p);
}

/*
 * Who of a context could run on @cpu. There may be any number of them: it looks
 * at some, and at others the next time. Under the context's lock.
 */
static struct vserver_wait *vserver_idle_waiter(struct vserver_idle *idle,
						int cpu)
{
	struct vserver_wait *wait;

	for (int n = 0; n < IDLE_LOOKS && !list_empty(&idle->waits); n++) {
		wait = list_first_entry(&idle->waits, struct vserver_wait, node);
		if (vserver_could_run(wait->task, cpu))
			return wait;
		list_rotate_left(&idle->waits);
	}
	return NULL;
}

/* Whose turn it is on @cpu. Under line_lock. */
static struct vserver_idle *vserver_line_first(int cpu)
{
	struct vserver_idle *idle, *first = NULL;

	list_for_each_entry(idle, &line, line) {
		if (first && !vserver_had_less(vserver_had(idle),
					       vserver_had(first)))
			continue;
		guard(raw_spinlock)(&idle->lock);
		if (vserver_idle_waiter(idle, cpu))
			first = idle;
	}
	return first;
}

/* Is there anybody for @cpu? Under line_lock. */
static bool vserver_line_any(int cpu)
{
	struct vserver_idle *idle;

	list_for_each_entry(idle, &line, line) {
		guard(raw_spinlock)(&idle->lock);
		if (vserver_idle_waiter(idle, cpu))
			return true;
	}
	return false;
}

/* In an interrupt of a CPU that was idle a moment ago. */
static void vserver_idle_work(struct irq_work *work)
{
	struct vserver_idle *idle;
	struct vserver_wait *wait;
	int cpu;

	guard(raw_spinlock_irqsave)(&line_lock);
	cpu = smp_processor_id();
	/* Nobody can be woken on a CPU that is going offline. */
	if (!idle_cpu(cpu) || !cpu_active(cpu))
		return;
	idle = vserver_line_first(cpu);
	if (!idle)
		return;
	vserver_line_serve(idle);
	guard(raw_spinlock)(&idle->lock);
	wait = vserver_idle_waiter(idle, cpu);
	if (!wait)
		return;
	list_del_init(&wait->node);
	complete_on_current_cpu(&wait->granted);
}

static void vserver_idle_poll(struct timer_list *unused)
{
	static int last;	/* the CPU that was woken last */
	int cpu, left = IDLE_POLL_CPUS;

	scoped_guard(raw_spinlock_irqsave, &line_lock) {
		if (list_empty(&line))
			return;
		for_each_cpu_wrap(cpu, cpu_active_mask, last + 1) {
			if (!idle_cpu(cpu) || !vserver_line_any(cpu))
				continue;
			irq_work_queue_on(per_cpu_ptr(&idle_work, cpu), cpu);
			last = cpu;
			if (--left == 0)
				break;
		}
	}
	mod_timer(&idle_timer, jiffies + 1);
}

/* A context is in the line while it has a rate and somebody waits. */
static void vserver_line_update(struct vserver_idle *idle)
{
	bool wants;

	scoped_guard(raw_spinlock_irqsave, &line_lock) {
		scoped_guard(raw_spinlock, &idle->lock)
			wants = READ_ONCE(idle->price) &&
				!list_empty(&idle->waits);
		if (wants == !list_empty(&idle->line))
			return;
		if (!wants) {
			list_del_init(&idle->line);
			return;
		}
		vserver_line_join(idle);
		list_add_tail(&idle->line, &line);
	}
	if (!timer_pending(&idle_timer))
		mod_timer(&idle_timer, jiffies + 1);
}

static void vserver_idle_enter(struct vserver_idle *idle,
			       struct vserver_wait *wait)
{
	scoped_guard(raw_spinlock_irqsave, &idle->lock)
		list_add_tail(&wait->node, &idle->waits);
	if (READ_ONCE(idle->price))
		vserver_line_update(idle);
}

static void vserver_idle_leave(struct vserver_idle *idle,
			       struct vserver_wait *wait)
{
	scoped_guard(raw_spinlock_irqsave, &idle->lock)
		list_del_init(&wait->node);
	if (READ_ONCE(idle->price) || !list_empty(&idle->line))
		vserver_line_update(idle);
}

/* The caller may run on, if it is alone on its CPU. */
static bool vserver_idle_begin(void)
{
	guard(preempt)();
	/* The mark is from before: from the switch to the caller, for one. */
	WRITE_ONCE(vserver_task(current)->hold, false);
	/* Pairs with __vserver_arrive(), which would make a new mark. */
	smp_store_release(this_cpu_ptr(&vserver_idle_left), IDLE_GRANT_NS);
	smp_mb();	/* Pairs with __vserver_arrive(): one sees the other. */
	if (single_task_running())
		return true;
	this_cpu_write(vserver_idle_left, 0);
	return false;
}

/*
 * Idle time without a wait: the caller is alone on its CPU, and nobody's turn
 * comes before its own.
 */
bool vserver_idle_take(struct vserver_ctx *ctx)
{
	struct vserver_idle *idle = &ctx->idle;
	const struct vserver_idle *first;

	if (!READ_ONCE(idle->price) || !vserver_may_idle(current) ||
	    !single_task_running())
		return false;
	scoped_guard(raw_spinlock_irqsave, &line_lock) {
		vserver_line_join(idle);
		first = vserver_line_first(smp_processor_id());
		if (first && !vserver_had_less(vserver_had(idle),
					       vserver_had(first)))
			return false;
		vserver_line_serve(idle);
	}
	return vserver_idle_begin();
}

/* Waits for tokens, idle time, a signal or @events. Says what came. */
enum vserver_release vserver_idle_wait(struct vserver_ctx *ctx, bool again,
				       const unsigned long *events)
{
	struct vserver_wait wait = {
		.task = current,
		.events = events,
	};
	bool tokens;

	INIT_LIST_HEAD(&wait.waiter.task_list);
	do {
		init_completion(&wait.granted);
		prepare_to_swait_exclusive(&wait.granted.wait, &wait.waiter,
					   TASK_RUNNING);
		vserver_idle_enter(&ctx->idle, &wait);
		tokens = ctx->ops->hold(ctx, again, &wait);
		vserver_idle_leave(&ctx->idle, &wait);
		finish_swait(&wait.granted.wait, &wait.waiter);
		if (tokens)
			return VSERVER_RELEASE_TOKENS;
		if (!completion_done(&wait.granted))
			return VSERVER_RELEASE_SIGNAL;
	} while (!vserver_idle_begin());
	return VSERVER_RELEASE_IDLE;
}

/**
 * vserver_wait_ended - whether a wait for tokens is over without any
 * @wait:	what vserver_ops.hold() was called with
 *
 * Any context.
 */
bool vserver_wait_ended(const struct vserver_wait *wait)
{
	if (wait->events && READ_ONCE(*wait->events))
		return true;
	return completion_done((struct completion *)&wait->granted);
}
EXPORT_SYMBOL_GPL(vserver_wait_ended);

/* This CPU switches to @p. Whoever was on idle time is no longer alone. */
void vserver_idle_switch(const struct task_struct *p)
{
	__this_cpu_write(vserver_idle_left, 0);
	/* A CPU that is going offline would never come to do it. */
	if (is_idle_task(p) && !list_empty(&line) &&
	    cpu_active(smp_processor_id()))
		irq_work_queue(this_cpu_ptr(&idle_work));
}

/*
 * @p of @ctx ran for @ns on idle time, unless this returns false. The run
 * queue's lock is held.
 */
bool vserver_idle_bill(struct task_struct *p, struct vserver_ctx *ctx, u64 ns)
{
	u32 *left = per_cpu_ptr(&vserver_idle_left, task_cpu(p));
	struct vserver_cpu *use = per_cpu_ptr(ctx->cpu, task_cpu(p));

	if (!READ_ONCE(*left))
		return false;
	atomic64_add(vserver_idle_cost(READ_ONCE(ctx->idle.price), ns),
		     &ctx->idle.had);
	WRITE_ONCE(use->idle_ns, use->idle_ns + ns);
	if (ns < *left) {
		WRITE_ONCE(*left, *left - ns);
	} else {
		WRITE_ONCE(*left, 0);
		vserver_mark(p);
	}
	return true;
}

void __vserver_arrive(struct task_struct *curr)
{
	u32 *left = per_cpu_ptr(&vserver_idle_left, task_cpu(curr));

	smp_mb();	/* Pairs with vserver_idle_begin(), */
	/* and so does this. */
	if (smp_load_acquire(left) <= VSERVER_IDLE_OVER)
		return;
	/* What it ran until now is still to be billed. */
	WRITE_ONCE(*left, VSERVER_IDLE_OVER);
	vserver_mark(curr);
}

void vserver_idle_init(struct vserver_ctx *ctx)
{
	raw_spin_lock_init(&ctx->idle.lock);
	INIT_LIST_HEAD(&ctx->idle.line);
	INIT_LIST_HEAD(&ctx->idle.waits);
}

/**
 * vserver_idle_set - set a context's claim to idle time
 * @ctx:	the context
 * @price:	what a nanosecond costs, see struct vserver_idle; 0 is no claim
 *
 * Any context, but without a run queue's lock.
 */
void vserver_idle_set(struct vserver_ctx *ctx, u32 price)
{
	WRITE_ONCE(ctx->idle.price, price);
	vserver_line_update(&ctx->idle);
}
EXPORT_SYMBOL_GPL(vserver_idle_set);

/**
 * vserver_idle_get - turn the hooks on that idle time needs
 *
 * For each context that may have a claim. May sleep.
 */
void vserver_idle_get(void)
{
	int cpu;

	/* While they were off nobody noticed the end of the last grants. */
	if (!static_key_enabled(&vserver_idle_key))
		for_each_possible_cpu(cpu)
			WRITE_ONCE(per_cpu(vserver_idle_left, cpu), 0);
	static_branch_inc(&vserver_idle_key);
}
EXPORT_SYMBOL_GPL(vserver_idle_get);

/**
 * vserver_idle_put - undo a vserver_idle_get()
 *
 * May sleep.
 */
void vserver_idle_put(void)
{
	static_branch_dec(&vserver_idle_key);
}
EXPORT_SYMBOL_GPL(vserver_idle_put);

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "idle_test.c"
#endif
