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
