// SPDX-License-Identifier: GPL-2.0
//! A context that runs on without the process that started it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::exit;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use vserver_abi::process::{Fork, fork};

use super::{NewContext, Program, run};
use crate::error::{Doing, Error, Result};

/// Does what [`run`] does in a new process in the background, with its output going to `log`,
/// or nowhere. Returns the context's id as soon as the program runs.
pub fn detach(new: &NewContext, program: &Program, log: Option<&Path>) -> Result<u32> {
    let null = Path::new("/dev/null");
    let input = File::open(null).map_err(|e| Error::file("open", null, e))?;
    let path = log.unwrap_or(null);
    let output = OpenOptions::new()
        .append(true)
        .create(log.is_some())
        .open(path)
        .map_err(|e| Error::file("open", path, e))?;
    let doing = || "start a process in the background".to_owned();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    match fork().doing(doing)? {
        Fork::Child => {
            drop(reader);
            let mut report = File::from(writer);
            let error = child(new, program, &input, &output, &report);
            // Nobody is left to tell if this fails.
            let _ = write!(report, "{error}");
            exit(1)
        }
        Fork::Parent(_) => {
            drop(writer);
            outcome(&mut File::from(reader))
        }
    }
}

/// The new process: returns only if it fails.
fn child(new: &NewContext, program: &Program, input: &File, output: &File, report: &File) -> Error {
    let doing = || "leave the terminal".to_owned();
    let left = setsid()
        .and_then(|_| dup2_stdin(input))
        .and_then(|()| dup2_stdout(output))
        .and_then(|()| dup2_stderr(output))
        .doing(doing);
    match left {
        Ok(()) => run(new, program, |xid| {
            (&mut &*report).write_all(&xid.to_le_bytes()).doing(doing)
        }),
        Err(e) => e,
    }
}

/// Reads what the new process reports: the id, then the error if there is one. The pipe is
/// closed by the program's start.
fn outcome(report: &mut impl Read) -> Result<u32> {
    let mut bytes = Vec::new();
    report
        .read_to_end(&mut bytes)
        .doing(|| "wait for the process in the background".into())?;
    match bytes.split_first_chunk::<4>() {
        Some((xid, [])) => Ok(u32::from_le_bytes(*xid)),
        Some((_, error)) if xid_was_sent(&bytes) => Err(failed(error)),
        _ => Err(failed(&bytes)),
    }
}

/// Ids are below 2^16, so that their third and fourth byte are 0, as no text's are.
fn xid_was_sent(bytes: &[u8]) -> bool {
    bytes.get(2..4) == Some(&[0, 0])
}

fn failed(message: &[u8]) -> Error {
    Error::Invalid(String::from_utf8_lossy(message).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_understood() {
        assert_eq!(outcome(&mut &[5u8, 0, 0, 0][..]).unwrap(), 5);
        let late = outcome(&mut &b"\x05\0\0\0no such file"[..]).unwrap_err();
        assert_eq!(late.to_string(), "no such file");
        let early = outcome(&mut &b"create a context: no"[..]).unwrap_err();
        assert_eq!(early.to_string(), "create a context: no");
    }
}
