// SPDX-License-Identifier: GPL-2.0

//! What a crash may leave behind: a temporary name.
//!
//! Between link and rename a file that is to have another's name has one that says whose it is, by
//! the number and the generation of its own inode: so a file that somebody else called so, restored
//! or copied is never taken for debris. The rest of the name is random, so nobody can keep names
//! taken.

use kernel::{
    prelude::*,
    str::CString,
    vfs::{
        cred::OwnerCred,
        readdir::for_each_name,
        replace::{Delegation, LockedDir},
        Inode, Path,
    },
    vserver::random_u32,
};

const PREFIX: &[u8] = b".vserver-cow-";

/// So much debris is removed at a time.
const MAX_NAMES: usize = 64;

/// A temporary name for the file `inode`.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn temp_name(inode: &Inode) -> Result<CString> {
    let (ino, generation) = (inode.ino(), inode.generation());
    let random = random_u32();

    CString::try_from_fmt(fmt!(
        ".vserver-cow-{ino:016x}-{generation:08x}-{random:08x}"
    ))
}

/// The inode number and generation in a temporary name.
fn parse(name: &[u8]) -> Option<(u64, u32)> {
    let rest = core::str::from_utf8(name.strip_prefix(PREFIX)?).ok()?;
    let mut parts = rest.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        if part.len() != digits || part.starts_with('+') {
            return None;
        }
        u64::from_str_radix(part, 16).ok()
    };
    let (ino, generation, _random) = (number(16)?, number(8)?, number(8)?);

    if parts.next().is_some() {
        return None;
    }
    Some((ino, u32::try_from(generation).ok()?))
}

/// Whether the file that has the name was to get another one: a private copy, or a unified file
/// that has more names.
fn is_debris(name: &[u8], inode: &Inode) -> bool {
    parse(name) == Some((inode.ino(), inode.generation()))
        && inode.is_regular()
        && (inode.nlink() == 1 || inode.is_unified())
}

/// Removes the debris in the directory `dir`, at the first break in it since its inode was loaded:
/// no crash can have been later. `file` is a file in it, by whose mount it is written to.
///
/// What can't be removed stays, and is tried again at the next break.
pub(crate) fn sweep(dir: &Path, file: &Path, cred: &OwnerCred) {
    if dir.inode().begin_sweep() && !matches!(cred.run(|| try_sweep(dir, file, cred)), Ok(true)) {
        dir.inode().sweep_again();
    }
}

/// Returns false if something is left to do.
fn try_sweep(dir: &Path, file: &Path, cred: &OwnerCred) -> Result<bool> {
    let mut names = KVec::new();
    let mut all = Ok(true);

    for_each_name(dir, cred, |name, ino| {
        // What others call so must not hide debris.
        if parse(name).is_some_and(|(own, _)| own == ino) {
            if names.len() == MAX_NAMES {
                all = Ok(false);
            } else if let Err(e) = copy_of(name).and_then(|n| Ok(names.push(n, GFP_KERNEL)?)) {
                all = Err(e);
            }
        }
        matches!(all, Ok(true))
    })?;
    if names.is_empty() {
        return all;
    }

    let write = file.want_write()?;
    let dir = LockedDir::lock(dir, &write)?;
    for name in &names {
        let found = dir.lookup(name)?;
        if found.inode().is_some_and(|inode| is_debris(name, inode)) {
            dir.unlink(found, &mut Delegation::new())?;
        }
    }
    all
}

fn copy_of(name: &[u8]) -> Result<KVec<u8>> {
    let mut copy = KVec::new();
    copy.extend_from_slice(name, GFP_KERNEL)?;
    Ok(copy)
}

#[kunit_tests(vserver_debris)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names() {
        let name = b".vserver-cow-00000000000004d2-89abcdef-00000001";
        assert_eq!(parse(name), Some((1234, 0x89ab_cdef)));
    }

    #[test]
    fn other_names() {
        for name in [
            &b""[..],
            b".vserver-cow-",
            b".vserver-cow-4d2-0",
            b".vserver-cow-00000000000004d2-89abcdef",
            b".vserver-cow-00000000000004d2-89abcdef-0000001",
            b".vserver-cow-00000000000004d2-89abcdef-00000001-",
            b".vserver-cow-00000000000004d2-89abcdeg-00000001",
            b".vserver-cow-+0000000000004d2-89abcdef-00000001",
            b"xvserver-cow-00000000000004d2-89abcdef-00000001",
            b".vserver-cow-00000000000004d2-89abcdef-\xff0000001",
        ] {
            assert_eq!(parse(name), None);
        }
    }
}
