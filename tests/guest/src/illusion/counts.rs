// SPDX-License-Identifier: GPL-2.0
//! Those of a context who can't go on, as `virt_stat` and the file `cvirt` count them.

use super::{XID, end, guest, lines};
use crate::process::{Gate, eventually, sleep_forever, spawn, spin};
use anyhow::{Context as _, Result, ensure};
use vserver_abi as abi;

/// What both say: those that wait uninterruptibly, those on hold.
fn waiting() -> Result<[u32; 2]> {
    let stat = abi::virt_stat(XID)?;
    let file = lines(format!("/proc/virtual/{XID}/cvirt"))?;
    let number = |key: &str| anyhow::Ok(file.get(key).context("no such line")?.parse::<u32>()?);
    let told = [stat.nr_uninterruptible, stat.nr_onhold];
    let shown = [number("nr_unintr")?, number("nr_onhold")?];
    ensure!(told == shown, "{told:?} {shown:?}");
    Ok(told)
}

/// Until both say so.
fn come_to(expected: [u32; 2]) -> Result<()> {
    eventually(&format!("{expected:?} wait"), || {
        waiting().is_ok_and(|found| found == expected)
    })
}

pub fn cvirt_counts_who_is_on_hold() -> Result<()> {
    let guest = guest(XID, 0, || {
        let _other = spawn(|| spin());
        spin()
    })?;
    eventually("both run", || {
        abi::virt_stat(XID).is_ok_and(|v| v.nr_running == 2 && v.nr_onhold == 0)
    })?;
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    come_to([0, 2])?;
    // Who is on hold is so before it sleeps.
    eventually("none runs", || {
        abi::virt_stat(XID).is_ok_and(|v| v.nr_running == 0 && v.nr_onhold == 2)
    })?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    come_to([0, 0])?;
    end(guest)
}

/// A parent waits like this until its vfork()ed child is gone.
pub fn cvirt_counts_who_waits_uninterruptibly() -> Result<()> {
    let leave = Gate::new()?;
    let guest = guest(XID, 0, || {
        // It has memory of its own: nothing that it does is its parent's.
        let flags = libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: as fork(), in a process with one thread.
        if unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } == 0 {
            let _ = leave.pass();
            // SAFETY: ends the new process at once.
            unsafe { libc::_exit(0) };
        }
        sleep_forever()
    })?;
    come_to([1, 0])?;
    leave.open()?;
    come_to([0, 0])?;
    end(guest)
}
