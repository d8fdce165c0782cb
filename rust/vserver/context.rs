// SPDX-License-Identifier: GPL-2.0

//! A context.

use crate::{
    bucket::{Bucket, Settings},
    cow_stats::Counters,
    idle::IdleRate,
    names::Names,
    proc::ContextFiles,
    space::Spaces,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Mutex,
    },
    vserver::{
        idle::Hooks,
        wait::{self, new_hold_queue, new_wait_queue, HoldQueue, WaitQueue},
    },
};

/// What only the scheduler's commands need, and one at a time.
pub(crate) struct Sched {
    /// The rate for idle time,
    pub(crate) idle: IdleRate,
    /// and what keeps it going while there is one.
    pub(crate) idle_hooks: Option<Hooks>,
}

/// The module's part of a context.
///
/// Lock order: the table's lock, then `sched`, `names`, `spaces` or `files`, which do not
/// nest. Who enters takes its own `mmap_lock`, then the lock of its descriptors, in the table's.
#[pin_data]
pub(crate) struct Context {
    /// What those inside asked of `reboot(2)`; 0 is nothing.
    reboot_cmd: Atomic<i32>,
    /// What its init, or else its last process, exited with.
    exit_code: Atomic<i32>,
    /// Nobody can enter any more. Written under the table's lock, never cleared.
    ended: Atomic<bool>,
    /// Woken when the context is out of the table.
    #[pin]
    gone: WaitQueue,
    /// It is out of the table.
    is_gone: Atomic<bool>,
    /// The token bucket and who waits for it.
    #[pin]
    pub(crate) hold: HoldQueue<Bucket>,
    /// The administrator's part of the priority, nice levels. Written under the lock of `sched`.
    pub(crate) prio_bias: Atomic<i32>,
    /// What its tasks broke of links.
    pub(crate) breaks: Counters,
    #[pin]
    pub(crate) sched: Mutex<Sched>,
    #[pin]
    pub(crate) names: Mutex<Names>,
    /// What it holds until it ends.
    #[pin]
    pub(crate) spaces: Mutex<Spaces>,
    /// Its directory in /proc/virtual, from the creation to the end.
    #[pin]
    pub(crate) files: Mutex<Option<ContextFiles>>,
}

impl Context {
    /// A context without processes.
    pub(crate) fn new() -> impl PinInit<Self> {
        let bucket = Bucket::new(wait::now_ns(), Settings::DEFAULT);
        pin_init!(Self {
            reboot_cmd: Atomic::new(0),
            exit_code: Atomic::new(0),
            ended: Atomic::new(false),
            gone <- new_wait_queue!("vserver_gone"),
            is_gone: Atomic::new(false),
            hold <- new_hold_queue!(bucket, "vserver_hold"),
            prio_bias: Atomic::new(0),
            breaks: Counters::new(),
            sched <- new_mutex!(Sched {
                idle: IdleRate::DEFAULT,
                idle_hooks: None,
            }),
            names <- new_mutex!(None),
            spaces <- new_mutex!([None, None]),
            files <- new_mutex!(None),
        })
    }

    /// The token bucket.
    pub(crate) fn bucket(&self) -> &Bucket {
        self.hold.gate()
    }

    /// What those inside asked of `reboot(2)`; 0 if nothing.
    pub(crate) fn reboot_cmd(&self) -> i32 {
        self.reboot_cmd.load(Relaxed)
    }

    /// Notes what they ask for, if it is the first time. Says whether it is.
    pub(crate) fn begin_reboot(&self, cmd: i32) -> bool {
        self.reboot_cmd.cmpxchg(0, cmd, Relaxed).is_ok()
    }

    /// A context that has lived on is started again. The table is locked.
    pub(crate) fn forget_reboot(&self) {
        self.reboot_cmd.store(0, Relaxed);
    }

    /// What its init, or else its last process, exited with.
    pub(crate) fn exit_code(&self) -> i32 {
        self.exit_code.load(Relaxed)
    }

    /// Notes what a process exited with.
    pub(crate) fn set_exit_code(&self, code: i32) {
        self.exit_code.store(code, Relaxed);
    }

    /// Whether it has ended: it has no processes and gets none.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Says that it has. The table is locked.
    pub(crate) fn set_ended(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Tells those who wait that it is out of the table.
    pub(crate) fn set_gone(&self) {
        self.is_gone.store(true, Release);
        self.gone.wake(0);
    }

    /// Waits until it is out of the table.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a signal came first.
    pub(crate) fn wait_gone(&self) -> Result {
        if self.gone.wait(false, |_| self.is_gone.load(Acquire)) {
            Ok(())
        } else {
            Err(ERESTARTSYS)
        }
    }
}
