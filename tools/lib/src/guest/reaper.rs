// SPDX-License-Identifier: GPL-2.0
//! A small init: it reaps orphans, hands on signals, and ends with the last process.

use std::ffi::OsString;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::signal::exit_status;

/// The name under which the command is this init.
pub const NAME: &str = "vserver-init";

/// What asks an init to end the system when power fails.
const SIGPWR: i32 = Signal::POWER.as_raw();
/// What a process that was told to end is said to have ended with.
const ENDED: i32 = 0;

/// The init, whose only argument is the number of the command's process that is its child already,
/// if there is one. Returns the status to end with.
pub fn reaper(mut args: impl Iterator<Item = OsString>) -> io::Result<i32> {
    // It has the name of a descriptor otherwise.
    rustix::thread::set_name(c"vserver-init")?;
    let first = args.next().and_then(|text| text.to_str()?.parse().ok());
    let mut init = Reaper {
        command: first.and_then(Pid::from_raw),
        status: ENDED,
        to_end: false,
    };
    let all = [
        SIGCHLD, SIGHUP, SIGINT, SIGPWR, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    ];
    let mut signals = Signals::new(all)?;
    // A child may have ended before there was a handler.
    let idle = init.command.is_none();
    if init.reap()? && !idle {
        return Ok(init.status);
    }
    for signal in signals.forever() {
        if signal != SIGCHLD {
            init.hand_on(signal);
        }
        if init.reap()? && (!idle || init.to_end) {
            return Ok(init.status);
        }
    }
    Ok(init.status)
}

struct Reaper {
    /// The command, until it has ended.
    command: Option<Pid>,
    /// What it ended with.
    status: i32,
    /// It was told to end.
    to_end: bool,
}

impl Reaper {
    /// Hands a signal on to the command; when that has ended, all others are told to end.
    fn hand_on(&mut self, signal: i32) {
        let end = [SIGTERM, SIGINT, SIGPWR].contains(&signal);
        self.to_end |= end;
        match self.command {
            Some(pid) => {
                let signal = if signal == SIGPWR { SIGTERM } else { signal };
                if let Some(signal) = Signal::from_named_raw(signal) {
                    // It may just have ended.
                    let _ = kill_process(pid, signal);
                }
            }
            None if end => tell_all(),
            None => {}
        }
    }

    /// Takes the status of those that have ended; says whether there is no other child.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.command => {
                    self.command = None;
                    self.status = exit_status(status.as_raw());
                    if self.to_end {
                        tell_all();
                    }
                }
                Ok(Some((_, WaitStatus { .. }))) => {}
                Ok(None) => return Ok(false),
                Err(Errno::CHILD) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Tells all other processes of the context to end.
fn tell_all() {
    // There may be none.
    let _ = rustix::process::kill_process_group(Pid::INIT, Signal::TERM);
}
