// SPDX-License-Identifier: GPL-2.0
//! Limits of contexts: what counts and what not, what happens at the limit, what is shown of it.

mod commands;
mod descriptors;
mod files;
mod ipc;
mod locks;
mod memory;
mod oom;
mod processes;
mod queues;
pub(crate) mod sockets;
mod traffic;

use crate::harness::Suite;
use crate::process::{Child, Gate, Status, isolated, spawn};
use crate::tests;
use crate::unified::expect;
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs::File;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

use commands::{
    bad_pointers, hides_from_others, inside_changes_only_in_setup, keep_and_infinity, mask,
    proc_file, resets, unknown_things, what_cannot_be_set,
};
use descriptors::{
    descriptors_are_counted, descriptors_are_refused, descriptors_of_who_enters, descriptors_storm,
    refused_tables_close_nothing, tables_are_shared_and_copied,
};
use files::{
    copies_are_no_files, files_are_counted, files_are_refused, files_in_flight, files_storm,
    hosts_files_are_not_counted, programs_hold_files,
};
use ipc::{
    arrays_are_counted, objects_outlive_their_context, queues_are_counted, segments_are_counted,
};
use locks::{
    byte_locks_are_counted, byte_locks_are_refused, flocks_are_converted, flocks_are_counted,
    leases_are_counted, locks_end_with_their_holder, locks_storm,
};
use memory::{
    address_space_is_refused, locked_memory_is_refused, memory_of_who_enters, memory_storm,
    nothing_grows_at_the_limit, pages_are_counted,
};
use oom::bias;
use processes::{
    entering_counts, processes_are_counted, processes_are_refused, processes_storm,
    threads_are_processes,
};
use queues::{
    posix_queues_are_counted, posix_queues_at_their_users_limit, posix_queues_storm,
    queues_change_their_size, queues_share_a_limit,
};
use sockets::{
    connections_from_outside, sctp_connections_are_counted, sockets_are_counted,
    sockets_are_refused, sockets_storm, unix_connections_from_outside,
};
use traffic::{traffic_by_family, traffic_fails, traffic_of_the_host};

pub const SUITE: Suite = Suite {
    name: "limits",
    wants: "timeout=300",
    tests: tests![
        processes_are_counted,
        processes_are_refused,
        threads_are_processes,
        entering_counts,
        processes_storm,
        files_are_counted,
        files_are_refused,
        copies_are_no_files,
        hosts_files_are_not_counted,
        files_in_flight,
        programs_hold_files,
        files_storm,
        byte_locks_are_counted,
        byte_locks_are_refused,
        flocks_are_counted,
        flocks_are_converted,
        leases_are_counted,
        locks_end_with_their_holder,
        locks_storm,
        sockets_are_counted,
        sockets_are_refused,
        connections_from_outside,
        unix_connections_from_outside,
        sctp_connections_are_counted,
        sockets_storm,
        queues_are_counted,
        queues_change_their_size,
        queues_share_a_limit,
        posix_queues_are_counted,
        posix_queues_at_their_users_limit,
        posix_queues_storm,
        arrays_are_counted,
        segments_are_counted,
        objects_outlive_their_context,
        pages_are_counted,
        address_space_is_refused,
        nothing_grows_at_the_limit,
        locked_memory_is_refused,
        memory_of_who_enters,
        memory_storm,
        descriptors_are_counted,
        descriptors_are_refused,
        refused_tables_close_nothing,
        tables_are_shared_and_copied,
        descriptors_of_who_enters,
        descriptors_storm,
        traffic_by_family,
        traffic_fails,
        traffic_of_the_host,
        bias,
        mask,
        keep_and_infinity,
        what_cannot_be_set,
        unknown_things,
        resets,
        proc_file,
        inside_changes_only_in_setup,
        hides_from_others,
        bad_pointers,
    ],
};

/// An xid for tests; each has a process of its own but contexts are everybody's.
const XID: u32 = 300;

/// The numbers of things that have limits.
const PROCESSES: u32 = libc::RLIMIT_NPROC;
const FILES: u32 = libc::RLIMIT_NOFILE;
const LOCKS: u32 = libc::RLIMIT_LOCKS;
const QUEUES: u32 = libc::RLIMIT_MSGQUEUE;

/// Runs `body` in a new context, which it can change as it is being set up, and sees it end.
fn inside(body: impl FnOnce() -> Result<()>) -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        body()
    })?;
    expect(abi::ctx_stat(XID), Errno::SRCH)
}

/// A process in a new context, set up or not, that does something until it is killed.
struct Guest {
    child: Child,
}

impl Guest {
    fn new(flags: u64, body: impl FnOnce()) -> Result<Self> {
        let ready = Gate::new()?;
        let child = spawn(|| {
            if abi::ctx_create(XID, flags).is_err() || ready.open().is_err() {
                return 1;
            }
            body();
            0
        })?;
        ready.pass()?;
        ensure!(abi::task_xid(child.id())? == XID, "no context");
        Ok(Self { child })
    }

    fn end(self) -> Result<()> {
        self.child.kill(Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }
}

/// What the caller's own context has of a thing.
fn own(id: u32) -> Result<u64> {
    Ok(abi::rlimit_stat(abi::VX_XID_SELF, id)?.value)
}

/// The caller's own context has so much of a thing.
fn has(id: u32, expected: u64) -> Result<()> {
    let value = own(id)?;
    ensure!(value == expected, "{value} of {id}, not {expected}");
    Ok(())
}

/// The caller's own context was refused a thing so often.
fn hits(id: u32, expected: u32) -> Result<()> {
    let hits = abi::rlimit_stat(abi::VX_XID_SELF, id)?.hits;
    ensure!(hits == expected, "{hits} hits of {id}, not {expected}");
    Ok(())
}

/// Sets the hard limit of the caller's own context.
fn limit(id: u32, limit: u64) -> Result<()> {
    Ok(abi::set_hard_limit(abi::VX_XID_SELF, id, Some(limit))?)
}

/// The same for a function of the standard library.
fn expect_io<T: std::fmt::Debug>(result: std::io::Result<T>, errno: Errno) -> Result<()> {
    expect(
        result.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)),
        errno,
    )
}

/// What a call of libc returned, or its error.
fn check<T: Copy + Default + PartialOrd>(ret: T) -> Result<T, Errno> {
    if ret < T::default() {
        let errno = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&errno).unwrap_or(Errno::IO));
    }
    Ok(ret)
}

/// A child that ends at once, or why there is none.
fn try_fork() -> Result<(), Errno> {
    match fork()? {
        Fork::Child => std::process::exit(0),
        Fork::Parent(pid) => {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Ok(())
        }
    }
}

fn null() -> std::io::Result<File> {
    File::open("/dev/null")
}

/// Several processes that all do the same, once all are there; none may fail.
fn storm(workers: usize, body: impl Fn() -> Result<()> + Copy) -> Result<()> {
    let start = &Gate::new()?;
    let children: Vec<_> = (0..workers)
        .map(|_| spawn(move || i32::from(start.pass().and_then(|()| body()).is_err())))
        .collect::<Result<_>>()?;
    for _ in 0..workers {
        start.open()?;
    }
    for child in children {
        let status = child.wait()?;
        ensure!(status == Status::Exited(0), "{status:?}");
    }
    Ok(())
}

/// After a storm the context has nothing, was at its limit and not beyond it.
fn settled(id: u32, value: u64, limit: u64) -> Result<()> {
    let stat = abi::rlimit_stat(abi::VX_XID_SELF, id)?;
    ensure!(stat.value == value, "{stat:?}");
    ensure!(stat.maximum == limit && stat.hits > 0, "{stat:?}");
    Ok(())
}
