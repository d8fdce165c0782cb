// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: a context's init as process 1
 *
 * The machine's own process 1 is never inside, so 1 is free there. What is
 * translated is what the caller gets to see and what the caller names;
 * numbers that the kernel keeps are as they are.
 */

#include <linux/export.h>
#include <linux/pid_namespace.h>
#include <linux/vserver_init.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

static pid_t vserver_ctx_fake_init(const struct vserver_ctx *ctx,
				   const struct pid_namespace *ns)
{
	if (ns != &init_pid_ns || !(READ_ONCE(ctx->flags) & VXF_INFO_INIT))
		return 0;
	return max(READ_ONCE(ctx->init), 0);
}

/* The number of the process that the caller knows as 1, or 0. */
static pid_t vserver_fake_init(const struct pid_namespace *ns)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;

	return ctx ? vserver_ctx_fake_init(ctx, ns) : 0;
}

pid_t __vserver_shown_nr(pid_t nr, const struct pid_namespace *ns)
{
	pid_t init = vserver_fake_init(ns);

	if (!init)
		return nr;
	if (nr == init)
		return 1;
	return nr == 1 ? 0 : nr;
}

pid_t __vserver_real_nr(pid_t nr, const struct pid_namespace *ns)
{
	pid_t init = vserver_fake_init(ns);

	if (!init)
		return nr;
	if (nr == 1)
		return init;
	return nr == init ? 0 : nr;
}

/**
 * vserver_ctx_init_nr - a context's init, as the caller knows it
 * @ctx:	the context
 *
 * Return: its number, 0 if there is none.
 */
pid_t vserver_ctx_init_nr(const struct vserver_ctx *ctx)
{
	return __vserver_shown_nr(max(READ_ONCE(ctx->init), 0), &init_pid_ns);
}
EXPORT_SYMBOL_GPL(vserver_ctx_init_nr);
