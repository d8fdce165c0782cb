// SPDX-License-Identifier: GPL-2.0
//! Who is held holds no lock of the kernel's that others need.

use super::{XID, first, state};
use crate::process::{self, spawn};
use anyhow::{Result, ensure};
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::time::Duration;
use vserver_abi as abi;

const DIR: &str = "/tmp/sched-locks";

/// A lock of a byte that is the file's, as fcntl(2) makes them; false if another has it.
fn byte_lock(file: &File, kind: libc::c_int, byte: i64) -> bool {
    // SAFETY: all zeroes is a valid `flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    // SAFETY: `lock` is valid for the call.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) == 0 }
}

/// Takes and gives back locks of a directory, of a file's content and of its file locks.
fn use_locks(who: &str, byte: i64) -> Result<()> {
    let [one, other] = ["a", "b"].map(|name| format!("{DIR}/{who}-{name}"));
    File::create(&one)?;
    fs::rename(&one, &other)?;
    fs::remove_file(&other)?;
    let mut shared = File::options().append(true).open(format!("{DIR}/shared"))?;
    shared.write_all(b"x")?;
    shared.set_len(0)?;
    ensure!(byte_lock(&shared, libc::F_WRLCK, byte), "locked by another");
    ensure!(byte_lock(&shared, libc::F_UNLCK, byte));
    rustix::fs::flock(&shared, FlockOperation::NonBlockingLockShared)?;
    rustix::fs::flock(&shared, FlockOperation::Unlock)?;
    Ok(())
}

/// Wherever it is caught, it gives back the kernel's locks before it waits.
pub fn kernel_locks_are_free() -> Result<()> {
    fs::create_dir_all(DIR)?;
    File::create(format!("{DIR}/shared"))?;
    let guest = first(XID, 0, None, || {
        while use_locks("guest", 1).is_ok() {}
        1
    })?;
    for round in 0..30 {
        abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
        process::eventually("held", || state(guest.id()) == Some('S'))?;
        let host = spawn(|| i32::from(use_locks("host", 2).is_err()))?;
        process::eventually("the host goes on", || state(host.id()) == Some('Z'))?;
        ensure!(host.wait()? == process::Status::Exited(0), "round {round}");
        abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
        std::thread::sleep(Duration::from_micros(700 * round));
    }
    Ok(())
}
