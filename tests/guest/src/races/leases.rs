// SPDX-License-Identifier: GPL-2.0
//! Breaks against leases and delegations: whoever was promised to hear of a change hears of it
//! first, and the break goes on as soon as he has given his promise back.

use super::race::{Order, race, race_until};
use super::shared::{How, Shared};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::PathBuf;
use std::time::Duration;

/// `struct delegation` of linux/fcntl.h
#[repr(C)]
struct Delegation {
    flags: u32,
    kind: u16,
    pad: u16,
}

const F_SETDELEG: i32 = 1024 + 16;

/// What may be held on a file or directory that is open for reading.
#[derive(Clone, Copy, Debug)]
pub enum Hold {
    Lease(i32),
    Delegation,
}

impl Hold {
    fn set(self, fd: BorrowedFd<'_>, kind: i32) -> Result<(), Errno> {
        let fd = fd.as_raw_fd();
        let mut delegation = Delegation {
            flags: 0,
            kind: kind as u16,
            pad: 0,
        };
        // SAFETY: the delegation is valid for the call; a lease has no pointer.
        let ret = unsafe {
            match self {
                Self::Lease(_) => libc::fcntl(fd, libc::F_SETLEASE, kind),
                Self::Delegation => libc::fcntl(fd, F_SETDELEG, &raw mut delegation),
            }
        };
        syscall(ret.into()).map(drop)
    }

    pub fn take(self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        match self {
            Self::Lease(kind) => self.set(fd, kind),
            Self::Delegation => self.set(fd, libc::F_RDLCK),
        }
    }

    pub fn give_back(self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.set(fd, libc::F_UNLCK)
    }
}

/// The signal that says somebody waits for a lease. It stays blocked, to be waited for.
pub struct Sigio(libc::sigset_t);

impl Sigio {
    /// Before there are threads.
    pub fn block() -> Self {
        // SAFETY: all zeroes are a valid value, and it is valid for the calls.
        let set = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGIO);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            set
        };
        Self(set)
    }

    /// Whether it comes in time.
    pub fn comes(&self, limit: Duration) -> bool {
        let limit = libc::timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        // SAFETY: both are valid for the call; nobody wants to know more of the signal.
        let got = unsafe { libc::sigtimedwait(&self.0, std::ptr::null_mut(), &limit) };
        got == libc::SIGIO
    }
}

/// Long enough for whatever does happen.
const LONG: Duration = Duration::from_secs(20);

/// Whoever is in the way hears of it while the name still has the shared file.
fn waits_for(hold: Hold, ways: &[How], path: impl Fn(&Shared) -> PathBuf) -> Result<()> {
    let shared = Shared::new("holder")?;
    let sigio = Sigio::block();
    race(|race| {
        shared.renew()?;
        let how = race.pick(ways)?;
        let fd = open(&path(&shared), OFlags::RDONLY)?;
        hold.take(fd.as_fd()).with_context(|| format!("{hold:?}"))?;
        let pause = race.moment();
        let (got, released) = race.pair(
            || how.run(&shared.a),
            || -> Result<()> {
                let heard = sigio.comes(LONG);
                std::thread::sleep(pause);
                let still = rustix::fs::stat(&shared.a)?.st_ino;
                hold.give_back(fd.as_fd())?;
                ensure!(heard, "not told");
                ensure!(still == shared.before.ino, "did not wait");
                Ok(())
            },
        )?;
        released.with_context(|| format!("{how:?}: {got:?}"))?;
        drop(fd);
        shared.consistent(&shared.a, how, Ok(got.with_context(|| format!("{how:?}"))?))?;
        shared.settled(&["in", "in/a"])
    })
}

/// Of the directory: a name in it changes.
pub fn delegation_of_the_directory() -> Result<()> {
    waits_for(Hold::Delegation, How::ALL, |shared| shared.inner.clone())
}

/// Of the file, by another guest's name: it loses one of its names.
pub fn delegation_of_the_file() -> Result<()> {
    waits_for(Hold::Delegation, How::ALL, |shared| shared.b.clone())
}

/// Who has a write lease is told of everybody who reads, and to copy is to read.
pub fn write_lease() -> Result<()> {
    // Nothing is read of a file that is to be empty.
    let reading: Vec<_> = How::ALL
        .iter()
        .copied()
        .filter(|how| *how != How::Empty)
        .collect();
    waits_for(Hold::Lease(libc::F_WRLCK), &reading, |shared| {
        shared.b.clone()
    })
}

/// What a read lease promises is kept: the shared file does not change.
pub fn read_lease() -> Result<()> {
    let shared = Shared::new("read_lease")?;
    let sigio = Sigio::block();
    race(|race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let hold = Hold::Lease(libc::F_RDLCK);
        let fd = open(&shared.b, OFlags::RDONLY)?;
        let (got, taken) = race.pair(|| how.run(&shared.a), || hold.take(fd.as_fd()))?;
        taken?;
        got.with_context(|| format!("{how:?}"))?;
        ensure!(!sigio.comes(Duration::ZERO), "{how:?}: told of nothing");
        // SAFETY: this has no pointer.
        let kind = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETLEASE) };
        ensure!(kind == libc::F_RDLCK, "{how:?}: the lease is {kind}");
        shared.modified(&shared.a, how)?;
        shared.settled(&["in", "in/a"])
    })
}

/// They come and go, at any moment of the break.
pub fn delegations_come_and_go() -> Result<()> {
    let shared = Shared::new("come_and_go")?;
    let sigio = Sigio::block();
    let come = |path: &PathBuf| -> Result<Option<OwnedFd>> {
        let fd = open(path, OFlags::RDONLY)?;
        match Hold::Delegation.take(fd.as_fd()) {
            Ok(()) => Ok(Some(fd)),
            // Somebody has it open for writing, or takes one back.
            Err(Errno::AGAIN) => Ok(None),
            Err(e) => bail!("{e}"),
        }
    };
    let go = |fd: Option<OwnedFd>, limit: Duration| -> Result<bool> {
        let Some(fd) = fd else {
            return Ok(false);
        };
        let told = sigio.comes(limit);
        Hold::Delegation.give_back(fd.as_fd())?;
        Ok(told)
    };
    race_until(&["told", "not told"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let path = race.pick(&[&shared.inner, &shared.a, &shared.b])?.clone();
        let limit = match race.order() {
            Order::Inside => LONG,
            _ => Duration::ZERO,
        };
        let (got, told) = race.held(|| how.run(&shared.a), || come(&path), |fd| go(fd, limit))?;
        race.count(if told { "told" } else { "not told" });
        // One that came too late to be waited for.
        while sigio.comes(Duration::ZERO) {}
        got.with_context(|| format!("{how:?}"))?;
        shared.modified(&shared.a, how)?;
        shared.settled(&["in", "in/a"])
    })
}
