/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what its files share */
#ifndef _SECURITY_VSERVER_INTERNAL_H
#define _SECURITY_VSERVER_INTERNAL_H

#include <linux/cred.h>
#include <linux/lsm_hooks.h>
#include <linux/sched.h>
#include <linux/vserver.h>

struct audit_context;

/**
 * struct vserver_task - the task's blob
 * @ctx:	the context, with a reference; NULL on the host and in the
 *		spectator context. Written by the task itself (and by its parent
 *		before it runs), read by others under RCU or the run queue's
 *		lock. Once set it is never cleared while the task lives.
 * @xid:	the context's id; 0 is the host, 1 the spectator
 * @counted:	the task is one of @ctx->tasks; its own from fork to exit
 * @hold:	the task waits for tokens before it returns to user mode; set
 *		under the run queue's lock, cleared by the task itself
 */
struct vserver_task {
	struct vserver_ctx *ctx;
	u32 xid;
	bool counted;
	bool hold;
};

/**
 * struct vserver_inode - the inode's blob
 * @state:	what is known of security.vserver, see inode.c
 * @origin_gen:	generation and
 * @origin_ino:	number of the unified inode that this one is the private copy
 *		of; 0 if none. Written before the inode is visible.
 */
struct vserver_inode {
	u32 state;
	u32 origin_gen;
	u64 origin_ino;
};

/**
 * struct vserver_cred - the credentials' blob
 * @ctx:	the context of whom they stand for, with a reference; NULL on
 *		the host. Credentials outlive tasks and act where there is none:
 *		in opened files, in workers. Set before they are used.
 * @silent:	what is done with them is no event that watchers hear of; set
 *		before they are used, and not inherited
 */
struct vserver_cred {
	struct vserver_ctx *ctx;
	bool silent;
};

extern struct lsm_blob_sizes vserver_blob_sizes;
extern bool vserver_lsm_enabled;

static inline struct vserver_task *vserver_task(const struct task_struct *p)
{
	return p->security + vserver_blob_sizes.lbs_task;
}

static inline struct vserver_cred *vserver_cred(const struct cred *cred)
{
	return cred->security + vserver_blob_sizes.lbs_cred;
}

/* NULL for an inode that was made before the security framework was up. */
static inline struct vserver_inode *vserver_inode(const struct inode *inode)
{
	if (unlikely(!inode->i_security))
		return NULL;
	return inode->i_security + vserver_blob_sizes.lbs_inode;
}

/* cred.c */
int vserver_cred_prepare(struct cred *new, const struct cred *old, gfp_t gfp);
void vserver_cred_transfer(struct cred *new, const struct cred *old);
void vserver_cred_free(struct cred *cred);
int vserver_capable(const struct cred *cred, struct user_namespace *ns, int cap,
		    unsigned int opts);

bool vserver_may_cut(const struct path *path);
int vserver_is_unified(struct inode *inode);
int vserver_task_alloc(struct task_struct *p, u64 clone_flags);
void vserver_task_free(struct task_struct *p);
int vserver_inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry,
			   const char *name, const void *value, size_t size,
			   int flags);
int vserver_inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry,
			      const char *name);
int vserver_inode_file_setattr(struct dentry *dentry, struct file_kattr *fa);
int vserver_quota_on(struct dentry *dentry);
int vserver_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/*
 * vserver_inode::state: the attribute's flags, once they are known. Readers
 * only ever go from unknown to known; changes are made under the inode's lock.
 * The local bits are no part of the attribute: the breaking bit is a lock of
 * its own, the swept one, of a directory, comes and goes with the inode.
 */
#define VSERVER_STATE_KNOWN	0x80000000u
#define VSERVER_STATE_BREAKING	0x40000000u	/* somebody breaks a link */
#define VSERVER_STATE_SWEPT	0x20000000u	/* no debris of a crash in it */
#define VSERVER_STATE_LOCAL	(VSERVER_STATE_BREAKING | VSERVER_STATE_SWEPT)

/* The type of vserver_ops.charge(); there is no such function. */
bool vserver_charge_type(struct vserver_ctx *ctx, u64 ns);

/* ops.c: the registered operations, pinned for one call, or NULL */
const struct vserver_ops *vserver_ops_get(void);
void vserver_ops_put(const struct vserver_ops *ops);

/* ops.c: contexts and calls in progress, which need the operations */
void vserver_users_inc(void);
void vserver_users_dec(void);

/* audit.c */
#ifdef CONFIG_AUDITSYSCALL
struct audit_context *vserver_audit_pause(void);
void vserver_audit_resume(struct audit_context *context, dev_t dev, u64 ino,
			  const struct inode *inode);
#else
static inline struct audit_context *vserver_audit_pause(void)
{
	return NULL;
}

static inline void vserver_audit_resume(struct audit_context *context,
					dev_t dev, u64 ino,
					const struct inode *inode)
{
}
#endif

#endif /* _SECURITY_VSERVER_INTERNAL_H */
