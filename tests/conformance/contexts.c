// SPDX-License-Identifier: GPL-2.0
/* Contexts: what this kernel can do, how one is made, entered and told of. */

#include "effects.h"

static int has_memory_cgroups(void)
{
	char controllers[256] = {};
	int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY);
	int n = read(fd, controllers, sizeof(controllers) - 1);

	close(fd);
	return n > 0 && strstr(controllers, "memory");
}

static int versions_are_right(void)
{
	unsigned int features = VCI_PROC_SECURE | VCI_HARDCPU | VCI_IDLETIME |
				VCI_COWBL | VCI_SPACES | VCI_TAG_INTERNAL |
				VCI_TAG_TASK;

	if (has_memory_cgroups())
		features |= VCI_MEMCG;
	return expect(vserver(VCMD_get_version, 63, NULL) == VCI_VERSION) &&
	       expect(vserver(VCMD_get_vci, 0, NULL) == (int)features);
}

/* One way to make a context, and the flags that it has then. */
struct creation {
	unsigned int cmd;
	unsigned int id;
	struct vcmd_ctx_create *data;
	__u64 flags;
};

static int create(const void *arg)
{
	const struct creation *c = arg;
	struct vcmd_ctx_flags_v0 flags = {};
	int xid = vserver(c->cmd, c->id, c->data);

	if (c->id == VX_XID_ANY) {
		if (!expect(xid >= (int)VX_XID_DYNAMIC_MIN) ||
		    !expect(xid <= (int)VX_XID_MAX))
			return 0;
	} else if (!expect(xid == (int)c->id)) {
		return 0;
	}
	return expect(task_xid(0) == xid) &&
	       expect(!vserver(VCMD_get_cflags, VX_XID_SELF, &flags)) &&
	       expect(flags.flagword == c->flags);
}

/* Bits that no header names yet are kept. */
static int creation_sets_flags(void)
{
	const __u64 none = VXF_STATE_SETUP | VXF_STATE_INIT | VXF_STATE_ADMIN;
	struct vcmd_ctx_create data = {
		.flagword = VXF_STATE_SETUP | VXF_PROLIFIC | 1ull << 63,
	};
	const struct creation creations[] = {
		{ VCMD_ctx_create_v0, OWN, NULL, none },
		{ VCMD_ctx_create_v0, OWN, &data, none },
		{ VCMD_ctx_create_v1, OWN, NULL, none },
		{ VCMD_ctx_create_v1, OWN, &data, data.flagword },
		{ VCMD_ctx_create, OWN, NULL, none },
		{ VCMD_ctx_create, OWN, &data, data.flagword },
		{ VCMD_ctx_create, VX_XID_MIN, &data, data.flagword },
		{ VCMD_ctx_create, VX_XID_STATIC_MAX, &data, data.flagword },
		{ VCMD_ctx_create_v0, VX_XID_ANY, NULL, none },
		{ VCMD_ctx_create, VX_XID_ANY, &data, data.flagword },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(creations); i++)
		if (child(create, &creations[i]) != 1)
			return 0;
	return 1;
}

/* Its capabilities are none of those that commands ask for. */
static int create_set_up(const void *arg)
{
	struct vcmd_ctx_create data = {};

	return expect(vserver(VCMD_ctx_create, OWN, &data) == OWN) &&
	       expect(task_xid(0) == -EPERM);
}

static int setup_can_be_left_out(void)
{
	return child(create_set_up, NULL) == 1;
}

static int creation_is_refused(void)
{
	static const unsigned int ids[] = {
		VX_XID_HOST, VX_XID_WATCH, VX_XID_DYNAMIC_MIN, VX_XID_MAX,
		VX_XID_MAX + 1, VX_XID_SELF,
	};
	pid_t in_setup = start_guest(OWN, 1);
	unsigned int i;
	int ok;

	ok = expect(in_setup > 0) &&
	     expect(vserver(VCMD_ctx_create, OWN, NULL) == -EBUSY);
	stop(in_setup);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ok &= expect(vserver(VCMD_ctx_create, ids[i], NULL) == -EINVAL);
	return ok && expect(vserver(VCMD_ctx_create, XID, NULL) == -EEXIST) &&
	       expect(task_xid(0) == VX_XID_HOST);
}

/* One way to enter the context OWN. */
struct migration {
	unsigned int cmd;
	struct vcmd_ctx_migrate *data;
};

static int migrate(const void *arg)
{
	const struct migration *m = arg;

	return expect(!vserver(m->cmd, OWN, m->data)) &&
	       expect(task_xid(0) == OWN) &&
	       expect(vserver(m->cmd, OWN, m->data) == -EPERM);
}

/* Of the flags it has two bits, and ignores the others. */
static int migration_moves(void)
{
	struct vcmd_ctx_migrate none = {}, unknown = { .flagword = ~3ull };
	const struct migration migrations[] = {
		{ VCMD_ctx_migrate_v0, NULL }, { VCMD_ctx_migrate_v1, NULL },
		{ VCMD_ctx_migrate_v1, &none }, { VCMD_ctx_migrate, NULL },
		{ VCMD_ctx_migrate, &none }, { VCMD_ctx_migrate, &unknown },
	};
	struct vcmd_vx_info_v0 info = { .initpid = 1 };
	pid_t own = start_guest(OWN, 0);
	unsigned int i;
	int ok = expect(own > 0);

	for (i = 0; ok && i < ARRAY_SIZE(migrations); i++)
		ok = child(migrate, &migrations[i]) == 1;
	ok = ok && expect(!vserver(VCMD_vx_info, OWN, &info)) &&
	     expect(info.xid == OWN) && expect(info.initpid == 0);
	stop(own);
	return ok && expect(vserver(VCMD_ctx_migrate, OWN, NULL) == -ESRCH);
}

static int private_is_left_alone(void)
{
	struct vcmd_ctx_flags_v0 flags = {
		.flagword = VXF_INFO_PRIVATE,
		.mask = VXF_INFO_PRIVATE,
	};
	int ok = expect(!vserver(VCMD_set_cflags, XID, &flags)) &&
		 expect(vserver(VCMD_ctx_migrate, XID, NULL) == -EACCES) &&
		 expect(vserver(VCMD_enter_space, XID, NULL) == -EACCES);

	flags.flagword = 0;
	return expect(!vserver(VCMD_set_cflags, XID, &flags)) && ok;
}

/* Who is where, as the host, a spectator and those inside are told. */
static int look(const void *arg)
{
	enum place place = *(const enum place *)arg;
	int inside = place == SETUP || place == INSIDE;
	pid_t host = getppid();

	go(place);
	return expect(task_xid(0) == (inside ? OWN : place == WATCH)) &&
	       expect(task_xid(getpid()) == task_xid(0)) &&
	       expect(task_xid(guest) == (inside ? -ESRCH : XID)) &&
	       expect(task_xid(host) == (inside ? -ESRCH : 0)) &&
	       expect(task_xid(-5) == -ESRCH);
}

static int places_are_told(void)
{
	static const enum place places[] = { HOST, WATCH, SETUP, INSIDE };
	unsigned int i;
	pid_t gone;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (child(look, &places[i]) != 1)
			return 0;
	gone = fork();
	if (!gone)
		exit(0);
	waitpid(gone, NULL, 0);
	return expect(task_xid(gone) == -ESRCH);
}

static int info_is_right(void)
{
	struct vcmd_vx_info_v0 info = {};
	struct vcmd_ctx_stat_v0 stat = {};

	return !vserver(VCMD_vx_info, XID, &info) && info.xid == XID &&
	       !vserver(VCMD_ctx_stat, XID, &stat) && stat.tasks == 1 &&
	       stat.usecnt >= 1;
}

const struct effect context_effects[] = {
	EFFECT(versions_are_right),
	EFFECT(creation_sets_flags),
	EFFECT(setup_can_be_left_out),
	EFFECT(creation_is_refused),
	EFFECT(migration_moves),
	EFFECT(private_is_left_alone),
	EFFECT(places_are_told),
	EFFECT(info_is_right),
	{}
};
