// SPDX-License-Identifier: GPL-2.0
//! The most memory that a command takes.
//!
//! A process keeps the peak of what it was before it called exec(2) in its `ru_maxrss`, and that is
//! what its parent has. So a small process of its own starts the command: this program anew, as
//! `guest-bench peak ROOT COMMAND...`.

use anyhow::{Context as _, Result, ensure};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command in a root directory, whose words are to be added; [`of`] runs it.
pub fn command(root: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("peak").arg(root);
    command
}

/// Runs it; gives the most memory that it or a process of its had, in bytes.
pub fn of(command: &mut Command) -> Result<u64> {
    let output = command.stderr(Stdio::inherit()).output().context("spawn")?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    said.trim()
        .parse()
        .with_context(|| format!("{command:?}: {said}"))
}

/// Runs a command in a root directory, and prints the most memory that it or a process of its had.
pub fn measure(root: &str, program: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null());
    let root = PathBuf::from(root);
    // SAFETY: nothing but system calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            rustix::process::chroot(&root)?;
            Ok(rustix::process::chdir("/")?)
        });
    }
    let child = command.spawn().context("spawn")?;
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: zeroes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: valid pointers; the child is ours and nobody else waits for it.
    let got = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    ensure!(got == pid, "wait4");
    ensure!(status == 0, "{command:?}: status {status:#x}");
    println!("{}", u64::try_from(usage.ru_maxrss)? * 1024);
    Ok(())
}
