// SPDX-License-Identifier: GPL-2.0
//! `vserver hashify` and `vserver unhashify`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use vserver::attr;
use vserver::config::Store;
use vserver::error::{Error, Result};
use vserver::hashify::{self, Guests, Options, Report, Status, TreeStatus};
use vserver::unify::{Alone, Amount};

use super::trees::{Outcome, excludes, means};
use crate::args::{Hashify, Unhashify};
use crate::exit;
use crate::interrupt::Interrupt;
use crate::output::{self, bytes, line, time};
use crate::progress::Bar;

/// `vserver hashify`
pub(crate) fn hashify(args: &Hashify, json: bool) -> anyhow::Result<ExitCode> {
    let looks = args.dry_run || args.status || args.check || args.gc;
    let pool = args.pool.as_deref();
    let found = match (args.all, args.gc) {
        // There are pools without guests.
        (true, true) => hashify::any_guests(&Store::system())?.any_usable(pool, false),
        (true, false) => all()?.usable(pool, !looks)?,
        (false, _) => named(&args.tree),
    };
    let left_out = name_left_out(&found);
    let failed = found.failed();
    let code = if args.status {
        status(args, &found.trees, json)?
    } else if args.check {
        check(args, &found.trees, json)?
    } else if args.gc {
        gc(args, &found.trees, json)?
    } else {
        run(args, found.trees, left_out, json)?
    };
    Ok(match failed && code == ExitCode::SUCCESS {
        true => ExitCode::FAILURE,
        false => code,
    })
}

fn all() -> Result<Guests> {
    hashify::guests(&Store::system())
}

fn named(trees: &[PathBuf]) -> Guests {
    Guests {
        trees: trees.to_vec(),
        left_out: Vec::new(),
    }
}

/// Says which guests are left out, and why.
fn name_left_out(guests: &Guests) -> Vec<String> {
    let left_out = guests.left_out.iter().map(ToString::to_string);
    left_out
        .inspect(|why| eprintln!("vserver: left out: {why}"))
        .collect()
}

fn run(
    args: &Hashify,
    trees: Vec<PathBuf>,
    left_out: Vec<String>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (attributes, _alone) = means(args.dry_run)?;
    let (excludes, own_excludes) = excludes(&args.exclude, &trees)?;
    let options = Options {
        trees,
        pool: args.pool.clone(),
        excludes,
        own_excludes,
        dry_run: args.dry_run,
        keep_times: args.keep_times,
        unique: args.unique,
        stop: Arc::default(),
    };
    let interrupt = Interrupt::sets(&options.stop)?;
    let bar = Bar::new(args.verbose);
    let report = hashify::hashify(&options, attributes, &bar);
    bar.clear();
    let report = report?;
    let trees = options.trees.iter().map(|tree| tree.display().to_string());
    match json {
        true => output::json(&Outcome {
            trees: trees.collect(),
            dry_run: args.dry_run,
            left_out,
            report: &report,
        })?,
        false => print(&options, &report)?,
    }
    if report.interrupted {
        eprintln!("vserver: interrupted: what is left waits for the next run");
        interrupt.end()?;
    }
    Ok(exit::of_files(report.files.failed(), report.files.no_space))
}

fn print(options: &Options, report: &Report) -> anyhow::Result<()> {
    super::unify::print(options.trees.len(), options.dry_run, &report.files)?;
    let collected = report.collected;
    if collected.entries > 0 {
        let freed = bytes(collected.bytes);
        line(format_args!(
            "{:>9} removed from the pool that no guest used any more, {freed} freed",
            collected.entries
        ))?;
    }
    line(format_args!("took {}", time(report.msec)))
}

fn status(args: &Hashify, trees: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let bar = Bar::new(false);
    let all = hashify::status(trees, args.pool.as_deref(), attr::best(), &bar);
    bar.clear();
    let all = all?;
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    for status in &all {
        print_status(status, args.verbose)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn amount(a: Amount) -> String {
    format!("{} files, {}", a.files, bytes(a.bytes))
}

fn print_status(status: &Status, verbose: bool) -> anyhow::Result<()> {
    let pool = status.pool.display();
    line(format_args!("pool {pool}: {}", amount(status.entries)))?;
    if status.lone.files > 0 {
        line(format_args!("  used by nobody: {}", amount(status.lone)))?;
    }
    line(format_args!("  saved: {}", bytes(status.saved)))?;
    for tree in &status.trees {
        print_tree(tree, verbose)?;
    }
    Ok(())
}

fn print_tree(tree: &TreeStatus, verbose: bool) -> anyhow::Result<()> {
    line(tree.tree.display())?;
    line(format_args!("  in the pool: {}", amount(tree.shared)))?;
    line(format_args!("  its own:     {}", amount(tree.own)))?;
    for with in &tree.with {
        let other = with.tree.display();
        line(format_args!(
            "  shares with {other}: {}",
            amount(with.amount)
        ))?;
    }
    match tree.hashified {
        None => line("  never hashified")?,
        Some(_) => line(format_args!(
            "  shared when it was hashified, not any more: {} files",
            tree.broken.len()
        ))?,
    }
    for path in tree.broken.iter().filter(|_| verbose) {
        line(format_args!("    /{}", path.display()))?;
    }
    Ok(())
}

fn check(args: &Hashify, trees: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let bar = Bar::new(false);
    let checked = hashify::check(trees, args.pool.as_deref(), attr::best(), &bar);
    bar.clear();
    let (entries, damaged) = checked?;
    if json {
        output::json(&serde_json::json!({ "entries": entries, "damaged": damaged }))?;
    } else {
        for damage in &damaged {
            line(format_args!("{}: {}", damage.entry.display(), damage.what))?;
            for file in &damage.files {
                line(format_args!("  {}", file.display()))?;
            }
        }
        line(format_args!(
            "{entries} files in the pool, {} damaged",
            damaged.len()
        ))?;
        if !damaged.is_empty() {
            eprintln!(
                "vserver: restore each of these files in a guest from elsewhere (a reinstalled \
                 package), then hashify again"
            );
        }
    }
    Ok(match damaged.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::DAMAGED),
    })
}

fn gc(args: &Hashify, trees: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let _alone = Alone::new()?;
    let mut all = hashify::Collected::default();
    let named = args.pool.as_deref();
    let pools = match args.all {
        true => hashify::all_pools(&Store::system(), trees, named)?,
        false => hashify::pools(trees, named)?,
    };
    for pool in pools {
        let collected = match hashify::gc(&pool, args.dry_run) {
            Err(why @ Error::Place(_)) if args.all => {
                eprintln!("vserver: left out: {why}");
                continue;
            }
            collected => collected?,
        };
        all.entries += collected.entries;
        all.bytes += collected.bytes;
    }
    match json {
        true => output::json(&all)?,
        false => line(format_args!(
            "{} files {}removed from the pool, {}",
            all.entries,
            if args.dry_run { "would be " } else { "" },
            bytes(all.bytes)
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What `unhashify` answers to programs.
#[derive(Serialize)]
struct Undo<'a> {
    dry_run: bool,
    #[serde(flatten)]
    undone: &'a hashify::Undone,
}

/// `vserver unhashify`
pub(crate) fn unhashify(args: &Unhashify, json: bool) -> anyhow::Result<ExitCode> {
    let found = match (args.all, args.dry_run) {
        (true, true) => all()?,
        (true, false) => all()?.writable(),
        (false, _) => named(&args.path),
    };
    name_left_out(&found);
    let (trees, pool) = (&found.trees, args.pool.as_deref());
    let _alone = match args.dry_run {
        true => None,
        false => Some(Alone::new()?),
    };
    let bar = Bar::new(false);
    let undone = match args.dry_run {
        true => hashify::would_unhashify(trees, pool, attr::best(), &bar),
        false => hashify::unhashify(trees, pool, &bar),
    };
    bar.clear();
    let undone = undone?;
    let would = if args.dry_run { "would be " } else { "" };
    match json {
        true => output::json(&Undo {
            dry_run: args.dry_run,
            undone: &undone,
        })?,
        false => line(format_args!(
            "{} {would}copied, {} {would}made ordinary files in place",
            undone.copied, undone.cleared
        ))?,
    }
    let failed = found.failed() || !undone.errors.is_empty();
    Ok(exit::of_files(failed, undone.no_space))
}
