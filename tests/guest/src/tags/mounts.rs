// SPDX-License-Identifier: GPL-2.0
//! The mount option: where it is taken, what it says, and that it stays what it was.

use super::{
    OTHER, OWN, belongs, fresh, in_memory, inside, mount_at, mount_with, options, set_tag,
};
use crate::harness::Test;
use crate::namespace::{become_root_of_users, new_mounts};
use crate::process::isolated;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    is_shown,
    not_an_id,
    remount_changes_nothing,
    second_mount,
    files_without_a_tag,
    other_file_systems,
    not_for_users,
];

fn has(option: &str) -> Result<()> {
    let options = options()?;
    ensure!(options.iter().any(|o| o == option), "{option}: {options:?}");
    Ok(())
}

fn has_none() -> Result<()> {
    let options = options()?;
    ensure!(!options.iter().any(|o| o.starts_with("tag")), "{options:?}");
    Ok(())
}

fn is_shown() -> Result<()> {
    for (given, shown) in [
        ("tag", "tag"),
        ("tag=0", "tag"),
        ("tag=2", "tag=2"),
        ("tag=65534", "tag=65534"),
    ] {
        mount_with(given)?;
        has(shown)?;
    }
    mount_with("tag=5,tag")?;
    has("tag")?;
    mount_with("rw")?;
    has_none()
}

fn not_an_id() -> Result<()> {
    unmount(root(), UnmountFlags::empty())?;
    for option in [
        "tag=1",
        "tag=65535",
        "tag=4294967298",
        "tag=-1",
        "tag=x",
        "tag=",
    ] {
        refused(option, mount_at(&root(), option), Errno::INVAL)?;
    }
    Ok(mount_at(&root(), "rw")?)
}

fn remount(options: &CStr) -> Result<(), Errno> {
    mount_remount(root(), MountFlags::empty(), options)
}

fn remount_changes_nothing() -> Result<()> {
    for (given, shown) in [("tag", "tag"), ("tag=5", "tag=5")] {
        mount_with(given)?;
        refused("another", remount(c"tag=6"), Errno::INVAL)?;
        has(shown)?;
        remount(c"")?;
        has(shown)?;
    }
    remount(c"tag=5")?;
    refused("none", remount(c"tag"), Errno::INVAL)?;
    has("tag=5")?;
    mount_with("rw")?;
    refused("on", remount(c"tag"), Errno::INVAL)?;
    has_none()
}

fn mount_point(name: &str) -> Result<PathBuf> {
    let dir = Path::new("/run").join(name);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// It is the same file system.
fn second_mount() -> Result<()> {
    if in_memory()? {
        return Ok(());
    }
    let at = mount_point("second")?;
    let second = |options| {
        let done = mount_at(&at, options);
        if done.is_ok() {
            unmount(&at, UnmountFlags::empty())?;
        }
        done
    };
    mount_with("tag")?;
    second("tag")?;
    second("rw")?;
    refused("another", second("tag=5"), Errno::BUSY)?;
    has("tag")?;
    mount_with("rw")?;
    second("rw")?;
    refused("on", second("tag"), Errno::BUSY)?;
    has_none()
}

fn files_without_a_tag() -> Result<()> {
    mount_with(&format!("tag={OWN}"))?;
    let dir = root().join("default");
    fs::create_dir_all(&dir)?;
    let (old, foreign) = (dir.join("old"), dir.join("foreign"));
    fs::write(&old, "x")?;
    belongs(&old, OWN)?;
    inside(OWN, || Ok(fs::write(&old, "y")?))?;
    inside(OTHER, || expect(open(&old, OFlags::RDONLY), Errno::ACCESS))?;
    fs::write(&foreign, "x")?;
    set_tag(&foreign, OTHER)?;
    inside(OWN, || {
        expect(open(&foreign, OFlags::RDONLY), Errno::ACCESS)
    })?;
    set_tag(&foreign, 0)?;
    belongs(&foreign, OWN)?;
    // What all share is nobody's here, too.
    set_flags(&old, UNIFIED, UNIFIED)?;
    let attr = abi::get_iattr(&old)?;
    ensure!(attr.mask & abi::IATTR_TAG == 0, "{attr:?}");
    set_flags(&old, 0, UNIFIED)?;
    fs::remove_dir_all(&dir)?;
    mount_with("rw")
}

/// They know no such option.
fn other_file_systems() -> Result<()> {
    fresh("others")?;
    isolated(|| {
        new_mounts()?;
        let at = mount_point("other")?;
        let none = MountFlags::empty();
        for kind in ["proc", "overlay", "devpts"] {
            let done = mount(kind, &at, kind, none, Some(c"tag"));
            refused(kind, done, Errno::INVAL)?;
        }
        // This one takes any, and keeps no tags.
        mount("ramfs", &at, "ramfs", none, Some(c"tag")).context("ramfs")?;
        let file = at.join("file");
        inside(OWN, || Ok(fs::write(&file, "x")?))?;
        ensure!(abi::get_iattr(&file)?.mask & abi::IATTR_TAG == 0);
        inside(OTHER, || Ok(fs::write(&file, "y")?))
    })
}

fn not_for_users() -> Result<()> {
    isolated(|| {
        become_root_of_users(100_000)?;
        new_mounts()?;
        let none = MountFlags::empty();
        let done = mount("tmpfs", "/tmp", "tmpfs", none, Some(c"tag"));
        refused("in a user namespace", done, Errno::PERM)?;
        Ok(mount("tmpfs", "/tmp", "tmpfs", none, None)?)
    })
}
