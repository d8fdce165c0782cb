// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: how a context ends and who gets its orphans */

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sysctl.h>
#include <linux/umh.h>
#include <linux/vserver_life.h>

#include "internal.h"

/* A container that the context has inside: what it does to itself is its own. */
static bool vserver_is_nested(const struct vserver_ctx *ctx,
			      const struct pid_namespace *ns)
{
	const struct task_struct *reaper;
	bool nested;

	read_lock(&tasklist_lock);
	reaper = ns->child_reaper;
	nested = vserver_task(reaper)->ctx == ctx &&
		 reaper->tgid != READ_ONCE(ctx->init);
	read_unlock(&tasklist_lock);
	return nested;
}

bool __vserver_reboot(unsigned int cmd, int *ret)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (!ctx || vserver_is_nested(ctx, task_active_pid_ns(current)))
		return false;
	*ret = ctx->ops->reboot(ctx, cmd);
	return true;
}

bool __vserver_same_context(const struct task_struct *a,
			    const struct task_struct *b)
{
	return READ_ONCE(vserver_task(a)->ctx) ==
	       READ_ONCE(vserver_task(b)->ctx);
}

/*
 * A living thread of process @tgid, if that can be parent of @father's
 * children: not if it descends from them, nor across pid namespaces.
 */
static struct task_struct *vserver_find_reaper(const struct vserver_ctx *ctx,
					       pid_t tgid,
					       struct task_struct *father)
{
	struct task_struct *leader, *p, *thread;

	if (tgid <= 0)
		return NULL;
	leader = find_task_by_pid_ns(tgid, &init_pid_ns);
	if (!leader || vserver_task(leader)->ctx != ctx ||
	    task_active_pid_ns(leader) != task_active_pid_ns(father))
		return NULL;
	for (p = leader; p != &init_task; p = rcu_dereference(p->real_parent))
		if (same_thread_group(p, father))
			return NULL;
	for_each_thread(leader, thread)
		if (!(thread->flags & PF_EXITING))
			return thread;
	return NULL;
}

/* Who entered may have left children outside: theirs is no parent inside. */
static bool vserver_has_others(const struct task_struct *father,
			       const struct vserver_ctx *ctx)
{
	struct task_struct *p;

	list_for_each_entry(p, &father->children, sibling)
		if (vserver_task(p)->ctx != ctx)
			return true;
	return false;
}

struct task_struct *__vserver_child_reaper(struct task_struct *father,
					   struct task_struct *child_reaper)
{
	const struct vserver_ctx *ctx = vserver_task(father)->ctx;
	struct task_struct *reaper;

	/* A pid namespace inside ends by reaping its own. */
	if (!ctx || vserver_task(child_reaper)->ctx == ctx ||
	    vserver_has_others(father, ctx))
		return child_reaper;

	/* tasklist_lock is enough, but the look-up wants to see this. */
	guard(rcu)();
	reaper = vserver_find_reaper(ctx, READ_ONCE(ctx->reaper), father);
	if (!reaper)
		reaper = vserver_find_reaper(ctx, READ_ONCE(ctx->init), father);
	return reaper ?: child_reaper;
}

/* The administrator's program, run on the host; /proc/sys/kernel/vshelper. */
static char vserver_helper_path[256] = "/sbin/vshelper";
static DEFINE_MUTEX(vserver_helper_lock);	/* for the path */

static int vserver_helper_sysctl(const struct ctl_table *table, int write,
				 void *buffer, size_t *lenp, loff_t *ppos)
{
	guard(mutex)(&vserver_helper_lock);
	return proc_dostring(table, write, buffer, lenp, ppos);
}

static const struct ctl_table vserver_sysctls[] = {
	{
		.procname	= "vshelper",
		.data		= vserver_helper_path,
		.maxlen		= sizeof(vserver_helper_path),
		.mode		= 0644,
		.proc_handler	= vserver_helper_sysctl,
	},
};

int __init vserver_sysctl_init(void)
{
	register_sysctl_init("kernel", vserver_sysctls);
	return 0;
}

/**
 * vserver_helper - run the administrator's helper on the host
 * @action:	what happened, its first argument
 * @xid:	to which context, its second one
 *
 * Waits until it has been started, not for its end. May sleep.
 *
 * Return: 0, or the errno of what went wrong, -ENOENT if there is none.
 */
int vserver_helper(const char *action, u32 xid)
{
	static char *envp[4] = {
		"HOME=/", "TERM=linux", "PATH=/sbin:/bin:/usr/sbin:/usr/bin",
		NULL
	};
	char id[sizeof("4294967295")];
	char path[sizeof(vserver_helper_path)];
	char *argv[4] = { path, (char *)action, id, NULL };

	scoped_guard(mutex, &vserver_helper_lock)
		strscpy(path, vserver_helper_path);
	if (!path[0])
		return -ENOENT;
	snprintf(id, sizeof(id), "%u", xid);
	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC);
}
EXPORT_SYMBOL_GPL(vserver_helper);
