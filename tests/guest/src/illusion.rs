// SPDX-License-Identifier: GPL-2.0
//! What a context looks like from inside: names, uptime, load, memory, mounts, vinfo, and the
//! entries of /proc.

mod clocks;
mod counts;
mod entries;
mod mounts;
mod names;

use crate::harness::Suite;
use crate::process::{
    Child, Gate, Status, eventually, isolated, sleep_forever, spawn, spin, until_ended,
};
use crate::unified::expect;
use crate::{raw, tests};
use anyhow::{Context as _, Result, ensure};
use clocks::*;
use counts::*;
use entries::*;
use mounts::*;
use names::*;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::system::sysinfo;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "illusion",
    wants: "timeout=300",
    tests: tests![
        names_inside,
        names_of_old_calls,
        name_limits,
        names_in_a_namespace,
        names_in_a_process_namespace,
        who_may_name,
        cvirt_counts,
        cvirt_counts_who_is_on_hold,
        cvirt_counts_who_waits_uninterruptibly,
        cvirt_shows_names,
        virt_stat_refusals,
        uptime,
        load,
        load_inside,
        memory,
        memory_of_machine,
        mounts_below_the_root,
        mounts_hidden,
        vinfo,
        vinfo_hidden,
        start_times,
        uptime_in_a_time_namespace,
        use_of_cpus,
        entries_by_default,
        entry_shown_inside,
        entry_hidden_inside,
        entry_hidden_below,
        entry_for_the_host_or_the_spectator,
        entries_that_cannot_be_set,
    ],
};

const XID: u32 = 300;

/// A process in a new context, which has been set up.
fn guest(xid: u32, flags: u64, body: impl FnOnce()) -> Result<Child> {
    let ready = Gate::new()?;
    let child = spawn(|| {
        let made = abi::ctx_create(xid, flags);
        if ready.open().is_err() || made.is_err() {
            return 1;
        }
        body();
        0
    })?;
    ready.pass()?;
    ensure!(abi::task_xid(child.id()) == Ok(xid), "no guest");
    Ok(child)
}

/// Ends a guest, whose processes may be more than the first.
fn end(guest: Child) -> Result<()> {
    let xid = abi::task_xid(guest.id())?;
    abi::ctx_kill(xid, 0, libc::SIGKILL)?;
    guest.wait()?;
    until_ended(xid)
}

/// `KEY:\tVALUE` lines.
pub fn lines(path: impl AsRef<Path>) -> Result<HashMap<String, String>> {
    let text = fs::read_to_string(&path).context(format!("{:?}", path.as_ref()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect())
}

fn cvirt_counts() -> Result<()> {
    let guest = guest(XID, 0, || {
        for _ in 0..3 {
            let _ = spawn(|| 0).and_then(Child::wait);
        }
        let _sleeper = spawn(|| sleep_forever());
        sleep_forever()
    })?;
    eventually("four were born, two are left", || {
        abi::virt_stat(XID).is_ok_and(|v| v.nr_forks == 4 && v.nr_threads == 2)
    })?;
    eventually("both sleep", || {
        abi::virt_stat(XID).is_ok_and(|v| v.nr_running == 0 && v.nr_uninterruptible == 0)
    })?;
    let stat = abi::virt_stat(XID)?;
    ensure!(
        stat.nr_onhold == 0 && stat.offset == 0 && stat.uptime > 0,
        "{stat:?}"
    );
    ensure!(abi::virt_stat(XID)?.uptime > stat.uptime);
    let file = lines(format!("/proc/virtual/{XID}/cvirt"))?;
    for (key, value) in [
        ("nr_threads", "2"),
        ("nr_running", "0"),
        ("nr_unintr", "0"),
        ("nr_onhold", "0"),
        ("total_forks", "4"),
    ] {
        ensure!(file[key] == value, "{key}: {}", file[key]);
    }
    ensure!(file["loadavg"].split(' ').count() == 3, "{file:?}");
    ensure!(file["load_updates"].parse::<u32>().is_ok(), "{file:?}");
    end(guest)
}

fn virt_stat_refusals() -> Result<()> {
    let guest = guest(XID, 0, || sleep_forever())?;
    for data in [0, 1, usize::MAX, 1 << 47] {
        expect(raw::vserver(abi::VCMD_virt_stat, XID, data), Errno::FAULT)?;
    }
    for xid in [0, 1, XID + 1, abi::VX_XID_SELF] {
        expect(abi::virt_stat(xid), Errno::SRCH)?;
    }
    end(guest)
}

/// The first number of /proc/uptime, in hundredths of a second.
fn proc_uptime() -> Result<i64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let (seconds, hundredths) = text
        .split(' ')
        .next()
        .and_then(|uptime| uptime.split_once('.'))
        .context(text.clone())?;
    Ok(seconds.parse::<i64>()? * 100 + hundredths.parse::<i64>()?)
}

/// The time since boot, in hundredths of a second.
fn since_boot() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is where the answer goes.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    now.tv_sec * 100 + now.tv_nsec / 10_000_000
}

fn uptime() -> Result<()> {
    isolated(|| {
        let before = since_boot();
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_VIRT_UPTIME)?;
        let after = since_boot();
        let born = since_boot() - abi::virt_stat(XID)?.uptime as i64 / 10_000_000;
        ensure!(
            before - 1 <= born && before > 0,
            "born at {born}, not from {before} on"
        );
        let low = since_boot() - after;
        let uptime = proc_uptime()?;
        let whole = sysinfo().uptime as i64;
        let high = since_boot() - before;
        ensure!(
            low - 1 <= uptime && uptime <= high + 1,
            "{low} {uptime} {high}"
        );
        ensure!(
            low / 100 <= whole && whole <= high / 100 + 2,
            "{low} {whole} {high}"
        );
        // It is an illusion of these two only, and can be taken away.
        ensure!(since_boot() >= after);
        abi::set_cflags(XID, 0, abi::VXF_VIRT_UPTIME)?;
        ensure!(proc_uptime()? >= after - 1);
        ensure!(sysinfo().uptime as i64 >= after / 100);
        Ok(())
    })?;
    let low = since_boot();
    ensure!(proc_uptime()? >= low - 1, "the host's uptime");
    Ok(())
}

fn averages(xid: u32) -> Result<[u32; 3]> {
    Ok(abi::virt_stat(xid)?.load)
}

/// Each context has the load of its own tasks.
fn load() -> Result<()> {
    let busy = guest(XID, 0, || spin())?;
    let idle = guest(XID + 1, 0, || sleep_forever())?;
    eventually("it runs", || {
        abi::virt_stat(XID).is_ok_and(|v| v.nr_running == 1)
    })?;
    eventually("load", || averages(XID).is_ok_and(|load| load[0] > 0))?;
    let load = averages(XID)?;
    ensure!(load[0] > load[1] && load[1] > load[2], "{load:?}");
    // A sample may have met the idle one before it slept.
    eventually("more than the idle one's", || {
        averages(XID + 1).is_ok_and(|idle| averages(XID).is_ok_and(|busy| busy[0] > 2 * idle[0]))
    })?;
    let file = lines(format!("/proc/virtual/{XID}/cvirt"))?;
    ensure!(file["load_updates"] != "0", "{file:?}");
    ensure!(!file["loadavg"].starts_with("0.00"), "{file:?}");
    end(busy)?;
    end(idle)
}

fn load_inside() -> Result<()> {
    // The host is busy, the context is not.
    let busy = spawn(|| spin())?;
    eventually("load", || sysinfo().loads[0] > 0)?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        ensure!(sysinfo().loads[0] > 0, "that of the machine");
        abi::set_cflags(XID, abi::VXF_VIRT_LOAD, abi::VXF_VIRT_LOAD)?;
        let sleeper = spawn(|| sleep_forever())?;
        // Not 0 for certain: a sample may have met this process.
        let text = |load: u32| {
            let load = load + (1 << 11) / 200;
            format!("{}.{:02}", load >> 11, ((load & 2047) * 100) >> 11)
        };
        eventually("its own load, one runs, two are there", || {
            let Ok([one, five, fifteen]) = averages(XID) else {
                return false;
            };
            let wanted = format!("{} {} {} 1/2 ", text(one), text(five), text(fifteen));
            fs::read_to_string("/proc/loadavg").is_ok_and(|load| load.starts_with(&wanted))
        })?;
        eventually("sysinfo(2) says the same", || {
            let info = sysinfo();
            info.procs == 2
                && averages(XID).is_ok_and(|own| info.loads == own.map(|l| u64::from(l) << 5))
        })?;
        drop(sleeper);
        Ok(())
    })?;
    let text = fs::read_to_string("/proc/loadavg")?;
    ensure!(
        !text.starts_with("0.00 0.00 0.00 "),
        "the host's load: {text}"
    );
    busy.kill(Signal::KILL)?;
    busy.wait()?;
    Ok(())
}

/// A process in a memory cgroup with this limit.
fn limited(bytes: u64, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let top = Path::new("/sys/fs/cgroup");
    fs::write(top.join("cgroup.subtree_control"), "+memory")?;
    let group = top.join("illusion");
    let inner = group.join("inner");
    fs::create_dir_all(&group)?;
    fs::write(group.join("cgroup.subtree_control"), "+memory")?;
    fs::create_dir_all(&inner)?;
    fs::write(group.join("memory.max"), bytes.to_string())?;
    let done = isolated(|| {
        fs::write(inner.join("cgroup.procs"), "0")?;
        body()
    });
    fs::remove_dir(inner)?;
    fs::remove_dir(group)?;
    done
}

/// A value of those of /proc/meminfo.
pub fn kib(lines: &HashMap<String, String>, key: &str) -> Result<u64> {
    let value = lines.get(key).context(key.to_owned())?;
    Ok(value.trim_end_matches(" kB").parse()?)
}

const LIMIT: u64 = 64 << 20;

/// The limit may be that of a cgroup above.
fn memory() -> Result<()> {
    let machine = kib(&lines("/proc/meminfo")?, "MemTotal")?;
    ensure!(machine << 10 > LIMIT);
    limited(LIMIT, || {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        ensure!(kib(&lines("/proc/meminfo")?, "MemTotal")? == machine);
        abi::set_cflags(XID, abi::VXF_VIRT_MEM, abi::VXF_VIRT_MEM)?;
        let held = vec![1u8; 16 << 20];
        let found = lines("/proc/meminfo")?;
        ensure!(kib(&found, "MemTotal")? << 10 == LIMIT, "{found:?}");
        let free = kib(&found, "MemFree")? << 10;
        ensure!(free <= LIMIT - (16 << 20), "{free} free");
        let available = kib(&found, "MemAvailable")? << 10;
        ensure!(
            free <= available && available <= LIMIT,
            "{available} available"
        );
        ensure!(kib(&found, "Buffers")? == 0);
        ensure!(kib(&found, "Cached")? << 10 <= LIMIT);
        let info = sysinfo();
        let unit = u64::from(info.mem_unit);
        ensure!(info.totalram * unit == LIMIT, "{}", info.totalram);
        ensure!(
            info.freeram * unit <= LIMIT - (16 << 20),
            "{}",
            info.freeram
        );
        ensure!(held.iter().all(|&byte| byte == 1));
        drop(held);
        eventually("it is free again", || {
            sysinfo().freeram * u64::from(sysinfo().mem_unit) > free + (8 << 20)
        })
    })?;
    ensure!(kib(&lines("/proc/meminfo")?, "MemTotal")? == machine);
    Ok(())
}

fn memory_of_machine() -> Result<()> {
    let machine = kib(&lines("/proc/meminfo")?, "MemTotal")?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_VIRT_MEM)?;
        ensure!(kib(&lines("/proc/meminfo")?, "MemTotal")? == machine);
        Ok(())
    })
}

fn vinfo() -> Result<()> {
    ensure!(fs::read_to_string("/proc/self/vinfo")? == "XID:\t0\n");
    let guest = guest(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT, || {
        let _ = abi::set_cflags(XID, 0, abi::VXF_STATE_INIT | abi::VXF_STATE_SETUP);
        sleep_forever()
    })?;
    eventually("its init", || {
        abi::vx_info(XID).is_ok_and(|info| info.initpid == guest.id())
    })?;
    let status = lines(format!("/proc/virtual/{XID}/status"))?;
    let pid = guest.id();
    for path in [
        format!("/proc/{pid}/vinfo"),
        format!("/proc/{pid}/task/{pid}/vinfo"),
    ] {
        // The administrator sees it as a spectator, who sees all processes.
        isolated(|| {
            abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
            ensure!(fs::read_to_string("/proc/self/vinfo")? == "XID:\t1\n");
            let found = lines(&path)?;
            ensure!(found["XID"] == XID.to_string(), "{found:?}");
            for (key, other) in [("BCaps", "BCaps"), ("CCaps", "CCaps"), ("CFlags", "Flags")] {
                ensure!(found[key] == status[other], "{key}: {found:?} {status:?}");
            }
            ensure!(found["CIPid"] == pid.to_string(), "{found:?}");
            Ok(())
        })?;
    }
    end(guest)
}

fn vinfo_hidden() -> Result<()> {
    let seen = Gate::new()?;
    let child = spawn(|| {
        let done = (|| -> Result<()> {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            ensure!(lines("/proc/self/vinfo")?["XID"] == XID.to_string());
            abi::set_cflags(XID, abi::VXF_HIDE_VINFO, abi::VXF_HIDE_VINFO)?;
            let error = fs::read("/proc/self/vinfo")
                .err()
                .and_then(|e| e.raw_os_error());
            ensure!(error == Some(libc::ENOENT), "{error:?}");
            Ok(())
        })();
        if let Err(e) = &done {
            println!("# inside: {e:#}");
        }
        let _ = seen.open();
        if done.is_err() { 1 } else { sleep_forever() }
    })?;
    seen.pass()?;
    // From outside it is there; its parent sees the child.
    let outside = lines(format!("/proc/{}/vinfo", child.id()));
    child.kill(Signal::KILL)?;
    ensure!(
        child.wait()? == Status::Killed(libc::SIGKILL),
        "it failed inside"
    );
    ensure!(outside?["XID"] == XID.to_string());
    Ok(())
}
