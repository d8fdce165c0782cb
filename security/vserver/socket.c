// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: sockets of a context, and what goes through them
 *
 * A socket is counted to the context of its creator, a connection that waits
 * to be accepted to that of the listening socket, from whichever task or
 * interrupt it comes. It counts until it is closed: what the protocol has to do
 * after that keeps no context alive.
 */

#include <linux/export.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/socket.h>
#include <linux/vserver_sock.h>
#include <net/sock.h>
#include <trace/events/sock.h>
#include <uapi/linux/vserver.h>

#include "internal.h"

/*
 * For a new socket made of another one, also in softirq. The context is freed a
 * grace period after its last reference is gone.
 */
void vserver_sock_inherit(const struct sock *from, struct sock *to)
{
	struct vserver_sock *vs = vserver_sock(to);
	struct vserver_ctx *ctx;

	if (!static_branch_unlikely(&vserver_key))
		return;
	guard(rcu)();
	ctx = READ_ONCE(vserver_sock(from)->ctx);
	if (likely(!ctx) || vs->ctx || !refcount_inc_not_zero(&ctx->usage))
		return;
	vserver_limit_force(ctx, VLIMIT_NSOCK, 1);
	vs->ctx = ctx;
}

static void vserver_sock_uncharge(struct sock *sk)
{
	struct vserver_ctx *ctx = xchg(&vserver_sock(sk)->ctx, NULL);

	if (!ctx)
		return;
	vserver_limit_uncharge(ctx, VLIMIT_NSOCK, 1);
	vserver_ctx_put(ctx);
}

/* What netlink tells of all processes, and of all devices, that there are. */
static bool vserver_is_about_host(const struct net *net, int protocol)
{
	return protocol == NETLINK_CONNECTOR ||
	       (protocol == NETLINK_KOBJECT_UEVENT && net_eq(net, &init_net));
}

/* socket_post_create: ENOBUFS, as where there is no memory for one. */
int vserver_socket_post_create(struct socket *sock, int family, int type,
			       int protocol, int kern)
{
	struct vserver_ctx *ctx = vserver_task(current)->ctx;

	if (likely(!ctx) || kern || !sock->sk)
		return 0;
	if (family == PF_NETLINK &&
	    vserver_is_about_host(sock_net(sock->sk), protocol))
		return -EPROTONOSUPPORT;
	if (!vserver_limit_charge(ctx, VLIMIT_NSOCK, 1))
		return -ENOBUFS;
	vserver_ctx_get(ctx);
	vserver_sock(sock->sk)->ctx = ctx;
	return 0;
}

/* socket_accept: what waits counts already, and may have come to be too much. */
int vserver_socket_accept(struct socket *sock, struct socket *newsock)
{
	struct vserver_ctx *ctx = READ_ONCE(vserver_sock(sock->sk)->ctx);

	if (likely(!ctx) || !vserver_limit_is_exceeded(ctx, VLIMIT_NSOCK))
		return 0;
	return -ENOBUFS;
}

/* May run in softirq. */
void vserver_sk_clone(const struct sock *sk, struct sock *newsk)
{
	vserver_sock_inherit(sk, newsk);
}

/* May run in softirq. */
void vserver_sk_free(struct sock *sk)
{
	vserver_sock_uncharge(sk);
}

/* file_release: the last one closes a file, which may be a socket. */
void vserver_file_release(struct file *file)
{
	struct socket *sock;

	if (!static_branch_unlikely(&vserver_key) || !vserver_file(file)->ctx)
		return;
	sock = sock_from_file(file);
	if (sock && sock->sk)
		vserver_sock_uncharge(sock->sk);
}

bool __vserver_sees_sock(const struct sock *sk)
{
	const struct vserver_ctx *ctx = vserver_task(current)->ctx;
	const struct vserver_ctx *owner = NULL;

	if (!ctx)
		return true;
	/* What is not a whole socket (yet, or any more) has no owner. */
	if (sk_fullsock(sk))
		owner = READ_ONCE(vserver_sock(sk)->ctx);
	return owner ? owner == ctx : !net_eq(sock_net(sk), &init_net);
}
EXPORT_SYMBOL_GPL(__vserver_sees_sock);

bool __vserver_sees_net(const struct net *net)
{
	return !vserver_task(current)->ctx || !net_eq(net, &init_net);
}
EXPORT_SYMBOL_GPL(__vserver_sees_net);

static unsigned int vserver_family(unsigned int family)
{
	switch (family) {
	case AF_UNSPEC:
		return VSERVER_FAMILY_UNSPEC;
	case AF_UNIX:
		return VSERVER_FAMILY_UNIX;
	case AF_INET:
		return VSERVER_FAMILY_INET;
	case AF_INET6:
		return VSERVER_FAMILY_INET6;
	case AF_PACKET:
		return VSERVER_FAMILY_PACKET;
	default:
		return VSERVER_FAMILY_OTHER;
	}
}

static void vserver_count(const struct sock *sk, unsigned int what, u64 bytes)
{
	unsigned int family = vserver_family(sk->sk_family);
	struct vserver_ctx *ctx;

	guard(rcu)();
	ctx = READ_ONCE(vserver_sock(sk)->ctx);
	if (!ctx)
		return;
	this_cpu_inc(ctx->cpu->traffic[family].count[what]);
	this_cpu_add(ctx->cpu->traffic[family].bytes[what], bytes);
}

static void vserver_sent(void *data, struct sock *sk, int ret, int flags)
{
	if (ret < 0)
		vserver_count(sk, VSERVER_TRAFFIC_FAIL, 0);
	else
		vserver_count(sk, VSERVER_TRAFFIC_SEND, ret);
}

static void vserver_received(void *data, struct sock *sk, int ret, int flags)
{
	if (ret >= 0 && !(flags & MSG_PEEK))
		vserver_count(sk, VSERVER_TRAFFIC_RECV, ret);
}

/* While there is no module, who sends and receives meets a no-op. */
int vserver_traffic_start(void)
{
	int error;

	error = register_trace_sock_send_length(vserver_sent, NULL);
	if (error)
		return error;
	error = register_trace_sock_recv_length(vserver_received, NULL);
	if (error)
		unregister_trace_sock_send_length(vserver_sent, NULL);
	return error;
}

void vserver_traffic_stop(void)
{
	unregister_trace_sock_recv_length(vserver_received, NULL);
	unregister_trace_sock_send_length(vserver_sent, NULL);
}

/**
 * vserver_ctx_traffic - what went through a context's sockets
 * @ctx:	the context
 * @family:	VSERVER_FAMILY_*
 * @sum:	the answer
 */
void vserver_ctx_traffic(const struct vserver_ctx *ctx, unsigned int family,
			 struct vserver_traffic *sum)
{
	const struct vserver_traffic *one;
	unsigned int cpu, i;

	*sum = (struct vserver_traffic){};
	for_each_possible_cpu(cpu) {
		one = &per_cpu_ptr(ctx->cpu, cpu)->traffic[family];
		for (i = 0; i < VSERVER_TRAFFIC_KINDS; i++) {
			sum->count[i] += READ_ONCE(one->count[i]);
			sum->bytes[i] += READ_ONCE(one->bytes[i]);
		}
	}
}
EXPORT_SYMBOL_GPL(vserver_ctx_traffic);
