/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux-VServer: what the built-in part and the vserver module share
 *
 * The built-in part (security/vserver) keeps each task's context, dispatches
 * the hooks and keeps unified files immutable while there is no module. The
 * module brings all policy and registers one table of operations.
 *
 * Hook points include the small vserver_*.h headers, not this one.
 */
#ifndef _LINUX_VSERVER_H
#define _LINUX_VSERVER_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/compiler_types.h>
#include <linux/list.h>
#include <linux/path.h>
#include <linux/rbtree_types.h>
#include <linux/reboot.h>
#include <linux/refcount.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/loadavg.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <uapi/linux/utsname.h>
#include <uapi/linux/vserver.h>

struct file;
struct module;
struct seq_file;
struct vserver_ctx;
struct vserver_space;
struct vserver_wait;

/**
 * struct vserver_ops - what the module does for the built-in part
 * @owner:	the module; each context holds a reference to it
 * @syscall:	a vserver(2) command. Process context, may sleep; the module is
 *		pinned for the call.
 * @break_link:	replace the unified file at @path by a private copy and let
 *		@path name the copy. What lies beyond the first @keep bytes is
 *		not copied: the caller truncates the file. Process context, may
 *		sleep, no locks and no write access to the file system held.
 * @may_break:	whether that can be done at all, as far as it shows before it is
 *		tried: 0, or what break_link fails with. Process context, may
 *		sleep.
 * @charge:	@ns nanoseconds of CPU time were used by a task of @ctx, or 0 to
 *		ask only for the answer. The run queue's lock is held and
 *		interrupts are off. Returns a negative number if the task has to be
 *		held before it returns to user mode; else how many nanoseconds of
 *		CPU time there are tokens for, S64_MAX if nobody counts.
 * @hold:	wait until @ctx has tokens, or vserver_wait_ended(@wait) says so
 *		when somebody wakes the caller; before all whose turn is yet to
 *		come if it is @again the caller's. Without locks. Returns whether
 *		there are tokens.
 * @reboot:	a task of @ctx that may do so called reboot(2) for it, with
 *		LINUX_REBOOT_CMD_*. May sleep.
 * @task_exit:	a task of @ctx exits, @last if it was the only one counted; may
 *		sleep. @group_dead: no other thread of its process @tgid lives.
 * @uts_name:	the name that @ctx was given in @field, one of VHIN_*, goes to
 *		@name of __NEW_UTS_LEN + 1 bytes. Returns false if it was given
 *		none. May sleep.
 * @ctx_end:	what vserver_ctx_end() asked for. Process context, may sleep, and may
 *		wait for strangers.
 * @ctx_free:	the last reference to @ctx is gone, and a grace period since.
 *		Process context, may sleep.
 */
struct vserver_ops {
	struct module *owner;
	long (*syscall)(const struct vserver_ops *ops, u32 cmd, u32 id,
			void __user *data);
	int (*break_link)(const struct vserver_ops *ops, struct path *path,
			  loff_t keep);
	int (*may_break)(const struct path *path);
	s64 (*charge)(struct vserver_ctx *ctx, u64 ns);
	bool (*hold)(struct vserver_ctx *ctx, bool again,
		     struct vserver_wait *wait);
	int (*reboot)(struct vserver_ctx *ctx, u32 cmd);
	void (*task_exit)(struct vserver_ctx *ctx, pid_t tgid, bool group_dead,
			  int code, bool last);
	bool (*uts_name)(struct vserver_ctx *ctx, u32 field, char *name);
	void (*ctx_end)(struct vserver_ctx *ctx);
	void (*ctx_free)(struct vserver_ctx *ctx);
};

/* Of what there are limits: RLIMIT_* and VLIMIT_* are below this. */
#define VSERVER_LIMITS	24

/**
 * enum vserver_limits - what a context has of things, bits by number
 * @VSERVER_LIMITS_COUNTED:	counted as it is given: these limits are kept
 * @VSERVER_LIMITS_SUMMED:	summed up from the processes when asked for
 */
enum vserver_limits {
	VSERVER_LIMITS_COUNTED =
		(1 << RLIMIT_NPROC) | (1 << RLIMIT_NOFILE) |
		(1 << RLIMIT_LOCKS) | (1 << RLIMIT_MSGQUEUE) |
		(1 << RLIMIT_AS) | (1 << RLIMIT_MEMLOCK) |
		(1 << VLIMIT_OPENFD) |
		(1 << VLIMIT_NSOCK) | (1 << VLIMIT_SHMEM) |
		(1 << VLIMIT_SEMARY) | (1 << VLIMIT_NSEMS),
	VSERVER_LIMITS_SUMMED =
		(1 << RLIMIT_RSS) | (1 << VLIMIT_ANON) | (1 << VLIMIT_MAPPED),
};

/**
 * struct vserver_limit - what a context has of a thing
 * @value:	how much
 * @min:	the least and
 * @max:	the most since somebody last reset these
 * @soft:	a mark for who watches; nothing is refused beyond it
 * @hard:	the most it can have, %CRLIM_INFINITY is no limit. Both are written
 *		and read without a lock.
 * @hits:	how often it was refused more
 */
struct vserver_limit {
	atomic64_t value;
	atomic64_t min;
	atomic64_t max;
	u64 soft;
	u64 hard;
	atomic_t hits;
};

/**
 * struct vserver_limit_state - a look at a struct vserver_limit
 * @value:	see there
 * @min:	see there
 * @max:	see there
 * @soft:	see there
 * @hard:	see there
 * @hits:	see there
 */
struct vserver_limit_state {
	u64 value;
	u64 min;
	u64 max;
	u64 soft;
	u64 hard;
	u32 hits;
};

/**
 * struct vserver_dlimit_state - what a context has of a file system, and may have
 * @space_used:	in KiB, rounded up
 * @space_total: in KiB, or %CDLIM64_INFINITY
 * @inodes_used: how many
 * @inodes_total: how many, or %CDLIM64_INFINITY
 * @reserved:	percent of the totals that are root's alone
 * @flags:	%CDLIM_COUNTED, %CDLIM_KEPT; not to be set
 *
 * To set it, each may be %CDLIM64_KEEP.
 */
struct vserver_dlimit_state {
	u64 space_used;
	u64 space_total;
	u64 inodes_used;
	u64 inodes_total;
	u64 reserved;
	u32 flags;
};

/**
 * struct vserver_quota_amount - how much somebody has of something, and may have
 * @used:	bytes, or inodes
 * @soft:	more than that only for a time; 0 is no limit
 * @hard:	the most; 0 is no limit
 * @until:	when that time is over, in seconds since 1970; 0 if it has not begun
 *
 * To set it, each may be %CDLIM64_KEEP.
 */
struct vserver_quota_amount {
	u64 used;
	u64 soft;
	u64 hard;
	u64 until;
};

/**
 * struct vserver_quota_state - what a user or a group in a context has, and may
 * @type:	%USRQUOTA or %GRPQUOTA
 * @id:		in the initial user namespace; -1: all there are
 * @space:	in bytes
 * @inodes:	how many
 */
struct vserver_quota_state {
	u32 type;
	u32 id;
	struct vserver_quota_amount space;
	struct vserver_quota_amount inodes;
};

/**
 * struct vserver_quota_info - what holds for all users, or groups, in a context
 * @type:	%USRQUOTA or %GRPQUOTA
 * @flags:	%CQUOTA_ENFORCED, %CQUOTA_COUNTED
 * @space_grace: for how many seconds one may be above a soft limit
 * @inodes_grace: the same
 *
 * To set it, each but @type may be %CDLIM_KEEP.
 */
struct vserver_quota_info {
	u32 type;
	u32 flags;
	u32 space_grace;
	u32 inodes_grace;
};

/* Address families, as the user-space interface numbers them */
enum vserver_family {
	VSERVER_FAMILY_UNSPEC,
	VSERVER_FAMILY_UNIX,
	VSERVER_FAMILY_INET,
	VSERVER_FAMILY_INET6,
	VSERVER_FAMILY_PACKET,
	VSERVER_FAMILY_OTHER,
	VSERVER_FAMILIES,
};

/* Which way, as the user-space interface numbers it */
enum vserver_traffic_kind {
	VSERVER_TRAFFIC_RECV,
	VSERVER_TRAFFIC_SEND,
	VSERVER_TRAFFIC_FAIL,
	VSERVER_TRAFFIC_KINDS,
};

/**
 * struct vserver_traffic - what went through the sockets of a family
 * @count:	calls that received, sent, and failed to send
 * @bytes:	what they moved
 */
struct vserver_traffic {
	u64 count[VSERVER_TRAFFIC_KINDS];
	u64 bytes[VSERVER_TRAFFIC_KINDS];
};

/**
 * struct vserver_cpu - what a context used of one CPU
 * @run_ns:	run time, exact. Written under the run queue's lock.
 * @user_ticks:	how often an interrupt found a task of it in user mode, and
 * @sys_ticks:	how often in the kernel: they divide @run_ns, see cpu_use.c
 * @owed_ns:	run time that is not in the bucket's books yet, because it is
 *		less than
 * @slice_ns:	the CPU's part of what charge() said that there is. Written under
 *		the run queue's lock.
 * @idle_ns:	what of @run_ns was idle time. Written as that is.
 * @lock:	for what follows, up to @traffic. Process context.
 * @user_ns:	the parts of @run_ns as somebody saw them last
 * @sys_ns:	see @user_ns
 * @vacant_ns:	what was not the context's, as somebody inside saw it last
 * @hold_ns:	time its tasks waited for tokens, by the CPU where a wait began.
 *		For each of
 * @holding:	waits under way, the time when it began is taken off
 * @traffic:	what its sockets sent and received here
 */
struct vserver_cpu {
	u64 run_ns;
	u64 user_ticks;
	u64 sys_ticks;
	atomic64_t owed_ns;
	s64 slice_ns;
	u64 idle_ns;
	spinlock_t lock;		/* for user_ns to holding */
	u64 user_ns;
	u64 sys_ns;
	u64 vacant_ns;
	u64 hold_ns;
	u32 holding;
	struct vserver_traffic traffic[VSERVER_FAMILIES];
};

/**
 * struct vserver_cpu_use - a look at a struct vserver_cpu
 * @run_ns:	run time, the sum of the next two, none of which ever goes back
 * @user_ns:	in user mode
 * @sys_ns:	in the kernel
 * @hold_ns:	time its tasks waited for tokens, with waits under way
 * @idle_ns:	what of @run_ns was idle time
 */
struct vserver_cpu_use {
	u64 run_ns;
	u64 user_ns;
	u64 sys_ns;
	u64 hold_ns;
	u64 idle_ns;
};

#define VSERVER_LOADS	3

/**
 * struct vserver_load - the load averages of a context, see load.c
 * @avg:	over 1, 5 and 15 minutes, FSHIFT bits of fraction
 * @next:	the number of the first sample that is not in @avg yet
 * @active:	the tasks counted in that sample
 * @updates:	how many samples are in @avg
 */
struct vserver_load {
	unsigned long avg[VSERVER_LOADS];
	u64 next;
	u32 active;
	u32 updates;
};

/**
 * struct vserver_idle - a context's claim to idle time, see idle.c
 * @price:	what a nanosecond adds to @had, with VSERVER_IDLE_PRICE_SHIFT bits of
 *		fraction: the greater its rate the less. 0 is no claim. Written by
 *		the module.
 * @in_line:	it is in the line of contexts with a claim where somebody waits
 * @had:	what it had, by its price. Who had less than others goes first.
 * @place:	where in the line: what it had when it was put there
 * @line:	its node there. Written, as is what says where, under the line's
 *		lock.
 * @lock:	for the list
 * @nr_waits:	its length
 * @waits:	who waits for tokens, first come first
 */
struct vserver_idle {
	u32 price;
	bool in_line;
	atomic64_t had;
	u64 place;
	struct rb_node line;
	raw_spinlock_t lock;
	unsigned int nr_waits;
	struct list_head waits;
};

#define VSERVER_IDLE_PRICE_SHIFT	16

/**
 * struct vserver_ctx - the part of a context that built-in code knows
 * @xid:	the context's id, constant
 * @init:	its init process, by its number in the initial pid namespace; 0 is
 *		none yet, negative none any more
 * @serial:	a number that no other context has or gets while the system runs,
 *		constant: the owner of what may outlive the context
 * @flags:	VXF_*, written under the lock of the module's table
 * @bcaps:	the upper bound on the capabilities of those inside
 * @ccaps:	VXC_*, powers that the bound does not take
 * @umask:	CLONE_NEW* that those inside may unshare. These four are read
 *		anywhere without a lock, as are @init, @badness, @prio_bias and
 *		@reaper.
 * @ops:	the operations, valid while the context lives: the context holds
 *		a reference to the module
 * @cpu:	per-CPU use
 * @badness:	added to its processes' oom_score_adj
 * @prio_bias:	added to the nice values of its processes when they are weighed
 * @reaper:	the process that gets its orphans before @init does; 0 if none.
 *		Forgotten when it exits, as @init is.
 * @born_ns:	when it was made, by the clock that counts from boot; constant
 * @usage:	references: one of each task, those of the module. What is above
 *		hardly ever changes and hooks read it; from here on counters
 *		change on every CPU.
 * @tasks:	living tasks; counted up at fork, down in do_exit(). A task that
 *		enters counts under the lock of the module's table.
 * @forks:	tasks that were born in it
 * @load:	its load, under a lock of load.c
 * @idle:	its claim to idle time
 * @limits:	what it has, and may have; changed without a lock
 * @end_work:	runs @ops->ctx_end()
 * @free_work:	runs @ops->ctx_free() after a grace period, because a charge
 *		from another CPU reads a task's context without a reference
 *
 * Embedded in the module's own structure.
 */
struct vserver_ctx {
	u32 xid;
	pid_t init;
	u64 serial;
	u64 flags;
	u64 bcaps;
	u64 ccaps;
	u64 umask;
	const struct vserver_ops *ops;
	struct vserver_cpu __percpu *cpu;

	s64 badness;
	int prio_bias;
	pid_t reaper;
	u64 born_ns;

	refcount_t usage ____cacheline_aligned_in_smp;
	atomic_t tasks;
	atomic_t forks;
	struct vserver_load load;
	struct vserver_idle idle;
	struct vserver_limit limits[VSERVER_LIMITS];
	struct work_struct end_work;
	struct rcu_work free_work;
};

static inline int vserver_ctx_tasks(const struct vserver_ctx *ctx)
{
	return atomic_read(&ctx->tasks);
}

static inline unsigned int vserver_ctx_usage(const struct vserver_ctx *ctx)
{
	return refcount_read(&ctx->usage);
}

static inline u32 vserver_ctx_forks(const struct vserver_ctx *ctx)
{
	return atomic_read(&ctx->forks);
}

int vserver_register(const struct vserver_ops *ops);
void vserver_unregister(const struct vserver_ops *ops);

int vserver_ctx_init(struct vserver_ctx *ctx, u32 xid,
		     const struct vserver_ops *ops);
void vserver_ctx_get(struct vserver_ctx *ctx);
void vserver_ctx_put(struct vserver_ctx *ctx);
void vserver_ctx_end(struct vserver_ctx *ctx);

/* Which tasks of a context vserver_ctx_signal() reaches */
#define VSERVER_SIGNAL_ALL	0
#define VSERVER_SIGNAL_BUT	1
#define VSERVER_SIGNAL_ONLY	2

int vserver_ctx_signal(struct vserver_ctx *ctx, int which, pid_t tgid, int sig);
int vserver_helper(const char *action, u32 xid);
struct vserver_ctx *vserver_current_ctx(void);
int vserver_enter(struct vserver_ctx *ctx, u32 xid);
u32 vserver_current_xid(void);
void vserver_ctx_cpu(struct vserver_ctx *ctx, unsigned int cpu,
		     struct vserver_cpu_use *use);
u64 vserver_ctx_owed(struct vserver_ctx *ctx);
bool vserver_wait_ended(struct vserver_wait *wait);
void vserver_idle_set(struct vserver_ctx *ctx, u32 price);
void vserver_idle_get(void);
void vserver_idle_put(void);
void vserver_ctx_traffic(const struct vserver_ctx *ctx, unsigned int family,
			 struct vserver_traffic *sum);
int vserver_task_xid(pid_t pid, u32 *xid, u32 *tag);
int vserver_set_tag(u32 tag);
void vserver_ctx_load(const struct vserver_ctx *ctx, struct vserver_load *load);
void vserver_ctx_census(const struct vserver_ctx *ctx, u32 *running,
			u32 *unintr);

u64 vserver_space_mask(void);
struct vserver_space *vserver_space_make(const struct vserver_space *old,
					 u64 mask);
void vserver_space_free(struct vserver_space *space);
u64 vserver_space_held(const struct vserver_space *space);
int vserver_space_enter(const struct vserver_space *space, u64 mask);
void vserver_space_show(struct seq_file *m, const struct vserver_space *space);
bool vserver_space_names(const struct vserver_space *space,
			 struct new_utsname *names);
void vserver_space_set_names(const struct vserver_space *space,
			     const char *nodename, const char *domainname);

int vserver_open_text(struct file *file,
		      int (*show)(struct seq_file *m, void *data));

bool vserver_limits_memory(void);
void vserver_limit_sum(struct vserver_ctx *ctx);
void vserver_limit_get(const struct vserver_ctx *ctx, unsigned int id,
		       struct vserver_limit_state *state);
void vserver_limit_set(struct vserver_ctx *ctx, unsigned int id, u64 soft,
		       u64 hard);
void vserver_limit_reset_hits(struct vserver_ctx *ctx);
void vserver_limit_reset_minmax(struct vserver_ctx *ctx);

pid_t vserver_ctx_init_nr(const struct vserver_ctx *ctx);

int vserver_dlimit_add(const struct path *path, u32 xid);
int vserver_dlimit_remove(const struct path *path, u32 xid);
int vserver_dlimit_get(const struct path *path, u32 xid,
		       struct vserver_dlimit_state *state);
int vserver_dlimit_set(const struct path *path, u32 xid,
		       const struct vserver_dlimit_state *state);
void vserver_dlimit_show(struct seq_file *m, u32 xid);

int vserver_quota_begin(const struct path *path, u32 xid);
int vserver_quota_end(const struct path *path, u32 xid);
int vserver_quota_get(const struct path *path, u32 xid,
		      struct vserver_quota_state *state);
int vserver_quota_set(const struct path *path, u32 xid,
		      const struct vserver_quota_state *state);
int vserver_quota_get_info(const struct path *path, u32 xid,
			   struct vserver_quota_info *info);
int vserver_quota_set_info(const struct path *path, u32 xid,
			   const struct vserver_quota_info *info);

int vserver_iattr_get(struct dentry *dentry, u32 *xid, u32 *flags, u32 *mask);
int vserver_iattr_set(const struct path *path, u32 xid, u32 flags, u32 mask);

#endif /* _LINUX_VSERVER_H */
