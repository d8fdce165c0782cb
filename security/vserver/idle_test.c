// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of whose turn it is to get idle time */

#include <kunit/test.h>

#define PRICE_ONE	BIT(VSERVER_IDLE_PRICE_SHIFT)

static void shares_follow_the_prices(struct kunit *test)
{
	static const unsigned int rates[] = { 1, 2, 3, 10 };
	struct vserver_idle idle[ARRAY_SIZE(rates)] = {};
	unsigned int grants[ARRAY_SIZE(rates)] = {};
	unsigned int rounds = 16000;

	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		idle[i].price = PRICE_ONE / rates[i];
		/* It wraps around on the way. */
		atomic64_set(&idle[i].had, -NSEC_PER_SEC);
	}
	for (unsigned int n = 0; n < rounds; n++) {
		unsigned int first = 0;

		for (unsigned int i = 1; i < ARRAY_SIZE(rates); i++)
			if (vserver_had_less(vserver_had(&idle[i]),
					     vserver_had(&idle[first])))
				first = i;
		atomic64_add(vserver_idle_cost(idle[first].price, IDLE_GRANT_NS),
			     &idle[first].had);
		grants[first]++;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		unsigned int share = rounds / 16 * rates[i];

		KUNIT_EXPECT_GE(test, grants[i], share - 2);
		KUNIT_EXPECT_LE(test, grants[i], share + 2);
	}
}

static void others_count_for_a_second_at_most(struct kunit *test)
{
	struct vserver_idle busy = { .price = PRICE_ONE / 2 };
	struct vserver_idle absent = { .price = PRICE_ONE };
	struct vserver_idle alone = { .price = PRICE_ONE / 4 };
	u64 had = 3600 * NSEC_PER_SEC;
	u64 floor, saved;

	atomic64_set(&busy.had, had);
	atomic64_set(&alone.had, 2 * had);
	scoped_guard(raw_spinlock_irqsave, &line_lock) {
		saved = line_floor;
		line_floor = 0;
		vserver_line_serve(&busy);
		vserver_line_join(&absent);
		vserver_line_join(&alone);
		/* Who is where the others are stays there, and so does the floor. */
		vserver_line_join(&busy);
		vserver_line_serve(&absent);
		floor = line_floor;
		line_floor = saved;
	}
	KUNIT_EXPECT_EQ(test, vserver_had(&absent), had - NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, vserver_had(&alone), had + NSEC_PER_SEC / 4);
	KUNIT_EXPECT_EQ(test, vserver_had(&busy), had);
	KUNIT_EXPECT_EQ(test, floor, had);
}

static struct kunit_case vserver_idle_cases[] = {
	KUNIT_CASE(shares_follow_the_prices),
	KUNIT_CASE(others_count_for_a_second_at_most),
	{}
};

static struct kunit_suite vserver_idle_suite = {
	.name = "vserver_idle",
	.test_cases = vserver_idle_cases,
};

kunit_test_suite(vserver_idle_suite);
