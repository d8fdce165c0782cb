// SPDX-License-Identifier: GPL-2.0
/*
 * Conformance: every command of vserver(2) as a C program calls it that knows
 * nothing but the header.
 *
 * Built for 64 and for 32 bits, without a C library: with the kernel's nolibc.
 * Prints TAP. Each call is made by a process of its own in each of seven places,
 * with its structure at the very end of a page: what the kernel reads or writes
 * beyond it is EFAULT.
 */

#include <linux/capability.h>

#include "conformance.h"

#define PAGE		4096

pid_t guest;

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

int expected(int is_so, const char *what)
{
	if (!is_so)
		printf("# not so: %s\n", what);
	return is_so;
}

int task_xid(pid_t pid)
{
	return vserver(VCMD_task_xid, pid, NULL);
}

void *at_page_end(unsigned int size)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || munmap(pages + PAGE, PAGE))
		exit(200);
	return pages + PAGE - size;
}

void enter_new(unsigned int xid, __u64 flags, int setup)
{
	struct vcmd_ctx_create create = { .flagword = flags | VXF_STATE_SETUP };
	struct vcmd_bcaps caps = { .bcaps = ~0ull, .bmask = ~0ull };
	struct vcmd_ctx_flags_v0 set_up = { .mask = VXF_STATE_SETUP };

	if (vserver(VCMD_ctx_create, xid, &create) != (int)xid ||
	    vserver(VCMD_set_bcaps, xid, &caps) ||
	    (!setup && vserver(VCMD_set_cflags, xid, &set_up)))
		exit(201);
}

/* Root without what commands ask for beside CAP_SYS_ADMIN. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	const __u32 dropped = 1u << CAP_SYS_RESOURCE | 1u << CAP_LINUX_IMMUTABLE;

	if (syscall(__NR_capget, &head, caps))
		exit(203);
	caps[0].effective &= ~dropped;
	caps[0].permitted &= ~dropped;
	if (syscall(__NR_capset, &head, caps))
		exit(203);
}

static void become_user(void)
{
	if (syscall(__NR_setresuid, 1000, 1000, 1000))
		exit(202);
}

void go(enum place place)
{
	switch (place) {
	case SETUP:
	case INSIDE:
		enter_new(OWN, 0, place == SETUP);
		break;
	case PLAIN:
		become_user();
		break;
	case WATCH:
		if (vserver(VCMD_ctx_migrate, VX_XID_WATCH, NULL))
			exit(204);
		break;
	case CONFINED:
		enter_new(OWN, 0, 0);
		become_user();
		break;
	case ADMIN:
		drop_capabilities();
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

pid_t start_then(int (*body)(const void *), void (*then)(const void *),
		 const void *arg)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(ready[0]);
		if (!body(arg) || write(ready[1], "", 1) != 1)
			exit(1);
		close(ready[1]);
		then(arg);
		exit(1);
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

static void sleep_on(const void *arg)
{
	for (;;)
		sleep(1000);
}

pid_t start(int (*body)(const void *), const void *arg)
{
	return start_then(body, sleep_on, arg);
}

struct new_guest {
	unsigned int xid;
	int setup;
};

static int enter_guest(const void *arg)
{
	const struct new_guest *new = arg;

	enter_new(new->xid, 0, new->setup);
	return 1;
}

pid_t start_guest(unsigned int xid, int setup)
{
	struct new_guest new = { xid, setup };

	return start(enter_guest, &new);
}

void stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	guest = start_guest(XID, 0);
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
	stop(guest);
	umount2(TAGGED, 0);
	return failures != 0;
}
