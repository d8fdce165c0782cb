// SPDX-License-Identifier: GPL-2.0
//! Where a security module labels files, here Smack: the label decides before anything is copied, and
//! the copy has that of the file, whoever breaks the link.

use super::rights::{compare, here, users_file};
use crate::harness::Suite;
use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{OFlags, XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Smack instead of AppArmor: there can be one of them.
macro_rules! suite {
    ($name:literal, $fs:literal $(, $more:ident)*) => {
        Suite {
            name: $name,
            wants: concat!($fs, " append=security=smack"),
            tests: tests![
                who_may_write,
                who_may_read,
                who_may_nothing,
                copy_is_labelled,
                copy_in_a_directory_that_labels,
                $($more,)*
            ],
        }
    };
}

pub const EXT4: Suite = suite!("labels", "ext4");
pub const XFS: Suite = suite!("labels-xfs", "xfs");
pub const BTRFS: Suite = suite!("labels-btrfs", "btrfs");
pub const F2FS: Suite = suite!("labels-f2fs", "f2fs");
pub const TMPFS: Suite = suite!("labels-tmpfs", "tmpfs", file_without_a_label);

const LABEL: &str = "security.SMACK64";

/// What those with one label may do to what has another; no more is allowed than stands here.
const RULES: [&str; 5] = [
    "Writer Guest rwxatl",
    "Reader Guest rx",
    "Writer Dir rx",
    "Reader Dir rx",
    // A file that is made by this one is labelled as the directory, if that asks for it.
    "Guest Dir rwxat",
];

fn policy() -> Result<()> {
    let dir = Path::new("/run/smackfs");
    if !dir.exists() {
        fs::create_dir(dir)?;
        mount("smackfs", dir, "smackfs", MountFlags::empty(), None).context("smackfs")?;
    }
    for rule in RULES {
        // Each write is one rule.
        fs::write(dir.join("load2"), rule).context(rule)?;
    }
    Ok(())
}

fn labelled(a: &Path) -> Result<()> {
    users_file(a)?;
    set_label(a, LABEL, "Guest")
}

fn set_label(path: &Path, name: &str, label: &str) -> Result<()> {
    setxattr(path, name, label.as_bytes(), XattrFlags::empty()).context(name.to_owned())
}

/// Becomes the file's owner, as a process with this label.
fn become_labelled(label: &str) -> Result<()> {
    fs::write("/proc/self/attr/current", label).context("attr/current")?;
    become_user()
}

/// The file has the label that it should, not just its attribute: it decides who may read.
fn check_label(path: &Path) -> Result<()> {
    let label = xattr(path, LABEL)?;
    ensure!(label.as_deref() == Some(b"Guest"), "{label:?}");
    isolated(|| {
        become_labelled("Reader")?;
        open(path, OFlags::RDONLY).context("as Reader")?;
        Ok(())
    })?;
    isolated(|| {
        become_labelled("Stranger")?;
        refused("as Stranger", open(path, OFlags::RDONLY), Errno::ACCESS)
    })
}

/// Appends as one who may.
fn append(path: &Path) -> Result<()> {
    isolated(|| {
        become_labelled("Writer")?;
        let mut file = OpenOptions::new().append(true).open(path)?;
        Ok(file.write_all(b"more")?)
    })
}

fn who_may_write() -> Result<()> {
    policy()?;
    compare("writer", labelled, here(|| become_labelled("Writer")))
}

fn who_may_read() -> Result<()> {
    policy()?;
    compare("reader", labelled, here(|| become_labelled("Reader")))
}

fn who_may_nothing() -> Result<()> {
    policy()?;
    compare("stranger", labelled, here(|| become_labelled("Stranger")))
}

fn copy_is_labelled() -> Result<()> {
    policy()?;
    let pair = Pair::with("labelled", |a| {
        labelled(a)?;
        set_label(a, "security.SMACK64EXEC", "Writer")
    })?;
    append(&pair.a)?;
    let exec = xattr(&pair.a, "security.SMACK64EXEC")?;
    ensure!(pair.broken()?.content.ends_with(b"more") && exec.as_deref() == Some(b"Writer"));
    check_label(&pair.a)?;
    check_label(&pair.b)
}

fn copy_in_a_directory_that_labels() -> Result<()> {
    policy()?;
    let pair = Pair::with("transmuting", labelled)?;
    set_label(&pair.dir, LABEL, "Dir")?;
    set_label(&pair.dir, "security.SMACK64TRANSMUTE", "TRUE")?;
    append(&pair.a)?;
    pair.broken()?;
    check_label(&pair.a)
}

/// Its label is said by the mount, and not that of what the kernel makes: everybody may read that.
fn file_without_a_label() -> Result<()> {
    policy()?;
    isolated(|| {
        new_mounts()?;
        let dir = Path::new("/run/default");
        fs::create_dir_all(dir)?;
        let data = CString::new("smackfsdef=Guest")?;
        mount("tmpfs", dir, "tmpfs", MountFlags::empty(), Some(&*data))?;
        let (a, b) = (dir.join("a"), dir.join("b"));
        users_file(&a)?;
        removexattr(&a, LABEL).context(LABEL)?;
        fs::hard_link(&a, &b)?;
        set_flags(&a, UNIFIED, UNIFIED)?;
        check_label(&a).context("before")?;
        append(&a)?;
        check_label(&a)?;
        ensure!(look(&a)?.ino != look(&b)?.ino);
        check_label(&b)
    })
}
