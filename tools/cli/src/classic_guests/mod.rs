// SPDX-License-Identifier: GPL-2.0
//! The names that the old tools had for what concerns contexts, with the options that people know.

mod attribute;
mod dir;
mod limit;
mod processes;
mod ps;
mod sched;
mod see;
mod space;
mod uname;

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ExitCode};

use clap::{Args, Command, CommandFactory, Parser};
use vserver::abi;
use vserver::context;
use vserver::error::{Error, Result};
use vserver::signal;

use attribute::{Attribute, attribute};
use limit::{Limit, limit};
use processes::{Kill, Wait, kill, wait};
use ps::{Ps, ps};
use sched::{Sched, sched};
use see::{Stat, stat};
use space::{Space, space};
use uname::{Uname, uname};

use crate::cmd::control::wait_for;
use crate::exit::FAILED;

/// The names. A link of one of these to the command is such a tool.
pub(crate) const NAMES: [&str; 9] = [
    "vserver-stat",
    "vattribute",
    "vsched",
    "vlimit",
    "vps",
    "vkill",
    "vwait",
    "vuname",
    "vspace",
];

/// The command lines, for their manual pages.
pub(crate) fn commands() -> Vec<Command> {
    vec![
        Stat::command(),
        Attribute::command(),
        Sched::command(),
        Limit::command(),
        Ps::command(),
        Kill::command(),
        Wait::command(),
        Uname::command(),
        Space::command(),
    ]
}

/// Does as the tool that the first word names; nothing if it names none.
pub(crate) fn run(words: &[OsString]) -> Option<anyhow::Result<ExitCode>> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    Some(match name {
        "vserver-stat" => stat(&Stat::parse_from(words)),
        "vattribute" => attribute(&Attribute::parse_from(words)),
        "vsched" => sched(&Sched::parse_from(words)),
        "vlimit" => limit(&Limit::parse_from(words)),
        "vps" => ps(&Ps::parse_from(words)),
        "vkill" => kill(&Kill::parse_from(words)),
        "vwait" => wait(&Wait::parse_from(words)),
        "vuname" => uname(Uname::parse_from(words)),
        "vspace" => space(Space::parse_from(words)),
        _ => return None,
    })
}

/// The context that a tool is about: given, or the caller's own.
#[derive(Debug, Args)]
struct Xid {
    /// The context's id or name, or self [default: the caller's own]
    #[arg(long, short = 'c', alias = "ctx", value_name = "XID|NAME")]
    xid: Option<String>,
}

impl Xid {
    fn get(&self) -> Result<u32> {
        match self.xid.as_deref() {
            None | Some("self") => Ok(abi::VX_XID_SELF),
            Some(xid) => context::resolve(xid),
        }
    }
}

/// The command that a tool runs at the end.
#[derive(Debug, Args)]
struct Then {
    /// A command to run then
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    argv: Vec<OsString>,
}

impl Then {
    /// Runs it in place of this process.
    fn run(&self) -> anyhow::Result<ExitCode> {
        match self.command() {
            None => Ok(ExitCode::SUCCESS),
            Some((mut command, program)) => {
                let cause = command.exec();
                Err(Error::Exec { program, cause }.into())
            }
        }
    }

    /// Runs it as a child, and ends as that does.
    fn run_below(&self) -> anyhow::Result<ExitCode> {
        let Some((mut command, program)) = self.command() else {
            return Ok(ExitCode::SUCCESS);
        };
        let status = command.status();
        let status = status.map_err(|cause| Error::Exec { program, cause })?;
        let status = signal::exit_status(status.into_raw());
        Ok(ExitCode::from(u8::try_from(status).unwrap_or(FAILED)))
    }

    /// It, and its name for messages.
    fn command(&self) -> Option<(process::Command, String)> {
        let (program, args) = self.argv.split_first()?;
        let mut command = process::Command::new(program);
        command.args(args);
        Some((command, program.to_string_lossy().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vserver::limits::Most;

    #[test]
    fn the_command_lines_are_consistent() {
        let commands = commands();
        assert_eq!(commands.len(), NAMES.len());
        for command in commands {
            assert!(NAMES.contains(&command.get_name()));
            command.debug_assert();
        }
    }

    #[test]
    fn what_is_no_option_is_no_command() {
        for line in [
            "vattribute --fly",
            "vsched --fly 1",
            "vlimit --fly 5",
            "vuname --fly",
            "vspace --new --uts --fly",
        ] {
            let name = line.split(' ').next().unwrap();
            let command = commands().into_iter().find(|c| c.get_name() == name);
            let words = line.split(' ');
            assert!(
                command.unwrap().try_get_matches_from(words).is_err(),
                "{line}"
            );
        }
        // But a command has options of its own.
        let words = "vattribute --flag persistent sh -c --fly".split(' ');
        let attribute = Attribute::parse_from(words);
        assert_eq!(attribute.then.argv, ["sh", "-c", "--fly"]);
    }

    #[test]
    fn other_names_are_no_tool() {
        assert!(run(&["/usr/sbin/vserver".into()]).is_none());
        assert!(run(&[]).is_none());
    }

    #[test]
    fn what_people_know_is_taken() {
        let limit = Limit::parse_from(["vlimit", "--xid", "web", "--nproc", "inf", "-H"]);
        assert_eq!(limit.resources.changes[0].hard, Some(Most::Unlimited));
        let words = ["vattribute", "--set", "--xid", "7", "--flag", "~persistent"];
        let attribute = Attribute::parse_from(words);
        assert_eq!(attribute.flag[0].clear, abi::VXF_PERSISTENT);
        let kill = Kill::parse_from(["vkill", "--xid", "7", "-s", "9", "--", "1"]);
        assert_eq!((kill.s, kill.pid), (9, vec![1]));
    }
}
