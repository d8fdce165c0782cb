// SPDX-License-Identifier: GPL-2.0
//! `lsxid`, `chxid`: the contexts that files belong to.

use std::process::ExitCode;

use clap::Parser;

use super::{Changed, Listed};
use crate::args::{AttrShow, AttrTag};
use crate::cmd;

/// Show the contexts that files belong to
#[derive(Debug, Parser)]
#[command(
    name = "lsxid",
    version,
    after_help = "Where no tags are kept there is a -.\n\nExample:\n  lsxid -R /vservers/web"
)]
pub(super) struct LsXid {
    /// Contexts by number, a line for each file: so it is in any case
    #[arg(short = 'n', short_alias = '1', action = clap::ArgAction::Count)]
    _numbers: u8,
    #[command(flatten)]
    files: Listed,
}

pub(super) fn ls_xid(args: LsXid) -> anyhow::Result<ExitCode> {
    let args = AttrShow {
        letters: false,
        tags: true,
        recursive: args.files.recursive,
        path: args.files.path,
    };
    cmd::attr::show(&args, false)
}

/// Have files belong to a context
#[derive(Debug, Parser)]
#[command(
    name = "chxid",
    version,
    after_help = "Example:\n  chxid -R -c 101 /vservers/web"
)]
pub(super) struct ChXid {
    /// The context's id, or the name of one that runs; 0 for files that everybody may use
    #[arg(short = 'c', value_name = "XID|NAME", required = true)]
    xid: String,
    /// Leave shared files alone: so it is in any case
    #[arg(short = 'U')]
    _unified: bool,
    #[command(flatten)]
    files: Changed,
}

pub(super) fn ch_xid(args: ChXid) -> anyhow::Result<ExitCode> {
    cmd::attr::tag(
        &AttrTag {
            recursive: args.files.recursive,
            xid: args.xid,
            path: args.files.path,
        },
        false,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn options_of_old() {
        for (line, recursive, first) in [
            ("lsxid", false, "."),
            ("lsxid -adn1x /x /y", false, "/x"),
            ("lsxid -Rn -- -x", true, "-x"),
        ] {
            let args = LsXid::try_parse_from(line.split(' '));
            let files = args.unwrap_or_else(|e| panic!("{line}: {e}")).files;
            assert_eq!(files.recursive, recursive, "{line}");
            assert_eq!(files.path[0], Path::new(first), "{line}");
        }
        for (line, recursive, xid) in [
            ("chxid -c 101 /x /y", false, "101"),
            ("chxid -RxUc web -- -x", true, "web"),
            ("chxid /x -R -c101", true, "101"),
        ] {
            let args = ChXid::try_parse_from(line.split(' '));
            let args = args.unwrap_or_else(|e| panic!("{line}: {e}"));
            let is = (args.files.recursive, args.xid.as_str());
            assert_eq!(is, (recursive, xid), "{line}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for line in ["lsxid -q /x", "lsxid --all /x"] {
            assert!(LsXid::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in ["chxid -q -c 1 /x", "chxid -R /x", "chxid -c 1", "chxid -c"] {
            assert!(ChXid::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
