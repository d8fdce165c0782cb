// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: tracepoints, and what the one of broken links says */

#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vserver.h>
#include <linux/vserver_cow.h>

#define CREATE_TRACE_POINTS
#include <trace/events/vserver.h>

/* An event must fit into a page of the ring buffer: so much of a path's end. */
#define VSERVER_TRACE_PATH	2048

/*
 * The name of @path in @buf, of PATH_MAX bytes. A guest that chooses the name
 * must not be able to write lines of a trace.
 */
static const char *vserver_trace_name(const struct path *path, char *buf)
{
	char *name, *end;

	name = d_absolute_path(path, buf, PATH_MAX);
	if (IS_ERR(name))
		return PTR_ERR(name) == -EINVAL ? "(unreachable)" : "?";
	end = mangle_path(buf, name, " \t\n\\");
	if (!end)
		return "?";
	*end = '\0';
	if (end - buf <= VSERVER_TRACE_PATH)
		return buf;
	name = end - VSERVER_TRACE_PATH;
	memcpy(name, "...", 3);
	return name;
}

/**
 * vserver_cow_report - tell who traces that a link was broken, or was not
 * @old:	the path as it was
 * @new:	what has the name now; NULL if the break failed
 * @how:	VSERVER_COW_*
 * @size:	of the content that the file kept
 * @ns:		the time it took
 * @ret:	0 or a negative errno
 *
 * Process context, no locks held; allocates only while somebody traces.
 */
void vserver_cow_report(const struct path *old, const struct path *new,
			int how, u64 size, u64 ns, int ret)
{
	const struct inode *copy = new ? d_backing_inode(new->dentry) : NULL;
	char *buf;

	if (!trace_vserver_cow_break_enabled())
		return;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	trace_vserver_cow_break(buf ? vserver_trace_name(new ?: old, buf) : "?",
				d_backing_inode(old->dentry), copy,
				vserver_current_xid(), how, size, ns, ret);
	kfree(buf);
}
EXPORT_SYMBOL_GPL(vserver_cow_report);
