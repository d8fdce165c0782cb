// SPDX-License-Identifier: GPL-2.0
//! What is told of a broken link: counters, the tracepoint, audit records.
//!
//! As in `cow`, a file has two names, `a` and `b`, and what is done is done to `a`.

mod audit;
mod counts;
mod paths;

use crate::harness::{Suite, Test};
use crate::tests;
use crate::tracefs::{Fields, Tracer};
use crate::unified::*;
use anyhow::{Result, bail, ensure};
use audit::*;
pub use counts::copied;
use counts::*;
use paths::*;
use rustix::fs::{self as rfs, IFlags, OFlags};
use std::path::Path;

pub const EXT4: Suite = Suite::new("events", "ext4 timeout=300", TESTS);
pub const XFS: Suite = Suite::new("events-xfs", "xfs timeout=300", TESTS);
pub const BTRFS: Suite = Suite::new("events-btrfs", "btrfs timeout=300", TESTS);
pub const F2FS: Suite = Suite::new("events-f2fs", "f2fs timeout=300", TESTS);
pub const TMPFS: Suite = Suite::new("events-tmpfs", "tmpfs timeout=300", TESTS);

const TESTS: &[Test] = tests![
    a_copy,
    what_is_cut_off,
    the_last_name,
    a_failure,
    nothing_to_break,
    of_a_context,
    for_a_caller_with_a_limit,
    paths_are_the_hosts,
    paths_are_one_word,
    paths_are_cut,
    audit_as_of_a_plain_file,
    audit_of_a_descriptor,
    audit_of_a_failure,
    audit_watch_goes_along,
];

const XID: u32 = 140;

fn tracer() -> Result<Tracer> {
    Tracer::new("vserver", "vserver_cow_break")
}

/// The one event that there must be.
fn one(tracer: &Tracer) -> Result<Fields> {
    let mut events = tracer.take()?;
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => Ok(event),
        (event, _) => bail!("not one event: {events:?} {event:?}"),
    }
}

fn is(event: &Fields, key: &str, want: impl ToString) -> Result<()> {
    let want = want.to_string();
    ensure!(
        event.get(key) == Some(&want),
        "{key} is not {want}: {event:?}"
    );
    Ok(())
}

fn write(path: &Path) -> Result<()> {
    open(path, OFlags::WRONLY)?;
    Ok(())
}

/// In a directory from which no name may be taken.
fn in_fixed_directory(pair: &Pair, action: impl FnOnce() -> Result<()>) -> Result<()> {
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    rfs::ioctl_setflags(&dir, flags | IFlags::APPEND)?;
    let result = action();
    rfs::ioctl_setflags(&dir, flags)?;
    result
}
