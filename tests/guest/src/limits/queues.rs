// SPDX-License-Identifier: GPL-2.0
//! Message queues: both kinds count the bytes that they may hold.

use super::ipc::{QUEUE, own_ipc, queue, remove_queue};
use super::{Guest, QUEUES, XID, check, expect, has, hits, inside, limit, own, settled, storm};
use crate::process::{Gate, isolated, sleep_forever};
use anyhow::{Result, ensure};
use rustix::fd::{FromRawFd as _, OwnedFd};
use rustix::io::Errno;
use std::ffi::CString;
use vserver_abi as abi;

/// `struct mq_attr`: flags, messages, bytes of each, messages there are, and room for more.
type Attributes = [libc::c_long; 8];

const MESSAGES: u64 = 4;
const BYTES: u64 = 1000;

/// A new POSIX queue; the kernel's names have no slash.
fn posix(name: &str) -> Result<OwnedFd, Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let attributes: Attributes = [0, MESSAGES as i64, BYTES as i64, 0, 0, 0, 0, 0];
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    // SAFETY: a NUL-terminated name and attributes as the call wants them.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, &attributes)
    })?;
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

fn unlink(name: &str) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: a NUL-terminated name.
    check(unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) }).map(drop)
}

fn status(id: libc::c_int) -> Result<libc::msqid_ds, Errno> {
    // SAFETY: all zeroes is a value of the structure; the call gets one, and nothing else.
    let mut data: libc::msqid_ds = unsafe { std::mem::zeroed() };
    check(unsafe { libc::msgctl(id, libc::IPC_STAT, &mut data) })?;
    Ok(data)
}

fn change(id: libc::c_int, mut data: libc::msqid_ds) -> Result<(), Errno> {
    // SAFETY: the call reads one structure.
    check(unsafe { libc::msgctl(id, libc::IPC_SET, &mut data) }).map(drop)
}

/// Sets how many bytes a queue of System V may hold.
fn resize(id: libc::c_int, bytes: u64) -> Result<(), Errno> {
    let mut data = status(id)?;
    data.msg_qbytes = bytes;
    change(id, data)
}

/// A change that is refused changes nothing: neither the queue nor what it counts.
fn is_all_or_nothing(id: libc::c_int, too_many: u64) -> Result<()> {
    let before = status(id)?;
    let counted = own(QUEUES)?;
    let mut data = before;
    data.msg_perm.mode ^= 0o044;
    data.msg_qbytes = too_many;
    expect(change(id, data), Errno::NOSPC)?;
    // More and less than it has, for an owner that there can't be.
    data.msg_perm.uid = u32::MAX;
    for bytes in [before.msg_qbytes + 1, before.msg_qbytes - 1] {
        data.msg_qbytes = bytes;
        expect(change(id, data), Errno::INVAL)?;
    }
    let after = status(id)?;
    ensure!(after.msg_perm.mode == before.msg_perm.mode, "the mode");
    ensure!(after.msg_qbytes == before.msg_qbytes, "the size");
    has(QUEUES, counted)
}

pub fn queues_change_their_size() -> Result<()> {
    own_ipc()?;
    inside(|| {
        limit(QUEUES, QUEUE + 100)?;
        let id = queue()?;
        resize(id, 5000)?;
        has(QUEUES, 5000)?;
        is_all_or_nothing(id, QUEUE + 101)?;
        resize(id, QUEUE + 100)?;
        has(QUEUES, QUEUE + 100)?;
        expect(resize(id, QUEUE + 101), Errno::NOSPC)?;
        hits(QUEUES, 2)?;
        has(QUEUES, QUEUE + 100)?;
        // Whoever has more than he may can still have less, or as much with another mode.
        limit(QUEUES, 4000)?;
        change(id, status(id)?)?;
        resize(id, 5000)?;
        has(QUEUES, 5000)?;
        expect(resize(id, 5001), Errno::NOSPC)?;
        hits(QUEUES, 3)?;
        limit(QUEUES, QUEUE + 100)?;
        resize(id, 100)?;
        remove_queue(queue()?)?;
        remove_queue(id)?;
        has(QUEUES, 0)
    })?;
    // What the host has, it makes as large as it wants.
    let id = queue()?;
    resize(id, 1 << 20)?;
    Ok(remove_queue(id)?)
}

/// How much one counts, which is more than its messages.
fn cost() -> Result<u64> {
    has(QUEUES, 0)?;
    drop(posix("cost")?);
    let cost = own(QUEUES)?;
    unlink("cost")?;
    has(QUEUES, 0)?;
    ensure!(
        (MESSAGES * BYTES + 1..MESSAGES * BYTES + 4096).contains(&cost),
        "{cost}"
    );
    Ok(cost)
}

pub fn posix_queues_are_counted() -> Result<()> {
    own_ipc()?;
    // Of the host nobody is asked.
    drop(posix("host")?);
    inside(|| {
        let cost = cost()?;
        limit(QUEUES, 2 * cost + 1)?;
        let (one, two) = (posix("one")?, posix("two")?);
        has(QUEUES, 2 * cost)?;
        expect(posix("three"), Errno::MFILE)?;
        expect(posix("one"), Errno::EXIST)?;
        hits(QUEUES, 1)?;
        // A queue is there until it has neither a name nor anybody who uses it.
        unlink("one")?;
        has(QUEUES, 2 * cost)?;
        drop(one);
        has(QUEUES, cost)?;
        drop(two);
        has(QUEUES, cost)?;
        unlink("two")?;
        for _ in 0..50 {
            drop(posix("again")?);
            unlink("again")?;
        }
        has(QUEUES, 0)?;
        hits(QUEUES, 1)
    })?;
    Ok(unlink("host")?)
}

pub fn queues_share_a_limit() -> Result<()> {
    own_ipc()?;
    let made = Gate::new()?;
    let guest = Guest::new(0, || {
        let Ok(both) = posix("left").and_then(|fd| queue().map(|id| (fd, id))) else {
            return;
        };
        if made.open().is_ok() {
            sleep_forever();
        }
        drop(both);
    })?;
    made.pass()?;
    let both = abi::rlimit_stat(XID, QUEUES)?.value;
    ensure!(both > QUEUE + MESSAGES * BYTES, "{both}");
    guest.end()?;
    // What is left behind is not the next one's, who can't remove it either.
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        limit(QUEUES, QUEUE)?;
        let id = queue()?;
        expect(posix("more"), Errno::MFILE)?;
        expect(unlink("left"), Errno::ACCESS)?;
        remove_queue(id)?;
        drop(posix("more")?);
        Ok(unlink("more")?)
    })?;
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        Ok(unlink("left")?)
    })
}

/// The limit of the caller's user comes second: what it refuses is not counted.
pub fn posix_queues_at_their_users_limit() -> Result<()> {
    own_ipc()?;
    inside(|| {
        let few = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        // SAFETY: it is only read.
        check(unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &few) })?;
        expect(posix("refused"), Errno::MFILE)?;
        hits(QUEUES, 0)?;
        has(QUEUES, 0)
    })
}

pub fn posix_queues_storm() -> Result<()> {
    own_ipc()?;
    inside(|| {
        let cost = cost()?;
        limit(QUEUES, 3 * cost)?;
        storm(4, || {
            let name = format!("storm-{}", std::process::id());
            for _ in 0..100 {
                match posix(&name) {
                    Ok(fd) => {
                        drop(fd);
                        unlink(&name)?;
                    }
                    Err(e) => ensure!(e == Errno::MFILE, "{e}"),
                }
            }
            Ok(())
        })?;
        let names = ["a", "b", "c"];
        let all: Vec<_> = names
            .iter()
            .map(|name| posix(name))
            .collect::<Result<_, _>>()?;
        expect(posix("d"), Errno::MFILE)?;
        drop(all);
        names.iter().try_for_each(|name| unlink(name))?;
        settled(QUEUES, 0, 3 * cost)
    })
}
