/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer, built-in part: what its files share */
#ifndef _SECURITY_VSERVER_INTERNAL_H
#define _SECURITY_VSERVER_INTERNAL_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/ipc.h>
#include <linux/jump_label.h>
#include <linux/key.h>
#include <linux/lsm_hooks.h>
#include <linux/mmzone.h>
#include <linux/sched.h>
#include <linux/xarray.h>
#include <linux/xattr.h>
#include <linux/vserver.h>
#include <linux/vserver_btrfs.h>
#include <linux/vserver_sched.h>
#include <net/sock.h>
#include <uapi/linux/vserver.h>

/*
 * On from the first context of a module that is registered until it goes.
 * Contexts pin it: without the key no blob has one.
 */
DECLARE_STATIC_KEY_FALSE(vserver_key);

struct audit_context;
struct fs_context;
struct fs_parameter;
struct linux_binprm;
struct seq_file;
struct sysinfo;
union bpf_attr;

/**
 * struct vserver_task - the task's blob
 * @ctx:	the context, with a reference; NULL on the host and in the
 *		spectator context. Written by the task itself (and by its parent
 *		before it runs), read by others under RCU or the run queue's
 *		lock. Once set it is never cleared while the task lives.
 * @xid:	the context's id; 0 is the host, 1 the spectator
 * @counted:	the task is one of @ctx->tasks; its own from fork to exit
 * @entered:	it came from outside, or descends from who did, and has run nothing
 *		of the context's yet: cleared by exec. Set before @ctx is.
 * @tag:	to which context belongs what it makes: @xid, or what tag_migrate
 *		said on the host. Its own.
 * @lent:	a capability, plus 1, that the context does not take away in a
 *		check under way; 0 if there is none. Its own.
 * @hold:	the task waits for tokens before it returns to user mode; set
 *		under the run queue's lock, cleared by the task itself
 * @refused_by: the file system where a disk limit refused what it was charged for
 *		last, if nobody has asked yet; its own, and only compared
 * @prio_bias:	what of @ctx->prio_bias its weight has; its own, and its
 *		parent's until it runs
 * @btrfs_hold:	its own
 * @hold_ns:	how long it waited for tokens, see cpu_use.c; its own, as is
 * @turn_ns:	how long it had run when its last turn began
 */
struct vserver_task {
	struct vserver_ctx *ctx;
	u32 xid;
	u32 tag;
	bool counted;
	u8 lent;
	bool hold;
	s8 prio_bias;
	bool entered;
	const struct super_block *refused_by;
	struct vserver_btrfs_hold btrfs_hold;
	u64 hold_ns;
	u64 turn_ns;
};

/**
 * struct vserver_inode - the inode's blob
 * @state:	what is known of security.vserver, see below
 * @other_gen:	generation and
 * @other_ino:	number of another inode of the file system, 0 if none: of the
 *		unified one that this is a private copy of, written before
 *		anybody sees the copy; or, with VSERVER_STATE_HEIR, of the one
 *		that a name of this one went to last
 * @delalloc:	blocks that are reserved for it on btrfs; under i_lock
 * @owners:	with VSERVER_STATE_CHOWN, whom its space is charged to; under i_lock
 */
struct vserver_inode {
	u64 state;
	u64 other_ino;
	u32 other_gen;
	u32 delalloc;
	struct vserver_owners owners;
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

/**
 * struct vserver_file - an opened file's blob
 * @ctx:	the context that the file is counted to; NULL on the host. Valid as
 *		long as the file: its credentials hold the reference.
 * @owner:	who is told of events by signals: a context's serial number, or
 *		%VSERVER_OWNER_HOST. Written under the lock of the file's f_owner.
 */
struct vserver_file {
	struct vserver_ctx *ctx;
	u64 owner;
};

/**
 * struct vserver_sock - a socket's blob
 * @ctx:	the context that the socket is counted to, with a reference, until
 *		it is closed; read by others under RCU. NULL on the host.
 */
struct vserver_sock {
	struct vserver_ctx *ctx;
};

/**
 * struct vserver_ipc - the blob of an object of System V IPC
 * @ctx:	the context that the object is counted to, with a reference, until
 *		it is removed; NULL on the host
 * @id:		as what, and
 * @n:		how much it counts
 * @owner:	whose it is, as for a file; constant
 */
struct vserver_ipc {
	struct vserver_ctx *ctx;
	unsigned int id;
	unsigned long n;
	u64 owner;
};

/**
 * struct vserver_sb - a superblock's blob
 * @owner:	whose mount made it, as for a file; constant. What is mounted while
 *		the context is set up is the host's.
 * @tag:	%VSERVER_TAGGED and the xid of files that have none, if it is mounted
 *		with the option tag; else 0. Constant once it is in use.
 * @damage_reported: an attribute that is not valid was found and reported
 * @kept:	what contexts have of it may be written down there. Written, as is
 * @resting:	nobody can write to it, and it becomes read-only, with s_umount held.
 * @root:	its root directory, with a reference until it is unmounted, if what
 *		contexts have of it can be written down; else NULL
 * @dlimits:	what contexts may have of it, by xid; read under RCU
 */
struct vserver_sb {
	u64 owner;
	u32 tag;
	bool damage_reported;
	bool kept;
	bool resting;
	struct inode *root;
	struct xarray dlimits;
};

/* Of vserver_sb::tag and fs_context::vserver_tag */
#define VSERVER_TAGGED	0x80000000u

/**
 * struct vserver_key - a key's blob
 * @owner:	whose it is, as for a file, or %VSERVER_OWNER_ALL; constant
 */
struct vserver_key {
	u64 owner;
};

#define VSERVER_OWNER_HOST	0ull
#define VSERVER_OWNER_ALL	(~0ull)	/* a key that the kernel made for itself */

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

static inline struct vserver_file *vserver_file(const struct file *file)
{
	return file->f_security + vserver_blob_sizes.lbs_file;
}

static inline struct vserver_sb *vserver_sb(const struct super_block *sb)
{
	return sb->s_security + vserver_blob_sizes.lbs_superblock;
}

static inline struct vserver_sock *vserver_sock(const struct sock *sk)
{
	return sk->sk_security + vserver_blob_sizes.lbs_sock;
}

/* NULL if its creation failed before it had one. */
static inline struct vserver_ipc *vserver_ipc(const struct kern_ipc_perm *perm)
{
	if (unlikely(!perm->security))
		return NULL;
	return perm->security + vserver_blob_sizes.lbs_ipc;
}

/* The context that holds the caller; while it is set up it holds nobody. */
static inline const struct vserver_ctx *vserver_confining(void)
{
	const struct vserver_ctx *ctx;

	if (!static_branch_unlikely(&vserver_key))
		return NULL;
	ctx = vserver_cred(current_cred())->ctx;
	if (likely(!ctx) || READ_ONCE(ctx->flags) & VXF_STATE_SETUP)
		return NULL;
	return ctx;
}

/* The owner of what is made by somebody in @ctx, NULL for the host. */
static inline u64 vserver_owner(const struct vserver_ctx *ctx)
{
	return ctx ? ctx->serial : VSERVER_OWNER_HOST;
}

/* visible.c: what is behind vserver_visible.h */
bool vserver_task_sees(const struct task_struct *who,
		       const struct task_struct *p);
bool vserver_task_may_trace(const struct task_struct *who,
			    const struct task_struct *p);

/* isolate.c: processes, and files that lead to them */
int vserver_may_clone(u64 clone_flags);
int vserver_task_kill(struct task_struct *p, struct kernel_siginfo *info,
		      int sig, const struct cred *cred);
int vserver_ptrace_access_check(struct task_struct *child, unsigned int mode);
int vserver_ptrace_traceme(struct task_struct *parent);
int vserver_task_setpgid(struct task_struct *p, pid_t pgid);
int vserver_task_setnice(struct task_struct *p, int nice);
int vserver_task_setioprio(struct task_struct *p, int ioprio);
int vserver_task_hidden(struct task_struct *p);
int vserver_task_setscheduler(struct task_struct *p);
int vserver_task_prlimit(const struct cred *cred, const struct cred *tcred,
			 unsigned int flags);
int vserver_capget(const struct task_struct *target, kernel_cap_t *effective,
		   kernel_cap_t *inheritable, kernel_cap_t *permitted);
void vserver_file_set_fowner(struct file *file);
int vserver_file_send_sigiotask(struct task_struct *p,
				struct fown_struct *fown, int sig);
int vserver_file_fcntl(struct file *file, unsigned int cmd, unsigned long arg);
int vserver_file_receive(struct file *file);
int vserver_tty_ioctl(const struct file *file, unsigned int cmd);

/* isolate_ipc.c */
int vserver_ipc_alloc(struct kern_ipc_perm *perm);
int vserver_ipc_permission(struct kern_ipc_perm *perm, short flag);
int vserver_ipc_ctl(struct kern_ipc_perm *perm, int cmd);
int vserver_unix_stream_connect(struct sock *sk, struct sock *other,
				struct sock *newsk);
int vserver_unix_may_send(struct socket *sock, struct socket *other);

#ifdef CONFIG_KEYS
/* isolate_keys.c */
int vserver_key_alloc(struct key *key, const struct cred *cred,
		      unsigned long flags);
int vserver_key_permission(key_ref_t key_ref, const struct cred *cred,
			   enum key_need_perm need);
#endif

/* isolate_kernel.c: what looks at the kernel or at everybody */
int vserver_bpf(int cmd, union bpf_attr *attr, unsigned int size, bool kernel);
int vserver_perf_event_alloc(struct perf_event *event);
int vserver_uring_override_creds(const struct cred *new);
int vserver_path_notify(const struct path *path, u64 mask,
			unsigned int obj_type);

/* mm.c */
int vserver_mm_enter(struct vserver_ctx *ctx);

/* limit.c */
void vserver_limit_init(struct vserver_ctx *ctx);
void vserver_limit_check(const struct vserver_ctx *ctx);
bool vserver_limit_charge(struct vserver_ctx *ctx, unsigned int id, u64 n);
void vserver_limit_force(struct vserver_ctx *ctx, unsigned int id, u64 n);
void vserver_limit_uncharge(struct vserver_ctx *ctx, unsigned int id, u64 n);
u64 vserver_limit_room(const struct vserver_ctx *ctx, unsigned int id);
bool vserver_limit_fits(struct vserver_ctx *ctx, unsigned int id, u64 n);
bool vserver_limit_is_exceeded(struct vserver_ctx *ctx, unsigned int id);

/* charge.c */
int vserver_file_alloc(struct file *file);
void vserver_file_free(struct file *file);

/* socket.c */
int vserver_socket_post_create(struct socket *sock, int family, int type,
			       int protocol, int kern);
int vserver_socket_accept(struct socket *sock, struct socket *newsock);
void vserver_sock_inherit(const struct sock *from, struct sock *to);
void vserver_sk_clone(const struct sock *sk, struct sock *newsk);
void vserver_sk_free(struct sock *sk);
void vserver_file_release(struct file *file);
int vserver_traffic_start(void);
void vserver_traffic_stop(void);

/* cred.c */
int vserver_cred_prepare(struct cred *new, const struct cred *old, gfp_t gfp);
void vserver_cred_transfer(struct cred *new, const struct cred *old);
void vserver_cred_free(struct cred *cred);

/* ccaps.c */
int vserver_userns_create(const struct cred *cred);
int vserver_sb_alloc(struct super_block *sb);
int vserver_fs_context_parse_param(struct fs_context *fc,
				   struct fs_parameter *param);

/* confine.c */
int vserver_inode_permission(struct inode *inode, int mask);
int vserver_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr);
int vserver_xattr_permission(struct mnt_idmap *idmap, struct inode *inode,
			     const char *name);
int vserver_netlink_send(struct sock *sk, struct sk_buff *skb);
int vserver_kernel_module_request(char *name);
int vserver_kernel_load_data(enum kernel_load_data_id id, bool contents);
int vserver_kernel_read_file(struct file *file, enum kernel_read_file_id id,
			     bool contents);
int vserver_syslog(int type);

/* life.c */
int vserver_sysctl_init(void);

/* cow.c */
bool vserver_set_state(struct vserver_inode *vi, u32 bit);
void vserver_clear_state(struct vserver_inode *vi, u32 bit);

/* pages.c */
int vserver_deny_write(struct inode *inode);
void vserver_allow_write(struct inode *inode);
bool vserver_is_used(struct address_space *mapping);
bool vserver_stays_readonly(const struct inode *inode);

/* inode.c */
int vserver_inode_iattr_get(struct inode *inode, u32 *xid, u32 *flags,
			    u32 *mask);
int vserver_inode_iattr_set(const struct path *path, u32 xid, u32 flags,
			    u32 mask);
int vserver_change_iattr(const struct path *path, struct vserver_xattr *old,
			 struct vserver_xattr *new, bool immutable);
u32 vserver_iattr_mask(struct inode *inode);
int vserver_learn(struct inode *inode, bool nowait);
u32 vserver_xattr_to_iattr(const struct inode *inode, u8 flags);
int vserver_change_fsflags(struct mnt_idmap *idmap, struct dentry *dentry,
			   u32 mask, u32 flags);

bool vserver_may_cut(const struct path *path);
int vserver_ask_before_cut(const struct path *path, loff_t length,
			   unsigned int time_attrs, struct file *file);
int vserver_is_unified(struct inode *inode, bool nowait);
int vserver_is_barrier(struct inode *dir, bool nowait);
int vserver_task_alloc(struct task_struct *p, u64 clone_flags);
void vserver_task_free(struct task_struct *p);
void vserver_bprm_committed_creds(const struct linux_binprm *bprm);
int vserver_inode_file_setattr(struct dentry *dentry, struct file_kattr *fa);
int vserver_quota_on(struct dentry *dentry);
int vserver_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#define VSERVER_XATTR_NAME	(XATTR_SECURITY_PREFIX VSERVER_XATTR_SUFFIX)

/* Of a file system's root, where nobody but the kernel has to do with it */
#define VSERVER_KEPT_NAME \
	(XATTR_SECURITY_PREFIX VSERVER_XATTR_SUFFIX ".dlimits")

/* xattr.c */
bool vserver_fs_supported(const struct file_system_type *type);
bool vserver_tag_valid(u32 xid);
void vserver_know_nothing(struct inode *inode);
void vserver_xattr_assume(struct inode *inode, const struct vserver_xattr *x);
int vserver_xattr_read(struct inode *inode, struct vserver_xattr *x);
int vserver_xattr_write(struct dentry *dentry, struct vserver_xattr *x);
int vserver_inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry,
			   const char *name, const void *value, size_t size,
			   int flags);
int vserver_inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry,
			      const char *name);
void vserver_inode_post_setxattr(struct dentry *dentry, const char *name,
				 const void *value, size_t size, int flags);
void vserver_inode_post_removexattr(struct dentry *dentry, const char *name);
int vserver_inode_getxattr(struct dentry *dentry, const char *name);
int vserver_inode_copy_up_xattr(struct dentry *src, const char *name);

/* tag.c */
int vserver_tag_parse_param(struct fs_context *fc, struct fs_parameter *param);
int vserver_sb_show_options(struct seq_file *m, struct super_block *sb);
int vserver_inode_tag(struct inode *inode, bool nowait, u32 *tag);
bool vserver_known_tag(const struct inode *inode, u32 *tag);
int vserver_tag_permission(struct inode *inode, bool nowait);
int vserver_inode_init_security(struct inode *inode, struct inode *dir,
				const struct qstr *qstr, struct xattr *xattrs,
				int *xattr_count);
void vserver_d_instantiate(struct dentry *dentry, struct inode *inode);
int vserver_inode_link(struct dentry *old_dentry, struct inode *dir,
		       struct dentry *new_dentry);
int vserver_inode_unlink(struct inode *dir, struct dentry *dentry);
int vserver_inode_rename(struct inode *old_dir, struct dentry *old_dentry,
			 struct inode *new_dir, struct dentry *new_dentry);
int vserver_inode_read(struct dentry *dentry);
int vserver_inode_follow_link(struct dentry *dentry, struct inode *inode,
			      bool rcu);
int vserver_inode_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			  const char *acl_name, struct posix_acl *kacl);
int vserver_inode_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		      const char *acl_name);
int vserver_inode_file_getattr(struct dentry *dentry, struct file_kattr *fa);
int vserver_tag_ioctl(const struct file *file, unsigned int cmd);

/* dlimit.c */
void vserver_dlimit_move(struct inode *inode, u32 from, u32 to);
int vserver_dlimit_hold(const struct path *path, u32 xid, s64 *bytes);
int vserver_dlimit_fits(struct inode *inode, size_t size);
void vserver_dlimit_drop(struct inode *inode, u32 xid, s64 bytes);

/* dlimit_set.c */
void vserver_dlimit_free(struct super_block *sb);

/* dlimit_keep.c */
void vserver_dlimit_mounted(struct super_block *sb);
void vserver_sb_delete(struct super_block *sb);

/* quota.c */
int vserver_quota_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			  const struct iattr *attr);
void vserver_inode_post_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				int ia_valid);

/* task.c: to which context what the caller makes belongs */
static inline u32 vserver_current_tag(void)
{
	return vserver_task(current)->tag;
}

/*
 * vserver_inode::state: the attribute's flags, once they are known. Readers
 * only ever go from unknown to known; changes are made under the inode's lock.
 * The local bits are no part of the attribute: the breaking bit and the number
 * of those who copy it are a lock of its own, the swept bit, of a directory,
 * comes and goes with the inode. The upper half is the attribute's xid.
 */
#define VSERVER_STATE_TAG_SHIFT	32
#define VSERVER_STATE_KNOWN	0x80000000u
#define VSERVER_STATE_BREAKING	0x40000000u	/* somebody is alone with it */
#define VSERVER_STATE_SWEPT	0x20000000u	/* no debris of a crash in it */
#define VSERVER_STATE_HEIR	0x10000000u	/* a name went to other_ino */
#define VSERVER_STATE_REPLACED	0x08000000u	/* a name went to another */
#define VSERVER_STATE_UNMADE	0x04000000u	/* charged, but not on disk yet */
#define VSERVER_STATE_CHOWN	0x02000000u	/* its owner may be changing */
#define VSERVER_STATE_COPIES	0x00ffff00u	/* how many copy it */
#define VSERVER_STATE_COPIES_MAX 0x00800000u	/* and no more than that */
#define VSERVER_STATE_COPY	0x00000100u
#define VSERVER_STATE_LOCAL	(VSERVER_STATE_BREAKING | VSERVER_STATE_SWEPT | \
				 VSERVER_STATE_HEIR | VSERVER_STATE_REPLACED | \
				 VSERVER_STATE_UNMADE | VSERVER_STATE_CHOWN | \
				 VSERVER_STATE_COPIES)

/*
 * What is known of an inode that has the blob @vi; the attribute is read if need
 * be. Returns what vserver_learn() does.
 */
static __always_inline int vserver_known(struct inode *inode,
					 const struct vserver_inode *vi,
					 bool nowait, u64 *state)
{
	int error;

	*state = READ_ONCE(vi->state);
	if (likely(*state & VSERVER_STATE_KNOWN))
		return 0;
	error = vserver_learn(inode, nowait);
	*state = READ_ONCE(vi->state);
	return error;
}

/* The type of vserver_ops.charge(); there is no such function. */
s64 vserver_charge_type(struct vserver_ctx *ctx, u64 ns);

/* sched.c */
void vserver_charge_start(const struct vserver_ops *ops);
void vserver_charge_stop(void);
void vserver_mark(struct task_struct *p);

/* cpu_use.c */
void vserver_cpu_init(struct vserver_ctx *ctx);
u64 vserver_ctx_vacant(struct vserver_ctx *ctx, unsigned int cpu, u64 total,
		       u64 run_ns);
struct vserver_cpu *vserver_hold_begin(struct vserver_task *vt);
void vserver_hold_end(struct vserver_task *vt, struct vserver_cpu *use);
u64 vserver_task_hold_ns(const struct task_struct *p);

/* idle.c */
void vserver_idle_init(struct vserver_ctx *ctx);
void vserver_idle_switch(const struct task_struct *p);
bool vserver_idle_bill(struct task_struct *p, struct vserver_ctx *ctx, u64 ns);
bool vserver_idle_take(struct vserver_ctx *ctx);
enum vserver_release vserver_idle_wait(struct vserver_ctx *ctx, bool again,
				       const unsigned long *events);

/* ops.c: the registered operations, pinned for one call, or NULL */
const struct vserver_ops *vserver_ops_get(void);
void vserver_ops_put(const struct vserver_ops *ops);

/* ops.c: switches on what asks for contexts */
void vserver_contexts_begin(void);

/* lsm.c */
void vserver_hooks_switch(bool on);

/* ops.c: contexts and calls in progress, which need the operations */
void vserver_users_inc(void);
void vserver_users_dec(void);

/* load.c */
void vserver_load_begin(struct vserver_load *load);
void vserver_load_end(void);

/**
 * struct vserver_memory - what sysinfo(2) does not say of a memory cgroup, in
 * pages
 * @cached:	of files
 * @available:	could be had
 * @lru:	on each list
 * @sreclaimable: of slab that could be had
 * @sunreclaim:	of slab that could not
 */
struct vserver_memory {
	unsigned long cached;
	unsigned long available;
	unsigned long lru[NR_LRU_LISTS];
	unsigned long sreclaimable;
	unsigned long sunreclaim;
};

/* memory.c */
#ifdef CONFIG_MEMCG
bool vserver_memory(struct sysinfo *info, struct vserver_memory *memory);
#else
static inline bool vserver_memory(struct sysinfo *info,
				  struct vserver_memory *memory)
{
	return false;
}
#endif

/* audit.c */
#ifdef CONFIG_AUDITSYSCALL
struct audit_context *vserver_audit_pause(void);
void vserver_audit_resume(struct audit_context *context);
void vserver_audit_moved(dev_t dev, u64 ino, const struct inode *inode);
#else
static inline struct audit_context *vserver_audit_pause(void)
{
	return NULL;
}

static inline void vserver_audit_resume(struct audit_context *context)
{
}

static inline void vserver_audit_moved(dev_t dev, u64 ino,
				       const struct inode *inode)
{
}
#endif

#endif /* _SECURITY_VSERVER_INTERNAL_H */
