// SPDX-License-Identifier: GPL-2.0-only
/* Linux-VServer, built-in part: the system call's entry */

#include <linux/syscalls.h>

#include "internal.h"

/**
 * sys_vserver - control contexts
 * @cmd:	category, number and version of the command
 * @id:		what it is about: a context, a process or a descriptor
 * @data:	the command's structure
 *
 * Return: what the command says, or -ENOSYS while no module is loaded.
 */
SYSCALL_DEFINE3(vserver, u32, cmd, u32, id, void __user *, data)
{
	const struct vserver_ops *ops = vserver_ops_get();
	long ret;

	if (!ops)
		return -ENOSYS;
	ret = ops->syscall(ops, cmd, id, data);
	vserver_ops_put(ops);
	return ret;
}
