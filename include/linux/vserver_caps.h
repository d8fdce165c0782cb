/* SPDX-License-Identifier: GPL-2.0 */
/* Linux-VServer: hooks where a context may do more, or less, than a capability */
#ifndef _LINUX_VSERVER_CAPS_H
#define _LINUX_VSERVER_CAPS_H

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/jump_label.h>
#include <linux/types.h>
#include <linux/utsname.h>
#include <uapi/linux/resource.h>
#include <uapi/linux/vserver.h>

struct ctl_table;
struct ctl_table_set;
struct path;
struct user_namespace;

#ifdef CONFIG_SECURITY_VSERVER

DECLARE_STATIC_KEY_FALSE(vserver_key);

int __vserver_capable(const struct cred *cred, int cap);
bool __vserver_ns_ccap(struct user_namespace *ns, int cap, u64 ccap);
bool __vserver_trusted_capable(const char *name);
bool __vserver_may_unshare(struct user_namespace *ns, u64 flags);
bool __vserver_may_setns(u32 type);
bool __vserver_may_set_sysctl(struct ctl_table_set *set,
			      const struct ctl_table *table);
bool __vserver_may_log(void);
bool __vserver_lend_mount(const struct path *path, const char *type,
			  unsigned long *flags);
bool __vserver_lend_remount(const struct path *path, unsigned long *flags);
void __vserver_lend_end(void);

/**
 * vserver_capable - may these credentials do what a capability of theirs is for?
 * @cred:	the credentials
 * @cap:	the capability, which they have
 *
 * Any context; asks the credentials only.
 *
 * Return: 0, or -EPERM if the context that they stand for is bound not to.
 */
static __always_inline int vserver_capable(const struct cred *cred, int cap)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_capable(cred, cap);
	return 0;
}

/**
 * vserver_ns_ccap - as ns_capable(), for what a context may do without
 * @ns:		the user namespace
 * @cap:	the capability
 * @ccap:	VXC_*: the caller's context does not take @cap from its
 *		credentials here if it has this one
 */
static __always_inline bool vserver_ns_ccap(struct user_namespace *ns,
					    int cap, u64 ccap)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_ns_ccap(ns, cap, ccap);
	return ns_capable(ns, cap);
}

/**
 * vserver_ccap - as capable(), for what a context may do without
 * @cap:	the capability
 * @ccap:	see vserver_ns_ccap()
 */
static __always_inline bool vserver_ccap(int cap, u64 ccap)
{
	return vserver_ns_ccap(&init_user_ns, cap, ccap);
}

/**
 * vserver_rlimit_capable - may the caller raise the hard limit of a process?
 * @resource:	RLIMIT_*; those that stand for a capability of their own, which
 *		are ipc_lock and sys_nice, are not a context capability's
 */
static __always_inline bool vserver_rlimit_capable(unsigned int resource)
{
	bool other = resource == RLIMIT_MEMLOCK || resource == RLIMIT_NICE ||
		     resource == RLIMIT_RTPRIO;

	return vserver_ccap(CAP_SYS_RESOURCE, other ? 0 : VXC_SET_RLIMIT);
}

/**
 * vserver_trusted_capable - may the caller read and write this attribute?
 * @name:	trusted.*
 */
static __always_inline bool vserver_trusted_capable(const char *name)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_trusted_capable(name);
	return capable(CAP_SYS_ADMIN);
}

/**
 * vserver_uts_capable - may the caller name the host of this namespace?
 * @uts:	the namespace; a context capability does not reach the host's
 */
static __always_inline bool vserver_uts_capable(struct uts_namespace *uts)
{
	u64 ccap = uts == &init_uts_ns ? 0 : VXC_SET_UTSNAME;

	return vserver_ns_ccap(uts->user_ns, CAP_SYS_ADMIN, ccap);
}

/**
 * vserver_may_unshare - may the caller make namespaces?
 * @ns:		the user namespace that will own them
 * @flags:	CLONE_NEW*
 */
static __always_inline bool vserver_may_unshare(struct user_namespace *ns,
						u64 flags)
{
	if (static_branch_unlikely(&vserver_key))
		return __vserver_may_unshare(ns, flags);
	return ns_capable(ns, CAP_SYS_ADMIN);
}

/**
 * vserver_may_setns - may the caller enter a namespace, if capabilities allow?
 * @type:	CLONE_NEW*
 */
static __always_inline bool vserver_may_setns(u32 type)
{
	return !static_branch_unlikely(&vserver_key) ||
	       __vserver_may_setns(type);
}

/**
 * vserver_may_set_sysctl - may the caller change it, if its mode allows?
 * @set:	the set that it is in
 * @table:	what it is
 */
static __always_inline bool
vserver_may_set_sysctl(struct ctl_table_set *set, const struct ctl_table *table)
{
	return !static_branch_unlikely(&vserver_key) ||
	       __vserver_may_set_sysctl(set, table);
}

/**
 * vserver_may_log - may what the caller says get into the kernel's log?
 */
static __always_inline bool vserver_may_log(void)
{
	return !static_branch_unlikely(&vserver_key) || __vserver_may_log();
}

/**
 * vserver_lend_mount - let a context mount what does no harm
 * @path:	where
 * @type:	the file system
 * @flags:	MS_*, restricted here
 *
 * Return: true if CAP_SYS_ADMIN is the caller's until vserver_lend_end().
 */
static __always_inline bool vserver_lend_mount(const struct path *path,
					       const char *type,
					       unsigned long *flags)
{
	return static_branch_unlikely(&vserver_key) &&
	       __vserver_lend_mount(path, type, flags);
}

/**
 * vserver_lend_remount - let a context remount what it has mounted that way
 * @path:	the mount
 * @flags:	MS_*, restricted here
 *
 * Return: true if CAP_SYS_ADMIN is the caller's until vserver_lend_end().
 */
static __always_inline bool vserver_lend_remount(const struct path *path,
						 unsigned long *flags)
{
	return static_branch_unlikely(&vserver_key) &&
	       __vserver_lend_remount(path, flags);
}

static __always_inline void vserver_lend_end(bool lent)
{
	if (unlikely(lent))
		__vserver_lend_end();
}

#else

static inline int vserver_capable(const struct cred *cred, int cap)
{
	return 0;
}

static inline bool vserver_ns_ccap(struct user_namespace *ns, int cap,
				   u64 ccap)
{
	return ns_capable(ns, cap);
}

static inline bool vserver_ccap(int cap, u64 ccap)
{
	return capable(cap);
}

static inline bool vserver_rlimit_capable(unsigned int resource)
{
	return capable(CAP_SYS_RESOURCE);
}

static inline bool vserver_trusted_capable(const char *name)
{
	return capable(CAP_SYS_ADMIN);
}

static inline bool vserver_uts_capable(struct uts_namespace *uts)
{
	return ns_capable(uts->user_ns, CAP_SYS_ADMIN);
}

static inline bool vserver_may_unshare(struct user_namespace *ns, u64 flags)
{
	return ns_capable(ns, CAP_SYS_ADMIN);
}

static inline bool vserver_may_setns(u32 type)
{
	return true;
}

static inline bool
vserver_may_set_sysctl(struct ctl_table_set *set, const struct ctl_table *table)
{
	return true;
}

static inline bool vserver_may_log(void)
{
	return true;
}

static inline bool vserver_lend_mount(const struct path *path,
				      const char *type, unsigned long *flags)
{
	return false;
}

static inline bool vserver_lend_remount(const struct path *path,
					unsigned long *flags)
{
	return false;
}

static inline void vserver_lend_end(bool lent) {}

#endif /* CONFIG_SECURITY_VSERVER */
#endif /* _LINUX_VSERVER_CAPS_H */
