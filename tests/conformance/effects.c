// SPDX-License-Identifier: GPL-2.0
/*
 * What commands do, beyond what they return: what is set can be got, and what the
 * mask leaves out stays. And which calls are refused wherever they are made.
 */

#include "conformance.h"

static int flags_stick(void)
{
	struct vcmd_ctx_flags_v0 flags = {
		.flagword = VXF_PROLIFIC | VXF_IGNEG_NICE,
		.mask = VXF_PROLIFIC,
	};

	if (vserver(VCMD_set_cflags, XID, &flags))
		return 0;
	memset(&flags, 0, sizeof(flags));
	if (vserver(VCMD_get_cflags, XID, &flags))
		return 0;
	return (flags.flagword & (VXF_PROLIFIC | VXF_IGNEG_NICE)) == VXF_PROLIFIC;
}

/* Bits that no header names yet are kept, not refused. */
static int words_stick(void)
{
	static const unsigned int pairs[][2] = {
		{ VCMD_set_ccaps, VCMD_get_ccaps },
		{ VCMD_set_bcaps, VCMD_get_bcaps },
		{ VCMD_set_umask, VCMD_get_umask },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct vcmd_bcaps word = { .bcaps = 1ull << 63 | 6, .bmask = ~0ull };

		if (vserver(pairs[i][0], XID, &word))
			return 0;
		word.bcaps = ~0ull;
		word.bmask = 1;
		if (vserver(pairs[i][0], XID, &word))
			return 0;
		memset(&word, 0, sizeof(word));
		if (vserver(pairs[i][1], XID, &word) ||
		    word.bcaps != (1ull << 63 | 7) || word.bmask != ~0ull)
			return 0;
	}
	return 1;
}

static int names_stick(void)
{
	struct vcmd_vhi_name_v0 name = { .field = VHIN_CONTEXT };

	memset(name.name, 'x', sizeof(name.name));
	if (vserver(VCMD_set_vhi_name, XID, &name))
		return 0;
	memset(name.name, 0, sizeof(name.name));
	if (vserver(VCMD_get_vhi_name, XID, &name))
		return 0;
	return strlen(name.name) == 64 && name.name[63] == 'x';
}

static int limits_stick(void)
{
	struct vcmd_ctx_rlimit_v0 limit = {
		.id = VLIMIT_NSOCK,
		.minimum = CRLIM_KEEP,
		.softlimit = 17,
		.maximum = 0x100000002ull,
	};

	if (vserver(VCMD_set_rlimit, XID, &limit))
		return 0;
	limit.softlimit = 0;
	limit.maximum = 0;
	if (vserver(VCMD_get_rlimit, XID, &limit) || limit.softlimit != 17 ||
	    limit.maximum != 0x100000002ull)
		return 0;
	limit.softlimit = CRLIM_INFINITY;
	limit.maximum = CRLIM_INFINITY;
	if (vserver(VCMD_set_rlimit, XID, &limit))
		return 0;
	limit.id = 77;
	return vserver(VCMD_get_rlimit, XID, &limit) == -EINVAL &&
	       vserver(VCMD_set_rlimit, XID, &limit) == -EINVAL;
}

static int disk_limits_stick(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_dlimit_v1 wide = {
		TAGGED, 1, 0x100000002ull, 3, CDLIM64_INFINITY, 5, 0,
	};
	struct vcmd_ctx_dlimit_v0 narrow = {
		TAGGED, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP, 40, CDLIM_KEEP, 0,
	};

	if (vserver(VCMD_add_dlimit, NOBODY, &base) ||
	    vserver(VCMD_add_dlimit, NOBODY, &base) != -EEXIST ||
	    vserver(VCMD_set_dlimit, NOBODY, &wide) ||
	    vserver(VCMD_set_dlimit_v0, NOBODY, &narrow) ||
	    vserver(VCMD_get_dlimit_v0, NOBODY, &narrow) ||
	    vserver(VCMD_get_dlimit, NOBODY, &wide) ||
	    vserver(VCMD_rem_dlimit, NOBODY, &base) ||
	    vserver(VCMD_get_dlimit, NOBODY, &wide) != -ESRCH)
		return 0;
	return wide.space_used == 1 && wide.space_total == 0x100000002ull &&
	       wide.inodes_used == 3 && wide.inodes_total == 40 &&
	       wide.reserved == 5 && narrow.space_used == 1 &&
	       narrow.space_total == CDLIM_KEEP - 1 &&
	       narrow.inodes_used == 3 && narrow.inodes_total == 40 &&
	       narrow.reserved == 5;
}

static int old_schedulers_stick(void)
{
	struct vcmd_sched_v3 v3 = {
		.mask = VXSM_FILL_RATE | VXSM_INTERVAL | VXSM_TOKENS_MAX,
		.fill_rate = 7,
		.interval = 70,
		.tokens_max = 700,
	};
	struct vcmd_sched_v4 v4 = {
		.mask = VXSM_FILL_RATE | VXSM_CPU_ID | VXSM_BUCKET_ID,
		.fill_rate = 8,
	};
	struct vcmd_prio_bias bias = { .prio_bias = -3 };
	struct vcmd_sched_v5 now = {};

	if (vserver(VCMD_set_sched_v3, XID, &v3) ||
	    vserver(VCMD_get_sched, XID, &now) || now.fill_rate[0] != 7 ||
	    now.interval[0] != 70 || now.tokens_max != 700)
		return 0;
	if (vserver(VCMD_set_sched_v4, XID, &v4) ||
	    vserver(VCMD_set_prio_bias, XID, &bias) ||
	    vserver(VCMD_get_sched, XID, &now) || now.fill_rate[0] != 8 ||
	    now.interval[0] != 70 || now.prio_bias != -3)
		return 0;
	bias.prio_bias = 0;
	if (vserver(VCMD_get_prio_bias, XID, &bias) || bias.prio_bias != -3)
		return 0;
	/* What version 4 can say more than version 3 is looked at. */
	v4.bucket_id = 1;
	bias.cpu_id = -1;
	return vserver(VCMD_set_sched_v4, XID, &v4) == -EINVAL &&
	       vserver(VCMD_set_prio_bias, XID, &bias) == -EINVAL &&
	       vserver(VCMD_get_prio_bias, XID, &bias) == -EINVAL;
}

static int info_is_right(void)
{
	struct vcmd_vx_info_v0 info = {};
	struct vcmd_ctx_stat_v0 stat = {};

	return !vserver(VCMD_vx_info, XID, &info) && info.xid == XID &&
	       !vserver(VCMD_ctx_stat, XID, &stat) && stat.tasks == 1 &&
	       stat.usecnt >= 1;
}

/* It blocks where it works. */
static int wait_from(const void *place)
{
	struct vcmd_wait_exit_v0 wait = {};

	go(*(const enum place *)place);
	return -vserver(VCMD_wait_exit, VX_XID_SELF, &wait);
}

static int waiting_is_refused(void)
{
	static const int errors[PLACES] = { ESRCH, EDEADLK, EDEADLK, EPERM };
	enum place place;

	for (place = HOST; place < PLACES; place++)
		if (child(wait_from, &place) != errors[place])
			return 0;
	return 1;
}

static int unknown_commands(void)
{
	static const unsigned int unknown[] = {
		~0u, VCMD(63, 0, 0), VCMD(VC_FLAGS, 1, 0xfff),
		VCMD(VC_FLAGS, 255, 0), VCMD(VC_INODE, 1, 0),
		VCMD(VC_VPROC, 1, 3), VCMD(VC_DLIMIT, 3, 0),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++)
		if (vserver(unknown[i], XID, NULL) != -ENOSYS)
			return 0;
	return 1;
}

static const struct {
	const char *name;
	int (*check)(void);
} effects[] = {
	{ "flags_stick", flags_stick },
	{ "words_stick", words_stick },
	{ "names_stick", names_stick },
	{ "limits_stick", limits_stick },
	{ "disk_limits_stick", disk_limits_stick },
	{ "old_schedulers_stick", old_schedulers_stick },
	{ "info_is_right", info_is_right },
	{ "waiting_is_refused", waiting_is_refused },
	{ "unknown_commands", unknown_commands },
};

unsigned int count_effects(void)
{
	return ARRAY_SIZE(effects);
}

void check_effects(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(effects); i++)
		report(effects[i].check(), effects[i].name, "effect");
}
