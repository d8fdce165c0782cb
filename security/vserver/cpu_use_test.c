// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of how run time is divided */

#include <kunit/test.h>

#define MS	NSEC_PER_MSEC

static void parts_follow_the_ticks(struct kunit *test)
{
	struct vserver_cpu use = {};

	vserver_cpu_divide(&use, 40 * MS, 3, 1);
	KUNIT_EXPECT_EQ(test, use.user_ns, 30 * MS);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 10 * MS);
	vserver_cpu_divide(&use, 400 * MS, 50, 50);
	KUNIT_EXPECT_EQ(test, use.user_ns, 200 * MS);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 200 * MS);
}

static void what_was_seen_stays(struct kunit *test)
{
	struct vserver_cpu use = {};

	/* No tick met it yet. */
	vserver_cpu_divide(&use, 3 * MS, 0, 0);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 3 * MS);
	/* By the ticks all of it was in user mode, and then half of it. */
	vserver_cpu_divide(&use, 8 * MS, 1, 0);
	KUNIT_EXPECT_EQ(test, use.user_ns, 5 * MS);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 3 * MS);
	vserver_cpu_divide(&use, 9 * MS, 1, 1);
	KUNIT_EXPECT_EQ(test, use.user_ns, 5 * MS);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 4 * MS);
	/* More ticks without more time change nothing. */
	vserver_cpu_divide(&use, 9 * MS, 1, 9);
	KUNIT_EXPECT_EQ(test, use.user_ns, 5 * MS);
	KUNIT_EXPECT_EQ(test, use.sys_ns, 4 * MS);
}

/* Whatever the ticks say, no part goes back, and they are all of it. */
static void no_part_goes_back(struct kunit *test)
{
	struct vserver_cpu use = {};
	u64 run_ns = 0, ticks[2] = {};
	u32 random = 1;

	for (unsigned int n = 0; n < 10000; n++) {
		u64 user_ns = use.user_ns, sys_ns = use.sys_ns;

		random = random * 1664525 + 1013904223;
		run_ns += random >> 8;
		/* Long the one kind, long the other. */
		ticks[n / 100 % 2] += random >> 30;
		vserver_cpu_divide(&use, run_ns, ticks[0], ticks[1]);
		KUNIT_ASSERT_GE(test, use.user_ns, user_ns);
		KUNIT_ASSERT_GE(test, use.sys_ns, sys_ns);
		KUNIT_ASSERT_EQ(test, use.user_ns + use.sys_ns, run_ns);
	}
}

static struct kunit_case vserver_cpu_use_cases[] = {
	KUNIT_CASE(parts_follow_the_ticks),
	KUNIT_CASE(what_was_seen_stays),
	KUNIT_CASE(no_part_goes_back),
	{}
};

static struct kunit_suite vserver_cpu_use_suite = {
	.name = "vserver_cpu_use",
	.test_cases = vserver_cpu_use_cases,
};

kunit_test_suite(vserver_cpu_use_suite);
