// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of what is kept of disk limits */

#include <kunit/test.h>

#define KEPT_LIMITS	2

/* Two contexts: one with limits, and one with nothing at all. */
static struct vserver_kept *kept_good(struct kunit *test)
{
	struct vserver_kept *kept;

	kept = kunit_kzalloc(test, struct_size(kept, limits, KEPT_LIMITS),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kept);
	kept->version = VSERVER_KEPT_VERSION;
	kept->count = cpu_to_le32(KEPT_LIMITS);
	kept->limits[0].xid = cpu_to_le32(100);
	kept->limits[0].reserved = cpu_to_le32(100);
	kept->limits[0].space[0] = cpu_to_le64(S64_MAX >> 1);
	kept->limits[0].space[1] = cpu_to_le64(S64_MAX >> 1);
	kept->limits[0].inodes[1] = cpu_to_le64(VSERVER_DLIMIT_NONE);
	kept->limits[1].xid = cpu_to_le32(VX_XID_MAX);
	return kept;
}

static void kept_accepts_its_own(struct kunit *test)
{
	struct vserver_kept *kept = kept_good(test);

	KUNIT_EXPECT_EQ(test, vserver_kept_size(kept), 32 + 2 * 40);
	KUNIT_EXPECT_TRUE(test,
			  vserver_kept_valid(kept, vserver_kept_size(kept)));
	kept->count = 0;
	KUNIT_EXPECT_TRUE(test, vserver_kept_valid(kept, 32));
}

static void kept_refuses_other_lengths(struct kunit *test)
{
	struct vserver_kept *kept = kept_good(test);
	ssize_t size = vserver_kept_size(kept);

	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, -ENODATA));
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, 0));
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, 31));
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, size - 1));
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, size + 1));
	/* Beyond what is there it must not look. */
	kept->count = cpu_to_le32(KEPT_LIMITS + 1);
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, size));
	kept->count = cpu_to_le32(U32_MAX);
	KUNIT_EXPECT_FALSE(test, vserver_kept_valid(kept, size));
}

static void kept_expect_refused(struct kunit *test,
				const struct vserver_kept *kept)
{
	KUNIT_EXPECT_FALSE(test,
			   vserver_kept_valid(kept, vserver_kept_size(kept)));
}

static void kept_refuses_what_it_does_not_know(struct kunit *test)
{
	struct vserver_kept *kept = kept_good(test);

	kept->version = VSERVER_KEPT_VERSION + 1;
	kept_expect_refused(test, kept);
	kept = kept_good(test);
	kept->zero[6] = 1;
	kept_expect_refused(test, kept);
}

static void kept_refuses_absurd_numbers(struct kunit *test)
{
	struct vserver_kept *kept = kept_good(test);

	kept->limits[0].xid = 0;
	kept_expect_refused(test, kept);
	kept->limits[0].xid = cpu_to_le32(VX_XID_WATCH);
	kept_expect_refused(test, kept);
	/* Twice */
	kept->limits[0].xid = cpu_to_le32(VX_XID_MAX);
	kept_expect_refused(test, kept);
	kept = kept_good(test);
	kept->limits[1].xid = cpu_to_le32(VX_XID_MAX + 1);
	kept_expect_refused(test, kept);
	kept = kept_good(test);
	kept->limits[1].reserved = cpu_to_le32(101);
	kept_expect_refused(test, kept);
	kept = kept_good(test);
	kept->limits[1].space[0] = cpu_to_le64(-1);
	kept_expect_refused(test, kept);
	kept->limits[1].space[0] = cpu_to_le64(VSERVER_DLIMIT_NONE);
	kept_expect_refused(test, kept);
	kept = kept_good(test);
	kept->limits[1].inodes[1] = cpu_to_le64(U64_MAX);
	kept_expect_refused(test, kept);
}

static struct kunit_case vserver_kept_cases[] = {
	KUNIT_CASE(kept_accepts_its_own),
	KUNIT_CASE(kept_refuses_other_lengths),
	KUNIT_CASE(kept_refuses_what_it_does_not_know),
	KUNIT_CASE(kept_refuses_absurd_numbers),
	{}
};

static struct kunit_suite vserver_kept_suite = {
	.name = "vserver_kept",
	.test_cases = vserver_kept_cases,
};

kunit_test_suite(vserver_kept_suite);
