// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: registration with the security framework */

#define pr_fmt(fmt) "vserver: " fmt

#include <linux/init.h>
#include <linux/lsm_hooks.h>
#include <linux/vserver_limit.h>
#include <uapi/linux/lsm.h>

#include "internal.h"

/* False if the kernel was booted without this security module. */
bool vserver_lsm_enabled __ro_after_init;

struct lsm_blob_sizes vserver_blob_sizes __ro_after_init = {
	.lbs_cred = sizeof(struct vserver_cred),
	.lbs_task = sizeof(struct vserver_task),
	.lbs_inode = sizeof(struct vserver_inode),
	.lbs_superblock = sizeof(struct vserver_sb),
	.lbs_file = sizeof(struct vserver_file),
	.lbs_sock = sizeof(struct vserver_sock),
	.lbs_ipc = sizeof(struct vserver_ipc),
	.lbs_key = sizeof(struct vserver_key),
	.lbs_xattr_count = 1,
};

static const struct lsm_id vserver_lsmid = {
	.name = "vserver",
	.id = LSM_ID_VSERVER,
};

/*
 * What is asked while there is no context, too: unified files, tags and disk
 * limits outlast contexts, and are guarded without the module; who made a mount
 * or a key, or is to get a file's signals, is known ever after.
 */
static struct security_hook_list vserver_hooks[] __ro_after_init = {
	LSM_HOOK_INIT(sb_alloc_security, vserver_sb_alloc),
	LSM_HOOK_INIT(sb_delete, vserver_sb_delete),
	LSM_HOOK_INIT(sb_free_security, vserver_dlimit_free),
	LSM_HOOK_INIT(sb_show_options, vserver_sb_show_options),
	LSM_HOOK_INIT(fs_context_parse_param, vserver_fs_context_parse_param),
	LSM_HOOK_INIT(task_alloc, vserver_task_alloc),
	LSM_HOOK_INIT(task_free, vserver_task_free),
	LSM_HOOK_INIT(inode_setattr, vserver_inode_setattr),
	LSM_HOOK_INIT(inode_post_setattr, vserver_inode_post_setattr),
	LSM_HOOK_INIT(inode_setxattr, vserver_inode_setxattr),
	LSM_HOOK_INIT(inode_removexattr, vserver_inode_removexattr),
	LSM_HOOK_INIT(inode_post_setxattr, vserver_inode_post_setxattr),
	LSM_HOOK_INIT(inode_post_removexattr, vserver_inode_post_removexattr),
	LSM_HOOK_INIT(inode_getxattr, vserver_inode_getxattr),
	LSM_HOOK_INIT(inode_copy_up_xattr, vserver_inode_copy_up_xattr),
	LSM_HOOK_INIT(inode_set_acl, vserver_inode_set_acl),
	LSM_HOOK_INIT(inode_init_security, vserver_inode_init_security),
	LSM_HOOK_INIT(d_instantiate, vserver_d_instantiate),
	LSM_HOOK_INIT(inode_file_setattr, vserver_inode_file_setattr),
	LSM_HOOK_INIT(quota_on, vserver_quota_on),
	LSM_HOOK_INIT(file_set_fowner, vserver_file_set_fowner),
	LSM_HOOK_INIT(file_send_sigiotask, vserver_file_send_sigiotask),
	LSM_HOOK_INIT(file_ioctl, vserver_file_ioctl),
	LSM_HOOK_INIT(file_ioctl_compat, vserver_file_ioctl),
#ifdef CONFIG_KEYS
	LSM_HOOK_INIT(key_alloc, vserver_key_alloc),
#endif
};

/* What asks which context somebody is in: see vserver_hooks_switch(). */
static struct security_hook_list vserver_ctx_hooks[] __ro_after_init = {
	LSM_HOOK_INIT(bprm_committed_creds, vserver_bprm_committed_creds),
	LSM_HOOK_INIT(cred_prepare, vserver_cred_prepare),
	LSM_HOOK_INIT(cred_transfer, vserver_cred_transfer),
	LSM_HOOK_INIT(cred_free, vserver_cred_free),
	LSM_HOOK_INIT(userns_create, vserver_userns_create),
	LSM_HOOK_INIT(syslog, vserver_syslog),
	LSM_HOOK_INIT(netlink_send, vserver_netlink_send),
	LSM_HOOK_INIT(kernel_module_request, vserver_kernel_module_request),
	LSM_HOOK_INIT(kernel_load_data, vserver_kernel_load_data),
	LSM_HOOK_INIT(kernel_read_file, vserver_kernel_read_file),
	LSM_HOOK_INIT(inode_permission, vserver_inode_permission),
	LSM_HOOK_INIT(inode_listxattr, vserver_inode_read),
	LSM_HOOK_INIT(inode_get_acl, vserver_inode_acl),
	LSM_HOOK_INIT(inode_remove_acl, vserver_inode_acl),
	LSM_HOOK_INIT(inode_file_getattr, vserver_inode_file_getattr),
	LSM_HOOK_INIT(inode_link, vserver_inode_link),
	LSM_HOOK_INIT(inode_unlink, vserver_inode_unlink),
	LSM_HOOK_INIT(inode_rmdir, vserver_inode_unlink),
	LSM_HOOK_INIT(inode_rename, vserver_inode_rename),
	LSM_HOOK_INIT(inode_readlink, vserver_inode_read),
	LSM_HOOK_INIT(inode_follow_link, vserver_inode_follow_link),

	LSM_HOOK_INIT(task_kill, vserver_task_kill),
	LSM_HOOK_INIT(ptrace_access_check, vserver_ptrace_access_check),
	LSM_HOOK_INIT(ptrace_traceme, vserver_ptrace_traceme),
	LSM_HOOK_INIT(task_setpgid, vserver_task_setpgid),
	LSM_HOOK_INIT(task_getpgid, vserver_task_hidden),
	LSM_HOOK_INIT(task_getsid, vserver_task_hidden),
	LSM_HOOK_INIT(task_setnice, vserver_task_setnice),
	LSM_HOOK_INIT(task_setioprio, vserver_task_setioprio),
	LSM_HOOK_INIT(task_getioprio, vserver_task_hidden),
	LSM_HOOK_INIT(task_setscheduler, vserver_task_setscheduler),
	LSM_HOOK_INIT(task_getscheduler, vserver_task_hidden),
	LSM_HOOK_INIT(task_movememory, vserver_task_hidden),
	LSM_HOOK_INIT(task_prlimit, vserver_task_prlimit),
	LSM_HOOK_INIT(capget, vserver_capget),
	LSM_HOOK_INIT(file_fcntl, vserver_file_fcntl),
	LSM_HOOK_INIT(file_receive, vserver_file_receive),

	LSM_HOOK_INIT(msg_queue_alloc_security, vserver_ipc_alloc),
	LSM_HOOK_INIT(shm_alloc_security, vserver_ipc_alloc),
	LSM_HOOK_INIT(sem_alloc_security, vserver_ipc_alloc),
	LSM_HOOK_INIT(ipc_permission, vserver_ipc_permission),
	LSM_HOOK_INIT(msg_queue_msgctl, vserver_ipc_ctl),
	LSM_HOOK_INIT(shm_shmctl, vserver_ipc_ctl),
	LSM_HOOK_INIT(sem_semctl, vserver_ipc_ctl),
	LSM_HOOK_INIT(unix_stream_connect, vserver_unix_stream_connect),
	LSM_HOOK_INIT(unix_may_send, vserver_unix_may_send),

#ifdef CONFIG_KEYS
	LSM_HOOK_INIT(key_permission, vserver_key_permission),
#endif
#ifdef CONFIG_BPF_SYSCALL
	LSM_HOOK_INIT(bpf, vserver_bpf),
#endif
#ifdef CONFIG_PERF_EVENTS
	LSM_HOOK_INIT(perf_event_alloc, vserver_perf_event_alloc),
#endif
#ifdef CONFIG_IO_URING
	LSM_HOOK_INIT(uring_override_creds, vserver_uring_override_creds),
#endif
	LSM_HOOK_INIT(path_notify, vserver_path_notify),

	LSM_HOOK_INIT(file_alloc_security, vserver_file_alloc),
	LSM_HOOK_INIT(file_release, vserver_file_release),
	LSM_HOOK_INIT(file_free_security, vserver_file_free),
	LSM_HOOK_INIT(msg_queue_free_security, __vserver_ipc_uncharge),
	LSM_HOOK_INIT(shm_free_security, __vserver_ipc_uncharge),
	LSM_HOOK_INIT(sem_free_security, __vserver_ipc_uncharge),
	LSM_HOOK_INIT(socket_post_create, vserver_socket_post_create),
	LSM_HOOK_INIT(socket_accept, vserver_socket_accept),
	LSM_HOOK_INIT(sk_clone_security, vserver_sk_clone),
	LSM_HOOK_INIT(sk_free_security, vserver_sk_free),
};

/**
 * vserver_hooks_switch - have the hooks called that ask for a context, or not
 * @on:	have them called
 *
 * They are on the way of every open file and every component of a path. May
 * sleep.
 */
void vserver_hooks_switch(bool on)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vserver_ctx_hooks); i++) {
		struct lsm_static_call *call = vserver_ctx_hooks[i].scalls;

		for (unsigned int n = 0; n < MAX_LSM_COUNT; n++, call++) {
			if (call->hl != &vserver_ctx_hooks[i])
				continue;
			if (on)
				static_branch_enable(call->active);
			else
				static_branch_disable(call->active);
			break;
		}
	}
}

static int __init vserver_lsm_init(void)
{
	security_add_hooks(vserver_hooks, ARRAY_SIZE(vserver_hooks),
			   &vserver_lsmid);
	security_add_hooks(vserver_ctx_hooks, ARRAY_SIZE(vserver_ctx_hooks),
			   &vserver_lsmid);
	vserver_hooks_switch(false);
	vserver_lsm_enabled = true;
	pr_info("Up and running.\n");
	return 0;
}

DEFINE_LSM(vserver) = {
	.id = &vserver_lsmid,
	.order = LSM_ORDER_LAST,
	.init = vserver_lsm_init,
	.initcall_fs = vserver_sysctl_init,
	.blobs = &vserver_blob_sizes,
};
