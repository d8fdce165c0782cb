// SPDX-License-Identifier: GPL-2.0
/* Looks at all effects, and at commands that there are not. */

#include "effects.h"

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

static const struct effect other_effects[] = {
	EFFECT(unknown_commands),
	{}
};

static const struct effect * const themes[] = {
	layout_effects, context_effects, life_effects, tag_effects,
	word_effects, name_effects, space_effects, limit_effects,
	disk_limit_effects, schedule_effects, file_effects, fault_effects,
	other_effects,
};

unsigned int count_effects(void)
{
	const struct effect *e;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(themes); i++)
		for (e = themes[i]; e->name; e++)
			n++;
	return n;
}

void check_effects(void)
{
	const struct effect *e;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(themes); i++)
		for (e = themes[i]; e->name; e++)
			report(e->check(), e->name, "effect");
}
