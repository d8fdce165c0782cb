// SPDX-License-Identifier: GPL-2.0

//! Who has which part in a context's life, and the administrator's helper.
//!
//! Processes are named by their numbers in the initial pid namespace.

use super::{Context, Operations};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    task::Pid,
};

/// The commands of `reboot(2)`.
#[allow(missing_docs)]
pub mod reboot {
    pub use crate::bindings::{
        LINUX_REBOOT_CMD_CAD_OFF as CAD_OFF, LINUX_REBOOT_CMD_CAD_ON as CAD_ON,
        LINUX_REBOOT_CMD_HALT as HALT, LINUX_REBOOT_CMD_KEXEC as KEXEC,
        LINUX_REBOOT_CMD_POWER_OFF as POWER_OFF, LINUX_REBOOT_CMD_RESTART as RESTART,
        LINUX_REBOOT_CMD_RESTART2 as RESTART2, LINUX_REBOOT_CMD_SW_SUSPEND as SW_SUSPEND,
    };
}

/// Signals.
#[allow(missing_docs)]
pub mod signal {
    use crate::bindings;

    pub const SIGHUP: i32 = bindings::SIGHUP as i32;
    pub const SIGINT: i32 = bindings::SIGINT as i32;
    pub const SIGKILL: i32 = bindings::SIGKILL as i32;
}

/// The init process of a context whose init has exited.
const GONE: Pid = -1;

impl<T: Operations> Context<T> {
    fn init_word(&self) -> &Atomic<Pid> {
        // SAFETY: By the type invariants `base` is initialised. C accesses this field by
        // READ_ONCE() only.
        unsafe { Atomic::from_ptr(&raw mut (*self.base.get()).init) }
    }

    /// Its init process, 0 if it has none.
    pub fn init(&self) -> Pid {
        self.init_word().load(Relaxed).max(0)
    }

    /// The same as the caller knows it: inside, with the flag info_init, it is 1.
    pub fn shown_init(&self) -> Pid {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_ctx_init_nr(self.base.get()) }
    }

    /// Whether it never had an init process.
    pub fn is_without_init(&self) -> bool {
        self.init_word().load(Relaxed) == 0
    }

    /// Whether it had an init process that has exited.
    pub fn has_lost_init(&self) -> bool {
        self.init_word().load(Relaxed) == GONE
    }

    /// Makes a process its init. Who changes it does so under one lock.
    pub fn set_init(&self, pid: Pid) {
        self.init_word().store(pid, Relaxed);
    }

    /// Forgets its init, which has exited: the number may become another process's. As for
    /// [`Context::set_init`].
    pub fn forget_init(&self) {
        self.init_word().store(GONE, Relaxed);
    }

    /// Makes the caller's process the one that gets the orphans, until it exits.
    pub fn set_reaper(&self, pid: Pid) {
        // SAFETY: By the type invariants `base` is initialised. C accesses this field by
        // READ_ONCE() and cmpxchg() only.
        let reaper = unsafe { Atomic::from_ptr(&raw mut (*self.base.get()).reaper) };
        reaper.store(pid, Relaxed);
    }
}

/// Runs the administrator's helper on the host with an action and an xid as its arguments. Waits
/// until it has been started. May sleep.
///
/// # Errors
///
/// What starting it failed with, `ENOENT` if there is none.
pub fn help(action: &CStr, xid: u32) -> Result {
    // SAFETY: `action` is NUL terminated and lives until the call returns.
    to_result(unsafe { bindings::vserver_helper(action.as_char_ptr(), xid) })
}
