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

static void flags_convert_both_ways(struct kunit *test)
{
	struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, inode);
	for (u8 flags = 0; flags <= VSERVER_XATTR_FLAGS; flags++) {
		u32 iattr = vserver_xattr_to_iattr(inode, flags);

		KUNIT_EXPECT_EQ(test, vserver_iattr_to_xattr(iattr), flags);
		KUNIT_EXPECT_FALSE(test, iattr & IATTR_IMMUTABLE);
	}
	inode->i_flags = S_IMMUTABLE;
	KUNIT_EXPECT_EQ(test, vserver_xattr_to_iattr(inode, 0),
			IATTR_IMMUTABLE);
}

static struct kunit_case vserver_inode_cases[] = {
	KUNIT_CASE(xattr_accepts_its_own),
	KUNIT_CASE(xattr_refuses_what_it_does_not_know),
	KUNIT_CASE(xattr_layout),
	KUNIT_CASE(flags_convert_both_ways),
	{}
};

static struct kunit_suite vserver_inode_suite = {
	.name = "vserver_inode",
	.test_cases = vserver_inode_cases,
};

kunit_test_suite(vserver_inode_suite);
