/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux-VServer: which processes there are for whom, and what else is
 *
 * Inside a context there are only its own. On the host there are the host's,
 * and one's own children and tracees wherever they went. The spectator and
 * kernel threads see everything.
 *
 * None of these sleeps; all may be called with any lock held.
 */
#ifndef _LINUX_VSERVER_VISIBLE_H
#define _LINUX_VSERVER_VISIBLE_H

#include <linux/jump_label.h>
#include <linux/types.h>
#include <linux/vserver_init.h>
#include <uapi/linux/vserver.h>

struct kern_ipc_perm;
struct pid;
struct task_struct;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);
DECLARE_STATIC_KEY_FALSE(vserver_module_key);

bool __vserver_sees(const struct task_struct *p);
bool __vserver_may_trace(const struct task_struct *p);
bool __vserver_sees_parent(const struct task_struct *p);
bool __vserver_sees_pid(struct pid *pid);
bool __vserver_sees_nr(pid_t nr);
bool __vserver_sees_ipc(struct kern_ipc_perm *perm);
bool __vserver_lists(const struct task_struct *p);
bool __vserver_lists_nr(pid_t nr);
bool __vserver_sees_proc_in(const char *dir, const void *data,
			    const char *name);
bool __vserver_sees_entry(u32 iattr);
u64 __vserver_own(void);
bool vserver_is_foreign(u64 owner);

/**
 * vserver_sees - whether there is a task for the caller
 * @p:	the task, with a reference or under RCU
 */
static __always_inline bool vserver_sees(const struct task_struct *p)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees(p);
}

/**
 * vserver_may_trace - whether the caller may get at what a task has
 * @p:	the task, with a reference or under RCU
 *
 * Return: false if the task is not seen, or has entered the caller's context and
 * not run a program yet.
 */
static __always_inline bool vserver_may_trace(const struct task_struct *p)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_may_trace(p);
}

/**
 * vserver_sees_pid - whether there is what a pid stands for
 * @pid:	the pid. One that no task has is seen: that says nothing.
 */
static __always_inline bool vserver_sees_pid(struct pid *pid)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees_pid(pid);
}

/**
 * vserver_sees_nr - the same for a number
 * @nr:	a number in the initial pid namespace
 */
static __always_inline bool vserver_sees_nr(pid_t nr)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees_nr(nr);
}

/**
 * vserver_sees_ipc - whether an object of System V IPC is listed for the caller
 * @perm:	the object, under RCU
 */
static __always_inline bool vserver_sees_ipc(struct kern_ipc_perm *perm)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees_ipc(perm);
}

/**
 * vserver_lists - whether a list that the host manages processes by has a task
 * @p:	the task, with a reference or under RCU
 *
 * Return: false only inside a context, for a task of another one or of the host.
 */
static __always_inline bool vserver_lists(const struct task_struct *p)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_lists(p);
}

/**
 * vserver_lists_nr - the same for a number
 * @nr:	a number in the caller's pid namespace
 */
static __always_inline bool vserver_lists_nr(pid_t nr)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_lists_nr(nr);
}

/**
 * vserver_sees_entry - whether there is an entry of /proc for the caller
 * @iattr:	its attributes; those of processes are not meant
 */
static __always_inline bool vserver_sees_entry(u32 iattr)
{
	return !static_branch_unlikely(&vserver_module_key) ||
	       !(iattr & IATTR_HIDE) || __vserver_sees_entry(iattr);
}

/**
 * vserver_sees_proc_in - whether there is an entry in a directory of /proc
 * @dir:	the directory's name
 * @data:	its data: of "net" the network namespace
 * @name:	the entry's name
 */
static __always_inline bool vserver_sees_proc_in(const char *dir,
						 const void *data,
						 const char *name)
{
	return !static_branch_unlikely(&vserver_key) ||
	       __vserver_sees_proc_in(dir, data, name);
}

/**
 * vserver_own - the owner of what the caller makes
 *
 * Return: a number that stands for the caller's context, 0 for the host.
 */
static __always_inline u64 vserver_own(void)
{
	return static_branch_unlikely(&vserver_key) ? __vserver_own() : 0;
}

/**
 * vserver_foreign - whether the caller has to leave something alone
 * @owner:	its owner, from vserver_own() of who made it
 */
static __always_inline bool vserver_foreign(u64 owner)
{
	return static_branch_unlikely(&vserver_key) &&
	       vserver_is_foreign(owner);
}

/**
 * vserver_visible_task - a task that was looked up, if the caller may find it
 * @p:	the task, under RCU, or NULL
 */
static __always_inline struct task_struct *
vserver_visible_task(struct task_struct *p)
{
	return p && vserver_sees(p) ? p : NULL;
}

/**
 * vserver_visible_pid - a pid that was looked up, if the caller may find it
 * @pid:	the pid, under RCU or with a reference, or NULL
 */
static __always_inline struct pid *vserver_visible_pid(struct pid *pid)
{
	return pid && vserver_sees_pid(pid) ? pid : NULL;
}

/**
 * vserver_ppid - the number of a task's parent, as the caller may know it
 * @p:	the task, with a reference or under RCU
 * @nr:	the number
 *
 * Return: @nr, or 0, as of a parent outside the pid namespace.
 */
static __always_inline pid_t vserver_ppid(const struct task_struct *p, pid_t nr)
{
	if (static_branch_unlikely(&vserver_key) && !__vserver_sees_parent(p))
		return 0;
	return nr;
}

#else

static inline bool vserver_sees(const struct task_struct *p)
{
	return true;
}

static inline bool vserver_may_trace(const struct task_struct *p)
{
	return true;
}

static inline bool vserver_sees_pid(struct pid *pid)
{
	return true;
}

static inline bool vserver_sees_nr(pid_t nr)
{
	return true;
}

static inline bool vserver_sees_ipc(struct kern_ipc_perm *perm)
{
	return true;
}

static inline bool vserver_lists(const struct task_struct *p)
{
	return true;
}

static inline bool vserver_lists_nr(pid_t nr)
{
	return true;
}

static inline bool vserver_sees_entry(u32 iattr)
{
	return true;
}

static inline bool vserver_sees_proc_in(const char *dir, const void *data,
					const char *name)
{
	return true;
}

static inline u64 vserver_own(void)
{
	return 0;
}

static inline bool vserver_foreign(u64 owner)
{
	return false;
}

static inline struct task_struct *vserver_visible_task(struct task_struct *p)
{
	return p;
}

static inline struct pid *vserver_visible_pid(struct pid *pid)
{
	return pid;
}

static inline pid_t vserver_ppid(const struct task_struct *p, pid_t nr)
{
	return nr;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_VISIBLE_H */
