// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: work that a kernel thread does for a task
 *
 * Neither the task's limits nor signals that don't kill it are in the way then.
 * But the memory and the I/O are still its cgroups'.
 */

#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/vserver_cow.h>

struct vserver_errand {
	void (*fn)(void *data);
	void *data;
	struct mem_cgroup *memcg;
	struct cgroup_subsys_state *blkcg;
	struct completion done;
};

static struct cgroup_subsys_state *vserver_blkcg_get(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

static void vserver_blkcg_put(struct cgroup_subsys_state *css)
{
	if (css)
		css_put(css);
}

static int vserver_errand_run(void *data)
{
	struct vserver_errand *errand = data;

	/* A hibernation's image must not be older than what is on the disk. */
	set_freezable();
	set_active_memcg(errand->memcg);
	kthread_associate_blkcg(errand->blkcg);
	errand->fn(errand->data);
	kthread_associate_blkcg(NULL);
	set_active_memcg(NULL);
	kthread_complete_and_exit(&errand->done, 0);
}

/**
 * vserver_errand - have a kernel thread do something for the current task
 * @fn:		what
 * @data:	for @fn
 *
 * A thread of its own: what waits for the disk of one guest is in the way of no
 * other's. Sleeps until it is done; whether the task is being killed is for @fn
 * to look, as to call vserver_errand_pause(). The caller may be frozen then, and
 * holds no lock; those who wait until it has broken its link wait for its thaw.
 *
 * Return: 0 if @fn has run, or the errno of making the thread.
 */
int vserver_errand(void (*fn)(void *data), void *data)
{
	struct vserver_errand errand = {
		.fn = fn,
		.data = data,
		.done = COMPLETION_INITIALIZER_ONSTACK(errand.done),
	};
	struct task_struct *thread;

	errand.memcg = get_mem_cgroup_from_mm(current->mm);
	errand.blkcg = vserver_blkcg_get();
	thread = kthread_run(vserver_errand_run, &errand, "vserver_copy");
	if (!IS_ERR(thread))
		wait_for_completion_state(&errand.done,
					  TASK_IDLE | TASK_FREEZABLE);
	vserver_blkcg_put(errand.blkcg);
	mem_cgroup_put(errand.memcg);
	return PTR_ERR_OR_ZERO(thread);
}
EXPORT_SYMBOL_GPL(vserver_errand);

/**
 * vserver_errand_pause - be frozen, if that is asked for
 *
 * Does nothing in a task of user space: that is frozen on its way out. The caller
 * holds no lock, and nothing by which a file system could not be frozen.
 */
void vserver_errand_pause(void)
{
	if (current->flags & PF_KTHREAD)
		try_to_freeze();
}
