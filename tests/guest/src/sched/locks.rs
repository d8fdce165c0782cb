// SPDX-License-Identifier: GPL-2.0
//! Who is held holds no lock of the kernel's that others need.

use super::{XID, first, state};
use crate::process::{self, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::FlockOperation;
use rustix::io;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::Path;
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

/// Takes and gives back locks of directories, one of the file system, those of a file's content and
/// of its file locks.
fn use_locks(who: &str, byte: i64) -> Result<()> {
    let [one, other, dir] = ["a", "b", "dir"].map(|name| format!("{DIR}/{who}-{name}"));
    File::create(&one)?;
    fs::rename(&one, &other)?;
    if !Path::new(&dir).exists() {
        fs::create_dir(&dir)?;
    }
    // Of a move to another directory there is one at a time.
    let moved = format!("{dir}/c");
    fs::rename(&other, &moved)?;
    fs::remove_file(&moved)?;
    fs::remove_dir(&dir)?;
    let mut shared = File::options().append(true).open(format!("{DIR}/shared"))?;
    shared.write_all(b"x")?;
    shared.set_len(0)?;
    ensure!(byte_lock(&shared, libc::F_WRLCK, byte), "locked by another");
    ensure!(byte_lock(&shared, libc::F_UNLCK, byte));
    rustix::fs::flock(&shared, FlockOperation::NonBlockingLockShared)?;
    rustix::fs::flock(&shared, FlockOperation::Unlock)?;
    Ok(())
}

/// Whenever somebody who does `inside` again and again is held, the host can do `outside`, which is
/// told who that is.
fn host_goes_on(
    mut inside: impl FnMut() -> Result<()>,
    outside: impl Fn(u32) -> Result<()>,
) -> Result<()> {
    let guest = first(XID, 0, None, || {
        while inside().is_ok() {}
        1
    })?;
    for round in 0..30 {
        abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
        process::eventually("held", || state(guest.id()) == Some('S'))?;
        let host = spawn(|| match outside(guest.id()) {
            Ok(()) => 0,
            Err(e) => {
                println!("# round {round}: {e:#}");
                1
            }
        })?;
        process::eventually("the host goes on", || state(host.id()) == Some('Z'))?;
        ensure!(host.wait()? == process::Status::Exited(0));
        abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
        std::thread::sleep(Duration::from_micros(700 * round));
    }
    Ok(())
}

/// Wherever it is caught, it gives back the kernel's locks before it waits.
pub fn kernel_locks_are_free() -> Result<()> {
    fs::create_dir_all(DIR)?;
    File::create(format!("{DIR}/shared"))?;
    host_goes_on(|| use_locks("guest", 1), |_| use_locks("host", 2))
}

/// A byte more, and a byte less.
fn use_stream(write: impl AsFd, read: impl AsFd) -> Result<()> {
    ensure!(io::write(write, b"x")? == 1 && io::read(read, &mut [0u8])? == 1);
    Ok(())
}

/// Those of what both have: a pipe and a socket. There is a byte in each, so nobody waits for one.
pub fn streams_are_free() -> Result<()> {
    let (read, write) = rustix::pipe::pipe()?;
    let flags = SocketFlags::empty();
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    ensure!(io::write(&write, b"x")? == 1 && io::write(&one, b"x")? == 1);
    let both = || {
        use_stream(&write, &read)?;
        use_stream(&one, &other)
    };
    host_goes_on(both, |_| both())
}

/// That of its address space, which who looks at it takes, too: who sees all contexts.
pub fn address_space_is_free() -> Result<()> {
    let inside = || {
        let (len, prot) = (1 << 16, libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new mapping, which nobody uses before it is removed.
        unsafe {
            let map = libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0);
            ensure!(map != libc::MAP_FAILED && libc::munmap(map, len) == 0);
        }
        Ok(())
    };
    host_goes_on(inside, |guest| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        let smaps = fs::read_to_string(format!("/proc/{guest}/smaps")).context("smaps")?;
        ensure!(smaps.contains("Rss:"), "{smaps}");
        // As a writer: what was the most memory that it ever had is forgotten.
        fs::write(format!("/proc/{guest}/clear_refs"), "5").context("clear_refs")
    })
}
