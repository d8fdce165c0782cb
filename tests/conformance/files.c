// SPDX-License-Identifier: GPL-2.0
/* Inode attributes, by name and by descriptor, and links of unified files. */

#include "effects.h"

#define FILE_A		TAGGED "/a"
#define FILE_B		TAGGED "/b"
#define LINK		TAGGED "/link"
#define UNIFIED		(IATTR_IUNLINK | IATTR_IMMUTABLE)
#define OF_PROC		(IATTR_ADMIN | IATTR_WATCH | IATTR_HIDE)

static int make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);
	int ok = expect(fd >= 0) && expect(write(fd, "equal", 5) == 5);

	close(fd);
	return ok;
}

/* The attributes are these, both ways; what was there of an answer does not count. */
static int is(const char *name, unsigned int xid, unsigned int flags,
	      unsigned int mask)
{
	struct vcmd_ctx_iattr_v1 attr = { name, ~0u, ~0u, ~0u };
	struct vcmd_ctx_fiattr_v0 same = { ~0u, ~0u, ~0u };
	int fd = open(name, O_RDONLY);
	int ok = expect(!vserver(VCMD_get_iattr, 0, &attr)) &&
		 expect(attr.name == name) && expect(attr.xid == xid) &&
		 expect(attr.flags == flags) && expect(attr.mask == mask) &&
		 expect(!vserver(VCMD_fget_iattr, fd, &same)) &&
		 expect(same.xid == xid) && expect(same.flags == flags) &&
		 expect(same.mask == mask);

	close(fd);
	return ok;
}

static int set(const char *name, unsigned int xid, unsigned int flags,
	       unsigned int mask)
{
	struct vcmd_ctx_iattr_v1 attr = { name, xid, flags, mask };

	return vserver(VCMD_set_iattr, 0, &attr);
}

static int fset(const char *name, unsigned int xid, unsigned int flags,
		unsigned int mask)
{
	struct vcmd_ctx_fiattr_v0 attr = { xid, flags, mask };
	int fd = open(name, O_RDONLY);
	int ret = vserver(VCMD_fset_iattr, fd, &attr);

	close(fd);
	return ret;
}

/* By either way what the mask names changes, and nothing else. */
static int attributes_stick(void)
{
	const unsigned int all = UNIFIED | IATTR_TAG;
	int ok = make(FILE_A) && is(FILE_A, 0, 0, all) &&
		 expect(!set(FILE_A, XID, ~0u, IATTR_TAG)) &&
		 is(FILE_A, XID, 0, all) &&
		 expect(!set(FILE_A, 5, ~0u, IATTR_IUNLINK)) &&
		 is(FILE_A, XID, IATTR_IUNLINK, all) &&
		 expect(!fset(FILE_A, OWN, 0, IATTR_TAG | IATTR_IUNLINK)) &&
		 is(FILE_A, OWN, 0, all) &&
		 expect(!fset(FILE_A, 0, UNIFIED, UNIFIED)) &&
		 /* It is nobody's then. */
		 is(FILE_A, 0, UNIFIED, UNIFIED) &&
		 expect(!fset(FILE_A, 0, 0, IATTR_IMMUTABLE)) &&
		 is(FILE_A, 0, IATTR_IUNLINK, all) &&
		 expect(!set(FILE_A, 0, 0, UNIFIED)) &&
		 is(FILE_A, 0, 0, all);

	return expect(!unlink(FILE_A)) && ok;
}

static int directories_have_barriers(void)
{
	const unsigned int all = IATTR_BARRIER | IATTR_IMMUTABLE | IATTR_TAG;
	int ok = expect(!mkdir(FILE_A, 0755)) && is(FILE_A, 0, 0, all) &&
		 expect(!set(FILE_A, 0, IATTR_BARRIER, IATTR_BARRIER)) &&
		 is(FILE_A, 0, IATTR_BARRIER, all) &&
		 expect(!fset(FILE_A, 0, 0, IATTR_BARRIER)) &&
		 is(FILE_A, 0, 0, all);

	return expect(!rmdir(FILE_A)) && ok;
}

/* An entry of /proc has others, and gets them back. */
static int entries_stick(void)
{
	static const char name[] = "/proc/interrupts";
	struct vcmd_ctx_iattr_v1 old = { .name = name };

	return expect(!vserver(VCMD_get_iattr, 0, &old)) &&
	       expect(old.mask == OF_PROC) && is(name, 0, old.flags, OF_PROC) &&
	       expect(!set(name, 0, ~old.flags, IATTR_WATCH)) &&
	       is(name, 0, old.flags ^ IATTR_WATCH, OF_PROC) &&
	       expect(!fset(name, 0, old.flags, IATTR_WATCH)) &&
	       is(name, 0, old.flags, OF_PROC) &&
	       expect(set(name, 0, IATTR_BARRIER, IATTR_BARRIER) == -EINVAL);
}

static int attributes_are_refused(void)
{
	struct vcmd_ctx_iattr_v1 attr = { .name = TAGGED "/none" };
	struct vcmd_ctx_fiattr_v0 same = {};
	int ok, fd;

	ok = make(FILE_A) &&
	     expect(vserver(VCMD_get_iattr, 0, &attr) == -ENOENT) &&
	     expect(vserver(VCMD_set_iattr, 0, &attr) == -ENOENT) &&
	     expect(vserver(VCMD_fget_iattr, 77, &same) == -EBADF) &&
	     expect(vserver(VCMD_fset_iattr, 77, &same) == -EBADF) &&
	     expect(set(FILE_A, 0, IATTR_BARRIER, IATTR_BARRIER) == -EINVAL) &&
	     expect(set(FILE_A, VX_XID_WATCH, 0, IATTR_TAG) == -EINVAL) &&
	     expect(set(FILE_A, XID, UNIFIED, UNIFIED | IATTR_TAG) == -EINVAL);
	fd = open(FILE_A, O_RDWR);
	ok = ok && expect(set(FILE_A, 0, UNIFIED, UNIFIED) == -ETXTBSY);
	close(fd);
	return ok && is(FILE_A, 0, 0, UNIFIED | IATTR_TAG) &&
	       expect(!unlink(FILE_A));
}

static int links_are_not_followed(void)
{
	struct vcmd_ctx_iattr_v1 attr = { .name = LINK };
	int ok = make(FILE_A) && expect(!symlink(FILE_A, LINK)) &&
		 expect(!vserver(VCMD_get_iattr, 0, &attr)) &&
		 expect(attr.mask == IATTR_TAG) &&
		 expect(!set(LINK, XID, 0, IATTR_TAG)) &&
		 is(FILE_A, 0, 0, UNIFIED | IATTR_TAG) &&
		 expect(!vserver(VCMD_get_iattr, 0, &attr)) &&
		 expect(attr.xid == XID);

	return expect(!unlink(LINK)) && expect(!unlink(FILE_A)) && ok;
}

/* Nobody is told there whose a file is. */
static int look_inside(const void *arg)
{
	go(INSIDE);
	return is(FILE_A, 0, 0, UNIFIED);
}

static int tags_do_not_show_inside(void)
{
	int ok = make(FILE_A) && expect(!set(FILE_A, OWN, 0, IATTR_TAG)) &&
		 child(look_inside, NULL) == 1;

	return expect(!unlink(FILE_A)) && ok;
}

static unsigned long long inode(const char *name)
{
	struct stat st = {};

	stat(name, &st);
	return st.st_ino;
}

/* The name of one file goes to the other, and gets a file of its own. */
static int unify_both(void)
{
	int a = open(FILE_A, O_RDONLY), b = open(FILE_B, O_RDONLY);
	struct vcmd_unify_v0 unify = { .fd = b };
	int ok = expect(vserver(VCMD_unify, a, &unify) == -ESTALE) &&
		 expect(!set(FILE_A, 0, UNIFIED, UNIFIED)) &&
		 expect(vserver(VCMD_unify, a, &unify) == -ENOENT) &&
		 expect(!set(FILE_B, 0, UNIFIED, UNIFIED)) &&
		 expect(!vserver(VCMD_unify, a, &unify)) &&
		 expect(inode(FILE_A) == inode(FILE_B)) &&
		 expect(vserver(VCMD_unify, a, &unify) == -ESTALE);

	close(a);
	close(b);
	a = open(FILE_A, O_RDONLY);
	ok = ok && expect(!vserver(VCMD_deunify, a, NULL)) &&
	     expect(inode(FILE_A) != inode(FILE_B)) &&
	     is(FILE_A, 0, 0, UNIFIED | IATTR_TAG) &&
	     is(FILE_B, 0, UNIFIED, UNIFIED);
	close(a);
	return ok;
}

static int files_are_unified(void)
{
	int ok = make(FILE_A) && make(FILE_B) &&
		 expect(inode(FILE_A) != inode(FILE_B)) && unify_both();

	return expect(!unlink(FILE_A)) && expect(!unlink(FILE_B)) && ok;
}

const struct effect file_effects[] = {
	EFFECT(attributes_stick),
	EFFECT(directories_have_barriers),
	EFFECT(entries_stick),
	EFFECT(attributes_are_refused),
	EFFECT(links_are_not_followed),
	EFFECT(tags_do_not_show_inside),
	EFFECT(files_are_unified),
	{}
};
