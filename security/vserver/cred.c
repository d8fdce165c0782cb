// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: whose credentials they are, and what they can */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/vserver_caps.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

/* Hooks: new credentials stand for whom the old ones did, if for anybody. */
int vserver_cred_prepare(struct cred *new, const struct cred *old, gfp_t gfp)
{
	struct vserver_ctx *ctx = vserver_cred(old)->ctx;

	if (ctx)
		vserver_ctx_get(ctx);
	vserver_cred(new)->ctx = ctx;
	return 0;
}

void vserver_cred_transfer(struct cred *new, const struct cred *old)
{
	vserver_cred_prepare(new, old, GFP_KERNEL);
}

/* May run in softirq. */
void vserver_cred_free(struct cred *cred)
{
	struct vserver_ctx *ctx = vserver_cred(cred)->ctx;

	if (ctx)
		vserver_ctx_put(ctx);
}

/*
 * A context bounds what credentials can, in every user namespace. While it is
 * being set up it holds nobody but who does that.
 */
int __vserver_capable(const struct cred *cred, int cap)
{
	const struct vserver_ctx *ctx = vserver_cred(cred)->ctx;

	if (likely(!ctx) || READ_ONCE(ctx->bcaps) & BIT_ULL(cap) ||
	    READ_ONCE(ctx->flags) & VXF_STATE_SETUP)
		return 0;
	if (vserver_task(current)->lent == cap + 1 && cred == current_cred())
		return 0;
	return -EPERM;
}
