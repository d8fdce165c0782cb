// SPDX-License-Identifier: GPL-2.0
//! Open files.

use super::{FILES, expect_io, has, hits, inside, limit, null, own, settled, storm};
use crate::calls::send_fd;
use crate::process::{self, Gate, pipe, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

pub fn files_are_counted() -> Result<()> {
    inside(|| {
        has(FILES, 0)?;
        let files: Vec<_> = (0..5).map(|_| null()).collect::<Result<_, _>>()?;
        has(FILES, 5)?;
        let pipe = pipe()?;
        has(FILES, 7)?;
        drop((pipe, files));
        has(FILES, 0)?;
        // What cannot be opened is not counted.
        ensure!(File::open("/nonexistent").is_err());
        has(FILES, 0)
    })
}

pub fn files_are_refused() -> Result<()> {
    inside(|| {
        limit(FILES, 3)?;
        let mut files: Vec<_> = (0..3).map(|_| null()).collect::<Result<_, _>>()?;
        expect_io(null(), Errno::NFILE)?;
        ensure!(pipe().is_err());
        has(FILES, 3)?;
        hits(FILES, 2)?;
        files.pop();
        files.push(null().context("one was free")?);
        limit(FILES, 0)?;
        drop(files);
        expect_io(null(), Errno::NFILE)?;
        has(FILES, 0)
    })?;
    // The host is not meant.
    null()?;
    Ok(())
}

/// A descriptor is not a file.
pub fn copies_are_no_files() -> Result<()> {
    let (ready, done) = (Gate::new()?, Gate::new()?);
    inside(|| {
        let file = null()?;
        limit(FILES, 1)?;
        let copy = file.try_clone()?;
        let child = spawn(|| {
            let ok = ready.open().and(done.pass());
            i32::from(ok.is_err())
        })?;
        ready.pass()?;
        has(FILES, 1)?;
        drop((file, copy));
        // The child has it still.
        has(FILES, 1)?;
        done.open()?;
        child.wait()?;
        has(FILES, 0)?;
        hits(FILES, 0)
    })
}

/// What the host opened it passes in at its own expense.
pub fn hosts_files_are_not_counted() -> Result<()> {
    let file = null()?;
    inside(|| {
        limit(FILES, 0)?;
        let _copy = file.try_clone()?;
        has(FILES, 0)?;
        // To open it anew is to open a file.
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        ensure!(File::open(path).is_err());
        Ok(())
    })
}

/// A file that only a message in a socket holds.
pub fn files_in_flight() -> Result<()> {
    let (left, right) = std::os::unix::net::UnixStream::pair()?;
    inside(|| {
        let file = null()?;
        send_fd(&left, &file)?;
        drop(file);
        has(FILES, 1)?;
        // Received, without room for it: it is closed.
        let mut byte = [0];
        ensure!(rustix::io::read(&right, &mut byte)? == 1);
        has(FILES, 0)
    })
}

/// A program that runs is an open file, and keeps those that are not closed on exec.
pub fn programs_hold_files() -> Result<()> {
    inside(|| {
        let (read, mut write) = {
            let (read, write) = pipe()?;
            (read, File::from(write))
        };
        let before = own(FILES)?;
        let child = spawn(|| {
            let error = Command::new("/bin/busybox").arg("cat").stdin(read).exec();
            i32::from(error.raw_os_error().is_none_or(|errno| errno != 0))
        })?;
        process::eventually("it runs", || own(FILES).is_ok_and(|n| n > before))?;
        ensure!(own(FILES)? <= before + 4, "{}", own(FILES)?);
        child.kill(Signal::KILL)?;
        child.wait()?;
        // Nobody reads any more.
        ensure!(write.write(b"x").is_err());
        drop(write);
        has(FILES, 0)
    })
}

/// Opens and closes on several CPUs at the limit.
pub fn files_storm() -> Result<()> {
    inside(|| {
        limit(FILES, 6)?;
        storm(4, || {
            for _ in 0..500 {
                let two = (null(), null());
                for file in [two.0, two.1] {
                    if let Err(e) = file {
                        ensure!(e.raw_os_error() == Some(libc::ENFILE), "{e}");
                    }
                }
            }
            Ok(())
        })?;
        let files: Vec<_> = (0..6).map(|_| null()).collect::<Result<_, _>>()?;
        expect_io(null(), Errno::NFILE)?;
        drop(files);
        settled(FILES, 0, 6)
    })
}
