// SPDX-License-Identifier: GPL-2.0
/*
 * EFAULT: nothing has changed. Each call lacks the last byte that it needs of its
 * structure; the whole one would have done something.
 */

#include "effects.h"

#define FILE_A		TAGGED "/fault"

/* A command that sets something of OWN, or of FILE_A, and the one that gets it. */
struct setting {
	const char *name;
	unsigned int set;
	unsigned int get;
	/* How much set needs, */
	unsigned int needs;
	/* and what fills it in. If both have one structure get is given it, too. */
	void (*fill)(void *data);
	int is_same;
};

static void fill_words(void *data)
{
	memset(data, 0xff, sizeof(struct vcmd_ctx_caps_v0));
}

/* Not all of them: one pauses the context. */
static void fill_flags(void *data)
{
	struct vcmd_ctx_flags_v0 *flags = data;

	flags->flagword = VXF_PROLIFIC;
	flags->mask = VXF_PROLIFIC;
}

static void clear_words(void *data)
{
	struct vcmd_bcaps *words = data;

	words->bmask = ~0ull;
}

static void fill_badness(void *data)
{
	struct vcmd_badness_v0 *badness = data;

	badness->bias = 100;
}

static void fill_name(void *data)
{
	struct vcmd_vhi_name_v0 *name = data;

	name->field = VHIN_NODENAME;
	memcpy(name->name, "fault", 6);
}

static void fill_rlimit(void *data)
{
	struct vcmd_ctx_rlimit_v0 *limit = data;

	*limit = (struct vcmd_ctx_rlimit_v0) { VLIMIT_NSEMS, 0, 10, 11 };
}

static void fill_dlimit(void *data)
{
	struct vcmd_ctx_dlimit_v1 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v1) { TAGGED, 0, 20, 0, 21, 22, 0 };
}

static void fill_dlimit_v0(void *data)
{
	struct vcmd_ctx_dlimit_v0 *limit = data;

	*limit = (struct vcmd_ctx_dlimit_v0) { TAGGED, 0, 30, 0, 31, 32, 0 };
}

static void fill_sched_v3(void *data)
{
	struct vcmd_sched_v3 *sched = data;

	sched->mask = VXSM_INTERVAL;
	sched->interval = 33;
}

static void fill_sched_v4(void *data)
{
	struct vcmd_sched_v4 *sched = data;

	sched->mask = VXSM_INTERVAL;
	sched->interval = 44;
}

static void fill_sched(void *data)
{
	struct vcmd_sched_v5 *sched = data;

	sched->mask = VXSM_INTERVAL;
	sched->interval[0] = 55;
}

static void fill_bias(void *data)
{
	struct vcmd_prio_bias *bias = data;

	bias->prio_bias = 6;
}

static void fill_iattr(void *data)
{
	struct vcmd_ctx_iattr_v1 *attr = data;

	*attr = (struct vcmd_ctx_iattr_v1) { FILE_A, XID, 0, IATTR_TAG };
}

static void fill_fiattr(void *data)
{
	struct vcmd_ctx_fiattr_v0 *attr = data;

	*attr = (struct vcmd_ctx_fiattr_v0) { OWN, 0, IATTR_TAG };
}

#define BOTH(n, size, f)	{ #n, VCMD_set_##n, VCMD_get_##n, size, f, 1 }

static const struct setting settings[] = {
	BOTH(cflags, sizeof(struct vcmd_ctx_flags_v0), fill_flags),
	BOTH(ccaps_v0, sizeof(struct vcmd_ctx_caps_v0), fill_words),
	BOTH(ccaps, sizeof(struct vcmd_ctx_caps_v1), clear_words),
	BOTH(bcaps, sizeof(struct vcmd_bcaps), clear_words),
	BOTH(umask, sizeof(struct vcmd_umask), fill_words),
	BOTH(badness, sizeof(struct vcmd_badness_v0), fill_badness),
	BOTH(vhi_name, NAME_NEEDS, fill_name),
	BOTH(rlimit, sizeof(struct vcmd_ctx_rlimit_v0), fill_rlimit),
	BOTH(dlimit_v0, sizeof(struct vcmd_ctx_dlimit_v0), fill_dlimit_v0),
	BOTH(dlimit, sizeof(struct vcmd_ctx_dlimit_v1), fill_dlimit),
	BOTH(sched, sizeof(struct vcmd_sched_v5), fill_sched),
	{ "sched_v3", VCMD_set_sched_v3, VCMD_get_sched,
	  sizeof(struct vcmd_sched_v3), fill_sched_v3, 0 },
	{ "sched_v4", VCMD_set_sched_v4, VCMD_get_sched,
	  sizeof(struct vcmd_sched_v4), fill_sched_v4, 0 },
	BOTH(prio_bias, sizeof(struct vcmd_prio_bias), fill_bias),
	BOTH(iattr, IATTR_NEEDS, fill_iattr),
	{ "fiattr", VCMD_fset_iattr, VCMD_fget_iattr,
	  sizeof(struct vcmd_ctx_fiattr_v0), fill_fiattr, 1 },
};

#define LARGEST		128

/* What get says, without tokens, which come in meanwhile. */
static int get(const struct setting *s, unsigned int id, char *data)
{
	struct vcmd_sched_v5 *sched = (void *)data;

	memset(data, 0, LARGEST);
	if (s->is_same)
		s->fill(data);
	if (!expect(!vserver(s->get, id, data)))
		return 0;
	if (s->get == VCMD_get_sched)
		sched->tokens = 0;
	return 1;
}

static int is_kept(const struct setting *s, unsigned int id)
{
	char old[LARGEST], now[LARGEST], filled[LARGEST] = {};
	char *part = at_page_end(s->needs - 1);

	s->fill(filled);
	memcpy(part, filled, s->needs - 1);
	return get(s, id, old) && expect(vserver(s->set, id, part) == -EFAULT) &&
	       expect(vserver(s->set, id, NULL) == -EFAULT) &&
	       get(s, id, now) && expect(!memcmp(old, now, LARGEST)) &&
	       expect(!vserver(s->set, id, filled)) &&
	       get(s, id, now) && expect(memcmp(old, now, LARGEST));
}

static int are_kept(int fd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		const struct setting *s = &settings[i];

		if (!is_kept(s, s->set == VCMD_fset_iattr ? fd : OWN)) {
			printf("# set_%s\n", s->name);
			return 0;
		}
	}
	return 1;
}

static int settings_are_kept(void)
{
	struct vcmd_ctx_dlimit_base_v0 base = { .name = TAGGED };
	int fd = open(FILE_A, O_RDONLY | O_CREAT, 0644);
	pid_t own = start_guest(OWN, 0);
	int ok = expect(own > 0) && expect(fd >= 0) &&
		 expect(!vserver(VCMD_add_dlimit, OWN, &base)) && are_kept(fd);

	stop(own);
	close(fd);
	return expect(!vserver(VCMD_rem_dlimit, OWN, &base)) &&
	       expect(!unlink(FILE_A)) && ok;
}

/* Neither by a bad structure nor by one with a bad name. */
static int disk_limits_are_kept(void)
{
	struct vcmd_ctx_dlimit_base_v0 bad = { .name = (char *)16 };
	struct vcmd_ctx_dlimit_base_v0 good = { .name = TAGGED };
	struct vcmd_ctx_dlimit_v1 limit = { .name = TAGGED };
	void *part = at_page_end(sizeof(char *) - 1);

	return expect(vserver(VCMD_add_dlimit, NOBODY, part) == -EFAULT) &&
	       expect(vserver(VCMD_add_dlimit, NOBODY, &bad) == -EFAULT) &&
	       expect(vserver(VCMD_get_dlimit, NOBODY, &limit) == -ESRCH) &&
	       expect(!vserver(VCMD_add_dlimit, NOBODY, &good)) &&
	       expect(vserver(VCMD_rem_dlimit, NOBODY, part) == -EFAULT) &&
	       expect(vserver(VCMD_rem_dlimit, NOBODY, &bad) == -EFAULT) &&
	       expect(!vserver(VCMD_get_dlimit, NOBODY, &limit)) &&
	       expect(!vserver(VCMD_rem_dlimit, NOBODY, &good));
}

static int callers_stay(void)
{
	struct vcmd_vx_info_v0 info;
	void *part = at_page_end(7);

	return expect(vserver(VCMD_ctx_create, NOBODY, part) == -EFAULT) &&
	       expect(vserver(VCMD_ctx_create_v1, NOBODY, part) == -EFAULT) &&
	       expect(vserver(VCMD_vx_info, NOBODY, &info) == -ESRCH) &&
	       expect(vserver(VCMD_ctx_migrate, XID, part) == -EFAULT) &&
	       expect(vserver(VCMD_ctx_migrate_v1, XID, part) == -EFAULT) &&
	       expect(task_xid(0) == VX_XID_HOST);
}

static int nobody_is_killed(void)
{
	char *part = at_page_end(7);
	pid_t own = start_guest(OWN, 0);
	int ok;

	/* To all, but for the last byte of SIGKILL. */
	memset(part, 0, 7);
	part[4] = SIGKILL;
	ok = expect(own > 0) &&
	     expect(vserver(VCMD_ctx_kill, OWN, part) == -EFAULT) &&
	     expect(waitpid(own, NULL, WNOHANG) == 0);
	stop(own);
	return ok;
}

static int nothing_is_held(void)
{
	struct vcmd_space_mask_v2 *part = at_page_end(SPACE_NEEDS - 1);
	pid_t own = start_guest(OWN, 0);
	int ok;

	part->mask = CLONE_NEWUTS;
	ok = expect(own > 0) &&
	     expect(vserver(VCMD_set_space, OWN, part) == -EFAULT) &&
	     expect(vserver(VCMD_enter_space, OWN, NULL) == -EINVAL);
	stop(own);
	return ok;
}

const struct effect fault_effects[] = {
	EFFECT(settings_are_kept),
	EFFECT(disk_limits_are_kept),
	EFFECT(callers_stay),
	EFFECT(nobody_is_killed),
	EFFECT(nothing_is_held),
	{}
};
