// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: whose turn it is to get idle time
 *
 * The contexts that want some are in a tree, ordered by what they had, in
 * proportion to their rates. What is billed makes no difference there before
 * somebody comes along, who moves the context to where it belongs: it can only
 * have had more, so whoever had least is never behind its place.
 *
 * There may be any number of contexts, and of waiters who can't run on the CPUs
 * in question. A look at the line ends after so many of them, and the next one
 * goes on from there.
 */

#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/ext.h>
#include <linux/sched/rt.h>
#include <linux/spinlock.h>

#include "idle.h"

/* What one had less, or more, than others counts for so much of its own time. */
#define IDLE_CATCH_UP_NS	NSEC_PER_SEC

/* What counts for the order: the time by the price. It may wrap around. */
u64 vserver_idle_cost(u32 price, u64 ns)
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
 * Those of the other classes get none. Others don't get by a real-time task,
 * and a sched_ext scheduler has tasks that wait where no CPU sees them.
 */
bool vserver_may_idle(struct task_struct *p)
{
#ifdef CONFIG_SCHED_CLASS_EXT
	if ((READ_ONCE(p->scx.flags) & SCX_TASK_STATE_MASK) == SCX_TASK_ENABLED)
		return false;
#endif
	return !rt_or_dl_task_policy(p);
}

/* Asleep where one of @cpus can wake it, and not frozen. */
static bool vserver_could_run(struct task_struct *p, const struct cpumask *cpus)
{
	return (READ_ONCE(p->__state) & TASK_INTERRUPTIBLE) &&
	       !READ_ONCE(p->on_rq) && !READ_ONCE(p->on_cpu) &&
	       cpumask_intersects(cpus, READ_ONCE(p->cpus_ptr)) &&
	       vserver_may_idle(p);
}

static struct vserver_idle *vserver_line_entry(struct rb_node *node)
{
	return rb_entry_safe(node, struct vserver_idle, line);
}

/* Whether one comes before another that has this place. */
static bool vserver_line_before(const struct vserver_idle *idle, u64 place,
				const struct vserver_idle *other)
{
	if (idle->place != place)
		return vserver_had_less(idle->place, place);
	return idle < other;
}

static bool vserver_line_less(struct rb_node *node, const struct rb_node *other)
{
	const struct vserver_idle *b = rb_entry(other, struct vserver_idle,
						line);

	return vserver_line_before(vserver_line_entry(node), b->place, b);
}

/* The first that is not before @at. */
static struct vserver_idle *vserver_line_from(struct vserver_line *line,
					      const struct vserver_line_at *at)
{
	struct rb_node *node = line->order.rb_root.rb_node;
	struct vserver_idle *idle, *from = NULL;

	if (!at->idle)
		return vserver_line_entry(rb_first_cached(&line->order));
	while (node) {
		idle = vserver_line_entry(node);
		if (vserver_line_before(idle, at->place, at->idle)) {
			node = node->rb_right;
		} else {
			from = idle;
			node = node->rb_left;
		}
	}
	return from;
}

void vserver_line_add(struct vserver_line *line, struct vserver_idle *idle)
{
	idle->place = vserver_had(idle);
	rb_add_cached(&idle->line, &line->order, vserver_line_less);
	WRITE_ONCE(idle->in_line, true);
}

void vserver_line_remove(struct vserver_line *line, struct vserver_idle *idle)
{
	WRITE_ONCE(idle->in_line, false);
	rb_erase_cached(&idle->line, &line->order);
}

/*
 * Who wanted none for long does not get all now, and who got much while nobody
 * else wanted any is not made to wait for as long.
 */
void vserver_line_join(struct vserver_line *line, struct vserver_idle *idle)
{
	s64 most = vserver_idle_cost(idle->price, IDLE_CATCH_UP_NS);
	u64 had = vserver_had(idle);
	s64 ahead = had - line->floor;

	if (ahead >= -most && ahead <= most)
		return;
	/* If that fails it has just been billed. */
	atomic64_cmpxchg(&idle->had, had,
			 line->floor + clamp(ahead, -most, most));
	if (idle->in_line) {
		vserver_line_remove(line, idle);
		vserver_line_add(line, idle);
	}
}

/* It is the turn of this one. */
void vserver_line_serve(struct vserver_line *line,
			const struct vserver_idle *idle)
{
	if (vserver_had_less(line->floor, vserver_had(idle)))
		line->floor = vserver_had(idle);
}

/*
 * Gives to one of a context that could run on one of @cpus, if there is one,
 * and leaves it the first of the list.
 */
static bool vserver_idle_give(struct vserver_idle *idle,
			      const struct cpumask *cpus,
			      struct vserver_line_at *at, int *left,
			      void (*give)(struct vserver_idle *idle,
					   struct vserver_wait *wait))
{
	struct vserver_wait *wait;

	guard(raw_spinlock)(&idle->lock);
	for (; at->seen < idle->nr_waits && *left > 0; at->seen++, --*left) {
		wait = list_first_entry(&idle->waits, struct vserver_wait, node);
		if (vserver_could_run(wait->task, cpus)) {
			if (give)
				give(idle, wait);
			return true;
		}
		list_rotate_left(&idle->waits);
	}
	return false;
}

static void vserver_line_go_to(struct vserver_line_at *at,
			       const struct vserver_idle *idle)
{
	at->more = idle;
	at->seen = 0;
	at->idle = idle;
	at->place = idle ? idle->place : 0;
}

/**
 * vserver_line_look - look for somebody who could run
 * @line:	where
 * @cpus:	on one of these
 * @at:		where to begin, and where to go on
 * @give:	called for the first that is found, under the context's lock
 *
 * Return: whether somebody was found; if not, and not @at->more, there is
 * nobody from where it began.
 */
bool vserver_line_look(struct vserver_line *line, const struct cpumask *cpus,
		       struct vserver_line_at *at,
		       void (*give)(struct vserver_idle *idle,
				    struct vserver_wait *wait))
{
	struct vserver_idle *idle = vserver_line_from(line, at);
	int left = VSERVER_LINE_LOOKS;

	if (!idle || idle != at->idle)
		vserver_line_go_to(at, idle);
	while (idle && left-- > 0) {
		struct vserver_idle *next =
			vserver_line_entry(rb_next(&idle->line));
		bool found = false;

		if (idle->place != vserver_had(idle)) {
			vserver_line_remove(line, idle);
			vserver_line_add(line, idle);
			/* Itself, if it is not behind that. */
			next = vserver_line_from(line, at);
		} else {
			found = vserver_idle_give(idle, cpus, at, &left, give);
			if (!found && at->seen < READ_ONCE(idle->nr_waits))
				return false;
		}
		idle = next;
		vserver_line_go_to(at, idle);
		if (found)
			return true;
	}
	return false;
}

/* Is it the turn of @idle, as far as one can see at a look? */
bool vserver_line_is_next(struct vserver_line *line,
			  const struct vserver_idle *idle,
			  const struct cpumask *cpus)
{
	struct vserver_line_at at = {};
	struct vserver_idle *other = vserver_line_from(line, &at);
	u64 had = vserver_had(idle);
	int left = VSERVER_LINE_LOOKS;

	for (; other && vserver_had_less(other->place, had); at.seen = 0) {
		if (left-- <= 0)
			return false;
		if (vserver_had_less(vserver_had(other), had) &&
		    (vserver_idle_give(other, cpus, &at, &left, NULL) ||
		     at.seen < READ_ONCE(other->nr_waits)))
			return false;
		other = vserver_line_entry(rb_next(&other->line));
	}
	return true;
}

#ifdef CONFIG_SECURITY_VSERVER_KUNIT_TEST
#include "idle_test.c"
#endif
