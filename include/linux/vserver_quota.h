/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks of quotactl(2), which has other answers inside a context */
#ifndef _LINUX_VSERVER_QUOTA_H
#define _LINUX_VSERVER_QUOTA_H

#include <linux/fs.h>
#include <linux/jump_label.h>

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

struct super_block *__vserver_quota_proxy(struct super_block *sb);

/**
 * vserver_quota_proxy - what stands for a file system in quotactl(2)
 * @sb:		the file system, whose own quota is no business of those inside a
 *		context, unless it is they who have mounted it
 *
 * May sleep.
 *
 * Return: what answers the caller's questions about quota, and nothing else, to
 * be freed by kfree(); NULL if that is @sb; or an error.
 */
static inline struct super_block *vserver_quota_proxy(struct super_block *sb)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_quota_proxy(sb);
	return NULL;
}

#else /* !CONFIG_SECURITY_VSERVER */

static inline struct super_block *vserver_quota_proxy(struct super_block *sb)
{
	return NULL;
}

#endif /* CONFIG_SECURITY_VSERVER */

#endif /* _LINUX_VSERVER_QUOTA_H */
