/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux-VServer: which sockets there are for whom
 *
 * Inside a context there are only its own. The host and the spectator see all:
 * who shares a network namespace shares its ports.
 *
 * None of these sleeps; all may be called with any lock held.
 */
#ifndef _LINUX_VSERVER_SOCK_H
#define _LINUX_VSERVER_SOCK_H

#include <linux/jump_label.h>
#include <linux/socket.h>
#include <linux/types.h>
#include <uapi/linux/in.h>

struct net;
struct sock;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

bool __vserver_sees_sock(const struct sock *sk);
bool __vserver_sees_net(const struct net *net);

/**
 * vserver_sees_sock - whether there is a socket for the caller
 * @sk:	the socket. What is left of one that was closed has no owner, and
 *	is the host's.
 */
static __always_inline bool vserver_sees_sock(const struct sock *sk)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees_sock(sk);
}

/**
 * vserver_sees_net - whether the caller may hear of all that is in a network
 *		      namespace, because it is not that of the host
 * @net:	the namespace
 */
static __always_inline bool vserver_sees_net(const struct net *net)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_sees_net(net);
}

#else

static inline bool vserver_sees_sock(const struct sock *sk)
{
	return true;
}

static inline bool vserver_sees_net(const struct net *net)
{
	return true;
}

#endif /* CONFIG_SECURITY_VSERVER */

/**
 * vserver_sees_family - whether the caller may ask about the sockets of a family
 * @net:	the network namespace
 * @family:	AF_*; the sockets of these are told one by one for whom they are
 */
static inline bool vserver_sees_family(const struct net *net, int family)
{
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
	       vserver_sees_net(net);
}

/**
 * vserver_sees_protocol - whether the caller may ask about INET sockets of a kind
 * @net:	the network namespace
 * @protocol:	IPPROTO_*; the sockets of others than SCTP are told one by one
 */
static inline bool vserver_sees_protocol(const struct net *net, int protocol)
{
	return protocol != IPPROTO_SCTP || vserver_sees_net(net);
}

#endif /* _LINUX_VSERVER_SOCK_H */
