// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: IPC stays within a context
 *
 * Objects of one IPC or network namespace, if contexts share it. A socket that
 * is bound to a path is reached by whom the path is made known to.
 */

#include <linux/ipc.h>
#include <linux/net.h>
#include <linux/stddef.h>
#include <linux/un.h>
#include <linux/vserver_visible.h>
#include <net/af_unix.h>
#include <net/sock.h>

#include "internal.h"

/* msg_queue_alloc_security, shm_alloc_security, sem_alloc_security */
int vserver_ipc_alloc(struct kern_ipc_perm *perm)
{
	vserver_ipc(perm)->owner = __vserver_own();
	return 0;
}

/* ipc_permission: under RCU or the object's lock */
int vserver_ipc_permission(struct kern_ipc_perm *perm, short flag)
{
	return vserver_is_foreign(vserver_ipc(perm)->owner) ? -EACCES : 0;
}

bool __vserver_sees_ipc(struct kern_ipc_perm *perm)
{
	return !vserver_is_foreign(vserver_ipc(perm)->owner);
}

/* The hooks of msgctl(), semctl() and shmctl(): some ask about no object. */
int vserver_ipc_ctl(struct kern_ipc_perm *perm, int cmd)
{
	return perm ? vserver_ipc_permission(perm, 0) : 0;
}

/* The other socket's lock is held: it is neither closed nor bound meanwhile. */
static int vserver_may_reach(const struct sock *other)
{
	const struct unix_address *addr = unix_sk(other)->addr;
	const struct socket *sock = other->sk_socket;
	const struct vserver_ctx *ctx;

	if (!addr || addr->len <= offsetof(struct sockaddr_un, sun_path) ||
	    addr->name->sun_path[0] || !sock || !sock->file)
		return 0;
	ctx = vserver_cred(sock->file->f_cred)->ctx;
	return vserver_is_foreign(vserver_owner(ctx)) ? -ECONNREFUSED : 0;
}

int vserver_unix_stream_connect(struct sock *sk, struct sock *other,
				struct sock *newsk)
{
	int error = vserver_may_reach(other);

	if (!error)
		vserver_sock_inherit(other, newsk);
	return error;
}

int vserver_unix_may_send(struct socket *sock, struct socket *other)
{
	/* Who is connected was let through, or was made so by socketpair(). */
	if (unix_peer(sock->sk) == other->sk)
		return 0;
	return vserver_may_reach(other->sk);
}
