/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what the files of idle time share */
#ifndef _SECURITY_VSERVER_IDLE_H
#define _SECURITY_VSERVER_IDLE_H

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/swait.h>

#include "internal.h"

/**
 * struct vserver_wait - somebody who waits for tokens
 * @task:	the one, on whose stack this is
 * @idle:	of its context
 * @events:	ends the wait when it becomes anything but 0, unless NULL
 * @granted:	done when there is idle time. Has a lock that an interrupt may
 *		take, and can wake on the CPU that idles.
 * @waiter:	@task, as @granted knows it
 * @node:	in the context's list
 * @begun:	it is on idle time; its own
 */
struct vserver_wait {
	struct task_struct *task;
	struct vserver_idle *idle;
	const unsigned long *events;
	struct completion granted;
	struct swait_queue waiter;
	struct list_head node;
	bool begun;
};

/**
 * struct vserver_line - contexts with a rate where somebody waits
 * @order:	by their place: what they had when somebody last looked
 * @floor:	the most that one had whose turn it was
 */
struct vserver_line {
	struct rb_root_cached order;
	u64 floor;
};

/**
 * struct vserver_line_at - how far somebody has looked along a line
 * @more:	there are others to look at
 * @place:	the place of the context to look at next, and
 * @idle:	which one, among those with equal places; not to be followed.
 *		NULL is the first one.
 * @seen:	how many of those who wait there have been looked at
 */
struct vserver_line_at {
	bool more;
	u64 place;
	const struct vserver_idle *idle;
	unsigned int seen;
};

/*
 * How many contexts and waiters one looks at with the lock of the line, and
 * mostly with interrupts off: some 10 us.
 */
#define VSERVER_LINE_LOOKS	64

u64 vserver_idle_cost(u32 price, u64 ns);
bool vserver_may_idle(struct task_struct *p);

/* All under the lock of the line. */
void vserver_line_join(struct vserver_line *line, struct vserver_idle *idle);
void vserver_line_add(struct vserver_line *line, struct vserver_idle *idle);
void vserver_line_remove(struct vserver_line *line, struct vserver_idle *idle);
void vserver_line_serve(struct vserver_line *line,
			const struct vserver_idle *idle);
bool vserver_line_is_next(struct vserver_line *line,
			  const struct vserver_idle *idle,
			  const struct cpumask *cpus);
bool vserver_line_look(struct vserver_line *line, const struct cpumask *cpus,
		       struct vserver_line_at *at,
		       void (*give)(struct vserver_idle *idle,
				    struct vserver_wait *wait));

#endif /* _SECURITY_VSERVER_IDLE_H */
