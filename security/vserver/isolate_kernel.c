// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: facilities that look at the kernel or at
 * everybody, and what of them is left inside a context
 */

#include <linux/bpf.h>
#include <linux/cred.h>
#include <linux/fsnotify_backend.h>
#include <linux/perf_event.h>
#include <linux/vserver_visible.h>

#include "internal.h"

#ifdef CONFIG_BPF_SYSCALL
/* bpf: programs and maps know no context. Those of sockets are not meant. */
int vserver_bpf(int cmd, union bpf_attr *attr, unsigned int size, bool kernel)
{
	return vserver_task(current)->ctx && !kernel ? -EPERM : 0;
}
#endif

#ifdef CONFIG_PERF_EVENTS
/*
 * perf_event_alloc: a context measures its own processes, in user mode, by
 * what the processor or the kernel counts for one process. The kernel's own
 * events, like the breakpoints of ptrace(), and the copy that a child gets of
 * its parent's are somebody else's decision.
 */
int vserver_perf_event_alloc(struct perf_event *event)
{
	if (!vserver_task(current)->ctx || event->parent ||
	    !is_default_overflow_handler(event))
		return 0;
	if (!event->hw.target || !vserver_may_trace(event->hw.target) ||
	    !event->attr.exclude_kernel || event->orig_type >= PERF_TYPE_MAX ||
	    event->orig_type == PERF_TYPE_TRACEPOINT)
		return -EACCES;
	return 0;
}
#endif

/* uring_override_creds: a ring may come from outside, with personalities. */
int vserver_uring_override_creds(const struct cred *new)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;

	return !ctx || ctx == vserver_cred(new)->ctx ? 0 : -EPERM;
}

/* path_notify: a mount or a file system is more than the context's files. */
int vserver_path_notify(const struct path *path, u64 mask,
			unsigned int obj_type)
{
	if (obj_type == FSNOTIFY_OBJ_TYPE_INODE)
		return 0;
	return vserver_task(current)->ctx ? -EPERM : 0;
}
