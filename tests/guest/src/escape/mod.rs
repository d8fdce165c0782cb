// SPDX-License-Identifier: GPL-2.0
//! Every known way to see, signal, trace, set or reach something outside a context, tried as root
//! with every capability inside one that shares all namespaces with the host.
//!
//! A row of a table is one way, and what is found by it if the other process is outside. It is tried
//! on a process of the host and on one of another context, each a child of the one who tries. It is
//! tried on a process of the same context too, and on one of another context as the spectator: that
//! must come out as on the host without contexts, and differently than outside. From a user namespace
//! made inside it is as outside for a process of the host, and not so for one of that namespace.

mod alone;
mod calls;
mod cgroups;
mod crash;
mod diag;
mod entering;
mod facilities;
mod ipc;
mod network;
mod passed;
mod proc;
mod processes;
mod programs;
mod signals;
mod taskstats;
mod victim;

use crate::harness::{Body, Suite, Test};
use crate::namespace::become_root_of_users;
use crate::process::{last_words, pipe, spawn};
use crate::raw;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::{self, Errno};
use rustix::thread::UnshareFlags;
use victim::Victim;
use vserver_abi as abi;

pub use entering::probe;

pub const SUITE: Suite = Suite {
    name: "escape",
    wants: "timeout=600 append=numa=fake=2",
    tests: &TESTS,
};

const TABLES: &[&[Test]] = &[
    signals::ROWS,
    processes::ROWS,
    proc::ROWS,
    ipc::ROWS,
    facilities::ROWS,
    alone::TESTS,
    entering::TESTS,
    programs::TESTS,
    cgroups::TESTS,
    passed::TESTS,
    crash::TESTS,
    network::TESTS,
];

const TESTS: [Test; count(TABLES)] = join(TABLES);

/// How many tests there are in tables.
pub const fn count(tables: &[&[Test]]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < tables.len() {
        sum += tables[i].len();
        i += 1;
    }
    sum
}

/// The tests of all tables.
pub const fn join<const N: usize>(tables: &[&[Test]]) -> [Test; N] {
    let mut all = [tables[0][0]; N];
    let (mut table, mut row, mut i) = (0, 0, 0);
    while i < N {
        if row == tables[table].len() {
            table += 1;
            row = 0;
            continue;
        }
        all[i] = tables[table][row];
        row += 1;
        i += 1;
    }
    all
}

/// What a call returned, or what was seen: 0 is nothing.
type Found = Result<i64, Errno>;

/// One way out.
struct Row {
    /// What is found of a process outside.
    outside: Found,
    /// Tries it.
    probe: fn(&Victim) -> Result<Found>,
}

/// Rows of a table: a name, what is found outside, how it is tried.
macro_rules! rows {
    ($variants:expr; $($name:literal, $outside:expr, $probe:expr;)*) => {
        &[$($crate::harness::Test {
            name: $name,
            variants: $variants,
            body: &$crate::escape::Row { outside: $outside, probe: $probe },
        }),*]
    };
}
use rows;

/// The processes that a row is tried on.
const ALL: &[&str] = &["host", "other", "own", "watch", "users"];

/// The same where a user namespace's root may nothing anyway.
const NO_USERS: &[&str] = &["host", "other", "own", "watch"];

/// The same where the spectator is treated as the host.
const NO_WATCH: &[&str] = &["host", "other", "own", "users"];

impl Body for Row {
    fn run(&self, variant: &str) -> Result<String> {
        let (xid, other) = xids();
        let found = self.outcome(variant, xid, other);
        victim::sweep()?;
        let (found, expected) = found?;
        ensure!(found == expected, "{found:?} instead of {expected:?}");
        ensure!(
            (found == self.outside) == matches!(variant, "host" | "other" | "users"),
            "{found:?} outside and inside"
        );
        Ok(String::new())
    }
}

impl Row {
    /// What is found, and what should be.
    fn outcome(&self, variant: &str, xid: u32, other: u32) -> Result<(Found, Found)> {
        let found = match variant {
            "host" => self.found(None, Some(xid))?,
            "other" => self.found(Some(other), Some(xid))?,
            "own" => ask(|| {
                enter(xid)?;
                let victim = Victim::new(None)?;
                (self.probe)(&victim)
            })?,
            "watch" => self.found(Some(other), Some(abi::VX_XID_WATCH))?,
            "users" => self.found_by_users(xid, other)?,
            _ => bail!("no such variant"),
        };
        let expected = match variant {
            "host" | "other" | "users" => self.outside,
            _ => self.found(None, None)?,
        };
        Ok((found, expected))
    }

    /// Tries it on a child on the host, from a user namespace in one context; and on a child of such
    /// a namespace in the other, which must be something else.
    fn found_by_users(&self, xid: u32, other: u32) -> Result<Found> {
        let own = ask(|| {
            enter_users(other)?;
            (self.probe)(&Victim::new(None)?)
        })?;
        ensure!(own != self.outside, "{own:?} among themselves");
        ask(|| {
            let victim = Victim::new(None)?;
            enter_users(xid)?;
            (self.probe)(&victim)
        })
    }

    /// Tries it on a child in the context `victim`, from inside `prober`; nothing is the host.
    fn found(&self, victim: Option<u32>, prober: Option<u32>) -> Result<Found> {
        ask(|| {
            let victim = Victim::new(victim)?;
            if let Some(xid) = prober {
                enter(xid)?;
            }
            (self.probe)(&victim)
        })
    }
}

/// Two ids that no other test has: what a test leaves behind ends a moment later.
fn xids() -> (u32, u32) {
    let xid = 1000 + std::process::id() % 20_000 * 2;
    (xid, xid + 1)
}

/// Enters a new context as root with every capability; or becomes a spectator.
fn enter(xid: u32) -> Result<()> {
    if xid == abi::VX_XID_WATCH {
        return abi::ctx_migrate(xid, 0).context("ctx_migrate");
    }
    enter_with(xid, UnshareFlags::empty())
}

/// The same, and becomes root of a user namespace that is made there, with the ids that it had.
fn enter_users(xid: u32) -> Result<()> {
    enter_with(xid, UnshareFlags::NEWUSER)?;
    become_root_of_users(0)
}

/// Enters a new context that may make these namespaces.
fn enter_with(xid: u32, umask: UnshareFlags) -> Result<()> {
    abi::ctx_create(xid, abi::VXF_STATE_SETUP).context("ctx_create")?;
    let all = [u64::MAX; 2];
    raw::vserver(abi::VCMD_set_bcaps, xid, (&raw const all).addr()).context("set_bcaps")?;
    abi::set_umask(xid, umask.bits().into(), u64::MAX).context("set_umask")?;
    abi::set_cflags(xid, 0, abi::VXF_STATE_SETUP).context("set_cflags")
}

/// Has a child find something out.
fn ask(body: impl FnOnce() -> Result<Found>) -> Result<Found> {
    let (read, write) = pipe()?;
    let child = spawn(|| {
        let (code, text) = match body() {
            Ok(Ok(value)) => (0, value.to_string()),
            Ok(Err(errno)) => (2, errno.raw_os_error().to_string()),
            Err(e) => (1, format!("{e:#}")),
        };
        i32::from(io::write(&write, text.as_bytes()).is_err()) | code
    })?;
    drop(write);
    let (status, text) = last_words(child, read)?;
    match status {
        crate::process::Status::Exited(0) => Ok(Ok(text.parse()?)),
        crate::process::Status::Exited(2) => Ok(Err(Errno::from_raw_os_error(text.parse()?))),
        status => bail!("{status:?} {text}"),
    }
}
