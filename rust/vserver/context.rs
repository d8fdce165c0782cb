// SPDX-License-Identifier: GPL-2.0

//! A context.

use crate::{
    bucket::{Bucket, Settings},
    cow_stats::Counters,
    proc::ContextFiles,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Mutex,
    },
    task::Pid,
    vserver::{
        abi,
        wait::{self, new_hold_queue, new_wait_queue, HoldQueue, WaitQueue},
    },
};

/// What only the scheduler's commands need, and one at a time.
pub(crate) struct Sched {
    /// The rate for idle time: fill and interval, nanoseconds.
    pub(crate) idle: (i64, i64),
    /// The administrator's part of the priority.
    pub(crate) prio_bias: i32,
}

/// The init process of a context whose init has exited.
const GONE: Pid = -1;

/// The module's part of a context.
///
/// Lock order: the table's lock, then `sched`, `name` or `files`, which do not nest.
#[pin_data]
pub(crate) struct Context {
    /// Its init process, in the initial pid namespace; 0 is none yet, [`GONE`] none any more.
    /// Written under the table's lock.
    init: Atomic<Pid>,
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
    /// What its tasks broke of links.
    pub(crate) breaks: Counters,
    #[pin]
    pub(crate) sched: Mutex<Sched>,
    /// Its name, NUL terminated.
    #[pin]
    pub(crate) name: Mutex<[u8; abi::NAME_SIZE]>,
    /// Its directory in /proc/virtual, from the creation to the end.
    #[pin]
    pub(crate) files: Mutex<Option<ContextFiles>>,
}

impl Context {
    /// A context without processes.
    pub(crate) fn new() -> impl PinInit<Self> {
        let bucket = Bucket::new(wait::now_ns(), Settings::DEFAULT);
        pin_init!(Self {
            init: Atomic::new(0),
            exit_code: Atomic::new(0),
            ended: Atomic::new(false),
            gone <- new_wait_queue!("vserver_gone"),
            is_gone: Atomic::new(false),
            hold <- new_hold_queue!(bucket, "vserver_hold"),
            breaks: Counters::new(),
            sched <- new_mutex!(Sched {
                idle: (0, Settings::DEFAULT.interval),
                prio_bias: 0,
            }),
            name <- new_mutex!([0; abi::NAME_SIZE]),
            files <- new_mutex!(None),
        })
    }

    /// The token bucket.
    pub(crate) fn bucket(&self) -> &Bucket {
        self.hold.gate()
    }

    /// Its init process, 0 if it has none.
    pub(crate) fn init(&self) -> Pid {
        self.init.load(Relaxed).max(0)
    }

    /// Whether it never had an init process.
    pub(crate) fn is_without_init(&self) -> bool {
        self.init.load(Relaxed) == 0
    }

    /// Whether it had an init process that has exited.
    pub(crate) fn has_lost_init(&self) -> bool {
        self.init.load(Relaxed) == GONE
    }

    /// Forgets its init, which has exited: the number may become another process's. The table is
    /// locked.
    pub(crate) fn forget_init(&self) {
        self.init.store(GONE, Relaxed);
    }

    /// Makes a process its init. The table is locked.
    pub(crate) fn set_init(&self, pid: Pid) {
        self.init.store(pid, Relaxed);
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
        if self.gone.wait(false, || self.is_gone.load(Acquire)) {
            Ok(())
        } else {
            Err(ERESTARTSYS)
        }
    }
}
