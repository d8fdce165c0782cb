// SPDX-License-Identifier: GPL-2.0
//! Objects of System V IPC.

use super::{Guest, QUEUES, XID, check, expect, has, hits, inside, limit};
use crate::process::{self, Gate, isolated};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use vserver_abi as abi;

const SHARED: u32 = abi::VLIMIT_SHMEM;
const ARRAYS: u32 = abi::VLIMIT_SEMARY;
const SEMAPHORES: u32 = abi::VLIMIT_NSEMS;

/// What a queue may hold, unless it is said otherwise.
pub const QUEUE: u64 = 16384;

/// Objects of the test's own, which go with it.
pub fn own_ipc() -> Result<()> {
    // SAFETY: nothing of memory is concerned.
    check(unsafe { libc::unshare(libc::CLONE_NEWIPC) })?;
    Ok(())
}

pub fn queue() -> Result<libc::c_int, Errno> {
    // SAFETY: nothing of memory is concerned; so with the following.
    check(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })
}

pub fn remove_queue(id: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the command takes no structure.
    check(unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

fn array(size: libc::c_int) -> Result<libc::c_int, Errno> {
    // SAFETY: see above.
    check(unsafe { libc::semget(libc::IPC_PRIVATE, size, 0o600) })
}

fn remove_array(id: libc::c_int) -> Result<(), Errno> {
    // SAFETY: see above.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

fn segment(size: usize) -> Result<libc::c_int, Errno> {
    // SAFETY: see above.
    check(unsafe { libc::shmget(libc::IPC_PRIVATE, size, 0o600) })
}

fn remove_segment(id: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the command takes no structure.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

pub fn queues_are_counted() -> Result<()> {
    own_ipc()?;
    inside(|| {
        limit(QUEUES, 2 * QUEUE)?;
        let (one, two) = (queue()?, queue()?);
        has(QUEUES, 2 * QUEUE)?;
        expect(queue(), Errno::NOSPC)?;
        hits(QUEUES, 1)?;
        // At once, each time.
        remove_queue(one)?;
        for _ in 0..50 {
            remove_queue(queue()?)?;
        }
        has(QUEUES, QUEUE)?;
        hits(QUEUES, 1)?;
        remove_queue(two)?;
        has(QUEUES, 0)
    })
}

pub fn arrays_are_counted() -> Result<()> {
    own_ipc()?;
    inside(|| {
        limit(ARRAYS, 2)?;
        limit(SEMAPHORES, 10)?;
        let (one, two) = (array(3)?, array(5)?);
        has(ARRAYS, 2)?;
        has(SEMAPHORES, 8)?;
        expect(array(1), Errno::NOSPC)?;
        hits(ARRAYS, 1)?;
        remove_array(one)?;
        // Too many in it: neither counts.
        expect(array(6), Errno::NOSPC)?;
        hits(SEMAPHORES, 1)?;
        has(ARRAYS, 1)?;
        has(SEMAPHORES, 5)?;
        for _ in 0..50 {
            remove_array(array(5)?)?;
        }
        remove_array(two)?;
        has(ARRAYS, 0)?;
        has(SEMAPHORES, 0)
    })
}

pub fn segments_are_counted() -> Result<()> {
    own_ipc()?;
    inside(|| {
        limit(SHARED, 10)?;
        let one = segment(3 * 4096 + 1)?;
        has(SHARED, 4)?;
        expect(segment(7 * 4096), Errno::NOSPC)?;
        expect(segment(1 << 40), Errno::NOSPC)?;
        hits(SHARED, 2)?;
        let two = segment(6 * 4096)?;
        has(SHARED, 10)?;
        // One that is attached is there until it is not.
        // SAFETY: the kernel chooses an address where nothing is.
        let at = unsafe { libc::shmat(two, std::ptr::null(), 0) };
        ensure!(at as isize != -1);
        remove_segment(two)?;
        has(SHARED, 10)?;
        // SAFETY: nothing refers to it.
        check(unsafe { libc::shmdt(at) })?;
        has(SHARED, 4)?;
        for _ in 0..50 {
            remove_segment(segment(6 * 4096)?)?;
        }
        remove_segment(one)?;
        has(SHARED, 0)
    })
}

/// What a context leaves behind is still counted to it, until somebody removes it.
pub fn objects_outlive_their_context() -> Result<()> {
    own_ipc()?;
    let made = Gate::new()?;
    let guest = Guest::new(0, || {
        let all = queue().and(array(2)).and(segment(4096));
        if all.is_ok() && made.open().is_ok() {
            process::sleep_forever();
        }
    })?;
    made.pass()?;
    for (id, value) in [(QUEUES, QUEUE), (ARRAYS, 1), (SHARED, 1)] {
        ensure!(abi::rlimit_stat(XID, id)?.value == value);
    }
    guest.end()?;
    expect(abi::ctx_stat(XID), Errno::SRCH)?;
    // A new context of the id has nothing to do with them.
    inside(|| has(QUEUES, 0))?;
    // The kernel numbers the first of each kind 0. The namespace's end removes the others. They
    // are nobody's but the spectator's to remove.
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        Ok(remove_queue(0)?)
    })
}
