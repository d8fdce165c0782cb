// SPDX-License-Identifier: GPL-2.0
//! Signals to everybody and to process groups, which may have members on both sides.

use crate::escape::calls::{address, call};
use crate::escape::victim::{self, Victim};
use crate::escape::{enter, xids};
use crate::process::{Status, isolated, sleep_forever, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};

/// kill(-1) is for all that one may kill, which is all there is of the context.
pub fn kill_everybody() -> Result<()> {
    let (xid, other) = xids();
    isolated(|| {
        let (host, guest) = (Victim::new(None)?, Victim::new(Some(other))?);
        enter(xid)?;
        let own = Victim::new(None)?;
        let killed = call(libc::SYS_kill, &[usize::MAX, libc::SIGKILL as usize]);
        ensure!(killed == Ok(0), "{killed:?}");
        ensure!(own.dies()?, "its own lives");
        ensure!(host.is_alive()? && guest.is_alive()?, "others died");
        Ok(())
    })?;
    victim::sweep()
}

/// A process group may have members on both sides: kill(0) is for those of this side.
pub fn own_group_with_others() -> Result<()> {
    isolated(|| {
        call(libc::SYS_setpgid, &[0, 0])?;
        let (left, _leash) = left_behind()?;
        enter(xids().0)?;
        let own = spawn(|| sleep_forever())?;
        // SAFETY: ignoring a signal touches no memory.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        call(libc::SYS_kill, &[0, libc::SIGTERM as usize])?;
        ensure!(own.wait()? == Status::Killed(libc::SIGTERM));
        outlived(left)
    })
}

/// SIGIO goes to a process group without anybody asking who is in it.
pub fn signals_of_events_to_a_group() -> Result<()> {
    isolated(|| {
        call(libc::SYS_setpgid, &[0, 0])?;
        let (left, _leash) = left_behind()?;
        enter(xids().0)?;
        let own = spawn(|| sleep_forever())?;
        let (read, write) = rustix::pipe::pipe()?;
        let fd = read.as_raw_fd() as usize;
        // SAFETY: ignoring a signal touches no memory.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let group = (std::process::id() as usize).wrapping_neg();
        call(libc::SYS_fcntl, &[fd, libc::F_SETOWN as usize, group]).context("F_SETOWN")?;
        let asynchronous = (libc::O_ASYNC | libc::O_NONBLOCK) as usize;
        call(libc::SYS_fcntl, &[fd, libc::F_SETFL as usize, asynchronous])?;
        rustix::io::write(&write, b"x")?;
        ensure!(own.wait()? == Status::Killed(libc::SIGIO));
        outlived(left)
    })
}

/// A child that stays on the host when its parent enters a context, until the descriptor is closed.
fn left_behind() -> Result<(u32, OwnedFd)> {
    let (end, leash) = rustix::pipe::pipe()?;
    let mut leash = Some(leash);
    let child = spawn(|| {
        drop(leash.take());
        let _ = rustix::io::read(&end, &mut [0]);
        0
    })?;
    let pid = child.id();
    // It is not found any more when it would be dropped.
    std::mem::forget(child);
    Ok((pid, leash.context("the leash")?))
}

/// Whether a child on the host, which a signal was not meant for, lives. Only waiting for anybody
/// finds it from inside.
fn outlived(pid: u32) -> Result<()> {
    let mut status = 0i32;
    let none = [usize::MAX, address(&mut status), libc::WNOHANG as usize, 0];
    for _ in 0..50 {
        ensure!(
            call(libc::SYS_wait4, &none)? == 0,
            "{pid} died: {status:#x}"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}
