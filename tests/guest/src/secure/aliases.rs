// SPDX-License-Identifier: GPL-2.0
//! A descriptor or a mount that leads to a name which is another guest's.

use crate::by_fd::{modify_at, modify_by_link, modify_open};
use crate::calls::send_fd;
use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, XattrFlags, renameat, setxattr};
use rustix::io::{Errno, IoSliceMut};
use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use std::fs;
use std::mem::MaybeUninit;

fn with_attribute(name: &str) -> Result<Pair> {
    Pair::with(name, |a| {
        fs::write(a, CONTENT)?;
        Ok(setxattr(a, "user.old", b"old", XattrFlags::empty())?)
    })
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut data, &mut control, RecvFlags::empty())?;
    let fds = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.context("no descriptor came")
}

/// By no way that a descriptor opened so leaves can the file be modified.
fn nothing_modifies(fd: &OwnedFd, flags: OFlags) -> Result<()> {
    let mut tried = [modify_at(fd), modify_by_link(fd)].concat();
    if flags == OFlags::RDONLY {
        tried.extend(modify_open(fd));
    }
    for (what, got) in tried {
        refused(what, got, Errno::PERM)?;
    }
    Ok(())
}

/// 4: sent by somebody outside the receiver's root.
pub(super) fn descriptors_from_outside() -> Result<()> {
    let jail = root().join("jail");
    fs::create_dir_all(jail.join("proc"))?;
    for flags in [OFlags::RDONLY, OFlags::PATH] {
        let pair = with_attribute("outside")?;
        let (sender, receiver) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::empty(),
            None,
        )?;
        send_fd(&sender, &open(&pair.a, flags)?)?;
        isolated(|| {
            new_mounts()?;
            mount("proc", jail.join("proc"), "proc", MountFlags::empty(), None)?;
            std::os::unix::fs::chroot(&jail)?;
            std::env::set_current_dir("/")?;
            let fd = receive(&receiver)?;
            nothing_modifies(&fd, flags)
        })?;
        pair.intact()?;
    }
    fs::remove_dir_all(&jail)?;
    Ok(())
}

/// 4: what the caller's mount shows is a part of a file system, and the name has left that part.
pub(super) fn renamed_out_of_the_mount() -> Result<()> {
    let base = root().join("renamed_out");
    let _ = fs::remove_dir_all(&base);
    let (srv, jail) = (base.join("srv"), base.join("jail"));
    fs::create_dir_all(&srv)?;
    for dir in ["proc", "srv"] {
        fs::create_dir_all(jail.join(dir))?;
    }
    for flags in [OFlags::RDONLY, OFlags::PATH] {
        let pair = with_attribute("elsewhere")?;
        fs::rename(&pair.a, srv.join("a"))?;
        isolated(|| {
            new_mounts()?;
            mount_bind(&srv, jail.join("srv"))?;
            mount("proc", jail.join("proc"), "proc", MountFlags::empty(), None)?;
            // The host's, to rename it when nobody else can see it any more.
            let (from, to) = (open(&srv, OFlags::PATH)?, open(&pair.dir, OFlags::PATH)?);
            std::os::unix::fs::chroot(&jail)?;
            std::env::set_current_dir("/")?;
            let fd = open("/srv/a".as_ref(), flags)?;
            renameat(&from, "a", &to, "a")?;
            nothing_modifies(&fd, flags)
        })?;
        pair.intact()?;
    }
    Ok(fs::remove_dir_all(&base)?)
}

/// 25: a single file that is mounted has no name there that could be given to a copy.
pub(super) fn mounted_file() -> Result<()> {
    let pair = with_attribute("mounted_file")?;
    let target = root().join("mounted_file_target");
    fs::write(&target, b"")?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&pair.a, &target)?;
        let (path, reader) = (open(&target, OFlags::PATH)?, open(&target, OFlags::RDONLY)?);
        let tried = [
            modify_at(&path),
            modify_by_link(&path),
            modify_by_link(&reader),
            modify_open(&reader),
        ];
        for (what, got) in tried.concat() {
            pair.refused(what, got, Errno::BUSY)?;
        }
        Ok(())
    })?;
    fs::remove_file(&target)?;
    pair.intact()
}
