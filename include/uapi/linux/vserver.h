/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Linux-VServer: the user-space interface (VCI)
 *
 * The only definition of the system call's commands, structures and bits.
 * The kernel module and the tools both take theirs from here.
 */
#ifndef _UAPI_LINUX_VSERVER_H
#define _UAPI_LINUX_VSERVER_H

#include <linux/types.h>

/*
 * A command: category (6 bits), number (8 bits) and version (12 bits). The
 * command word is the first argument of vserver(2), an id the second, a
 * pointer to the command's structure the third.
 */
#define VCMD(cat, num, ver) \
	((((cat) & 0x3fu) << 24) | (((num) & 0xffu) << 16) | ((ver) & 0xfffu))

#define VC_VERSION	0
#define VC_VHOST	2
#define VC_VPROC	9
#define VC_PROCALT	10
#define VC_PROCMIG	11
#define VC_PROCTRL	12
#define VC_SCHED	14
#define VC_MEMCTRL	20
#define VC_TAGMIG	35
#define VC_DLIMIT	36
#define VC_INODE	38
#define VC_VSTAT	40
#define VC_VINFO	46
#define VC_EVENT	48
#define VC_FLAGS	52
#define VC_VSPACE	54
#define VC_RLIMIT	60

/* The commands. An enum, so that any language's generator can read them. */
enum vserver_cmd {
	VCMD_get_version       = VCMD(VC_VERSION, 0, 0),
	VCMD_get_vci           = VCMD(VC_VERSION, 1, 0),
	VCMD_task_xid          = VCMD(VC_VINFO, 1, 0),
	VCMD_task_tag          = VCMD(VC_VINFO, 3, 0),
	VCMD_vx_info           = VCMD(VC_VINFO, 5, 0),
	VCMD_ctx_stat          = VCMD(VC_VSTAT, 0, 0),
	VCMD_rlimit_stat       = VCMD(VC_VSTAT, 1, 0),
	VCMD_virt_stat         = VCMD(VC_VSTAT, 3, 0),
	VCMD_sock_stat         = VCMD(VC_VSTAT, 5, 0),
	VCMD_ctx_create_v0     = VCMD(VC_VPROC, 1, 0),
	VCMD_ctx_create_v1     = VCMD(VC_VPROC, 1, 1),
	VCMD_ctx_create        = VCMD(VC_VPROC, 1, 2),
	VCMD_ctx_migrate_v0    = VCMD(VC_PROCMIG, 1, 0),
	VCMD_ctx_migrate_v1    = VCMD(VC_PROCMIG, 1, 1),
	VCMD_ctx_migrate       = VCMD(VC_PROCMIG, 1, 2),
	VCMD_get_cflags        = VCMD(VC_FLAGS, 1, 0),
	VCMD_set_cflags        = VCMD(VC_FLAGS, 2, 0),
	VCMD_get_ccaps_v0      = VCMD(VC_FLAGS, 3, 0),
	VCMD_set_ccaps_v0      = VCMD(VC_FLAGS, 4, 0),
	VCMD_get_ccaps         = VCMD(VC_FLAGS, 3, 1),
	VCMD_set_ccaps         = VCMD(VC_FLAGS, 4, 1),
	VCMD_get_bcaps         = VCMD(VC_FLAGS, 9, 0),
	VCMD_set_bcaps         = VCMD(VC_FLAGS, 10, 0),
	VCMD_get_umask         = VCMD(VC_FLAGS, 13, 0),
	VCMD_set_umask         = VCMD(VC_FLAGS, 14, 0),
	VCMD_enter_space_v0    = VCMD(VC_PROCALT, 1, 0),
	VCMD_enter_space_v1    = VCMD(VC_PROCALT, 1, 1),
	VCMD_enter_space       = VCMD(VC_PROCALT, 1, 2),
	VCMD_set_space_v0      = VCMD(VC_PROCALT, 3, 0),
	VCMD_set_space_v1      = VCMD(VC_PROCALT, 3, 1),
	VCMD_set_space         = VCMD(VC_PROCALT, 3, 2),
	VCMD_get_pflags        = VCMD(VC_PROCALT, 5, 0),
	VCMD_set_pflags        = VCMD(VC_PROCALT, 6, 0),
	VCMD_get_space_mask    = VCMD(VC_VSPACE, 0, 1),
	VCMD_get_space_default = VCMD(VC_VSPACE, 1, 0),
	VCMD_get_rlimit        = VCMD(VC_RLIMIT, 1, 0),
	VCMD_set_rlimit        = VCMD(VC_RLIMIT, 2, 0),
	VCMD_get_rlimit_mask   = VCMD(VC_RLIMIT, 3, 0),
	VCMD_reset_hits        = VCMD(VC_RLIMIT, 7, 0),
	VCMD_reset_minmax      = VCMD(VC_RLIMIT, 9, 0),
	VCMD_get_badness       = VCMD(VC_MEMCTRL, 5, 0),
	VCMD_set_badness       = VCMD(VC_MEMCTRL, 6, 0),
	VCMD_ctx_kill          = VCMD(VC_PROCTRL, 1, 0),
	VCMD_wait_exit         = VCMD(VC_EVENT, 99, 0),
	VCMD_set_sched_v3      = VCMD(VC_SCHED, 1, 3),
	VCMD_set_sched_v4      = VCMD(VC_SCHED, 1, 4),
	VCMD_set_sched         = VCMD(VC_SCHED, 1, 5),
	VCMD_get_sched         = VCMD(VC_SCHED, 2, 5),
	VCMD_sched_info        = VCMD(VC_SCHED, 3, 0),
	VCMD_set_prio_bias     = VCMD(VC_SCHED, 4, 0),
	VCMD_get_prio_bias     = VCMD(VC_SCHED, 5, 0),
	VCMD_get_iattr         = VCMD(VC_INODE, 1, 1),
	VCMD_set_iattr         = VCMD(VC_INODE, 2, 1),
	VCMD_fget_iattr        = VCMD(VC_INODE, 3, 0),
	VCMD_fset_iattr        = VCMD(VC_INODE, 4, 0),
	VCMD_add_dlimit        = VCMD(VC_DLIMIT, 1, 0),
	VCMD_rem_dlimit        = VCMD(VC_DLIMIT, 2, 0),
	VCMD_set_dlimit_v0     = VCMD(VC_DLIMIT, 5, 0),
	VCMD_set_dlimit        = VCMD(VC_DLIMIT, 5, 1),
	VCMD_get_dlimit_v0     = VCMD(VC_DLIMIT, 6, 0),
	VCMD_get_dlimit        = VCMD(VC_DLIMIT, 6, 1),
	VCMD_add_quota         = VCMD(VC_DLIMIT, 7, 0),
	VCMD_rem_quota         = VCMD(VC_DLIMIT, 8, 0),
	VCMD_set_quota         = VCMD(VC_DLIMIT, 9, 0),
	VCMD_get_quota         = VCMD(VC_DLIMIT, 10, 0),
	VCMD_set_quota_info    = VCMD(VC_DLIMIT, 11, 0),
	VCMD_get_quota_info    = VCMD(VC_DLIMIT, 12, 0),
	VCMD_tag_migrate       = VCMD(VC_TAGMIG, 1, 0),
	VCMD_unify             = VCMD(VC_INODE, 5, 0),
	VCMD_deunify           = VCMD(VC_INODE, 6, 0),
	VCMD_set_vhi_name      = VCMD(VC_VHOST, 1, 0),
	VCMD_get_vhi_name      = VCMD(VC_VHOST, 2, 0),
};

/* Versions and features: answers of get_version and get_vci */
#define VCI_VERSION		0x00020308

#define VCI_NO_DYNAMIC		(1u << 0)
#define VCI_PROC_SECURE		(1u << 4)
#define VCI_HARDCPU		(1u << 5)
#define VCI_IDLETIME		(1u << 7)
#define VCI_COWBL		(1u << 8)
#define VCI_FULLCOWBL		(1u << 9)
#define VCI_SPACES		(1u << 10)
#define VCI_NETV2		(1u << 11)
#define VCI_MEMCG		(1u << 12)
#define VCI_DEBUG		(1u << 16)
#define VCI_TAG_INTERNAL	(4u << 24)	/* a number: where tags are kept */
#define VCI_TAG_TASK		(1u << 28)	/* task_tag, tag_migrate */

/* Context ids */
#define VX_XID_HOST		0u	/* no context */
#define VX_XID_WATCH		1u	/* spectator: sees all, limited by none */
#define VX_XID_MIN		2u
#define VX_XID_STATIC_MAX	49151u	/* the last id for the administrator */
#define VX_XID_DYNAMIC_MIN	49152u
#define VX_XID_MAX		65534u
#define VX_XID_ANY		0xffffffffu	/* create: pick one */
#define VX_XID_SELF		0xfffffffeu	/* the caller's own */

struct vcmd_vx_info_v0 {
	__u32 xid;
	__u32 initpid;
};

struct vcmd_ctx_stat_v0 {
	__u32 usecnt;
	__u32 tasks;
};

struct vcmd_ctx_create {
	__u64 flagword;
};

/* ctx_migrate: flagword */
#define VXM_SET_INIT		(1ull << 0)
#define VXM_SET_REAPER		(1ull << 1)

struct vcmd_ctx_migrate {
	__u64 flagword;
};

struct vcmd_ctx_flags_v0 {
	__u64 flagword;
	__u64 mask;
};

/* Context flags */
#define VXF_INFO_SCHED		(1ull << 1)
#define VXF_INFO_NPROC		(1ull << 2)
#define VXF_INFO_PRIVATE	(1ull << 3)
#define VXF_INFO_INIT		(1ull << 4)
#define VXF_INFO_HIDE		(1ull << 5)
#define VXF_INFO_ULIMIT		(1ull << 6)
#define VXF_INFO_NSPACE		(1ull << 7)
#define VXF_SCHED_HARD		(1ull << 8)
#define VXF_SCHED_PRIO		(1ull << 9)
#define VXF_SCHED_PAUSE		(1ull << 10)
#define VXF_VIRT_MEM		(1ull << 16)
#define VXF_VIRT_UPTIME		(1ull << 17)
#define VXF_VIRT_CPU		(1ull << 18)
#define VXF_VIRT_LOAD		(1ull << 19)
#define VXF_VIRT_TIME		(1ull << 20)
#define VXF_HIDE_MOUNT		(1ull << 24)
#define VXF_HIDE_VINFO		(1ull << 26)
#define VXF_STATE_SETUP		(1ull << 32)
#define VXF_STATE_INIT		(1ull << 33)
#define VXF_STATE_ADMIN		(1ull << 34)
#define VXF_SC_HELPER		(1ull << 36)
#define VXF_REBOOT_KILL		(1ull << 37)
#define VXF_PERSISTENT		(1ull << 38)
#define VXF_FORK_RSS		(1ull << 48)
#define VXF_PROLIFIC		(1ull << 49)
#define VXF_IGNEG_NICE		(1ull << 52)

/* These can be cleared, never set again. */
#define VXF_ONE_TIME	(VXF_STATE_SETUP | VXF_STATE_INIT | VXF_STATE_ADMIN)

/* Version 0 of get_ccaps and set_ccaps: the mask is for both */
struct vcmd_ctx_caps_v0 {
	__u64 bcaps;
	__u64 ccaps;
	__u64 cmask;
};

struct vcmd_ctx_caps_v1 {
	__u64 ccaps;
	__u64 cmask;
};

/*
 * Context capabilities: single powers that a context is given back although
 * its upper bound lacks the Linux capability that they need otherwise.
 */
#define VXC_SET_UTSNAME		(1ull << 0)
#define VXC_SET_RLIMIT		(1ull << 1)
#define VXC_FS_SECURITY		(1ull << 2)
#define VXC_FS_TRUSTED		(1ull << 3)
#define VXC_TIOCSTI		(1ull << 4)
#define VXC_SYSLOG		(1ull << 12)
#define VXC_OOM_ADJUST		(1ull << 13)
#define VXC_AUDIT_CONTROL	(1ull << 14)
#define VXC_SECURE_MOUNT	(1ull << 16)
#define VXC_SECURE_REMOUNT	(1ull << 17)
#define VXC_BINARY_MOUNT	(1ull << 18)
#define VXC_QUOTA_CTL		(1ull << 20)
#define VXC_ADMIN_MAPPER	(1ull << 21)
#define VXC_ADMIN_CLOOP		(1ull << 22)
#define VXC_KTHREAD		(1ull << 24)
#define VXC_NAMESPACE		(1ull << 25)

/* Upper bound on Linux capabilities */
struct vcmd_bcaps {
	__u64 bcaps;
	__u64 bmask;
};

/* Which CLONE_NEW* flags those inside may unshare */
struct vcmd_umask {
	__u64 umask;
	__u64 mask;
};

/* Namespaces: a mask of CLONE_NEW* flags, and CLONE_FS */
struct vcmd_space_mask_v1 {
	__u64 mask;
};

struct vcmd_space_mask_v2 {
	__u64 mask;
	__u32 index;	/* 0 or 1: a context keeps two sets */
};

struct vcmd_ctx_kill_v0 {
	__s32 pid;	/* 0 all, -1 all but init, 1 the context's init */
	__s32 sig;
};

struct vcmd_wait_exit_v0 {
	__s32 reboot_cmd;
	__s32 exit_code;
};

/* Limits; ~0 is infinity, ~1 keeps what is set */

#define CRLIM_INFINITY		(~0ull)
#define CRLIM_KEEP		(~1ull)

struct vcmd_ctx_rlimit_v0 {
	__u32 id;
	__u64 minimum;
	__u64 softlimit;
	__u64 maximum;
};

/* Which limits can be set: bit by id */
struct vcmd_ctx_rlimit_mask_v0 {
	__u32 minimum;
	__u32 softlimit;
	__u32 maximum;
};

struct vcmd_rlimit_stat_v0 {
	__u32 id;
	__u32 hits;
	__u64 value;
	__u64 minimum;
	__u64 maximum;
};

/* Below these the ids are the RLIMIT_* of Linux. */
#define VLIMIT_NSOCK		16u
#define VLIMIT_OPENFD		17u
#define VLIMIT_ANON		18u
#define VLIMIT_SHMEM		19u
#define VLIMIT_SEMARY		20u
#define VLIMIT_NSEMS		21u
#define VLIMIT_DENTRY		22u
#define VLIMIT_MAPPED		23u

struct vcmd_badness_v0 {
	__s64 bias;
};

/* What a context looks like from inside; times in nanoseconds */
struct vcmd_virt_stat_v0 {
	__u64 offset;
	__u64 uptime;
	__u32 nr_threads;
	__u32 nr_running;
	__u32 nr_uninterruptible;
	__u32 nr_onhold;
	__u32 nr_forks;
	__u32 load[3];	/* 11 bits of fraction */
};

/* Traffic of a family: 0 unspecified, 1 unix, 2 inet, 3 inet6, 4 packet, 5 other */
struct vcmd_sock_stat_v0 {
	__u32 field;
	__u32 count[3];	/* received, sent, failed */
	__u64 total[3];
};

/* Scheduler: rates in ticks (1/HZ s) per interval, tokens in ticks */

struct vcmd_sched_v3 {
	__u32 mask;
	__s32 fill_rate;
	__s32 interval;
	__s32 tokens;
	__s32 tokens_min;
	__s32 tokens_max;
	__s32 prio_bias;
};

struct vcmd_sched_v4 {
	__u32 mask;
	__s32 fill_rate;
	__s32 interval;
	__s32 tokens;
	__s32 tokens_min;
	__s32 tokens_max;
	__s32 prio_bias;
	__s32 cpu_id;
	__s32 bucket_id;
};

struct vcmd_sched_v5 {
	__u32 mask;
	__s32 cpu_id;
	__s32 bucket_id;
	__s32 fill_rate[2];	/* [0] real time, [1] idle time */
	__s32 interval[2];
	__s32 tokens;
	__s32 tokens_min;
	__s32 tokens_max;
	__s32 prio_bias;
};

#define VXSM_FILL_RATE		0x0001u
#define VXSM_INTERVAL		0x0002u
#define VXSM_FILL_RATE2		0x0004u
#define VXSM_INTERVAL2		0x0008u
#define VXSM_TOKENS		0x0010u
#define VXSM_TOKENS_MIN		0x0020u
#define VXSM_TOKENS_MAX		0x0040u
#define VXSM_PRIO_BIAS		0x0100u
#define VXSM_IDLE_TIME		0x0200u
#define VXSM_FORCE		0x0400u
#define VXSM_CPU_ID		0x1000u
#define VXSM_BUCKET_ID		0x2000u
#define VXSM_MSEC		0x4000u	/* intervals are in milliseconds */

struct vcmd_sched_info {
	__s32 cpu_id;
	__s32 bucket_id;
	__u64 user_msec;
	__u64 sys_msec;
	__u64 hold_msec;
	__u32 token_usec;	/* the length of a tick, microseconds */
	__s32 vavavoom;
};

struct vcmd_prio_bias {
	__s32 cpu_id;
	__s32 prio_bias;
};

/* Processes: no flag has a meaning yet. */
struct vcmd_pflags_v0 {
	__u32 flagword;
	__u32 mask;
};

/* Inode attributes */

struct vcmd_ctx_iattr_v1 {
	const char *name;
	__u32 xid;
	__u32 flags;
	__u32 mask;
};

struct vcmd_ctx_fiattr_v0 {
	__u32 xid;
	__u32 flags;
	__u32 mask;
};

/* The name of the unified file id goes to the equal one fd. */
struct vcmd_unify_v0 {
	__s32 fd;
};

#define IATTR_ADMIN		0x00000001u
#define IATTR_WATCH		0x00000002u
#define IATTR_HIDE		0x00000004u
#define IATTR_BARRIER		0x00010000u
#define IATTR_IUNLINK		0x00020000u
#define IATTR_IMMUTABLE		0x00040000u
#define IATTR_COW		0x00080000u
#define IATTR_TAG		0x01000000u

/* Disk limits: space in KiB, reserved in percent of the totals */

struct vcmd_ctx_dlimit_base_v0 {
	const char *name;	/* a file of the file system */
	__u32 flags;
};

struct vcmd_ctx_dlimit_v0 {
	const char *name;
	__u32 space_used;
	__u32 space_total;
	__u32 inodes_used;
	__u32 inodes_total;
	__u32 reserved;
	__u32 flags;
};

/* Of version 0: no limit, and what is set stays; of version 1 */
#define CDLIM_INFINITY		(~0u)
#define CDLIM_KEEP		(~1u)
#define CDLIM64_INFINITY	(~0ull)
#define CDLIM64_KEEP		(~1ull)

/* What get_dlimit of version 1 knows of what is used; for set they are 0 */
#define CDLIM_COUNTED		0x00000001u	/* somebody has said it */
#define CDLIM_KEPT		0x00000002u	/* and it was kept over a mount */

struct vcmd_ctx_dlimit_v1 {
	const char *name;
	__u64 space_used;
	__u64 space_total;
	__u64 inodes_used;
	__u64 inodes_total;
	__u32 reserved;		/* or CDLIM_KEEP */
	__u32 flags;
};

/*
 * What a user or a group in the context has, and may. For set_quota each number
 * but kind and id may be CDLIM64_KEEP.
 */
struct vcmd_ctx_quota_v0 {
	const char *name;	/* a file of the file system */
	__u32 kind;		/* USRQUOTA, GRPQUOTA of linux/quota.h */
	__u32 id;		/* in the initial user namespace; ~0: all, of whom only
				 * what is used can be set. For get_quota the smallest
				 * one to look for.
				 */
	__u64 space_used;	/* bytes */
	__u64 space_soft;	/* 0: no limit */
	__u64 space_hard;	/* 0: no limit */
	__u64 space_until;	/* end of the time above the soft limit, in seconds since
				 * 1970; 0: it has not begun
				 */
	__u64 inodes_used;
	__u64 inodes_soft;
	__u64 inodes_hard;
	__u64 inodes_until;
};

#define CQUOTA_ENFORCED		0x00000001u	/* limits hold */
#define CQUOTA_COUNTED		0x00000002u	/* it was said what there was before */

/*
 * Of all users, or groups. For set_quota_info each number but kind may be
 * CDLIM_KEEP.
 */
struct vcmd_ctx_quota_info_v0 {
	const char *name;	/* a file of the file system */
	__u32 kind;		/* USRQUOTA, GRPQUOTA of linux/quota.h */
	__u32 flags;		/* CQUOTA_* */
	__u32 space_grace;	/* how long above a soft limit, in seconds */
	__u32 inodes_grace;
};

/* Names */

#define VHIN_CONTEXT		0u
#define VHIN_SYSNAME		1u
#define VHIN_NODENAME		2u
#define VHIN_RELEASE		3u
#define VHIN_VERSION		4u
#define VHIN_MACHINE		5u
#define VHIN_DOMAINNAME		6u

struct vcmd_vhi_name_v0 {
	__u32 field;
	char name[65];
};

/*
 * The extended attribute security.vserver: what a file system keeps of an
 * inode's flags and tag. Eight bytes, little endian.
 */
#define VSERVER_XATTR_SUFFIX	"vserver"
#define VSERVER_XATTR_VERSION	1
#define VSERVER_XATTR_IUNLINK	0x01
#define VSERVER_XATTR_BARRIER	0x02

struct vserver_xattr {
	__u8 version;
	__u8 flags;
	__le16 reserved;
	__le32 xid;
};

#endif /* _UAPI_LINUX_VSERVER_H */
