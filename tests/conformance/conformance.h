/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the program share: from where calls are made, and how what
 * comes of them is reported.
 */
#ifndef _CONFORMANCE_H
#define _CONFORMANCE_H

#include <linux/vserver.h>

#ifndef __NR_vserver
#if __SIZEOF_LONG__ == 4
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
/* What is needed of a structure: not the padding behind its last member. */
#define UNTIL(type, member, size)	(offsetof(struct type, member) + (size))
#define IATTR_NEEDS	UNTIL(vcmd_ctx_iattr_v1, mask, 4)
#define NAME_NEEDS	UNTIL(vcmd_vhi_name_v0, name, 65)
#define SPACE_NEEDS	UNTIL(vcmd_space_mask_v2, index, 4)
#define BASE_NEEDS	UNTIL(vcmd_ctx_dlimit_base_v0, name, sizeof(char *))

/* From where a call is made, and about what. */
enum place {
	HOST,		/* the host's root, about XID */
	SETUP,		/* inside, while the context is being set up */
	INSIDE,		/* inside, afterwards, as root with all capabilities */
	PLAIN,		/* a user on the host, about XID */
	WATCH,		/* the spectator, about XID */
	CONFINED,	/* a user inside, where root has all capabilities */
	ADMIN,		/* root that can administrate, and do nothing else */
	PLACES
};

int vserver(unsigned int cmd, unsigned int id, void *data);
int task_xid(pid_t pid);

/* A structure of @size bytes that ends with its page; what is behind faults. */
void *at_page_end(unsigned int size);

/* Makes a new context with every capability and moves in. */
void enter_new(unsigned int xid, __u64 flags, int setup);

/* Goes where a call is to be made from; the process can't go back. */
void go(enum place place);

/* Runs @body in a process of its own; what it exits with, or -1. */
int child(int (*body)(const void *), const void *arg);

/* A process that did @body with success, and sleeps or goes on; or -1. */
pid_t start(int (*body)(const void *), const void *arg);
pid_t start_then(int (*body)(const void *), void (*then)(const void *),
		 const void *arg);

/* A sleeping process in the new context @xid, with every capability; or -1. */
pid_t start_guest(unsigned int xid, int setup);

/* Kills a process, if it could be started, and waits for its end. */
void stop(pid_t pid);

/* The guest that XID is. */
extern pid_t guest;

/* Says on the way what of an effect is not as expected. */
int expected(int is_so, const char *what);
#define expect(condition)	expected(!!(condition), #condition)

void report(int ok, const char *name, const char *what);

/* Every command from each place: how many reports, and they. */
unsigned int count_commands(void);
void check_commands(void);

/* What commands do: how many reports, and they. */
unsigned int count_effects(void);
void check_effects(void);

#endif /* _CONFORMANCE_H */
