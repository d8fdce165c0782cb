// SPDX-License-Identifier: GPL-2.0
/*
 * Every command from each place, with all that it needs of its structure, with a
 * byte less and with none, and about a context that is not there.
 */

#include "commands.h"

static const char * const place_names[PLACES] = {
	"host", "setup", "inside", "user", "spectator", "user inside",
	"administrator",
};

/* One call: a command from a place, with so many bytes of data, or none. */
struct attempt {
	const struct command *command;
	enum place place;
	unsigned int id;	/* NOBODY, or 0: as the place says */
	unsigned int bytes;
	int null;
};

static int is_inside(enum place place)
{
	return place == SETUP || place == INSIDE || place == CONFINED;
}

static int make_call(const void *arg)
{
	const struct attempt *a = arg;
	const struct command *c = a->command;
	unsigned int id = is_inside(a->place) ? OWN : XID;
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
 * the caller may at all, but before whether that context may be changed; of disk
 * limits, which need no context, after that.
 */
static int error_for_nobody(const struct command *c, enum place place)
{
	int refused = c->error[place] == EPERM;

	if (place == INSIDE)
		refused = c->error[SETUP] == EPERM;
	if (place == WATCH)
		refused = refused && c->cmd >> 24 == VC_DLIMIT;
	return refused ? EPERM : ESRCH;
}

static void check(const struct command *c, enum place place)
{
	unsigned int needs = c->needs ? c->needs : c->size;
	struct attempt a = { .command = c, .place = place, .bytes = needs };
	int error = c->error[place];
	int ok = attempt(a, error);

	if (c->size && !error) {
		a.bytes = needs - 1;
		ok &= attempt(a, EFAULT);
		a.null = 1;
		ok &= attempt(a, c->optional ? 0 : EFAULT);
		a.null = 0;
		a.bytes = needs;
	}
	if (!c->id && !c->free_id) {
		a.id = NOBODY;
		ok &= attempt(a, error_for_nobody(c, place));
	}
	report(ok, c->name, place_names[place]);
}

unsigned int count_commands(void)
{
	return command_count * PLACES;
}

void check_commands(void)
{
	unsigned int i, place;

	for (i = 0; i < command_count; i++)
		for (place = 0; place < PLACES; place++)
			check(&commands[i], place);
}
