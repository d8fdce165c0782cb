// SPDX-License-Identifier: GPL-2.0
//! The names that the old tools had for what concerns files, with the options that people know.

mod attrs;
mod du;
mod tags;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, Parser};

use attrs::{SetAttr, ShowAttr, set_attr, show_attr};
use du::{VDu, du};
use tags::{ChXid, LsXid, ch_xid, ls_xid};

/// The names. A link of one of these to the command is such a tool.
pub(crate) const NAMES: [&str; 5] = ["vdu", "showattr", "setattr", "lsxid", "chxid"];

/// The command lines, for their manual pages.
pub(crate) fn commands() -> Vec<Command> {
    vec![
        VDu::command(),
        ShowAttr::command(),
        SetAttr::command(),
        LsXid::command(),
        ChXid::command(),
    ]
}

/// Does as the tool that the first word names; nothing if it names none.
pub(crate) fn run(words: &[OsString]) -> Option<anyhow::Result<ExitCode>> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    Some(match name {
        "vdu" => du(VDu::parse_from(words)),
        "showattr" => show_attr(ShowAttr::parse_from(words)),
        "setattr" => set_attr(SetAttr::parse_from(words)),
        "lsxid" => ls_xid(LsXid::parse_from(words)),
        "chxid" => ch_xid(ChXid::parse_from(words)),
        _ => return None,
    })
}

/// The files that are listed.
#[derive(Debug, Args)]
struct Listed {
    /// Directories with all that is in them
    #[arg(short = 'R')]
    recursive: bool,
    /// Do not enter what is mounted there, leave out no file, list directories like files: so it is
    /// in any case
    #[arg(short = 'x', short_aliases = ['a', 'd'], action = clap::ArgAction::Count)]
    _usual: u8,
    /// The files; symbolic links are not followed
    #[arg(value_name = "FILE", default_value = ".")]
    path: Vec<PathBuf>,
}

/// The files that are changed.
#[derive(Debug, Args)]
struct Changed {
    /// Directories with all that is in them
    #[arg(short = 'R')]
    recursive: bool,
    /// Do not enter what is mounted there: so it is in any case
    #[arg(short = 'x', short_alias = 'd', action = clap::ArgAction::Count)]
    _usual: u8,
    /// The files; symbolic links are not followed
    #[arg(value_name = "FILE", required = true)]
    path: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        let commands = commands();
        assert_eq!(commands.len(), NAMES.len());
        for command in commands {
            assert!(NAMES.contains(&command.get_name()));
            command.debug_assert();
        }
    }
}
