// SPDX-License-Identifier: GPL-2.0
//! Memory: address space and what is locked of it have limits, the rest is only summed up.

use super::{XID, check, expect, has, hits, inside, limit, own, storm, try_fork};
use crate::process::{self, Gate, Status, isolated, spawn};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use vserver_abi as abi;

const VM: u32 = libc::RLIMIT_AS;
const LOCKED: u32 = libc::RLIMIT_MEMLOCK;
const RSS: u32 = libc::RLIMIT_RSS;

const PAGES: usize = 512;
const PAGE: usize = 4096;

/// Memory that is mapped until the process ends; touched and locked as is said.
fn map(touch: bool, lock: bool) -> Result<()> {
    let mapping = Mapping::new(PAGES, 0)?;
    if touch {
        // SAFETY: the memory is this mapping's and as long.
        unsafe { std::ptr::write_bytes(mapping.at.cast::<u8>(), 1, PAGES * PAGE) };
    }
    if lock {
        mapping.lock(PAGES)?;
    }
    std::mem::forget(mapping);
    Ok(())
}

pub fn pages_are_counted() -> Result<()> {
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
            abi::set_hard_limit(abi::VX_XID_SELF, RSS, Some(1)),
            Errno::INVAL,
        )
    })
}

/// Memory that was mapped and is unmapped when it goes.
struct Mapping {
    at: *mut libc::c_void,
    pages: usize,
}

impl Mapping {
    fn new(pages: usize, flags: i32) -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags;
        let (size, access) = (pages * PAGE, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the kernel chooses an address where nothing is.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size, access, flags, -1, 0) };
        check(at as isize)?;
        Ok(Self { at, pages })
    }

    fn resize(&mut self, pages: usize) -> Result<(), Errno> {
        let (old, new) = (self.pages * PAGE, pages * PAGE);
        // SAFETY: the memory is this mapping's, and nobody has a pointer to it.
        let at = unsafe { libc::mremap(self.at, old, new, libc::MREMAP_MAYMOVE) };
        check(at as isize)?;
        (self.at, self.pages) = (at, pages);
        Ok(())
    }

    /// Maps the first of its pages anew.
    fn replace(&self, pages: usize) -> Result<(), Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let size = pages.min(self.pages) * PAGE;
        // SAFETY: the memory is this mapping's, and nobody has a pointer to it.
        let at = unsafe { libc::mmap(self.at, size, libc::PROT_READ, flags, -1, 0) };
        check(at as isize)?;
        Ok(())
    }

    fn protect(&self, access: i32) -> Result<(), Errno> {
        // SAFETY: the memory is this mapping's, and nobody has a pointer to it.
        check(unsafe { libc::mprotect(self.at, self.pages * PAGE, access) }).map(drop)
    }

    fn lock(&self, pages: usize) -> Result<(), Errno> {
        // SAFETY: the memory is this mapping's.
        check(unsafe { libc::mlock(self.at, pages.min(self.pages) * PAGE) }).map(drop)
    }

    fn unlock(&self) -> Result<(), Errno> {
        // SAFETY: the memory is this mapping's.
        check(unsafe { libc::munlock(self.at, self.pages * PAGE) }).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the memory is this mapping's, and nobody has a pointer to it.
        unsafe { libc::munmap(self.at, self.pages * PAGE) };
    }
}

pub fn address_space_is_refused() -> Result<()> {
    inside(|| {
        let before = own(VM)?;
        limit(VM, before + 100)?;
        let mut mapping = Mapping::new(100, 0)?;
        has(VM, before + 100)?;
        expect(Mapping::new(1, 0).map(drop), Errno::NOMEM)?;
        expect(mapping.resize(101), Errno::NOMEM)?;
        hits(VM, 2)?;
        // What takes the place of something else is no more.
        mapping.replace(50)?;
        mapping.protect(libc::PROT_READ)?;
        mapping.protect(libc::PROT_READ | libc::PROT_WRITE)?;
        has(VM, before + 100)?;
        hits(VM, 2)?;
        mapping.resize(40)?;
        has(VM, before + 40)?;
        let second = Mapping::new(60, 0)?;
        drop(mapping);
        has(VM, before + 60)?;
        // A child has as much again.
        expect(try_fork(), Errno::NOMEM)?;
        hits(VM, 3)?;
        has(VM, before + 60)?;
        limit(VM, 2 * (before + 60))?;
        try_fork()?;
        drop(second);
        // A limit below what there is takes nothing away.
        limit(VM, 10)?;
        has(VM, before)?;
        expect(Mapping::new(1, 0).map(drop), Errno::NOMEM)?;
        limit(VM, u64::MAX >> 1)?;
        Ok(())
    })?;
    // The host is not meant.
    Mapping::new(1000, 0)?;
    Ok(())
}

/// Neither the heap nor the stack grows, nor is there room for another program.
pub fn nothing_grows_at_the_limit() -> Result<()> {
    inside(|| {
        limit(VM, own(VM)? * 3)?;
        let grow = || -> Result<()> {
            limit(VM, own(VM)?)?;
            // SAFETY: nobody frees what the heap's end moves over.
            let end = unsafe { libc::sbrk(0) };
            // SAFETY: as above.
            let grown = unsafe { libc::sbrk(1 << 20) };
            ensure!(grown as isize == -1 && end as isize != -1, "the heap grew");
            hits(VM, 1)
        };
        isolated(grow)?;
        abi::set_hard_limit(abi::VX_XID_SELF, VM, None)?;
        // With room for a deep stack, and without.
        for (room, killed) in [(1000, false), (0, true)] {
            let child = spawn(|| {
                if own(VM).is_ok_and(|all| limit(VM, all + room).is_ok()) {
                    std::hint::black_box(deep(256));
                }
                0
            })?;
            let status = child.wait()?;
            ensure!(matches!(status, Status::Killed(_)) == killed, "{status:?}");
            abi::set_hard_limit(abi::VX_XID_SELF, VM, None)?;
        }
        let child = spawn(|| {
            if own(VM).is_ok_and(|all| limit(VM, all / 2).is_ok()) {
                let _ = Command::new("/bin/busybox").arg("true").exec();
            }
            0
        })?;
        let status = child.wait()?;
        ensure!(matches!(status, Status::Killed(_)), "{status:?}");
        Ok(())
    })
}

/// Uses a page of stack a level.
fn deep(levels: u32) -> u64 {
    let page = std::hint::black_box([u64::from(levels); PAGE / 8]);
    match levels {
        0 => page[0],
        _ => page[1] + deep(levels - 1),
    }
}

/// A process of its own for each way to lock, so that nothing is left of the last one.
pub fn locked_memory_is_refused() -> Result<()> {
    inside(|| {
        limit(LOCKED, 10)?;
        let refused = || -> Result<()> {
            let mapping = Mapping::new(20, 0)?;
            mapping.lock(8)?;
            has(LOCKED, 8)?;
            // What is locked already is not locked again.
            mapping.lock(10)?;
            has(LOCKED, 10)?;
            expect(mapping.lock(11), Errno::NOMEM)?;
            expect(Mapping::new(1, libc::MAP_LOCKED).map(drop), Errno::AGAIN)?;
            // SAFETY: locks memory and changes nothing.
            let all = check(unsafe { libc::mlockall(libc::MCL_CURRENT) });
            expect(all, Errno::NOMEM)?;
            has(LOCKED, 10)?;
            hits(LOCKED, 3)?;
            mapping.unlock()?;
            has(LOCKED, 0)?;
            let mut locked = Mapping::new(10, libc::MAP_LOCKED)?;
            expect(locked.resize(11), Errno::AGAIN)?;
            // A child has locked nothing.
            try_fork()?;
            locked.resize(4)?;
            has(LOCKED, 4)
        };
        isolated(refused)?;
        has(LOCKED, 0)?;
        hits(LOCKED, 4)?;
        // All that is mapped, and what will be.
        limit(LOCKED, 1 << 20)?;
        isolated(|| {
            // SAFETY: locks memory and changes nothing.
            check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })?;
            let locked = own(LOCKED)?;
            ensure!(locked > 0);
            let more = Mapping::new(7, 0)?;
            has(LOCKED, locked + 7)?;
            limit(LOCKED, locked + 7)?;
            expect(Mapping::new(1, 0).map(drop), Errno::AGAIN)?;
            drop(more);
            has(LOCKED, locked)
        })?;
        has(LOCKED, 0)
    })
}

/// A process that comes in with what it has, and runs another program.
pub fn memory_of_who_enters() -> Result<()> {
    let guest = super::Guest::new(0, || process::sleep_forever())?;
    let value = |id| abi::rlimit_stat(XID, id).map(|stat| stat.value);
    let (vm, locked) = (value(VM)?, value(LOCKED)?);
    let (ready, done) = (Gate::new()?, Gate::new()?);
    let enter = || -> Result<()> {
        let mapping = Mapping::new(3000, 0)?;
        mapping.lock(5)?;
        abi::ctx_migrate(XID, 0)?;
        ready.open()?;
        done.pass()
    };
    let child = spawn(|| i32::from(enter().is_err()))?;
    ready.pass()?;
    ensure!(value(VM)? > vm + 3000, "{}", value(VM)?);
    ensure!(value(LOCKED)? == locked + 5, "{}", value(LOCKED)?);
    done.open()?;
    ensure!(child.wait()? == Status::Exited(0));
    ensure!((value(VM)?, value(LOCKED)?) == (vm, locked));
    let child = spawn(|| {
        let mapping = Mapping::new(3000, 0);
        if mapping.is_ok() && abi::ctx_migrate(XID, 0).is_ok() {
            let _ = Command::new("/bin/busybox").args(["sleep", "1000"]).exec();
        }
        1
    })?;
    // It has what the program has, not what was before.
    process::eventually("it runs", || {
        value(VM).is_ok_and(|now| now > vm && now < vm + 3000)
    })?;
    child.kill(Signal::KILL)?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    ensure!((value(VM)?, value(LOCKED)?) == (vm, locked));
    guest.end()
}

/// Maps, locks, forks and unmaps on several CPUs at the limits: at the end nothing is left.
pub fn memory_storm() -> Result<()> {
    inside(|| {
        let before = own(VM)?;
        limit(VM, before * 6)?;
        limit(LOCKED, 12)?;
        storm(4, || {
            for i in 0..200 {
                for pages in [1, 500, before as usize] {
                    let mut mapping = match Mapping::new(pages, 0) {
                        Ok(mapping) => mapping,
                        Err(Errno::NOMEM) => continue,
                        Err(e) => return Err(e.into()),
                    };
                    for result in [mapping.resize(pages + 1), mapping.lock(i % 20)] {
                        ensure!(matches!(result, Ok(()) | Err(Errno::NOMEM | Errno::AGAIN)));
                    }
                }
                if i % 20 == 0 {
                    ensure!(matches!(try_fork(), Ok(()) | Err(Errno::NOMEM)));
                }
            }
            Ok(())
        })?;
        has(LOCKED, 0)?;
        has(VM, before)?;
        ensure!(abi::rlimit_stat(abi::VX_XID_SELF, VM)?.hits > 0);
        ensure!(abi::rlimit_stat(abi::VX_XID_SELF, LOCKED)?.hits > 0);
        Ok(())
    })
}
