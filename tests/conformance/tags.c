// SPDX-License-Identifier: GPL-2.0
/* Tags: to which context what a process makes belongs. */

#include "effects.h"

#define MADE		TAGGED "/made"

static int task_tag(pid_t pid)
{
	return vserver(VCMD_task_tag, pid, NULL);
}

static int tag_migrate(unsigned int xid)
{
	return vserver(VCMD_tag_migrate, xid, NULL);
}

/* A file that the caller makes belongs to @xid. */
static int makes_of(unsigned int xid)
{
	struct vcmd_ctx_fiattr_v0 attr = { .xid = ~0u };
	int fd = open(MADE, O_RDONLY | O_CREAT, 0644);
	int ok = expect(fd >= 0) &&
		 expect(!vserver(VCMD_fget_iattr, fd, &attr)) &&
		 expect(attr.mask & IATTR_TAG) && expect(attr.xid == xid);

	close(fd);
	return expect(!unlink(MADE)) && ok;
}

static int tag_on_host(const void *arg)
{
	return expect(task_tag(0) == 0) && makes_of(0) &&
	       expect(!tag_migrate(XID)) && expect(task_tag(0) == XID) &&
	       expect(task_xid(0) == 0) && makes_of(XID) &&
	       expect(!tag_migrate(VX_XID_MAX)) && makes_of(VX_XID_MAX) &&
	       expect(tag_migrate(VX_XID_WATCH) == -EINVAL) &&
	       expect(tag_migrate(VX_XID_MAX + 1) == -EINVAL) &&
	       expect(tag_migrate(VX_XID_ANY) == -EINVAL) &&
	       makes_of(VX_XID_MAX) && expect(!tag_migrate(VX_XID_SELF)) &&
	       expect(task_tag(0) == 0) && makes_of(0) &&
	       expect(task_tag(guest) == XID);
}

static int tag_inside(const void *arg)
{
	if (!expect(!tag_migrate(XID)))
		return 0;
	go(INSIDE);
	return expect(task_tag(0) == OWN) && expect(!tag_migrate(OWN)) &&
	       expect(!tag_migrate(VX_XID_SELF)) &&
	       expect(tag_migrate(XID) == -EPERM) &&
	       expect(tag_migrate(0) == -EPERM) && expect(task_tag(0) == OWN) &&
	       expect(task_tag(guest) == -ESRCH);
}

static int tags_are_given(void)
{
	return child(tag_on_host, NULL) == 1;
}

static int tags_inside_are_the_contexts(void)
{
	return child(tag_inside, NULL) == 1;
}

const struct effect tag_effects[] = {
	EFFECT(tags_are_given),
	EFFECT(tags_inside_are_the_contexts),
	{}
};
