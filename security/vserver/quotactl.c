// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: quotactl(2) inside a context
 *
 * What the file system's own quota says is about all who share it, so it is
 * never shown inside: those there talk to a proxy of the superblock, made for
 * the call, of which nothing but the operations of quota and what goes with them
 * is there. When the host has begun to count they see a file system that has
 * always counted, and keeps what it counts to itself: no files of quota, and no
 * device. They set limits, and say whether they hold.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <linux/quotaops.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/vserver.h>
#include <linux/vserver_quota.h>
#include <linux/vserver_xfs.h>

#include "dlimit.h"

/* Not the realtime device of xfs, of which nobody in a context has anything. */
#define VSERVER_QC_MASK	(QC_LIMIT_MASK | QC_TIMER_MASK | QC_SPACE | QC_INO_COUNT)

/* That of the caller's context. Under RCU. */
static struct vserver_quota *
vserver_quotactl_own(const struct super_block *sb)
{
	const struct vserver_ctx *ctx = vserver_cred(current_cred())->ctx;

	return ctx ? vserver_quota_find(sb, ctx->xid) : NULL;
}

/* By type, as the file systems with hidden files say it. */
static const unsigned int vserver_quotactl_enfd[VSERVER_QUOTAS] = {
	[USRQUOTA] = FS_QUOTA_UDQ_ENFD,
	[GRPQUOTA] = FS_QUOTA_GDQ_ENFD,
};

static int vserver_quotactl_enable(struct super_block *proxy,
				   unsigned int flags)
{
	struct vserver_quota *quota;
	int type;

	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
	if (!quota)
		return -ESRCH;
	flags &= ~(FS_QUOTA_UDQ_ACCT | FS_QUOTA_GDQ_ACCT);
	if (!flags || flags & ~(FS_QUOTA_UDQ_ENFD | FS_QUOTA_GDQ_ENFD))
		return -EINVAL;
	guard(spinlock)(&quota->lock);
	for (type = 0; type < VSERVER_QUOTAS; type++)
		if (flags & vserver_quotactl_enfd[type] && quota->enforced[type])
			return -EEXIST;
	for (type = 0; type < VSERVER_QUOTAS; type++)
		if (flags & vserver_quotactl_enfd[type])
			quota->enforced[type] = true;
	return 0;
}

static int vserver_quotactl_disable(struct super_block *proxy,
				    unsigned int flags)
{
	struct vserver_quota *quota;
	int type, error = -EEXIST;

	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
	if (!quota)
		return -ESRCH;
	/* To count, or not to, is the host's to say. */
	if (flags & (FS_QUOTA_UDQ_ACCT | FS_QUOTA_GDQ_ACCT | FS_QUOTA_PDQ_ACCT))
		return -EOPNOTSUPP;
	guard(spinlock)(&quota->lock);
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		if (!(flags & vserver_quotactl_enfd[type]) ||
		    !quota->enforced[type])
			continue;
		quota->enforced[type] = false;
		error = 0;
	}
	return error;
}

/* There is nothing to write. */
static int vserver_quotactl_sync(struct super_block *proxy, int type)
{
	return 0;
}

static int vserver_quotactl_get_state(struct super_block *proxy,
				      struct qc_state *state)
{
	struct vserver_quota *quota;
	int type;

	memset(state, 0, sizeof(*state));
	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
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

static int vserver_quotactl_set_info(struct super_block *proxy, int type,
				     struct qc_info *info)
{
	struct vserver_quota *quota;

	if (type >= VSERVER_QUOTAS ||
	    info->i_fieldmask & ~(QC_SPC_TIMER | QC_INO_TIMER | QC_RT_SPC_TIMER))
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	if (info->i_fieldmask & QC_SPC_TIMER)
		quota->grace[type][VSERVER_QUOTA_SPACE] = info->i_spc_timelimit;
	if (info->i_fieldmask & QC_INO_TIMER)
		quota->grace[type][VSERVER_QUOTA_INODES] = info->i_ino_timelimit;
	return 0;
}

static void vserver_quotactl_look(const struct vserver_quota_id *dq,
				  struct qc_dqblk *di)
{
	struct vserver_quota_amount space, inodes;

	memset(di, 0, sizeof(*di));
	if (!dq)
		return;
	vserver_quota_look(&dq->items[VSERVER_QUOTA_SPACE], &space);
	vserver_quota_look(&dq->items[VSERVER_QUOTA_INODES], &inodes);
	di->d_spc_hardlimit = space.hard;
	di->d_spc_softlimit = space.soft;
	di->d_space = space.used;
	di->d_spc_timer = space.until;
	di->d_ino_hardlimit = inodes.hard;
	di->d_ino_softlimit = inodes.soft;
	di->d_ino_count = inodes.used;
	di->d_ino_timer = inodes.until;
}

static int vserver_quotactl_get_dqblk(struct super_block *proxy,
				      struct kqid qid, struct qc_dqblk *di)
{
	struct vserver_quota *quota;

	if (qid.type >= VSERVER_QUOTAS)
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	vserver_quotactl_look(xa_load(&quota->ids[qid.type],
				      from_kqid(&init_user_ns, qid)), di);
	return 0;
}

/* In the order of the initial user namespace. */
static int vserver_quotactl_get_nextdqblk(struct super_block *proxy,
					  struct kqid *qid,
					  struct qc_dqblk *di)
{
	unsigned long id, from = from_kqid(&init_user_ns, *qid);
	struct vserver_quota_id *dq;
	struct vserver_quota *quota;

	if (qid->type >= VSERVER_QUOTAS)
		return -EINVAL;
	guard(rcu)();
	quota = vserver_quotactl_own(proxy->s_fs_info);
	if (!quota)
		return -ESRCH;
	guard(spinlock)(&quota->lock);
	xa_for_each_start(&quota->ids[qid->type], id, dq, from) {
		struct kqid next = make_kqid(&init_user_ns, qid->type, id);

		if (!qid_has_mapping(current_user_ns(), next))
			continue;
		*qid = next;
		vserver_quotactl_look(dq, di);
		return 0;
	}
	return -ENOENT;
}

static u64 vserver_qc_field(const struct qc_dqblk *di, int field, u64 value)
{
	return di->d_fieldmask & field ? value : CDLIM64_KEEP;
}

static int vserver_quotactl_set_dqblk(struct super_block *proxy,
				      struct kqid qid, struct qc_dqblk *di)
{
	const struct vserver_ctx *ctx = vserver_cred(current_cred())->ctx;
	const struct vserver_quota_amount to[VSERVER_QUOTA_ITEMS] = {
		[VSERVER_QUOTA_SPACE] = {
			vserver_qc_field(di, QC_SPACE, di->d_space),
			vserver_qc_field(di, QC_SPC_SOFT, di->d_spc_softlimit),
			vserver_qc_field(di, QC_SPC_HARD, di->d_spc_hardlimit),
			vserver_qc_field(di, QC_SPC_TIMER, di->d_spc_timer),
		},
		[VSERVER_QUOTA_INODES] = {
			vserver_qc_field(di, QC_INO_COUNT, di->d_ino_count),
			vserver_qc_field(di, QC_INO_SOFT, di->d_ino_softlimit),
			vserver_qc_field(di, QC_INO_HARD, di->d_ino_hardlimit),
			vserver_qc_field(di, QC_INO_TIMER, di->d_ino_timer),
		},
	};
	struct vserver_quota *quota __free(vserver_quota_put) = NULL;

	if (qid.type >= VSERVER_QUOTAS || di->d_fieldmask & ~VSERVER_QC_MASK)
		return -EINVAL;
	if (!vserver_quota_valid(&to[VSERVER_QUOTA_SPACE]) ||
	    !vserver_quota_valid(&to[VSERVER_QUOTA_INODES]))
		return -ERANGE;
	if (ctx)
		quota = vserver_quota_get_ref(proxy->s_fs_info, ctx->xid);
	if (!quota)
		return -ESRCH;
	return vserver_quota_set_id(quota, qid.type,
				    from_kqid(&init_user_ns, qid), to);
}

static const struct quotactl_ops vserver_quotactl_ops = {
	.quota_enable	= vserver_quotactl_enable,
	.quota_disable	= vserver_quotactl_disable,
	.quota_sync	= vserver_quotactl_sync,
	.get_state	= vserver_quotactl_get_state,
	.set_info	= vserver_quotactl_set_info,
	.get_dqblk	= vserver_quotactl_get_dqblk,
	.get_nextdqblk	= vserver_quotactl_get_nextdqblk,
	.set_dqblk	= vserver_quotactl_set_dqblk,
};

/* The format that stands for no files at all. */
static struct quota_format_type vserver_quotactl_format = {
	.qf_fmt_id = QFMT_OCFS2,
};

bool __vserver_quota_shown(const struct super_block *sb)
{
	guard(rcu)();
	return vserver_quotactl_own(sb);
}
EXPORT_SYMBOL_GPL(__vserver_quota_shown);

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
	if (!__vserver_quota_shown(sb))
		return proxy;
	for (type = 0; type < VSERVER_QUOTAS; type++) {
		proxy->s_dquot.flags |=
			dquot_state_flag(DQUOT_USAGE_ENABLED, type);
		proxy->s_dquot.info[type].dqi_format = &vserver_quotactl_format;
	}
	return proxy;
}
