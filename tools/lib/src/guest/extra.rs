// SPDX-License-Identifier: GPL-2.0
//! What a guest's configuration has mounted in it.
//!
//! A mount is made before the root changes, when the host's paths can still be named, and put in
//! its place after that, when names are looked up inside the guest: neither a symlink of the guest
//! nor `..` leads it elsewhere.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_remount,
    move_mount, open_tree,
};

use crate::config::Mount;
use crate::error::{Doing, Result};

/// Options that are of the mount, not of the file system.
const FLAGS: [(&str, MountFlags, MountAttrFlags); 5] = [
    ("ro", MountFlags::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
    (
        "nosuid",
        MountFlags::NOSUID,
        MountAttrFlags::MOUNT_ATTR_NOSUID,
    ),
    ("nodev", MountFlags::NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
    (
        "noexec",
        MountFlags::NOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOEXEC,
    ),
    (
        "noatime",
        MountFlags::NOATIME,
        MountAttrFlags::MOUNT_ATTR_NOATIME,
    ),
];

/// Options that are so anyway.
const USUAL: [&str; 6] = ["defaults", "rw", "suid", "dev", "exec", "relatime"];

/// What a bind mount may say beside those.
const OF_BINDS: [&str; 2] = ["bind", "rbind"];

/// The options of a bind mount: no file system is asked about it that would refuse others.
pub(crate) fn bind_options() -> impl Iterator<Item = &'static str> {
    let flags = FLAGS.iter().map(|(name, ..)| *name);
    flags.chain(OF_BINDS).chain(USUAL)
}

/// A mount that has no place yet.
pub(super) struct Prepared<'a> {
    mount: &'a Mount,
    tree: OwnedFd,
}

/// Makes the mount.
pub(super) fn prepare(mount: &Mount) -> Result<Prepared<'_>> {
    let tree = match mount.kind.as_str() {
        "bind" => bind(mount),
        _ => file_system(mount),
    };
    let tree = tree.doing(|| {
        format!(
            "mount {} ({}) for {} of the guest",
            mount.source,
            mount.kind,
            mount.target.display()
        )
    })?;
    Ok(Prepared { mount, tree })
}

fn bind(mount: &Mount) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if mount.options.iter().any(|o| o == "rbind") {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, Path::new(&mount.source), flags)
}

fn file_system(mount: &Mount) -> Result<OwnedFd, Errno> {
    let fs = fsopen(mount.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", mount.source.as_str())?;
    let mut attributes = MountAttrFlags::empty();
    for option in &mount.options {
        if let Some((_, _, flag)) = FLAGS.iter().find(|(name, ..)| name == option) {
            attributes |= *flag;
        } else if !USUAL.contains(&option.as_str()) {
            match option.split_once('=') {
                Some((key, value)) => fsconfig_set_string(&fs, key, value)?,
                None => fsconfig_set_flag(&fs, option.as_str())?,
            }
        }
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

impl Prepared<'_> {
    /// Puts it in its place; to be called inside the guest's root.
    pub(super) fn attach(self) -> Result<()> {
        let Self { mount, tree } = self;
        let target = mount.target.as_path();
        let doing = || {
            format!(
                "mount {} on {} of the guest",
                mount.source,
                target.display()
            )
        };
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&tree, "", CWD, target, flags).doing(doing)?;
        let given = FLAGS
            .iter()
            .filter(|(name, ..)| mount.options.iter().any(|o| o == name))
            .fold(MountFlags::empty(), |all, (_, flag, _)| all | *flag);
        if mount.kind == "bind" && !given.is_empty() {
            mount_remount(target, MountFlags::BIND | given, c"").doing(doing)?;
        }
        Ok(())
    }
}
