// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux-VServer, built-in part: around the break of a link
 *
 * What the module needs of the file system's internals to break it, and what
 * others see of it. How it is done is the module's part.
 */

#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mount.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vserver_cow.h>
#include <linux/wait_bit.h>

#include "internal.h"

/*
 * Add to the state, unless anything of @busy is there. A full barrier then.
 *
 * Return: whether it was added.
 */
static bool vserver_add_state(struct vserver_inode *vi, u32 busy, u32 what)
{
	u64 old = READ_ONCE(vi->state);

	do {
		if (old & busy)
			return false;
	} while (!try_cmpxchg(&vi->state, &old, old + what));
	return true;
}

/* Return: whether it was not set before. */
bool vserver_set_state(struct vserver_inode *vi, u32 bit)
{
	return vserver_add_state(vi, bit, bit);
}

/* A full barrier. */
void vserver_clear_state(struct vserver_inode *vi, u32 bit)
{
	u64 old = READ_ONCE(vi->state);

	do {
	} while (!try_cmpxchg(&vi->state, &old, old & ~(u64)bit));
}

/*
 * As wait_var_event_killable(), but freezable: who is waited for may be frozen
 * while his data is copied, and the machine is to be suspended all the same.
 * No lock is held, unless who opens the file has one, as acct(2) does.
 */
#define vserver_wait_var(var, condition)				\
	___wait_var_event(var, condition, (TASK_KILLABLE | TASK_FREEZABLE), \
			  0, 0, schedule())

static bool vserver_breaking_add(struct vserver_inode *vi, bool alone)
{
	if (alone)
		return vserver_add_state(vi, VSERVER_STATE_BREAKING |
					 VSERVER_STATE_COPIES,
					 VSERVER_STATE_BREAKING);
	return vserver_add_state(vi, VSERVER_STATE_BREAKING |
				 VSERVER_STATE_COPIES_MAX, VSERVER_STATE_COPY);
}

/**
 * vserver_breaking_begin - keep an inode unified, or be the one who changes that
 * @inode:	a unified inode, to which the caller holds a reference
 * @alone:	nobody else breaks links to it: it may become an ordinary one, or
 *		be given names. Otherwise others may copy it too: guests don't
 *		wait for each other
 *
 * Sleeps; pair with vserver_breaking_end().
 *
 * Return: 0; -ERESTARTSYS if a fatal signal came first; -EPERM for an inode that
 * can't be unified at all.
 */
int vserver_breaking_begin(struct inode *inode, bool alone)
{
	struct vserver_inode *vi = vserver_inode(inode);

	if (!vi)
		return -EPERM;
	might_sleep();
	if (vserver_breaking_add(vi, alone))
		return 0;
	return vserver_wait_var(&vi->state, vserver_breaking_add(vi, alone));
}
EXPORT_SYMBOL_GPL(vserver_breaking_begin);

/**
 * vserver_breaking_try - be alone with an inode, if nobody has to be waited for
 * @inode:	a unified inode, to which the caller holds a reference
 *
 * Return: whether that is so; pair with vserver_breaking_end() then.
 */
bool vserver_breaking_try(struct inode *inode)
{
	struct vserver_inode *vi = vserver_inode(inode);

	return vi && vserver_breaking_add(vi, true);
}
EXPORT_SYMBOL_GPL(vserver_breaking_try);

void vserver_breaking_end(struct inode *inode, bool alone)
{
	struct vserver_inode *vi = vserver_inode(inode);
	u32 part = alone ? VSERVER_STATE_BREAKING : VSERVER_STATE_COPY;
	u64 old;

	if (!vi)
		return;
	old = READ_ONCE(vi->state);
	do {
	} while (!try_cmpxchg(&vi->state, &old, old - part));
	/* A full barrier came before: a waiter sees the change or is woken. */
	wake_up_var(&vi->state);
}
EXPORT_SYMBOL_GPL(vserver_breaking_end);

/* The names whose files are being copied, on behalf of whom has them there. */
struct vserver_renewal {
	struct list_head list;
	const struct dentry *name;
};

static LIST_HEAD(vserver_renewals);
static DEFINE_SPINLOCK(vserver_renewals_lock);

static bool vserver_renewal_try(struct vserver_renewal *new)
{
	struct vserver_renewal *r;

	guard(spinlock)(&vserver_renewals_lock);
	list_for_each_entry(r, &vserver_renewals, list)
		if (r->name == new->name)
			return false;
	list_add(&new->list, &vserver_renewals);
	return true;
}

/**
 * vserver_renewal_begin - be the only one who breaks the link of a name
 * @name:	the name, to which the caller holds a reference
 *
 * Many who open one file for writing would otherwise all copy it, for one to
 * win. Sleeps; pair with vserver_renewal_end(). Comes before
 * vserver_breaking_begin().
 *
 * Return: what to end, or an ERR_PTR(): -ENOMEM, or -ERESTARTSYS if a fatal
 * signal came first.
 */
struct vserver_renewal *vserver_renewal_begin(const struct dentry *name)
{
	struct vserver_renewal *r = kmalloc_obj(*r);
	int error;

	if (!r)
		return ERR_PTR(-ENOMEM);
	r->name = name;
	error = vserver_renewal_try(r) ? 0 :
		vserver_wait_var((void *)name, vserver_renewal_try(r));
	if (error) {
		kfree(r);
		return ERR_PTR(error);
	}
	return r;
}
EXPORT_SYMBOL_GPL(vserver_renewal_begin);

void vserver_renewal_end(struct vserver_renewal *r)
{
	void *name = (void *)r->name;

	scoped_guard(spinlock, &vserver_renewals_lock)
		list_del(&r->list);
	kfree(r);
	/* The lock is no full barrier. */
	smp_mb();
	wake_up_var(name);
}
EXPORT_SYMBOL_GPL(vserver_renewal_end);

/**
 * vserver_sweep_begin - is a directory to be searched for debris?
 * @dir:	the directory, to which the caller holds a reference
 *
 * A crash may leave a copy under its temporary name. As the inode was not in
 * memory then, once is enough.
 *
 * Return: true to the first caller.
 */
bool vserver_sweep_begin(struct inode *dir)
{
	struct vserver_inode *vi = vserver_inode(dir);

	return vi && vserver_set_state(vi, VSERVER_STATE_SWEPT);
}
EXPORT_SYMBOL_GPL(vserver_sweep_begin);

/**
 * vserver_sweep_again - have a directory searched at the next break in it
 * @dir:	the directory, to which the caller holds a reference
 */
void vserver_sweep_again(struct inode *dir)
{
	struct vserver_inode *vi = vserver_inode(dir);

	if (vi)
		vserver_clear_state(vi, VSERVER_STATE_SWEPT);
}
EXPORT_SYMBOL_GPL(vserver_sweep_again);

/**
 * vserver_mark_copy - remember what an inode is the private copy of
 * @copy:	a new inode, not visible to anybody
 * @of:		the unified inode
 */
void vserver_mark_copy(struct inode *copy, const struct inode *of)
{
	struct vserver_inode *vi = vserver_inode(copy);

	if (!vi)
		return;
	vi->other_gen = of->i_generation;
	vi->other_ino = of->i_ino;
}
EXPORT_SYMBOL_GPL(vserver_mark_copy);

static bool vserver_other_is(const struct vserver_inode *vi,
			     const struct inode *inode)
{
	return READ_ONCE(vi->other_ino) == inode->i_ino &&
	       READ_ONCE(vi->other_gen) == inode->i_generation;
}

/**
 * vserver_mark_replaced - remember what took the name of a unified inode
 * @old:	the unified inode, to which the caller breaks a link
 * @by:		its private copy, or another unified inode
 *
 * Whoever waits to break the link has found the name before, or holds it by a
 * descriptor. What he is going to write must not go to a file that has lost it,
 * and later its other names too.
 */
void vserver_mark_replaced(struct inode *old, const struct inode *by)
{
	struct vserver_inode *vi = vserver_inode(old);

	if (!vi)
		return;
	if (!vserver_stands_for(by, old)) {
		vserver_set_state(vi, VSERVER_STATE_HEIR);
		WRITE_ONCE(vi->other_gen, by->i_generation);
		WRITE_ONCE(vi->other_ino, by->i_ino);
	}
	vserver_set_state(vi, VSERVER_STATE_REPLACED);
}
EXPORT_SYMBOL_GPL(vserver_mark_replaced);

/**
 * vserver_stands_for - did @inode get a name of @of by breaking or making a
 *			link, or is it a copy of what did?
 * @inode:	any inode, to which the caller holds a reference
 * @of:		a unified inode, to which the caller breaks a link: so its number
 *		can't have gone to another, and what it says stays
 *
 * A caller that lost the race to break a link goes on with what the winner has
 * put there, but never with a file that merely has the name now.
 */
bool vserver_stands_for(const struct inode *inode, const struct inode *of)
{
	const struct vserver_inode *vi = vserver_inode(inode);
	const struct vserver_inode *ovi = vserver_inode(of);
	bool heir, copy;

	if (!vi || !ovi || inode->i_sb != of->i_sb)
		return false;
	heir = READ_ONCE(ovi->state) & VSERVER_STATE_HEIR;
	if (heir && vserver_other_is(ovi, inode))
		return true;
	copy = vserver_other_is(vi, of) ||
	       (heir && READ_ONCE(vi->other_ino) == ovi->other_ino &&
		READ_ONCE(vi->other_gen) == ovi->other_gen);
	/* Pairs with the barrier of vserver_set_state(): no copy any more? */
	smp_rmb();
	return copy && !(READ_ONCE(vi->state) & VSERVER_STATE_HEIR);
}
EXPORT_SYMBOL_GPL(vserver_stands_for);

/**
 * vserver_reachable - does a path lie under the caller's root?
 * @path:	the path
 *
 * A descriptor from elsewhere or a file handle may name any alias of a unified
 * inode, also one that is another guest's. So may one whose name was moved out of
 * the part of the file system that is mounted.
 */
bool vserver_reachable(const struct path *path)
{
	struct path root __free(path_put) = {};

	get_fs_root(current->fs, &root);
	return path_is_under(path, &root) &&
	       is_subdir(path->dentry, path->mnt->mnt_root);
}
EXPORT_SYMBOL_GPL(vserver_reachable);

/**
 * vserver_deny_mount - let nobody mount on a name that is about to be replaced
 * @dentry:	the name, whose directory is locked
 *
 * A rename detaches what other namespaces have mounted on the name. Whoever
 * mounts does not take the directory's lock, but d_set_mounted() looks at the
 * flag under the dentry's, and says that the name has gone. Pair with
 * vserver_allow_mount().
 *
 * Return: false if something is mounted there, in any namespace.
 */
bool vserver_deny_mount(struct dentry *dentry)
{
	guard(spinlock)(&dentry->d_lock);
	if (d_mountpoint(dentry))
		return false;
	dentry->d_flags |= DCACHE_CANT_MOUNT;
	return true;
}
EXPORT_SYMBOL_GPL(vserver_deny_mount);

/**
 * vserver_allow_mount - undo vserver_deny_mount(), if the name is still there
 * @dentry:	the name, whose directory is locked
 */
void vserver_allow_mount(struct dentry *dentry)
{
	guard(spinlock)(&dentry->d_lock);
	if (!d_unlinked(dentry))
		dentry->d_flags &= ~DCACHE_CANT_MOUNT;
}
EXPORT_SYMBOL_GPL(vserver_allow_mount);

int __vserver_nameless(struct dentry **dentry)
{
	struct inode *inode = d_backing_inode(*dentry);
	struct dentry *nameless;

	if (inode->i_nlink <= 1)
		return 0;
	nameless = d_alloc_anon(inode->i_sb);
	if (!nameless)
		return -ENOMEM;
	ihold(inode);
	d_instantiate(nameless, inode);
	dput(*dentry);
	*dentry = nameless;
	return 0;
}
EXPORT_SYMBOL_GPL(__vserver_nameless);

int __vserver_raced(struct inode *inode, int error, bool nowait)
{
	struct vserver_inode *vi = vserver_inode(inode);

	if (!vi || !S_ISREG(inode->i_mode))
		return error;
	if (!(READ_ONCE(vi->state) & VSERVER_STATE_BREAKING)) {
		int unified = vserver_is_unified(inode, nowait);

		if (unified == -ECHILD)
			return -EAGAIN;
		return unified > 0 ? -ESTALE : error;
	}
	if (nowait)
		return -EAGAIN;
	error = vserver_wait_var(&vi->state, !(READ_ONCE(vi->state) &
					       VSERVER_STATE_BREAKING));
	return error ?: -ESTALE;
}

bool __vserver_silent(void)
{
	return vserver_cred(current_cred())->silent;
}
EXPORT_SYMBOL_GPL(__vserver_silent);

/**
 * vserver_act_begin - act with other credentials, and unseen by audit
 * @acting:	what vserver_act_end() wants
 * @cred:	the credentials; the caller keeps a reference
 *
 * There would be records of temporary names.
 */
void vserver_act_begin(struct vserver_acting *acting, const struct cred *cred)
{
	acting->audit = vserver_audit_pause();
	acting->cred = override_creds(cred);
}
EXPORT_SYMBOL_GPL(vserver_act_begin);

/**
 * vserver_act_end - be oneself again
 * @acting:	from vserver_act_begin()
 */
void vserver_act_end(const struct vserver_acting *acting)
{
	revert_creds(acting->cred);
	vserver_audit_resume(acting->audit);
}
EXPORT_SYMBOL_GPL(vserver_act_end);

/**
 * vserver_cred_silence - let nothing that is done with credentials be an event
 * @cred:	new credentials, which nobody uses yet
 */
void vserver_cred_silence(struct cred *cred)
{
	vserver_cred(cred)->silent = true;
}
EXPORT_SYMBOL_GPL(vserver_cred_silence);
