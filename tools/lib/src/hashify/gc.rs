// SPDX-License-Identifier: GPL-2.0
//! Entries of the pool to which no file of a guest leads any more.

use rustix::io::Errno;
use serde::Serialize;

use super::key::Hash;
use super::pool::Pool;
use super::trees;
use crate::error::{Error, Result};
use crate::unify::disk_bytes;

/// What was removed from a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Entries.
    pub entries: u64,
    /// What they took on disk.
    pub bytes: u64,
}

/// Removes all entries of a pool that have no other name, or only counts them. No run may be at work: see
/// [`Alone`](crate::unify::Alone).
pub fn gc(pool: &Pool, dry_run: bool) -> Result<Collected> {
    if !dry_run {
        trees::check_directory_writable(&pool.fd, &pool.path)?;
    }
    let mut collected = Collected::default();
    for (hash, _) in pool.entries()? {
        collect(pool, &hash, dry_run, &mut collected)
            .map_err(|e| Error::file("remove", &pool.path_of(&hash), e))?;
    }
    Ok(collected)
}

/// Removes an entry if it has no other name. Nobody but a run can give it one.
pub(super) fn collect(
    pool: &Pool,
    hash: &Hash,
    dry_run: bool,
    collected: &mut Collected,
) -> Result<(), Errno> {
    let stat = match pool.stat(hash) {
        Err(Errno::NOENT) => return Ok(()),
        stat => stat?,
    };
    if stat.st_nlink == 1 {
        if !dry_run {
            pool.remove(hash)?;
        }
        collected.entries += 1;
        collected.bytes += disk_bytes(&stat);
    }
    Ok(())
}
