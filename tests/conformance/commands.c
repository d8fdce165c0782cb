// SPDX-License-Identifier: GPL-2.0
/*
 * Every command from each place, with its whole structure, a part of it and none,
 * and about a context that is not there.
 */

#include "conformance.h"

#define PAGE		4096

static const char * const place_names[PLACES] = {
	"host", "setup", "inside", "user",
};

struct command {
	const char *name;
	unsigned int cmd;
	unsigned int size;
	/* Fills the structure in; zeroes do if there is no such function. */
	void (*fill)(void *data);
	/* What the id is if it is no context. */
	int (*id)(void);
	/* The call also works without data. */
	int optional;
	/* The error expected in each place. */
	int error[PLACES];
};

/* A structure of @size bytes that ends with its page; what is behind faults. */
static void *at_page_end(unsigned int size)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || munmap(pages + PAGE, PAGE))
		exit(200);
	return pages + PAGE - size;
}

static void fill_flags(void *data)
{
	struct vcmd_ctx_flags_v0 *flags = data;

	flags->mask = VXF_PROLIFIC;
}

static void fill_kill(void *data)
{
	struct vcmd_ctx_kill_v0 *kill = data;

	kill->pid = 0;
	kill->sig = 0;
}

static void fill_create(void *data)
{
	struct vcmd_ctx_create *create = data;

	create->flagword = VXF_STATE_SETUP;
}

static void fill_name(void *data)
{
	struct vcmd_vhi_name_v0 *name = data;

	name->field = VHIN_CONTEXT;
	memcpy(name->name, "web", 4);
}

static void fill_iattr(void *data)
{
	struct vcmd_ctx_iattr_v1 *attr = data;

	attr->name = "/tmp";
}

static void fill_dlimit_base(void *data)
{
	struct vcmd_ctx_dlimit_base_v0 *base = data;

	base->name = TAGGED;
}

static void fill_dlimit_v0(void *data)
{
	struct vcmd_ctx_dlimit_v0 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v0) {
		TAGGED, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP, CDLIM_KEEP,
		CDLIM_KEEP, 0,
	};
}

static void fill_dlimit(void *data)
{
	struct vcmd_ctx_dlimit_v1 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v1) {
		TAGGED, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP, CDLIM64_KEEP,
		CDLIM_KEEP, 0,
	};
}

static void fill_rlimit(void *data)
{
	struct vcmd_ctx_rlimit_v0 *limit = data;

	limit->id = VLIMIT_NSOCK;
	limit->minimum = CRLIM_KEEP;
	limit->softlimit = CRLIM_KEEP;
	limit->maximum = CRLIM_KEEP;
}

static void fill_rlimit_stat(void *data)
{
	struct vcmd_rlimit_stat_v0 *stat = data;

	stat->id = VLIMIT_NSOCK;
}

static void fill_space(void *data)
{
	struct vcmd_space_mask_v2 *space = data;

	space->mask = CLONE_NEWUTS;
}

static void fill_space_v1(void *data)
{
	struct vcmd_space_mask_v1 *space = data;

	space->mask = CLONE_NEWUTS;
}

/* For commands whose id is a descriptor. */
static int fd_id(void)
{
	return open("/tmp", O_RDONLY);
}

/* What the id is too: the command tells that they are one file. */
static void fill_unify(void *data)
{
	struct vcmd_unify_v0 *unify = data;

	unify->fd = fd_id();
}

static int any_id(void)
{
	return VX_XID_ANY;
}

static int self_id(void)
{
	return 0;
}

#define NO_DATA(n, ...) { .name = #n, .cmd = VCMD_##n, __VA_ARGS__ }
#define DATA(n, type, ...) \
	{ .name = #n, .cmd = VCMD_##n, .size = sizeof(struct type), __VA_ARGS__ }

/* Who may: everybody; root anywhere; who changes; the host alone. */
#define FREE		.error = { 0, 0, 0, 0 }
#define ASKS		.error = { 0, 0, 0, EPERM }
#define CHANGES		.error = { 0, 0, EPERM, EPERM }
#define HOST_ONLY	.error = { 0, EPERM, EPERM, EPERM }

static const struct command commands[] = {
	NO_DATA(get_version, FREE),
	NO_DATA(get_vci, FREE),
	NO_DATA(task_xid, .id = self_id, ASKS),
	NO_DATA(task_tag, .id = self_id, ASKS),
	DATA(get_pflags, vcmd_pflags_v0, .id = self_id, ASKS),
	DATA(set_pflags, vcmd_pflags_v0, .id = self_id, CHANGES),
	NO_DATA(ctx_create_v0, .id = any_id, HOST_ONLY),
	DATA(ctx_create_v1, vcmd_ctx_create, .id = any_id, .fill = fill_create,
	     .optional = 1, HOST_ONLY),
	DATA(ctx_create, vcmd_ctx_create, .id = any_id, .fill = fill_create,
	     .optional = 1, HOST_ONLY),
	NO_DATA(ctx_migrate_v0, HOST_ONLY),
	DATA(ctx_migrate_v1, vcmd_ctx_migrate, .optional = 1, HOST_ONLY),
	DATA(ctx_migrate, vcmd_ctx_migrate, .optional = 1, HOST_ONLY),
	DATA(vx_info, vcmd_vx_info_v0, ASKS),
	DATA(ctx_stat, vcmd_ctx_stat_v0, ASKS),
	DATA(get_cflags, vcmd_ctx_flags_v0, ASKS),
	DATA(set_cflags, vcmd_ctx_flags_v0, .fill = fill_flags, CHANGES),
	DATA(get_ccaps_v0, vcmd_ctx_caps_v0, ASKS),
	DATA(set_ccaps_v0, vcmd_ctx_caps_v0, CHANGES),
	DATA(get_ccaps, vcmd_ctx_caps_v1, ASKS),
	DATA(set_ccaps, vcmd_ctx_caps_v1, CHANGES),
	DATA(get_bcaps, vcmd_bcaps, ASKS),
	DATA(set_bcaps, vcmd_bcaps, CHANGES),
	DATA(get_umask, vcmd_umask, ASKS),
	DATA(set_umask, vcmd_umask, CHANGES),
	DATA(ctx_kill, vcmd_ctx_kill_v0, .fill = fill_kill, CHANGES),
	DATA(get_sched, vcmd_sched_v5, ASKS),
	DATA(set_sched_v3, vcmd_sched_v3, CHANGES),
	DATA(set_sched_v4, vcmd_sched_v4, CHANGES),
	DATA(set_sched, vcmd_sched_v5, CHANGES),
	DATA(set_prio_bias, vcmd_prio_bias, CHANGES),
	DATA(get_prio_bias, vcmd_prio_bias, ASKS),
	DATA(sched_info, vcmd_sched_info, ASKS),
	DATA(get_vhi_name, vcmd_vhi_name_v0, .fill = fill_name, ASKS),
	DATA(set_vhi_name, vcmd_vhi_name_v0, .fill = fill_name, CHANGES),
	DATA(get_rlimit, vcmd_ctx_rlimit_v0, .fill = fill_rlimit, ASKS),
	DATA(set_rlimit, vcmd_ctx_rlimit_v0, .fill = fill_rlimit, CHANGES),
	DATA(get_rlimit_mask, vcmd_ctx_rlimit_mask_v0, FREE),
	DATA(rlimit_stat, vcmd_rlimit_stat_v0, .fill = fill_rlimit_stat, ASKS),
	NO_DATA(reset_hits, CHANGES),
	NO_DATA(reset_minmax, CHANGES),
	DATA(sock_stat, vcmd_sock_stat_v0, ASKS),
	DATA(get_badness, vcmd_badness_v0, ASKS),
	DATA(set_badness, vcmd_badness_v0, CHANGES),
	NO_DATA(set_space_v0, CHANGES),
	DATA(set_space_v1, vcmd_space_mask_v1, .fill = fill_space_v1,
	     .optional = 1, CHANGES),
	DATA(set_space, vcmd_space_mask_v2, .fill = fill_space, .optional = 1,
	     CHANGES),
	/* XID holds some by now, OWN none. */
	NO_DATA(enter_space_v0, .error = { 0, EINVAL, EINVAL, EPERM }),
	DATA(enter_space_v1, vcmd_space_mask_v1, .fill = fill_space_v1,
	     .optional = 1, .error = { 0, EINVAL, EINVAL, EPERM }),
	DATA(enter_space, vcmd_space_mask_v2, .fill = fill_space,
	     .optional = 1, .error = { 0, EINVAL, EINVAL, EPERM }),
	DATA(get_space_mask, vcmd_space_mask_v1, FREE),
	DATA(get_space_default, vcmd_space_mask_v1, .id = self_id, ASKS),
	DATA(virt_stat, vcmd_virt_stat_v0, ASKS),
	DATA(get_iattr, vcmd_ctx_iattr_v1, .fill = fill_iattr, ASKS),
	DATA(set_iattr, vcmd_ctx_iattr_v1, .fill = fill_iattr, HOST_ONLY),
	DATA(fget_iattr, vcmd_ctx_fiattr_v0, .id = fd_id, ASKS),
	DATA(fset_iattr, vcmd_ctx_fiattr_v0, .id = fd_id, HOST_ONLY),
	/* The first ones make what the others are about. */
	DATA(add_dlimit, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     CHANGES),
	DATA(set_dlimit_v0, vcmd_ctx_dlimit_v0, .fill = fill_dlimit_v0, CHANGES),
	DATA(set_dlimit, vcmd_ctx_dlimit_v1, .fill = fill_dlimit, CHANGES),
	DATA(get_dlimit_v0, vcmd_ctx_dlimit_v0, .fill = fill_dlimit_v0, ASKS),
	DATA(get_dlimit, vcmd_ctx_dlimit_v1, .fill = fill_dlimit, ASKS),
	DATA(rem_dlimit, vcmd_ctx_dlimit_base_v0, .fill = fill_dlimit_base,
	     CHANGES),
	DATA(unify, vcmd_unify_v0, .id = fd_id, .fill = fill_unify,
	     .error = { EINVAL, EPERM, EPERM, EPERM }),
	NO_DATA(deunify, .id = fd_id, HOST_ONLY),
};

/* One call: a command from a place, with so many bytes of data, or none. */
struct attempt {
	const struct command *command;
	enum place place;
	unsigned int id;	/* NOBODY, or 0: as the place says */
	unsigned int bytes;
	int null;
};

static int make_call(const void *arg)
{
	const struct attempt *a = arg;
	const struct command *c = a->command;
	unsigned int id = a->place == SETUP || a->place == INSIDE ? OWN : XID;
	char filled[256] = {};
	char *data = NULL;
	int ret;

	if (c->id)
		id = c->id();
	if (a->id)
		id = a->id;
	if (c->fill)
		c->fill(filled);
	if (!a->null && c->size) {
		data = at_page_end(a->bytes);
		memcpy(data, filled, a->bytes);
	}
	go(a->place);
	ret = vserver(c->cmd, id, data);
	return ret < 0 ? -ret : 0;
}

static int attempt(struct attempt a, int expected)
{
	int got = child(make_call, &a);

	if (got == expected)
		return 1;
	printf("# %s (%s): %d instead of %d with %u of %u bytes%s%s\n",
	       a.command->name, place_names[a.place], got, expected,
	       a.bytes, a.command->size, a.null ? ", null" : "",
	       a.id ? ", no such context" : "");
	return 0;
}

/*
 * What comes of a context that is not there. That is found out after whether
 * the caller may at all, but before whether that context may be changed.
 */
static int error_for_nobody(const struct command *c, enum place place)
{
	if (c->error[place] == EPERM &&
	    (place != INSIDE || c->error[SETUP] == EPERM))
		return EPERM;
	return ESRCH;
}

static int is_about_a_context(const struct command *c)
{
	return !c->id && c->fill != fill_iattr && c->cmd != VCMD_get_version &&
	       c->cmd != VCMD_get_vci && c->cmd != VCMD_get_rlimit_mask &&
	       c->cmd != VCMD_get_space_mask && c->cmd != VCMD_add_dlimit;
}

static void check(const struct command *c, enum place place)
{
	struct attempt a = { .command = c, .place = place, .bytes = c->size };
	int error = c->error[place];
	int ok = attempt(a, error);

	if (c->size && !error) {
		a.bytes = c->size - 1;
		/* Padding at the end need not be there. */
		if (c->fill == fill_iattr || c->fill == fill_name ||
		    c->fill == fill_space)
			a.bytes = c->size / 2;
		/* Nor flags that nobody asks for. */
		if (c->fill == fill_dlimit_base)
			a.bytes = sizeof(char *) - 1;
		ok &= attempt(a, EFAULT);
		a.null = 1;
		ok &= attempt(a, c->optional ? 0 : EFAULT);
		a.null = 0;
		a.bytes = c->size;
	}
	if (is_about_a_context(c)) {
		a.id = NOBODY;
		ok &= attempt(a, error_for_nobody(c, place));
	}
	report(ok, c->name, place_names[place]);
}

unsigned int count_commands(void)
{
	return ARRAY_SIZE(commands) * PLACES;
}

void check_commands(void)
{
	unsigned int i, place;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		for (place = 0; place < PLACES; place++)
			check(&commands[i], place);
}
