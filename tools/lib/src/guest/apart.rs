// SPDX-License-Identifier: GPL-2.0
//! A context whose end this process waits for, to clear away what it was made for.

use std::fs::File;
use std::io::{Read, Write};
use std::process::exit;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, getppid, kill_process, waitpid};
use rustix::process::{getpid, set_parent_process_death_signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

use super::{NewContext, Program, run, stop};
use crate::cgroup;
use crate::error::{Doing, Error, Result, Vserver};
use crate::signal::exit_status;

/// A child process that is to run a program in a new context. It waits for [`Apart::run`], so that
/// this process can have more than one thread by then, and ends with this one.
#[derive(Debug)]
pub struct Apart {
    pid: Pid,
    /// What it waits for.
    go: File,
    /// By which it tells the context's id.
    told: File,
    xid: Option<u32>,
}

impl Apart {
    /// Makes the process; this one must be sealed (see [`super::seal`]) and have one thread. If the
    /// program can't be run, `failed` says so there, and with which status to end.
    pub fn new(
        new: &NewContext,
        program: &Program,
        failed: impl FnOnce(&Error) -> i32,
    ) -> Result<Self> {
        // Before there is anything to clear away.
        Vserver(abi::get_version()).doing(|| "create a context".into())?;
        let doing = || "start a process".to_owned();
        let (waits, go) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
        let (told, tells) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
        let parent = getpid();
        match fork().doing(doing)? {
            Fork::Parent(pid) => Ok(Self {
                pid,
                go: go.into(),
                told: told.into(),
                xid: None,
            }),
            Fork::Child => {
                drop((go, told));
                let goes = ends_with(parent) && is_let(&mut File::from(waits));
                if !goes {
                    exit(1);
                }
                let mut tells = File::from(tells);
                exit(failed(&run(new, program, |xid| {
                    tells.write_all(&xid.to_le_bytes()).doing(doing)
                })))
            }
        }
    }

    /// Lets it run, and waits for the end of the program; returns the status it ends with. Signals
    /// that are to end this process are the program's.
    pub fn run(&mut self) -> Result<i32> {
        let doing = || "wait for the command".to_owned();
        // Those of a terminal it gets itself.
        let all = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let mut signals = Signals::new(all).doing(doing)?;
        self.go.write_all(b"!").doing(doing)?;
        let mut xid = [0; 4];
        // One that can't be made has none.
        if self.told.read_exact(&mut xid).is_ok() {
            self.xid = Some(u32::from_le_bytes(xid));
        }
        loop {
            // It may have ended before anybody listened.
            if let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG).doing(doing)? {
                return Ok(exit_status(status.as_raw()));
            }
            for signal in signals.wait() {
                // The others are for who has a terminal, or nobody.
                let handed_on = match signal {
                    SIGHUP => Signal::HUP,
                    SIGTERM => Signal::TERM,
                    _ => continue,
                };
                // It may just have ended.
                let _ = kill_process(self.pid, handed_on);
            }
        }
    }

    /// Waits until nothing is left of the context, which the program's end is the end of.
    pub fn clear(&self) -> Result<()> {
        if let Some(xid) = self.xid {
            stop::end(xid)?;
            cgroup::remove(xid);
        }
        Ok(())
    }
}

/// Has the kernel kill this process when its parent dies; says whether that is still there.
fn ends_with(parent: Pid) -> bool {
    let asked = set_parent_process_death_signal(Some(Signal::KILL));
    asked.is_ok() && getppid() == Some(parent)
}

/// Waits for the word of the parent, if that does not end before.
fn is_let(waits: &mut File) -> bool {
    waits.read_exact(&mut [0]).is_ok()
}
