// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: what audit sees of a broken link
 *
 * The break is the kernel's own doing: the system call's records are those that
 * it would have on a plain file. So audit looks away while the copy is made and
 * gets its name, or else there would be records of a temporary name, and then
 * the record of the file names the inode that is modified. A watch on the file
 * has gone over to that inode too, and matches.
 */

#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/sched.h>

/* struct audit_context is nobody else's business, but there is no call for this. */
#include "../../kernel/audit.h"
#include "internal.h"

/**
 * vserver_audit_pause - record nothing of what the current task does
 *
 * Return: what vserver_audit_resume() wants.
 */
struct audit_context *vserver_audit_pause(void)
{
	struct audit_context *context = audit_context();

	audit_set_context(current, NULL);
	return context;
}

/**
 * vserver_audit_resume - record again
 * @context:	from vserver_audit_pause()
 */
void vserver_audit_resume(struct audit_context *context)
{
	audit_set_context(current, context);
}

/**
 * vserver_audit_moved - know a file by its new inode
 * @dev:	device and
 * @ino:	number of the unified inode that was looked up
 * @inode:	what its name leads to now; all else of a copy is as it was
 */
void vserver_audit_moved(dev_t dev, u64 ino, const struct inode *inode)
{
	struct audit_context *context = audit_context();
	struct audit_names *n;

	if (audit_dummy_context() || inode->i_ino == ino)
		return;
	list_for_each_entry(n, &context->names_list, list) {
		if (n->ino == ino && n->dev == dev)
			n->ino = inode->i_ino;
	}
}
