// SPDX-License-Identifier: GPL-2.0

//! How a file takes the name of a unified one: in one step under the directory's lock.

use crate::debris;
use kernel::{
    prelude::*,
    vfs::{
        replace::{Delegation, Dentry, LockedDir},
        Path, WriteAccess,
    },
};

/// How many temporary names are tried: one that nobody can know is hardly ever taken.
const TEMP_NAMES: u32 = 4;

/// How often it is tried when others replace the name, or have leases, all the time.
const RETRIES: u32 = 16;

/// Tries until there is an outcome: again after `None`, and after a failure that leaves a lease in
/// the delegation, which is empty at first. The lease is waited for when the attempt holds nothing
/// any more.
///
/// # Errors
///
/// Those of `attempt`. `ESTALE`: it was tried too often. `ERESTARTSYS`: a signal came first.
pub(crate) fn patiently<T>(
    mut attempt: impl FnMut(&mut Delegation) -> Result<Option<T>>,
) -> Result<T> {
    for _ in 0..RETRIES {
        let mut delegation = Delegation::new();
        match attempt(&mut delegation) {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {}
            Err(e) => {
                if !delegation.wait()? {
                    return Err(e);
                }
            }
        }
    }
    Err(ESTALE)
}

/// Gives the file `new` the name of the unified file `old` in the directory `dir`. To be run as the
/// owner of `old`, which stays unified meanwhile.
///
/// `new` is linked beside the name and renamed over it, under one lock of the directory. Whoever
/// locks the directory too never sees the other name, and nobody can look for it; a crash between
/// the two leaves it behind, to be swept away.
///
/// # Errors
///
/// Names and inodes are as before:
/// - `ESTALE`: `old` has not this name any more, or is no unified file.
/// - `EBUSY`: something is mounted on the name. `EPERM`: the directory can't be changed.
/// - Those of `link(2)` and `rename(2)`.
///
/// If `delegation`, which must be none before, is then filled, another attempt may succeed after
/// waiting for it, with nothing held. A file that was made without a name may have had one and lost
/// it, and such a file can't be linked again.
pub(crate) fn take_name(
    old: &Path,
    dir: &Path,
    new: &Path,
    write: &WriteAccess,
    delegation: &mut Delegation,
) -> Result<Path> {
    let dir = LockedDir::lock(dir, write)?;

    if !dir.is_parent_of(old) || old.is_unhashed() || !old.inode().is_unified() {
        return Err(ESTALE);
    }
    // Nothing can be removed from an append-only directory: not the temporary name either.
    if dir.inode().is_fixed() {
        return Err(EPERM);
    }
    // Mounts don't take the directory's lock.
    let _denied = dir.deny_mount(old)?;
    let temp = temp_name(&dir, new)?;
    dir.link(new, &temp, delegation)?;
    if let Err(e) = dir.rename_over(&temp, old, delegation) {
        // If a lease is in the way of this too, the next attempt sweeps the name away. There is
        // one as soon as a lease has been waited for, and whichever comes first will do.
        let mut other = Delegation::new();
        if dir.unlink(temp, &mut other).is_err() {
            dir.inode().sweep_again();
            if !delegation.is_some() {
                *delegation = other;
            }
        }
        return Err(e);
    }
    old.inode().mark_replaced(new.inode());
    dir.path(temp)
}

/// A name for `file` that no file has.
fn temp_name(dir: &LockedDir<'_>, file: &Path) -> Result<Dentry> {
    for _ in 0..TEMP_NAMES {
        let name = debris::temp_name(file.inode())?;
        let temp = dir.lookup(name.to_bytes())?;
        if temp.inode().is_none() {
            return Ok(temp);
        }
    }
    Err(EEXIST)
}
