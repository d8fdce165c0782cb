// SPDX-License-Identifier: GPL-2.0

//! Breaking the link of a unified file: whoever may modify it gets a copy under that name.
//!
//! The copy is made without a name, complete and flushed, and then takes the name of the original
//! in one step under the directory's lock. Whatever fails before leaves nothing behind, and every
//! crash leaves the old or the new file. All is done with the credentials of the file's owner, so
//! the copy counts against his quota, and the caller needs no right that the operation itself
//! does not need.
//!
//! Two things can be in the way besides errors:
//! - The name is gone from this inode. If somebody else broke the link, or gave the name to an
//!   equal file, we go on with that;
//!   else the operation fails with `ESTALE`, on which path lookup tries again.
//! - The name can't be replaced: it is a mount of a single file, a mount point somewhere, or
//!   nothing that the caller's root leads to.

use crate::{
    debris,
    take_name::{patiently, take_name},
};
use kernel::{
    pr_warn_once,
    prelude::*,
    vfs::{
        breaking::Breaking,
        copy::{OpenFile, TempFile},
        cred::OwnerCred,
        replace::{Delegation, LockedDir},
        Inode, Path,
    },
    vserver::trace::How,
};

/// Makes the file at `path` an ordinary one: the path then names the private copy, or the same
/// inode if nobody shares it any more.
///
/// A copy has only the first `keep` bytes, to which the caller truncates the file next. So what a
/// crash leaves under the name is the old file or what was asked for.
///
/// The caller itself has the file open for reading `readers` times.
///
/// Returns how, or `None` if somebody else was quicker.
///
/// # Errors
///
/// Name and inode are as before:
/// - `ESTALE`: the name is not this inode's any more.
/// - `EBUSY`: something is mounted on the name, or only this file is mounted.
/// - `EPERM`: the name or its directory can't be changed, or not by this caller.
/// - `EINTR`: the caller is being killed.
/// - `ERESTARTSYS`: so it is, or a signal came while it waited for a lease.
/// - `EROFS`, `ENOSPC`, `EDQUOT`, `EIO` and the like of the file system.
pub(crate) fn break_link(path: &mut Path, keep: i64, readers: u8) -> Result<Option<How>> {
    patiently(|delegation| try_break(path, keep, readers, delegation))
}

/// One attempt, as [`patiently`] wants it: what [`break_link`] returns, or `None` if the name leads
/// elsewhere, as `path` may do now.
fn try_break(
    path: &mut Path,
    keep: i64,
    readers: u8,
    delegation: &mut Delegation,
) -> Result<Option<Option<How>>> {
    if !path.inode().is_unified() {
        return Ok(Some(None));
    }
    // Holds the inode when `path` already names another.
    let old = path.clone();
    let _renewal = old.begin_renewal()?;
    let breaking = begin_breaking(old.inode())?;

    // The previous one may have been quicker.
    if !old.inode().is_unified() {
        return Ok(Some(None));
    }
    if breaking.is_alone()
        && old
            .want_write()
            .and_then(|write| old.clear_last(&write, readers))?
    {
        sweep_beside(&old);
        return Ok(Some(Some(How::Clear)));
    }
    check_replaceable(&old)?;
    let dir = old.parent();
    if let Some(successor) = successor(&old, &dir)? {
        *path = successor;
        return Ok(None);
    }
    match replace(&old, &dir, keep, delegation) {
        Ok((copy, how)) => {
            *path = copy;
            Ok(Some(Some(how)))
        }
        // A directory that has gone with the name takes no copies, and one that the name has left is
        // not where it is. The next look tells.
        Err(_) if old.is_unhashed() || !old.parent().inode().is_same(dir.inode()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes debris beside a file that needed no copy, if the way to it leads through its directory.
fn sweep_beside(path: &Path) {
    if check_replaceable(path).is_err() || path.is_unhashed() {
        return;
    }
    if let Ok(cred) = OwnerCred::new(path) {
        debris::sweep(&path.parent(), path, &cred);
    }
}

/// Alone with the inode if it may have to become an ordinary one in place: it has no name that
/// another file could take, or just one, and nobody copies it.
fn begin_breaking(inode: &Inode) -> Result<Breaking<'_>> {
    match inode.nlink() {
        0 => inode.begin_breaking(true),
        1 => inode
            .try_breaking()
            .map_or_else(|| inode.begin_breaking(false), Ok),
        _ => inode.begin_breaking(false),
    }
}

/// Decides what shows before anything is tried: whether the file at `path` could be made an ordinary
/// one.
///
/// # Errors
///
/// As [`break_link`].
pub(crate) fn check_breakable(path: &Path) -> Result {
    let dir = path.parent();
    let checked = check_replaceable(path)
        .and_then(|()| check_directory(&dir))
        .and_then(|()| check_name(path, &dir));

    match checked {
        Err(_) if path.may_clear_last() => Ok(()),
        checked => checked,
    }
}

/// Decides what no look at the directory is needed for: whether another file may have the name of
/// `path`.
///
/// # Errors
///
/// As [`break_link`].
pub(crate) fn check_replaceable(path: &Path) -> Result {
    let inode = path.inode();

    if path.is_mount_root() || path.is_mountpoint() {
        return Err(EBUSY);
    }
    if path.is_disconnected() || inode.is_verity() {
        return Err(EPERM);
    }
    if path.is_unhashed() {
        // To be found by name, or stale: under no root either way.
        return Ok(());
    }
    if !path.is_reachable() {
        return Err(EPERM);
    }
    Ok(())
}

/// Whether names may be replaced in a directory at all.
fn check_directory(dir: &Path) -> Result {
    if dir.inode().is_fixed() {
        return Err(EPERM);
    }
    Ok(())
}

/// Whether the name of `path` leads to the file, or to what stands for it: as far as that can be told
/// while somebody else may be breaking links.
fn check_name(path: &Path, dir: &Path) -> Result {
    if !path.is_unhashed() {
        return Ok(());
    }
    if !dir.is_reachable() {
        return Err(EPERM);
    }
    match path.lookup_again() {
        Err(e) if e != ENOENT => Err(e),
        Ok(found) if found.inode().is_some_and(|it| it.stands_for(path.inode())) => Ok(()),
        _ => Err(ESTALE),
    }
}

/// If the name has gone from `old`: what it names now, if that stands for `old`.
///
/// Anything else that has the name now is another file, which the caller's descriptor or path
/// never meant and for which nothing was permitted.
fn successor(old: &Path, dir: &Path) -> Result<Option<Path>> {
    if !old.is_unhashed() {
        return Ok(None);
    }
    let write = old.want_write()?;
    let dir = LockedDir::lock(dir, &write)?;
    let found = match dir.lookup_name_of(old) {
        // The directory is gone too.
        Err(e) if e == ENOENT => return Err(ESTALE),
        found => found?,
    };

    match found.inode() {
        Some(inode) if inode.stands_for(old.inode()) => {
            let path = dir.path(found)?;
            // The name may be another guest's.
            if path.is_reachable() {
                Ok(Some(path))
            } else {
                Err(EPERM)
            }
        }
        _ => Err(ESTALE),
    }
}

/// Copies the file and lets the copy take the name.
fn replace(old: &Path, dir: &Path, keep: i64, delegation: &mut Delegation) -> Result<(Path, How)> {
    let inode = old.inode();
    check_directory(dir)?;

    let cred = OwnerCred::new(old)?;
    debris::sweep(dir, old, &cred);
    // Write access is not held while data is copied: who freezes the file system waits for it.
    let (mut copy, other_project) = {
        let write = old.want_write()?;
        cred.run(|| {
            let copy = TempFile::new(dir, &cred, &write)?;
            copy.copy_owner(old, &write)?;
            let other_project = copy.copy_fsflags(old, false, &write)?;
            Ok::<_, Error>((copy, other_project))
        })?
    };
    let size = inode.size().min(keep);
    let mut how = How::Copy;
    if size > 0 {
        let mut from = cred.run(|| OpenFile::read(old, &cred))?;
        if copy.copy_content(&mut from, size, &cred)? {
            how = How::Clone;
        }
        copy.path().flush()?;
    }
    // Who executes the file as soon as it has the name must find no writer.
    let copy = copy.close();

    let write = old.want_write()?;
    cred.run(|| {
        copy.copy_metadata(old, &write)?;
        copy.mark_copy_of(inode);
        let new = take_name(old, dir, copy.path(), &write, delegation)?;
        // A directory that hands down its project id takes no file of another one, but the
        // original may have come by it otherwise.
        if other_project {
            if let Err(e) = copy.copy_fsflags(old, true, &write) {
                pr_warn_once!("project id of a copy not set: {e:?}\n");
            }
        }
        Ok((new, how))
    })
}
