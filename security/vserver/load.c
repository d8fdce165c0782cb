// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: load averages of contexts
 *
 * While there are contexts, a worker looks at all tasks every LOAD_FREQ ticks
 * and counts those of each context that run or wait uninterruptibly. Contexts
 * without any are not touched: what they missed is folded in when their
 * averages are looked at next.
 */

#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/loadavg.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "internal.h"

static const unsigned long load_exp[VSERVER_LOADS] = { EXP_1, EXP_5, EXP_15 };

/* Protects what follows and the load of every context. */
static DEFINE_MUTEX(load_lock);
static u64 load_sample;		/* the number of the last sample */
static unsigned int load_users;	/* contexts */

static void vserver_load_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(load_work, vserver_load_work);

/* Whether a task is part of the load, as the scheduler sees it. */
static bool vserver_is_unintr(unsigned int state)
{
	return (state & TASK_UNINTERRUPTIBLE) &&
	       !(state & (TASK_NOLOAD | TASK_FROZEN));
}

/* Fold in all samples before @next: one with what was counted, then empty ones. */
static void vserver_load_fold(struct vserver_load *load, u64 next)
{
	unsigned int empty;

	if (next <= load->next)
		return;
	empty = min_t(u64, next - load->next - 1, UINT_MAX);
	for (unsigned int i = 0; i < VSERVER_LOADS; i++) {
		load->avg[i] = calc_load(load->avg[i], load_exp[i],
					 load->active * FIXED_1);
		load->avg[i] = calc_load_n(load->avg[i], load_exp[i], 0, empty);
	}
	load->updates += next - load->next;
	load->next = next;
	load->active = 0;
}

static void vserver_load_work(struct work_struct *work)
{
	struct task_struct *g, *p;

	guard(mutex)(&load_lock);
	if (!load_users)
		return;
	load_sample++;
	rcu_read_lock();
	for_each_process_thread(g, p) {
		struct vserver_ctx *ctx = READ_ONCE(vserver_task(p)->ctx);
		unsigned int state = READ_ONCE(p->__state);

		if (!ctx || (state != TASK_RUNNING && !vserver_is_unintr(state)))
			continue;
		vserver_load_fold(&ctx->load, load_sample);
		ctx->load.active++;
	}
	rcu_read_unlock();
	queue_delayed_work(system_dfl_wq, &load_work, LOAD_FREQ);
}

/* A context begins to have a load. May sleep. */
void vserver_load_begin(struct vserver_load *load)
{
	guard(mutex)(&load_lock);
	load->next = load_sample + 1;
	if (!load_users++)
		queue_delayed_work(system_dfl_wq, &load_work, LOAD_FREQ);
}

/* It has none any more. May sleep. */
void vserver_load_end(void)
{
	guard(mutex)(&load_lock);
	load_users--;
}

/**
 * vserver_ctx_load - the load averages of a context
 * @ctx:	the context
 * @load:	the answer
 *
 * May sleep.
 */
void vserver_ctx_load(const struct vserver_ctx *ctx, struct vserver_load *load)
{
	guard(mutex)(&load_lock);
	*load = ctx->load;
	vserver_load_fold(load, load_sample + 1);
}
EXPORT_SYMBOL_GPL(vserver_ctx_load);

/**
 * vserver_ctx_census - how many tasks of a context do what right now
 * @ctx:	the context
 * @running:	how many run or could
 * @unintr:	how many wait uninterruptibly
 *
 * Looks at every task of the machine. Any context.
 */
void vserver_ctx_census(const struct vserver_ctx *ctx, u32 *running,
			u32 *unintr)
{
	struct task_struct *g, *p;

	*running = 0;
	*unintr = 0;
	guard(rcu)();
	for_each_process_thread(g, p) {
		unsigned int state = READ_ONCE(p->__state);

		if (READ_ONCE(vserver_task(p)->ctx) != ctx)
			continue;
		if (state == TASK_RUNNING)
			++*running;
		else if (vserver_is_unintr(state))
			++*unintr;
	}
}
EXPORT_SYMBOL_GPL(vserver_ctx_census);
