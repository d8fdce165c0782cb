/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of what a system looks like from inside a context */
#ifndef _LINUX_VSERVER_ILLUSION_H
#define _LINUX_VSERVER_ILLUSION_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct pid;
struct pid_namespace;
struct seq_file;
struct sysinfo;
struct task_struct;
struct timespec64;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

void __vserver_uname(void *names, size_t size, size_t each);
void __vserver_uts_name(ptrdiff_t offset, char *name);
void __vserver_uptime(struct timespec64 *uptime);
void __vserver_boottime(struct timespec64 *boottime);
u64 __vserver_start_time(u64 ns);
bool __vserver_hides_mounts(void);
void __vserver_cpustat(u64 *cpustat, unsigned int cpu);
void __vserver_loadavg(unsigned long *loads, unsigned long offset, int shift,
		       unsigned int *running, int *threads);
void __vserver_sysinfo(struct sysinfo *info);
void __vserver_meminfo(struct sysinfo *info, long *cached, long *available,
		       unsigned long *lru, unsigned long *sreclaimable,
		       unsigned long *sunreclaim);
int vserver_proc_vinfo(struct seq_file *m, struct pid_namespace *ns,
		       struct pid *pid, struct task_struct *task);

/**
 * vserver_uname - put the names that the caller's context was given over others
 * @names:	sysname, nodename, release, version, machine, domainname, or the
 *		first few of these
 * @size:	of all of them
 * @each:	of one
 *
 * May sleep.
 */
static __always_inline void vserver_uname(void *names, size_t size, size_t each)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_uname(names, size, each);
}

/**
 * vserver_uts_name - the same for one name
 * @offset:	where it is in struct new_utsname
 * @name:	__NEW_UTS_LEN + 1 bytes
 */
static __always_inline void vserver_uts_name(ptrdiff_t offset, char *name)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_uts_name(offset, name);
}

/**
 * vserver_uptime - the caller's context's, if that has one of its own
 * @uptime:	the time since boot
 */
static __always_inline void vserver_uptime(struct timespec64 *uptime)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_uptime(uptime);
}

/**
 * vserver_boottime - the caller's context's, if that has an uptime of its own
 * @boottime:	when the machine was booted, by the clock on the wall
 */
static __always_inline void vserver_boottime(struct timespec64 *boottime)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_boottime(boottime);
}

/**
 * vserver_start_time - when a process was started, by the caller's uptime
 * @ns:	nanoseconds since the machine was booted
 */
static __always_inline u64 vserver_start_time(u64 ns)
{
	return static_branch_unlikely(&vserver_key) ?
	       __vserver_start_time(ns) : ns;
}

/**
 * vserver_hides_mounts - is the caller to find nothing mounted?
 */
static __always_inline bool vserver_hides_mounts(void)
{
	return static_branch_unlikely(&vserver_key) && __vserver_hides_mounts();
}

/**
 * vserver_cpustat - what the caller's context used of a CPU, if it sees that
 * @cpustat:	how the CPU's time was used, by enum cpu_usage_stat
 * @cpu:	its number
 */
static __always_inline void vserver_cpustat(u64 *cpustat, unsigned int cpu)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_cpustat(cpustat, cpu);
}

/**
 * vserver_loadavg - the caller's context's, if that has a load of its own
 * @loads:	three averages
 * @offset:	as for get_avenrun()
 * @shift:	as for get_avenrun()
 * @running:	how many tasks run
 * @threads:	how many tasks there are
 *
 * May sleep.
 */
static __always_inline void vserver_loadavg(unsigned long *loads,
					    unsigned long offset, int shift,
					    unsigned int *running,
					    int *threads)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_loadavg(loads, offset, shift, running, threads);
}

/**
 * vserver_sysinfo - uptime, load and memory of the caller's context
 * @info:	those of the machine; memory in pages
 *
 * May sleep.
 */
static __always_inline void vserver_sysinfo(struct sysinfo *info)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_sysinfo(info);
}

/**
 * vserver_meminfo - the memory that the caller's context may use
 * @info:	that of the machine, in pages; so are the others
 * @cached:	pages of files
 * @available:	pages that could be had
 * @lru:	the lists, by enum lru_list
 * @sreclaimable: slab that could be had
 * @sunreclaim:	slab that could not
 *
 * May sleep.
 */
static __always_inline void vserver_meminfo(struct sysinfo *info, long *cached,
					    long *available,
					    unsigned long *lru,
					    unsigned long *sreclaimable,
					    unsigned long *sunreclaim)
{
	if (static_branch_unlikely(&vserver_key))
		__vserver_meminfo(info, cached, available, lru, sreclaimable,
				  sunreclaim);
}

#else

static inline void vserver_uname(void *names, size_t size, size_t each) {}
static inline void vserver_uts_name(ptrdiff_t offset, char *name) {}
static inline void vserver_uptime(struct timespec64 *uptime) {}
static inline void vserver_boottime(struct timespec64 *boottime) {}
static inline u64 vserver_start_time(u64 ns)
{
	return ns;
}

static inline bool vserver_hides_mounts(void)
{
	return false;
}

static inline void vserver_cpustat(u64 *cpustat, unsigned int cpu) {}
static inline void vserver_loadavg(unsigned long *loads, unsigned long offset,
				   int shift, unsigned int *running,
				   int *threads) {}
static inline void vserver_sysinfo(struct sysinfo *info) {}
static inline void vserver_meminfo(struct sysinfo *info, long *cached,
				   long *available, unsigned long *lru,
				   unsigned long *sreclaimable,
				   unsigned long *sunreclaim) {}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_ILLUSION_H */
