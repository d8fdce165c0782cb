// SPDX-License-Identifier: GPL-2.0
//! `disk set`, `disk show`, `disk check`, `disk remove`.

use std::process::ExitCode;

use serde_json::json;
use vserver::dlimit::{self, Change, Usage};

use crate::args::{Disk, DiskCheck, DiskOne, DiskSet};
use crate::output;
use crate::progress::Counter;

/// `vserver disk`
pub(crate) fn disk(command: &Disk, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Disk::Set(args) => set(args, json)?,
        Disk::Show(one) => show(one, json)?,
        Disk::Check(args) => return check(args, json),
        Disk::Remove(one) => remove(one, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn set(args: &DiskSet, json: bool) -> anyhow::Result<()> {
    let change = Change {
        space: args.space,
        inodes: args.inodes,
        reserved: args.reserved,
        quota: args.quota,
    };
    let counter = Counter::default();
    let done = dlimit::set(args.one.xid, &args.one.path, change, &mut |n| counter.at(n));
    let files = counter.clear();
    done?;
    if json {
        return show(&args.one, true);
    }
    if files > 0 {
        let xid = args.one.xid;
        output::line(format_args!(
            "what {xid} has was not known: {files} files looked at"
        ))?;
    }
    Ok(())
}

fn remove(one: &DiskOne, json: bool) -> anyhow::Result<()> {
    dlimit::remove(one.xid, &one.path)?;
    match json {
        true => output::json(&json!({ "xid": one.xid, "path": one.path })),
        false => Ok(()),
    }
}

fn show(one: &DiskOne, json: bool) -> anyhow::Result<()> {
    let disk = dlimit::show(one.xid, &one.path)?;
    if json {
        return output::json(&disk);
    }
    let kib = |n: u64| output::bytes(n.saturating_mul(1024));
    let none = || "unlimited".to_owned();
    output::line(format_args!(
        "space:    {} of {}",
        kib(disk.space_used),
        disk.space_total.map_or_else(none, kib)
    ))?;
    output::line(format_args!(
        "inodes:   {} of {}",
        disk.inodes_used,
        disk.inodes_total.map_or_else(none, |n| n.to_string())
    ))?;
    output::line(format_args!("reserved: {} %", disk.reserved))?;
    output::line(format_args!(
        "usage:    {}",
        match disk.usage {
            Usage::Counted => "counted since the mount",
            Usage::Kept => "kept from before the mount",
            Usage::Unknown => "not known: only what came since the limit was added",
        }
    ))
}

fn check(args: &DiskCheck, json: bool) -> anyhow::Result<ExitCode> {
    let (xid, path) = (args.one.xid, &args.one.path);
    let counter = Counter::default();
    let found = dlimit::scan(xid, path, &mut |n| counter.at(n));
    counter.clear();
    let (found, owners) = found?;
    let counted = dlimit::show(xid, path)?;
    let same = (found.space, found.inodes) == (counted.space_used, counted.inodes_used);
    if args.mend {
        dlimit::mend(xid, path, found, &owners)?;
    }
    if json {
        output::json(&json!({ "found": found, "counted": counted, "same": same }))?;
    } else {
        output::line(format_args!(
            "found {} KiB in {} inodes, counted {} KiB in {}",
            found.space, found.inodes, counted.space_used, counted.inodes_used
        ))?;
    }
    Ok(match same || args.mend {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
