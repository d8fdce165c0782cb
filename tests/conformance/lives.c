// SPDX-License-Identifier: GPL-2.0
/* Lives of contexts: their inits and reapers, signals, and how they end. */

#include <linux/reboot.h>

#include "effects.h"

static int join(const void *arg)
{
	struct vcmd_ctx_migrate migrate = { .flagword = *(const __u64 *)arg };

	return expect(!vserver(VCMD_ctx_migrate, OWN, &migrate));
}

/* A process that comes into the context OWN. */
static pid_t start_member(__u64 flags)
{
	return start(join, &flags);
}

/* A process ends in time, and by this signal. */
static int dies_by(pid_t pid, int signal)
{
	int status, tries;

	for (tries = 0; tries < 1000; tries++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return expect(WIFSIGNALED(status)) &&
			       expect(WTERMSIG(status) == signal);
		usleep(10000);
	}
	stop(pid);
	return expect(0);
}

static int lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static int send(unsigned int xid, int pid, int sig)
{
	struct vcmd_ctx_kill_v0 kill = { pid, sig };

	return vserver(VCMD_ctx_kill, xid, &kill);
}

static int is_init(pid_t pid)
{
	struct vcmd_vx_info_v0 info = {};

	return expect(!vserver(VCMD_vx_info, OWN, &info)) &&
	       expect(info.xid == OWN) && expect(info.initpid == (__u32)pid);
}

static int has_ended(void)
{
	struct vcmd_vx_info_v0 info;

	return expect(vserver(VCMD_vx_info, OWN, &info) == -ESRCH);
}

/* To one, to all but init, to init; and to none. */
static int signals_are_chosen(void)
{
	pid_t first = start_guest(OWN, 0), other = start_member(0), init = -1;
	int ok = expect(first > 0 && other > 0) &&
		 expect(send(OWN, 1, 0) == -ESRCH) &&
		 expect(send(OWN, getpid(), 0) == -ESRCH) &&
		 expect(send(OWN, 0, 65) == -EINVAL) &&
		 expect(send(OWN, 0, -1) == -EINVAL) &&
		 expect(!send(OWN, 0, 0)) && expect(!send(OWN, other, 0)) &&
		 expect(!send(OWN, other, SIGTERM)) &&
		 dies_by(other, SIGTERM) && expect(lives(first));

	if (ok)
		init = start_member(VXM_SET_INIT);
	ok = ok && expect(init > 0) && is_init(init) &&
	     expect(!send(OWN, -1, SIGUSR1)) && dies_by(first, SIGUSR1) &&
	     expect(lives(init)) && expect(!send(OWN, 1, SIGTERM)) &&
	     dies_by(init, SIGTERM) && has_ended();
	if (!ok) {
		stop(first);
		stop(other);
		stop(init);
	}
	return ok;
}

static int reaches_all(__u64 flags)
{
	pid_t first = start_guest(OWN, 0), other = start_member(flags);
	int ok = expect(first > 0 && other > 0) &&
		 expect(!send(OWN, 0, SIGUSR1)) && dies_by(other, SIGUSR1);

	/* The end of an init may have been faster. */
	if (ok && !flags)
		return dies_by(first, SIGUSR1) && has_ended();
	stop(first);
	return ok && has_ended();
}

static int signals_reach_all(void)
{
	return reaches_all(0) && reaches_all(VXM_SET_INIT);
}

static int end_of_init_is_all(void)
{
	pid_t first = start_guest(OWN, 0), init = start_member(VXM_SET_INIT);
	int ok = expect(first > 0 && init > 0) && expect(!kill(init, SIGTERM)) &&
		 dies_by(init, SIGTERM) && dies_by(first, SIGKILL);

	if (!ok) {
		stop(first);
		stop(init);
	}
	return ok && has_ended();
}

/* Who clears state_init inside is the init, too. */
static int become_init(const void *arg)
{
	struct vcmd_ctx_flags_v0 flags = { .mask = VXF_STATE_INIT };

	enter_new(OWN, VXF_STATE_INIT, 1);
	return is_init(0) && expect(!vserver(VCMD_set_cflags, OWN, &flags)) &&
	       is_init(getpid());
}

static int flags_make_an_init(void)
{
	return child(become_init, NULL) == 1;
}

/* The reaper, whose child leaves one of its own behind, gets that. */
static int adopt(const void *arg)
{
	pid_t reaper = getpid(), parent, orphan;
	int answer[2];

	if (!join(arg) || !expect(!pipe(answer)))
		return 0;
	parent = fork();
	if (!parent) {
		parent = getpid();
		if (fork())
			exit(0);
		while (getppid() == parent)
			usleep(1000);
		parent = getppid();
		write(answer[1], &parent, sizeof(parent));
		exit(0);
	}
	close(answer[1]);
	waitpid(parent, NULL, 0);
	return expect(read(answer[0], &orphan, sizeof(orphan)) ==
		      sizeof(orphan)) &&
	       expect(orphan == reaper);
}

static int reapers_get_orphans(void)
{
	__u64 flags = VXM_SET_REAPER;
	pid_t first = start_guest(OWN, 0);
	int ok = expect(first > 0) && child(adopt, &flags) == 1;

	stop(first);
	return ok;
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
	static const int errors[PLACES] = {
		ESRCH, EDEADLK, EDEADLK, EPERM, ESRCH, EPERM, ESRCH,
	};
	enum place place;

	for (place = HOST; place < PLACES; place++)
		if (child(wait_from, &place) != errors[place])
			return 0;
	return 1;
}

/* How a context ends, and what wait_exit says of that. */
struct end {
	__u64 flags;
	void (*end)(void);
	struct vcmd_wait_exit_v0 answer;
};

static void exit_with_7(void)
{
	exit(7);
}

static void be_killed(void)
{
	kill(getpid(), SIGTERM);
}

static void ask_for_restart(void)
{
	reboot(LINUX_REBOOT_CMD_RESTART);
}

static void ask_for_halt(void)
{
	reboot(LINUX_REBOOT_CMD_HALT);
}

/* Who is killed with it is not who counts. */
static void exit_as_init(void)
{
	struct vcmd_ctx_flags_v0 flags = { .mask = VXF_STATE_INIT };

	if (!fork())
		sleep(1000);
	if (!vserver(VCMD_set_cflags, OWN, &flags))
		exit(3);
}

static const struct end ends[] = {
	{ 0, exit_with_7, { 0, 7 << 8 } },
	{ 0, be_killed, { 0, SIGTERM } },
	{ 0, ask_for_restart, { LINUX_REBOOT_CMD_RESTART, SIGKILL } },
	{ 0, ask_for_halt, { LINUX_REBOOT_CMD_HALT, SIGKILL } },
	{ VXF_STATE_INIT, exit_as_init, { 0, 3 << 8 } },
};

/* Whether a process sleeps: it has nothing to wait for but wait_exit. */
static int sleeps(pid_t pid)
{
	char name[32] = "/proc/", text[128] = {};
	const char *state;
	int fd;

	strlcat(name, itoa(pid), sizeof(name));
	strlcat(name, "/stat", sizeof(name));
	fd = open(name, O_RDONLY);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/* An end that comes when the writing end of a pipe is closed. */
struct ending {
	const struct end *end;
	int told[2];
};

static int begin(const void *arg)
{
	const struct ending *ending = arg;

	close(ending->told[1]);
	enter_new(OWN, ending->end->flags, 1);
	return 1;
}

static void end_when_told(const void *arg)
{
	const struct ending *ending = arg;
	char byte;

	read(ending->told[0], &byte, 1);
	ending->end->end();
}

/* What wait_exit returns, in a process that was asleep before the end. */
static int wait_for(const struct end *end, struct vcmd_wait_exit_v0 *answer)
{
	struct ending ending = { .end = end };
	int status = 0, tries;
	pid_t pid, waiter;

	if (!expect(!pipe(ending.told)))
		return -1;
	pid = start_then(begin, end_when_told, &ending);
	waiter = fork();
	if (!waiter) {
		close(ending.told[1]);
		exit(-vserver(VCMD_wait_exit, OWN, answer));
	}
	for (tries = 0; tries < 1000 && !sleeps(waiter); tries++)
		usleep(10000);
	close(ending.told[0]);
	close(ending.told[1]);
	waitpid(pid, NULL, 0);
	waitpid(waiter, &status, 0);
	return expect(tries < 1000) && has_ended() ? WEXITSTATUS(status) : -1;
}

static int waiting_tells_the_end(void)
{
	struct vcmd_wait_exit_v0 *answer;
	unsigned int i;

	/* The process that waits shares it. */
	answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!expect(answer != MAP_FAILED))
		return 0;
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		answer->reboot_cmd = -1;
		answer->exit_code = -1;
		if (!expect(!wait_for(&ends[i], answer)) ||
		    !expect(!memcmp(answer, &ends[i].answer, sizeof(*answer)))) {
			printf("# end %u: %x, %x\n", i, answer->reboot_cmd,
			       answer->exit_code);
			return 0;
		}
	}
	return 1;
}

/* It waits all the same. */
static int waiting_needs_room(void)
{
	struct vcmd_wait_exit_v0 *part = at_page_end(sizeof(*part) - 1);

	return expect(wait_for(&ends[0], part) == EFAULT) &&
	       expect(wait_for(&ends[0], NULL) == EFAULT);
}

const struct effect life_effects[] = {
	EFFECT(signals_are_chosen),
	EFFECT(signals_reach_all),
	EFFECT(end_of_init_is_all),
	EFFECT(flags_make_an_init),
	EFFECT(reapers_get_orphans),
	EFFECT(waiting_is_refused),
	EFFECT(waiting_tells_the_end),
	EFFECT(waiting_needs_room),
	{}
};
