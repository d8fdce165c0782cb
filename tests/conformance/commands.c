// SPDX-License-Identifier: GPL-2.0
/* The commands: what their structures are, and who may call them. */

#include "commands.h"

static void fill_flags(void *data)
{
	struct vcmd_ctx_flags_v0 *flags = data;

	flags->mask = VXF_PROLIFIC;
}

static void fill_kill(void *data)
{
	struct vcmd_ctx_kill_v0 *kill = data;

	kill->pid = 0;
	kill->sig = 0;
}

static void fill_create(void *data)
{
	struct vcmd_ctx_create *create = data;

	create->flagword = VXF_STATE_SETUP;
}

static void fill_name(void *data)
{
	struct vcmd_vhi_name_v0 *name = data;

	name->field = VHIN_CONTEXT;
	memcpy(name->name, "web", 4);
}

static void fill_iattr(void *data)
{
	struct vcmd_ctx_iattr_v1 *attr = data;

	attr->name = "/tmp";
}

static void fill_dlimit_base(void *data)
{
	struct vcmd_ctx_dlimit_base_v0 *base = data;

	base->name = TAGGED;
}

static void fill_quota(void *data)
{
	struct vcmd_ctx_quota_v0 *quota = data;

	*quota = (struct vcmd_ctx_quota_v0) {
		.name = TAGGED,
		.space_used = 4096,
	};
}

static void fill_quota_info(void *data)
{
	struct vcmd_ctx_quota_info_v0 *info = data;

	*info = (struct vcmd_ctx_quota_info_v0) {
		TAGGED, 1, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP,
	};
}

static void fill_dlimit_v0(void *data)
{
	struct vcmd_ctx_dlimit_v0 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v0) {
		TAGGED, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP,
		CDLIM_KEEP, 0,
	};
}

static void fill_dlimit(void *data)
{
	struct vcmd_ctx_dlimit_v1 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v1) {
		TAGGED, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP,
		CDLIM_KEEP, 0,
	};
}

static void fill_rlimit(void *data)
{
	struct vcmd_ctx_rlimit_v0 *limit = data;

	limit->id = VLIMIT_NSOCK;
	limit->minimum = CRLIM_KEEP;
	limit->softlimit = CRLIM_KEEP;
	limit->maximum = CRLIM_KEEP;
}

static void fill_rlimit_stat(void *data)
{
	struct vcmd_rlimit_stat_v0 *stat = data;

	stat->id = VLIMIT_NSOCK;
}

static void fill_space(void *data)
{
	struct vcmd_space_mask_v2 *space = data;

	space->mask = CLONE_NEWUTS;
}

static void fill_space_v1(void *data)
{
	struct vcmd_space_mask_v1 *space = data;

	space->mask = CLONE_NEWUTS;
}

/* For commands whose id is a descriptor. */
static int fd_id(void)
{
	return open("/tmp", O_RDONLY);
}

/* What the id is too: the command tells that they are one file. */
static void fill_unify(void *data)
{
	struct vcmd_unify_v0 *unify = data;

	unify->fd = fd_id();
}

static int any_id(void)
{
	return VX_XID_ANY;
}

static int self_id(void)
{
	return 0;
}

#define NO_DATA(n, ...) { .name = #n, .cmd = VCMD_##n, __VA_ARGS__ }
#define DATA(n, type, ...) \
	{ .name = #n, .cmd = VCMD_##n, .size = sizeof(struct type), __VA_ARGS__ }

/* Who may: everybody; root anywhere; who changes; who is in no context. */
#define FREE		.error = {}
#define ASKS		.error = { [PLAIN] = EPERM, [CONFINED] = EPERM }
#define CHANGES		.error = { [INSIDE] = EPERM, [PLAIN] = EPERM, \
				   [WATCH] = EPERM, [CONFINED] = EPERM, \
				   [ADMIN] = EPERM }
#define OUTSIDE		.error = { [SETUP] = EPERM, [INSIDE] = EPERM, \
				   [PLAIN] = EPERM, [CONFINED] = EPERM }
/* The same, but who changes files, */
#define FILES		.error = { [SETUP] = EPERM, [INSIDE] = EPERM, \
				   [PLAIN] = EPERM, [CONFINED] = EPERM, \
				   [ADMIN] = EPERM }
/* and who names one file twice. */
#define SAME_FILE	.error = { [HOST] = EINVAL, [WATCH] = EINVAL, \
				   [SETUP] = EPERM, [INSIDE] = EPERM, \
				   [PLAIN] = EPERM, [CONFINED] = EPERM, \
				   [ADMIN] = EPERM }
/* XID holds some spaces by then, OWN none. */
#define HELD		.error = { [SETUP] = EINVAL, [INSIDE] = EINVAL, \
				   [PLAIN] = EPERM, [CONFINED] = EPERM }

const struct command commands[] = {
	NO_DATA(get_version, .free_id = 1, FREE),
	NO_DATA(get_vci, .free_id = 1, FREE),
	NO_DATA(task_xid, .id = self_id, ASKS),
	NO_DATA(task_tag, .id = self_id, ASKS),
	NO_DATA(tag_migrate, .free_id = 1, ASKS),
	DATA(get_pflags, vcmd_pflags_v0, .id = self_id, ASKS),
	DATA(set_pflags, vcmd_pflags_v0, .id = self_id, CHANGES),
	NO_DATA(ctx_create_v0, .id = any_id, OUTSIDE),
	DATA(ctx_create_v1, vcmd_ctx_create, .id = any_id, .fill = fill_create,
	     .optional = 1, OUTSIDE),
	DATA(ctx_create, vcmd_ctx_create, .id = any_id, .fill = fill_create,
	     .optional = 1, OUTSIDE),
	NO_DATA(ctx_migrate_v0, OUTSIDE),
	DATA(ctx_migrate_v1, vcmd_ctx_migrate, .optional = 1, OUTSIDE),
	DATA(ctx_migrate, vcmd_ctx_migrate, .optional = 1, OUTSIDE),
	DATA(vx_info, vcmd_vx_info_v0, ASKS),
	DATA(ctx_stat, vcmd_ctx_stat_v0, ASKS),
	DATA(get_cflags, vcmd_ctx_flags_v0, ASKS),
	DATA(set_cflags, vcmd_ctx_flags_v0, .fill = fill_flags, CHANGES),
	DATA(get_ccaps_v0, vcmd_ctx_caps_v0, ASKS),
	DATA(set_ccaps_v0, vcmd_ctx_caps_v0, CHANGES),
	DATA(get_ccaps, vcmd_ctx_caps_v1, ASKS),
	DATA(set_ccaps, vcmd_ctx_caps_v1, CHANGES),
	DATA(get_bcaps, vcmd_bcaps, ASKS),
	DATA(set_bcaps, vcmd_bcaps, CHANGES),
	DATA(get_umask, vcmd_umask, ASKS),
	DATA(set_umask, vcmd_umask, CHANGES),
	DATA(ctx_kill, vcmd_ctx_kill_v0, .fill = fill_kill, CHANGES),
	DATA(get_sched, vcmd_sched_v5, ASKS),
	DATA(set_sched_v3, vcmd_sched_v3, CHANGES),
	DATA(set_sched_v4, vcmd_sched_v4, CHANGES),
	DATA(set_sched, vcmd_sched_v5, CHANGES),
	DATA(set_prio_bias, vcmd_prio_bias, CHANGES),
	DATA(get_prio_bias, vcmd_prio_bias, ASKS),
	DATA(sched_info, vcmd_sched_info, ASKS),
	DATA(get_vhi_name, vcmd_vhi_name_v0, .fill = fill_name,
	     .needs = NAME_NEEDS, ASKS),
	DATA(set_vhi_name, vcmd_vhi_name_v0, .fill = fill_name,
	     .needs = NAME_NEEDS, CHANGES),
	DATA(get_rlimit, vcmd_ctx_rlimit_v0, .fill = fill_rlimit, ASKS),
	DATA(set_rlimit, vcmd_ctx_rlimit_v0, .fill = fill_rlimit, CHANGES),
	DATA(get_rlimit_mask, vcmd_ctx_rlimit_mask_v0, .free_id = 1, FREE),
	DATA(rlimit_stat, vcmd_rlimit_stat_v0, .fill = fill_rlimit_stat, ASKS),
	NO_DATA(reset_hits, CHANGES),
	NO_DATA(reset_minmax, CHANGES),
	DATA(sock_stat, vcmd_sock_stat_v0, ASKS),
	DATA(get_badness, vcmd_badness_v0, ASKS),
	DATA(set_badness, vcmd_badness_v0, CHANGES),
	NO_DATA(set_space_v0, CHANGES),
	DATA(set_space_v1, vcmd_space_mask_v1, .fill = fill_space_v1,
	     .optional = 1, CHANGES),
	DATA(set_space, vcmd_space_mask_v2, .fill = fill_space, .optional = 1,
	     .needs = SPACE_NEEDS, CHANGES),
	NO_DATA(enter_space_v0, HELD),
	DATA(enter_space_v1, vcmd_space_mask_v1, .fill = fill_space_v1,
	     .optional = 1, HELD),
	DATA(enter_space, vcmd_space_mask_v2, .fill = fill_space,
	     .optional = 1, .needs = SPACE_NEEDS, HELD),
	DATA(get_space_mask, vcmd_space_mask_v1, .free_id = 1, FREE),
	DATA(get_space_default, vcmd_space_mask_v1, .id = self_id, ASKS),
	DATA(virt_stat, vcmd_virt_stat_v0, ASKS),
	DATA(get_iattr, vcmd_ctx_iattr_v1, .fill = fill_iattr, .free_id = 1,
	     .needs = IATTR_NEEDS, ASKS),
	DATA(set_iattr, vcmd_ctx_iattr_v1, .fill = fill_iattr, .free_id = 1,
	     .needs = IATTR_NEEDS, FILES),
	DATA(fget_iattr, vcmd_ctx_fiattr_v0, .id = fd_id, ASKS),
	DATA(fset_iattr, vcmd_ctx_fiattr_v0, .id = fd_id, FILES),
	/* The first ones make what the others are about. */
	DATA(add_dlimit, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     .free_id = 1, .needs = BASE_NEEDS, CHANGES),
	DATA(set_dlimit_v0, vcmd_ctx_dlimit_v0, .fill = fill_dlimit_v0, CHANGES),
	DATA(set_dlimit, vcmd_ctx_dlimit_v1, .fill = fill_dlimit, CHANGES),
	DATA(get_dlimit_v0, vcmd_ctx_dlimit_v0, .fill = fill_dlimit_v0, ASKS),
	DATA(get_dlimit, vcmd_ctx_dlimit_v1, .fill = fill_dlimit, ASKS),
	DATA(add_quota, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     .needs = BASE_NEEDS, CHANGES),
	DATA(set_quota, vcmd_ctx_quota_v0, .fill = fill_quota, CHANGES),
	DATA(get_quota, vcmd_ctx_quota_v0, .fill = fill_quota, CHANGES),
	DATA(set_quota_info, vcmd_ctx_quota_info_v0, .fill = fill_quota_info,
	     CHANGES),
	DATA(get_quota_info, vcmd_ctx_quota_info_v0, .fill = fill_quota_info,
	     CHANGES),
	DATA(rem_quota, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     .needs = BASE_NEEDS, CHANGES),
	DATA(rem_dlimit, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     .needs = BASE_NEEDS, CHANGES),
	DATA(unify, vcmd_unify_v0, .id = fd_id, .fill = fill_unify,
	     SAME_FILE),
	NO_DATA(deunify, .id = fd_id, FILES),
};

const unsigned int command_count = ARRAY_SIZE(commands);
