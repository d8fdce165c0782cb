// SPDX-License-Identifier: GPL-2.0
//! What the commands that let trees share files have in common.

use serde::Serialize;
use vserver::attr::{self, Attributes};
use vserver::exclude::Excludes;
use vserver::unify::Alone;

use crate::args::Exclude;

/// What `--json` prints of a run.
#[derive(Serialize)]
pub(super) struct Outcome<'a, R> {
    pub(super) trees: Vec<String>,
    pub(super) dry_run: bool,
    /// Why guests were left out, of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<String>,
    #[serde(flatten)]
    pub(super) report: &'a R,
}

/// What to change files with, and the proof that nobody else does; a dry run takes what there is.
pub(super) fn means(dry_run: bool) -> anyhow::Result<(&'static dyn Attributes, Option<Alone>)> {
    if dry_run {
        return Ok((attr::best(), None));
    }
    attr::check_usable()?;
    Ok((&attr::Kernel, Some(Alone::new()?)))
}

/// The patterns that the arguments name.
pub(super) fn excludes(args: &Exclude) -> anyhow::Result<Excludes> {
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
    Ok(excludes)
}
