/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vserver

#if !defined(_TRACE_VSERVER_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VSERVER_H

#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/tracepoint.h>
#include <linux/vserver_cow.h>
#include <linux/vserver_sched.h>

/*
 * A link of a unified file was broken, or could not be.
 *
 * @path is what the name is in the mount namespace, whatever the caller's root
 * is, with blanks and backslashes escaped as in /proc/self/mounts. @size is
 * what the file had of content when it became private. @copy is the inode that
 * has the name since then: the same if the file was the last name's (how is
 * clear), NULL if @ret says why nothing has changed (how is fail).
 */
TRACE_EVENT(vserver_cow_break,
	    TP_PROTO(const char *path, const struct inode *inode,
		     const struct inode *copy, u32 xid, int how, u64 size,
		     u64 ns, int ret),
	    TP_ARGS(path, inode, copy, xid, how, size, ns, ret),
	    TP_STRUCT__entry(__field(u64, ino)
			     __field(u64, new_ino)
			     __field(u64, size)
			     __field(u64, ns)
			     __field(dev_t, dev)
			     __field(u32, xid)
			     __field(int, how)
			     __field(int, ret)
			     __string(path, path)
	    ),
	    TP_fast_assign(__entry->ino = inode->i_ino;
			   __entry->new_ino = copy ? copy->i_ino : 0;
			   __entry->size = size;
			   __entry->ns = ns;
			   __entry->dev = inode->i_sb->s_dev;
			   __entry->xid = xid;
			   __entry->how = how;
			   __entry->ret = ret;
			   __assign_str(path);
	    ),
	    TP_printk("path=%s size=%llu how=%s ns=%llu ret=%d xid=%u dev=%u:%u ino=%llu new_ino=%llu",
		      __get_str(path), __entry->size,
		      __print_symbolic(__entry->how,
				       { VSERVER_COW_FAIL, "fail" },
				       { VSERVER_COW_CLONE, "clone" },
				       { VSERVER_COW_COPY, "copy" },
				       { VSERVER_COW_CLEAR, "clear" }),
		      __entry->ns, __entry->ret, __entry->xid,
		      MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		      __entry->new_ino)
);

/* The caller waits for tokens. Both have the xid of its context. */
TRACE_EVENT(vserver_hold,
	    TP_PROTO(u32 xid),
	    TP_ARGS(xid),
	    TP_STRUCT__entry(__field(u32, xid)),
	    TP_fast_assign(__entry->xid = xid;),
	    TP_printk("xid=%u", __entry->xid)
);

/*
 * It goes on, @ns nanoseconds later: with tokens, on idle time, or because a
 * signal came. It then waits again when that has been handled, unless it dies
 * of it.
 */
TRACE_EVENT(vserver_release,
	    TP_PROTO(u32 xid, u64 ns, enum vserver_release why),
	    TP_ARGS(xid, ns, why),
	    TP_STRUCT__entry(__field(u64, ns)
			     __field(u32, xid)
			     __field(u8, why)
	    ),
	    TP_fast_assign(__entry->ns = ns;
			   __entry->xid = xid;
			   __entry->why = why;
	    ),
	    TP_printk("xid=%u ns=%llu for=%s", __entry->xid, __entry->ns,
		      __print_symbolic(__entry->why,
				       { VSERVER_RELEASE_SIGNAL, "signal" },
				       { VSERVER_RELEASE_TOKENS, "tokens" },
				       { VSERVER_RELEASE_IDLE, "idle" }))
);

#endif /* _TRACE_VSERVER_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
