// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what a context has of a resource, and its limit
 *
 * Some resources are counted where they are given and taken back: these have
 * limits. An object that is counted remembers to whom, so that it does not
 * matter who frees it. Of the others the kernel knows how much each process
 * has: they are summed up when somebody asks.
 */

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/vserver_limit.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

static_assert(VLIMIT_MAPPED + 1 == VSERVER_LIMITS);

static void vserver_limit_raise_max(struct vserver_limit *limit, s64 value)
{
	s64 max = atomic64_read(&limit->max);

	while (value > max &&
	       !atomic64_try_cmpxchg_relaxed(&limit->max, &max, value))
		;
}

static void vserver_limit_lower_min(struct vserver_limit *limit, s64 value)
{
	s64 min = atomic64_read(&limit->min);

	while (value < min &&
	       !atomic64_try_cmpxchg_relaxed(&limit->min, &min, value))
		;
}

/* The limits of a new context, which is zeroed. */
void vserver_limit_init(struct vserver_ctx *ctx)
{
	int id;

	for (id = 0; id < VSERVER_LIMITS; id++) {
		ctx->limits[id].soft = CRLIM_INFINITY;
		ctx->limits[id].hard = CRLIM_INFINITY;
	}
}

/* Nobody has anything of a context that is freed. */
void vserver_limit_check(const struct vserver_ctx *ctx)
{
	int id;

	for (id = 0; id < VSERVER_LIMITS; id++)
		WARN_ON_ONCE(VSERVER_LIMITS_COUNTED & BIT(id) &&
			     atomic64_read(&ctx->limits[id].value));
}

/**
 * vserver_limit_charge - give a context something, if its limit lets it
 * @ctx:	the context
 * @id:		of what, one of %VSERVER_LIMITS_COUNTED
 * @n:		how much
 *
 * Any context. Return: false if that would be more than the limit, a hit.
 */
bool vserver_limit_charge(struct vserver_ctx *ctx, unsigned int id, u64 n)
{
	struct vserver_limit *limit = &ctx->limits[id];
	u64 hard = READ_ONCE(limit->hard);
	s64 value = atomic64_read(&limit->value);

	do {
		/* msgctl(2) takes nothing before it gives something back. */
		if (n && (n > hard || value > hard - n)) {
			atomic_inc(&limit->hits);
			return false;
		}
	} while (!atomic64_try_cmpxchg_relaxed(&limit->value, &value,
					       value + n));
	vserver_limit_raise_max(limit, value + n);
	return true;
}

/**
 * vserver_limit_force - give a context something that can't be refused
 * @ctx:	the context
 * @id:		of what, one of %VSERVER_LIMITS_COUNTED
 * @n:		how much
 */
void vserver_limit_force(struct vserver_ctx *ctx, unsigned int id, u64 n)
{
	struct vserver_limit *limit = &ctx->limits[id];

	vserver_limit_raise_max(limit, atomic64_add_return(n, &limit->value));
}

/**
 * vserver_limit_uncharge - take back from a context what it was given
 * @ctx:	the context
 * @id:		of what
 * @n:		how much
 *
 * Any context.
 */
void vserver_limit_uncharge(struct vserver_ctx *ctx, unsigned int id, u64 n)
{
	struct vserver_limit *limit = &ctx->limits[id];

	vserver_limit_lower_min(limit, atomic64_sub_return(n, &limit->value));
}

/**
 * vserver_limit_room - how much more a context may have
 * @ctx:	the context
 * @id:		of what
 *
 * Return: the rest, 0 also if it has too much
 */
u64 vserver_limit_room(const struct vserver_ctx *ctx, unsigned int id)
{
	const struct vserver_limit *limit = &ctx->limits[id];
	u64 hard = READ_ONCE(limit->hard);
	u64 value = atomic64_read(&limit->value);

	return hard > value ? hard - value : 0;
}

/**
 * vserver_limit_fits - whether a context may have more
 * @ctx:	the context, which gets nothing yet
 * @id:		of what
 * @n:		how much more
 *
 * No is a hit.
 */
bool vserver_limit_fits(struct vserver_ctx *ctx, unsigned int id, u64 n)
{
	if (n <= vserver_limit_room(ctx, id))
		return true;
	atomic_inc(&ctx->limits[id].hits);
	return false;
}

/**
 * vserver_limit_is_exceeded - whether a context has more than it may have
 * @ctx:	the context
 * @id:		of what
 *
 * That comes of what can't be refused, and of a limit that was lowered. Yes is
 * a hit.
 */
bool vserver_limit_is_exceeded(struct vserver_ctx *ctx, unsigned int id)
{
	struct vserver_limit *limit = &ctx->limits[id];

	if (atomic64_read(&limit->value) <= READ_ONCE(limit->hard))
		return false;
	atomic_inc(&limit->hits);
	return true;
}

/**
 * vserver_limits_memory - whether memory cgroups limit what is only summed here
 */
bool vserver_limits_memory(void)
{
	return !mem_cgroup_disabled();
}
EXPORT_SYMBOL_GPL(vserver_limits_memory);

/**
 * vserver_limit_sum - look up what is not counted
 * @ctx:	the context, whose values of %VSERVER_LIMITS_SUMMED are renewed
 *
 * Goes through all processes of the machine, if the context has any. What
 * processes share that are no threads of each other, as after vfork(), counts
 * for each.
 */
void vserver_limit_sum(struct vserver_ctx *ctx)
{
	u64 sum[VSERVER_LIMITS] = {};
	struct task_struct *p, *t;
	int id;

	rcu_read_lock();
	for_each_process(p) {
		if (!vserver_ctx_tasks(ctx))
			break;
		if (READ_ONCE(vserver_task(p)->ctx) != ctx)
			continue;
		t = find_lock_task_mm(p);
		if (!t)
			continue;
		sum[RLIMIT_RSS] += get_mm_rss_sum(t->mm);
		sum[VLIMIT_ANON] += get_mm_counter_sum(t->mm, MM_ANONPAGES);
		sum[VLIMIT_MAPPED] += get_mm_counter_sum(t->mm, MM_FILEPAGES) +
				      get_mm_counter_sum(t->mm, MM_SHMEMPAGES);
		task_unlock(t);
	}
	rcu_read_unlock();

	for (id = 0; id < VSERVER_LIMITS; id++) {
		struct vserver_limit *limit = &ctx->limits[id];

		if (!(VSERVER_LIMITS_SUMMED & BIT(id)))
			continue;
		atomic64_set(&limit->value, sum[id]);
		vserver_limit_raise_max(limit, sum[id]);
		vserver_limit_lower_min(limit, sum[id]);
	}
}
EXPORT_SYMBOL_GPL(vserver_limit_sum);

/**
 * vserver_limit_get - what a context has of something, and may have
 * @ctx:	the context
 * @id:		of what, below %VSERVER_LIMITS
 * @state:	the answer
 */
void vserver_limit_get(const struct vserver_ctx *ctx, unsigned int id,
		       struct vserver_limit_state *state)
{
	const struct vserver_limit *limit = &ctx->limits[id];

	state->value = atomic64_read(&limit->value);
	state->min = atomic64_read(&limit->min);
	state->max = atomic64_read(&limit->max);
	state->soft = READ_ONCE(limit->soft);
	state->hard = READ_ONCE(limit->hard);
	state->hits = atomic_read(&limit->hits);
}
EXPORT_SYMBOL_GPL(vserver_limit_get);

/**
 * vserver_limit_set - set what a context may have of something
 * @ctx:	the context; what it has beyond @hard it keeps
 * @id:		of what, one of %VSERVER_LIMITS_COUNTED
 * @soft:	the mark
 * @hard:	the limit
 */
void vserver_limit_set(struct vserver_ctx *ctx, unsigned int id, u64 soft,
		       u64 hard)
{
	WRITE_ONCE(ctx->limits[id].soft, soft);
	WRITE_ONCE(ctx->limits[id].hard, hard);
}
EXPORT_SYMBOL_GPL(vserver_limit_set);

/**
 * vserver_limit_reset_hits - forget how often a context was refused something
 * @ctx:	the context
 */
void vserver_limit_reset_hits(struct vserver_ctx *ctx)
{
	int id;

	for (id = 0; id < VSERVER_LIMITS; id++)
		atomic_set(&ctx->limits[id].hits, 0);
}
EXPORT_SYMBOL_GPL(vserver_limit_reset_hits);

/**
 * vserver_limit_reset_minmax - start anew to watch for the least and the most
 * @ctx:	the context
 */
void vserver_limit_reset_minmax(struct vserver_ctx *ctx)
{
	int id;

	for (id = 0; id < VSERVER_LIMITS; id++) {
		struct vserver_limit *limit = &ctx->limits[id];
		s64 value = atomic64_read(&limit->value);

		atomic64_set(&limit->min, value);
		atomic64_set(&limit->max, value);
	}
}
EXPORT_SYMBOL_GPL(vserver_limit_reset_minmax);

long __vserver_oom_adj(const struct task_struct *p, long adj)
{
	const struct vserver_ctx *ctx = READ_ONCE(vserver_task(p)->ctx);

	if (!ctx)
		return adj;
	return clamp(adj + (long)READ_ONCE(ctx->badness),
		     (long)OOM_SCORE_ADJ_MIN, (long)OOM_SCORE_ADJ_MAX);
}
