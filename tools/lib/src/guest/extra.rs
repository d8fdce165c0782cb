// SPDX-License-Identifier: GPL-2.0
//! What a guest's configuration has mounted in it.
//!
//! A mount is made before the root changes, when the host's paths can still be named, and put in
//! its place after that, when names are looked up inside the guest: neither a symlink of the guest
//! nor `..` leads it elsewhere.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use vserver_abi::mount::set_attributes;

use crate::config::Mount;
use crate::error::{Doing, Result};

/// Options that are of the mount, not of the file system.
const ATTRIBUTES: [(&str, MountAttrFlags); 5] = [
    ("ro", MountAttrFlags::MOUNT_ATTR_RDONLY),
    ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID),
    ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV),
    ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
];

/// Options that are so anyway.
const USUAL: [&str; 6] = ["defaults", "rw", "suid", "dev", "exec", "relatime"];

/// What a bind mount may say beside those.
const OF_BINDS: [&str; 2] = ["bind", "rbind"];

/// The options of a bind mount: no file system is asked about it that would refuse others.
pub(crate) fn bind_options() -> impl Iterator<Item = &'static str> {
    let attributes = ATTRIBUTES.iter().map(|(name, _)| *name);
    attributes.chain(OF_BINDS).chain(USUAL)
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
    let tree = open_tree(CWD, Path::new(&mount.source), flags)?;
    let given = mount.options.iter().filter_map(|option| attribute(option));
    // What the host has restricted there stays so.
    set_attributes(tree.as_fd(), given.collect())?;
    Ok(tree)
}

fn attribute(option: &str) -> Option<MountAttrFlags> {
    let found = ATTRIBUTES.iter().find(|(name, _)| *name == option);
    found.map(|(_, attribute)| *attribute)
}

fn file_system(mount: &Mount) -> Result<OwnedFd, Errno> {
    let fs = fsopen(mount.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", mount.source.as_str())?;
    let mut attributes = MountAttrFlags::empty();
    for option in &mount.options {
        if let Some(attribute) = attribute(option) {
            attributes |= attribute;
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
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&tree, "", CWD, &mount.target, flags).doing(|| {
            format!(
                "mount {} on {} of the guest",
                mount.source,
                mount.target.display()
            )
        })
    }
}
