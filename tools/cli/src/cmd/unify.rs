// SPDX-License-Identifier: GPL-2.0
//! `vserver unify`.

use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use vserver::attr::{self, Attributes};
use vserver::exclude::Excludes;
use vserver::unify::{self, Alone, Options, Progress, Reason, Report};

use crate::args::Unify;
use crate::output::{self, bytes, line};

/// What `--json` prints.
#[derive(Serialize)]
struct Outcome<'a> {
    trees: Vec<String>,
    dry_run: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// `vserver unify`
pub(crate) fn unify(args: Unify, json: bool) -> anyhow::Result<ExitCode> {
    let (attributes, _alone): (&dyn Attributes, _) = match args.dry_run {
        true => (attr::best(), None),
        false => {
            attr::check_usable()?;
            (&attr::Kernel, Some(Alone::new()?))
        }
    };
    let mut excludes = Excludes::default();
    args.exclude
        .iter()
        .for_each(|rule| excludes.add(rule.as_bytes()));
    for path in &args.exclude_from {
        excludes.add_file(path)?;
    }
    if !args.no_default_excludes {
        excludes.add_defaults();
    }
    let options = Options {
        trees: args.tree,
        excludes,
        dry_run: args.dry_run,
        keep_times: args.keep_times,
    };
    let bar = Bar::new(args.verbose);
    let report = unify::unify(&options, attributes, &bar)?;
    bar.bar.finish_and_clear();
    match json {
        true => output::json(&Outcome {
            trees: options
                .trees
                .iter()
                .map(|t| t.display().to_string())
                .collect(),
            dry_run: options.dry_run,
            report: &report,
        })?,
        false => print(&options, &report)?,
    }
    Ok(match report.failed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn print(options: &Options, report: &Report) -> anyhow::Result<()> {
    let (done, freed) = match options.dry_run {
        true => ("would be shared", "would be freed"),
        false => ("shared now", "freed"),
    };
    let Report {
        shared,
        already_shared,
        ..
    } = report;
    line(format_args!(
        "{} trees, {} files",
        options.trees.len(),
        report.files
    ))?;
    line(format_args!(
        "{:>9} {done}, {} {freed}",
        shared.files,
        bytes(shared.bytes)
    ))?;
    if already_shared.files > 0 {
        let saved = bytes(already_shared.bytes);
        line(format_args!(
            "{:>9} shared before, {saved} saved",
            already_shared.files
        ))?;
    }
    for (reason, amount) in &report.skipped {
        line(format_args!(
            "{:>9} left: {reason} ({})",
            amount.files,
            bytes(amount.bytes)
        ))?;
    }
    if report.cleaned > 0 {
        line(format_args!(
            "{:>9} left-overs of an interrupted run removed",
            report.cleaned
        ))?;
    }
    if report.skipped.contains_key(&Reason::Unsupported) {
        eprintln!(
            "vserver: a file system here cannot have unified files: put the trees on ext4, xfs or \
             btrfs that the kernel's vserver supports"
        );
    }
    Ok(())
}

/// Shows how far it is, on a terminal.
struct Bar {
    bar: ProgressBar,
    verbose: bool,
}

impl Bar {
    fn new(verbose: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar.set_message("names looked at");
        bar.set_style(style("{spinner} {pos} {msg}"));
        Self { bar, verbose }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn scanned(&self, names: u64) {
        self.bar.inc(names);
    }

    fn planned(&self, files: u64) {
        self.bar
            .set_style(style("{bar:30} {pos}/{len} {msg}, {eta} left"));
        self.bar.set_message("files compared");
        self.bar.set_length(files);
        self.bar.set_position(0);
        self.bar.reset_eta();
    }

    fn done(&self, files: u64) {
        self.bar.inc(files);
    }

    fn skipped(&self, path: &Path, reason: Reason) {
        if self.verbose {
            self.bar
                .suspend(|| eprintln!("{}: {reason}", path.display()));
        }
    }

    fn failed(&self, message: &str) {
        self.bar.suspend(|| eprintln!("vserver: {message}"));
    }
}
