// SPDX-License-Identifier: GPL-2.0
/* Disk limits, by both versions: what is set can be got. */

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

/* What it says goes to whoever is inside; see the suite dlimit. */
static int quotas_are_begun(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	struct vcmd_ctx_quota_v0 user = { TAGGED, 4096, 1, 0, 1000 };
	struct vcmd_ctx_quota_v0 project = { TAGGED, 4096, 1, 2, 1000 };
	struct vcmd_ctx_quota_v0 all = { TAGGED, 0, 0, 1, ~0u };

	return vserver(VCMD_add_quota, NOBODY, &base) == -ESRCH &&
	       !vserver(VCMD_add_dlimit, NOBODY, &base) &&
	       vserver(VCMD_set_quota, NOBODY, &user) == -ESRCH &&
	       !vserver(VCMD_add_quota, NOBODY, &base) &&
	       vserver(VCMD_add_quota, NOBODY, &base) == -EEXIST &&
	       !vserver(VCMD_set_quota, NOBODY, &user) &&
	       vserver(VCMD_set_quota, NOBODY, &project) == -EINVAL &&
	       !vserver(VCMD_set_quota, NOBODY, &all) &&
	       !vserver(VCMD_rem_quota, NOBODY, &base) &&
	       vserver(VCMD_rem_quota, NOBODY, &base) == -ESRCH &&
	       !vserver(VCMD_rem_dlimit, NOBODY, &base);
}

const struct effect disk_limit_effects[] = {
	EFFECT(disk_limits_stick),
	EFFECT(quotas_are_begun),
	{}
};
