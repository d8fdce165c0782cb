// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of the attribute's codec */

#include <kunit/test.h>

static const struct vserver_xattr good = {
	.version = VSERVER_XATTR_VERSION,
	.flags = VSERVER_XATTR_IUNLINK,
};

static void xattr_accepts_its_own(struct kunit *test)
{
	struct vserver_xattr x = good;

	KUNIT_EXPECT_TRUE(test, vserver_xattr_valid(&x, sizeof(x)));
	x.flags = VSERVER_XATTR_IUNLINK | VSERVER_XATTR_BARRIER;
	x.xid = cpu_to_le32(0xfffe);
	KUNIT_EXPECT_TRUE(test, vserver_xattr_valid(&x, sizeof(x)));
}

static void xattr_refuses_what_it_does_not_know(struct kunit *test)
{
	struct vserver_xattr x = good;

	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, 0));
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x) - 1));
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, -ENODATA));
	x.version = VSERVER_XATTR_VERSION + 1;
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x)));
	x = good;
	x.flags |= 0x80;
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x)));
	x = good;
	x.reserved = cpu_to_le16(1);
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x)));
	x = good;
	x.xid = cpu_to_le32(VX_XID_WATCH);
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x)));
	x.xid = cpu_to_le32(VX_XID_MAX + 1);
	KUNIT_EXPECT_FALSE(test, vserver_xattr_valid(&x, sizeof(x)));
}

/* What is on disk: a byte each, then little endian. */
static void xattr_layout(struct kunit *test)
{
	static const u8 raw[] = { 1, 3, 0, 0, 0x34, 0x12, 0, 0 };
	struct vserver_xattr x;

	memcpy(&x, raw, sizeof(x));
	KUNIT_EXPECT_TRUE(test, vserver_xattr_valid(&x, sizeof(raw)));
	KUNIT_EXPECT_EQ(test, le32_to_cpu(x.xid), 0x1234);
	KUNIT_EXPECT_EQ(test, x.flags,
			VSERVER_XATTR_IUNLINK | VSERVER_XATTR_BARRIER);
}

/* What is cached says all that the attribute does. */
static void xattr_becomes_state(struct kunit *test)
{
	const struct vserver_xattr x = {
		.version = VSERVER_XATTR_VERSION,
		.flags = VSERVER_XATTR_BARRIER,
		.xid = cpu_to_le32(VX_XID_MAX),
	};
	u64 state = vserver_xattr_state(&x);

	KUNIT_EXPECT_EQ(test, state >> VSERVER_STATE_TAG_SHIFT, VX_XID_MAX);
	KUNIT_EXPECT_EQ(test, (u32)state,
			VSERVER_STATE_KNOWN | VSERVER_XATTR_BARRIER);
}

static struct kunit_case vserver_xattr_cases[] = {
	KUNIT_CASE(xattr_accepts_its_own),
	KUNIT_CASE(xattr_refuses_what_it_does_not_know),
	KUNIT_CASE(xattr_layout),
	KUNIT_CASE(xattr_becomes_state),
	{}
};

static struct kunit_suite vserver_xattr_suite = {
	.name = "vserver_xattr",
	.test_cases = vserver_xattr_cases,
};

kunit_test_suite(vserver_xattr_suite);
