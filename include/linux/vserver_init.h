/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux-VServer: a context whose init is process 1 to those inside
 *
 * Such a context has the flag info_init. To who is inside, its init has the
 * number 1, and no process has init's own number. Numbers are those of the
 * initial pid namespace: in others they are left alone, and so they are for
 * who is not inside.
 *
 * None of these sleeps; all may be called with any lock held.
 */
#ifndef _LINUX_VSERVER_INIT_H
#define _LINUX_VSERVER_INIT_H

#include <linux/jump_label.h>
#include <linux/pid.h>
#include <linux/types.h>

struct pid_namespace;
struct task_struct;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

pid_t __vserver_shown_nr(pid_t nr, const struct pid_namespace *ns);
pid_t __vserver_real_nr(pid_t nr, const struct pid_namespace *ns);

/**
 * vserver_shown_nr - the number by which the caller knows a process
 * @nr:	its number in
 * @ns:	a pid namespace
 *
 * Return: @nr, 1 for the init of the caller's context, or 0 for the machine's.
 */
static __always_inline pid_t vserver_shown_nr(pid_t nr,
					      const struct pid_namespace *ns)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_shown_nr(nr, ns);
	return nr;
}

/**
 * vserver_real_nr - the number of a process that the caller names
 * @nr:	what the caller says
 * @ns:	the pid namespace
 *
 * Return: its number in @ns, or 0 for one that no process has.
 */
static __always_inline pid_t vserver_real_nr(pid_t nr,
					     const struct pid_namespace *ns)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_real_nr(nr, ns);
	return nr;
}

#else

static inline pid_t vserver_shown_nr(pid_t nr, const struct pid_namespace *ns)
{
	return nr;
}

static inline pid_t vserver_real_nr(pid_t nr, const struct pid_namespace *ns)
{
	return nr;
}

#endif /* CONFIG_SECURITY_VSERVER */

/**
 * vserver_task_nr - the number by which the caller knows a task's pid
 * @p:		the task
 * @type:	which of its pids
 * @ns:		a pid namespace
 */
static inline pid_t vserver_task_nr(struct task_struct *p, enum pid_type type,
				    struct pid_namespace *ns)
{
	return vserver_shown_nr(__task_pid_nr_ns(p, type, ns), ns);
}

#endif /* _LINUX_VSERVER_INIT_H */
