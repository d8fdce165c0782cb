// SPDX-License-Identifier: GPL-2.0

//! Linux-VServer: what the built-in part offers to the module that brings the policy.
//!
//! The module implements [`Operations`] and keeps a [`Registration`] as long as it is loaded. A
//! [`Context`] is reference counted by built-in code, so that tasks can hold one without the
//! module's doing, and carries the module's own data.
//!
//! C header: [`include/linux/vserver.h`](srctree/include/linux/vserver.h)

use crate::{
    bindings,
    error::{to_result, Result},
    ffi::c_int,
    prelude::*,
    proc_fs,
    seq_file::SeqFile,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        atomic::{Atomic, Relaxed},
    },
    task::{Pid, Task},
    types::Opaque,
    uaccess::UserPtr,
    vfs::Path,
};
use core::{ops::Deref, ptr::NonNull};

pub mod abi;
mod caller;
pub mod idle;
mod life;
pub mod limit;
pub mod load;
mod registration;
pub mod space;
pub mod trace;
pub mod wait;

pub use caller::{capable, current_tgid, current_xid, set_tag, task, Belongs, Capability};
pub use life::{help, reboot, signal};
pub use registration::Registration;

/// The length of a tick, in nanoseconds: the ABI's unit of CPU time.
pub const TICK_NS: i64 = 1_000_000_000 / bindings::CONFIG_HZ as i64;

/// How many CPUs there may be: ids are below this.
pub fn nr_cpus() -> u32 {
    crate::cpu::nr_cpu_ids()
}

/// The version of the kernel, as `KERNEL_VERSION()` packs it.
pub const KERNEL_VERSION: u32 = bindings::LINUX_VERSION_CODE;

/// The number of the system call.
pub const SYSCALL: u32 = bindings::__NR_vserver;

/// A random number, fit for what others must not guess. Does not sleep.
pub fn random_u32() -> u32 {
    // SAFETY: Always safe to call.
    unsafe { bindings::get_random_u32() }
}

/// What a context used of one CPU, in nanoseconds.
#[derive(Clone, Copy, Default)]
pub struct CpuUse {
    /// Run time in user mode.
    pub user: u64,
    /// Run time in the kernel.
    pub sys: u64,
    /// Time that its tasks waited for tokens, with waits under way.
    pub hold: u64,
    /// What of the run time was idle time.
    pub idle: u64,
}

/// `n * part / whole`, for a `part` of the `whole`: more counts as all of it, and 0 of nothing is 0.
pub fn mul_div(n: u64, part: u64, whole: u64) -> u64 {
    if part >= whole {
        return if whole == 0 { 0 } else { n };
    }
    // SAFETY: `whole` is not 0, and the result is less than `n`: neither traps.
    unsafe { bindings::mul_u64_u64_div_u64(n, part, whole) }
}

/// The words of bits that the hooks of the built-in part look at.
#[derive(Clone, Copy)]
pub enum Word {
    /// The flags `VXF_*`.
    Flags,
    /// The upper bound on Linux capabilities.
    Bcaps,
    /// The context capabilities `VXC_*`.
    Ccaps,
    /// The namespaces `CLONE_NEW*` that those inside may unshare.
    Umask,
    /// What is added to the `oom_score_adj` of those inside: a signed number.
    Badness,
}

/// Whom [`Context::signal`] reaches. Processes are named by their numbers in the initial pid
/// namespace.
#[derive(Clone, Copy)]
pub enum Whom {
    /// Every process of the context.
    All,
    /// All but this one.
    AllBut(Pid),
    /// Only this one.
    Only(Pid),
}

/// How a task, the current one, leaves its context.
#[derive(Clone, Copy)]
pub struct Exit {
    /// Its process.
    pub tgid: Pid,
    /// No other thread of the process is left.
    pub group_dead: bool,
    /// Its exit code, as `wait(2)` reports it.
    pub code: i32,
    /// No other task of the context is left.
    pub last: bool,
}

impl Exit {
    /// Lets the parent of a process that was killed find that `signal` did it.
    ///
    /// Does nothing if another thread of it is left.
    pub fn blame(&self, signal: i32) {
        if !self.group_dead {
            return;
        }
        // SAFETY: An `Exit` is of the current task, which keeps its signal structure until it is
        // waited for. Nobody writes the code any more when the last thread exits, and who waits is
        // told it later; /proc may show the old one.
        unsafe { (*(*Task::current_raw()).signal).group_exit_code = signal };
    }
}

/// What the module does for the built-in part. See `struct vserver_ops` for the details.
pub trait Operations: Sized + Send + Sync + 'static {
    /// The module's part of a context.
    type Context: Send + Sync + 'static;

    /// A `vserver(2)` command. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// What the caller's system call is to fail with.
    fn syscall(reg: &Registration<Self>, cmd: u32, id: u32, data: UserPtr) -> Result<u32>;

    /// Replaces the unified file at `path` by a private copy, and `path` with it. Process
    /// context, may sleep, neither locks nor write access to the file system held. The caller
    /// truncates the file to `keep` bytes if that is less than it has.
    ///
    /// # Errors
    ///
    /// Name and inode are then as before; `ESTALE` if the name has moved.
    fn break_link(reg: &Registration<Self>, path: &mut Path, keep: i64) -> Result;

    /// Whether that can be done at all, as far as it shows before it is tried. Process context, may
    /// sleep.
    ///
    /// # Errors
    ///
    /// Those of `break_link`.
    fn may_break(path: &Path) -> Result;

    /// Tasks of `ctx` ran for `ns` nanoseconds, or may they run on? Returns for how many
    /// nanoseconds of CPU time there are tokens, or nothing if the task is to be held.
    ///
    /// The run queue's lock is held, interrupts are off: no sleeping, no waking, no locks.
    fn charge(ctx: &Context<Self>, ns: u64) -> Option<u64>;

    /// Holds the caller, a task of `ctx`, until `ended` says that it has something else to do. It
    /// goes before all whose turn is yet to come if it is `again` its own. Process context without
    /// locks. Returns false if that, or a signal, came first.
    fn hold(ctx: &Context<Self>, again: bool, ended: impl Fn() -> bool) -> bool;

    /// A task of `ctx` that may do so called `reboot(2)` for it. May sleep.
    ///
    /// # Errors
    ///
    /// What the system call is to fail with.
    fn reboot(ctx: &Context<Self>, cmd: u32) -> Result;

    /// A task of `ctx` exits. Process context, may sleep; its parent waits for it.
    fn task_exit(reg: &Registration<Self>, ctx: &Context<Self>, exit: Exit);

    /// The name that `ctx` was given in `field`, one of `VHIN_*`. Process context, may sleep.
    fn uts_name(ctx: &Context<Self>, field: u32) -> Option<space::Name>;

    /// What [`Context::end`] asked for. A worker: may sleep and wait for strangers.
    fn ended(reg: &Registration<Self>, ctx: &Context<Self>);
}

/// A context: what the built-in part knows of it, and the module's data, to which it derefs.
///
/// # Invariants
///
/// - `base` is initialised by `vserver_ctx_init` with the operations of a [`Registration`] of the
///   same `T`, whose module it keeps loaded.
/// - It is allocated as a [`KBox`] and freed by `ctx_free` when `base.usage` is 0, nobody else.
#[repr(C)]
#[pin_data]
pub struct Context<T: Operations> {
    #[pin]
    base: Opaque<bindings::vserver_ctx>,
    #[pin]
    data: T::Context,
}

// SAFETY: The built-in part's fields are constant, atomic or per CPU; `T::Context` is `Send`.
unsafe impl<T: Operations> Send for Context<T> {}
// SAFETY: As above, and `T::Context` is `Sync`.
unsafe impl<T: Operations> Sync for Context<T> {}

// SAFETY: `vserver_ctx_get` and `vserver_ctx_put` count references, and the context lives while
// there are any.
unsafe impl<T: Operations> AlwaysRefCounted for Context<T> {
    fn inc_ref(&self) {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_ctx_get(self.base.get()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference. CAST: `base` is first in a `repr(C)` structure.
        unsafe { bindings::vserver_ctx_put(obj.as_ptr().cast()) };
    }
}

impl<T: Operations> Deref for Context<T> {
    type Target = T::Context;

    fn deref(&self) -> &T::Context {
        &self.data
    }
}

impl<T: Operations> Context<T> {
    /// Makes a context. It is not yet known to anybody. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENODEV` if the module is going away.
    pub fn new<E>(
        reg: &Registration<T>,
        xid: u32,
        data: impl PinInit<T::Context, E>,
    ) -> Result<ARef<Self>>
    where
        Error: From<E>,
    {
        let ctx = KBox::try_pin_init(
            try_pin_init!(Self {
                data <- data,
                // INVARIANT: Initialised here, last, so that nothing has to be undone.
                base <- Opaque::try_ffi_init(|slot| {
                    // SAFETY: `slot` is memory for it; the operations outlive the context, which
                    // pins the module.
                    to_result(unsafe { bindings::vserver_ctx_init(slot, xid, reg.ops.get()) })
                }),
            }? Error),
            GFP_KERNEL,
        )?;
        // SAFETY: It is pinned for good: `ctx_free` makes a pinned box of it again.
        let ctx = KBox::into_raw(unsafe { Pin::into_inner_unchecked(ctx) });
        // SAFETY: A box is not null, and `vserver_ctx_init` left one reference, which is ours.
        Ok(unsafe { ARef::from_raw(NonNull::new_unchecked(ctx)) })
    }

    /// Its id.
    pub fn xid(&self) -> u32 {
        // SAFETY: Constant since `vserver_ctx_init`.
        unsafe { (*self.base.get()).xid }
    }

    /// How many tasks it has.
    pub fn tasks(&self) -> i32 {
        // SAFETY: An initialised atomic, by the type invariants.
        unsafe { bindings::vserver_ctx_tasks(self.base.get()) }
    }

    /// A field that built-in code and the module read and write without a lock.
    fn word(&self, word: Word) -> &Atomic<u64> {
        let base = self.base.get();
        // SAFETY: By the type invariants `base` is initialised. C accesses these fields by
        // READ_ONCE() and WRITE_ONCE() only.
        unsafe {
            Atomic::from_ptr(match word {
                Word::Flags => &raw mut (*base).flags,
                Word::Bcaps => &raw mut (*base).bcaps,
                Word::Ccaps => &raw mut (*base).ccaps,
                Word::Umask => &raw mut (*base).umask,
                // CAST: A signed word has the same bits.
                Word::Badness => (&raw mut (*base).badness).cast(),
            })
        }
    }

    /// One of the words of bits that the hooks look at.
    pub fn get(&self, word: Word) -> u64 {
        self.word(word).load(Relaxed)
    }

    /// Sets it. Who changes one does so under one lock.
    pub fn set(&self, word: Word, bits: u64) {
        self.word(word).store(bits, Relaxed);
    }

    /// The flags `VXF_*`.
    pub fn flags(&self) -> u64 {
        self.get(Word::Flags)
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u64) -> bool {
        self.flags() & flags == flags
    }

    /// How many references there are; for people to look at.
    pub fn usage(&self) -> u32 {
        // SAFETY: An initialised refcount, by the type invariants.
        unsafe { bindings::vserver_ctx_usage(self.base.get()) }
    }

    /// What it used of a CPU; nothing of one that cannot be. Process context.
    pub fn cpu_use(&self, cpu: u32) -> CpuUse {
        if cpu >= nr_cpus() {
            return CpuUse::default();
        }
        let mut raw = bindings::vserver_cpu_use::default();
        // SAFETY: `base` is initialised, `cpu` is in range, `raw` is where the answer goes.
        unsafe { bindings::vserver_ctx_cpu(self.base.get(), cpu, &mut raw) };
        CpuUse {
            user: raw.user_ns,
            sys: raw.sys_ns,
            hold: raw.hold_ns,
            idle: raw.idle_ns,
        }
    }

    /// Takes the run time that its CPUs have collected and not charged yet, in nanoseconds. The
    /// caller charges it.
    pub fn take_owed(&self) -> u64 {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_ctx_owed(self.base.get()) }
    }

    /// How many nice levels its tasks are moved by when they are weighed.
    pub fn prio_bias(&self) -> i32 {
        self.prio_bias_word().load(Relaxed)
    }

    /// Says by how many. Any context.
    pub fn set_prio_bias(&self, levels: i32) {
        let word = self.prio_bias_word();
        // All CPUs read it, and it hardly ever changes.
        if word.load(Relaxed) != levels {
            word.store(levels, Relaxed);
        }
    }

    fn prio_bias_word(&self) -> &Atomic<i32> {
        // SAFETY: By the type invariants `base` is initialised. C reads the field by READ_ONCE()
        // and does not write it.
        unsafe { Atomic::from_ptr(&raw mut (*self.base.get()).prio_bias) }
    }

    /// Sends a signal to its processes; 0 only looks whether there are any.
    ///
    /// # Errors
    ///
    /// `ESRCH`: nobody was reached. `EINVAL`: no such signal.
    pub fn signal(&self, whom: Whom, sig: i32) -> Result {
        let (which, tgid) = match whom {
            Whom::All => (bindings::VSERVER_SIGNAL_ALL, 0),
            Whom::AllBut(tgid) => (bindings::VSERVER_SIGNAL_BUT, tgid),
            Whom::Only(tgid) => (bindings::VSERVER_SIGNAL_ONLY, tgid),
        };
        // SAFETY: By the type invariants `base` is initialised.
        to_result(unsafe {
            bindings::vserver_ctx_signal(self.base.get(), which as c_int, tgid, sig)
        })
    }

    /// Has [`Operations::ended`] called by a worker, once in the context's life. Any context.
    pub fn end(&self) {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_ctx_end(self.base.get()) };
    }

    /// A number that stands for the object, as the kernel hashes pointers: not its address.
    pub fn print_id(&self, m: &SeqFile) {
        // SAFETY: `m` is a valid `seq_file` that this thread prints to; the pointer is not
        // followed.
        unsafe { bindings::seq_print_hashed(proc_fs::seq_file(m), self.base.get().cast()) };
    }

    /// Moves the caller into the context. The context's end must be locked out meanwhile.
    ///
    /// # Errors
    ///
    /// `EPERM`: the caller is inside a context. `EINVAL`: it has other threads. `ENOMEM`.
    pub fn enter(me: ARef<Self>) -> Result {
        let xid = me.xid();
        let raw = ARef::into_raw(me);
        // SAFETY: `base` is first and initialised; the reference goes with it.
        let result = to_result(unsafe { bindings::vserver_enter(raw.as_ptr().cast(), xid) });
        if result.is_err() {
            // SAFETY: The reference was not taken; it came from `into_raw` above.
            drop(unsafe { ARef::from_raw(raw) });
        }
        result
    }
}

/// Makes the caller a spectator, who sees every context and is limited by none.
///
/// # Errors
///
/// As [`Context::enter`].
pub fn enter_watch() -> Result {
    // SAFETY: There is no context whose reference could be taken.
    to_result(unsafe { bindings::vserver_enter(core::ptr::null_mut(), uapi::VX_XID_WATCH) })
}
