// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: which processes there are for whom */

#include <linux/kstrtox.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/vserver_visible.h>
#include <net/net_namespace.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

/* Whoever starts something in a context waits for it. */
static noinline bool vserver_is_child(const struct task_struct *who,
				      const struct task_struct *p)
{
	guard(rcu)();
	if (rcu_dereference(p->real_parent)->signal == who->signal)
		return true;
	return READ_ONCE(p->ptrace) &&
	       rcu_dereference(p->parent)->signal == who->signal;
}

/**
 * vserver_task_sees - whether there is a task for another one
 * @who:	who looks, current or protected as @p is
 * @p:		the task, with a reference or under RCU
 */
bool vserver_task_sees(const struct task_struct *who,
		       const struct task_struct *p)
{
	const struct vserver_task *own = vserver_task(who);
	const struct vserver_task *other = vserver_task(p);
	const struct vserver_ctx *ctx = READ_ONCE(own->ctx);

	/* Not only the id: it may be that of a context that is gone. */
	if (ctx)
		return ctx == READ_ONCE(other->ctx);
	if (READ_ONCE(own->xid) == VX_XID_WATCH || who->flags & PF_KTHREAD)
		return true;
	if (!READ_ONCE(other->ctx) && READ_ONCE(other->xid) == VX_XID_HOST)
		return true;
	return vserver_is_child(who, p);
}

bool __vserver_sees(const struct task_struct *p)
{
	return vserver_task_sees(current, p);
}

/**
 * vserver_task_may_trace - whether a task may get at what another one has
 * @who:	who looks, current or protected as @p is
 * @p:		the task, with a reference or under RCU
 *
 * Who enters a context has with it what is the host's: memory, descriptors, the
 * root directory. Those inside see that it is there, and no more until it runs
 * a program; but those who came the same way are of one mind.
 */
bool vserver_task_may_trace(const struct task_struct *who,
			    const struct task_struct *p)
{
	const struct vserver_task *own = vserver_task(who);

	if (!vserver_task_sees(who, p))
		return false;
	/* Whoever is seen inside has been marked before; see vserver_enter(). */
	smp_rmb();
	return !READ_ONCE(own->ctx) || READ_ONCE(own->entered) ||
	       !READ_ONCE(vserver_task(p)->entered);
}

bool __vserver_may_trace(const struct task_struct *p)
{
	return vserver_task_may_trace(current, p);
}

bool __vserver_sees_parent(const struct task_struct *p)
{
	guard(rcu)();
	return __vserver_sees(rcu_dereference(p->real_parent));
}

/* Under RCU. One that nobody has is seen. */
static noinline bool vserver_sees_group(struct pid *pid)
{
	struct task_struct *p;
	bool hidden = false;
	int type;

	for (type = PIDTYPE_PGID; type < PIDTYPE_MAX; type++) {
		hlist_for_each_entry_rcu(p, &pid->tasks[type], pid_links[type]) {
			if (__vserver_sees(p))
				return true;
			hidden = true;
		}
	}
	return !hidden;
}

/*
 * The task that has the number decides; without it those whose process group
 * or session still has.
 */
bool __vserver_sees_pid(struct pid *pid)
{
	struct task_struct *p;

	guard(rcu)();
	p = pid_task(pid, PIDTYPE_PID);
	return p ? __vserver_sees(p) : vserver_sees_group(pid);
}

bool __vserver_sees_nr(pid_t nr)
{
	struct pid *pid;

	guard(rcu)();
	pid = find_pid_ns(nr, &init_pid_ns);
	return !pid || __vserver_sees_pid(pid);
}

/* Under RCU, or with a reference. */
bool __vserver_lists(const struct task_struct *p)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;

	return !ctx || ctx == READ_ONCE(vserver_task(p)->ctx);
}

bool __vserver_lists_nr(pid_t nr)
{
	struct task_struct *p;

	if (!vserver_task(current)->ctx)
		return true;
	guard(rcu)();
	p = find_task_by_pid_ns(nr, task_active_pid_ns(current));
	return p && __vserver_lists(p);
}

bool __vserver_sees_entry(u32 iattr)
{
	const struct vserver_task *own = vserver_task(current);

	if (own->ctx)
		return false;
	if (current->flags & PF_KTHREAD)
		return true;
	return iattr & (own->xid == VX_XID_WATCH ? IATTR_WATCH : IATTR_ADMIN);
}

/* In the host's network namespace: no lists that tell of everybody's sockets. */
static const char *const vserver_net_entries[] = {
	"arp", "dev", "fib_trie", "if_inet6", "igmp", "igmp6", "ipv6_route",
	"netstat", "protocols", "raw", "raw6", "route", "snmp", "snmp6",
	"sockstat", "sockstat6", "tcp", "tcp6", "udp", "udp6", "unix",
	"wireless",
};

bool __vserver_sees_proc_in(const char *dir, const void *data, const char *name)
{
	const struct vserver_task *own = vserver_task(current);
	u32 xid;

	if (!own->ctx)
		return true;
	if (!strcmp(dir, "net") && data == &init_net)
		return match_string(vserver_net_entries,
				    ARRAY_SIZE(vserver_net_entries), name) >= 0;
	/* No other contexts. */
	if (!strcmp(dir, "virtual"))
		return kstrtou32(name, 10, &xid) || xid == own->xid;
	return true;
}
