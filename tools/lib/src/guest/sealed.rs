// SPDX-License-Identifier: GPL-2.0
//! Keeping the command's own file out of a guest's reach.
//!
//! A guest can make this command run itself, by a program that is a symlink to
//! `/proc/self/exe`, and a process of the guest can then open that file for writing: it would
//! write into the host's command. So the command runs from a sealed copy in memory before it
//! has to do with a guest.

use std::env;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::error::{Doing, Result};

const OWN: &str = "/proc/self/exe";

/// Runs this command again from a sealed copy, unless that is done. Call it before anything else.
pub fn seal() -> Result<()> {
    let doing = || "protect the command's own file from guests".to_owned();
    if is_sealed().doing(doing)? {
        // Nor shall a guest that kills this process in the moments until its program runs, in
        // which the kernel keeps it from looking into it, find what was in its memory.
        return set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(doing);
    }
    let copy = sealed_copy().doing(doing)?;
    let mut words = env::args_os();
    let mut command = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    command.arg0(words.next().unwrap_or_else(|| "vserver".into()));
    Err(command.args(words).exec()).doing(doing)
}

fn all_seals() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

fn is_sealed() -> io::Result<bool> {
    match fcntl_get_seals(File::open(OWN)?) {
        Ok(seals) => Ok(seals.contains(all_seals())),
        // Only files in memory have seals.
        Err(Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn sealed_copy() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match memfd_create("vserver", flags | MemfdFlags::EXEC) {
        // A kernel older than the flag.
        Err(Errno::INVAL) => memfd_create("vserver", flags),
        fd => fd,
    };
    let mut copy = File::from(fd?);
    io::copy(&mut File::open(OWN)?, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o555))?;
    fcntl_add_seals(&copy, all_seals())?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        assert!(!is_sealed().unwrap());
        let mut copy = sealed_copy().unwrap();
        assert_eq!(
            copy.write(b"x").unwrap_err().raw_os_error(),
            Some(Errno::PERM.raw_os_error())
        );
        assert_eq!(
            copy.metadata().unwrap().len(),
            std::fs::metadata(OWN).unwrap().len()
        );
    }
}
