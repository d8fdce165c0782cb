// SPDX-License-Identifier: GPL-2.0
//! `vdu`: what files take of the disk, all of a tree or those of a context.

use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use vserver::context;
use vserver::du;

use crate::args;
use crate::cmd;
use crate::output;

/// Show what files take of the disk
#[derive(Debug, Parser)]
#[command(
    name = "vdu",
    version,
    group = ArgGroup::new("what").multiple(true),
    after_help = "\
Without --xid it is the same as vserver du.

Examples:
  vdu /vservers/web
  vdu --xid 101 --space --inodes /vservers/web"
)]
pub(super) struct VDu {
    /// Only the files that belong to this context, by id or the name of one that runs
    #[arg(long, value_name = "XID|NAME", requires = "what")]
    xid: Option<String>,
    /// The space that they take
    #[arg(long, group = "what", requires = "xid")]
    space: bool,
    /// Their inodes
    #[arg(long, group = "what", requires = "xid")]
    inodes: bool,
    /// The unit of space, in bytes
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    blocksize: u64,
    /// The figures alone, without the directory
    #[arg(long)]
    script: bool,
    #[command(flatten)]
    trees: args::Du,
}

pub(super) fn du(args: VDu) -> anyhow::Result<ExitCode> {
    let Some(xid) = &args.xid else {
        return cmd::du::du(&args.trees, false);
    };
    let xid = match xid.parse() {
        Ok(xid) => xid,
        Err(_) => context::resolve(xid)?,
    };
    for dir in &args.trees.dir {
        let has = du::of_context(dir, xid, args.trees.cross_mounts)?;
        let dir = (!args.script).then(|| dir.display().to_string());
        let space = args.space.then(|| (has.bytes / args.blocksize).to_string());
        let inodes = args.inodes.then(|| has.files.to_string());
        let words: Vec<String> = [dir, space, inodes].into_iter().flatten().collect();
        output::line(words.join(" "))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_asked_for_something() {
        for line in [
            "vdu /x",
            "vdu -x /x /y",
            "vdu --xid 101 --space /x",
            "vdu --xid 101 --space --inodes --blocksize 512 --script /x",
        ] {
            let args = VDu::try_parse_from(line.split(' '));
            assert!(args.is_ok(), "{line}: {args:?}");
        }
        for line in [
            "vdu",
            "vdu --xid 101 /x",
            "vdu --space /x",
            "vdu --xid 101 --space --blocksize 0 /x",
        ] {
            assert!(VDu::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
