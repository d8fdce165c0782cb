/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the program share: from where calls are made, and how what
 * comes of them is reported.
 */
#ifndef _CONFORMANCE_H
#define _CONFORMANCE_H

#include <linux/vserver.h>

#ifndef __NR_vserver
#ifdef __i386__
#define __NR_vserver	273
#else
#define __NR_vserver	236
#endif
#endif

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

int vserver(unsigned int cmd, unsigned int id, void *data);

/* Goes where a call is to be made from; the process can't go back. */
void go(enum place place);

/* Runs @body in a process of its own; what it exits with, or -1. */
int child(int (*body)(const void *), const void *arg);

void report(int ok, const char *name, const char *what);

/* Every command from each place: how many reports, and they. */
unsigned int count_commands(void);
void check_commands(void);

/* What commands do: how many reports, and they. */
unsigned int count_effects(void);
void check_effects(void);

#endif /* _CONFORMANCE_H */
