// SPDX-License-Identifier: GPL-2.0

//! What a context has of things, what it may have, and what goes through its sockets.

use super::{Context, Operations};
use crate::{bindings, prelude::*};

/// The numbers of things that are not in the user-space header: see `getrlimit(2)`.
pub mod id {
    use crate::bindings;

    /// Address space, pages.
    pub const VM: u32 = bindings::RLIMIT_AS;
    /// Locked memory, pages.
    pub const LOCKED: u32 = bindings::RLIMIT_MEMLOCK;
    /// Memory that is present, pages.
    pub const RSS: u32 = bindings::RLIMIT_RSS;
    /// Tasks.
    pub const TASKS: u32 = bindings::RLIMIT_NPROC;
    /// Open files.
    pub const FILES: u32 = bindings::RLIMIT_NOFILE;
    /// File locks.
    pub const LOCKS: u32 = bindings::RLIMIT_LOCKS;
    /// Bytes that message queues may hold.
    pub const QUEUES: u32 = bindings::RLIMIT_MSGQUEUE;
    pub use uapi::{
        VLIMIT_ANON as ANON, VLIMIT_DENTRY as DENTRIES, VLIMIT_MAPPED as MAPPED,
        VLIMIT_NSEMS as SEMAPHORES, VLIMIT_NSOCK as SOCKETS, VLIMIT_OPENFD as DESCRIPTORS,
        VLIMIT_SEMARY as ARRAYS, VLIMIT_SHMEM as SHARED,
    };
}

/// Things that are counted, so that their limits are kept: bits by number.
pub const COUNTED: u32 = bindings::vserver_limits_VSERVER_LIMITS_COUNTED;

/// Things that are summed up when somebody asks.
const SUMMED: u32 = bindings::vserver_limits_VSERVER_LIMITS_SUMMED;

/// Things that there is something to say of.
const KNOWN: u32 = COUNTED | SUMMED | 1 << id::DENTRIES;

/// Whether memory cgroups limit the memory that is only summed up here.
pub fn has_memory_cgroups() -> bool {
    // SAFETY: Always safe to call.
    unsafe { bindings::vserver_limits_memory() }
}

/// A number below 32 whose bit is in `mask`.
fn is_in(id: u32, mask: u32) -> bool {
    mask.checked_shr(id).unwrap_or(0) & 1 != 0
}

/// What a context has of a thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// How much.
    pub value: u64,
    /// The least since it was reset.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// A mark for who watches.
    pub soft: u64,
    /// The most it can have.
    pub hard: u64,
    /// How often it was refused more.
    pub hits: u32,
}

/// What went through the sockets of a family: received, sent, failed to be sent.
#[derive(Clone, Copy, Default)]
pub struct Traffic {
    /// Calls.
    pub count: [u64; 3],
    /// Bytes.
    pub bytes: [u64; 3],
}

/// How many families there are.
pub const FAMILIES: u32 = bindings::vserver_family_VSERVER_FAMILIES;

impl<T: Operations> Context<T> {
    /// What it has of a thing, as far as known without looking at its processes.
    fn known_limit(&self, id: u32) -> Limit {
        let mut raw = bindings::vserver_limit_state::default();
        // SAFETY: `base` is initialised, `id` is one of `KNOWN` and therefore in range, `raw` is
        // where the answer goes.
        unsafe { bindings::vserver_limit_get(self.base.get(), id, &mut raw) };
        Limit {
            value: raw.value,
            min: raw.min,
            max: raw.max,
            soft: raw.soft,
            hard: raw.hard,
            hits: raw.hits,
        }
    }

    /// Looks up what is not counted: goes through all processes. Does not sleep.
    fn sum_limits(&self) {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_limit_sum(self.base.get()) };
    }

    /// What it has of a thing.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing is known of such a thing.
    pub fn limit(&self, id: u32) -> Result<Limit> {
        if !is_in(id, KNOWN) {
            return Err(EINVAL);
        }
        if is_in(id, SUMMED) {
            self.sum_limits();
        }
        Ok(self.known_limit(id))
    }

    /// What it has of some things, all known.
    pub fn limits<const N: usize>(&self, ids: [u32; N]) -> [Limit; N] {
        self.sum_limits();
        ids.map(|id| {
            if is_in(id, KNOWN) {
                self.known_limit(id)
            } else {
                Limit::default()
            }
        })
    }

    /// Sets what it may have of a thing. It keeps what it has.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing would keep the limit.
    pub fn set_limit(&self, id: u32, soft: u64, hard: u64) -> Result {
        if !is_in(id, COUNTED) {
            return Err(EINVAL);
        }
        // SAFETY: `base` is initialised, `id` is in range.
        unsafe { bindings::vserver_limit_set(self.base.get(), id, soft, hard) };
        Ok(())
    }

    /// Forgets how often it was refused something.
    pub fn reset_hits(&self) {
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_limit_reset_hits(self.base.get()) };
    }

    /// Starts anew to watch for the least and the most that it has.
    pub fn reset_minmax(&self) {
        self.sum_limits();
        // SAFETY: By the type invariants `base` is initialised.
        unsafe { bindings::vserver_limit_reset_minmax(self.base.get()) };
    }

    /// What went through its sockets of a family; nothing of one that there is not.
    pub fn traffic(&self, family: u32) -> Traffic {
        if family >= FAMILIES {
            return Traffic::default();
        }
        let mut raw = bindings::vserver_traffic::default();
        // SAFETY: `base` is initialised, `family` is in range, `raw` is where the answer goes.
        unsafe { bindings::vserver_ctx_traffic(self.base.get(), family, &mut raw) };
        Traffic {
            count: raw.count,
            bytes: raw.bytes,
        }
    }
}
