/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of how a context ends and who gets its orphans */
#ifndef _LINUX_VSERVER_LIFE_H
#define _LINUX_VSERVER_LIFE_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct task_struct;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

bool __vserver_reboot(unsigned int cmd, int *ret);
bool __vserver_same_context(const struct task_struct *a,
			    const struct task_struct *b);
struct task_struct *__vserver_child_reaper(struct task_struct *father,
					   struct task_struct *child_reaper);

/**
 * vserver_reboot - is it a context that reboot(2) is to end?
 * @cmd:	LINUX_REBOOT_CMD_*
 * @ret:	what the system call returns if so
 *
 * The caller has CAP_SYS_BOOT. May sleep.
 */
static __always_inline bool vserver_reboot(unsigned int cmd, int *ret)
{
	return static_branch_unlikely(&vserver_key) &&
	       __vserver_reboot(cmd, ret);
}

/**
 * vserver_may_reap - may a subreaper get a task's children?
 * @reaper:	an ancestor of
 * @father:	the task that exits
 *
 * Where migration has cut the line of ancestors, it ends.
 */
static __always_inline bool vserver_may_reap(const struct task_struct *reaper,
					     const struct task_struct *father)
{
	return !static_branch_unlikely(&vserver_key) ||
	       __vserver_same_context(reaper, father);
}

/**
 * vserver_child_reaper - who gets orphans that no ancestor takes?
 * @father:		current, which exits
 * @child_reaper:	the init of its pid namespace
 *
 * tasklist_lock is held for writing.
 *
 * Return: a living thread of the context's reaper or init; @child_reaper if there
 * is none, or if one of the orphans is not in the context.
 */
static __always_inline struct task_struct *
vserver_child_reaper(struct task_struct *father,
		     struct task_struct *child_reaper)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_child_reaper(father, child_reaper);
	return child_reaper;
}

#else

static inline bool vserver_reboot(unsigned int cmd, int *ret)
{
	return false;
}

static inline bool vserver_may_reap(const struct task_struct *reaper,
				    const struct task_struct *father)
{
	return true;
}

static inline struct task_struct *
vserver_child_reaper(struct task_struct *father,
		     struct task_struct *child_reaper)
{
	return child_reaper;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_LIFE_H */
