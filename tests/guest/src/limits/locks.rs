// SPDX-License-Identifier: GPL-2.0
//! Locks on files.

use super::{LOCKS, check, expect, has, hits, inside, limit, settled, storm};
use crate::process::{self, Gate, spawn};
use anyhow::{Result, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;

fn file(name: &str) -> Result<File> {
    let path = format!("/tmp/limits-{}-{name}", std::process::id());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// Locks or unlocks bytes.
fn lock(file: &File, kind: libc::c_int, start: i64, len: i64) -> Result<(), Errno> {
    // SAFETY: all zeroes are a value of it.
    let mut how: libc::flock = unsafe { std::mem::zeroed() };
    how.l_type = kind as libc::c_short;
    how.l_whence = libc::SEEK_SET as libc::c_short;
    (how.l_start, how.l_len) = (start, len);
    // SAFETY: the descriptor is open, the structure the one of the command.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &how) }).map(drop)
}

use libc::{F_RDLCK, F_UNLCK, F_WRLCK};

pub fn byte_locks_are_counted() -> Result<()> {
    inside(|| {
        let file = file("bytes")?;
        for byte in [0, 2, 4] {
            lock(&file, F_WRLCK, byte, 1)?;
        }
        has(LOCKS, 3)?;
        // One between two joins them.
        lock(&file, F_WRLCK, 1, 1)?;
        has(LOCKS, 2)?;
        // One out of the middle parts them.
        lock(&file, F_UNLCK, 1, 1)?;
        has(LOCKS, 3)?;
        // One of another kind replaces, or parts in three.
        lock(&file, F_RDLCK, 0, 1)?;
        has(LOCKS, 3)?;
        lock(&file, F_WRLCK, 10, 10)?;
        lock(&file, F_RDLCK, 14, 2)?;
        has(LOCKS, 6)?;
        lock(&file, F_RDLCK, 0, 0)?;
        has(LOCKS, 1)?;
        lock(&file, F_UNLCK, 0, 0)?;
        has(LOCKS, 0)?;
        lock(&file, F_WRLCK, 0, 1)?;
        drop(file);
        has(LOCKS, 0)
    })
}

pub fn byte_locks_are_refused() -> Result<()> {
    inside(|| {
        let file = file("bytes")?;
        limit(LOCKS, 2)?;
        lock(&file, F_WRLCK, 0, 10)?;
        lock(&file, F_WRLCK, 20, 1)?;
        expect(lock(&file, F_WRLCK, 30, 1), Errno::NOLCK)?;
        // It would take one more to part one, or two.
        expect(lock(&file, F_UNLCK, 5, 1), Errno::NOLCK)?;
        expect(lock(&file, F_RDLCK, 5, 1), Errno::NOLCK)?;
        has(LOCKS, 2)?;
        // None to replace, to grow, to shrink.
        lock(&file, F_RDLCK, 20, 1)?;
        lock(&file, F_WRLCK, 0, 12)?;
        lock(&file, F_UNLCK, 0, 2)?;
        has(LOCKS, 2)?;
        hits(LOCKS, 3)?;
        // Room for one more, where two are needed: none is taken.
        limit(LOCKS, 3)?;
        expect(lock(&file, F_RDLCK, 5, 1), Errno::NOLCK)?;
        has(LOCKS, 2)?;
        lock(&file, F_UNLCK, 5, 1)?;
        has(LOCKS, 3)?;
        lock(&file, F_UNLCK, 0, 0)?;
        has(LOCKS, 0)?;
        let stat = vserver_abi::rlimit_stat(vserver_abi::VX_XID_SELF, LOCKS)?;
        ensure!(stat.maximum == 3, "{stat:?}");
        Ok(())
    })
}

pub fn flocks_are_counted() -> Result<()> {
    inside(|| {
        let (one, two, three) = (file("one")?, file("two")?, file("three")?);
        limit(LOCKS, 2)?;
        flock(&one, FlockOperation::LockExclusive)?;
        flock(&two, FlockOperation::LockShared)?;
        has(LOCKS, 2)?;
        // Once more, and of another kind.
        flock(&one, FlockOperation::LockExclusive)?;
        flock(&one, FlockOperation::LockShared)?;
        has(LOCKS, 2)?;
        let refused = flock(&three, FlockOperation::NonBlockingLockExclusive);
        expect(refused, Errno::NOLCK)?;
        hits(LOCKS, 1)?;
        flock(&two, FlockOperation::Unlock)?;
        flock(&three, FlockOperation::NonBlockingLockExclusive)?;
        has(LOCKS, 2)?;
        drop((one, three));
        has(LOCKS, 0)
    })
}

/// Also by who has more than it may by now: it asks for none that it does not have.
pub fn flocks_are_converted() -> Result<()> {
    inside(|| {
        let (one, two) = (file("one")?, file("two")?);
        flock(&one, FlockOperation::LockExclusive)?;
        flock(&two, FlockOperation::LockExclusive)?;
        limit(LOCKS, 1)?;
        flock(&one, FlockOperation::LockShared)?;
        flock(&one, FlockOperation::NonBlockingLockExclusive)?;
        has(LOCKS, 2)?;
        hits(LOCKS, 0)?;
        flock(&one, FlockOperation::Unlock)?;
        let again = flock(&one, FlockOperation::NonBlockingLockExclusive);
        expect(again, Errno::NOLCK)?;
        has(LOCKS, 1)
    })
}

pub fn leases_are_counted() -> Result<()> {
    inside(|| {
        let file = file("lease")?;
        let lease = |kind: libc::c_int| {
            // SAFETY: the descriptor is open.
            check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) }).map(drop)
        };
        limit(LOCKS, 0)?;
        expect(lease(F_WRLCK), Errno::NOLCK)?;
        limit(LOCKS, 1)?;
        lease(F_WRLCK)?;
        has(LOCKS, 1)?;
        lease(F_UNLCK)?;
        has(LOCKS, 0)?;
        lease(F_WRLCK)?;
        drop(file);
        has(LOCKS, 0)
    })
}

pub fn locks_end_with_their_holder() -> Result<()> {
    inside(|| {
        let file = file("holder")?;
        let locked = Gate::new()?;
        let child = spawn(|| {
            let both = lock(&file, F_WRLCK, 0, 1).and(lock(&file, F_WRLCK, 5, 1));
            if both.is_err() || locked.open().is_err() {
                return 1;
            }
            process::sleep_forever()
        })?;
        locked.pass()?;
        has(LOCKS, 2)?;
        child.kill(Signal::KILL)?;
        child.wait()?;
        has(LOCKS, 0)
    })
}

/// Locks and unlocks on several CPUs at the limit, some on the same file.
pub fn locks_storm() -> Result<()> {
    inside(|| {
        limit(LOCKS, 8)?;
        let shared = &file("shared")?;
        storm(4, || {
            let own = file("own")?;
            for i in 0..300 {
                for (file, byte) in [(&own, i % 7), (&own, 20 + i % 5), (shared, i % 3)] {
                    match lock(file, F_WRLCK, byte, 1) {
                        Ok(()) | Err(Errno::NOLCK | Errno::AGAIN) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                if i % 9 == 0 {
                    lock(&own, F_UNLCK, 0, 0)?;
                    lock(shared, F_UNLCK, 0, 0)?;
                }
            }
            Ok(())
        })?;
        for byte in 0..8 {
            lock(shared, F_WRLCK, byte * 2, 1)?;
        }
        expect(lock(shared, F_WRLCK, 100, 1), Errno::NOLCK)?;
        lock(shared, F_UNLCK, 0, 0)?;
        settled(LOCKS, 0, 8)
    })
}
