// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: processes keep to those of their context
 *
 * Looking one up by number finds none but those that vserver_visible.h shows.
 * These hooks are about what leads to processes otherwise: broadcasts,
 * descriptors, what was found before one entered the context. Unless they say
 * something else they are called under RCU or with references, in process
 * context, and don't sleep.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/tty.h>
#include <linux/vserver_visible.h>
#include <uapi/asm/ioctls.h>
#include <uapi/linux/vserver.h>

#include "../../drivers/tty/tty.h"
#include "internal.h"

u64 __vserver_own(void)
{
	return vserver_owner(vserver_task(current)->ctx);
}

bool vserver_is_foreign(u64 owner)
{
	const struct vserver_task *own = vserver_task(current);

	return owner != vserver_owner(own->ctx) && own->xid != VX_XID_WATCH;
}

/* A sibling would be the child, and signal the end, of who is outside. */
int vserver_may_clone(u64 clone_flags)
{
	if (!vserver_task(current)->ctx ||
	    (clone_flags & (CLONE_PARENT | CLONE_THREAD)) != CLONE_PARENT)
		return 0;
	return __vserver_sees_parent(current) ? 0 : -EINVAL;
}

/*
 * task_kill. EPERM even if there should be no such process: on ESRCH
 * kill_pid_info_type() looks for another thread, for ever.
 */
int vserver_task_kill(struct task_struct *p, struct kernel_siginfo *info,
		      int sig, const struct cred *cred)
{
	const struct vserver_ctx *ctx;

	/* What a child has asked for at the end of its parent (prctl(2)). */
	if (info == SEND_SIG_NOINFO && current->flags & PF_EXITING &&
	    sig == p->pdeath_signal)
		return 0;
	if (!cred)
		return vserver_sees(p) ? 0 : -EPERM;
	/* Somebody who is not current, and this may be an interrupt. */
	ctx = vserver_cred(cred)->ctx;
	return !ctx || ctx == READ_ONCE(vserver_task(p)->ctx) ? 0 : -EPERM;
}

int vserver_ptrace_access_check(struct task_struct *child, unsigned int mode)
{
	return vserver_may_trace(child) ? 0 : -EPERM;
}

/* Who is traced gives itself into the hands of its parent. */
int vserver_ptrace_traceme(struct task_struct *parent)
{
	return vserver_task_may_trace(parent, current) ? 0 : -EPERM;
}

int vserver_task_hidden(struct task_struct *p)
{
	return vserver_sees(p) ? 0 : -ESRCH;
}

int vserver_task_setpgid(struct task_struct *p, pid_t pgid)
{
	return vserver_task_hidden(p);
}

int vserver_task_setnice(struct task_struct *p, int nice)
{
	return vserver_task_hidden(p);
}

int vserver_task_setioprio(struct task_struct *p, int ioprio)
{
	return vserver_task_hidden(p);
}

/* Also asked when the host changes a cpuset, for each task there is in it. */
int vserver_task_setscheduler(struct task_struct *p)
{
	if (!vserver_task(current)->ctx)
		return 0;
	return vserver_task_hidden(p);
}

int vserver_task_prlimit(const struct cred *cred, const struct cred *tcred,
			 unsigned int flags)
{
	const struct vserver_ctx *ctx = vserver_cred(cred)->ctx;

	return !ctx || ctx == vserver_cred(tcred)->ctx ? 0 : -ESRCH;
}

int vserver_capget(const struct task_struct *target, kernel_cap_t *effective,
		   kernel_cap_t *inheritable, kernel_cap_t *permitted)
{
	return vserver_sees(target) ? 0 : -ESRCH;
}

/* The lock of the file's owner is held, interrupts are off. */
void vserver_file_set_fowner(struct file *file)
{
	vserver_file(file)->owner = __vserver_own();
}

/* In any context: current is who caused the event. RCU and f_owner's lock. */
int vserver_file_send_sigiotask(struct task_struct *p,
				struct fown_struct *fown, int sig)
{
	u64 owner = vserver_file(fown->file)->owner;

	if (owner == VSERVER_OWNER_HOST ||
	    owner == vserver_owner(READ_ONCE(vserver_task(p)->ctx)))
		return 0;
	return -EPERM;
}

/*
 * file_fcntl: which signal tells of events is up to who is told: SIGKILL is one.
 * Of a file from outside that nobody is told of yet the host may be told later.
 */
int vserver_file_fcntl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;
	const struct fown_struct *fown;

	if (likely(cmd != F_SETSIG) || !ctx ||
	    vserver_file(file)->owner == vserver_owner(ctx))
		return 0;
	fown = file_f_owner(file);
	if (vserver_cred(file->f_cred)->ctx == ctx &&
	    (!fown || !READ_ONCE(fown->pid)))
		return 0;
	return -EPERM;
}

/*
 * Opened by the host: whoever passes it has a reason. By another context: it
 * does not get here.
 */
int vserver_file_receive(struct file *file)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;
	const struct vserver_ctx *from = vserver_cred(file->f_cred)->ctx;

	return !ctx || !from || from == ctx ? 0 : -EACCES;
}

static bool vserver_is_terminal(const struct file *file)
{
#ifdef CONFIG_TTY
	return file->f_op->unlocked_ioctl == tty_ioctl;
#else
	return false;
#endif
}

/*
 * A terminal may be the host's too: nobody inside types for who is outside. To
 * other files the same numbers mean other things.
 */
int vserver_tty_ioctl(const struct file *file, unsigned int cmd)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (likely(!ctx) || !vserver_is_terminal(file))
		return 0;
	switch (cmd) {
	case TIOCSTI:
		return READ_ONCE(ctx->ccaps) & VXC_TIOCSTI ? 0 : -EPERM;
	case TIOCCONS:
	case TIOCLINUX:
	case TIOCVHANGUP:
		return -EPERM;
	default:
		return 0;
	}
}
