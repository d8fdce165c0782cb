// SPDX-License-Identifier: GPL-2.0
//! /proc: listed, found, reached by what was opened before.

use super::calls::done;
use super::victim::Victim;
use super::{ALL, Found, rows};
use crate::harness::Test;
use anyhow::Result;
use rustix::fd::AsRawFd as _;
use rustix::io::Errno;
use std::fs;

/// What came of a look at a file: 1, or the error.
fn seen<T>(result: std::io::Result<T>) -> Result<Found> {
    Ok(match result {
        Ok(_) => Ok(1),
        Err(e) => Err(Errno::from_raw_os_error(
            e.raw_os_error().unwrap_or(libc::EIO),
        )),
    })
}

/// Whether a file has a line with the number of the process as a word.
fn names(file: &str, victim: &Victim) -> Result<Found> {
    let text = fs::read_to_string(file)?;
    let number = victim.pid().to_string();
    let found = text.split_whitespace().any(|word| word == number);
    Ok(Ok(found.into()))
}

/// Whether a list of System V objects has one of this id.
fn has_object(kind: &str, id: usize) -> Result<Found> {
    let text = fs::read_to_string(format!("/proc/sysvipc/{kind}"))?;
    let id = id.to_string();
    let found = text
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(id.as_str()));
    Ok(Ok(found.into()))
}

/// Whether a list of sockets has one that is bound to a port.
fn has_port(list: &str, port: u16) -> Result<Found> {
    let text = fs::read_to_string(format!("/proc/net/{list}"))?;
    let port = format!(":{port:04X}");
    let found = text.lines().any(|line| {
        let address = line.split_whitespace().nth(1);
        address.is_some_and(|address| address.ends_with(&port))
    });
    Ok(Ok(found.into()))
}

fn path(victim: &Victim, name: &str) -> String {
    format!("/proc/{}/{name}", victim.pid())
}

/// Opens a file below the directory that was opened before.
fn below(victim: &Victim, name: &std::ffi::CStr) -> Result<Found> {
    let dir = victim.dir.as_raw_fd() as usize;
    Ok(done(
        libc::SYS_openat,
        &[dir, name.as_ptr().addr(), libc::O_CLOEXEC as usize],
    ))
}

pub const ROWS: &[Test] = rows![ALL;
    "/proc lists it", Ok(0), |v| {
        let number = v.pid().to_string();
        let mut found = false;
        for entry in fs::read_dir("/proc")? {
            found |= entry?.file_name().to_str() == Some(number.as_str());
        }
        Ok(Ok(found.into()))
    };
    "/proc/PID", Err(Errno::NOENT), |v| seen(fs::metadata(path(v, "")));
    "/proc/PID/status", Err(Errno::NOENT), |v| seen(fs::read(path(v, "status")));
    "/proc/PID/environ", Err(Errno::NOENT), |v| seen(fs::read(path(v, "environ")));
    "/proc/PID/maps", Err(Errno::NOENT), |v| seen(fs::read(path(v, "maps")));
    "/proc/PID/mem", Err(Errno::NOENT), |v| seen(fs::File::open(path(v, "mem")));
    "/proc/PID/pagemap", Err(Errno::NOENT), |v| seen(fs::File::open(path(v, "pagemap")));
    "/proc/PID/fd", Err(Errno::NOENT), |v| seen(fs::read_dir(path(v, "fd")));
    "/proc/PID/root", Err(Errno::NOENT), |v| seen(fs::read_dir(path(v, "root/")));
    "/proc/PID/cwd", Err(Errno::NOENT), |v| seen(fs::read_link(path(v, "cwd")));
    "/proc/PID/exe", Err(Errno::NOENT), |v| seen(fs::read_link(path(v, "exe")));
    "/proc/PID/ns/mnt", Err(Errno::NOENT), |v| seen(fs::File::open(path(v, "ns/mnt")));
    "/proc/PID/task/PID/comm", Err(Errno::NOENT), |v| {
        seen(fs::read(path(v, &format!("task/{}/comm", v.pid()))))
    };
    "/proc/PID/oom_score_adj", Err(Errno::NOENT), |v| {
        seen(fs::write(path(v, "oom_score_adj"), "5"))
    };
    "an old directory, status", Err(Errno::PERM), |v| below(v, c"status");
    "an old directory, task", Err(Errno::PERM), |v| below(v, c"task");
    "an old directory, itself", Err(Errno::NOENT), |v| seen(v.dir.metadata());
    "an old directory, to go there", Err(Errno::PERM), |v| {
        Ok(done(libc::SYS_fchdir, &[v.dir.as_raw_fd() as usize]))
    };
    "/proc/locks", Ok(0), |v| names("/proc/locks", v);
    "/proc/net/tcp", Ok(0), |v| has_port("tcp", v.tcp());
    "/proc/net/udp", Ok(0), |v| has_port("udp", v.udp());
    "/proc/net/tcp6", Ok(0), |v| has_port("tcp6", v.tcp6());
    "/proc/net/udp6", Ok(0), |v| has_port("udp6", v.udp6());
    "cgroup.procs", Ok(0), |v| names("/sys/fs/cgroup/cgroup.procs", v);
    "cgroup.threads", Ok(0), |v| names("/sys/fs/cgroup/cgroup.threads", v);
    "/proc/sysvipc/shm", Ok(0), |v| names("/proc/sysvipc/shm", v);
    "/proc/sysvipc/sem", Ok(0), |v| has_object("sem", v.sem());
    "/proc/sysvipc/msg", Ok(0), |v| has_object("msg", v.msg());
];
