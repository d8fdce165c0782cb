// SPDX-License-Identifier: GPL-2.0
//! Whoever does whatever to a unified file gets the answer and the result that a plain one gives:
//! the errno, and then content, owner, mode with its set-user-id bits, capabilities, ACLs, labels.
//! A refusal copies nothing.
//!
//! One exception is meant and not among the operations: `chown(-1, -1)`, which changes nothing and
//! is granted to everybody, is refused to who does not own the file: it would make a copy.

use super::operations;
use crate::namespace::{become_root_of_users, mount_with_ids, new_mounts};
use crate::sample::{ACL_ACCESS, CAPABILITY, owned, some_acl};
use crate::twin::{Op, Twin, Who};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, XattrFlags, setxattr};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::fs;
use std::path::Path;

/// By how much ids are shifted in user namespaces and idmapped mounts.
const SHIFT: u32 = 100_000;

/// A plain user's, who is in another group.
pub(super) fn users_file(a: &Path) -> Result<()> {
    dressed(a, USER, USER + 1, 0o6755)
}

/// One that a group may write.
fn groups_file(a: &Path) -> Result<()> {
    dressed(a, USER + 5, USER + 1, 0o6775)
}

/// One that everybody may write.
fn everybodys_file(a: &Path) -> Result<()> {
    dressed(a, 0, 0, 0o6666)
}

fn dressed(a: &Path, uid: u32, gid: u32, mode: u32) -> Result<()> {
    fs::write(a, CONTENT)?;
    // A change of owner takes capabilities away.
    owned(a, uid, gid, mode)?;
    for (name, value) in [
        (ACL_ACCESS, &some_acl()[..]),
        ("user.old", b"old"),
        ("trusted.old", b"old"),
        ("security.other", b"label"),
        ("security.capability", CAPABILITY),
    ] {
        setxattr(a, name, value, XattrFlags::empty()).context(name)?;
    }
    // The ACL has given the mode its group bits.
    Ok(rfs::chmod(a, Mode::from_raw_mode(mode))?)
}

/// One whose owner and group an idmapped mount does not show.
fn nobodys_file(a: &Path) -> Result<()> {
    dressed(a, SHIFT, SHIFT, 0o6777)
}

/// Tries everything on files that `make` makes.
pub(super) fn compare(name: &str, make: fn(&Path) -> Result<()>, who: Who) -> Result<()> {
    let mut last: Option<Twin> = None;
    for (what, op) in operations::ALL {
        let twin = match last.take() {
            Some(twin) if twin.untouched()? => twin,
            used => {
                drop(used);
                Twin::with(name, make)?
            }
        };
        twin.same(who, *op).with_context(|| (*what).to_owned())?;
        last = Some(twin);
    }
    Ok(())
}

pub(super) fn here(become_them: fn() -> Result<()>) -> Who {
    Who {
        become_them,
        sees: None,
    }
}

fn become_ids(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: these touch no memory; the process has one thread.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0
            && libc::setgid(gid) == 0
            && libc::setuid(uid) == 0
    };
    ensure!(done, "setuid");
    Ok(())
}

pub(super) fn drop_capabilities(which: CapabilitySet) -> Result<()> {
    let mut sets = capabilities(None)?;
    sets.effective.remove(which);
    sets.permitted.remove(which);
    sets.inheritable.remove(which);
    Ok(set_capabilities(None, sets)?)
}

pub(super) fn as_root() -> Result<()> {
    compare("root", users_file, here(|| Ok(())))
}

/// A write takes the set-user-id bits away only without this capability.
pub(super) fn as_root_without_fsetid() -> Result<()> {
    let who = here(|| drop_capabilities(CapabilitySet::FSETID));
    compare("fsetid", users_file, who)
}

pub(super) fn as_root_without_capabilities() -> Result<()> {
    let who = here(|| drop_capabilities(CapabilitySet::all()));
    compare("nothing", everybodys_file, who)
}

pub(super) fn as_owner() -> Result<()> {
    compare("owner", users_file, here(become_user))
}

pub(super) fn as_owner_in_the_group() -> Result<()> {
    let who = here(|| become_ids(USER, USER + 1));
    compare("owner_group", users_file, who)
}

pub(super) fn as_member_of_the_group() -> Result<()> {
    let who = here(|| become_ids(USER + 7, USER + 1));
    compare("member", groups_file, who)
}

pub(super) fn as_named_by_the_acl() -> Result<()> {
    compare("acl", groups_file, here(become_user))
}

pub(super) fn as_somebody_else() -> Result<()> {
    let who = here(|| become_ids(USER + 9, USER + 9));
    compare("else", everybodys_file, who)
}

/// Root inside is the owner outside, and the file's group is one of the namespace.
pub(super) fn as_root_of_a_user_namespace() -> Result<()> {
    compare("userns", users_file, here(|| become_root_of_users(USER)))
}

/// The file's owner is none of the namespace.
pub(super) fn as_root_of_other_users() -> Result<()> {
    let who = here(|| become_root_of_users(SHIFT));
    compare("userns_other", everybodys_file, who)
}

const IDMAPPED: &str = "/tmp/idmapped";

fn by_idmapped_mount(become_them: fn() -> Result<()>) -> Who {
    Who {
        become_them,
        sees: Some(IDMAPPED),
    }
}

fn mount_idmapped() -> Result<()> {
    new_mounts()?;
    fs::create_dir_all(IDMAPPED)?;
    mount_with_ids(&root(), Path::new(IDMAPPED), SHIFT)
}

pub(super) fn as_owner_by_an_idmapped_mount() -> Result<()> {
    let who = by_idmapped_mount(|| {
        mount_idmapped()?;
        become_ids(USER + SHIFT, USER + SHIFT)
    });
    compare("idmapped", users_file, who)
}

pub(super) fn as_root_by_an_idmapped_mount() -> Result<()> {
    compare(
        "idmapped_root",
        users_file,
        by_idmapped_mount(mount_idmapped),
    )
}

/// Not even root may change a file whose owner has no id there.
pub(super) fn of_nobody_by_an_idmapped_mount() -> Result<()> {
    let who = by_idmapped_mount(mount_idmapped);
    compare("idmapped_nobody", nobodys_file, who)
}

/// What is done to names, in directories where everybody may make some but not remove others'.
const NAMES: &[(&str, Op)] = &[
    ("unlink", |a| rfs::unlink(a)),
    ("rename", |a| rfs::rename(a, a.with_file_name("c"))),
    ("rename over", |a| rfs::rename(a.with_file_name("own"), a)),
    ("link", |a| rfs::link(a, a.with_file_name("c"))),
];

fn compare_names(name: &str, make: fn(&Path) -> Result<()>, who: Who) -> Result<()> {
    let sysctl = "/proc/sys/fs/protected_hardlinks";
    let old = fs::read(sysctl)?;
    for protected in ["0", "1"] {
        fs::write(sysctl, protected)?;
        for (what, op) in NAMES {
            let twin = Twin::with(name, make)?;
            for a in [twin.plain(), twin.pair.a.clone()] {
                let own = a.with_file_name("own");
                fs::write(&own, b"own")?;
                owned(&own, USER, USER, 0o644)?;
                owned(a.parent().context("no parent")?, 0, 0, 0o1777)?;
            }
            let same = twin.same_names(who, *op);
            same.with_context(|| format!("{what}, protected_hardlinks={protected}"))?;
        }
    }
    Ok(fs::write(sysctl, old)?)
}

pub(super) fn names_of_ones_own() -> Result<()> {
    compare_names("names_own", users_file, here(become_user))
}

pub(super) fn names_of_somebody_else() -> Result<()> {
    compare_names("names_else", everybodys_file, here(become_user))
}
