// SPDX-License-Identifier: GPL-2.0
//! What `unhashify` would do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::undo::{OPTIONS, Pooled, Undone};
use crate::attr::Attributes;
use crate::deunify::{self, Done};
use crate::error::Result;
use crate::replace::Inode;
use crate::unify::Progress;
use crate::walk::{Entry, walk};

/// Says what [`unhashify`](super::unhashify) would do with these paths, and changes nothing.
pub fn would_unhashify(
    paths: &[PathBuf],
    pool: Option<&Path>,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Undone> {
    let (mut parted, mut undone) = (HashMap::new(), Undone::default());
    for path in paths {
        let pooled = Pooled::of(path, pool)?;
        for entry in walk(path, OPTIONS) {
            progress.done(1);
            let done = entry.and_then(|entry| would(&pooled, &mut parted, attributes, &entry));
            undone.note(done, progress);
        }
    }
    Ok(undone)
}

/// `parted`: how many names of an inode would have been given one of their own by now.
fn would(
    pooled: &Pooled,
    parted: &mut HashMap<Inode, u64>,
    attributes: &dyn Attributes,
    entry: &Entry,
) -> Result<Done> {
    let Some(stat) = deunify::unified(attributes, entry)? else {
        return Ok(Done::Nothing);
    };
    let parted = parted.entry((stat.st_dev, stat.st_ino)).or_default();
    let names = stat.st_nlink.saturating_sub(*parted);
    *parted += 1;
    // The pool's name would be taken first.
    Ok(match (names, pooled.has(stat.st_ino)) {
        (0 | 1, _) | (2, true) => Done::Cleared,
        _ => Done::Copied,
    })
}
