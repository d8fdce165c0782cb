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

#include "conformance.h"

int vserver(unsigned int cmd, unsigned int id, void *data)
{
	int ret = syscall(__NR_vserver, cmd, id, data);

	return ret < 0 ? -errno : ret;
}

static unsigned int tests;
static unsigned int failures;

void report(int ok, const char *name, const char *what)
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

void go(enum place place)
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

int child(int (*body)(const void *), const void *arg)
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
	pid_t guest = start_guest();

	if (guest < 0) {
		printf("Bail out! no context can be made\n");
		return 1;
	}
	mkdir(TAGGED, 0755);
	if (mount("none", TAGGED, "tmpfs", 0, "tag")) {
		printf("Bail out! no file system keeps tags\n");
		return 1;
	}
	printf("1..%u\n", count_commands() + count_effects());
	check_commands();
	check_effects();
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);
	umount2(TAGGED, 0);
	return failures != 0;
}
