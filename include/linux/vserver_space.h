/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: what is needed of kernel/nsproxy.c to enter namespaces */
#ifndef _LINUX_VSERVER_SPACE_H
#define _LINUX_VSERVER_SPACE_H

struct ns_common;

int vserver_setns(struct ns_common *const *ns, unsigned int n);

#endif /* _LINUX_VSERVER_SPACE_H */
