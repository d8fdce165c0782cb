// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what a context used of a CPU
 *
 * Run time is exact, and how it is divided an estimate: ticks are samples. As
 * one sample more moves all that was run before, it is the parts that somebody
 * has seen that count, as cputime_adjust() does it for tasks: none goes back.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>

#include "internal.h"

/*
 * Divides @run_ns by ticks, and keeps what @use had of both parts. What no tick
 * ever met ran in short pieces, which are system calls mostly. Under the lock.
 */
static void vserver_cpu_divide(struct vserver_cpu *use, u64 run_ns,
			       u64 user_ticks, u64 sys_ticks)
{
	u64 ticks = user_ticks + sys_ticks;
	u64 user = 0;

	/* Nothing new to divide. */
	if (run_ns <= use->user_ns + use->sys_ns)
		return;
	if (ticks)
		user = mul_u64_u64_div_u64(run_ns, user_ticks, ticks);
	use->user_ns = clamp(user, use->user_ns, run_ns - use->sys_ns);
	use->sys_ns = run_ns - use->user_ns;
}

/* A wait under way is marked by a bit of the time waited: nobody misses 1 ns. */
#define HOLD_GOES_ON	1ull

static u64 vserver_hold_clock(void)
{
	return ktime_get_ns() & ~HOLD_GOES_ON;
}

/**
 * vserver_ctx_cpu - what a context used of a CPU
 * @ctx:	the context
 * @cpu:	a possible CPU
 * @use:	the answer
 *
 * Process context.
 */
void vserver_ctx_cpu(struct vserver_ctx *ctx, unsigned int cpu,
		     struct vserver_cpu_use *use)
{
	struct vserver_cpu *p = per_cpu_ptr(ctx->cpu, cpu);

	guard(spinlock)(&p->lock);
	vserver_cpu_divide(p, READ_ONCE(p->run_ns), READ_ONCE(p->user_ticks),
			   READ_ONCE(p->sys_ticks));
	use->user_ns = p->user_ns;
	use->sys_ns = p->sys_ns;
	use->run_ns = p->user_ns + p->sys_ns;
	use->hold_ns = p->hold_ns + p->holding * vserver_hold_clock();
	use->idle_ns = READ_ONCE(p->idle_ns);
}
EXPORT_SYMBOL_GPL(vserver_ctx_cpu);

/**
 * vserver_ctx_vacant - what of a CPU's time was not a context's
 * @ctx:	the context
 * @cpu:	a possible CPU
 * @total:	all of it, as the machine counts it in ticks
 * @run_ns:	what was the context's
 *
 * Return: nanoseconds; never less than before.
 */
u64 vserver_ctx_vacant(struct vserver_ctx *ctx, unsigned int cpu, u64 total,
		       u64 run_ns)
{
	struct vserver_cpu *p = per_cpu_ptr(ctx->cpu, cpu);

	guard(spinlock)(&p->lock);
	p->vacant_ns = max(p->vacant_ns, total - min(total, run_ns));
	return p->vacant_ns;
}

/*
 * The caller begins to wait. Returns where that is counted, for
 * vserver_hold_end().
 */
struct vserver_cpu *vserver_hold_begin(struct vserver_task *vt)
{
	struct vserver_cpu *use = raw_cpu_ptr(vt->ctx->cpu);
	u64 now;

	guard(spinlock)(&use->lock);
	now = vserver_hold_clock();
	use->hold_ns -= now;
	use->holding++;
	WRITE_ONCE(vt->hold_ns, (vt->hold_ns - now) | HOLD_GOES_ON);
	return use;
}

/* The wait is over. */
void vserver_hold_end(struct vserver_task *vt, struct vserver_cpu *use)
{
	u64 now;

	guard(spinlock)(&use->lock);
	now = vserver_hold_clock();
	use->hold_ns += now;
	use->holding--;
	WRITE_ONCE(vt->hold_ns, (vt->hold_ns & ~HOLD_GOES_ON) + now);
}

/**
 * vserver_task_hold_ns - how long a task waited for tokens
 * @p:	any task
 *
 * Return: nanoseconds, with those of a wait under way; never less than before.
 */
u64 vserver_task_hold_ns(const struct task_struct *p)
{
	const struct vserver_task *vt = vserver_task(p);
	u64 ns, now;

	do {
		ns = READ_ONCE(vt->hold_ns);
		if (!(ns & HOLD_GOES_ON))
			return ns;
		now = vserver_hold_clock();
		/* If it still waits, it ends later than that. */
		smp_rmb();
	} while (ns != READ_ONCE(vt->hold_ns));
	return (ns & ~HOLD_GOES_ON) + now;
}

void vserver_cpu_init(struct vserver_ctx *ctx)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(ctx->cpu, cpu)->lock);
}

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "cpu_use_test.c"
#endif
