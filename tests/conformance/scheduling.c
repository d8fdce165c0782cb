// SPDX-License-Identifier: GPL-2.0
/* The scheduler: what is set can be got, what is used is told. */

#include "effects.h"

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

/* The settings, without the tokens, which come in meanwhile. */
static struct vcmd_sched_v5 settings(unsigned int mask)
{
	struct vcmd_sched_v5 now = { .mask = mask };

	if (!expect(!vserver(VCMD_get_sched, XID, &now)))
		now.mask = ~0u;
	now.tokens = 0;
	return now;
}

static int schedulers_stick(void)
{
	struct vcmd_sched_v5 set = {
		.mask = VXSM_FILL_RATE | VXSM_INTERVAL | VXSM_FILL_RATE2 |
			VXSM_INTERVAL2 | VXSM_TOKENS_MIN | VXSM_TOKENS_MAX |
			VXSM_PRIO_BIAS | VXSM_CPU_ID | VXSM_BUCKET_ID,
		.fill_rate = { 3, 5 },
		.interval = { 30, 50 },
		.tokens_min = 7,
		.tokens_max = 70,
		.prio_bias = -99,
	};
	struct vcmd_sched_v5 now;

	if (!expect(!vserver(VCMD_set_sched, XID, &set)))
		return 0;
	now = settings(set.mask);
	/* It goes no further. */
	set.prio_bias = -20;
	return expect(!memcmp(&now, &set, sizeof(now)));
}

/* Where nothing comes in they stay: as debt, too, but no more than fit. */
static int tokens_stick(void)
{
	static const int tokens[][2] = { { 7, 7 }, { -3, -3 }, { 71, 70 } };
	struct vcmd_sched_v5 set = {
		.mask = VXSM_FILL_RATE | VXSM_TOKENS | VXSM_TOKENS_MAX,
		.tokens_max = 70,
	};
	struct vcmd_sched_v5 now = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tokens); i++) {
		set.tokens = tokens[i][0];
		if (!expect(!vserver(VCMD_set_sched, XID, &set)) ||
		    !expect(!vserver(VCMD_get_sched, XID, &now)) ||
		    !expect(now.tokens == tokens[i][1]))
			return 0;
	}
	return 1;
}

/* Of the mask, and values that it does not name. */
static int unknown_bits_change_nothing(void)
{
	struct vcmd_sched_v5 v5 = {
		.mask = ~(VXSM_FILL_RATE | VXSM_INTERVAL | VXSM_FILL_RATE2 |
			  VXSM_INTERVAL2 | VXSM_TOKENS | VXSM_TOKENS_MIN |
			  VXSM_TOKENS_MAX | VXSM_PRIO_BIAS | VXSM_CPU_ID |
			  VXSM_BUCKET_ID | VXSM_IDLE_TIME),
		.cpu_id = -1,
		.bucket_id = -1,
		.fill_rate = { -1, -1 },
		.interval = { -1, -1 },
		.tokens_max = -1,
		.prio_bias = 1,
	};
	/* Version 3 knows no CPU, neither of both a second rate. */
	struct vcmd_sched_v3 v3 = {
		.mask = v5.mask | VXSM_FILL_RATE2 | VXSM_INTERVAL2 |
			VXSM_IDLE_TIME | VXSM_CPU_ID | VXSM_BUCKET_ID,
		.fill_rate = -1,
	};
	struct vcmd_sched_v4 v4 = {
		.mask = v5.mask | VXSM_FILL_RATE2 | VXSM_INTERVAL2 |
			VXSM_IDLE_TIME,
		.cpu_id = -1,
		.bucket_id = -1,
	};
	struct vcmd_sched_v5 old = settings(0), now;

	if (!expect(!vserver(VCMD_set_sched, XID, &v5)) ||
	    !expect(!vserver(VCMD_set_sched_v4, XID, &v4)) ||
	    !expect(!vserver(VCMD_set_sched_v3, XID, &v3)))
		return 0;
	now = settings(0);
	return expect(!memcmp(&now, &old, sizeof(now)));
}

static int milliseconds_are_meant(void)
{
	struct vcmd_sched_v5 set = {
		.mask = VXSM_INTERVAL | VXSM_INTERVAL2 | VXSM_MSEC,
		.interval = { 3000, 5000 },
	};
	struct vcmd_sched_info info = {};
	struct vcmd_sched_v5 msec, ticks;

	if (!expect(!vserver(VCMD_set_sched, XID, &set)) ||
	    !expect(!vserver(VCMD_sched_info, XID, &info)))
		return 0;
	msec = settings(VXSM_MSEC);
	ticks = settings(0);
	return expect(info.token_usec >= 1000 && info.token_usec <= 10000) &&
	       expect(msec.interval[0] == 3000 && msec.interval[1] == 5000) &&
	       expect(ticks.interval[0] == (int)(3000000 / info.token_usec)) &&
	       expect(ticks.interval[1] == (int)(5000000 / info.token_usec));
}

/* As a whole: what makes sense beside it changes nothing either. */
static int nonsense_is_refused(void)
{
	static const struct vcmd_sched_v5 nonsense[] = {
		{ .mask = VXSM_FILL_RATE, .fill_rate = { -1 } },
		{ .mask = VXSM_FILL_RATE2, .fill_rate = { 0, -1 } },
		{ .mask = VXSM_INTERVAL, .interval = { 0 } },
		{ .mask = VXSM_INTERVAL2, .interval = { 0, -1 } },
		{ .mask = VXSM_TOKENS_MAX, .tokens_max = 0 },
		{ .mask = VXSM_TOKENS_MIN, .tokens_min = -1 },
		{ .mask = VXSM_TOKENS_MIN, .tokens_min = 0x7fffffff },
		{ .mask = VXSM_CPU_ID, .cpu_id = -1 },
		{ .mask = VXSM_CPU_ID, .cpu_id = 0x7fffffff },
		{ .mask = VXSM_BUCKET_ID, .bucket_id = 1 },
	};
	struct vcmd_sched_v5 old = settings(0), now;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		struct vcmd_sched_v5 set = nonsense[i];

		set.mask |= VXSM_PRIO_BIAS;
		set.prio_bias = old.prio_bias + 1;
		if (!expect(vserver(VCMD_set_sched, XID, &set) == -EINVAL))
			return 0;
		now = settings(0);
		if (!expect(!memcmp(&now, &old, sizeof(now))))
			return 0;
	}
	return 1;
}

/* What the caller's context used of all CPUs, in milliseconds, or -1. */
static int used_msec(void)
{
	struct vcmd_sched_info info;
	int cpu, used = 0;

	for (cpu = 0; ; cpu++) {
		memset(&info, 0, sizeof(info));
		info.cpu_id = cpu;
		if (vserver(VCMD_sched_info, VX_XID_SELF, &info))
			return cpu ? used : -1;
		if (info.cpu_id != cpu || info.bucket_id || info.hold_msec)
			return -1;
		used += info.user_msec + info.sys_msec;
	}
}

static int use_some(const void *arg)
{
	unsigned int calls;
	int used = 0;

	go(SETUP);
	for (calls = 0; calls < 10000000 && used >= 0 && used < 20; calls++)
		used = used_msec();
	return expect(used >= 20);
}

static int use_is_counted(void)
{
	struct vcmd_sched_info cpu = { .cpu_id = -1 }, bucket = { .bucket_id = 1 };

	return child(use_some, NULL) == 1 &&
	       expect(vserver(VCMD_sched_info, XID, &cpu) == -EINVAL) &&
	       expect(vserver(VCMD_sched_info, XID, &bucket) == -EINVAL);
}

/* Without the flag it is 0, with it what a full bucket and the bias make it. */
static int priorities_are_told(void)
{
	struct vcmd_ctx_flags_v0 flags = {
		.flagword = VXF_SCHED_PRIO,
		.mask = VXF_SCHED_PRIO,
	};
	struct vcmd_sched_v5 set = {
		.mask = VXSM_TOKENS | VXSM_PRIO_BIAS,
		.tokens = 0x7fffffff,
		.prio_bias = 2,
	};
	struct vcmd_sched_info info = {};

	if (!expect(!vserver(VCMD_set_sched, XID, &set)) ||
	    !expect(!vserver(VCMD_sched_info, XID, &info)) ||
	    !expect(info.vavavoom == 0) ||
	    !expect(!vserver(VCMD_set_cflags, XID, &flags)) ||
	    !expect(!vserver(VCMD_sched_info, XID, &info)))
		return 0;
	flags.flagword = 0;
	return expect(info.vavavoom == -5 + 2) &&
	       expect(!vserver(VCMD_set_cflags, XID, &flags));
}

static int fork_once(const void *arg)
{
	struct vcmd_virt_stat_v0 old = { .offset = 1 }, now = { .offset = 1 };
	int gone[2];
	pid_t pid;

	go(SETUP);
	if (!expect(!pipe(gone)) ||
	    !expect(!vserver(VCMD_virt_stat, VX_XID_SELF, &old)))
		return 0;
	pid = fork();
	if (!pid) {
		char byte;

		close(gone[1]);
		read(gone[0], &byte, 1);
		exit(0);
	}
	vserver(VCMD_virt_stat, VX_XID_SELF, &now);
	close(gone[1]);
	waitpid(pid, NULL, 0);
	return expect(!old.offset && !now.offset) &&
	       expect(old.uptime && now.uptime > old.uptime) &&
	       expect(now.uptime < 600000000000ull) &&
	       expect(old.nr_threads == 1 && now.nr_threads == 2) &&
	       expect(old.nr_forks == 0 && now.nr_forks == 1) &&
	       expect(now.nr_running >= 1 && now.nr_running <= 2) &&
	       expect(!now.nr_uninterruptible && !now.nr_onhold) &&
	       expect(now.load[0] <= 2 << 11);
}

static int inside_is_told(void)
{
	return child(fork_once, NULL) == 1;
}

const struct effect schedule_effects[] = {
	EFFECT(old_schedulers_stick),
	EFFECT(schedulers_stick),
	EFFECT(tokens_stick),
	EFFECT(unknown_bits_change_nothing),
	EFFECT(milliseconds_are_meant),
	EFFECT(nonsense_is_refused),
	EFFECT(use_is_counted),
	EFFECT(priorities_are_told),
	EFFECT(inside_is_told),
	{}
};
