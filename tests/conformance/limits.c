// SPDX-License-Identifier: GPL-2.0
/*
 * Limits, and what is counted: what is set can be got, and acts; what is had and
 * refused, sent and received is told.
 */

#include <linux/resource.h>

#include "effects.h"

/* Of these the kernel's headers for programs have nothing. */
#define AF_UNIX		1
#define SOCK_STREAM	1
#define MSG_NOSIGNAL	0x4000

/* The things that are counted: these can have limits. */
#define COUNTED \
	(1u << RLIMIT_NPROC | 1u << RLIMIT_NOFILE | 1u << RLIMIT_MEMLOCK | \
	 1u << RLIMIT_AS | 1u << RLIMIT_LOCKS | 1u << RLIMIT_MSGQUEUE | \
	 1u << VLIMIT_NSOCK | 1u << VLIMIT_OPENFD | 1u << VLIMIT_SHMEM | \
	 1u << VLIMIT_SEMARY | 1u << VLIMIT_NSEMS)

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

/* What is kept stays, and there is no minimum. */
static int limits_are_kept(void)
{
	struct vcmd_ctx_rlimit_v0 limit = { VLIMIT_NSEMS, CRLIM_KEEP, 3, 4 };

	if (!expect(!vserver(VCMD_set_rlimit, XID, &limit)))
		return 0;
	limit.softlimit = CRLIM_KEEP;
	limit.maximum = 5;
	if (!expect(!vserver(VCMD_set_rlimit, XID, &limit)))
		return 0;
	limit.minimum = 1;
	limit.softlimit = 6;
	if (!expect(vserver(VCMD_set_rlimit, XID, &limit) == -EINVAL))
		return 0;
	return expect(!vserver(VCMD_get_rlimit, XID, &limit)) &&
	       expect(limit.id == VLIMIT_NSEMS) && expect(limit.minimum == 0) &&
	       expect(limit.softlimit == 3) && expect(limit.maximum == 5);
}

/* The mask tells the truth. */
static int mask_is_right(void)
{
	struct vcmd_ctx_rlimit_mask_v0 mask = { ~0u, 0, 0 };
	unsigned int id;

	if (!expect(!vserver(VCMD_get_rlimit_mask, 0, &mask)) ||
	    !expect(mask.minimum == 0) || !expect(mask.softlimit == COUNTED) ||
	    !expect(mask.maximum == COUNTED))
		return 0;
	for (id = 0; id < 40; id++) {
		struct vcmd_ctx_rlimit_v0 limit = {
			id, 0, CRLIM_INFINITY, 1 << 30,
		};
		int known = id < 32 && COUNTED >> id & 1;

		if (!expect(vserver(VCMD_set_rlimit, XID, &limit) ==
			    (known ? 0 : -EINVAL)))
			return 0;
		limit.maximum = CRLIM_INFINITY;
		vserver(VCMD_set_rlimit, XID, &limit);
	}
	return 1;
}

/* How many sockets the caller's context has and had. */
static int sockets_are(unsigned int hits, __u64 value, __u64 min, __u64 max)
{
	struct vcmd_rlimit_stat_v0 stat = { .id = VLIMIT_NSOCK, .hits = ~0u };

	return expect(!vserver(VCMD_rlimit_stat, VX_XID_SELF, &stat)) &&
	       expect(stat.id == VLIMIT_NSOCK) && expect(stat.hits == hits) &&
	       expect(stat.value == value) && expect(stat.minimum == min) &&
	       expect(stat.maximum == max);
}

static int make_socket(void)
{
	return syscall(__NR_socket, AF_UNIX, SOCK_STREAM, 0);
}

static int reach_limit(const void *arg)
{
	struct vcmd_ctx_rlimit_v0 limit = { VLIMIT_NSOCK, 0, 1, 2 };
	int one;

	go(SETUP);
	if (!expect(!vserver(VCMD_set_rlimit, VX_XID_SELF, &limit)))
		return 0;
	one = make_socket();
	if (!expect(one >= 0) || !expect(make_socket() >= 0) ||
	    !sockets_are(0, 2, 0, 2))
		return 0;
	if (!expect(make_socket() == -1) || !expect(errno == ENOBUFS) ||
	    !sockets_are(1, 2, 0, 2))
		return 0;
	close(one);
	return sockets_are(1, 1, 0, 2) &&
	       expect(!vserver(VCMD_reset_hits, VX_XID_SELF, NULL)) &&
	       sockets_are(0, 1, 0, 2) &&
	       expect(!vserver(VCMD_reset_minmax, VX_XID_SELF, NULL)) &&
	       sockets_are(0, 1, 1, 1);
}

static int uses_are_counted(void)
{
	struct vcmd_rlimit_stat_v0 stat = { .id = 77 };

	return child(reach_limit, NULL) == 1 &&
	       expect(vserver(VCMD_rlimit_stat, XID, &stat) == -EINVAL);
}

/* Traffic of the caller's context through sockets of AF_UNIX. */
static int traffic_is(const unsigned int count[3], const unsigned int total[2])
{
	struct vcmd_sock_stat_v0 stat = { .field = 1 };

	return expect(!vserver(VCMD_sock_stat, VX_XID_SELF, &stat)) &&
	       expect(stat.field == 1) &&
	       expect(!memcmp(stat.count, count, sizeof(stat.count))) &&
	       expect(stat.total[0] == total[0]) &&
	       expect(stat.total[1] == total[1]) && expect(stat.total[2] == 0);
}

static int send_some(const void *arg)
{
	static const unsigned int none[3] = {}, counts[3] = { 1, 2, 1 };
	static const unsigned int bytes[2] = { 3, 12 };
	char text[16] = "conformance";
	int pair[2];

	go(SETUP);
	if (!expect(!syscall(__NR_socketpair, AF_UNIX, SOCK_STREAM, 0, pair)) ||
	    !traffic_is(none, none) ||
	    !expect(write(pair[0], text, 5) == 5) ||
	    !expect(write(pair[0], text, 7) == 7) ||
	    !expect(read(pair[1], text, 3) == 3))
		return 0;
	close(pair[1]);
	return expect(syscall(__NR_sendto, pair[0], text, 1, MSG_NOSIGNAL,
			      NULL, 0) == -1) &&
	       traffic_is(counts, bytes);
}

static int traffic_is_counted(void)
{
	struct vcmd_sock_stat_v0 stat = { .field = 6 };

	return child(send_some, NULL) == 1 &&
	       expect(vserver(VCMD_sock_stat, XID, &stat) == -EINVAL);
}

/* As far as an oom_score_adj goes. */
static int badness_sticks(void)
{
	static const __s64 good[] = { -1000, 1000, -17 }, bad[] = {
		-1001, 1001, 1ll << 32, -(1ll << 32),
	};
	struct vcmd_badness_v0 badness;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		badness.bias = good[i];
		if (!expect(!vserver(VCMD_set_badness, XID, &badness)))
			return 0;
		badness.bias = 0;
		if (!expect(!vserver(VCMD_get_badness, XID, &badness)) ||
		    !expect(badness.bias == good[i]))
			return 0;
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		badness.bias = bad[i];
		if (!expect(vserver(VCMD_set_badness, XID, &badness) == -EINVAL))
			return 0;
	}
	return expect(!vserver(VCMD_get_badness, XID, &badness)) &&
	       expect(badness.bias == -17);
}

const struct effect limit_effects[] = {
	EFFECT(limits_stick),
	EFFECT(limits_are_kept),
	EFFECT(mask_is_right),
	EFFECT(uses_are_counted),
	EFFECT(traffic_is_counted),
	EFFECT(badness_sticks),
	{}
};
