// SPDX-License-Identifier: GPL-2.0

//! Unifying a file: its name leads to the inode of an equal one from then on.
//!
//! Whether they are equal is for the caller to say, who made both unified before he compared them.
//! Here is what no caller could do: to look whether the name still leads to that file, and whether
//! both still stand still, and to give it to the other in the same step. Nobody who opens the name
//! for writing meanwhile can write to a file that is about to lose it.

use crate::{
    cow, debris,
    take_name::{patiently, take_name},
};
use kernel::{
    prelude::*,
    vfs::{cred::OwnerCred, replace::Delegation, Path},
};

/// Gives the name of the unified file `old` to the unified file `new`.
///
/// # Errors
///
/// Names and inodes are as before:
/// - `ESTALE`: `old` is no unified file, or has lost the name.
/// - `ENOENT`: `new` is no unified file, or has no name left.
/// - `EXDEV`: they are on different file systems, or in parts of one between which there can be no
///   links. `EMLINK`: `new` has as many names as it can have.
/// - `EINVAL`: they are one file.
/// - Those of [`cow::break_link`].
pub(crate) fn unify(old: &Path, new: &Path) -> Result {
    if old.inode().is_same(new.inode()) {
        return Err(EINVAL);
    }
    if !old.inode().shares_disk(new.inode()) {
        return Err(EXDEV);
    }
    patiently(|delegation| try_unify(old, new, delegation).map(Some))
}

/// One attempt, as [`patiently`] wants it.
fn try_unify(old: &Path, new: &Path, delegation: &mut Delegation) -> Result {
    let (first, second) = old.inode().in_order(new.inode());
    // Others may break links to the new one meanwhile.
    let _first = first.begin_breaking(first.is_same(old.inode()))?;
    // Nobody changes the attributes of either any more.
    let _second = second.begin_breaking(second.is_same(old.inode()))?;

    if !old.inode().is_unified() || old.is_unhashed() {
        return Err(ESTALE);
    }
    if !new.inode().is_unified() {
        return Err(ENOENT);
    }
    cow::check_replaceable(old)?;
    let dir = old.parent();
    if dir.inode().is_fixed() {
        return Err(EPERM);
    }
    let cred = OwnerCred::new(old)?;
    debris::sweep(&dir, old, &cred);
    // The name may be on the disk with its content, and never comes back with less.
    cred.run(|| new.flush())?;

    let write = old.want_write()?;
    cred.run(|| take_name(old, &dir, new, &write, delegation))?;
    Ok(())
}
