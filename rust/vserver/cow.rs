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
//! - The name is gone from this inode. If somebody else broke the link, we go on with his copy;
//!   else the operation fails with `ESTALE`, on which path lookup tries again.
//! - The name can't be replaced: it is a mount of a single file, a mount point somewhere, or
//!   nothing that the caller's root leads to.

use crate::debris;
use kernel::{
    pr_warn_once,
    prelude::*,
    vfs::{
        copy::{OpenFile, TempFile, Unnamed},
        cred::OwnerCred,
        replace::{Delegation, Dentry, LockedDir},
        Path, WriteAccess,
    },
    vserver::trace::How,
};

/// How often the name is looked at again when others replace it all the time.
const RETRIES: u32 = 16;

/// How many temporary names are tried: one that nobody can know is hardly ever taken.
const TEMP_NAMES: u32 = 4;

/// Makes the file at `path` an ordinary one: the path then names the private copy, or the same
/// inode if nobody shares it any more.
///
/// A copy has only the first `keep` bytes, to which the caller truncates the file next. So what a
/// crash leaves under the name is the old file or what was asked for.
///
/// Returns how, or `None` if somebody else was quicker.
///
/// # Errors
///
/// Name and inode are as before:
/// - `ESTALE`: the name is not this inode's any more.
/// - `EBUSY`: something is mounted on the name, or only this file is mounted.
/// - `EPERM`: the name or its directory can't be changed, or not by this caller.
/// - `EINTR`, `ERESTARTSYS`: the caller is being killed.
/// - `EROFS`, `ENOSPC`, `EDQUOT`, `EIO` and the like of the file system.
pub(crate) fn break_link(path: &mut Path, keep: i64) -> Result<Option<How>> {
    for _ in 0..RETRIES {
        if !path.inode().is_unified() {
            return Ok(None);
        }
        // Holds the inode when `path` already names another.
        let old = path.clone();
        let _breaking = old.inode().begin_breaking()?;

        // The previous one may have been quicker.
        if !old.inode().is_unified() {
            return Ok(None);
        }
        if old.want_write().and_then(|write| old.clear_last(&write))? {
            return Ok(Some(How::Clear));
        }
        check_replaceable(&old)?;
        let dir = old.parent();
        if let Some(successor) = successor(&old, &dir)? {
            *path = successor;
            continue;
        }
        match replace(&old, &dir, keep) {
            Ok(Some((copy, how))) => {
                *path = copy;
                return Ok(Some(how));
            }
            Ok(None) => {}
            // A directory that has gone with the name takes no copies. The next look tells.
            Err(_) if old.is_unhashed() => {}
            Err(e) => return Err(e),
        }
    }
    Err(ESTALE)
}

/// Decides what no look at the directory is needed for.
fn check_replaceable(path: &Path) -> Result {
    let inode = path.inode();

    if path.is_mount_root() || path.is_mountpoint() {
        return Err(EBUSY);
    }
    if path.is_disconnected() || inode.is_verity() {
        return Err(EPERM);
    }
    if inode.is_swapfile() {
        return Err(ETXTBSY);
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

/// If the name has gone from `old`: what it names now, if that is a copy of `old`.
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
        Some(inode) if inode.is_copy_of(old.inode()) => {
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

/// Copies the file and lets the copy take the name. `None` if that is to be tried again.
fn replace(old: &Path, dir: &Path, keep: i64) -> Result<Option<(Path, How)>> {
    let inode = old.inode();
    if dir.inode().is_fixed() {
        return Err(EPERM);
    }

    let cred = OwnerCred::new(inode)?;
    debris::sweep(dir, old, &cred);
    // Write access is not held while data is copied: who freezes the file system waits for it.
    let (mut copy, other_project) = {
        let write = old.want_write()?;
        cred.run(|| {
            let copy = TempFile::new(dir, &cred, &write)?;
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
        copy.flush()?;
    }
    // Who executes the file as soon as it has the name must find no writer.
    let copy = copy.close();

    let write = old.want_write()?;
    cred.run(|| {
        copy.copy_metadata(old, &write)?;
        copy.mark_copy_of(inode);
        let new = take_name(old, dir, &copy, &cred, &write)?;
        // A directory that hands down its project id takes no file of another one, but the
        // original may have come by it otherwise.
        if other_project {
            if let Err(e) = copy.copy_fsflags(old, true, &write) {
                pr_warn_once!("project id of a copy not set: {e:?}\n");
            }
        }
        Ok(new.map(|path| (path, how)))
    })
}

/// Gives the copy the name. `None` if somebody's lease was in the way, and is not any more: the
/// copy may have had a name and lost it, and such a file can't be linked again.
fn take_name(
    old: &Path,
    dir: &Path,
    copy: &Unnamed,
    cred: &OwnerCred,
    write: &WriteAccess,
) -> Result<Option<Path>> {
    let mut delegation = Delegation::new();

    match link_and_rename(old, dir, copy, cred, write, &mut delegation) {
        Ok(path) => Ok(Some(path)),
        Err(e) => {
            if delegation.wait()? {
                Ok(None)
            } else {
                Err(e)
            }
        }
    }
}

/// Links the copy beside the name and renames it over, under one lock of the directory. Whoever
/// locks the directory too never sees the other name, and nobody can look for it; a crash between
/// the two leaves it behind, to be swept away. On btrfs they wait for a flush of the disk.
fn link_and_rename(
    old: &Path,
    dir: &Path,
    copy: &Unnamed,
    cred: &OwnerCred,
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
    let temp = temp_name(&dir, copy)?;
    dir.link(copy, &temp, delegation)?;
    let renamed = if copy.inode().names_come_first() {
        // Not before it has a name: without one the file system logs nothing.
        copy.sync(cred)
    } else {
        Ok(())
    }
    .and_then(|()| dir.rename_over(&temp, old, delegation));
    if let Err(e) = renamed {
        // If a lease is in the way of this too, the next attempt sweeps the name away. There is
        // one as soon as a lease has been waited for, and whichever comes first will do.
        let mut other = Delegation::new();
        if dir.unlink(&temp, &mut other).is_err() {
            dir.inode().sweep_again();
            if !delegation.is_some() {
                *delegation = other;
            }
        }
        return Err(e);
    }
    dir.path(temp)
}

/// A name for the copy that no file has.
fn temp_name(dir: &LockedDir<'_>, copy: &Unnamed) -> Result<Dentry> {
    for _ in 0..TEMP_NAMES {
        let name = debris::temp_name(copy.inode())?;
        let temp = dir.lookup(name.to_bytes())?;
        if temp.inode().is_none() {
            return Ok(temp);
        }
    }
    Err(EEXIST)
}
