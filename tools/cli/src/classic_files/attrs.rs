// SPDX-License-Identifier: GPL-2.0
//! `showattr`, `setattr`: the attributes of files.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser};
use vserver::abi;
use vserver::attr::UNIFIED;

use super::{Changed, Listed};
use crate::args::AttrShow;
use crate::cmd;

/// Show the attributes of files
#[derive(Debug, Parser)]
#[command(
    name = "showattr",
    version,
    after_help = "\
A letter for each of admin, watch, hide, barrier, iunlink (u), immutable, cow: capital if it is on,
- if the file can't have it.

Example:
  showattr -R /vservers/web/usr/bin"
)]
pub(super) struct ShowAttr {
    #[command(flatten)]
    files: Listed,
}

pub(super) fn show_attr(args: ShowAttr) -> anyhow::Result<ExitCode> {
    let args = AttrShow {
        letters: true,
        tags: false,
        recursive: args.files.recursive,
        path: args.files.path,
    };
    cmd::attr::show(&args, false)
}

/// Change the attributes of files
#[derive(Debug, Parser)]
#[command(
    name = "setattr",
    version,
    after_help = "Examples:\n  setattr --barrier /vservers\n  setattr -R --~iunlink /vservers/web/etc"
)]
pub(super) struct SetAttr {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    files: Changed,
}

pub(super) fn set_attr(args: SetAttr) -> anyhow::Result<ExitCode> {
    let Flags { on, off } = args.flags;
    let files = args.files;
    cmd::attr::change_both(&files.path, files.recursive, on & !off, on | off)
}

/// The attributes to switch on and off: an option for each, one with ~ to switch it off.
#[derive(Debug)]
struct Flags {
    on: u32,
    off: u32,
}

/// An attribute: its option, those to switch it off, what they stand for, and the bits.
macro_rules! flag {
    ($name:literal, $help:literal, $bits:expr) => {
        (
            $name,
            concat!("~", $name),
            concat!("!", $name),
            $help,
            $bits,
        )
    };
}

const FLAGS: [(&str, &str, &str, &str, u32); 9] = [
    flag!("iunlink", "iunlink and immutable", UNIFIED),
    flag!("immu", "The same", UNIFIED),
    flag!(
        "iunlink-but-not-immutable",
        "iunlink alone",
        abi::IATTR_IUNLINK
    ),
    flag!("immutable", "immutable alone", abi::IATTR_IMMUTABLE),
    flag!(
        "barrier",
        "Of a directory, against ways out of a chroot",
        abi::IATTR_BARRIER
    ),
    flag!(
        "admin",
        "In /proc: the host finds it though it is hidden",
        abi::IATTR_ADMIN
    ),
    flag!(
        "watch",
        "In /proc: the spectator finds it though it is hidden",
        abi::IATTR_WATCH
    ),
    flag!(
        "hide",
        "In /proc: nobody finds it inside a context",
        abi::IATTR_HIDE
    ),
    flag!("cow", "Copied when it is written to", abi::IATTR_COW),
];

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        // One that is given twice is given.
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Count);
        FLAGS
            .iter()
            .fold(command, |command, &(name, off, also_off, help, _)| {
                let on = flag(name).help(help);
                let off = flag(off).visible_alias(also_off).help("Off again");
                command.arg(on).arg(off)
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |id: &str| matches.get_count(id) > 0;
        let mut flags = Self { on: 0, off: 0 };
        for (name, off, .., bits) in FLAGS {
            flags.on |= if given(name) { bits } else { 0 };
            flags.off |= if given(off) { bits } else { 0 };
        }
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(line: &str) -> SetAttr {
        SetAttr::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    #[test]
    fn iunlink_is_both_attributes_of_a_shared_file() {
        for (line, on, off) in [
            ("setattr --iunlink /x", UNIFIED, 0),
            ("setattr --immu /x", UNIFIED, 0),
            ("setattr --~iunlink /x", 0, UNIFIED),
            ("setattr --!immu /x", 0, UNIFIED),
            (
                "setattr --iunlink-but-not-immutable /x",
                abi::IATTR_IUNLINK,
                0,
            ),
            (
                "setattr --~iunlink-but-not-immutable /x",
                0,
                abi::IATTR_IUNLINK,
            ),
            ("setattr --~immutable /x", 0, abi::IATTR_IMMUTABLE),
            ("setattr --barrier --barrier /x", abi::IATTR_BARRIER, 0),
            (
                "setattr /x --iunlink --~immutable",
                UNIFIED,
                abi::IATTR_IMMUTABLE,
            ),
        ] {
            let Flags {
                on: is_on,
                off: is_off,
            } = set(line).flags;
            assert_eq!((is_on, is_off), (on, off), "{line}");
        }
    }

    #[test]
    fn short_options_can_be_put_together() {
        let args = set("setattr -Rx --barrier -- /x -y");
        assert!(args.files.recursive);
        assert_eq!(args.files.path.len(), 2);
        for line in ["showattr -Rd /x", "showattr -adx -R /x", "showattr -dRx -d"] {
            let args = ShowAttr::try_parse_from(line.split(' '));
            let args = args.unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(args.files.recursive, "{line}");
            assert_eq!(args.files.path.len(), 1, "{line}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for line in ["setattr --colour /x", "setattr --iunlink", "setattr -q /x"] {
            assert!(SetAttr::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert!(ShowAttr::try_parse_from(["showattr", "-q"]).is_err());
    }
}
