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
 * To look is work for CPUs that have nothing else to do, and ends where they get
 * something. They don't wait for the lock of the line: who has it calls those
 * who came in vain. A look ends after VSERVER_LINE_LOOKS, and goes on in another
 * interrupt. If it took more than one to find nobody, the CPU rests until the
 * timer comes round.
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
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/timer.h>
#include <linux/vserver_sched.h>

#include "idle.h"

/* How long somebody may run before others are considered. */
#define IDLE_GRANT_NS	TICK_NSEC

/* How many CPUs a poll wakes. */
#define IDLE_POLL_CPUS	4

DEFINE_STATIC_KEY_FALSE(vserver_idle_key);
DEFINE_PER_CPU(u32, vserver_idle_left);

static DEFINE_RAW_SPINLOCK(line_lock);
static struct vserver_line line = { .order = RB_ROOT_CACHED };
static struct cpumask line_missed;	/* CPUs that came while it was locked */

static void vserver_idle_poll(struct timer_list *unused);
static DEFINE_TIMER(idle_timer, vserver_idle_poll);

static void vserver_idle_work(struct irq_work *work);
static DEFINE_PER_CPU(struct irq_work, idle_work) =
	IRQ_WORK_INIT_HARD(vserver_idle_work);

/**
 * struct vserver_idle_look - a CPU looks for somebody to run there; its own
 * @at:		how far it is
 * @rests:	the round of the timer in which a look that took long found nobody
 */
struct vserver_idle_look {
	struct vserver_line_at at;
	u32 rests;
};

static DEFINE_PER_CPU(struct vserver_idle_look, idle_look);
static u32 idle_round = 1;	/* of the timer, its own */

/* Unless it is locked: then @cpu is called later. */
static bool vserver_line_trylock(int cpu)
{
	if (raw_spin_trylock(&line_lock))
		return true;
	cpumask_set_cpu(cpu, &line_missed);
	smp_mb__after_atomic();	/* Pairs with vserver_line_call(). */
	if (!raw_spin_trylock(&line_lock))
		return false;
	cpumask_clear_cpu(cpu, &line_missed);
	return true;
}

/*
 * Calls one of those who came while the line was locked; that one calls the
 * next. For whoever had the lock, and for who was called. With interrupts off,
 * so that no CPU goes offline meanwhile.
 */
static void vserver_line_call(void)
{
	int cpu;

	lockdep_assert_irqs_disabled();
	smp_mb();	/* Pairs with vserver_line_trylock(). */
	for_each_cpu(cpu, &line_missed) {
		if (!cpumask_test_and_clear_cpu(cpu, &line_missed) ||
		    !cpu_active(cpu))
			continue;
		irq_work_queue_on(per_cpu_ptr(&idle_work, cpu), cpu);
		return;
	}
}

static void vserver_line_lock(unsigned long *flags)
	__acquires(&line_lock)
{
	raw_spin_lock_irqsave(&line_lock, *flags);
}

static void vserver_line_unlock(unsigned long *flags)
	__releases(&line_lock)
{
	raw_spin_unlock(&line_lock);
	vserver_line_call();
	local_irq_restore(*flags);
}

DEFINE_LOCK_GUARD_0(vserver_line, vserver_line_lock(&_T->flags),
		    vserver_line_unlock(&_T->flags), unsigned long flags)

/* The CPU that idles gets somebody. Under both locks. */
static void vserver_idle_grant(struct vserver_idle *idle,
			       struct vserver_wait *wait)
{
	vserver_line_serve(&line, idle);
	list_del_init(&wait->node);
	idle->nr_waits--;
	complete_on_current_cpu(&wait->granted);
}

/*
 * In an interrupt of a CPU that was idle a moment ago. Nobody can be woken on
 * one that is going offline.
 */
static void vserver_idle_work(struct irq_work *work)
{
	struct vserver_idle_look *look = this_cpu_ptr(&idle_look);
	int cpu = smp_processor_id();
	bool goes_on = look->at.more;

	if (!idle_cpu(cpu) || !cpu_active(cpu)) {
		look->at = (struct vserver_line_at){};
		vserver_line_call();
		return;
	}
	if (!vserver_line_trylock(cpu))
		return;
	if (vserver_line_look(&line, cpumask_of(cpu), &look->at,
			      vserver_idle_grant))
		look->at = (struct vserver_line_at){};
	else if (look->at.more)
		irq_work_queue(work);
	else if (goes_on)
		look->rests = READ_ONCE(idle_round);
	raw_spin_unlock(&line_lock);
	vserver_line_call();
}

/*
 * CPUs that idle, and how many of them are still to be woken. The timer's own,
 * which does not run twice at once.
 */
static struct cpumask poll_idle;
static unsigned int poll_left;

/* As many as may help are to look at the line. Under both locks. */
static void vserver_idle_call(struct vserver_idle *idle,
			      struct vserver_wait *wait)
{
	unsigned int n = min(idle->nr_waits, poll_left);
	int cpu;

	for_each_cpu_and(cpu, &poll_idle, READ_ONCE(wait->task->cpus_ptr)) {
		if (!n--)
			return;
		poll_left--;
		cpumask_clear_cpu(cpu, &poll_idle);
		if (cpu_active(cpu))
			irq_work_queue_on(per_cpu_ptr(&idle_work, cpu), cpu);
	}
}

static void vserver_idle_poll(struct timer_list *unused)
{
	static struct vserver_line_at at;
	int cpu;

	WRITE_ONCE(idle_round, idle_round + 1);
	/* With the lock: who adds the first looks whether the timer is on. */
	scoped_guard(vserver_line) {
		if (RB_EMPTY_ROOT(&line.order.rb_root))
			return;
	}
	cpumask_clear(&poll_idle);
	for_each_cpu(cpu, cpu_active_mask)
		if (idle_cpu(cpu))
			__cpumask_set_cpu(cpu, &poll_idle);
	poll_left = IDLE_POLL_CPUS;
	while (poll_left && !cpumask_empty(&poll_idle)) {
		guard(vserver_line)();
		if (!vserver_line_look(&line, &poll_idle, &at,
				       vserver_idle_call) || !at.more)
			break;
	}
	mod_timer(&idle_timer, jiffies + 1);
}

/* A context is in the line while it has a rate and somebody waits. */
static void vserver_line_update(struct vserver_idle *idle)
{
	bool wants;

	scoped_guard(vserver_line) {
		scoped_guard(raw_spinlock, &idle->lock)
			wants = READ_ONCE(idle->price) && idle->nr_waits;
		if (wants == idle->in_line)
			return;
		if (!wants) {
			vserver_line_remove(&line, idle);
			return;
		}
		vserver_line_join(&line, idle);
		vserver_line_add(&line, idle);
	}
	if (!timer_pending(&idle_timer))
		mod_timer(&idle_timer, jiffies + 1);
}

/* Where it stood, if it was there before: the first. */
static void vserver_idle_enter(struct vserver_wait *wait, bool again)
{
	struct vserver_idle *idle = wait->idle;

	scoped_guard(raw_spinlock_irqsave, &idle->lock) {
		if (again)
			list_add(&wait->node, &idle->waits);
		else
			list_add_tail(&wait->node, &idle->waits);
		idle->nr_waits++;
	}
	if (READ_ONCE(idle->price))
		vserver_line_update(idle);
}

static void vserver_idle_leave(struct vserver_wait *wait)
{
	struct vserver_idle *idle = wait->idle;

	scoped_guard(raw_spinlock_irqsave, &idle->lock) {
		if (!list_empty(&wait->node)) {
			list_del_init(&wait->node);
			idle->nr_waits--;
		}
	}
	if (READ_ONCE(idle->price) || READ_ONCE(idle->in_line))
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

	if (!READ_ONCE(idle->price) || !vserver_may_idle(current) ||
	    !single_task_running())
		return false;
	scoped_guard(vserver_line) {
		vserver_line_join(&line, idle);
		if (!vserver_line_is_next(&line, idle,
					  cpumask_of(smp_processor_id())))
			return false;
		vserver_line_serve(&line, idle);
	}
	return vserver_idle_begin();
}

/* Waits for tokens, idle time, a signal or @events. Says what came. */
enum vserver_release vserver_idle_wait(struct vserver_ctx *ctx, bool again,
				       const unsigned long *events)
{
	struct vserver_wait wait = {
		.task = current,
		.idle = &ctx->idle,
		.events = events,
	};
	bool tokens;

	INIT_LIST_HEAD(&wait.waiter.task_list);
	init_completion(&wait.granted);
	prepare_to_swait_exclusive(&wait.granted.wait, &wait.waiter,
				   TASK_RUNNING);
	vserver_idle_enter(&wait, false);
	tokens = ctx->ops->hold(ctx, again, &wait);
	vserver_idle_leave(&wait);
	finish_swait(&wait.granted.wait, &wait.waiter);
	if (tokens)
		return VSERVER_RELEASE_TOKENS;
	return wait.begun ? VSERVER_RELEASE_IDLE : VSERVER_RELEASE_SIGNAL;
}

/**
 * vserver_wait_ended - whether the caller's wait for tokens is over without any
 * @wait:	what vserver_ops.hold() was called with
 *
 * If it got idle time, but is not alone on the CPU any more, it stays where it
 * is: in this line and in that of those who wait for tokens. Does not sleep. Not
 * to be called again after it has said so.
 */
bool vserver_wait_ended(struct vserver_wait *wait)
{
	if (wait->events && READ_ONCE(*wait->events))
		return true;
	if (!completion_done(&wait->granted))
		return false;
	wait->begun = vserver_idle_begin();
	if (wait->begun)
		return true;
	reinit_completion(&wait->granted);
	/* At the worst this lets the caller look once more before it sleeps. */
	prepare_to_swait_exclusive(&wait->granted.wait, &wait->waiter,
				   TASK_RUNNING);
	vserver_idle_enter(wait, true);
	return false;
}
EXPORT_SYMBOL_GPL(vserver_wait_ended);

/* This CPU switches to @p. Whoever was on idle time is no longer alone. */
void vserver_idle_switch(const struct task_struct *p)
{
	__this_cpu_write(vserver_idle_left, 0);
	/* A CPU that is going offline would never come to do it. */
	if (is_idle_task(p) && !RB_EMPTY_ROOT(&line.order.rb_root) &&
	    __this_cpu_read(idle_look.rests) != READ_ONCE(idle_round) &&
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
	RB_CLEAR_NODE(&ctx->idle.line);
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
