// SPDX-License-Identifier: GPL-2.0
//! Start times with the flag virt_uptime, and CPU time with virt_cpu.

use super::{XID, proc_uptime};
use crate::process::{Gate, isolated, spawn};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use vserver_abi as abi;

/// When a process was started, in ticks of user space by the uptime.
fn start_time(pid: u32) -> Result<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, tail) = text.rsplit_once(") ").context("stat")?;
    Ok(tail.split(' ').nth(19).context("stat")?.parse()?)
}

/// The line of /proc/stat that begins with a word.
fn stat_line(key: &str) -> Result<Vec<u64>> {
    fs::read_to_string("/proc/stat")?
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .context(key.to_owned())?
        .split_whitespace()
        .map(|number| Ok(number.parse()?))
        .collect()
}

/// The time of a clock, in nanoseconds.
fn clock(id: libc::clockid_t) -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is where the answer goes.
    unsafe { libc::clock_gettime(id, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The clock on the wall, less an uptime in hundredths of a second: when that began.
fn began(uptime: i64) -> i64 {
    clock(libc::CLOCK_REALTIME) / 1_000_000_000 - uptime / 100
}

pub fn start_times() -> Result<()> {
    let close = |time: u64| -> Result<()> {
        let expected = began(proc_uptime()?);
        ensure!(
            (time as i64 - expected).abs() <= 2,
            "btime {time}, not {expected}"
        );
        Ok(())
    };
    let machine = stat_line("btime")?[0];
    close(machine)?;
    isolated(|| {
        let outside = start_time(std::process::id())?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_VIRT_UPTIME)?;
        close(stat_line("btime")?[0])?;
        // Who was there first was there from the beginning.
        ensure!(start_time(std::process::id())? == 0);
        let low = proc_uptime()?;
        let leave = Gate::new()?;
        let child = spawn(|| i32::from(leave.pass().is_err()))?;
        let high = proc_uptime()?;
        let found = start_time(child.id())?;
        ensure!(
            low - 1 <= found && found <= high + 1,
            "{low} {found} {high}"
        );
        // Without the flag it counts from the machine's boot.
        abi::set_cflags(XID, 0, abi::VXF_VIRT_UPTIME)?;
        ensure!(start_time(std::process::id())? == outside);
        ensure!(start_time(child.id())? >= outside && outside > 0);
        ensure!(stat_line("btime")?[0].abs_diff(machine) <= 1);
        leave.open()?;
        child.wait()?;
        Ok(())
    })?;
    ensure!(stat_line("btime")?[0].abs_diff(machine) <= 1);
    Ok(())
}

/// A time namespace moves the clock that the uptime is read from, and may move it to before the
/// context was there.
pub fn uptime_in_a_time_namespace() -> Result<()> {
    for (offset, low, high) in [(100_000, 100_000, 100_090), (0, 0, 90), (-5, 0, 90)] {
        isolated(|| {
            abi::process::unshare(rustix::thread::UnshareFlags::NEWTIME)?;
            fs::write(
                "/proc/self/timens_offsets",
                format!("boottime {offset} 0\nmonotonic {offset} 0\n"),
            )?;
            // It is the children's.
            isolated(|| {
                abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_VIRT_UPTIME)?;
                let before = proc_uptime()? / 100;
                let asked = rustix::system::sysinfo().uptime;
                let after = proc_uptime()? / 100;
                ensure!(low <= before && after <= high, "{offset}: {before} {after}");
                ensure!(
                    before <= asked && asked <= after + 1,
                    "{offset}: {before} {asked} {after}"
                );
                let child = spawn(|| crate::process::sleep_forever())?;
                let started = start_time(child.id())? / 100;
                let now = proc_uptime()? / 100;
                ensure!(
                    started <= now + 1 && started >= before - 1,
                    "{started} {now}"
                );
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// What the context used, in hundredths of a second.
fn used() -> Result<u64> {
    let mut sum = 0;
    for cpu in 0.. {
        match abi::sched_info(XID, cpu) {
            Ok(info) => sum += info.user_msec + info.sys_msec,
            Err(_) => break,
        }
    }
    Ok(sum / 10)
}

pub fn use_of_cpus() -> Result<()> {
    isolated(|| {
        let machine = stat_line("cpu ")?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_VIRT_CPU)?;
        let entered = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
        while clock(libc::CLOCK_PROCESS_CPUTIME_ID) < entered + 200_000_000 {
            std::hint::spin_loop();
        }
        let low = used()?;
        let inside = stat_line("cpu ")?;
        let high = used()?;
        let [user, nice, system, idle, rest @ ..] = &inside[..] else {
            anyhow::bail!("{inside:?}");
        };
        ensure!(low >= 10, "it has used {low} only");
        // Each number of each CPU is rounded down.
        let cpus = 2 * stat_cpus()?.len() as u64;
        ensure!(
            low <= user + system + cpus && user + system <= high,
            "{low} {inside:?} {high}"
        );
        ensure!(
            *nice == 0 && rest.iter().all(|number| *number == 0),
            "{inside:?}"
        );
        // The whole is the machine's time.
        let whole: u64 = machine[..8].iter().sum();
        ensure!(
            user + system + idle + 16 >= whole,
            "{inside:?} of {machine:?}"
        );
        let each = stat_cpus()?;
        let idles: u64 = each.iter().map(|cpu| cpu[3]).sum();
        ensure!(!each.is_empty() && idles + 16 >= *idle, "{each:?}");

        abi::set_cflags(XID, 0, abi::VXF_VIRT_CPU)?;
        let all = stat_line("cpu ")?;
        for (n, (now, before)) in all.iter().zip(&machine).enumerate() {
            // The time of waiting for I/O may go back, says proc(5).
            let fits = n == 4 || now + 1 >= *before;
            ensure!(fits, "{all:?} after {machine:?}");
        }
        ensure!(
            all[..8].iter().filter(|number| **number > 0).count() > 2,
            "{all:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// The lines of the CPUs.
fn stat_cpus() -> Result<Vec<Vec<u64>>> {
    let mut cpus = Vec::new();
    while let Ok(line) = stat_line(&format!("cpu{}", cpus.len())) {
        cpus.push(line);
    }
    Ok(cpus)
}
