/* SPDX-License-Identifier: GPL-2.0 */
/* The commands, as the calls are made of them that check_commands() makes. */
#ifndef _COMMANDS_H
#define _COMMANDS_H

#include "conformance.h"

struct command {
	const char *name;
	unsigned int cmd;
	unsigned int size;
	/* So many bytes have to be there; all if that is 0. */
	unsigned int needs;
	/* Fills the structure in; zeroes do if there is no such function. */
	void (*fill)(void *data);
	/* What the id is if it is no context. */
	int (*id)(void);
	/* It need not be that of a context which there is. */
	int free_id;
	/* The call also works without data. */
	int optional;
	/* The error expected in each place. */
	int error[PLACES];
};

extern const struct command commands[];
extern const unsigned int command_count;

#endif /* _COMMANDS_H */
