// SPDX-License-Identifier: GPL-2.0
//! Keeping the command's own file out of a guest's reach.
//!
//! A guest can make this command run itself, by a program that is a symlink to
//! `/proc/self/exe`, and a process of the guest can then open that file for writing: it would
//! write into the host's command. So the command runs from a mount of its own before it has to do
//! with a guest: one that is read-only and that no namespace has, so that nobody can change it. It
//! costs no memory: all guests' processes of this command share the file's pages.

use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, StatxFlags, statvfs, statx};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use vserver_abi::mount::set_attributes;

use crate::error::{Doing, Result, Vserver};
use crate::mount_table;

const OWN: &str = "/proc/self/exe";

/// Runs this command again from a mount of its own, unless that is done. Call it before anything
/// else.
pub fn seal() -> Result<()> {
    let doing = || "protect the command's own file from guests".to_owned();
    if is_sealed().doing(doing)? {
        // Nor shall a guest that kills this process in the moments until its program runs, in
        // which the kernel keeps it from looking into it, find what was in its memory.
        return set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(doing);
    }
    // Who may not mount may not make contexts either: the same words for both.
    let file = Vserver(sealed_file()).doing(doing)?;
    let mut words = env::args_os();
    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    command.arg0(words.next().unwrap_or_else(|| "vserver".into()));
    Err(command.args(words).exec()).doing(doing)
}

fn is_sealed() -> io::Result<bool> {
    if !statvfs(OWN)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(false);
    }
    // A mount of the host's may be read-only for the time being.
    let id = statx(CWD, OWN, AtFlags::empty(), StatxFlags::MNT_ID)?.stx_mnt_id;
    Ok(mount_table::table()?.iter().all(|mount| mount.id != id))
}

/// This command's own file, mounted where nobody sees it. Closed, the mount is nobody's, and lives
/// as long as a program runs from it.
fn sealed_file() -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let file = open_tree(CWD, OWN, flags)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    set_attributes(file.as_fd(), attributes)?;
    Ok(file)
}
