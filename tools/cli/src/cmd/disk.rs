// SPDX-License-Identifier: GPL-2.0
//! `disk set`, `disk show`, `disk check`, `disk save`, `disk remove`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vserver::config::Store;
use vserver::dlimit::{self, Change, Usage};
use vserver::quota::{self, Amount, Difference, Kind, Quotas, Saved};

use crate::args::{Disk, DiskCheck, DiskOne, DiskSave, DiskSet};
use crate::exit;
use crate::output;
use crate::progress::Counter;

/// `vserver disk`
pub(crate) fn disk(command: &Disk, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Disk::Set(args) => set(args, json)?,
        Disk::Show(args) => show(&args.one, args.owners, json)?,
        Disk::Check(args) => return check(args, json),
        Disk::Save(args) => return save(args, json),
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
    let (xid, path) = (args.one.xid, &args.one.path);
    let kept = || quota::of_context(&Store::system(), xid, path);
    let done = dlimit::set(xid, path, change, kept, &mut |n| counter.at(n));
    let files = counter.clear();
    done?;
    if json {
        return show(&args.one, false, true);
    }
    if files > 0 {
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

fn show(one: &DiskOne, owners: bool, json: bool) -> anyhow::Result<()> {
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
    ))?;
    let Some(quotas) = &disk.quota else {
        return output::line("quotas:   none");
    };
    let holds = |kind: &Kind| match kind.enforced {
        true => "enforced",
        false => "not enforced",
    };
    match quotas.counted {
        true => output::line(format_args!(
            "quotas:   {} for users, {} for groups",
            holds(&quotas.users),
            holds(&quotas.groups)
        )),
        false => output::line(
            "quotas:   not known: a scan was interrupted; the guest's next start begins it anew",
        ),
    }?;
    match owners {
        true => show_owners(quotas),
        false => Ok(()),
    }
}

fn show_owners(quotas: &Quotas) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let kinds = [("user", &quotas.users), ("group", &quotas.groups)];
    let rows = kinds.into_iter().flat_map(|(kind, all)| {
        all.owners.iter().map(move |has| {
            let [space, space_soft, space_hard, space_left] =
                columns(has.bytes, output::bytes, now);
            let [inodes, soft, hard, left] = columns(has.inodes, |n| n.to_string(), now);
            [
                kind.to_owned(),
                has.id.to_string(),
                space,
                space_soft,
                space_hard,
                space_left,
                inodes,
                soft,
                hard,
                left,
            ]
        })
    });
    output::table(
        [
            "KIND", ">ID", ">SPACE", ">SOFT", ">HARD", ">LEFT", ">INODES", ">SOFT", ">HARD",
            ">LEFT",
        ],
        rows.collect(),
    )
}

/// Used, soft and hard limit, and what is left of the time above the soft one.
fn columns(amount: Amount, text: impl Fn(u64) -> String, now: u64) -> [String; 4] {
    let limit = |n| match n {
        0 => "-".to_owned(),
        n => text(n),
    };
    let left = match amount.limit.until {
        0 => "-".to_owned(),
        until if until <= now => "over".to_owned(),
        until => output::time((until - now).saturating_mul(1000)),
    };
    [
        text(amount.used),
        limit(amount.limit.soft),
        limit(amount.limit.hard),
        left,
    ]
}

fn check(args: &DiskCheck, json: bool) -> anyhow::Result<ExitCode> {
    let (xid, path) = (args.one.xid, &args.one.path);
    let counter = Counter::default();
    let check = dlimit::check(xid, path, &mut |n| counter.at(n));
    counter.clear();
    let check = check?;
    if args.mend {
        dlimit::mend(xid, path, &check)?;
    }
    if json {
        output::json(&check)?;
    } else {
        output::line(format_args!(
            "found {} KiB in {} inodes, counted {} KiB in {}",
            check.found.space,
            check.found.inodes,
            check.counted.space_used,
            check.counted.inodes_used
        ))?;
        for Difference {
            kind,
            id,
            found,
            counted,
            ..
        } in &check.owners
        {
            output::line(format_args!(
                "{kind} {id}: found {} bytes in {} inodes, counted {} bytes in {}",
                found.bytes, found.inodes, counted.bytes, counted.inodes
            ))?;
        }
    }
    Ok(match check.same || args.mend {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn save(args: &DiskSave, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let named = !args.guest.is_empty();
    let names = match named {
        true => args.guest.clone(),
        false => store.names()?,
    };
    let (mut results, mut status) = (Vec::<Value>::new(), None);
    for name in &names {
        let saved = quota::save(&store, name);
        if let Err(e) = &saved {
            eprintln!("vserver: {e}");
            status = status.or(Some(exit::of(e)));
        }
        let said = match &saved {
            Ok(Saved::Written) => Some("written"),
            Ok(Saved::Unchanged) if named => Some("unchanged"),
            Ok(Saved::Nothing) if named => Some("there is nothing to write"),
            _ => None,
        };
        if let Some(said) = said.filter(|_| !json) {
            output::line(format_args!("{name}: {said}"))?;
        }
        results.push(match saved {
            Ok(saved) => json!({ "name": name, "saved": saved }),
            Err(e) => json!({ "name": name, "error": e.to_string() }),
        });
    }
    if json {
        output::json(&results)?;
    }
    Ok(status.map_or(ExitCode::SUCCESS, ExitCode::from))
}
