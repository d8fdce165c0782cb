// SPDX-License-Identifier: GPL-2.0
//! What is summed up from the processes: memory and descriptors.

use super::{check, expect, inside, null, own};
use crate::process::{self, Gate, spawn};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use vserver_abi as abi;

const VM: u32 = libc::RLIMIT_AS;
const LOCKED: u32 = libc::RLIMIT_MEMLOCK;
const RSS: u32 = libc::RLIMIT_RSS;

const PAGES: usize = 512;

/// Memory that is mapped until the process ends; touched and locked as is said.
fn map(touch: bool, lock: bool) -> Result<()> {
    let size = PAGES * 4096;
    // SAFETY: the kernel chooses an address where nothing is.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    ensure!(at != libc::MAP_FAILED);
    if touch {
        // SAFETY: the memory is this function's and as long.
        unsafe { std::ptr::write_bytes(at.cast::<u8>(), 1, size) };
    }
    if lock {
        // SAFETY: the memory is mapped.
        check(unsafe { libc::mlock(at, size) })?;
    }
    Ok(())
}

pub fn pages_are_summed() -> Result<()> {
    const MANY: u64 = PAGES as u64;
    inside(|| {
        let all = || -> Result<[u64; 4]> {
            Ok([own(VM)?, own(RSS)?, own(abi::VLIMIT_ANON)?, own(LOCKED)?])
        };
        let [vm, rss, anon, locked] = all()?;
        ensure!(vm > rss && rss > 0 && anon > 0 && locked == 0);
        ensure!(own(abi::VLIMIT_MAPPED)? > 0 && own(abi::VLIMIT_MAPPED)? < rss);
        let (ready, done) = (Gate::new()?, Gate::new()?);
        let child = spawn(|| {
            let mapped = map(true, false)
                .and(map(false, true))
                .and(map(false, false));
            if mapped.is_err() || ready.open().is_err() {
                return 1;
            }
            let _ = done.pass();
            process::sleep_forever()
        })?;
        ready.pass()?;
        // All of the child, that is as much again, and what it made.
        let [vm2, rss2, anon2, locked2] = all()?;
        ensure!(
            (2 * vm + 3 * MANY..2 * vm + 4 * MANY).contains(&vm2),
            "{vm} {vm2}"
        );
        ensure!(rss2 >= rss + 2 * MANY, "{rss} {rss2}");
        ensure!(anon2 >= anon + 2 * MANY, "{anon} {anon2}");
        ensure!(locked2 == MANY, "{locked2}");
        child.kill(Signal::KILL)?;
        child.wait()?;
        let [vm3, _, anon3, locked3] = all()?;
        ensure!(vm3 < vm + MANY && anon3 < anon + MANY && locked3 == 0);
        // It has seen the most.
        ensure!(abi::rlimit_stat(abi::VX_XID_SELF, VM)?.maximum == vm2);
        // Nothing would keep a limit.
        expect(
            abi::set_hard_limit(abi::VX_XID_SELF, VM, Some(1)),
            Errno::INVAL,
        )
    })
}

pub fn descriptors_are_summed() -> Result<()> {
    inside(|| {
        let open = || own(abi::VLIMIT_OPENFD);
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
        Ok(())
    })
}
