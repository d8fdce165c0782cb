// SPDX-License-Identifier: GPL-2.0
//! Stopping guests: their init is told, then all their processes, then these are killed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::exit;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::Serialize;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

use super::detach::open_log;
use super::{Enter, Lock, Program, enter, status, watch};
use crate::cgroup;
use crate::config::{Guest, Store, Style, store::check_name};
use crate::context;
use crate::error::{Doing, Error, Result, Vserver};
use crate::quota;
use crate::signal;

/// How long killed processes may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// How often it is looked whether a context is gone: at first, and at last.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// How a guest was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// It did not run.
    NotRunning,
    /// Its init ended it.
    ByInit,
    /// Its processes ended at SIGTERM.
    ByTerm,
    /// Its processes were killed.
    ByKill,
}

/// What tells a guest's init to end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// A signal for it.
    Signal(i32),
    /// A command that is run inside.
    Command(Vec<String>),
}

/// Stops a guest, or a context that somebody ran by hand, by its name or id. The process must be
/// sealed (see [`super::seal`]) and have one thread.
///
/// A mistake in its file, or an init that can't be told, does not keep it up: `warn` is told.
pub fn stop(store: &Store, who: &str, warn: &mut dyn FnMut(&str)) -> Result<Stopped> {
    if check_name(who).is_ok() {
        return stop_guest(store, who, warn);
    }
    let xid = context::resolve(who)?;
    if xid <= abi::VX_XID_WATCH {
        return Err(Error::Invalid(format!(
            "{who}: not a context to be stopped"
        )));
    }
    match status::guest_of(store, xid)? {
        Some(name) if status::context_of(&name)? == Some(xid) => stop_guest(store, &name, warn),
        _ => stop_context(store, who, xid, &Guest::default(), warn),
    }
}

fn stop_guest(store: &Store, name: &str, warn: &mut dyn FnMut(&str)) -> Result<Stopped> {
    let _lock = Lock::take(store, name)?;
    let (guest, mistake) = match store.load(name) {
        Ok(guest) => (Some(guest), None),
        // A context that somebody ran by hand.
        Err(Error::NoGuest(_)) => (None, None),
        Err(e) => (Some(Guest::default()), Some(e)),
    };
    if guest.is_some() {
        watch::keep_down(store, name)?;
    }
    let Some(xid) = status::context_of(name)? else {
        return match guest {
            Some(_) => Ok(Stopped::NotRunning),
            None => Err(Error::NoGuest(name.to_owned())),
        };
    };
    if let Some(e) = mistake {
        warn(&format!("{e}: {name} is stopped as if its file were empty"));
    }
    let guest = guest.unwrap_or_default();
    let how = stop_context(store, name, xid, &guest, warn)?;
    if let Err(e) = quota::save_locked(store, name, &guest) {
        warn(&format!(
            "{e}: the quotas of its users are not written down: vserver disk save {name}"
        ));
    }
    Ok(how)
}

fn stop_context(
    store: &Store,
    name: &str,
    xid: u32,
    guest: &Guest,
    warn: &mut dyn FnMut(&str),
) -> Result<Stopped> {
    let how = end_in_steps(store, name, xid, guest, warn)?;
    cgroup::remove(xid);
    Ok(how)
}

fn end_in_steps(
    store: &Store,
    name: &str,
    xid: u32,
    guest: &Guest,
    warn: &mut dyn FnMut(&str),
) -> Result<Stopped> {
    release(xid)?;
    match tell(store, name, xid, guest, warn) {
        Ok(()) if gone_within(xid, guest.stop_timeout())? => return Ok(Stopped::ByInit),
        Ok(()) => {}
        Err(e) => warn(&format!("{e}: its init is not told that {name} is stopped")),
    }
    signal_all(xid, "TERM")?;
    if gone_within(xid, guest.kill_after())? {
        return Ok(Stopped::ByTerm);
    }
    end(xid)?;
    Ok(Stopped::ByKill)
}

/// Ends a context at once, whatever is in it.
pub(super) fn end(xid: u32) -> Result<()> {
    release(xid)?;
    signal_all(xid, "KILL")?;
    match gone_within(xid, AFTER_KILL)? {
        true => Ok(()),
        false => Err(Error::Busy(format!(
            "context {xid} is still there after SIGKILL: a process of it hangs in the kernel; \
             see vserver ps"
        ))),
    }
}

/// Lets it end with its last process, and its processes run.
fn release(xid: u32) -> Result<()> {
    let flags = abi::VXF_PERSISTENT | abi::VXF_SCHED_PAUSE;
    ended_is_fine(abi::set_cflags(xid, 0, flags))
        .doing(|| format!("change the flags of context {xid}"))
}

fn signal_all(xid: u32, name: &str) -> Result<()> {
    let number = signal::parse(name)?;
    ended_is_fine(abi::ctx_kill(xid, 0, number))
        .doing(|| format!("send SIG{name} to all in context {xid}"))
}

fn ended_is_fine(answer: abi::Result<()>) -> Vserver<()> {
    Vserver(match answer {
        Err(Errno::SRCH) => Ok(()),
        answer => answer,
    })
}

/// What tells the guest's init to end.
fn way(guest: &Guest) -> Result<Way> {
    if !guest.stop.command.is_empty() {
        return Ok(Way::Command(guest.stop.command.clone()));
    }
    if let Some(signal) = &guest.stop.signal {
        return Ok(Way::Signal(signal.0));
    }
    Ok(match guest.init.style {
        Style::Sysv => Way::Command(["/sbin/telinit", "0"].map(str::to_owned).into()),
        Style::Systemd => Way::Signal(signal::parse("RTMIN+4")?),
        Style::Small | Style::Command => Way::Signal(signal::parse("TERM")?),
    })
}

/// Tells the guest's init to end.
fn tell(
    store: &Store,
    name: &str,
    xid: u32,
    guest: &Guest,
    warn: &mut dyn FnMut(&str),
) -> Result<()> {
    match way(guest)? {
        // To the init
        Way::Signal(signal) => ended_is_fine(abi::ctx_kill(xid, 1, signal))
            .doing(|| format!("send signal {signal} to the init of context {xid}")),
        Way::Command(words) => {
            let null = Path::new("/dev/null");
            let log = open_log(&store.log(name, guest)).or_else(|e| {
                warn(&format!("{e}: what {} says is lost", words.join(" ")));
                open_log(null)
            })?;
            let input = File::open(null).map_err(|e| Error::file("open", null, e))?;
            run_inside(name, xid, words, &input, log)
        }
    }
}

/// Runs a command in the guest and does not wait for it. What it says goes to the log.
fn run_inside(name: &str, xid: u32, words: Vec<String>, input: &File, mut log: File) -> Result<()> {
    match fork().doing(|| format!("run {} in {name}", words.join(" ")))? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => {
            let standard = dup2_stdin(input)
                .and_then(|()| dup2_stdout(&log))
                .and_then(|()| dup2_stderr(&log));
            let program = Program {
                argv: words.into_iter().map(Into::into).collect(),
                env: Vec::new(),
                workdir: None,
            };
            let what = Enter {
                xid,
                root: None,
                caps: None,
            };
            let error = match standard.doing(|| "leave the terminal".into()) {
                Ok(()) => enter(&what, &program),
                Err(e) => e,
            };
            // It is stopped by signals then, in time.
            let _ = writeln!(log, "vserver: stop {name}: {error}");
            exit(1)
        }
    }
}

/// Waits until a context is gone, but no longer than this.
fn gone_within(xid: u32, limit: Duration) -> Result<bool> {
    let start = Instant::now();
    let [mut pause, last] = LOOK;
    while status::exists(xid)? {
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        sleep(pause.min(left));
        pause = last.min(pause * 2);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    #[test]
    fn each_init_is_told_in_its_way() {
        let way = |text: &str| way(&read::parse(text, Path::new("w")).unwrap()).unwrap();
        assert_eq!(way(""), Way::Signal(15));
        assert_eq!(way("[init]\nstyle = 'systemd'"), Way::Signal(38));
        let telinit = Way::Command(vec!["/sbin/telinit".into(), "0".into()]);
        assert_eq!(way("[init]\nstyle = 'sysv'"), telinit);
        assert_eq!(way("[stop]\nsignal = 'INT'"), Way::Signal(2));
        let own = way("[init]\nstyle = 'sysv'\n[stop]\nsignal = 'INT'\ncommand = ['/x']");
        assert_eq!(own, Way::Command(vec!["/x".into()]));
    }
}
