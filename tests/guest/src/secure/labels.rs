// SPDX-License-Identifier: GPL-2.0
//! Where a security module labels files, here Smack: the label decides before anything is copied, and
//! the copy has that of the file, whoever breaks the link.

use super::labelling::Labels;
use super::rights::users_file;
use crate::harness::Suite;
use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{XattrFlags, removexattr, setxattr};
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs;
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

struct Smack;

impl Labels for Smack {
    const GUEST: &str = "Guest";
    const WRITER: &str = "Writer";
    const READER: &str = "Reader";
    const STRANGER: &str = "Stranger";

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

    fn set_label(path: &Path, label: &str) -> Result<()> {
        set_attribute(path, LABEL, label)
    }
}

fn set_attribute(path: &Path, name: &str, label: &str) -> Result<()> {
    setxattr(path, name, label.as_bytes(), XattrFlags::empty()).context(name.to_owned())
}

/// The attribute says the same as the label that counts.
fn check_label(path: &Path) -> Result<()> {
    let label = xattr(path, LABEL)?;
    ensure!(
        label.as_deref() == Some(Smack::GUEST.as_bytes()),
        "{label:?}"
    );
    Smack::check_label(path)
}

fn who_may_write() -> Result<()> {
    Smack::who_may_write()
}

fn who_may_read() -> Result<()> {
    Smack::who_may_read()
}

fn who_may_nothing() -> Result<()> {
    Smack::who_may_nothing()
}

fn copy_is_labelled() -> Result<()> {
    Smack::policy()?;
    let pair = Pair::with("labelled", |a| {
        Smack::labelled(a)?;
        set_attribute(a, "security.SMACK64EXEC", "Writer")
    })?;
    Smack::append(&pair.a)?;
    let exec = xattr(&pair.a, "security.SMACK64EXEC")?;
    ensure!(pair.broken()?.content.ends_with(b"more") && exec.as_deref() == Some(b"Writer"));
    check_label(&pair.a)?;
    check_label(&pair.b)
}

fn copy_in_a_directory_that_labels() -> Result<()> {
    Smack::policy()?;
    let pair = Pair::with("transmuting", Smack::labelled)?;
    Smack::set_label(&pair.dir, "Dir")?;
    set_attribute(&pair.dir, "security.SMACK64TRANSMUTE", "TRUE")?;
    Smack::append(&pair.a)?;
    pair.broken()?;
    check_label(&pair.a)
}

/// Its label is said by the mount, and not that of what the kernel makes: everybody may read that.
fn file_without_a_label() -> Result<()> {
    Smack::policy()?;
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
        Smack::append(&a)?;
        check_label(&a)?;
        ensure!(look(&a)?.ino != look(&b)?.ino);
        check_label(&b)
    })
}
