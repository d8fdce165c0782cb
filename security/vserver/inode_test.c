// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tests of the attributes of inodes */

#include <kunit/test.h>

static void flags_convert_both_ways(struct kunit *test)
{
	struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, inode);
	for (u8 flags = 0; flags <= (VSERVER_XATTR_IUNLINK | VSERVER_XATTR_BARRIER); flags++) {
		u32 iattr = vserver_xattr_to_iattr(inode, flags);

		KUNIT_EXPECT_EQ(test, vserver_iattr_to_xattr(iattr), flags);
		KUNIT_EXPECT_FALSE(test, iattr & IATTR_IMMUTABLE);
	}
	inode->i_flags = S_IMMUTABLE;
	KUNIT_EXPECT_EQ(test, vserver_xattr_to_iattr(inode, 0),
			IATTR_IMMUTABLE);
}

static struct kunit_case vserver_inode_cases[] = {
	KUNIT_CASE(flags_convert_both_ways),
	{}
};

static struct kunit_suite vserver_inode_suite = {
	.name = "vserver_inode",
	.test_cases = vserver_inode_cases,
};

kunit_test_suite(vserver_inode_suite);
