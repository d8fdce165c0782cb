/* SPDX-License-Identifier: GPL-2.0 */
/* What commands do, beyond what they return, by themes: a file each. */
#ifndef _EFFECTS_H
#define _EFFECTS_H

#include "conformance.h"

struct effect {
	const char *name;
	int (*check)(void);
};

#define EFFECT(function)	{ #function, function }

/* Each ends with an empty one. */
extern const struct effect layout_effects[];
extern const struct effect context_effects[];
extern const struct effect life_effects[];
extern const struct effect tag_effects[];
extern const struct effect word_effects[];
extern const struct effect name_effects[];
extern const struct effect space_effects[];
extern const struct effect limit_effects[];
extern const struct effect disk_limit_effects[];
extern const struct effect schedule_effects[];
extern const struct effect file_effects[];
extern const struct effect fault_effects[];

#endif /* _EFFECTS_H */
