// SPDX-License-Identifier: GPL-2.0
//! A file with everything that a file can have, and what has to be in files that the kernel uses itself.

use crate::unified::{CONTENT, USER};
use anyhow::{Context as _, Result};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, Uid, XattrFlags, setxattr};
use std::fs;
use std::path::Path;

pub const ACL_ACCESS: &str = "system.posix_acl_access";
pub const ACL_DEFAULT: &str = "system.posix_acl_default";

/// user::rw-, user:1000:rwx, group::r--, mask::rwx, other::r--
pub fn some_acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 7, USER),
        (0x04, 4, u32::MAX),
        (0x10, 7, u32::MAX),
        (0x20, 4, u32::MAX),
    ];
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        acl.extend(tag.to_le_bytes());
        acl.extend(perm.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

/// cap_net_raw, effective, for the initial user namespace.
pub const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// The same for a user namespace whose root is `root` outside.
pub fn capability_of(root: u32) -> Vec<u8> {
    let mut value = CAPABILITY.to_vec();
    value.splice(..4, [1, 0, 0, 3]);
    value.extend(root.to_le_bytes());
    value
}

/// Owner and group, mode with set-user-id, times, every kind of attribute.
pub fn rich(a: &Path) -> Result<()> {
    fs::write(a, CONTENT)?;
    owned(a, USER, USER + 1, 0o6755)?;
    setxattr(a, ACL_ACCESS, &some_acl(), XattrFlags::empty())?;
    for (name, value) in [
        ("user.empty", &b""[..]),
        ("user.big", &[b'x'; 300]),
        ("trusted.t", b"t"),
        ("security.other", b"label"),
        ("security.capability", CAPABILITY),
    ] {
        setxattr(a, name, value, XattrFlags::empty()).context(name)?;
    }
    Ok(())
}

/// Gives a file an owner, a group and a mode.
pub fn owned(path: &Path, uid: u32, gid: u32, mode: u32) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rfs::chownat(CWD, path, uid, gid, AtFlags::empty())?;
    Ok(rfs::chmod(path, Mode::from_raw_mode(mode))?)
}

/// Ten pages, the first of which has mkswap(8)'s header: version 1, the last page's number.
pub fn swap_area() -> Vec<u8> {
    let mut area = vec![0; 10 * 4096];
    area[1024] = 1;
    area[1028] = 9;
    area[4086..4096].copy_from_slice(b"SWAPSPACE2");
    area
}

/// A file of user quotas with nobody in it: header, information, an empty tree.
pub fn quota_file() -> Vec<u8> {
    let mut file = vec![0; 2048];
    file[..4].copy_from_slice(&0xd9c0_1f11u32.to_le_bytes());
    file[4] = 1;
    file[20] = 2;
    file
}
