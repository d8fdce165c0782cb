// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of whose turn it is to get idle time */

#include <kunit/test.h>

#define PRICE_ONE	BIT(VSERVER_IDLE_PRICE_SHIFT)

/* Many more than one looks at, and so many waiters in one. */
#define MANY		(5 * VSERVER_LINE_LOOKS)

/**
 * struct test_line - a line of contexts in each of which one waits
 * @line:	the line
 * @idle:	the contexts
 * @wait:	who waits, in the context of the same number
 * @task:	two who wait, for these CPUs
 */
struct test_line {
	struct vserver_line line;
	struct vserver_idle idle[MANY];
	struct vserver_wait wait[MANY];
	struct task_struct *task[2];
};

static void test_wait(struct test_line *t, unsigned int ctx, unsigned int n,
		      int cpu)
{
	struct vserver_wait *wait = &t->wait[n];

	wait->task = t->task[cpu];
	wait->idle = &t->idle[ctx];
	list_add_tail(&wait->node, &wait->idle->waits);
	wait->idle->nr_waits++;
}

static struct test_line *test_line(struct kunit *test)
{
	struct test_line *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->line.order = RB_ROOT_CACHED;
	for (int cpu = 0; cpu < 2; cpu++) {
		struct task_struct *task =
			kunit_kzalloc(test, sizeof(*task), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, task);
		task->__state = TASK_INTERRUPTIBLE;
		task->cpus_ptr = cpumask_of(cpu);
		t->task[cpu] = task;
	}
	for (unsigned int i = 0; i < MANY; i++) {
		raw_spin_lock_init(&t->idle[i].lock);
		INIT_LIST_HEAD(&t->idle[i].waits);
		t->idle[i].price = PRICE_ONE;
	}
	return t;
}

/* Who was given something last. */
static struct vserver_wait *given;

static void test_give(struct vserver_idle *idle, struct vserver_wait *wait)
{
	given = wait;
}

/* Looks on until somebody is found or all were seen. Says how often. */
static unsigned int test_look(struct test_line *t, int cpu)
{
	struct vserver_line_at at = {};
	unsigned int looks = 0;

	given = NULL;
	do {
		looks++;
	} while (!vserver_line_look(&t->line, cpumask_of(cpu), &at, test_give) &&
		 at.more && looks < MANY);
	return looks;
}

static void shares_follow_the_prices(struct kunit *test)
{
	static const unsigned int rates[] = { 1, 2, 3, 10 };
	struct test_line *t = test_line(test);
	unsigned int grants[ARRAY_SIZE(rates)] = {};
	unsigned int rounds = 16000;

	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		t->idle[i].price = PRICE_ONE / rates[i];
		/* It wraps around on the way. */
		atomic64_set(&t->idle[i].had, -NSEC_PER_SEC);
		test_wait(t, i, i, 0);
		vserver_line_add(&t->line, &t->idle[i]);
	}
	for (unsigned int n = 0; n < rounds; n++) {
		struct vserver_idle *idle;

		KUNIT_ASSERT_EQ(test, test_look(t, 0), 1);
		KUNIT_ASSERT_NOT_NULL(test, given);
		idle = given->idle;
		atomic64_add(vserver_idle_cost(idle->price, TICK_NSEC),
			     &idle->had);
		grants[idle - t->idle]++;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		unsigned int share = rounds / 16 * rates[i];

		KUNIT_EXPECT_GE(test, grants[i], share - 2);
		KUNIT_EXPECT_LE(test, grants[i], share + 2);
	}
}

static void others_count_for_a_second_at_most(struct kunit *test)
{
	struct vserver_line line = { .order = RB_ROOT_CACHED };
	struct vserver_idle busy = { .price = PRICE_ONE / 2 };
	struct vserver_idle absent = { .price = PRICE_ONE };
	struct vserver_idle alone = { .price = PRICE_ONE / 4 };
	u64 had = 3600 * NSEC_PER_SEC;

	atomic64_set(&busy.had, had);
	atomic64_set(&alone.had, 2 * had);
	vserver_line_serve(&line, &busy);
	vserver_line_join(&line, &absent);
	vserver_line_join(&line, &alone);
	/* Who is where the others are stays there, and so does the floor. */
	vserver_line_join(&line, &busy);
	vserver_line_serve(&line, &absent);
	KUNIT_EXPECT_EQ(test, vserver_had(&absent), had - NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, vserver_had(&alone), had + NSEC_PER_SEC / 4);
	KUNIT_EXPECT_EQ(test, vserver_had(&busy), had);
	KUNIT_EXPECT_EQ(test, line.floor, had);
}

/* The last of many contexts is found, by looks of which none is too long. */
static void none_is_missed_behind_many_contexts(struct kunit *test)
{
	struct test_line *t = test_line(test);
	unsigned int looks;

	for (unsigned int i = 0; i < MANY; i++) {
		/* Some have equal places. */
		atomic64_set(&t->idle[i].had, i / 3);
		test_wait(t, i, i, i == MANY - 1);
		vserver_line_add(&t->line, &t->idle[i]);
	}
	KUNIT_EXPECT_EQ(test, test_look(t, 0), 1);
	KUNIT_EXPECT_PTR_EQ(test, given, &t->wait[0]);

	/* A context and the one who waits there are two. */
	looks = test_look(t, 1);
	KUNIT_EXPECT_PTR_EQ(test, given, &t->wait[MANY - 1]);
	KUNIT_EXPECT_GE(test, looks, 2 * (MANY - 1) / VSERVER_LINE_LOOKS);
	KUNIT_EXPECT_LE(test, looks, 2 * MANY / VSERVER_LINE_LOOKS + 1);

	/* All have had more: each is moved, once. */
	for (unsigned int i = 0; i < MANY; i++)
		atomic64_add(MANY, &t->idle[i].had);
	looks = test_look(t, 1);
	KUNIT_EXPECT_PTR_EQ(test, given, &t->wait[MANY - 1]);
	KUNIT_EXPECT_LE(test, looks, 3 * MANY / VSERVER_LINE_LOOKS + 1);

	/* A look ends also where there is nobody. */
	vserver_line_remove(&t->line, &t->idle[MANY - 1]);
	KUNIT_EXPECT_LT(test, test_look(t, 1), MANY);
	KUNIT_EXPECT_NULL(test, given);
}

static void none_is_missed_behind_many_waiters(struct kunit *test)
{
	struct test_line *t = test_line(test);
	unsigned int looks;

	for (unsigned int i = 0; i < MANY; i++)
		test_wait(t, 0, i, i == MANY / 2 || i == MANY - 1);
	vserver_line_add(&t->line, &t->idle[0]);
	looks = test_look(t, 1);
	KUNIT_EXPECT_PTR_EQ(test, given, &t->wait[MANY / 2]);
	KUNIT_EXPECT_GE(test, looks, MANY / 2 / VSERVER_LINE_LOOKS);
	/* It stays the first of those who can. */
	test_look(t, 1);
	KUNIT_EXPECT_PTR_EQ(test, given, &t->wait[MANY / 2]);
}

/* Whoever had less goes first, unless it can't. */
static void others_go_first(struct kunit *test)
{
	struct test_line *t = test_line(test);
	struct vserver_idle *idle = &t->idle[1];

	for (unsigned int i = 0; i < 2; i++) {
		atomic64_set(&t->idle[i].had, i);
		test_wait(t, i, i, 0);
		vserver_line_add(&t->line, &t->idle[i]);
	}
	KUNIT_EXPECT_FALSE(test, vserver_line_is_next(&t->line, idle,
						      cpumask_of(0)));
	KUNIT_EXPECT_TRUE(test, vserver_line_is_next(&t->line, idle,
						     cpumask_of(1)));
	atomic64_add(2, &t->idle[0].had);
	KUNIT_EXPECT_TRUE(test, vserver_line_is_next(&t->line, idle,
						     cpumask_of(0)));
}

static struct kunit_case vserver_idle_cases[] = {
	KUNIT_CASE(shares_follow_the_prices),
	KUNIT_CASE(others_count_for_a_second_at_most),
	KUNIT_CASE(none_is_missed_behind_many_contexts),
	KUNIT_CASE(none_is_missed_behind_many_waiters),
	KUNIT_CASE(others_go_first),
	{}
};

static struct kunit_suite vserver_idle_suite = {
	.name = "vserver_idle",
	.test_cases = vserver_idle_cases,
};

kunit_test_suite(vserver_idle_suite);
