// SPDX-License-Identifier: GPL-2.0
//! Threads that work for a context in the kernel and never return to user mode.

use super::{XID, cpu_time, first, is_a_tenth, rate, share, used};
use crate::process::{self, Child, Gate};
use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode::Read, squeue::Flags, types::Fd};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::io;
use std::fs;
use std::time::Duration;
use vserver_abi as abi;

/// How long it goes on looking, in ms.
const BUSY: u32 = 600_000;

/// A ring whose submission thread looks for work without a pause.
fn busy_ring() -> std::io::Result<IoUring> {
    let ring = IoUring::builder().setup_sqpoll(BUSY).build(4)?;
    // To tell it something while it sleeps wakes it, for as long as it then waits for more. At first
    // it may not be asleep yet.
    // SAFETY: all zeroes is a set, the empty one.
    let mut cpus: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in 0..2 {
        // SAFETY: the set has room for such numbers.
        unsafe { libc::CPU_SET(cpu, &mut cpus) };
    }
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(20));
        ring.submitter().register_iowq_aff(&cpus)?;
    }
    Ok(ring)
}

/// A process that sleeps, and whose ring is busy; it closes its descriptor when told.
pub(super) fn with_ring(sched: abi::Sched, close: &Gate) -> Result<(Child, OwnedFd)> {
    let (mut read, write) = process::pipe()?;
    let child = first(XID, abi::VXF_SCHED_HARD, Some(sched), || {
        let Ok(ring) = busy_ring() else { return 1 };
        let _ = io::write(&write, &ring.as_raw_fd().to_ne_bytes());
        let _ = close.pass();
        drop(ring);
        process::sleep_forever()
    })?;
    let mut number = [0; 4];
    std::io::Read::read_exact(&mut read, &mut number).context("no ring")?;
    let pidfd = rustix::process::pidfd_open(child.pid(), rustix::process::PidfdFlags::empty())?;
    let ring = rustix::process::pidfd_getfd(
        &pidfd,
        i32::from_ne_bytes(number),
        rustix::process::PidfdGetfdFlags::empty(),
    )?;
    Ok((child, ring))
}

fn threads(child: &Child) -> usize {
    fs::read_dir(format!("/proc/{}/task", child.id())).map_or(0, Iterator::count)
}

pub fn submission_thread_is_held() -> Result<()> {
    let (child, _ring) = with_ring(rate(50, 50), &Gate::new()?)?;
    ensure!(threads(&child) == 2, "no submission thread");
    let free = share(1)?;
    ensure!(free > 0.3, "{free:.3} of a CPU: it is not busy");
    abi::set_sched(XID, rate(5, 50))?;
    is_a_tenth(share(3)?)
}

/// Who closes the last descriptor of its ring does not wait for tokens.
pub fn submission_thread_stops() -> Result<()> {
    let close = Gate::new()?;
    let (child, ring) = with_ring(rate(50, 50), &close)?;
    close.open()?;
    process::eventually("the child has closed its own", || {
        fs::read_dir(format!("/proc/{}/fd", child.id())).is_ok_and(|fds| {
            fds.flatten().all(|fd| {
                fs::read_link(fd.path())
                    .is_ok_and(|link| !link.to_string_lossy().contains("io_uring"))
            })
        })
    })?;
    abi::set_sched(XID, rate(0, 1000))?;
    let mut last = 0;
    process::eventually("held", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = used().map_or(0, |used| used.0);
        std::mem::replace(&mut last, now) == now
    })?;
    ensure!(last > 0, "it was not busy");
    ensure!(threads(&child) == 2, "the thread has gone");
    drop(ring);
    process::eventually("it stops", || threads(&child) == 1)
}

/// Has the workers of a ring read zeroes, for ever.
fn read_by_workers() -> Result<()> {
    const AT_A_TIME: usize = 4;
    let zero = fs::File::open("/dev/zero")?;
    let mut buffers = vec![vec![0u8; 1 << 20]; AT_A_TIME];
    let mut ring = IoUring::new(AT_A_TIME as u32)?;
    loop {
        for buffer in &mut buffers {
            let (address, len) = (buffer.as_mut_ptr(), buffer.len() as u32);
            let read = Read::new(Fd(zero.as_raw_fd()), address, len).build();
            // SAFETY: the file and the buffers outlive the ring, and nobody looks at what is read.
            unsafe { ring.submission().push(&read.flags(Flags::ASYNC)) }?;
        }
        ring.submit_and_wait(AT_A_TIME)?;
        ring.completion().for_each(drop);
    }
}

/// What io_uring hands on to threads of its own is the context's.
pub fn ring_workers_are_held() -> Result<()> {
    let child = first(XID, abi::VXF_SCHED_HARD, Some(rate(100, 50)), || {
        i32::from(read_by_workers().is_err())
    })?;
    let before = cpu_time(child.id())?;
    let free = share(2)?;
    let own = (cpu_time(child.id())? - before) as f64 / 2000.0;
    ensure!(
        free > 0.3 && own < free / 2.0,
        "{free:.3} of a CPU, {own:.3} by the process itself"
    );
    abi::set_sched(XID, rate(5, 50))?;
    is_a_tenth(share(3)?)
}
