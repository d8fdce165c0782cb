// SPDX-License-Identifier: GPL-2.0

//! What a context's tasks do and did: age, forks, load.
//!
//! C source: [`security/vserver/load.c`](srctree/security/vserver/load.c)

use super::{Context, Operations};
use crate::{
    bindings,
    time::{BootTime, Instant},
};

/// The bits of fraction that load averages have.
pub const FRACTION: u32 = bindings::FSHIFT;

/// Load averages.
#[derive(Clone, Copy)]
pub struct Load {
    /// Over 1, 5 and 15 minutes, with [`FRACTION`] bits of fraction.
    pub averages: [u64; 3],
    /// How many samples they are made of.
    pub updates: u32,
}

/// What the tasks of a context do right now.
#[derive(Clone, Copy, Default)]
pub struct Census {
    /// How many run, or could.
    pub running: u32,
    /// How many wait uninterruptibly.
    pub uninterruptible: u32,
}

impl<T: Operations> Context<T> {
    /// When it was made: nanoseconds since boot.
    pub fn born_ns(&self) -> u64 {
        // SAFETY: By the type invariants `base` is initialised; the field is constant.
        unsafe { (*self.base.get()).born_ns }
    }

    /// How long it has been there, in nanoseconds.
    pub fn age_ns(&self) -> u64 {
        let now = Instant::<BootTime>::now().as_nanos();
        u64::try_from(now).map_or(0, |now| now.saturating_sub(self.born_ns()))
    }

    /// How many tasks were born in it.
    pub fn forks(&self) -> u32 {
        // SAFETY: An initialised atomic, by the type invariants.
        unsafe { bindings::vserver_ctx_forks(self.base.get()) }
    }

    /// Its load. May sleep.
    pub fn load(&self) -> Load {
        let mut raw = bindings::vserver_load::default();
        // SAFETY: By the type invariants `base` is initialised; `raw` is where the answer goes.
        unsafe { bindings::vserver_ctx_load(self.base.get(), &mut raw) };
        Load {
            averages: raw.avg.map(|average| average as u64),
            updates: raw.updates,
        }
    }

    /// Counts its tasks by what they do; looks at each task of the machine.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        // SAFETY: By the type invariants `base` is initialised; the others are where the answer
        // goes.
        unsafe {
            bindings::vserver_ctx_census(
                self.base.get(),
                &mut census.running,
                &mut census.uninterruptible,
            );
        }
        census
    }
}
