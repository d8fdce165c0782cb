// SPDX-License-Identifier: GPL-2.0
//! Processes.

use super::{
    Guest, PROCESSES, XID, expect, has, hits, inside, limit, own, settled, storm, try_fork,
};
use crate::process::{self, Child, Gate, Status, isolated, spawn};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::sync::mpsc;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

fn sleeper() -> Result<Child> {
    spawn(|| process::sleep_forever())
}

pub fn processes_are_counted() -> Result<()> {
    inside(|| {
        has(PROCESSES, 1)?;
        let children = [sleeper()?, sleeper()?, sleeper()?];
        has(PROCESSES, 4)?;
        for child in children {
            child.kill(Signal::KILL)?;
            child.wait()?;
        }
        has(PROCESSES, 1)?;
        // Dead ones that nobody waited for are none.
        let done = Gate::new()?;
        let zombie = spawn(|| i32::from(done.open().is_err()))?;
        done.pass()?;
        process::eventually("it is dead", || own(PROCESSES).is_ok_and(|n| n == 1))?;
        zombie.wait()?;
        // A child of a child is one more.
        let ready = Gate::new()?;
        let child = spawn(|| match sleeper() {
            Ok(grandchild) => {
                let counted = has(PROCESSES, 3).and(ready.open());
                let _ = grandchild.kill(Signal::KILL);
                i32::from(counted.is_err() || grandchild.wait().is_err())
            }
            Err(_) => 1,
        })?;
        ready.pass()?;
        ensure!(child.wait()? == Status::Exited(0));
        has(PROCESSES, 1)
    })
}

pub fn processes_are_refused() -> Result<()> {
    inside(|| {
        limit(PROCESSES, 3)?;
        let (one, two) = (sleeper()?, sleeper()?);
        expect(try_fork(), Errno::AGAIN)?;
        expect(try_fork(), Errno::AGAIN)?;
        has(PROCESSES, 3)?;
        hits(PROCESSES, 2)?;
        one.kill(Signal::KILL)?;
        one.wait()?;
        try_fork()?;
        // A limit below what there is takes nothing away.
        limit(PROCESSES, 1)?;
        has(PROCESSES, 2)?;
        expect(try_fork(), Errno::AGAIN)?;
        two.kill(Signal::KILL)?;
        two.wait()?;
        expect(try_fork(), Errno::AGAIN)?;
        abi::set_hard_limit(abi::VX_XID_SELF, PROCESSES, None)?;
        try_fork()?;
        hits(PROCESSES, 4)
    })?;
    // The host's processes are not meant.
    try_fork()?;
    Ok(())
}

pub fn threads_are_processes() -> Result<()> {
    inside(|| {
        limit(PROCESSES, 2)?;
        let (hold, release) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().spawn(move || release.recv())?;
        has(PROCESSES, 2)?;
        let second = std::thread::Builder::new().spawn(|| ());
        ensure!(
            second.is_err_and(|e| e.raw_os_error() == Some(libc::EAGAIN)),
            "a thread too many"
        );
        drop(hold);
        ensure!(thread.join().is_ok());
        process::eventually("the thread is gone", || {
            own(PROCESSES).is_ok_and(|n| n == 1)
        })
    })
}

pub fn entering_counts() -> Result<()> {
    let guest = Guest::new(0, || process::sleep_forever())?;
    let value = || abi::rlimit_stat(XID, PROCESSES).map(|stat| stat.value);
    ensure!(value()? == 1);
    abi::set_hard_limit(XID, PROCESSES, Some(1))?;
    isolated(|| {
        expect(abi::ctx_migrate(XID, 0), Errno::AGAIN)?;
        ensure!(abi::task_xid(0)? == 0);
        // It is as it was, and may try again.
        abi::set_hard_limit(XID, PROCESSES, Some(2))?;
        abi::ctx_migrate(XID, 0)?;
        expect(try_fork(), Errno::AGAIN)
    })?;
    ensure!(value()? == 1 && abi::rlimit_stat(XID, PROCESSES)?.hits == 2);
    guest.end()
}

/// Forks on several CPUs at the limit, half of which end by a signal.
pub fn processes_storm() -> Result<()> {
    inside(|| {
        limit(PROCESSES, 8)?;
        storm(5, || {
            for i in 0..60 {
                match (fork(), i % 2) {
                    (Ok(Fork::Child), 0) => std::process::exit(0),
                    (Ok(Fork::Child), _) => process::sleep_forever(),
                    (Ok(Fork::Parent(pid)), _) => {
                        if i % 2 == 1 {
                            rustix::process::kill_process(pid, Signal::KILL)?;
                        }
                        let flags = rustix::process::WaitOptions::empty();
                        rustix::process::waitpid(Some(pid), flags)?;
                    }
                    (Err(Errno::AGAIN), _) => {}
                    (Err(e), _) => return Err(e.into()),
                }
            }
            Ok(())
        })?;
        // To be at the limit for certain.
        let rest: Vec<_> = (0..7).map(|_| sleeper()).collect::<Result<_>>()?;
        expect(try_fork(), Errno::AGAIN)?;
        for child in rest {
            child.kill(Signal::KILL)?;
            ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
        }
        settled(PROCESSES, 1, 8)
    })
}
