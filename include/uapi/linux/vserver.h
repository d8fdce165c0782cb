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
#define VC_PROCMIG	11
#define VC_PROCTRL	12
#define VC_SCHED	14
#define VC_INODE	38
#define VC_VSTAT	40
#define VC_VINFO	46
#define VC_EVENT	48
#define VC_FLAGS	52

/* The commands. An enum, so that any language's generator can read them. */
enum vserver_cmd {
	VCMD_get_version       = VCMD(VC_VERSION, 0, 0),
	VCMD_get_vci           = VCMD(VC_VERSION, 1, 0),
	VCMD_task_xid          = VCMD(VC_VINFO, 1, 0),
	VCMD_vx_info           = VCMD(VC_VINFO, 5, 0),
	VCMD_ctx_stat          = VCMD(VC_VSTAT, 0, 0),
	VCMD_ctx_create_v0     = VCMD(VC_VPROC, 1, 0),
	VCMD_ctx_create_v1     = VCMD(VC_VPROC, 1, 1),
	VCMD_ctx_create        = VCMD(VC_VPROC, 1, 2),
	VCMD_ctx_migrate_v0    = VCMD(VC_PROCMIG, 1, 0),
	VCMD_ctx_migrate_v1    = VCMD(VC_PROCMIG, 1, 1),
	VCMD_ctx_migrate       = VCMD(VC_PROCMIG, 1, 2),
	VCMD_get_cflags        = VCMD(VC_FLAGS, 1, 0),
	VCMD_set_cflags        = VCMD(VC_FLAGS, 2, 0),
	VCMD_ctx_kill          = VCMD(VC_PROCTRL, 1, 0),
	VCMD_wait_exit         = VCMD(VC_EVENT, 99, 0),
	VCMD_set_sched         = VCMD(VC_SCHED, 1, 5),
	VCMD_get_sched         = VCMD(VC_SCHED, 2, 5),
	VCMD_sched_info        = VCMD(VC_SCHED, 3, 0),
	VCMD_get_iattr         = VCMD(VC_INODE, 1, 1),
	VCMD_set_iattr         = VCMD(VC_INODE, 2, 1),
	VCMD_fget_iattr        = VCMD(VC_INODE, 3, 0),
	VCMD_fset_iattr        = VCMD(VC_INODE, 4, 0),
	VCMD_set_vhi_name      = VCMD(VC_VHOST, 1, 0),
	VCMD_get_vhi_name      = VCMD(VC_VHOST, 2, 0),
};

/* Versions and features: answers of get_version and get_vci */
#define VCI_VERSION		0x00020308

#define VCI_NO_DYNAMIC		(1u << 0)
#define VCI_HARDCPU		(1u << 5)
#define VCI_IDLETIME		(1u << 7)
#define VCI_COWBL		(1u << 8)
#define VCI_FULLCOWBL		(1u << 9)
#define VCI_SPACES		(1u << 10)
#define VCI_NETV2		(1u << 11)
#define VCI_DEBUG		(1u << 16)

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

struct vcmd_ctx_kill_v0 {
	__s32 pid;	/* 0 all, -1 all but init, 1 the context's init */
	__s32 sig;
};

struct vcmd_wait_exit_v0 {
	__s32 reboot_cmd;
	__s32 exit_code;
};

/* Scheduler: rates in ticks (1/HZ s) per interval, tokens in ticks */

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

#define IATTR_ADMIN		0x00000001u
#define IATTR_WATCH		0x00000002u
#define IATTR_HIDE		0x00000004u
#define IATTR_BARRIER		0x00010000u
#define IATTR_IUNLINK		0x00020000u
#define IATTR_IMMUTABLE		0x00040000u
#define IATTR_COW		0x00080000u
#define IATTR_TAG		0x01000000u

/* Names */

#define VHIN_CONTEXT		0u

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
