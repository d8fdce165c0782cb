// SPDX-License-Identifier: GPL-2.0
//! `vserver clone`.

use std::process::ExitCode;

use vserver::attr;
use vserver::clone;
use vserver::unify::Alone;

use crate::args::Clone;
use crate::output::{self, bytes, line, time};
use crate::progress::Bar;

/// `vserver clone`
pub(crate) fn clone(args: &Clone, json: bool) -> anyhow::Result<ExitCode> {
    attr::check_usable()?;
    let from = std::slice::from_ref(&args.from);
    let (usual, own) = super::trees::excludes(&args.exclude, from)?;
    let excludes = own.into_values().next().unwrap_or(usual);
    let _alone = Alone::new()?;
    let bar = Bar::new(false);
    let report = clone::clone(&args.from, &args.to, &excludes, &attr::Kernel, &bar);
    bar.clear();
    let report = report?;
    match json {
        true => output::json(&report)?,
        false => line(format_args!(
            "{} files linked, {} copied ({}), {} directories, {} others, took {}",
            report.linked,
            report.copied.files,
            bytes(report.copied.bytes),
            report.directories,
            report.others,
            time(report.msec)
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
