// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: registration with the security framework */

#define pr_fmt(fmt) "vserver: " fmt

#include <linux/init.h>
#include <linux/lsm_hooks.h>
#include <uapi/linux/lsm.h>

#include "internal.h"

/* False if the kernel was booted without this security module. */
bool vserver_lsm_enabled __ro_after_init;

struct lsm_blob_sizes vserver_blob_sizes __ro_after_init = {
	.lbs_cred = sizeof(struct vserver_cred),
	.lbs_task = sizeof(struct vserver_task),
	.lbs_inode = sizeof(struct vserver_inode),
};

static const struct lsm_id vserver_lsmid = {
	.name = "vserver",
	.id = LSM_ID_VSERVER,
};

static struct security_hook_list vserver_hooks[] __ro_after_init = {
	LSM_HOOK_INIT(task_alloc, vserver_task_alloc),
	LSM_HOOK_INIT(task_free, vserver_task_free),
	LSM_HOOK_INIT(cred_prepare, vserver_cred_prepare),
	LSM_HOOK_INIT(cred_transfer, vserver_cred_transfer),
	LSM_HOOK_INIT(cred_free, vserver_cred_free),
	LSM_HOOK_INIT(capable, vserver_capable),
	LSM_HOOK_INIT(inode_setxattr, vserver_inode_setxattr),
	LSM_HOOK_INIT(inode_removexattr, vserver_inode_removexattr),
	LSM_HOOK_INIT(inode_file_setattr, vserver_inode_file_setattr),
	LSM_HOOK_INIT(quota_on, vserver_quota_on),
	LSM_HOOK_INIT(file_ioctl, vserver_file_ioctl),
	LSM_HOOK_INIT(file_ioctl_compat, vserver_file_ioctl),
};

static int __init vserver_lsm_init(void)
{
	security_add_hooks(vserver_hooks, ARRAY_SIZE(vserver_hooks),
			   &vserver_lsmid);
	vserver_lsm_enabled = true;
	pr_info("Up and running.\n");
	return 0;
}

DEFINE_LSM(vserver) = {
	.id = &vserver_lsmid,
	.order = LSM_ORDER_LAST,
	.init = vserver_lsm_init,
	.blobs = &vserver_blob_sizes,
};
