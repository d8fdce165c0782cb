/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of locks, IPC objects and the OOM killer */
#ifndef _LINUX_VSERVER_LIMIT_H
#define _LINUX_VSERVER_LIMIT_H

#include <linux/jump_label.h>

struct file;
struct kern_ipc_perm;
struct task_struct;
struct vserver_ctx;

/**
 * struct vserver_charged - to whom something counts
 * @ctx:	the context, with a reference; NULL on the host
 * @n:		how much
 */
struct vserver_charged {
	struct vserver_ctx *ctx;
	unsigned long n;
};

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

int __vserver_lock_charge(const struct file *file);
void __vserver_lock_force(const struct file *file);
void __vserver_lock_uncharge(const struct file *file);
int __vserver_msg_charge(struct kern_ipc_perm *perm, unsigned long bytes);
int __vserver_msg_resize(struct kern_ipc_perm *perm, unsigned long bytes);
int __vserver_mq_charge(struct vserver_charged *charged, unsigned long bytes);
void __vserver_mq_uncharge(struct vserver_charged *charged);
int __vserver_shm_charge(struct kern_ipc_perm *perm, unsigned long pages);
int __vserver_sem_charge(struct kern_ipc_perm *perm, int nsems);
void __vserver_ipc_uncharge(struct kern_ipc_perm *perm);
long __vserver_oom_adj(const struct task_struct *p, long adj);

/**
 * vserver_lock_charge - count a lock that is about to be held
 * @file:	the file it is taken by
 *
 * A spin lock is held.
 *
 * Return: 0, or -ENOLCK if the file's context has as many as it may have.
 */
static __always_inline int vserver_lock_charge(const struct file *file)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_lock_charge(file);
	return 0;
}

/**
 * vserver_lock_force - count a lock that replaces another
 * @file:	the file it is taken by
 */
static __always_inline void vserver_lock_force(const struct file *file)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_lock_force(file);
}

/**
 * vserver_flock_charge - count a lock of flock(2)
 * @file:	the file it is taken by
 * @replaces:	the file had another one until now
 *
 * Return: as vserver_lock_charge()
 */
static __always_inline int vserver_flock_charge(const struct file *file,
						bool replaces)
{
	if (!replaces)
		return vserver_lock_charge(file);
	vserver_lock_force(file);
	return 0;
}

/**
 * vserver_lock_uncharge - a lock is held no more
 * @file:	the file it was taken by
 */
static __always_inline void vserver_lock_uncharge(const struct file *file)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_lock_uncharge(file);
}

/**
 * vserver_msg_charge - count a message queue of System V IPC
 * @perm:	the queue, whose blob is there
 * @bytes:	what it may hold
 *
 * Return: 0, or -ENOSPC if that is more than the caller's context may have.
 */
static __always_inline int vserver_msg_charge(struct kern_ipc_perm *perm,
					      unsigned long bytes)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_msg_charge(perm, bytes);
	return 0;
}

/**
 * vserver_msg_resize - a queue is about to hold more or less than it did
 * @perm:	the queue, whose lock is held
 * @bytes:	what it may hold from now on
 *
 * Return: 0, or -ENOSPC if that is more than the queue's context may have.
 */
static __always_inline int vserver_msg_resize(struct kern_ipc_perm *perm,
					      unsigned long bytes)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_msg_resize(perm, bytes);
	return 0;
}

/**
 * vserver_mq_charge - count a POSIX message queue
 * @charged:	to whom it counts, nobody yet; part of the queue
 * @bytes:	what it may hold
 *
 * Return: 0, or -EMFILE if that is more than the caller's context may have.
 */
static __always_inline int vserver_mq_charge(struct vserver_charged *charged,
					     unsigned long bytes)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_mq_charge(charged, bytes);
	return 0;
}

/**
 * vserver_mq_uncharge - a POSIX message queue is freed
 * @charged:	to whom it counts
 */
static __always_inline void vserver_mq_uncharge(struct vserver_charged *charged)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_mq_uncharge(charged);
}

/**
 * vserver_shm_charge - count a segment of shared memory
 * @perm:	the segment, whose blob is there
 * @pages:	its size
 *
 * Return: 0, or -ENOSPC if that is more than the caller's context may have.
 */
static __always_inline int vserver_shm_charge(struct kern_ipc_perm *perm,
					      unsigned long pages)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_shm_charge(perm, pages);
	return 0;
}

/**
 * vserver_sem_charge - count an array of semaphores
 * @perm:	the array, whose blob is there
 * @nsems:	its size
 *
 * Return: 0, or -ENOSPC if that is more than the caller's context may have.
 */
static __always_inline int vserver_sem_charge(struct kern_ipc_perm *perm,
					      int nsems)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_sem_charge(perm, nsems);
	return 0;
}

/**
 * vserver_ipc_uncharge - an object was removed; its memory may stay for a while
 * @perm:	the segment, array or queue
 */
static __always_inline void vserver_ipc_uncharge(struct kern_ipc_perm *perm)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_ipc_uncharge(perm);
}

/**
 * vserver_oom_adj - oom_score_adj of a process, with the bias of its context
 * @p:		the process
 * @adj:	its own
 */
static __always_inline long vserver_oom_adj(const struct task_struct *p,
					    long adj)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_oom_adj(p, adj);
	return adj;
}

#else

static inline int vserver_lock_charge(const struct file *file) { return 0; }
static inline void vserver_lock_force(const struct file *file) {}
static inline int vserver_flock_charge(const struct file *file, bool replaces)
{
	return 0;
}

static inline void vserver_lock_uncharge(const struct file *file) {}
static inline int vserver_msg_charge(struct kern_ipc_perm *perm,
				     unsigned long bytes)
{
	return 0;
}

static inline int vserver_msg_resize(struct kern_ipc_perm *perm,
				     unsigned long bytes)
{
	return 0;
}

static inline int vserver_mq_charge(struct vserver_charged *charged,
				    unsigned long bytes)
{
	return 0;
}

static inline void vserver_mq_uncharge(struct vserver_charged *charged) {}
static inline int vserver_shm_charge(struct kern_ipc_perm *perm,
				     unsigned long pages)
{
	return 0;
}

static inline int vserver_sem_charge(struct kern_ipc_perm *perm, int nsems)
{
	return 0;
}

static inline void vserver_ipc_uncharge(struct kern_ipc_perm *perm) {}
static inline long vserver_oom_adj(const struct task_struct *p, long adj)
{
	return adj;
}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_LIMIT_H */
