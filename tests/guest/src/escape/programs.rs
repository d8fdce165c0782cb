// SPDX-License-Identifier: GPL-2.0
//! Programs that give whoever runs them more than they have: by their owner, by capabilities.

use super::entering::{OUTSIDE, OWN, shell, successful, tried_inside};
use super::victim::{self, Victim};
use super::{enter, xids};
use crate::harness::{Body, Test};
use crate::process::{Child, Gate, pipe, sleep_forever, spawn};
use crate::unified::become_user;
use anyhow::{Result, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{XattrFlags, setxattr};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use vserver_abi as abi;

/// A kind of program, run by somebody who is not root.
struct Kind {
    mode: u32,
    capabilities: bool,
    /// What it succeeds with towards a process of root's in its own context.
    own: &'static [&'static str],
}

macro_rules! programs {
    ($($name:literal, $mode:expr, $capabilities:expr, $own:expr;)*) => {
        &[$(Test {
            name: $name,
            variants: &["host", "other", "own"],
            body: &Kind { mode: $mode, capabilities: $capabilities, own: $own },
        }),*]
    };
}

const EVERYTHING: &[&str] = &{
    let mut names = [""; OUTSIDE.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = OUTSIDE[i].0;
        i += 1;
    }
    names
};

pub const TESTS: &[Test] = programs![
    "an ordinary program", 0o755, false, &["pidfd_open", "status"];
    "a program of root's that sets the user", 0o4755, false, EVERYTHING;
    "a program with capabilities", 0o755, true, EVERYTHING;
];

/// `struct vfs_cap_data`: all capabilities, permitted and effective from the beginning.
const ALL_CAPABILITIES: &[u8] = &[
    1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 1, 0, 0, 0, 0, 0, 0,
];

impl Body for Kind {
    fn run(&self, variant: &str) -> Result<String> {
        let (xid, other) = xids();
        let ready = Gate::new()?;
        let _first = spawn(|| {
            if enter(xid).is_err() || ready.open().is_err() {
                return 1;
            }
            sleep_forever()
        })?;
        ready.pass()?;
        let program = Program::new(self)?;
        let tried = |pid| tried_inside(xid, &program.0, become_user, pid);
        if variant == "own" {
            let (shell, _leash) = shell_inside(xid)?;
            let tried = tried(shell.id())?;
            ensure!(successful(&tried) == self.own, "{tried:?}");
            return Ok(String::new());
        }
        let victim = Victim::new((variant == "other").then_some(other))?;
        let tried = tried(u32::try_from(victim.pid())?)?;
        drop(victim);
        victim::sweep()?;
        let expected = OUTSIDE.map(|(name, errno)| (name.to_owned(), errno.raw_os_error()));
        ensure!(tried == expected, "{tried:?}");
        Ok(String::new())
    }
}

/// A copy of this program, which is removed in the end.
struct Program(PathBuf);

impl Program {
    fn new(kind: &Kind) -> Result<Self> {
        let program = Self(format!("/tmp/escape-program-{}", std::process::id()).into());
        fs::copy(OWN, &program.0)?;
        fs::set_permissions(&program.0, Permissions::from_mode(kind.mode))?;
        if kind.capabilities {
            let name = "security.capability";
            setxattr(&program.0, name, ALL_CAPABILITIES, XattrFlags::empty())?;
        }
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Root's, as long as nobody writes to the pipe. It has run a program: else it is only just inside.
fn shell_inside(xid: u32) -> Result<(Child, OwnedFd)> {
    let (mut says, said) = pipe()?;
    let (stays, leash) = pipe()?;
    let shell = spawn(|| {
        if abi::ctx_migrate(xid, 0).is_err() {
            return 1;
        }
        shell(stays, said)
    })?;
    says.read_exact(&mut [0])?;
    Ok((shell, leash))
}
