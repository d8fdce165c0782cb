// SPDX-License-Identifier: GPL-2.0
//! `vkill`, `vwait`: signals to the processes of a context, and their end.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vserver::context::{self, Target};
use vserver::error::{Error, Result};
use vserver::signal;

use super::wait_for;
use crate::output::line;

/// Send a signal to processes of a context
#[derive(Debug, Parser)]
#[command(
    name = "vkill",
    version,
    after_help = "Examples:\n  vkill --xid web -s KILL\n  vkill --xid web -s HUP -- 1 3415\n  vkill 3415"
)]
pub(super) struct Kill {
    /// The context's id or name [default: of each process its own]
    #[arg(long, short = 'c', value_name = "XID|NAME")]
    xid: Option<String>,
    /// The signal
    #[arg(short, default_value = "TERM", value_parser = signal::parse)]
    pub(super) s: i32,
    /// The processes; with --xid, 1 is the context's init [default: all]
    #[arg(value_name = "PID", required_unless_present = "xid")]
    pub(super) pid: Vec<i32>,
}

pub(super) fn kill(args: &Kill) -> anyhow::Result<ExitCode> {
    let given = args.xid.as_ref().map(|xid| context::resolve(xid));
    let given = given.transpose()?;
    let all = given.filter(|_| args.pid.is_empty());
    if let Some(xid) = all {
        context::kill(xid, Target::All, args.s)?;
    }
    let mut code = ExitCode::SUCCESS;
    for pid in &args.pid {
        let done = match given {
            Some(xid) => context::kill(xid, target(*pid), args.s),
            None => kill_one(*pid, args.s),
        };
        if let Err(e) = done {
            eprintln!("vserver: {e}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn target(pid: i32) -> Target {
    match pid {
        1 => Target::Init,
        0 => Target::All,
        pid => Target::Pid(pid),
    }
}

/// Sends a signal to a process in whichever context it is.
fn kill_one(pid: i32, signal: i32) -> Result<()> {
    let no_number = || Error::Invalid(format!("{pid}: not a process; name a context by --xid"));
    let process = u32::try_from(pid).ok().filter(|pid| *pid > 0);
    match context::of_process(process.ok_or_else(no_number)?)? {
        0 => Err(Error::Invalid(format!(
            "{pid}: is a process of the host; kill(1) reaches it"
        ))),
        xid => context::kill(xid, Target::Pid(pid), signal),
    }
}

/// Wait until a context is gone
#[derive(Debug, Parser)]
#[command(
    name = "vwait",
    version,
    after_help = "\
Example:
  vwait --timeout 10 --terminate web

Exit status: 0 if the context has ended, 1 if it was killed, 2 if it took too long, 127 if it
could not be waited for."
)]
pub(super) struct Wait {
    /// Wait no longer than so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Kill all its processes then
    #[arg(long)]
    terminate: bool,
    /// Write to this descriptor what came of it: FINISHED and the exit status, KILLED, TIMEOUT, or
    /// ERROR and the number
    #[arg(long, value_name = "FD")]
    status_fd: Option<u32>,
    /// The context's id or name
    #[arg(value_name = "XID|NAME")]
    xid: String,
}

/// What came of a wait.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The context has ended, with this exit status.
    Finished(i32),
    /// Its processes were killed.
    Killed,
    /// It is still there.
    Timeout,
    /// It could not be waited for: the number of the error.
    Failed(i32),
}

impl Outcome {
    /// In words.
    fn words(&self) -> String {
        match self {
            Self::Finished(status) => format!("FINISHED {status}"),
            Self::Killed => "KILLED".into(),
            Self::Timeout => "TIMEOUT".into(),
            Self::Failed(errno) => format!("ERROR {errno}"),
        }
    }

    /// As an exit status.
    fn code(&self) -> u8 {
        match self {
            Self::Finished(_) => 0,
            Self::Killed => 1,
            Self::Timeout => 2,
            Self::Failed(_) => 127,
        }
    }
}

pub(super) fn wait(args: &Wait) -> anyhow::Result<ExitCode> {
    let xid = context::resolve(&args.xid)?;
    // As of old, none is no limit.
    let limit = args.timeout.filter(|seconds| *seconds > 0);
    let ended = match limit {
        None => context::wait(xid).map(Some).map_err(anyhow::Error::from),
        Some(seconds) => wait_for(xid, Duration::from_secs(seconds)),
    };
    let outcome = match ended {
        Ok(Some(ended)) => Outcome::Finished(signal::exit_status(ended.exit_code)),
        Ok(None) if args.terminate => {
            context::kill(xid, Target::All, rustix::process::Signal::KILL.as_raw())?;
            Outcome::Killed
        }
        Ok(None) => Outcome::Timeout,
        Err(e) => {
            eprintln!("vserver: {e:#}");
            let errno = e.downcast_ref().and_then(Error::errno);
            Outcome::Failed(errno.map_or(0, rustix::io::Errno::raw_os_error))
        }
    };
    match (args.status_fd, &outcome) {
        (Some(fd), outcome) => write(fd, &outcome.words())?,
        (None, Outcome::Finished(status)) => line(status)?,
        _ => {}
    }
    Ok(ExitCode::from(outcome.code()))
}

/// Writes a line to an open descriptor.
fn write(fd: u32, text: &str) -> Result<()> {
    let path = Path::new("/proc/self/fd").join(fd.to_string());
    let file = OpenOptions::new().append(true).open(&path);
    let written = file.and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|e| Error::file("write to", &path, e))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn some_process_or_context_is_named() {
        for line in ["vkill 17 18", "vkill -s HUP -c web", "vkill -c 7 -- -1"] {
            let kill = Kill::try_parse_from(line.split(' '));
            assert!(kill.is_ok(), "{line}: {kill:?}");
        }
        assert!(Kill::try_parse_from(["vkill", "-s", "HUP"]).is_err());
        let error = kill_one(0, 0).unwrap_err().to_string();
        assert!(error.contains("--xid"), "{error}");
    }

    #[test]
    fn what_came_of_it_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fd = u32::try_from(file.as_raw_fd()).unwrap();
        for outcome in [
            Outcome::Finished(3),
            Outcome::Killed,
            Outcome::Timeout,
            Outcome::Failed(3),
        ] {
            write(fd, &outcome.words()).unwrap();
        }
        let mut text = String::new();
        file.reopen().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "FINISHED 3\nKILLED\nTIMEOUT\nERROR 3\n");
        assert!(write(9999, "x").is_err());
    }

    #[test]
    fn a_wait_can_end_early() {
        let words = "vwait --timeout 10 --terminate --status-fd 3 web";
        let wait = Wait::parse_from(words.split(' '));
        assert_eq!((wait.timeout, wait.status_fd), (Some(10), Some(3)));
        assert!(Wait::try_parse_from(["vwait", "a", "b"]).is_err());
    }
}
