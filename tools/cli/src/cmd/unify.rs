// SPDX-License-Identifier: GPL-2.0
//! `vserver unify`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use vserver::unify::{self, Options, Reason, Report};

use super::trees::{Outcome, excludes, means};
use crate::args::{Cli, Unify};
use crate::exit;
use crate::output::{self, bytes, line};
use crate::progress::Bar;

/// `vserver unify`
pub(crate) fn unify(args: Unify, json: bool) -> anyhow::Result<ExitCode> {
    let reference = args.reference.is_some();
    let trees: Vec<_> = args.reference.into_iter().chain(args.tree).collect();
    if trees.len() < 2 {
        let alone = "two of <TREE> are required: one alone has nothing to share but by hashify";
        Cli::command().error(ErrorKind::TooFewValues, alone).exit();
    }
    let (attributes, _alone) = means(args.dry_run)?;
    let (excludes, own_excludes) = excludes(&args.exclude, &trees)?;
    let options = Options {
        trees,
        reference,
        excludes,
        own_excludes,
        dry_run: args.dry_run,
        keep_times: args.keep_times,
    };
    let bar = Bar::new(args.verbose);
    let report = unify::unify(&options, attributes, &bar);
    bar.clear();
    let report = report?;
    match json {
        true => output::json(&Outcome {
            trees: options
                .trees
                .iter()
                .map(|t| t.display().to_string())
                .collect(),
            dry_run: options.dry_run,
            left_out: Vec::new(),
            report: &report,
        })?,
        false => print(options.trees.len(), options.dry_run, &report)?,
    }
    Ok(exit::of_files(report.failed(), report.no_space))
}

/// Says what came of the files of so many trees.
pub(super) fn print(trees: usize, dry_run: bool, report: &Report) -> anyhow::Result<()> {
    let (done, freed) = match dry_run {
        true => ("would be shared", "would be freed"),
        false => ("shared now", "freed"),
    };
    let Report {
        shared,
        already_shared,
        ..
    } = report;
    line(format_args!("{trees} trees, {} files", report.files))?;
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
    if report.released > 0 {
        line(format_args!(
            "{:>9} protected though nobody shared them, ordinary files again",
            report.released
        ))?;
    }
    if report.protected > 0 {
        let would = if dry_run {
            "would be protected"
        } else {
            "protected now"
        };
        line(format_args!(
            "{:>9} had one file in several trees without protection, {would}",
            report.protected
        ))?;
    }
    for path in &report.unprotected {
        eprintln!("vserver: {}: hard link, unprotected", path.display());
    }
    if !report.unprotected.is_empty() {
        eprintln!(
            "vserver: who writes to one of these files writes to all its names, also outside of \
             these trees: name those trees, too, or give this one files of its own with cp -a"
        );
    }
    if report.skipped.contains_key(&Reason::Unsupported) {
        eprintln!(
            "vserver: a file system here cannot have unified files: put the trees on ext4, xfs, \
             btrfs, f2fs or tmpfs"
        );
    }
    Ok(())
}
