// SPDX-License-Identifier: GPL-2.0
//! Who enters a context has with it what it had outside, until it runs a program.

use super::calls::{call, done};
use super::{Found, enter, xids};
use crate::harness::Test;
use crate::process::{Gate, pipe, sleep_forever, spawn};
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use vserver_abi as abi;

pub const TESTS: &[Test] = tests![on_its_way_in];

const OWN: &str = "/proc/self/exe";
const WAYS: usize = 9;

/// Ways to get at what a process has, and whether one can.
fn ways(pid: usize) -> [(&'static str, Found); WAYS] {
    const PTRACE_SEIZE: usize = 0x4206;
    let own = std::process::id() as usize;
    let seen = |done: std::io::Result<()>| match done {
        Ok(()) => Ok(1),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    };
    let open = |name: &str| seen(File::open(format!("/proc/{pid}/{name}")).map(drop));
    let link = |name: &str| seen(fs::read_link(format!("/proc/{pid}/{name}")).map(drop));
    let pidfd = call(libc::SYS_pidfd_open, &[pid, 0]).unwrap_or(-1) as usize;
    let (mut head, mut len) = (0usize, 0usize);
    let robust = [pid, (&raw mut head).addr(), (&raw mut len).addr()];
    [
        ("mem", open("mem")),
        ("environ", open("environ")),
        ("maps", open("maps")),
        ("root", link("root")),
        ("fd", link("fd/0")),
        ("kcmp", done(libc::SYS_kcmp, &[own, pid, 1, 0, 0])),
        ("pidfd_getfd", done(libc::SYS_pidfd_getfd, &[pidfd, 0, 0])),
        ("get_robust_list", done(libc::SYS_get_robust_list, &robust)),
        ("ptrace", done(libc::SYS_ptrace, &[PTRACE_SEIZE, pid, 0, 0])),
    ]
}

/// Tries them as a program of its own, and prints what came of each.
pub fn probe(pid: &str) -> ExitCode {
    for (name, found) in ways(pid.parse().unwrap_or_default()) {
        println!("{name} {}", found.is_ok());
    }
    ExitCode::SUCCESS
}

/// Which ways succeed for a program inside.
fn found_inside(xid: u32, pid: u32) -> Result<Vec<String>> {
    let (mut read, write) = pipe()?;
    let child = spawn(|| {
        if abi::ctx_migrate(xid, 0).is_err() {
            return 1;
        }
        let error = Command::new(OWN)
            .args(["--probe", &pid.to_string()])
            .stdout(write)
            .exec();
        println!("# {error}");
        1
    })?;
    let mut text = String::new();
    read.read_to_string(&mut text)?;
    child.wait()?;
    ensure!(text.lines().count() == WAYS, "{text}");
    let found = text.lines().filter_map(|line| line.strip_suffix(" true"));
    Ok(found.map(str::to_owned).collect())
}

fn on_its_way_in() -> Result<()> {
    let xid = xids().0;
    let (ready, entered, run) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let _first = spawn(|| {
        if enter(xid).is_err() || ready.open().is_err() {
            return 1;
        }
        sleep_forever()
    })?;
    ready.pass()?;
    let (mut says, said) = pipe()?;
    let (stays, _open) = pipe()?;
    let comes = spawn(|| {
        if abi::ctx_migrate(xid, 0).is_err() || entered.open().is_err() || run.pass().is_err() {
            return 1;
        }
        let error = Command::new("/bin/busybox")
            .args(["sh", "-c", "echo; read line"])
            .stdin(stays)
            .stdout(said)
            .exec();
        println!("# {error}");
        1
    })?;
    entered.pass()?;
    let found = found_inside(xid, comes.id()).context("on its way")?;
    ensure!(found.is_empty(), "on its way: {found:?}");
    // Then it is one of them.
    run.open()?;
    says.read_exact(&mut [0])?;
    let found = found_inside(xid, comes.id())?;
    ensure!(found.len() == WAYS, "later: {found:?}");
    Ok(())
}
