// SPDX-License-Identifier: GPL-2.0
//! `vserver cleanup`.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use vserver::cleanup::{self, Found, Options, Progress, Report, What};
use vserver::config::Store;
use vserver::unify::Alone;

use crate::args::Cleanup;
use crate::output::{self, bytes, line};

/// What `--json` prints.
#[derive(Serialize)]
struct Outcome<'a> {
    dry_run: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// `vserver cleanup`
pub(crate) fn cleanup(args: &Cleanup, json: bool) -> anyhow::Result<ExitCode> {
    // Who only looks need not be.
    let alone = if args.dry_run { None } else { alone() };
    let options = Options {
        dry_run: args.dry_run,
        cross_mounts: args.cross_mounts,
        lone: args.dry_run || alone.is_some(),
    };
    let watcher = Watcher::new(args.dry_run, json);
    let report = cleanup::cleanup(&Store::system(), &args.dir, options, &watcher);
    watcher.bar.finish_and_clear();
    match json {
        true => output::json(&Outcome {
            dry_run: args.dry_run,
            report: &report,
        })?,
        false => print(args.dry_run, &report)?,
    }
    Ok(match report.errors.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The proof that no run is at work, without which what one may have protected is left.
fn alone() -> Option<Alone> {
    let alone = Alone::new();
    alone
        .inspect_err(|e| eprintln!("vserver: {e}; files that nobody shares are left as they are"))
        .ok()
}

fn print(dry_run: bool, report: &Report) -> anyhow::Result<()> {
    let count = |kinds: &[What]| {
        let found = report.found.iter().filter(|f| kinds.contains(&f.what));
        (found.clone().count(), found.map(|f| f.bytes).sum::<u64>())
    };
    let (removed, freed) = count(&[What::Copy, What::Link, What::Tree]);
    let (protected, _) = count(&[What::Unprotected]);
    let would = if dry_run { "would be " } else { "" };
    line(format_args!("{} names looked at", report.names))?;
    line(format_args!(
        "{removed:>9} left-overs {would}removed, {} {would}freed",
        bytes(freed)
    ))?;
    if protected > 0 {
        line(format_args!(
            "{protected:>9} shared files {would}protected again"
        ))?;
    }
    if let (lone @ 1.., _) = count(&[What::Lone]) {
        line(format_args!(
            "{lone:>9} files that nobody shares {would}made ordinary"
        ))?;
    }
    for (what, why) in [
        (What::InUse, "in use by a tool at work"),
        (What::Foreign, "other files with such a name"),
    ] {
        if let (left @ 1.., _) = count(&[what]) {
            line(format_args!("{left:>9} left: {why}"))?;
        }
    }
    Ok(())
}

/// Says what is found, and on a terminal how far it is.
struct Watcher {
    bar: ProgressBar,
    dry_run: bool,
    quiet: bool,
}

impl Watcher {
    fn new(dry_run: bool, quiet: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {pos} names looked at");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self {
            bar,
            dry_run,
            quiet,
        }
    }
}

impl Progress for Watcher {
    fn looked_at(&self) {
        self.bar.inc(1);
    }

    fn found(&self, found: &Found) {
        if self.quiet {
            return;
        }
        let what = match (found.what, self.dry_run) {
            (What::Copy | What::Link | What::Tree, false) => "removed",
            (What::Copy | What::Link | What::Tree, true) => "left over",
            (What::Unprotected, false) => "protected again",
            (What::Unprotected, true) => "shared, but not protected",
            (What::Lone, false) => "made ordinary",
            (What::Lone, true) => "protected, but not shared",
            (What::InUse, _) => "in use",
            (What::Foreign, _) => "not ours, left alone",
        };
        self.bar
            .suspend(|| eprintln!("{}: {what}", found.path.display()));
    }

    fn failed(&self, message: &str) {
        self.bar.suspend(|| eprintln!("vserver: {message}"));
    }
}
