/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of the scheduler and of a task's life */
#ifndef _LINUX_VSERVER_SCHED_H
#define _LINUX_VSERVER_SCHED_H

#include <linux/compiler.h>
#include <linux/jump_label.h>
#include <linux/percpu-defs.h>
#include <linux/types.h>

struct pt_regs;
struct task_struct;

/**
 * enum vserver_release - what ends a wait for tokens
 * @VSERVER_RELEASE_SIGNAL:	a signal, or what a worker waits for: no tokens
 * @VSERVER_RELEASE_TOKENS:	there are tokens
 * @VSERVER_RELEASE_IDLE:	a CPU has nothing else to run
 */
enum vserver_release {
	VSERVER_RELEASE_SIGNAL,
	VSERVER_RELEASE_TOKENS,
	VSERVER_RELEASE_IDLE,
};

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

/* On while a context may have a claim to idle time. */
DECLARE_STATIC_KEY_FALSE(vserver_idle_key);

/*
 * How many nanoseconds of idle time the task that a CPU runs has left; with one
 * it is over but for the bill.
 */
DECLARE_PER_CPU(u32, vserver_idle_left);
#define VSERVER_IDLE_OVER	1

void __vserver_charge(struct task_struct *p, u64 ns);
void __vserver_hold(const struct pt_regs *regs);
bool __vserver_must_hold(void);
bool __vserver_billed(void);
void __vserver_hold_worker(const unsigned long *events);
int __vserver_prio(const struct task_struct *p, int prio);
void vserver_reweigh(void);
void __vserver_arrive(struct task_struct *curr);
void __vserver_exit(struct task_struct *p, bool group_dead, long code);

/**
 * vserver_charge - bill CPU time to a task's context
 * @p:	the task that ran, or that is about to
 * @ns:	how long, nanoseconds; 0 only marks the hold of an empty context
 *
 * The run queue's lock is held.
 */
static __always_inline void vserver_charge(struct task_struct *p, u64 ns)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_charge(p, ns);
}

/**
 * vserver_hold - wait, on the way to user mode, while the context has no tokens
 * @regs:	those of user mode; NULL in a worker of io_uring, and on the way
 *		into a virtual machine
 *
 * Without locks. Only who enters a virtual machine may have some: there it does
 * not sleep, but sends the caller to user mode, to wait on that way.
 */
static __always_inline void vserver_hold(const struct pt_regs *regs)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_hold(regs);
}

/**
 * vserver_must_hold - whether the caller, which never returns to user mode,
 * has to wait, by vserver_hold_worker()
 */
static __always_inline bool vserver_must_hold(void)
{
	return static_branch_unlikely(&vserver_key) && __vserver_must_hold();
}

/**
 * vserver_hold_worker - wait while the context of such a caller has no tokens
 * @events:	anything but 0 here ends the wait, as a signal does; who sets it
 *		wakes the caller
 *
 * Without locks.
 */
static __always_inline void vserver_hold_worker(const unsigned long *events)
{
	if (vserver_must_hold())
		__vserver_hold_worker(events);
}

/**
 * vserver_billed - whether the caller's CPU time is billed to a context
 *
 * That of a kernel thread which it starts is not.
 */
static __always_inline bool vserver_billed(void)
{
	return static_branch_unlikely(&vserver_key) && __vserver_billed();
}

/**
 * vserver_prio - the priority by which a task is weighed
 * @p:		the task
 * @prio:	the one that its nice value gives
 *
 * Changed by vserver_reweigh() alone.
 */
static __always_inline int vserver_prio(const struct task_struct *p, int prio)
{
	return static_branch_unlikely(&vserver_key) ?
	       __vserver_prio(p, prio) : prio;
}

/**
 * vserver_arrive - somebody else is on a run queue now
 * @curr:	who runs there. If it is on idle time, that is over.
 *
 * The run queue's lock is held.
 */
static __always_inline void vserver_arrive(struct task_struct *curr)
{
	if (static_branch_unlikely(&vserver_idle_key))
		__vserver_arrive(curr);
}

/**
 * vserver_on_idle_time - whether a CPU runs what goes as soon as anybody comes
 * @cpu:	the CPU; may be another one's
 */
static __always_inline bool vserver_on_idle_time(int cpu)
{
	return static_branch_unlikely(&vserver_idle_key) &&
	       READ_ONCE(per_cpu(vserver_idle_left, cpu)) > VSERVER_IDLE_OVER;
}

/**
 * vserver_exit - the current task leaves its context for good
 * @p:		current
 * @group_dead:	it is the last thread of its process
 * @code:	its exit code
 */
static __always_inline void vserver_exit(struct task_struct *p,
					 bool group_dead, long code)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_exit(p, group_dead, code);
}

#else

static inline void vserver_charge(struct task_struct *p, u64 ns) {}
static inline void vserver_hold(const struct pt_regs *regs) {}
static inline bool vserver_must_hold(void) { return false; }
static inline void vserver_hold_worker(const unsigned long *events) {}
static inline bool vserver_billed(void) { return false; }
static inline int vserver_prio(const struct task_struct *p, int prio)
{
	return prio;
}

static inline void vserver_arrive(struct task_struct *curr) {}
static inline bool vserver_on_idle_time(int cpu) { return false; }
static inline void vserver_exit(struct task_struct *p, bool group_dead,
				long code) {}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_SCHED_H */
