// SPDX-License-Identifier: GPL-2.0
//! `vuname`: what uname(2) says in a context.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use vserver::abi;
use vserver::context;
use vserver::error::{Error, Result};

use super::dir::Dir;
use super::{Then, Xid};
use crate::output::line;

/// Show and change what uname(2) says in a context
#[derive(Debug, Parser)]
#[command(
    name = "vuname",
    version,
    after_help = "\
The names are context, sysname, nodename, release, version, machine, domainname.

Examples:
  vuname --get --xid web nodename
  vuname --set --xid web -t nodename=w2
  vuname --xid self --dir /etc/vservers/web/uts --missingok -- sh"
)]
pub(super) struct Uname {
    #[command(flatten)]
    xid: Xid,
    /// Show names: so it is without --set and --dir
    #[arg(long, short = 'g', conflicts_with_all = ["set", "dir"])]
    get: bool,
    /// Change names
    #[arg(long, short = 's')]
    set: bool,
    /// With --set: a name, and what it shall be
    #[arg(short = 't', value_name = "NAME=VALUE", value_parser = pair)]
    tag: Vec<(u32, String)>,
    #[command(flatten)]
    dir: Dir,
    /// The names to show [default: all]; with --set and --dir a command to run then
    #[arg(trailing_var_arg = true, value_name = "NAME|COMMAND")]
    rest: Vec<OsString>,
}

/// The names and their numbers.
const UTS: [(&str, u32); 7] = [
    ("context", abi::VHIN_CONTEXT),
    ("sysname", abi::VHIN_SYSNAME),
    ("nodename", abi::VHIN_NODENAME),
    ("release", abi::VHIN_RELEASE),
    ("version", abi::VHIN_VERSION),
    ("machine", abi::VHIN_MACHINE),
    ("domainname", abi::VHIN_DOMAINNAME),
];

fn field(name: &str) -> Result<u32> {
    let found = UTS.iter().find(|(n, _)| *n == name.to_ascii_lowercase());
    found.map(|(_, field)| *field).ok_or_else(|| {
        let names = UTS.map(|(name, _)| name).join(", ");
        Error::Invalid(format!("{name}: no such name; there are {names}"))
    })
}

fn pair(text: &str) -> Result<(u32, String)> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Error::Invalid(format!("{text}: not NAME=VALUE")))?;
    Ok((field(name)?, value.to_owned()))
}

impl Uname {
    /// What to change, if that is what is to be done.
    fn changes(&self) -> Result<Option<Vec<(u32, String)>>> {
        if !self.set && !self.dir.is_given() {
            return match self.tag.is_empty() {
                true => Ok(None),
                false => Err(Error::Invalid("-t changes a name: give --set, too".into())),
            };
        }
        let mut changes = self.tag.clone();
        if self.dir.is_there()? {
            for (name, field) in UTS {
                changes.extend(self.dir.text(name)?.map(|value| (field, value)));
            }
        }
        Ok(Some(changes))
    }
}

pub(super) fn uname(args: Uname) -> anyhow::Result<ExitCode> {
    let changes = args.changes()?;
    let xid = args.xid.get()?;
    if let Some(changes) = changes {
        for (field, value) in changes {
            context::set_uts_name(xid, field, &value)?;
        }
        return Then { argv: args.rest }.run();
    }
    let names = args.rest.iter().map(|name| field(&name.to_string_lossy()));
    let mut fields = names.collect::<Result<Vec<u32>>>()?;
    if fields.is_empty() {
        fields.extend(UTS.map(|(_, field)| field));
    }
    let values = fields
        .into_iter()
        .map(|field| context::uts_name(xid, field));
    line(values.collect::<Result<Vec<_>>>()?.join(" "))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(line: &str) -> Option<Vec<(u32, String)>> {
        let uname = Uname::try_parse_from(line.split(' '));
        uname
            .unwrap_or_else(|e| panic!("{line}: {e}"))
            .changes()
            .unwrap()
    }

    #[test]
    fn names_are_changed_if_that_is_said() {
        assert_eq!(changes("vuname --xid self nodename"), None);
        assert_eq!(changes("vuname -g --xid web"), None);
        assert_eq!(
            changes("vuname -s --xid web -t NODENAME=w2 -t machine=a=b -- sh -c :"),
            Some(vec![
                (abi::VHIN_NODENAME, "w2".into()),
                (abi::VHIN_MACHINE, "a=b".into())
            ])
        );
        assert_eq!(
            changes("vuname --xid web --dir /nonexistent --missingok sh"),
            Some(Vec::new())
        );
        for line in ["vuname -s -t x=y", "vuname -s -t nodename", "vuname -g -s"] {
            assert!(Uname::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        let uname = Uname::parse_from(["vuname", "-t", "nodename=x"]);
        assert!(uname.changes().is_err());
    }

    #[test]
    fn a_directory_has_a_file_for_each() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodename"), "w2\n").unwrap();
        let said = changes(&format!("vuname --dir {}", dir.path().display()));
        assert_eq!(said, Some(vec![(abi::VHIN_NODENAME, "w2".into())]));
    }
}
