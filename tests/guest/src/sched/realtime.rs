// SPDX-License-Identifier: GPL-2.0
//! Processes that go before all others, and are held like them.

use super::{XID, held, rate, used};
use crate::process;
use anyhow::{Result, ensure};
use rustix::process::Pid;
use std::time::Duration;
use vserver_abi as abi;

/// How a process, the caller if none, is scheduled.
pub(super) fn set_policy(pid: Option<Pid>, policy: i32, sched_priority: i32) -> Result<()> {
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    let param = libc::sched_param { sched_priority };
    // SAFETY: `param` is valid for the call.
    ensure!(unsafe { libc::sched_setscheduler(pid, policy, &param) } == 0);
    Ok(())
}

pub fn realtime_is_held_too() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    set_policy(Some(child.pid()), libc::SCHED_FIFO, 10)?;
    abi::set_sched(XID, rate(1, 1000))?;
    let before = used()?.0;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(used()?.0 - before < 500, "a FIFO task ran through");
    Ok(())
}

/// `struct sched_attr`, as of its first version
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Nor does a deadline give anybody more: it is a promise of the machine's, not of the bucket's.
pub fn deadlines_are_held_too() -> Result<()> {
    const MS: u64 = 1_000_000;
    let child = held(abi::VXF_SCHED_HARD)?;
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_DEADLINE as u32,
        flags: 0,
        nice: 0,
        priority: 0,
        runtime: 80 * MS,
        deadline: 100 * MS,
        period: 100 * MS,
    };
    let pid = child.pid().as_raw_nonzero().get();
    // SAFETY: `attr` is valid for the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    abi::set_sched(XID, rate(1, 1000))?;
    let before = used()?.0;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(used()?.0 - before < 400, "a deadline task ran through");
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    process::eventually("it runs", || used().is_ok_and(|used| used.0 > before + 500))
}
