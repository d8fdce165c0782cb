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
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use vserver_abi as abi;

pub const TESTS: &[Test] = tests![on_its_way_in];

pub const OWN: &str = "/proc/self/exe";

/// What comes of each of the [`ways`] if the process is outside.
pub const OUTSIDE: [(&str, Errno); 12] = [
    ("pidfd_open", Errno::SRCH),
    ("status", Errno::NOENT),
    ("kill", Errno::SRCH),
    ("mem", Errno::NOENT),
    ("environ", Errno::NOENT),
    ("maps", Errno::NOENT),
    ("root", Errno::NOENT),
    ("fd", Errno::NOENT),
    ("kcmp", Errno::SRCH),
    ("pidfd_getfd", Errno::BADF),
    ("get_robust_list", Errno::SRCH),
    ("ptrace", Errno::SRCH),
];
const WAYS: usize = OUTSIDE.len();

/// So many of them say only that there is a process; the last of these signals it.
const SEEN: usize = 3;

/// Ways to see and signal a process and to get at what it has, and what comes of each.
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
    // A signal that nobody minds.
    let signal = libc::SIGURG as usize;
    [
        ("pidfd_open", done(libc::SYS_pidfd_open, &[pid, 0])),
        ("status", open("status")),
        ("kill", done(libc::SYS_kill, &[pid, signal])),
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

/// Tries them as a program of its own, and prints the error of each: 0 is none.
pub fn probe(pid: &str) -> ExitCode {
    for (name, found) in ways(pid.parse().unwrap_or_default()) {
        println!("{name} {}", found.map_or_else(Errno::raw_os_error, |_| 0));
    }
    ExitCode::SUCCESS
}

/// What comes of each way for a program that is started inside after `before`.
pub fn tried_inside(
    xid: u32,
    program: &Path,
    before: fn() -> Result<()>,
    pid: u32,
) -> Result<Vec<(String, i32)>> {
    let (mut read, write) = pipe()?;
    let child = spawn(|| {
        if let Err(e) = abi::ctx_migrate(xid, 0)
            .context("ctx_migrate")
            .and_then(|_| before())
        {
            println!("# {e:#}");
            return 1;
        }
        let error = Command::new(program)
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
    text.lines()
        .map(|line| {
            let (name, error) = line.split_once(' ').context(text.clone())?;
            Ok((name.to_owned(), error.parse()?))
        })
        .collect()
}

/// Those that succeed.
pub fn successful(tried: &[(String, i32)]) -> Vec<&str> {
    let found = tried.iter().filter(|(_, error)| *error == 0);
    found.map(|(name, _)| name.as_str()).collect()
}

/// Becomes a shell that says when it is there and stays until nobody can write to its input any more.
pub fn shell(input: impl Into<Stdio>, output: impl Into<Stdio>) -> i32 {
    let error = Command::new("/bin/busybox")
        .args(["sh", "-c", "echo; read line"])
        .stdin(input)
        .stdout(output)
        .exec();
    println!("# {error}");
    1
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
        shell(stays, said)
    })?;
    entered.pass()?;
    let tried = || tried_inside(xid, Path::new(OWN), || Ok(()), comes.id());
    let tried_now = tried().context("on its way")?;
    let expected: Vec<_> = OUTSIDE.iter().take(SEEN).map(|(name, _)| *name).collect();
    let found = successful(&tried_now);
    ensure!(found == expected, "on its way: {found:?}");
    // Then it is one of them.
    run.open()?;
    says.read_exact(&mut [0])?;
    let tried_later = tried()?;
    let found = successful(&tried_later);
    ensure!(found.len() == WAYS, "later: {found:?}");
    Ok(())
}
