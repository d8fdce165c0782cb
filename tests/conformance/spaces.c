// SPDX-License-Identifier: GPL-2.0
/* Spaces: what a context holds is what enters it. */

#include "effects.h"

/* What every kernel of ours can hold. */
#define DEFAULT		(CLONE_FS | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)

/* A directory that is everywhere. */
#define HELD_DIRECTORY	"/proc/sys/kernel"

static int masks_are_right(void)
{
	struct vcmd_space_mask_v1 can = { .mask = 1 }, def = { .mask = 1 };

	return expect(!vserver(VCMD_get_space_mask, 0, &can)) &&
	       expect((can.mask & DEFAULT) == DEFAULT) &&
	       expect(!vserver(VCMD_get_space_default, 0, &def)) &&
	       expect(def.mask == DEFAULT);
}

/* A call of set_space or enter_space about OWN; what it is to return. */
struct use {
	unsigned int cmd;
	struct vcmd_space_mask_v2 space;
	int ret;
	/* The host name of the caller, and what is got. */
	const char *name;
};

static int has_host_name(const char *name)
{
	struct utsname system;

	uname(&system);
	return expect(!strcmp(system.nodename, name));
}

static int hold(const void *arg)
{
	const struct use *use = arg;
	struct vcmd_space_mask_v2 space = use->space;
	size_t length = strlen(use->name);

	return expect(!unshare(CLONE_NEWUTS)) &&
	       expect(!syscall(__NR_sethostname, use->name, length)) &&
	       expect(vserver(use->cmd, OWN, &space) == use->ret);
}

/* It is not the context that is entered. */
static int come_in(const void *arg)
{
	const struct use *use = arg;
	struct vcmd_space_mask_v2 space = use->space;

	return expect(!unshare(CLONE_NEWUTS)) &&
	       expect(!syscall(__NR_sethostname, "none", 4)) &&
	       expect(vserver(use->cmd, OWN, &space) == use->ret) &&
	       has_host_name(use->ret ? "none" : use->name) &&
	       expect(task_xid(0) == 0);
}

/* Version 1 has no index. What is not held can't be entered, nor a part of it. */
static int spaces_are_held(void)
{
	static const struct use uses[] = {
		{ VCMD_enter_space, { 0, 0 }, -EINVAL, NULL },
		{ VCMD_set_space, { CLONE_NEWUTS, 0 }, 0, "zero" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 1 }, -EINVAL, NULL },
		{ VCMD_set_space, { CLONE_NEWUTS, 1 }, 0, "one" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 0 }, 0, "zero" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 1 }, 0, "one" },
		{ VCMD_enter_space, { 0, 1 }, 0, "one" },
		{ VCMD_enter_space_v1, { CLONE_NEWUTS, 1 }, 0, "zero" },
		{ VCMD_enter_space_v0, { CLONE_NEWIPC, 1 }, 0, "zero" },
		{ VCMD_enter_space, { CLONE_NEWIPC, 0 }, -EINVAL, NULL },
		{ VCMD_enter_space, { CLONE_NEWUTS | CLONE_NEWIPC, 0 },
		  -EINVAL, NULL },
		{ VCMD_enter_space, { CLONE_NEWUTS, 2 }, -EINVAL, NULL },
		{ VCMD_set_space, { CLONE_NEWUTS, 2 }, -EINVAL, "two" },
		{ VCMD_set_space, { 1ull << 63 | CLONE_NEWUTS, 0 }, -EINVAL,
		  "unknown" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 0 }, 0, "zero" },
		{ VCMD_set_space_v1, { CLONE_NEWUTS, 1 }, 0, "again" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 0 }, 0, "again" },
		{ VCMD_enter_space, { CLONE_NEWUTS, 1 }, 0, "one" },
		{ VCMD_set_space_v0, { 0, 1 }, 0, "default" },
		{ VCMD_enter_space, { DEFAULT, 0 }, 0, "default" },
	};
	pid_t own = start_guest(OWN, 0);
	int ok = expect(own > 0);
	unsigned int i;

	for (i = 0; ok && i < ARRAY_SIZE(uses); i++) {
		const struct use *use = &uses[i];
		int enters = (use->cmd >> 16 & 0xff) == 1;

		ok = child(enters ? come_in : hold, use) == 1;
		if (!ok)
			printf("# use %u\n", i);
	}
	stop(own);
	return ok;
}

static int hold_directory(const void *arg)
{
	struct vcmd_space_mask_v2 space = { CLONE_FS, 1 };

	return expect(!chdir(HELD_DIRECTORY)) &&
	       expect(!vserver(VCMD_set_space, OWN, &space));
}

static int enter_directory(const void *arg)
{
	struct vcmd_space_mask_v2 space = { CLONE_FS, 1 };
	char name[64] = {};

	return expect(!chdir("/")) &&
	       expect(!vserver(VCMD_enter_space, OWN, &space)) &&
	       expect(syscall(__NR_getcwd, name, sizeof(name)) > 0) &&
	       expect(!strcmp(name, HELD_DIRECTORY));
}

static int directories_are_held(void)
{
	pid_t own = start_guest(OWN, 0);
	int ok = expect(own > 0) && child(hold_directory, NULL) == 1 &&
		 child(enter_directory, NULL) == 1;

	stop(own);
	return ok;
}

/* Of what it made inside during setup the host gets what it holds. */
static int hold_inside(const void *arg)
{
	struct vcmd_space_mask_v2 space = { CLONE_NEWUTS, 0 };

	if (!expect(!unshare(CLONE_NEWUTS)))
		return 0;
	syscall(__NR_sethostname, "inside", 6);
	go(SETUP);
	return expect(!vserver(VCMD_set_space, VX_XID_SELF, &space));
}

static int spaces_are_held_inside(void)
{
	static const struct use use = {
		VCMD_enter_space, { CLONE_NEWUTS, 0 }, 0, "inside",
	};
	pid_t own = start(hold_inside, NULL);
	int ok = expect(own > 0) && child(come_in, &use) == 1;

	stop(own);
	return ok;
}

const struct effect space_effects[] = {
	EFFECT(masks_are_right),
	EFFECT(spaces_are_held),
	EFFECT(directories_are_held),
	EFFECT(spaces_are_held_inside),
	{}
};
