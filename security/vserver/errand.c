// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: work that a kernel thread does for a task
 *
 * Neither the task's limits nor signals that don't kill it are in the way then.
 * But the memory and the I/O are still its cgroups'.
 */

#include <linux/cgroup.h>
#include <linux/export.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/smp.h>
#include <linux/vserver_cow.h>
#include <linux/workqueue.h>

struct vserver_errand {
	long (*fn)(void *data);
	void *data;
	struct mem_cgroup *memcg;
	struct cgroup_subsys_state *blkcg;
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

static long vserver_errand_run(void *data)
{
	struct vserver_errand *errand = data;
	struct mem_cgroup *memcg = set_active_memcg(errand->memcg);
	long ret;

	kthread_associate_blkcg(errand->blkcg);
	ret = errand->fn(errand->data);
	kthread_associate_blkcg(NULL);
	set_active_memcg(memcg);
	return ret;
}

/**
 * vserver_errand - have a kernel thread do something for the current task
 * @fn:		what
 * @data:	for @fn
 *
 * Sleeps until it is done; whether the task is being killed is for @fn to look.
 *
 * Return: what @fn returns.
 */
long vserver_errand(long (*fn)(void *data), void *data)
{
	struct vserver_errand errand = {
		.fn = fn,
		.data = data,
		.memcg = get_mem_cgroup_from_mm(current->mm),
		.blkcg = vserver_blkcg_get(),
	};
	long ret;

	ret = work_on_cpu(raw_smp_processor_id(), vserver_errand_run, &errand);
	vserver_blkcg_put(errand.blkcg);
	mem_cgroup_put(errand.memcg);
	return ret;
}
EXPORT_SYMBOL_GPL(vserver_errand);
