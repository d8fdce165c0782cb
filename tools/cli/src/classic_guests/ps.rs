// SPDX-License-Identifier: GPL-2.0
//! `vps`: ps(1) with the contexts of the processes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::bail;
use clap::{ArgAction, Parser};
use vserver::abi;
use vserver::context;
use vserver::error::Error;
use vserver::signal;
use vserver::usage;

use crate::exit::FAILED;

/// List processes of all contexts by ps(1)
#[derive(Debug, Parser)]
#[command(
    name = "vps",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = "\
The list needs the column PID; that of the contexts is put behind it. vserver ps does without ps(1).

Examples:
  vps
  vps aux"
)]
pub(super) struct Ps {
    /// Show this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Show the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Options of ps(1)
    #[arg(
        allow_hyphen_values = true,
        trailing_var_arg = true,
        value_name = "OPTION"
    )]
    options: Vec<OsString>,
}

/// How wide the column is.
const WIDTH: usize = 20;

pub(super) fn ps(args: &Ps) -> anyhow::Result<ExitCode> {
    let contexts = context::list()?.into_iter().map(|c| (c.xid, c.name));
    let mut names: BTreeMap<u32, String> = contexts.collect();
    names.insert(abi::VX_XID_HOST, "MAIN".into());
    names.insert(abi::VX_XID_WATCH, "ALL_PROC".into());
    usage::become_spectator()?;
    let mut command = Command::new("ps");
    let command = command.args(&args.options).stdin(Stdio::null());
    let output = match command.stderr(Stdio::inherit()).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            bail!("ps: no such program; install procps, or use vserver ps")
        }
        output => output.map_err(|cause| {
            let program = "ps".into();
            Error::Exec { program, cause }
        })?,
    };
    let context = |pid: u32| match context::of_process(pid) {
        Ok(xid) => {
            let name = names.get(&xid).map_or("", String::as_str);
            format!("{xid:>5} {name}")
        }
        // It has ended since, as ps itself has.
        Err(_) => "    -".to_owned(),
    };
    match with_contexts(&output.stdout, context) {
        Some(text) => io::stdout().lock().write_all(&text)?,
        None if output.status.success() => {
            bail!("ps: its list has no column PID; give options that show it")
        }
        None => io::stdout().lock().write_all(&output.stdout)?,
    }
    let status = signal::exit_status(output.status.into_raw());
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(FAILED)))
}

/// The list with a further column behind that of the process ids; nothing if there is no such.
fn with_contexts(list: &[u8], context: impl Fn(u32) -> String) -> Option<Vec<u8>> {
    let mut lines = list.split_inclusive(|b| *b == b'\n');
    let head = lines.next()?;
    let column = pid_column(head)?;
    let mut text = Vec::new();
    let mut put = |line: &[u8], at: usize, word: &str| {
        let (before, behind) = line.split_at(at.min(line.trim_ascii_end().len()));
        text.extend_from_slice(before);
        text.extend_from_slice(format!(" {word:<WIDTH$}").as_bytes());
        text.extend_from_slice(behind);
    };
    put(head, column.end, "CONTEXT");
    for line in lines {
        let number = number(line, &column);
        let pid = number.clone().and_then(|n| line.get(n));
        let pid = pid.and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
        // A number may be longer than its column is wide.
        let at = number.map_or(column.end, |n| n.end.max(column.end));
        put(line, at, &pid.map_or_else(String::new, &context));
    }
    Some(text)
}

/// From the end of the word before PID to one before the next: what is flush left or right there.
fn pid_column(head: &[u8]) -> Option<Range<usize>> {
    let (mut at, mut before, mut start) = (0, 0, None);
    for word in head.split(u8::is_ascii_whitespace) {
        match start {
            Some(start) if !word.is_empty() => return Some(start..at - 1),
            None if word == b"PID" => start = Some(before),
            _ => {}
        }
        at += word.len();
        if !word.is_empty() {
            before = at;
        }
        at += 1;
    }
    start.map(|start| start..head.trim_ascii_end().len())
}

/// The number that begins in a column.
fn number(line: &[u8], column: &Range<usize>) -> Option<Range<usize>> {
    let begins = |at: &usize| {
        let before = at.checked_sub(1).and_then(|at| line.get(at));
        line.get(*at).is_some_and(u8::is_ascii_digit) && before.is_none_or(u8::is_ascii_whitespace)
    };
    let start = (column.start..=column.end).find(begins)?;
    let digits = line[start..].iter().take_while(|b| b.is_ascii_digit());
    Some(start..start + digits.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pid: u32) -> String {
        format!("{:>5} x", pid / 10)
    }

    #[test]
    fn contexts_stand_behind_the_process_ids() {
        for (list, want) in [
            (
                "USER     PPID     PID CMD\nroot        1      70 init 5 6\n",
                "USER     PPID     PID CONTEXT              CMD\n\
                 root        1      70     7 x              init 5 6\n",
            ),
            (
                "PID   USER     COMMAND\n   70 root     init\n1234567 root     sh\n",
                "PID   CONTEXT              USER     COMMAND\n\
                 \x20  70     7 x              root     init\n\
                 1234567 123456 x             root     sh\n",
            ),
            (
                "COMMAND   PID\ninit 5     70\n",
                "COMMAND   PID CONTEXT             \ninit 5     70     7 x             \n",
            ),
        ] {
            let text = with_contexts(list.as_bytes(), context).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), want, "{list}");
        }
    }

    #[test]
    fn a_list_may_lack_them() {
        for list in ["", "COMMAND\nsh\n", " PPID CMD\n    1 sh\n"] {
            assert!(with_contexts(list.as_bytes(), context).is_none(), "{list}");
        }
        let text = with_contexts(b"  PID\n    1\n\n", context).unwrap();
        assert!(
            String::from_utf8(text)
                .unwrap()
                .starts_with("  PID CONTEXT")
        );
    }

    #[test]
    fn its_options_are_those_of_ps() {
        for line in [
            "vps",
            "vps -u x",
            "vps aux",
            "vps -h -V",
            "vps -e -o pid,args",
        ] {
            let ps = Ps::try_parse_from(line.split(' '));
            let ps = ps.unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(ps.options.len(), line.split(' ').count() - 1, "{line}");
        }
    }
}
