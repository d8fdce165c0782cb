// SPDX-License-Identifier: GPL-2.0
//! Child processes that do what a closure says, and pipes to keep step with them.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::time::{Duration, Instant};
use vserver_abi::{
    self as abi,
    process::{Fork, fork},
};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Exited(i32),
    Killed(i32),
}

/// A child process; killed if it is dropped before it was waited for.
pub struct Child {
    pid: Pid,
    waited: bool,
}

/// Starts a process that does what `body` says and exits with what it returns.
pub fn spawn(body: impl FnOnce() -> i32) -> Result<Child> {
    match fork().context("fork")? {
        Fork::Parent(pid) => Ok(Child { pid, waited: false }),
        Fork::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            std::process::exit(code)
        }
    }
}

/// Runs `body` in a process of its own and passes on what it fails with.
pub fn isolated(body: impl FnOnce() -> Result<()>) -> Result<()> {
    let (mut read, write) = pipe()?;
    let child = spawn(|| match body() {
        Ok(()) => 0,
        Err(e) => {
            let _ = io::write(&write, format!("{e:#}").as_bytes());
            1
        }
    })?;
    drop(write);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut read, &mut text)?;
    match child.wait()? {
        Status::Exited(0) => Ok(()),
        Status::Exited(1) if !text.is_empty() => bail!("{text}"),
        status => bail!("in the child: {status:?} {text}"),
    }
}

impl Child {
    /// A child that was made in another way than [`spawn`].
    pub fn of(pid: Pid) -> Self {
        Self { pid, waited: false }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    pub fn kill(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).context("kill")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Status> {
        self.waited = true;
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                Err(e) => bail!("waitpid: {e}"),
                Ok(None) => {}
                Ok(Some((_, status))) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Status::Exited(code),
                        (_, Some(signal)) => Status::Killed(signal),
                        _ => continue,
                    });
                }
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

/// From now on `signal` does nothing but interrupt calls: for good, or with `SA_RESTART` in `flags`
/// until they are begun anew.
pub fn handle(signal: Signal, flags: libc::c_int) -> Result<()> {
    extern "C" fn handler(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = handler;
    // SAFETY: all zeroes is a value of the structure: no other signal blocked.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = flags;
    // SAFETY: the handler does nothing.
    let ret = unsafe { libc::sigaction(signal.as_raw(), &action, std::ptr::null_mut()) };
    ensure!(ret == 0, "sigaction");
    Ok(())
}

/// The letter of a process's state.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A pipe: its reading end as a file, its writing end.
pub fn pipe() -> Result<(std::fs::File, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe().context("pipe")?;
    Ok((read.into(), write))
}

/// One process tells another that it is so far.
pub struct Gate {
    read: OwnedFd,
    write: OwnedFd,
}

impl Gate {
    pub fn new() -> Result<Self> {
        let (read, write) = rustix::pipe::pipe().context("pipe")?;
        Ok(Self { read, write })
    }

    pub fn open(&self) -> Result<()> {
        io::write(&self.write, b"x").context("gate")?;
        Ok(())
    }

    pub fn pass(&self) -> Result<()> {
        let mut byte = [0];
        io::read(&self.read, &mut byte).context("gate")?;
        Ok(())
    }
}

/// How a child ended, and what it said in a pipe.
///
/// Not to the pipe's end: what the child left running may hold it open.
pub fn last_words(child: Child, mut pipe: std::fs::File) -> Result<(Status, String)> {
    let status = child.wait()?;
    let mut text = vec![0; usize::try_from(io::ioctl_fionread(&pipe)?)?];
    std::io::Read::read_exact(&mut pipe, &mut text)?;
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

/// How many times as long everything may take on this machine.
pub fn patience() -> u32 {
    let patience = std::env::var("PATIENCE").ok().and_then(|p| p.parse().ok());
    patience.unwrap_or(1)
}

/// Kills the process after that many seconds, or a multiple of them in a machine that is known to be
/// slow; 0 is never.
pub fn alarm(seconds: u32) {
    let seconds = seconds * patience();
    // SAFETY: no handler is installed: the signal kills the process.
    unsafe { libc::alarm(seconds) };
}

/// Keeps this process and its children on a processor: an emulated machine is quicker so, if they
/// wait for each other anyway.
pub fn stay_on_one_cpu() -> Result<()> {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(0);
    rustix::thread::sched_setaffinity(None, &cpus).context("sched_setaffinity")
}

/// Sleeps until somebody kills the process.
pub fn sleep_forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Uses CPU time until somebody kills the process.
pub fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Waits until the context is no more, which is a little later than its last process.
pub fn until_ended(xid: u32) -> Result<()> {
    eventually("the end", || abi::ctx_stat(xid) == Err(Errno::SRCH))
}

/// Waits until `done` says so; fails after half a minute.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > Duration::from_secs(30) * patience() {
            bail!("never: {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
