// SPDX-License-Identifier: GPL-2.0
//! Descriptors, however many there are of a file.

use super::{
    Guest, XID, expect, expect_io, has, hits, inside, limit, null, own, settled, storm, try_fork,
};
use crate::calls::new_fd;
use crate::process::{self, Gate, Status, pipe, spawn};
use crate::unified::syscall;
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use vserver_abi as abi;

const DESCRIPTORS: u32 = abi::VLIMIT_OPENFD;

pub fn descriptors_are_counted() -> Result<()> {
    inside(|| {
        let open = || own(DESCRIPTORS);
        let before = open()?;
        ensure!(before == std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1);
        let file = null()?;
        let copy = file.try_clone()?;
        ensure!(open()? == before + 2);
        let child = spawn(|| process::sleep_forever())?;
        ensure!(open()? == 2 * (before + 2));
        child.kill(Signal::KILL)?;
        child.wait()?;
        drop((file, copy));
        ensure!(open()? == before);
        // What cannot be opened takes none.
        ensure!(std::fs::File::open("/nonexistent").is_err());
        has(DESCRIPTORS, before)
    })
}

/// Makes `at` a copy of `file`.
fn dup_to(file: &std::fs::File, at: i32) -> Result<(), Errno> {
    // SAFETY: `at` is no descriptor of anybody here.
    super::check(unsafe { libc::dup2(file.as_raw_fd(), at) }).map(drop)
}

pub fn descriptors_are_refused() -> Result<()> {
    inside(|| {
        let before = own(DESCRIPTORS)?;
        limit(DESCRIPTORS, before + 3)?;
        let file = null()?;
        let two = pipe()?;
        expect_io(null(), Errno::MFILE)?;
        expect_io(file.try_clone(), Errno::MFILE)?;
        expect(dup_to(&file, 200), Errno::MFILE)?;
        expect(rustix::pipe::pipe().map(drop), Errno::MFILE)?;
        hits(DESCRIPTORS, 4)?;
        has(DESCRIPTORS, before + 3)?;
        drop(two);
        // One of a pair is no pipe, and stays with nobody.
        dup_to(&file, 200)?;
        expect(rustix::pipe::pipe().map(drop), Errno::MFILE)?;
        has(DESCRIPTORS, before + 2)?;
        // What takes the place of another is no more.
        let last = null()?;
        dup_to(&file, 200)?;
        has(DESCRIPTORS, before + 3)?;
        drop(last);
        // SAFETY: closes what dup2() made.
        ensure!(unsafe { libc::close_range(200, 300, 0) } == 0);
        has(DESCRIPTORS, before + 1)?;
        // A child would have as many again.
        expect(try_fork(), Errno::MFILE)?;
        has(DESCRIPTORS, before + 1)?;
        limit(DESCRIPTORS, 2 * (before + 1))?;
        try_fork()?;
        // So would who shares no more; joined, it is a thread for another moment: no more forks.
        limit(DESCRIPTORS, 2 * before + 1)?;
        let thread = std::thread::spawn(|| {
            // SAFETY: it fails.
            super::check(unsafe { libc::unshare(libc::CLONE_FILES) })
        });
        ensure!(matches!(thread.join(), Ok(Err(Errno::MFILE))));
        has(DESCRIPTORS, before + 1)?;
        // A limit below what there is takes nothing away.
        limit(DESCRIPTORS, 1)?;
        ensure!(rustix::io::read(file.as_fd(), &mut [0; 1])? == 0);
        drop(file);
        expect_io(null(), Errno::MFILE)?;
        has(DESCRIPTORS, before)
    })?;
    // The host is not meant.
    null()?;
    Ok(())
}

fn hear_of(queue: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid structure of this type.
    let mut how: libc::sigevent = unsafe { std::mem::zeroed() };
    how.sigev_notify = libc::SIGEV_NONE;
    // SAFETY: the structure is valid for the call, which reads it.
    syscall(unsafe { libc::syscall(libc::SYS_mq_notify, queue.as_raw_fd(), &raw const how) })
        .map(drop)
}

/// The table of a child that may not be made is not closed: who is to hear of a message still is.
pub fn refused_tables_close_nothing() -> Result<()> {
    const FLAGS: i32 = libc::O_RDONLY | libc::O_CREAT;
    inside(|| {
        let (name, none) = (c"descriptors", std::ptr::null::<u8>());
        // SAFETY: the name is a C string; there are no attributes.
        let queue =
            new_fd(unsafe { libc::syscall(libc::SYS_mq_open, name.as_ptr(), FLAGS, 0o600, none) })?;
        // SAFETY: as above.
        syscall(unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) })?;
        hear_of(&queue)?;
        expect(hear_of(&queue), Errno::BUSY)?;
        limit(DESCRIPTORS, own(DESCRIPTORS)?)?;
        expect(try_fork(), Errno::MFILE)?;
        expect(hear_of(&queue), Errno::BUSY)
    })
}

/// Threads have one table, and a process that does not share it any more has its own.
pub fn tables_are_shared_and_copied() -> Result<()> {
    inside(|| {
        let before = own(DESCRIPTORS)?;
        let _file = null()?;
        let thread = std::thread::spawn(move || {
            let shared = has(DESCRIPTORS, before + 1);
            // SAFETY: this thread uses no descriptor of the others from here on.
            let alone = unsafe { libc::unshare(libc::CLONE_FILES) };
            shared.is_ok() && alone == 0 && has(DESCRIPTORS, 2 * (before + 1)).is_ok()
        });
        ensure!(thread.join().is_ok_and(|ok| ok));
        process::eventually("the thread is gone", || {
            own(DESCRIPTORS).is_ok_and(|n| n == before + 1)
        })
    })
}

/// Who enters keeps what it has, also if that is more than may be.
pub fn descriptors_of_who_enters() -> Result<()> {
    let guest = Guest::new(0, || process::sleep_forever())?;
    let value = || abi::rlimit_stat(XID, DESCRIPTORS).map(|stat| stat.value);
    let before = value()?;
    abi::set_hard_limit(XID, DESCRIPTORS, Some(before))?;
    let (ready, done) = (Gate::new()?, Gate::new()?);
    let own = std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1;
    let enter = || -> Result<()> {
        let file = null()?;
        abi::ctx_migrate(XID, 0)?;
        expect_io(null(), Errno::MFILE)?;
        ready.open()?;
        done.pass()?;
        drop(file);
        ready.open()?;
        done.pass()
    };
    let child = spawn(|| i32::from(enter().is_err()))?;
    for more in [own + 1, own] {
        ready.pass()?;
        ensure!(value()? == before + more, "{} {before} {own}", value()?);
        done.open()?;
    }
    ensure!(child.wait()? == Status::Exited(0));
    ensure!(value()? == before);
    guest.end()
}

/// Opens, copies, forks and closes on several CPUs at the limit.
pub fn descriptors_storm() -> Result<()> {
    inside(|| {
        let before = own(DESCRIPTORS)?;
        // Each worker has the pipe of the starting gate, too.
        let most = 6 * (before + 2) + 3;
        limit(DESCRIPTORS, most)?;
        storm(4, || {
            for i in 0..300 {
                for result in [
                    null().map(drop),
                    null().and_then(|file| file.try_clone()).map(drop),
                ] {
                    if let Err(e) = result {
                        ensure!(e.raw_os_error() == Some(libc::EMFILE), "{e}");
                    }
                }
                if i % 20 == 0 {
                    ensure!(matches!(try_fork(), Ok(()) | Err(Errno::MFILE)));
                }
            }
            Ok(())
        })?;
        // To be at the limit for certain.
        let mut files = Vec::new();
        while let Ok(file) = null() {
            files.push(file);
        }
        drop(files);
        settled(DESCRIPTORS, before, most)
    })
}
