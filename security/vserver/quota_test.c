// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of what users and groups may have */

#include <kunit/test.h>

#define GRACE	100
#define NOW	1000

static void nothing_is_limited_at_first(struct kunit *test)
{
	struct vserver_quota_item item = {};

	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, S64_MAX / 2, NOW));
	vserver_quota_change(&item, S64_MAX / 2, GRACE, true, NOW);
	KUNIT_EXPECT_EQ(test, item.used, S64_MAX / 2);
	KUNIT_EXPECT_EQ(test, item.until, 0);
}

static void hard_limits_are_reached_and_not_exceeded(struct kunit *test)
{
	struct vserver_quota_item item = { .used = 7, .hard = 10 };

	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 3, NOW));
	KUNIT_EXPECT_FALSE(test, vserver_quota_item_fits(&item, 4, NOW));
	KUNIT_EXPECT_FALSE(test, vserver_quota_item_fits(&item, S64_MAX, NOW));
	/* Set below what there is: nothing more, but less at any time. */
	item.hard = 5;
	KUNIT_EXPECT_FALSE(test, vserver_quota_item_fits(&item, 1, NOW));
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 0, NOW));
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, -1, NOW));
}

static void soft_limits_are_exceeded_for_a_time(struct kunit *test)
{
	struct vserver_quota_item item = { .used = 9, .soft = 10 };

	vserver_quota_change(&item, 1, GRACE, true, NOW);
	KUNIT_EXPECT_EQ(test, item.until, 0);
	vserver_quota_change(&item, 1, GRACE, true, NOW);
	KUNIT_EXPECT_EQ(test, item.until, NOW + GRACE);
	/* More of it does not make it longer. */
	vserver_quota_change(&item, 5, GRACE, true, NOW + 50);
	KUNIT_EXPECT_EQ(test, item.until, NOW + GRACE);
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 1,
							NOW + GRACE - 1));
	KUNIT_EXPECT_FALSE(test, vserver_quota_item_fits(&item, 1, NOW + GRACE));
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, -1, NOW + GRACE));
	/* Not above it any more, it begins anew. */
	vserver_quota_change(&item, -6, GRACE, true, NOW + GRACE);
	KUNIT_EXPECT_EQ(test, item.until, 0);
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 1, NOW + GRACE));
	vserver_quota_change(&item, 1, GRACE, true, NOW + GRACE);
	KUNIT_EXPECT_EQ(test, item.until, NOW + 2 * GRACE);
}

/* Limits that do not hold begin no time; a time that runs goes on. */
static void no_time_begins_without_limits(struct kunit *test)
{
	struct vserver_quota_item item = { .used = 11, .soft = 10 };

	vserver_quota_change(&item, 1, GRACE, false, NOW);
	KUNIT_EXPECT_EQ(test, item.until, 0);
	item.until = NOW + 1;
	vserver_quota_change(&item, 1, GRACE, false, NOW);
	KUNIT_EXPECT_EQ(test, item.until, NOW + 1);
}

/* Of a time that says nothing, as it was set with less, nothing is left. */
static void a_time_of_before_does_not_count(struct kunit *test)
{
	struct vserver_quota_item item = { .used = 5, .soft = 10, .until = 1 };

	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 6, NOW));
	vserver_quota_change(&item, 6, GRACE, true, NOW);
	KUNIT_EXPECT_EQ(test, item.until, NOW + GRACE);
}

/* More was freed than was known; it counts against what comes. */
static void less_than_nothing(struct kunit *test)
{
	struct vserver_quota_item item = { .hard = 10 };

	vserver_quota_change(&item, -5, GRACE, true, NOW);
	KUNIT_EXPECT_EQ(test, item.used, -5);
	KUNIT_EXPECT_TRUE(test, vserver_quota_item_fits(&item, 15, NOW));
	KUNIT_EXPECT_FALSE(test, vserver_quota_item_fits(&item, 16, NOW));
}

static struct kunit_case vserver_quota_cases[] = {
	KUNIT_CASE(nothing_is_limited_at_first),
	KUNIT_CASE(hard_limits_are_reached_and_not_exceeded),
	KUNIT_CASE(soft_limits_are_exceeded_for_a_time),
	KUNIT_CASE(no_time_begins_without_limits),
	KUNIT_CASE(a_time_of_before_does_not_count),
	KUNIT_CASE(less_than_nothing),
	{}
};

static struct kunit_suite vserver_quota_suite = {
	.name = "vserver_quota",
	.test_cases = vserver_quota_cases,
};

kunit_test_suite(vserver_quota_suite);
