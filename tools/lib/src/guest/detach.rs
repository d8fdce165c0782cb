// SPDX-License-Identifier: GPL-2.0
//! A context that runs on without the process that started it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::exit;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use vserver_abi::process::{Fork, fork};

use super::run::{Failed, set_up_and_run};
use super::{NewContext, Program, stop};
use crate::cgroup;
use crate::error::{Doing, Error, Result};

/// Why a context was not started in the background.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// It did not come to that.
    Before(Error),
    /// The new process failed at this step, for this reason; nothing of the context is left.
    At(String, String),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

/// Does what [`super::run`] does in a new process in the background, with its output going to `log`,
/// or nowhere. Returns the context's id as soon as the program runs.
pub fn detach(new: &NewContext, program: &Program, log: Option<&Path>) -> Result<u32> {
    match start_behind(new, program, log) {
        Ok((xid, _)) => Ok(xid),
        Err(NotStarted::Before(e)) => Err(e),
        Err(NotStarted::At(_, message)) => Err(Error::Invalid(message)),
    }
}

/// The same; returns the new process, too, and says at which step it failed.
pub(super) fn start_behind(
    new: &NewContext,
    program: &Program,
    log: Option<&Path>,
) -> Result<(u32, Pid), NotStarted> {
    let null = Path::new("/dev/null");
    let input = File::open(null).map_err(|e| Error::file("open", null, e))?;
    let output = open_log(log.unwrap_or(null))?;
    let doing = || "start a process in the background".to_owned();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    match fork().doing(doing)? {
        Fork::Child => {
            drop(reader);
            let mut report = File::from(writer);
            let failed = child(new, program, &input, &output, &report);
            // Nobody is left to tell if this fails.
            let _ = write!(report, "{}\0{}", failed.step, failed.error);
            exit(1)
        }
        Fork::Parent(pid) => {
            drop(writer);
            let started = outcome(&mut File::from(reader), |xid| clean_up(pid, xid));
            started.map(|xid| (xid, pid))
        }
    }
}

/// A log, open to be continued.
pub(super) fn open_log(path: &Path) -> Result<File> {
    let log = OpenOptions::new().append(true).create(true).open(path);
    log.map_err(|e| Error::file("open", path, e))
}

/// What came of a start, for [`outcome`] to read.
pub(super) fn report(started: Result<u32, &NotStarted>) -> Vec<u8> {
    match started {
        Ok(xid) => xid.to_le_bytes().into(),
        Err(NotStarted::Before(e)) => format!("process\0{e}").into(),
        Err(NotStarted::At(step, cause)) => format!("{step}\0{cause}").into(),
    }
}

/// The new process: returns only if it fails.
fn child(
    new: &NewContext,
    program: &Program,
    input: &File,
    output: &File,
    report: &File,
) -> Failed {
    let doing = || "leave the terminal".to_owned();
    let left = setsid()
        .and_then(|_| dup2_stdin(input))
        .and_then(|()| dup2_stdout(output))
        .and_then(|()| dup2_stderr(output))
        .doing(doing);
    match left {
        Ok(()) => set_up_and_run(new, program, |xid| {
            (&mut &*report).write_all(&xid.to_le_bytes()).doing(doing)
        }),
        Err(error) => Failed {
            step: "process",
            error,
        },
    }
}

/// Waits until the new process and its context are gone.
fn clean_up(pid: Pid, xid: Option<u32>) {
    // What it was is said already; that it can't be waited for would add nothing.
    let _ = waitpid(Some(pid), WaitOptions::empty());
    if let Some(xid) = xid {
        let _ = stop::end(xid);
        cgroup::remove(xid);
    }
}

/// Reads what the new process reports: the id, then the step and the error if there is one. The
/// pipe is closed by the program's start.
pub(super) fn outcome(
    report: &mut impl Read,
    clean_up: impl FnOnce(Option<u32>),
) -> Result<u32, NotStarted> {
    let mut bytes = Vec::new();
    report
        .read_to_end(&mut bytes)
        .doing(|| "wait for the process in the background".into())?;
    let (xid, rest) = match bytes.split_first_chunk::<4>() {
        Some((xid, rest)) if xid_was_sent(&bytes) => (Some(u32::from_le_bytes(*xid)), rest),
        _ => (None, &bytes[..]),
    };
    if let (Some(xid), []) = (xid, rest) {
        return Ok(xid);
    }
    clean_up(xid);
    let text = String::from_utf8_lossy(rest);
    let (step, message) = text
        .split_once('\0')
        .unwrap_or(("process", "it ended before it could say why"));
    Err(NotStarted::At(step.to_owned(), message.to_owned()))
}

/// Ids are below 2^16, so that their third and fourth byte are 0, as no text's are.
fn xid_was_sent(bytes: &[u8]) -> bool {
    bytes.get(2..4) == Some(&[0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a report: the id, or step, reason and the id to clean up.
    fn made_of(report: &[u8]) -> Result<u32, (String, String, Option<u32>)> {
        let mut cleaned = None;
        outcome(&mut &*report, |xid| cleaned = xid).map_err(|e| match e {
            NotStarted::At(step, message) => (step, message, cleaned),
            NotStarted::Before(e) => panic!("{e}"),
        })
    }

    #[test]
    fn reports_are_understood() {
        assert_eq!(made_of(&[5, 0, 0, 0]), Ok(5));
        assert_eq!(
            made_of(b"\x05\0\0\0init\0no such file"),
            Err(("init".into(), "no such file".into(), Some(5)))
        );
        assert_eq!(
            made_of(b"context\0create a context: no"),
            Err(("context".into(), "create a context: no".into(), None))
        );
        assert!(made_of(b"").is_err());
        let said = report(Err(&NotStarted::At("root".into(), "no".into())));
        assert_eq!(made_of(&said), Err(("root".into(), "no".into(), None)));
        assert_eq!(made_of(&report(Ok(7))), Ok(7));
    }
}
