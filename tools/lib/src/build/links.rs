// SPDX-License-Identifier: GPL-2.0
//! The tree of a hashified guest made anew by links.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Progress;
use crate::attr::{self, Attributes};
use crate::clone;
use crate::config::Guest;
use crate::error::Result;
use crate::exclude::Excludes;
use crate::unify::{self, Reason};

/// Why the tree `from` can't be made anew at `to` by links; nothing if its files are shared already,
/// and the kernel lets us share more.
pub(super) fn obstacle(from: &Path, to: &Path) -> Option<String> {
    let device = |path: &Path| path.metadata().map(|meta| meta.dev()).ok();
    let above = to.parent().and_then(device);
    if above.is_none() || above != device(from) {
        let (from, to) = (from.display(), to.display());
        return Some(format!("{from} is on another file system than {to}"));
    }
    if !clone::is_hashified(from) {
        return Some(format!(
            "vserver hashify has not shared files of {} yet, or with a pool that is not found: a \
             link in /etc/vserver/pools has to lead to it",
            from.display()
        ));
    }
    attr::check_usable().err().map(|e| e.to_string())
}

/// Does so; what `hashify` leaves alone in the guest is copied.
pub(super) fn tree(
    from: &Path,
    to: &Path,
    guest: &Guest,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<()> {
    progress.begin("linking", None);
    let mut excludes = Excludes::default();
    excludes.add_own(guest);
    excludes.add_defaults();
    let names = Names::default();
    clone::links(from, to, &excludes, attributes, &names)?;
    progress.advance(names.0.into_inner());
    Ok(())
}

/// Counts the names that were made.
#[derive(Default)]
pub(super) struct Names(AtomicU64);

impl unify::Progress for Names {
    fn scanned(&self, names: u64) {
        self.0.fetch_add(names, Ordering::Relaxed);
    }
    fn planned(&self, _: u64) {}
    fn done(&self, _: u64) {}
    fn skipped(&self, _: &Path, _: Reason) {}
    fn failed(&self, _: &str) {}
}
