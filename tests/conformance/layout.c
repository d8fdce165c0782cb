// SPDX-License-Identifier: GPL-2.0
/*
 * What the structures look like to a 64- and to a 32-bit program: it does not
 * change, whatever becomes of the header.
 */

#include "effects.h"

#define SIZE(type, narrow, wide) \
	{ #type, sizeof(struct type), { narrow, wide } }
#define PLACE(type, member, narrow, wide) \
	{ #member " of " #type, offsetof(struct type, member), { narrow, wide } }

/* On the i386 eight bytes may begin at any fourth. */
static const struct {
	const char *what;
	unsigned int is;
	unsigned int expected[2];	/* of 32 bits, of 64 bits */
} layout[] = {
	SIZE(vcmd_vx_info_v0, 8, 8),
	SIZE(vcmd_ctx_stat_v0, 8, 8),
	SIZE(vcmd_ctx_create, 8, 8),
	SIZE(vcmd_ctx_migrate, 8, 8),
	SIZE(vcmd_ctx_flags_v0, 16, 16),
	SIZE(vcmd_ctx_caps_v0, 24, 24),
	SIZE(vcmd_ctx_caps_v1, 16, 16),
	SIZE(vcmd_bcaps, 16, 16),
	SIZE(vcmd_umask, 16, 16),
	SIZE(vcmd_space_mask_v1, 8, 8),
	SIZE(vcmd_space_mask_v2, 12, 16),
	SIZE(vcmd_ctx_kill_v0, 8, 8),
	SIZE(vcmd_wait_exit_v0, 8, 8),
	SIZE(vcmd_ctx_rlimit_mask_v0, 12, 12),
	SIZE(vcmd_badness_v0, 8, 8),
	SIZE(vcmd_pflags_v0, 8, 8),
	SIZE(vcmd_prio_bias, 8, 8),
	SIZE(vcmd_ctx_fiattr_v0, 12, 12),
	SIZE(vcmd_unify_v0, 4, 4),
	SIZE(vcmd_ctx_rlimit_v0, 28, 32),
	PLACE(vcmd_ctx_rlimit_v0, minimum, 4, 8),
	PLACE(vcmd_ctx_rlimit_v0, maximum, 20, 24),
	SIZE(vcmd_rlimit_stat_v0, 32, 32),
	PLACE(vcmd_rlimit_stat_v0, value, 8, 8),
	SIZE(vcmd_virt_stat_v0, 48, 48),
	PLACE(vcmd_virt_stat_v0, load, 36, 36),
	SIZE(vcmd_sock_stat_v0, 40, 40),
	PLACE(vcmd_sock_stat_v0, total, 16, 16),
	SIZE(vcmd_sched_v3, 28, 28),
	SIZE(vcmd_sched_v4, 36, 36),
	PLACE(vcmd_sched_v4, cpu_id, 28, 28),
	SIZE(vcmd_sched_v5, 44, 44),
	PLACE(vcmd_sched_v5, tokens, 28, 28),
	SIZE(vcmd_sched_info, 40, 40),
	PLACE(vcmd_sched_info, token_usec, 32, 32),
	SIZE(vcmd_ctx_iattr_v1, 16, 24),
	PLACE(vcmd_ctx_iattr_v1, xid, 4, 8),
	SIZE(vcmd_ctx_dlimit_base_v0, 8, 16),
	SIZE(vcmd_ctx_dlimit_v0, 28, 32),
	PLACE(vcmd_ctx_dlimit_v0, space_used, 4, 8),
	SIZE(vcmd_ctx_dlimit_v1, 44, 48),
	PLACE(vcmd_ctx_dlimit_v1, reserved, 36, 40),
	SIZE(vcmd_ctx_quota_v0, 76, 80),
	PLACE(vcmd_ctx_quota_v0, space_used, 12, 16),
	SIZE(vcmd_ctx_quota_info_v0, 20, 24),
	PLACE(vcmd_ctx_quota_info_v0, inodes_grace, 16, 20),
	SIZE(vcmd_vhi_name_v0, 72, 72),
	PLACE(vcmd_vhi_name_v0, name, 4, 4),
};

static int structures_are_laid_out(void)
{
	unsigned int i, bits = sizeof(long) == 8;
	int ok = 1;

	for (i = 0; i < ARRAY_SIZE(layout); i++) {
		if (layout[i].is == layout[i].expected[bits])
			continue;
		printf("# %s: %u\n", layout[i].what, layout[i].is);
		ok = 0;
	}
	return ok;
}

const struct effect layout_effects[] = {
	EFFECT(structures_are_laid_out),
	{}
};
