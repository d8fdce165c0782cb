// SPDX-License-Identifier: GPL-2.0
//! Limits and flags, as `run` and `set` take them.

use clap::Args;
use vserver::cgroup::{self, Bytes};
use vserver::config::Badness;
use vserver::cpu::{CpuLimit, SchedChange};
use vserver::limits::{self, Changes, Most};
use vserver::names::FlagChange;

/// Limits and flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// CPU time: 25%, 150% (one and a half CPUs), or none; sets rate, sizes and sched_hard
    #[arg(long, value_name = "SHARE")]
    cpu: Option<CpuLimit>,
    /// Tokens (ticks of CPU time) added in an interval
    #[arg(long, value_name = "TICKS")]
    fill_rate: Option<i32>,
    /// The interval
    #[arg(long, value_name = "TICKS")]
    interval: Option<i32>,
    /// Share, among those on hold, of the time in which CPUs would idle: so much in each idle
    /// interval; 0 is none
    #[arg(long, value_name = "TICKS")]
    idle_fill_rate: Option<i32>,
    /// The idle interval
    #[arg(long, value_name = "TICKS")]
    idle_interval: Option<i32>,
    /// Tokens in the bucket now
    #[arg(long, value_name = "TICKS")]
    tokens: Option<i32>,
    /// Tokens that end a hold
    #[arg(long, value_name = "TICKS")]
    tokens_min: Option<i32>,
    /// Tokens that can be saved up
    #[arg(long, value_name = "TICKS")]
    tokens_max: Option<i32>,
    /// Bias of the priority
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    prio_bias: Option<i32>,
    /// Memory: 512M, 2G, or unlimited; so with swap
    #[arg(long, value_name = "AMOUNT")]
    memory: Option<Bytes>,
    /// Swap, beside that
    #[arg(long, value_name = "AMOUNT")]
    swap: Option<Bytes>,
    /// Processes and threads: a number, or unlimited; so with the following
    #[arg(long, value_name = "N")]
    processes: Option<Most>,
    /// Open files
    #[arg(long, value_name = "N")]
    files: Option<Most>,
    /// Descriptors, however many there are of a file
    #[arg(long, value_name = "N")]
    descriptors: Option<Most>,
    /// Sockets
    #[arg(long, value_name = "N")]
    sockets: Option<Most>,
    /// File locks
    #[arg(long, value_name = "N")]
    locks: Option<Most>,
    /// Bytes that message queues may hold
    #[arg(long, value_name = "BYTES")]
    message_queues: Option<Most>,
    /// Shared memory of System V IPC
    #[arg(long, value_name = "PAGES")]
    shared_memory: Option<Most>,
    /// Arrays of semaphores
    #[arg(long, value_name = "N")]
    semaphore_arrays: Option<Most>,
    /// Semaphores in all arrays
    #[arg(long, value_name = "N")]
    semaphores: Option<Most>,
    /// Address space of all its processes together
    #[arg(long, value_name = "PAGES")]
    address_space: Option<Most>,
    /// Memory that its processes lock
    #[arg(long, value_name = "PAGES")]
    locked_memory: Option<Most>,
    /// Added to the oom_score_adj of its processes, -1000 to 1000: the higher, the sooner they are
    /// killed when memory runs out
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    oom_bias: Option<Badness>,
    /// Switch flags on (x or +x) and off (-x): persistent, sched_hard, sched_pause, ...
    #[arg(long, value_name = "[+-]FLAG", allow_hyphen_values = true)]
    flag: Vec<FlagChange>,
}

impl Limits {
    /// The limits that were given.
    pub(crate) fn sched(&self) -> SchedChange {
        SchedChange {
            cpu: self.cpu,
            fill_rate: self.fill_rate,
            interval: self.interval,
            idle_fill_rate: self.idle_fill_rate,
            idle_interval: self.idle_interval,
            tokens: self.tokens,
            tokens_min: self.tokens_min,
            tokens_max: self.tokens_max,
            prio_bias: self.prio_bias,
        }
    }

    /// The limits on what it has that were given.
    pub(crate) fn things(&self) -> Changes {
        [
            (limits::PROCESSES, self.processes),
            (limits::FILES, self.files),
            (limits::DESCRIPTORS, self.descriptors),
            (limits::SOCKETS, self.sockets),
            (limits::LOCKS, self.locks),
            (limits::QUEUES, self.message_queues),
            (limits::SHARED, self.shared_memory),
            (limits::ARRAYS, self.semaphore_arrays),
            (limits::SEMAPHORES, self.semaphores),
            (limits::ADDRESS_SPACE, self.address_space),
            (limits::LOCKED, self.locked_memory),
        ]
        .into_iter()
        .filter_map(|(thing, most)| Some((thing, most?)))
        .collect()
    }

    /// The limits of memory that were given.
    pub(crate) fn memory(&self) -> cgroup::Limits {
        cgroup::Limits {
            memory: self.memory,
            swap: self.swap,
        }
    }

    /// The bias of the OOM killer, if it was given.
    pub(crate) fn oom_bias(&self) -> Option<i64> {
        self.oom_bias.map(|bias| bias.0)
    }

    /// The flags that were given.
    pub(crate) fn flags(&self) -> FlagChange {
        self.flag
            .iter()
            .fold(FlagChange::default(), |all, f| all.and(*f))
    }
}
