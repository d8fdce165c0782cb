// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what a system looks like from inside a context
 *
 * All of this is about the caller, who is alive and holds a reference to its
 * context.
 */

#include <linux/kernel_stat.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/proc_fs.h>
#include <linux/sched/loadavg.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/sysinfo.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/utsname.h>
#include <linux/vserver_illusion.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

/* The caller's context, if all of these flags are set. */
static struct vserver_ctx *vserver_with(u64 flags)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (ctx && (READ_ONCE(ctx->flags) & flags) == flags)
		return ctx;
	return NULL;
}

/* Who sets the context up mounts what it is to have. */
bool __vserver_hides_mounts(void)
{
	const struct vserver_ctx *ctx = vserver_confining();

	return ctx && READ_ONCE(ctx->flags) & VXF_HIDE_MOUNT;
}

/*
 * Whether a name of the context shows: who has a UTS namespace has host and
 * domain name there.
 */
static bool vserver_name(struct vserver_ctx *ctx, unsigned int index, char *name)
{
	unsigned int field = VHIN_SYSNAME + index;

	if ((field == VHIN_NODENAME || field == VHIN_DOMAINNAME) &&
	    current->nsproxy->uts_ns != &init_uts_ns)
		return false;
	return ctx->ops->uts_name(ctx, field, name);
}

void __vserver_uname(void *names, size_t size, size_t each)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;
	char name[__NEW_UTS_LEN + 1];

	if (!ctx)
		return;
	for (unsigned int i = 0; i < size / each; i++)
		if (vserver_name(ctx, i, name))
			strscpy_pad(names + i * each, name, each);
}

void __vserver_uts_name(ptrdiff_t offset, char *name)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (ctx)
		vserver_name(ctx, offset / (__NEW_UTS_LEN + 1), name);
}

/* A time namespace may have moved the clock, also to before the context. */
static struct timespec64 vserver_ctx_uptime(const struct vserver_ctx *ctx)
{
	s64 ns = timens_add_boottime_ns(ktime_get_boottime_ns() - ctx->born_ns);

	return ns_to_timespec64(max(ns, 0));
}

void __vserver_uptime(struct timespec64 *uptime)
{
	const struct vserver_ctx *ctx = vserver_with(VXF_VIRT_UPTIME);

	if (ctx)
		*uptime = vserver_ctx_uptime(ctx);
}

void __vserver_boottime(struct timespec64 *boottime)
{
	const struct vserver_ctx *ctx = vserver_with(VXF_VIRT_UPTIME);

	if (ctx)
		*boottime = timespec64_add(*boottime,
					   ns_to_timespec64(ctx->born_ns));
}

/* Who was there before the context was there from its beginning. */
u64 __vserver_start_time(u64 ns)
{
	const struct vserver_ctx *ctx = vserver_with(VXF_VIRT_UPTIME);

	return ctx ? ns - min(ns, ctx->born_ns) : ns;
}

void __vserver_cpustat(u64 *cpustat, unsigned int cpu)
{
	struct vserver_ctx *ctx = vserver_with(VXF_VIRT_CPU);
	struct vserver_cpu_use use;
	u64 run_ns, total;

	if (!ctx)
		return;
	/* A guest's time is in that of its user. */
	total = cpustat[CPUTIME_USER] + cpustat[CPUTIME_NICE] +
		cpustat[CPUTIME_SYSTEM] + cpustat[CPUTIME_SOFTIRQ] +
		cpustat[CPUTIME_IRQ] + cpustat[CPUTIME_IDLE] +
		cpustat[CPUTIME_IOWAIT] + cpustat[CPUTIME_STEAL];
	memset(cpustat, 0, sizeof(*cpustat) * NR_STATS);

	vserver_ctx_cpu(ctx, cpu, &use);
	cpustat[CPUTIME_USER] = use.user_ns;
	cpustat[CPUTIME_SYSTEM] = use.sys_ns;
	/* In ticks, as the total is. */
	run_ns = div_u64(use.run_ns, TICK_NSEC) * TICK_NSEC;
	cpustat[CPUTIME_IDLE] = vserver_ctx_vacant(ctx, cpu, total, run_ns);
}

void __vserver_loadavg(unsigned long *loads, unsigned long offset, int shift,
		       unsigned int *running, int *threads)
{
	const struct vserver_ctx *ctx = vserver_with(VXF_VIRT_LOAD);
	struct vserver_load load;
	u32 unintr;

	if (!ctx)
		return;
	vserver_ctx_load(ctx, &load);
	for (unsigned int i = 0; i < VSERVER_LOADS; i++)
		loads[i] = (load.avg[i] + offset) << shift;
	vserver_ctx_census(ctx, running, &unintr);
	*threads = vserver_ctx_tasks(ctx);
}

void __vserver_sysinfo(struct sysinfo *info)
{
	const struct vserver_ctx *ctx = vserver_with(VXF_VIRT_UPTIME);
	unsigned int running;
	int threads = info->procs;

	if (ctx) {
		struct timespec64 uptime = vserver_ctx_uptime(ctx);

		info->uptime = uptime.tv_sec + (uptime.tv_nsec ? 1 : 0);
	}
	__vserver_loadavg(info->loads, 0, SI_LOAD_SHIFT - FSHIFT, &running,
			  &threads);
	info->procs = threads;
	if (vserver_with(VXF_VIRT_MEM))
		vserver_memory(info, NULL);
}

void __vserver_meminfo(struct sysinfo *info, long *cached, long *available,
		       unsigned long *lru, unsigned long *sreclaimable,
		       unsigned long *sunreclaim)
{
	struct vserver_memory memory;

	if (!vserver_with(VXF_VIRT_MEM) || !vserver_memory(info, &memory))
		return;
	*cached = memory.cached;
	*available = memory.available;
	memcpy(lru, memory.lru, sizeof(memory.lru));
	*sreclaimable = memory.sreclaimable;
	*sunreclaim = memory.sunreclaim;
}

/* /proc/<pid>/vinfo: @task has a reference to its context. */
int vserver_proc_vinfo(struct seq_file *m, struct pid_namespace *ns,
		       struct pid *pid, struct task_struct *task)
{
	struct vserver_ctx *ctx = READ_ONCE(vserver_task(task)->ctx);

	if (!vserver_lsm_enabled || vserver_with(VXF_HIDE_VINFO))
		return -ENOENT;
	seq_printf(m, "XID:\t%u\n", READ_ONCE(vserver_task(task)->xid));
	if (!ctx)
		return 0;
	seq_printf(m, "BCaps:\t%016llx\n", READ_ONCE(ctx->bcaps));
	seq_printf(m, "CCaps:\t%016llx\n", READ_ONCE(ctx->ccaps));
	seq_printf(m, "CFlags:\t%016llx\n", READ_ONCE(ctx->flags));
	seq_printf(m, "CIPid:\t%d\n", vserver_ctx_init_nr(ctx));
	seq_printf(m, "HoldMsec:\t%llu\n",
		   div_u64(vserver_task_hold_ns(task), NSEC_PER_MSEC));
	return 0;
}
