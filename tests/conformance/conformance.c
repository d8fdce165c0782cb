// SPDX-License-Identifier: GPL-2.0
/*
 * Conformance: every command of vserver(2) as a C program calls it that knows
 * nothing but the header.
 *
 * Built for 64 and for 32 bits, without a C library: with the kernel's nolibc.
 * Prints TAP. Each call is made by a process of its own in each of four places,
 * with its structure at the very end of a page: what the kernel reads or writes
 * beyond it is EFAULT.
 */

#include <linux/vserver.h>

#ifndef __NR_vserver
#ifdef __i386__
#define __NR_vserver	273
#else
#define __NR_vserver	236
#endif
#endif

#define PAGE		4096
#define XID		900		/* a guest, as others see it */
#define OWN		901		/* the one that the caller is in */
#define NOBODY		902		/* no context */
#define TAGGED		"/mnt/tagged"	/* a file system that keeps tags */

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* From where a call is made, and about what. */
enum place {
	HOST,		/* the host's root, about XID */
	SETUP,		/* inside, while the context is being set up */
	INSIDE,		/* inside, afterwards, as root with all capabilities */
	PLAIN,		/* a user on the host, about XID */
	PLACES
};

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

static int vserver(unsigned int cmd, unsigned int id, void *data)
{
	int ret = syscall(__NR_vserver, cmd, id, data);

	return ret < 0 ? -errno : ret;
}

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

static unsigned int tests;
static unsigned int failures;

static void report(int ok, const char *name, const char *what)
{
	printf("%sok %u - %s (%s)\n", ok ? "" : "not ", ++tests, name, what);
	failures += !ok;
}

/* Makes a new context with every capability and moves in. */
static void enter_own(int setup)
{
	struct vcmd_ctx_create create = { .flagword = VXF_STATE_SETUP };
	struct vcmd_bcaps caps = { .bcaps = ~0ull, .bmask = ~0ull };
	struct vcmd_ctx_flags_v0 flags = { .mask = VXF_STATE_SETUP };

	if (vserver(VCMD_ctx_create, OWN, &create) != OWN ||
	    vserver(VCMD_set_bcaps, OWN, &caps) ||
	    (!setup && vserver(VCMD_set_cflags, OWN, &flags)))
		exit(201);
}

static void go(enum place place)
{
	switch (place) {
	case SETUP:
	case INSIDE:
		enter_own(place == SETUP);
		break;
	case PLAIN:
		if (syscall(__NR_setresuid, 1000, 1000, 1000))
			exit(202);
		break;
	default:
		break;
	}
}

/* Runs @body in a process of its own; what it exits with, or -1. */
static int child(int (*body)(const void *), const void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		exit(body(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

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

/* What is set can be got, and what the mask leaves out stays. */

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

static int names_stick(void)
{
	struct vcmd_vhi_name_v0 name = { .field = VHIN_CONTEXT };

	memset(name.name, 'x', sizeof(name.name));
	if (vserver(VCMD_set_vhi_name, XID, &name))
		return 0;
	memset(name.name, 0, sizeof(name.name));
	if (vserver(VCMD_get_vhi_name, XID, &name))
		return 0;
	return strlen(name.name) == 64 && name.name[63] == 'x';
}

static int limits_stick(void)
{
	struct vcmd_ctx_rlimit_v0 limit = {
		.id = VLIMIT_NSOCK,
		.minimum = CRLIM_KEEP,
		.softlimit = 17,
		.maximum = 0x100000002ull,
	};

	if (vserver(VCMD_set_rlimit, XID, &limit))
		return 0;
	limit.softlimit = 0;
	limit.maximum = 0;
	if (vserver(VCMD_get_rlimit, XID, &limit) || limit.softlimit != 17 ||
	    limit.maximum != 0x100000002ull)
		return 0;
	limit.softlimit = CRLIM_INFINITY;
	limit.maximum = CRLIM_INFINITY;
	if (vserver(VCMD_set_rlimit, XID, &limit))
		return 0;
	limit.id = 77;
	return vserver(VCMD_get_rlimit, XID, &limit) == -EINVAL &&
	       vserver(VCMD_set_rlimit, XID, &limit) == -EINVAL;
}

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

static int info_is_right(void)
{
	struct vcmd_vx_info_v0 info = {};
	struct vcmd_ctx_stat_v0 stat = {};

	return !vserver(VCMD_vx_info, XID, &info) && info.xid == XID &&
	       !vserver(VCMD_ctx_stat, XID, &stat) && stat.tasks == 1 &&
	       stat.usecnt >= 1;
}

/* It blocks where it works. */
static int wait_from(const void *place)
{
	struct vcmd_wait_exit_v0 wait = {};

	go(*(const enum place *)place);
	return -vserver(VCMD_wait_exit, VX_XID_SELF, &wait);
}

static int waiting_is_refused(void)
{
	static const int errors[PLACES] = { ESRCH, EDEADLK, EDEADLK, EPERM };
	enum place place;

	for (place = HOST; place < PLACES; place++)
		if (child(wait_from, &place) != errors[place])
			return 0;
	return 1;
}

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

/* A sleeping process in the context XID, set up and with every capability. */
static pid_t start_guest(void)
{
	struct vcmd_ctx_create create = { .flagword = VXF_STATE_SETUP };
	struct vcmd_ctx_flags_v0 flags = { .mask = VXF_STATE_SETUP };
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		if (vserver(VCMD_ctx_create, XID, &create) == XID &&
		    !vserver(VCMD_set_cflags, XID, &flags))
			write(ready[1], "", 1);
		close(ready[1]);
		for (;;)
			sleep(1000);
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

int main(void)
{
	static const struct {
		const char *name;
		int (*check)(void);
	} effects[] = {
		{ "flags_stick", flags_stick },
		{ "words_stick", words_stick },
		{ "names_stick", names_stick },
		{ "limits_stick", limits_stick },
		{ "disk_limits_stick", disk_limits_stick },
		{ "old_schedulers_stick", old_schedulers_stick },
		{ "info_is_right", info_is_right },
		{ "waiting_is_refused", waiting_is_refused },
		{ "unknown_commands", unknown_commands },
	};
	pid_t guest = start_guest();
	unsigned int i, place;

	if (guest < 0) {
		printf("Bail out! no context can be made\n");
		return 1;
	}
	mkdir(TAGGED, 0755);
	if (mount("none", TAGGED, "tmpfs", 0, "tag")) {
		printf("Bail out! no file system keeps tags\n");
		return 1;
	}
	printf("1..%u\n", (unsigned int)(ARRAY_SIZE(commands) * PLACES +
					 ARRAY_SIZE(effects)));
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		for (place = 0; place < PLACES; place++)
			check(&commands[i], place);
	for (i = 0; i < ARRAY_SIZE(effects); i++)
		report(effects[i].check(), effects[i].name, "effect");
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);
	umount2(TAGGED, 0);
	return failures != 0;
}
