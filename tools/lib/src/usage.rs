// SPDX-License-Identifier: GPL-2.0
//! What contexts use, and their processes: for `top`, `ps` and `stat`.

use std::fs;
use std::path::Path;

use rustix::param::{clock_ticks_per_second, page_size};
use serde::Serialize;
use vserver_abi as abi;

use crate::cgroup::Memory;
use crate::context;
use crate::error::{Doing, Error, Result, Vserver};

/// A process, of whichever context.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// Its context; 0 is the host.
    pub xid: u32,
    /// Its user.
    pub uid: u32,
    /// What it does: R runs, S sleeps, D waits for a disk, Z has ended, T is stopped.
    pub state: char,
    /// Its threads.
    pub threads: u64,
    /// Its address space, bytes.
    pub virtual_bytes: u64,
    /// What of that is in memory, bytes.
    pub resident_bytes: u64,
    /// Its CPU time in user mode, milliseconds,
    pub user_msec: u64,
    /// and in the kernel.
    pub sys_msec: u64,
    /// Its command line, or its name in brackets.
    pub command: String,
}

/// What a context uses.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// Its id; 0 is the host.
    pub xid: u32,
    /// Its name.
    pub name: String,
    /// Its processes.
    pub processes: u64,
    /// Their address spaces, bytes.
    pub virtual_bytes: u64,
    /// What of them is in memory, bytes. What they share counts for each.
    pub resident_bytes: u64,
    /// What the context has of memory, if it has a cgroup that counts it.
    pub memory: Option<Memory>,
    /// The context's CPU time, milliseconds, of processes that have ended, too;
    pub cpu_msec: u64,
    /// that in user mode,
    pub user_msec: u64,
    /// and in the kernel.
    pub sys_msec: u64,
    /// The time that its processes were held, milliseconds.
    pub hold_msec: u64,
    /// The tokens in its bucket, if a limit acts.
    pub tokens: Option<i32>,
    /// Its CPU limit in percent of one CPU, if one acts.
    pub limit_percent: Option<f64>,
    /// Since when it has been there, milliseconds.
    pub uptime_msec: Option<u64>,
    /// Its state: running, setup, paused, empty.
    pub state: &'static str,
}

/// Makes this process a spectator, who sees the processes of all contexts. There is no way back.
pub fn become_spectator() -> Result<()> {
    Vserver(abi::ctx_migrate(abi::VX_XID_WATCH, 0)).doing(|| "become a spectator".into())
}

/// All processes that this process sees: all there are, if it is a spectator.
pub fn processes() -> Result<Vec<Process>> {
    let dir = Path::new("/proc");
    let failed = |e| Error::file("read", dir, e);
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(pid) = name.to_str().and_then(|n| n.parse().ok()) {
            // It may just have ended.
            all.extend(process(pid));
        }
    }
    all.sort_by_key(|p| p.pid);
    Ok(all)
}

fn process(pid: u32) -> Option<Process> {
    let dir = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(dir.join("stat")).ok()?;
    let xid = abi::task_xid(pid).ok()?;
    let mut process = parse(&stat, clock_ticks_per_second(), page_size() as u64)?;
    process.pid = pid;
    process.xid = xid;
    process.uid = fs::metadata(&dir)
        .map(|m| std::os::unix::fs::MetadataExt::uid(&m))
        .ok()?;
    let line = fs::read(dir.join("cmdline")).unwrap_or_default();
    if !line.is_empty() {
        process.command = String::from_utf8_lossy(&line)
            .trim_end_matches('\0')
            .replace(['\0', '\n'], " ");
    }
    Some(process)
}

/// What `/proc/<pid>/stat` says.
fn parse(stat: &str, ticks: u64, page: u64) -> Option<Process> {
    let (begin, rest) = stat.rsplit_once(')')?;
    let (pid, name) = begin.split_once('(')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    // The words are counted from the state, the third of all.
    let number = |n: usize| words.get(n - 3)?.parse::<u64>().ok();
    let msec = |n| number(n).map(|t| t.saturating_mul(1000) / ticks.max(1));
    Some(Process {
        pid: pid.trim().parse().ok()?,
        ppid: u32::try_from(number(4)?).ok()?,
        xid: 0,
        uid: 0,
        state: words.first()?.chars().next()?,
        threads: number(20)?,
        virtual_bytes: number(23)?,
        resident_bytes: number(24)?.saturating_mul(page),
        user_msec: msec(14)?,
        sys_msec: msec(15)?,
        command: format!("[{name}]"),
    })
}

/// What each context uses now, the host first. This process becomes a spectator.
pub fn look() -> Result<Vec<Usage>> {
    // Before anything else: a kernel without the module is named as elsewhere.
    context::list()?;
    become_spectator()?;
    usage(&processes()?)
}

/// What each context uses, the host first; the process is a spectator.
pub fn usage(processes: &[Process]) -> Result<Vec<Usage>> {
    let mut all = vec![host(processes)];
    for c in context::list()? {
        let cpus = context::show(c.xid).map(|d| (d.cpus, d.sched));
        let (cpus, sched) = cpus.unwrap_or_default();
        let own = processes.iter().filter(|p| p.xid == c.xid);
        let limit = c.cpu_limit.and_then(crate::cpu::Rate::percent);
        all.push(Usage {
            xid: c.xid,
            name: c.name,
            processes: own.clone().count() as u64,
            virtual_bytes: own.clone().map(|p| p.virtual_bytes).sum(),
            resident_bytes: own.map(|p| p.resident_bytes).sum(),
            memory: c.memory,
            cpu_msec: c.cpu_msec,
            user_msec: cpus.iter().map(|c| c.user_msec).sum(),
            sys_msec: cpus.iter().map(|c| c.sys_msec).sum(),
            hold_msec: c.hold_msec,
            tokens: sched.map(|s| s.tokens).filter(|_| limit.is_some()),
            limit_percent: limit,
            uptime_msec: abi::virt_stat(c.xid).ok().map(|s| s.uptime / 1_000_000),
            state: c.state,
        });
    }
    Ok(all)
}

/// The host's own, as far as its processes tell.
fn host(processes: &[Process]) -> Usage {
    let own = processes.iter().filter(|p| p.xid <= abi::VX_XID_WATCH);
    let (user, sys) = own.clone().fold((0, 0), |(user, sys), p| {
        (user + p.user_msec, sys + p.sys_msec)
    });
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let seconds = uptime.and_then(|t| t.split(' ').next()?.parse::<f64>().ok());
    Usage {
        xid: 0,
        name: "host".into(),
        processes: own.clone().count() as u64,
        virtual_bytes: own.clone().map(|p| p.virtual_bytes).sum(),
        resident_bytes: own.map(|p| p.resident_bytes).sum(),
        memory: None,
        cpu_msec: user + sys,
        user_msec: user,
        sys_msec: sys,
        hold_msec: 0,
        tokens: None,
        limit_percent: None,
        uptime_msec: seconds.map(|s| (s * 1000.0) as u64),
        state: "running",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_understood() {
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 8192000 \
                    500 184467";
        let p = parse(stat, 100, 4096).unwrap();
        assert_eq!((p.pid, p.ppid, p.state, p.threads), (17, 1, 'S', 3));
        assert_eq!((p.user_msec, p.sys_msec), (2500, 500));
        assert_eq!((p.virtual_bytes, p.resident_bytes), (8_192_000, 2_048_000));
        assert_eq!(p.command, "[a (b) c]");
        assert!(parse("17 (x", 100, 4096).is_none());
        assert!(parse("", 100, 4096).is_none());
    }

    #[test]
    fn the_host_has_what_no_context_has() {
        let p = |xid, user_msec| Process {
            xid,
            user_msec,
            ..parse(
                "1 (x) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 0 10 1 0",
                100,
                10,
            )
            .unwrap()
        };
        let usage = host(&[p(0, 5), p(1, 6), p(100, 7)]);
        assert_eq!((usage.processes, usage.user_msec), (2, 11));
        assert_eq!((usage.virtual_bytes, usage.resident_bytes), (20, 20));
    }
}
