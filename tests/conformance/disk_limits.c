// SPDX-License-Identifier: GPL-2.0
/* Disk limits, by both versions: what is set can be got. */

#include <linux/quota.h>
#include "effects.h"

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

/* One inode and a block, and nothing said of limits. */
static struct vcmd_ctx_quota_v0 used(unsigned int kind, unsigned int id)
{
	return (struct vcmd_ctx_quota_v0) {
		TAGGED, kind, id,
		4096, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP,
		1, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP,
	};
}

/* What it says goes to whoever is inside; see the suite dlimit. */
static int quotas_are_begun(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_quota_v0 user = used(0, 1000);
	struct vcmd_ctx_quota_v0 project = used(2, 1000);
	struct vcmd_ctx_quota_v0 all = used(1, ~0u);
	struct vcmd_ctx_quota_v0 limit_of_all = used(1, ~0u);

	limit_of_all.inodes_soft = 0;
	return expect(vserver(VCMD_add_quota, NOBODY, &base) == -ESRCH) &&
	       expect(!vserver(VCMD_add_dlimit, NOBODY, &base)) &&
	       expect(vserver(VCMD_set_quota, NOBODY, &user) == -ESRCH) &&
	       expect(vserver(VCMD_get_quota, NOBODY, &user) == -ESRCH) &&
	       expect(!vserver(VCMD_add_quota, NOBODY, &base)) &&
	       expect(vserver(VCMD_add_quota, NOBODY, &base) == -EEXIST) &&
	       expect(!vserver(VCMD_set_quota, NOBODY, &user)) &&
	       expect(vserver(VCMD_set_quota, NOBODY, &project) == -EINVAL) &&
	       expect(vserver(VCMD_get_quota, NOBODY, &project) == -EINVAL) &&
	       expect(!vserver(VCMD_set_quota, NOBODY, &all)) &&
	       expect(vserver(VCMD_set_quota, NOBODY, &limit_of_all) ==
		      -EINVAL) &&
	       expect(!vserver(VCMD_rem_quota, NOBODY, &base)) &&
	       expect(vserver(VCMD_rem_quota, NOBODY, &base) == -ESRCH) &&
	       expect(!vserver(VCMD_rem_dlimit, NOBODY, &base));
}

static int is_set(const struct vcmd_ctx_quota_v0 *is)
{
	return expect(is->space_used == 4096) &&
	       expect(is->space_soft == 0x200000000ull) &&
	       expect(is->space_hard == 0x300000000ull) &&
	       expect(is->space_until == 0) &&
	       expect(is->inodes_used == 7) && expect(is->inodes_soft == 5) &&
	       expect(is->inodes_hard == 6) && expect(is->inodes_until == 1);
}

/* One after the other, from the smallest on. */
static int quotas_stick(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_quota_v0 quota = {
		TAGGED, 1, 1000, 4096, 0x200000000ull, 0x300000000ull, 77,
		7, 5, 6, 1,
	};
	struct vcmd_ctx_quota_v0 other = used(1, 3000);
	struct vcmd_ctx_quota_v0 first = { .name = TAGGED, .kind = 1, .id = 0 };
	struct vcmd_ctx_quota_v0 next = { .name = TAGGED, .kind = 1, .id = 1001 };
	struct vcmd_ctx_quota_v0 last = { .name = TAGGED, .kind = 1, .id = 3001 };
	struct vcmd_ctx_quota_v0 users = { .name = TAGGED };

	return expect(!vserver(VCMD_add_dlimit, NOBODY, &base)) &&
	       expect(!vserver(VCMD_add_quota, NOBODY, &base)) &&
	       expect(!vserver(VCMD_set_quota, NOBODY, &quota)) &&
	       expect(!vserver(VCMD_set_quota, NOBODY, &other)) &&
	       expect(!vserver(VCMD_get_quota, NOBODY, &first)) &&
	       expect(first.id == 1000) && is_set(&first) &&
	       expect(!vserver(VCMD_get_quota, NOBODY, &next)) &&
	       expect(next.id == 3000) && expect(next.inodes_used == 1) &&
	       expect(next.space_hard == 0) &&
	       expect(vserver(VCMD_get_quota, NOBODY, &last) == -ENOENT) &&
	       expect(vserver(VCMD_get_quota, NOBODY, &users) == -ENOENT) &&
	       expect(!vserver(VCMD_rem_dlimit, NOBODY, &base));
}

static int quota_info_sticks(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_quota_info_v0 info = { .name = TAGGED, .kind = 1 };
	struct vcmd_ctx_quota_info_v0 all = {
		TAGGED, 1, CQUOTA_COUNTED, 77, CDLIM_KEEP,
	};
	struct vcmd_ctx_quota_info_v0 flags = {
		TAGGED, 1, CQUOTA_ENFORCED, CDLIM_KEEP, 78,
	};
	struct vcmd_ctx_quota_info_v0 bad = {
		TAGGED, 1, 4, CDLIM_KEEP, CDLIM_KEEP,
	};
	struct vcmd_ctx_quota_info_v0 project = { .name = TAGGED, .kind = 2 };

	return expect(!vserver(VCMD_add_dlimit, NOBODY, &base)) &&
	       expect(vserver(VCMD_get_quota_info, NOBODY, &info) == -ESRCH) &&
	       expect(vserver(VCMD_set_quota_info, NOBODY, &all) == -ESRCH) &&
	       expect(!vserver(VCMD_add_quota, NOBODY, &base)) &&
	       expect(!vserver(VCMD_get_quota_info, NOBODY, &info)) &&
	       expect(info.flags == 0) && expect(info.space_grace == 604800) &&
	       expect(!vserver(VCMD_set_quota_info, NOBODY, &all)) &&
	       expect(!vserver(VCMD_get_quota_info, NOBODY, &info)) &&
	       expect(info.flags == CQUOTA_COUNTED) &&
	       expect(info.space_grace == 77) &&
	       expect(info.inodes_grace == 604800) &&
	       expect(!vserver(VCMD_set_quota_info, NOBODY, &flags)) &&
	       expect(vserver(VCMD_set_quota_info, NOBODY, &bad) == -EINVAL) &&
	       expect(vserver(VCMD_get_quota_info, NOBODY, &project) ==
		      -EINVAL) &&
	       expect(!vserver(VCMD_get_quota_info, NOBODY, &info)) &&
	       expect(info.flags == CQUOTA_ENFORCED) &&
	       expect(info.space_grace == 77) &&
	       expect(info.inodes_grace == 78) &&
	       expect(!vserver(VCMD_rem_dlimit, NOBODY, &base));
}

static int in_quotactl(const void *arg)
{
	struct if_dqblk set = {
		.dqb_bhardlimit = 0x200000001ull,
		.dqb_isoftlimit = 5,
		.dqb_valid = QIF_LIMITS,
	};
	const int set_cmd = QCMD(Q_SETQUOTA, GRPQUOTA);
	const int get_cmd = QCMD(Q_GETQUOTA, GRPQUOTA);
	struct if_dqblk got = {};
	int fd;

	go(SETUP);
	fd = open(TAGGED, O_RDONLY);
	return expect(fd >= 0) &&
	       expect(!syscall(__NR_quotactl_fd, fd, set_cmd, 1000, &set)) &&
	       expect(!syscall(__NR_quotactl_fd, fd, get_cmd, 1000, &got)) &&
	       expect(got.dqb_bhardlimit == 0x200000001ull) &&
	       expect(got.dqb_isoftlimit == 5) && expect(got.dqb_ihardlimit == 0);
}

/* And what is set inside, by a program of either width, is what the host gets. */
static int quotactl_sticks(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_quota_v0 quota = { .name = TAGGED, .kind = 1 };

	return expect(!vserver(VCMD_add_dlimit, OWN, &base)) &&
	       expect(!vserver(VCMD_add_quota, OWN, &base)) &&
	       expect(child(in_quotactl, NULL) == 1) &&
	       expect(!vserver(VCMD_get_quota, OWN, &quota)) &&
	       expect(quota.id == 1000) &&
	       expect(quota.space_hard == 0x200000001ull << 10) &&
	       expect(quota.inodes_soft == 5) &&
	       expect(!vserver(VCMD_rem_dlimit, OWN, &base));
}

const struct effect disk_limit_effects[] = {
	EFFECT(disk_limits_stick),
	EFFECT(quotas_are_begun),
	EFFECT(quotas_stick),
	EFFECT(quota_info_sticks),
	EFFECT(quotactl_sticks),
	{}
};
