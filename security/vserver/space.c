// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: namespaces that live without a process
 *
 * A space holds what a task is in: namespaces, root and working directory. It
 * never changes; who pins more makes another one from it.
 */

#include <linux/export.h>
#include <linux/fs_struct.h>
#include <linux/nsproxy.h>
#include <linux/path.h>
#include <linux/proc_ns.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/utsname.h>
#include <linux/vserver_space.h>

#include "internal.h"

/* In the order in which they are entered, see vserver_setns(). */
static const struct {
	u64 flag;
	const struct proc_ns_operations *ops;
} kinds[] = {
#ifdef CONFIG_USER_NS
	{ CLONE_NEWUSER, &userns_operations },
#endif
	{ CLONE_NEWNS, &mntns_operations },
#ifdef CONFIG_UTS_NS
	{ CLONE_NEWUTS, &utsns_operations },
#endif
#ifdef CONFIG_IPC_NS
	{ CLONE_NEWIPC, &ipcns_operations },
#endif
	/* The caller itself may be elsewhere: its children live in these two. */
#ifdef CONFIG_PID_NS
	{ CLONE_NEWPID, &pidns_for_children_operations },
#endif
#ifdef CONFIG_CGROUPS
	{ CLONE_NEWCGROUP, &cgroupns_operations },
#endif
#ifdef CONFIG_NET_NS
	{ CLONE_NEWNET, &netns_operations },
#endif
#ifdef CONFIG_TIME_NS
	{ CLONE_NEWTIME, &timens_for_children_operations },
#endif
};

/**
 * struct vserver_space - namespaces, root and working directory
 * @mask:	what is held: CLONE_NEW* flags, and CLONE_FS for the directories
 * @ns:		the namespaces, by index in kinds; each with a reference and
 *		with an active one, as a task has it
 * @root:	the root directory, with a reference
 * @pwd:	the working directory, with a reference
 */
struct vserver_space {
	u64 mask;
	struct ns_common *ns[ARRAY_SIZE(kinds)];
	struct path root;
	struct path pwd;
};

/**
 * vserver_space_mask - what a space can hold on this kernel
 *
 * Return: CLONE_NEW* flags and CLONE_FS.
 */
u64 vserver_space_mask(void)
{
	u64 mask = CLONE_FS;

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		mask |= kinds[i].flag;
	return mask;
}
EXPORT_SYMBOL_GPL(vserver_space_mask);

static struct ns_common *vserver_space_pin(const struct vserver_space *old,
					   unsigned int kind, u64 mask)
{
	struct ns_common *ns = NULL;

	if (mask & kinds[kind].flag) {
		/* The caller is alive, and so are its namespaces. */
		ns = kinds[kind].ops->get(current);
	} else if (old && old->ns[kind]) {
		ns = old->ns[kind];
		__ns_ref_inc(ns);
	}
	if (ns)
		__ns_ref_active_get(ns);
	return ns;
}

/**
 * vserver_space_make - hold what the caller is in
 * @old:	a space whose contents are held as well, where @mask does not
 *		name them; or NULL
 * @mask:	what of the caller to hold, of vserver_space_mask()
 *
 * May sleep.
 *
 * Return: the space, or NULL if there is no memory.
 */
struct vserver_space *vserver_space_make(const struct vserver_space *old,
					 u64 mask)
{
	struct vserver_space *space;

	space = kzalloc_obj(*space, GFP_KERNEL_ACCOUNT);
	if (!space)
		return NULL;
	space->mask = mask | (old ? old->mask : 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		space->ns[i] = vserver_space_pin(old, i, mask);
	if (mask & CLONE_FS) {
		get_fs_root(current->fs, &space->root);
		get_fs_pwd(current->fs, &space->pwd);
	} else if (old) {
		space->root = old->root;
		path_get(&space->root);
		space->pwd = old->pwd;
		path_get(&space->pwd);
	}
	return space;
}
EXPORT_SYMBOL_GPL(vserver_space_make);

/**
 * vserver_space_free - let go what a space holds
 * @space:	the space
 *
 * May sleep: the last reference to a mount namespace unmounts what is in it.
 */
void vserver_space_free(struct vserver_space *space)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ns_common *ns = space->ns[i];

		if (!ns)
			continue;
		__ns_ref_active_put(ns);
		ns->ops->put(ns);
	}
	path_put(&space->pwd);
	path_put(&space->root);
	kfree(space);
}
EXPORT_SYMBOL_GPL(vserver_space_free);

/**
 * vserver_space_held - what a space holds
 * @space:	the space
 *
 * Return: CLONE_NEW* flags, and CLONE_FS for the directories.
 */
u64 vserver_space_held(const struct vserver_space *space)
{
	return space->mask;
}
EXPORT_SYMBOL_GPL(vserver_space_held);

/**
 * vserver_space_enter - move the caller into what a space holds
 * @space:	the space
 * @mask:	what of it
 *
 * A pid namespace is entered by the caller's children. May sleep.
 *
 * Return: 0; -EINVAL if something of @mask is not held, or the caller shares
 * its directories with others; else what setns(2) fails with. Nothing has
 * changed then.
 */
int vserver_space_enter(const struct vserver_space *space, u64 mask)
{
	struct ns_common *ns[ARRAY_SIZE(kinds)];
	unsigned int n = 0;
	int error;

	if (mask & ~space->mask)
		return -EINVAL;
	if ((mask & CLONE_FS) && current->fs->users != 1)
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!(mask & kinds[i].flag))
			continue;
		/* Who is there already would only gain capabilities. */
		if (space->ns[i] == &current_user_ns()->ns)
			continue;
		ns[n++] = space->ns[i];
	}
	if (n) {
		error = vserver_setns(ns, n);
		if (error)
			return error;
	}
	if (mask & CLONE_FS) {
		set_fs_root(current->fs, &space->root);
		set_fs_pwd(current->fs, &space->pwd);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(vserver_space_enter);

/**
 * vserver_space_show - print what a space holds
 * @m:		where to
 * @space:	the space
 *
 * First the space, as pointers are hashed, and its mask. Then a line for each
 * namespace: the name and the number that /proc/<pid>/ns has, and how many
 * references there are.
 */
void vserver_space_show(struct seq_file *m, const struct vserver_space *space)
{
	seq_printf(m, "%p %08llx\n", space, space->mask);
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct ns_common *ns = space->ns[i];

		if (ns)
			seq_printf(m, "%s:\t%u %d\n", ns->ops->name, ns->inum,
				   __ns_ref_read(ns));
	}
}
EXPORT_SYMBOL_GPL(vserver_space_show);

/* The UTS namespace of a space, unless that is the host's. */
static struct uts_namespace *vserver_space_uts(const struct vserver_space *space)
{
#ifdef CONFIG_UTS_NS
	for (unsigned int i = 0; space && i < ARRAY_SIZE(kinds); i++) {
		struct ns_common *ns = space->ns[i];

		if (ns && ns->ops == &utsns_operations &&
		    to_uts_ns(ns) != &init_uts_ns)
			return to_uts_ns(ns);
	}
#endif
	return NULL;
}

/**
 * vserver_space_names - the names in a space's UTS namespace
 * @space:	the space or NULL
 * @names:	the answer; if @space has none of its own, those of the caller's
 *		namespace inside, or else of the host's
 *
 * Return: whether it is another than the host's. May sleep.
 */
bool vserver_space_names(const struct vserver_space *space,
			 struct new_utsname *names)
{
	const struct uts_namespace *uts = vserver_space_uts(space);

	if (!uts)
		uts = vserver_confining() ? current->nsproxy->uts_ns :
					    &init_uts_ns;
	down_read(&uts_sem);
	*names = uts->name;
	up_read(&uts_sem);
	return uts != &init_uts_ns;
}
EXPORT_SYMBOL_GPL(vserver_space_names);

/**
 * vserver_space_set_names - change host and domain name in a space's namespace
 * @space:	the space
 * @nodename:	the host name, or NULL to keep it
 * @domainname:	the domain name, or NULL to keep it; each of __NEW_UTS_LEN + 1
 *		bytes
 *
 * Does nothing if the space has no UTS namespace of its own. May sleep.
 */
void vserver_space_set_names(const struct vserver_space *space,
			     const char *nodename, const char *domainname)
{
	struct uts_namespace *own = vserver_space_uts(space);

	if (!own)
		return;
	down_write(&uts_sem);
	if (nodename) {
		memcpy(own->name.nodename, nodename, __NEW_UTS_LEN + 1);
		uts_proc_notify(UTS_PROC_HOSTNAME);
	}
	if (domainname) {
		memcpy(own->name.domainname, domainname, __NEW_UTS_LEN + 1);
		uts_proc_notify(UTS_PROC_DOMAINNAME);
	}
	up_write(&uts_sem);
}
EXPORT_SYMBOL_GPL(vserver_space_set_names);
