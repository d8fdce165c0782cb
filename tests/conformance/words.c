// SPDX-License-Identifier: GPL-2.0
/*
 * Flags and capabilities: what is set can be got, and what the mask leaves out
 * stays.
 */

#include "effects.h"

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

/* They can be cleared, and not set again. */
static int state_flags_are_one_time(void)
{
	struct vcmd_ctx_flags_v0 flags = {
		.flagword = VXF_ONE_TIME,
		.mask = VXF_ONE_TIME,
	};

	return expect(!vserver(VCMD_set_cflags, XID, &flags)) &&
	       expect(!vserver(VCMD_get_cflags, XID, &flags)) &&
	       expect(!(flags.flagword & VXF_ONE_TIME)) &&
	       expect(flags.mask == ~VXF_ONE_TIME);
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

/* One mask for both words, which versions of later have one by one. */
static int old_caps_stick(void)
{
	struct vcmd_ctx_caps_v0 caps = {
		.bcaps = 0xf0,
		.ccaps = 1ull << 62 | 0x0f,
		.cmask = ~0ull,
	};
	struct vcmd_ctx_caps_v1 ccaps = {};
	struct vcmd_bcaps bcaps = {};

	if (!expect(!vserver(VCMD_set_ccaps_v0, XID, &caps)))
		return 0;
	caps.bcaps = ~0ull;
	caps.ccaps = ~0ull;
	caps.cmask = 1ull << 61 | 0x101;
	if (!expect(!vserver(VCMD_set_ccaps_v0, XID, &caps)))
		return 0;
	memset(&caps, 0, sizeof(caps));
	return expect(!vserver(VCMD_get_ccaps_v0, XID, &caps)) &&
	       expect(caps.bcaps == (1ull << 61 | 0x1f1)) &&
	       expect(caps.ccaps == (3ull << 61 | 0x10f)) &&
	       expect(caps.cmask == ~0ull) &&
	       expect(!vserver(VCMD_get_ccaps, XID, &ccaps)) &&
	       expect(ccaps.ccaps == caps.ccaps) &&
	       expect(!vserver(VCMD_get_bcaps, XID, &bcaps)) &&
	       expect(bcaps.bcaps == caps.bcaps);
}

/* No flag of a process has a meaning yet. */
static int process_flags_are_ignored(void)
{
	struct vcmd_pflags_v0 flags = { .flagword = ~0u, .mask = ~0u };

	return expect(!vserver(VCMD_set_pflags, guest, &flags)) &&
	       expect(!vserver(VCMD_get_pflags, guest, &flags)) &&
	       expect(!flags.flagword && !flags.mask) &&
	       expect(vserver(VCMD_set_pflags, ~0u, &flags) == -ESRCH) &&
	       expect(vserver(VCMD_get_pflags, ~0u, &flags) == -ESRCH);
}

const struct effect word_effects[] = {
	EFFECT(flags_stick),
	EFFECT(state_flags_are_one_time),
	EFFECT(words_stick),
	EFFECT(old_caps_stick),
	EFFECT(process_flags_are_ignored),
	{}
};
