// SPDX-License-Identifier: GPL-2.0
//! What takes more than a row: broadcasts, parents, keys that were brought along,
//! terminals; and what the host sees of its guests.

mod groups;
mod keys;
mod parents;
mod terminals;

use super::calls::{address, call, done};
use super::processes::PerfEvent;
use super::victim::{self, Victim};
use super::{enter, xids};
use crate::harness::Test;
use crate::process::isolated;
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use groups::*;
use keys::*;
use parents::*;
use rustix::io::Errno;
use std::fs;
use terminals::*;

pub const TESTS: &[Test] = tests![
    kill_everybody,
    own_group_with_others,
    signals_of_events_to_a_group,
    no_parent_outside,
    no_sibling_outside,
    shared_entries_of_proc_stay,
    host_sees_its_children_only,
    keys_brought_along,
    no_keys_from_the_host,
    typing_for_others,
    inode_marks,
    no_tracer_outside,
    own_debugger,
    entries_of_proc_that_stay,
    traced_by_who_is_inside,
    process_events,
    tracepoints,
    keyrings_of_users,
    keyring_for_the_parent,
];

/// A name that is not there inside must stay there for those outside.
fn shared_entries_of_proc_stay() -> Result<()> {
    let one = Victim::new(None)?;
    let name = format!("/proc/{}/status", one.pid());
    fs::read(&name)?;
    let id = || anyhow::Ok(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&name)?));
    let before = id()?;
    isolated(|| {
        enter(xids().0)?;
        ensure!(!fs::exists(&name)?);
        Ok(())
    })?;
    ensure!(id()? == before, "the entry was thrown away");
    victim::sweep()
}

fn inode_marks() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        let group = call(libc::SYS_fanotify_init, &[0, 0])? as usize;
        let (here, mut name) = (libc::AT_FDCWD as usize, *b"/tmp\0");
        call(
            libc::SYS_fanotify_mark,
            &[group, 1, 0x20, here, address(&mut name)],
        )?;
        Ok(())
    })
}

fn entries_of_proc_that_stay() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        for name in [
            "meminfo",
            "stat",
            "mounts",
            "net/dev",
            "sys/kernel/ostype",
            "self/status",
            "uptime",
            "virtual/info",
            "sysvipc/shm",
            "version",
        ] {
            fs::read(format!("/proc/{name}")).context(name)?;
        }
        Ok(())
    })
}

/// The connector tells of every fork and exit there is.
fn process_events() -> Result<()> {
    const NETLINK_CONNECTOR: libc::c_int = 11;
    let connect = || {
        let args = [libc::AF_NETLINK, libc::SOCK_DGRAM, NETLINK_CONNECTOR];
        call(libc::SYS_socket, &args.map(|arg| arg as usize)).map(drop)
    };
    connect().context("the host")?;
    isolated(|| {
        enter(xids().0)?;
        let got = connect();
        ensure!(got == Err(Errno::PROTONOSUPPORT), "{got:?}");
        Ok(())
    })
}

/// The kernel's events tell what the kernel does, also those of one process.
fn tracepoints() -> Result<()> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    const NUMBER: &str = "/sys/kernel/tracing/events/sched/sched_switch/id";
    // Not to be read inside.
    let number = fs::read_to_string(NUMBER)?.trim().parse()?;
    let count = || {
        let mut event = PerfEvent::new();
        event.kind = PERF_TYPE_TRACEPOINT;
        event.config = number;
        let none = usize::MAX;
        let args = [address(&mut event), 0, none, none, 0];
        done(libc::SYS_perf_event_open, &args)
    };
    let got = count();
    ensure!(got == Ok(1), "the host: {got:?}");
    isolated(|| {
        enter(xids().0)?;
        let got = count();
        ensure!(got == Err(Errno::ACCESS), "{got:?}");
        Ok(())
    })
}
