// SPDX-License-Identifier: GPL-2.0
//! What the commands that let trees share files have in common.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::Serialize;
use vserver::attr::{self, Attributes};
use vserver::config::{Guest, Store};
use vserver::exclude::{self, Excludes, Own};
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

/// The patterns that the arguments name, and the lists of those trees whose guests have patterns of
/// their own.
pub(super) fn excludes(args: &Exclude, trees: &[PathBuf]) -> anyhow::Result<(Excludes, Own)> {
    let mut named = Excludes::default();
    args.exclude
        .iter()
        .for_each(|rule| named.add(rule.as_bytes()));
    for path in &args.exclude_from {
        named.add_file(path)?;
    }
    let list = |guest: &Guest| {
        let mut list = named.clone();
        list.add_own(guest);
        if !args.no_default_excludes {
            list.add_defaults();
        }
        list
    };
    let own = exclude::own(&Store::system(), trees, list)?;
    Ok((list(&Guest::default()), own))
}
