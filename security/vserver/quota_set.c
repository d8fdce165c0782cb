// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: quotas in a context are begun, set and read
 *
 * The host says when to count, and what there is already. From then on whoever
 * is inside sees by quotactl(2) a file system that has always counted, and
 * keeps what it counts to itself: no files of quota, and no device. He sets
 * limits, and whether they hold. What the file system's own quota says is about
 * all who share it, so it is never shown inside: those there talk to a proxy of
 * the superblock, made for the call, of which nothing but the operations of
 * quota and what goes with them is there.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/path.h>
#include <linux/quota.h>
#include <linux/quotaops.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/vserver_quota.h>

#include "dlimit.h"

/* As the other file systems have it. */
#define VSERVER_QUOTA_GRACE	(7 * 24 * 60 * 60)

/* Not the realtime device of xfs, of which nobody in a context has anything. */
#define VSERVER_QC_MASK	(QC_LIMIT_MASK | QC_TIMER_MASK | QC_SPACE | QC_INO_COUNT)

static struct vserver_quota *vserver_quota_new(void)
{
	struct vserver_quota *quota = kzalloc_obj(*quota);
	int type, i;

	if (!quota)
		return NULL;
	spin_lock_init(&quota->lock);
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		xa_init_flags(&quota->ids[type], XA_FLAGS_ACCOUNT);
		for (i = 0; i < VSERVER_QUOTA_ITEMS; i++)
			quota->grace[type][i] = VSERVER_QUOTA_GRACE;
	}
	return quota;
}

/* NULL is nothing. Who found it under RCU may still use it, and finds nothing. */
void vserver_quota_free(struct vserver_quota *quota)
{
	struct vserver_quota_id *dq;
	unsigned long id;
	int type;

	if (!quota)
		return;
	scoped_guard(spinlock, &quota->lock) {
		quota->gone = true;
		for (type = 0; type < VSERVER_QUOTAS; type++) {
			xa_for_each(&quota->ids[type], id, dq)
				kfree(dq);
			xa_destroy(&quota->ids[type]);
		}
	}
	kfree_rcu(quota, rcu);
}

/**
 * vserver_quota_begin - count what users and groups in a context have
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * From nothing, and without limits. May sleep.
 *
 * Return: 0; -ESRCH if what the context has is not counted; -EEXIST if that is
 * done already; -ENOMEM.
 */
int vserver_quota_begin(const struct path *path, u32 xid)
{
	struct vserver_quota *quota = vserver_quota_new();
	struct vserver_dlimit *dl;
	int error = 0;

	if (!quota)
		return -ENOMEM;
	scoped_guard(spinlock, &vserver_dlimit_lock) {
		dl = vserver_dlimit_listed(path, xid);
		if (!dl)
			error = -ESRCH;
		else if (rcu_access_pointer(dl->quota))
			error = -EEXIST;
		else
			rcu_assign_pointer(dl->quota, quota);
	}
	if (error)
		vserver_quota_free(quota);
	return error;
}
EXPORT_SYMBOL_GPL(vserver_quota_begin);

/**
 * vserver_quota_end - forget what users and groups in a context have, and may
 * @path:	a file of the file system
 * @xid:	the context's id
 *
 * Return: 0, or -ESRCH if that is not counted.
 */
int vserver_quota_end(const struct path *path, u32 xid)
{
	struct vserver_quota *quota;
	struct vserver_dlimit *dl;

	guard(spinlock)(&vserver_dlimit_lock);
	dl = vserver_dlimit_listed(path, xid);
	if (!dl)
		return -ESRCH;
	quota = rcu_replace_pointer(dl->quota, NULL,
				    lockdep_is_held(&vserver_dlimit_lock));
	vserver_quota_free(quota);
	return quota ? 0 : -ESRCH;
}
EXPORT_SYMBOL_GPL(vserver_quota_end);

static void vserver_quota_say_id(struct vserver_quota *quota, int type, u32 id,
				 struct vserver_quota_id *dq,
				 const u64 used[VSERVER_QUOTA_ITEMS])
{
	int i;

	for (i = 0; i < VSERVER_QUOTA_ITEMS; i++) {
		dq->items[i].used = used[i];
		vserver_quota_change(&dq->items[i], 0, quota->grace[type][i]);
	}
	vserver_quota_put(quota, type, id, dq);
}

/**
 * vserver_quota_say - say what a user or a group in a context has
 * @path:	a file of the file system
 * @xid:	the context's id
 * @type:	USRQUOTA or GRPQUOTA
 * @id:		who, in the initial user namespace; -1: all that had something
 * @bytes:	space
 * @inodes:	inodes
 *
 * Return: 0; -ESRCH if that is not counted; -EINVAL; -ENOMEM.
 */
int vserver_quota_say(const struct path *path, u32 xid, u32 type, u32 id,
		      u64 bytes, u64 inodes)
{
	const u64 used[VSERVER_QUOTA_ITEMS] = { bytes, inodes };
	struct vserver_quota *quota;
	struct vserver_quota_id *dq;
	struct vserver_dlimit *dl;
	unsigned long each;

	if (type >= VSERVER_QUOTAS || bytes > S64_MAX / 2 ||
	    inodes > S64_MAX / 2)
		return -EINVAL;
	guard(rcu)();
	dl = vserver_dlimit_find(path->dentry->d_sb, xid);
	quota = dl ? rcu_dereference(dl->quota) : NULL;
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	if (id == (u32)-1) {
		xa_for_each(&quota->ids[type], each, dq)
			vserver_quota_say_id(quota, type, each, dq, used);
		return 0;
	}
	dq = vserver_quota_id(quota, type, id);
	if (!dq)
		return -ENOMEM;
	vserver_quota_say_id(quota, type, id, dq, used);
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_quota_say);

/* That of the caller's context, by a proxy. Under RCU. */
static struct vserver_quota *vserver_quota_own(const struct super_block *proxy)
{
	const struct vserver_ctx *ctx = vserver_cred(current_cred())->ctx;
	const struct vserver_dlimit *dl;

	dl = ctx ? vserver_dlimit_find(proxy->s_fs_info, ctx->xid) : NULL;
	return dl ? rcu_dereference(dl->quota) : NULL;
}

static int vserver_quota_enforce(struct super_block *sb, unsigned int flags,
				 bool enforced)
{
	struct vserver_quota *quota;

	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return -ESRCH;
	if (flags & ~(FS_QUOTA_UDQ_ACCT | FS_QUOTA_UDQ_ENFD |
		      FS_QUOTA_GDQ_ACCT | FS_QUOTA_GDQ_ENFD))
		return -EINVAL;
	/* To count, or not to, is the host's to say. */
	if (!enforced && flags & (FS_QUOTA_UDQ_ACCT | FS_QUOTA_GDQ_ACCT))
		return -EOPNOTSUPP;
	guard(spinlock)(&quota->lock);
	if (flags & FS_QUOTA_UDQ_ENFD)
		quota->enforced[USRQUOTA] = enforced;
	if (flags & FS_QUOTA_GDQ_ENFD)
		quota->enforced[GRPQUOTA] = enforced;
	return 0;
}

static int vserver_quota_enable(struct super_block *sb, unsigned int flags)
{
	return vserver_quota_enforce(sb, flags, true);
}

static int vserver_quota_disable(struct super_block *sb, unsigned int flags)
{
	return vserver_quota_enforce(sb, flags, false);
}

/* There is nothing to write. */
static int vserver_quota_sync(struct super_block *sb, int type)
{
	return 0;
}

static int vserver_quota_get_state(struct super_block *sb,
				   struct qc_state *state)
{
	struct vserver_quota *quota;
	int type;

	memset(state, 0, sizeof(*state));
	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return 0;
	guard(spinlock)(&quota->lock);
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		struct qc_type_state *s = &state->s_state[type];

		s->flags = QCI_ACCT_ENABLED | QCI_SYSFILE;
		if (quota->enforced[type])
			s->flags |= QCI_LIMITS_ENFORCED;
		s->spc_timelimit = quota->grace[type][VSERVER_QUOTA_SPACE];
		s->ino_timelimit = quota->grace[type][VSERVER_QUOTA_INODES];
	}
	return 0;
}

static int vserver_quota_set_info(struct super_block *sb, int type,
				  struct qc_info *info)
{
	struct vserver_quota *quota;

	if (type >= VSERVER_QUOTAS ||
	    info->i_fieldmask & ~(QC_SPC_TIMER | QC_INO_TIMER | QC_RT_SPC_TIMER))
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	if (info->i_fieldmask & QC_SPC_TIMER)
		quota->grace[type][VSERVER_QUOTA_SPACE] = info->i_spc_timelimit;
	if (info->i_fieldmask & QC_INO_TIMER)
		quota->grace[type][VSERVER_QUOTA_INODES] = info->i_ino_timelimit;
	return 0;
}

static void vserver_quota_look(const struct vserver_quota_id *dq,
			       struct qc_dqblk *di)
{
	const struct vserver_quota_item *space, *inodes;

	memset(di, 0, sizeof(*di));
	if (!dq)
		return;
	space = &dq->items[VSERVER_QUOTA_SPACE];
	inodes = &dq->items[VSERVER_QUOTA_INODES];
	di->d_spc_hardlimit = space->hard;
	di->d_spc_softlimit = space->soft;
	di->d_space = max(space->used, 0);
	di->d_spc_timer = space->until;
	di->d_ino_hardlimit = inodes->hard;
	di->d_ino_softlimit = inodes->soft;
	di->d_ino_count = max(inodes->used, 0);
	di->d_ino_timer = inodes->until;
}

static int vserver_quota_get_dqblk(struct super_block *sb, struct kqid qid,
				   struct qc_dqblk *di)
{
	struct vserver_quota *quota;

	if (qid.type >= VSERVER_QUOTAS)
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	vserver_quota_look(xa_load(&quota->ids[qid.type],
				   from_kqid(&init_user_ns, qid)), di);
	return 0;
}

/* In the order of the initial user namespace. */
static int vserver_quota_get_nextdqblk(struct super_block *sb, struct kqid *qid,
				       struct qc_dqblk *di)
{
	unsigned long id, from = from_kqid(&init_user_ns, *qid);
	struct vserver_quota_id *dq;
	struct vserver_quota *quota;

	if (qid->type >= VSERVER_QUOTAS)
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	xa_for_each_start(&quota->ids[qid->type], id, dq, from) {
		struct kqid next = make_kqid(&init_user_ns, qid->type, id);

		if (!qid_has_mapping(current_user_ns(), next))
			continue;
		*qid = next;
		vserver_quota_look(dq, di);
		return 0;
	}
	return -ENOENT;
}

static void vserver_quota_set_item(struct vserver_quota_item *item,
				   const struct vserver_quota_item *to,
				   unsigned int grace, int mask, int used,
				   int soft, int hard, int timer)
{
	if (mask & used)
		item->used = to->used;
	if (mask & soft)
		item->soft = to->soft;
	if (mask & hard)
		item->hard = to->hard;
	vserver_quota_change(item, 0, grace);
	if (mask & timer && item->until)
		item->until = to->until;
}

static int vserver_quota_set_dqblk(struct super_block *sb, struct kqid qid,
				   struct qc_dqblk *di)
{
	const struct vserver_quota_item space = {
		.used = di->d_space,
		.soft = di->d_spc_softlimit,
		.hard = di->d_spc_hardlimit,
		.until = di->d_spc_timer,
	};
	const struct vserver_quota_item inodes = {
		.used = di->d_ino_count,
		.soft = di->d_ino_softlimit,
		.hard = di->d_ino_hardlimit,
		.until = di->d_ino_timer,
	};
	const u32 id = from_kqid(&init_user_ns, qid);
	struct vserver_quota *quota;
	struct vserver_quota_id *dq;
	const unsigned int *grace;

	if (qid.type >= VSERVER_QUOTAS || di->d_fieldmask & ~VSERVER_QC_MASK)
		return -EINVAL;
	if (max3(di->d_space, space.soft, space.hard) > S64_MAX / 2 ||
	    max3(di->d_ino_count, inodes.soft, inodes.hard) > S64_MAX / 2)
		return -ERANGE;
	guard(rcu)();
	quota = vserver_quota_own(sb);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	dq = vserver_quota_id(quota, qid.type, id);
	if (!dq)
		return -ENOMEM;
	grace = quota->grace[qid.type];
	vserver_quota_set_item(&dq->items[VSERVER_QUOTA_SPACE], &space,
			       grace[VSERVER_QUOTA_SPACE], di->d_fieldmask,
			       QC_SPACE, QC_SPC_SOFT, QC_SPC_HARD, QC_SPC_TIMER);
	vserver_quota_set_item(&dq->items[VSERVER_QUOTA_INODES], &inodes,
			       grace[VSERVER_QUOTA_INODES], di->d_fieldmask,
			       QC_INO_COUNT, QC_INO_SOFT, QC_INO_HARD,
			       QC_INO_TIMER);
	vserver_quota_put(quota, qid.type, id, dq);
	return 0;
}

static const struct quotactl_ops vserver_quotactl_ops = {
	.quota_enable	= vserver_quota_enable,
	.quota_disable	= vserver_quota_disable,
	.quota_sync	= vserver_quota_sync,
	.get_state	= vserver_quota_get_state,
	.set_info	= vserver_quota_set_info,
	.get_dqblk	= vserver_quota_get_dqblk,
	.get_nextdqblk	= vserver_quota_get_nextdqblk,
	.set_dqblk	= vserver_quota_set_dqblk,
};

/* The format that stands for no files at all. */
static struct quota_format_type vserver_quota_format = {
	.qf_fmt_id = QFMT_OCFS2,
};

static bool vserver_quota_is_on(const struct super_block *sb)
{
	guard(rcu)();
	return vserver_quota_own(sb);
}

struct super_block *__vserver_quota_proxy(struct super_block *sb)
{
	const struct vserver_ctx *ctx = vserver_cred(current_cred())->ctx;
	struct super_block *proxy;
	int type;

	if (!ctx || vserver_sb(sb)->owner == vserver_owner(ctx))
		return NULL;
	proxy = kzalloc_obj(*proxy);
	if (!proxy)
		return ERR_PTR(-ENOMEM);
	proxy->s_fs_info = sb;
	proxy->s_dev = sb->s_dev;
	proxy->s_type = sb->s_type;
	proxy->s_flags = sb->s_flags;
	proxy->s_root = sb->s_root;
	proxy->s_user_ns = sb->s_user_ns;
	proxy->s_security = sb->s_security;
	proxy->s_qcop = &vserver_quotactl_ops;
	proxy->s_quota_types = QTYPE_MASK_USR | QTYPE_MASK_GRP;
	if (!vserver_quota_is_on(proxy))
		return proxy;
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		proxy->s_dquot.flags |=
			dquot_state_flag(DQUOT_USAGE_ENABLED, type);
		proxy->s_dquot.info[type].dqi_format = &vserver_quota_format;
	}
	return proxy;
}
