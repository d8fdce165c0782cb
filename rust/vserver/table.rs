// SPDX-License-Identifier: GPL-2.0

//! All contexts: create, find, enter, end.
//!
//! A context is in the table from its creation until nobody is left in it (or, if it is
//! persistent, until it no longer is). Ending goes in three steps, because removing its directory
//! in /proc waits for who is just opening a file there, and namespaces take their time:
//!
//! 1. locked: it has ended: nobody finds or enters it,
//! 2. a worker, unlocked: namespaces are let go, the directory goes,
//! 3. the worker, locked: out of the table; then those who wait for the end are told.
//!
//! Who creates a context of the same id meanwhile waits for the third step.

use crate::{bucket::Mode, caps, context::Context, proc, reboot, sched, xid, Ctx, Registration};
use kernel::{
    new_mutex,
    prelude::*,
    proc_fs,
    rbtree::{RBTree, RBTreeNode},
    sync::{aref::ARef, Arc, Mutex},
    task::Pid,
    vserver::{self, abi, signal::SIGKILL, Exit, Whom, Word},
};

/// The table.
#[pin_data]
pub(crate) struct Table {
    #[pin]
    inner: Mutex<Inner>,
    /// The directory that those of contexts are in.
    root: Arc<proc_fs::Dir>,
}

struct Inner {
    contexts: RBTree<u32, ARef<Ctx>>,
    count: u32,
    /// Where to look for the next dynamic id.
    next: u32,
}

impl Table {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(root: Arc<proc_fs::Dir>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_mutex!(Inner {
                    contexts: RBTree::new(),
                    count: 0,
                    next: abi::VX_XID_DYNAMIC_MIN,
                }),
                root,
            }),
            GFP_KERNEL,
        )
    }

    /// How many contexts there are.
    pub(crate) fn count(&self) -> u32 {
        self.inner.lock().count
    }

    /// Calls `f` for each context.
    pub(crate) fn for_each(&self, f: impl FnMut(&ARef<Ctx>)) {
        self.inner.lock().contexts.values().for_each(f);
    }

    /// The context `xid`.
    ///
    /// # Errors
    ///
    /// `ESRCH`: there is none, or it has ended.
    pub(crate) fn get(&self, xid: u32) -> Result<ARef<Ctx>> {
        let inner = self.inner.lock();
        let ctx = inner.contexts.get(&xid).ok_or(ESRCH)?;
        if ctx.has_ended() {
            return Err(ESRCH);
        }
        Ok(ctx.clone())
    }

    /// Makes a context with the caller as its first task, and returns its xid.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no administrator's id, or the caller has other threads. `EEXIST`: it exists;
    /// `EBUSY`: it is being set up. `EAGAIN`: no dynamic id is free. `EPERM`: the caller is inside
    /// a context. `ERESTARTSYS`: a signal came while the last one of this id ended. `ENOMEM`.
    pub(crate) fn create(&self, reg: &Registration, id: u32, flags: u64) -> Result<u32> {
        if id != abi::VX_XID_ANY && !xid::is_static(id) {
            return Err(EINVAL);
        }
        let (mut inner, id) = loop {
            let mut inner = self.inner.lock();
            if id == abi::VX_XID_ANY {
                let id = xid::pick(inner.next, |xid| inner.contexts.get(&xid).is_some())?;
                inner.next = id + 1;
                break (inner, id);
            }
            let old = match inner.contexts.get(&id) {
                None => break (inner, id),
                Some(old) if old.has_ended() => old.clone(),
                Some(old) if old.has(abi::VXF_STATE_SETUP) => return Err(EBUSY),
                Some(_) => return Err(EEXIST),
            };
            drop(inner);
            old.wait_gone()?;
        };

        let ctx = Ctx::new(reg, id, Context::new())?;
        ctx.set(Word::Bcaps, caps::DEFAULT_BCAPS);
        store_flags(&ctx, flags);
        let node = RBTreeNode::new(id, ctx.clone(), GFP_KERNEL)?;
        let files = proc::ContextFiles::new(&self.root, &ctx)?;
        Ctx::enter(ctx.clone())?;
        // Nothing can fail from here on.
        *ctx.files.lock() = Some(files);
        inner.contexts.insert(node);
        inner.count += 1;
        Ok(id)
    }

    /// Moves the caller into the context `xid`, as its init or reaper if the flags `VXM_*` say so.
    ///
    /// # Errors
    ///
    /// `ESRCH`: there is none. `EACCES`: it is private. `EPERM`, `EINVAL`: see [`Ctx::enter`].
    pub(crate) fn enter(&self, xid: u32, flags: u64) -> Result {
        let inner = self.inner.lock();
        let ctx = inner.contexts.get(&xid).ok_or(ESRCH)?;
        if ctx.has_ended() || (ctx.has_lost_init() && !ctx.has(abi::VXF_PERSISTENT)) {
            return Err(ESRCH);
        }
        if ctx.has(abi::VXF_INFO_PRIVATE) {
            return Err(EACCES);
        }
        let is_started = ctx.tasks() == 0;
        Ctx::enter(ctx.clone())?;
        if is_started {
            // The init of the life before is none of this one, though it may be just exiting.
            ctx.set_init(0);
            ctx.set_exit_code(0);
            ctx.forget_reboot();
        }
        if flags & abi::VXM_SET_INIT != 0 {
            ctx.set_init(vserver::current_tgid());
        }
        if flags & abi::VXM_SET_REAPER != 0 {
            ctx.set_reaper(vserver::current_tgid());
        }
        Ok(())
    }

    /// Changes the flags in `mask` to those in `flags`.
    ///
    /// The one-time flags can only be cleared; the one who clears state_init from inside becomes
    /// the context's init. A context without processes ends when it is no longer persistent.
    pub(crate) fn set_flags(&self, ctx: &Ctx, inside: bool, flags: u64, mask: u64) {
        let inner = self.inner.lock();
        let old = ctx.flags();
        let new = ((old & !mask) | (flags & mask)) & !(abi::VXF_ONE_TIME & !old);
        if inside && old & !new & abi::VXF_STATE_INIT != 0 {
            ctx.set_init(vserver::current_tgid());
        }
        store_flags(ctx, new);
        drop(inner);
        self.end_if_unused(ctx);
    }

    /// Changes the bits in `mask` of a word to those in `bits`.
    pub(crate) fn set_word(&self, ctx: &Ctx, word: Word, bits: u64, mask: u64) {
        let _inner = self.inner.lock();
        ctx.set(word, (ctx.get(word) & !mask) | (bits & mask));
    }

    /// A task of `ctx` exits.
    pub(crate) fn task_exit(&self, ctx: &Ctx, exit: Exit) {
        if exit.group_dead && self.forget_init(ctx, exit.tgid) {
            ctx.set_exit_code(exit.code);
            if let Some(signal) = reboot::blamed(ctx.reboot_cmd()) {
                exit.blame(signal);
            }
            // A system whose init is gone is gone. Nobody being left is no error.
            let _ = ctx.signal(Whom::AllBut(exit.tgid), SIGKILL);
        } else if exit.last && ctx.is_without_init() {
            ctx.set_exit_code(exit.code);
        }
        if exit.last {
            self.end_if_unused(ctx);
        }
    }

    /// If `tgid` is the init of `ctx`, it is so no more, and nobody enters to survive it.
    fn forget_init(&self, ctx: &Ctx, tgid: Pid) -> bool {
        // No lock for all the others who exit.
        if ctx.init() != tgid {
            return false;
        }
        let _inner = self.inner.lock();
        let is_init = ctx.init() == tgid;
        if is_init {
            ctx.forget_init();
        }
        is_init
    }

    /// Ends `ctx` if nobody is in it and it is not to live on without. May sleep.
    fn end_if_unused(&self, ctx: &Ctx) {
        let inner = self.inner.lock();
        // A task that enters is counted under the lock; one that is forked has a parent inside.
        if ctx.tasks() > 0 || ctx.has(abi::VXF_PERSISTENT) || ctx.has_ended() {
            return;
        }
        ctx.set_ended();
        drop(inner);
        ctx.end();
    }

    /// The last steps of an end. May sleep, and waits for who is opening the context's files.
    pub(crate) fn remove(&self, ctx: &Ctx) {
        // Mounts go with the spaces, unlocked.
        let spaces = core::mem::take(&mut *ctx.spaces.lock());
        drop(spaces);
        let files = ctx.files.lock().take();
        drop(files);

        let mut inner = self.inner.lock();
        let removed = inner.contexts.remove(&ctx.xid());
        inner.count -= 1;
        drop(inner);
        ctx.set_gone();
        drop(removed);
    }
}

/// Sets the flags and lets the scheduler know. The table is locked.
fn store_flags(ctx: &Ctx, flags: u64) {
    ctx.set(Word::Flags, flags);
    sched::set_mode(
        ctx,
        Mode {
            hard: flags & abi::VXF_SCHED_HARD != 0,
            prio: flags & abi::VXF_SCHED_PRIO != 0,
            paused: flags & abi::VXF_SCHED_PAUSE != 0,
        },
    );
}
