// SPDX-License-Identifier: GPL-2.0
//! What the table tries with mounts and namespaces.

use crate::namespace::new_mounts;
use crate::unified::syscall;
use anyhow::{Context as _, Result};
use rustix::fd::AsFd as _;
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, MountAttrFlags, MountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use vserver_abi as abi;

pub fn new_mount_of(kind: &str) -> Result<()> {
    new_mounts()?;
    mount(kind, "/mnt").with_context(|| kind.to_owned())
}

pub fn mount(kind: &str, at: &str) -> Result<(), Errno> {
    rustix::mount::mount(kind, at, kind, MountFlags::empty(), None)
}

pub fn fsmount() -> Result<(), Errno> {
    let no_context = rfs::open("/dev/null", OFlags::RDONLY, Mode::empty())?;
    let attributes = MountAttrFlags::empty();
    rustix::mount::fsmount(no_context.as_fd(), FsMountFlags::empty(), attributes).map(drop)
}

pub fn mount_setattr() -> Result<(), Errno> {
    const MOUNT_ATTR_NOSUID: u64 = 2;
    let attr = [MOUNT_ATTR_NOSUID, 0, 0, 0];
    // SAFETY: the name is a C string, the structure has four words.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/proc/self".as_ptr(),
            0,
            attr.as_ptr(),
            32,
        )
    })
    .map(drop)
}

pub fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    abi::process::unshare(namespaces)
}

pub fn own_spaces() -> Result<()> {
    Ok(unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC)?)
}

pub fn set_own_namespace(name: &str) -> Result<(), Errno> {
    let path = format!("/proc/self/ns/{name}");
    let namespace = rfs::open(path, OFlags::RDONLY, Mode::empty())?;
    let kind = match name {
        "net" => LinkNameSpaceType::Network,
        _ => LinkNameSpaceType::HostNameAndNISDomainName,
    };
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))
}
