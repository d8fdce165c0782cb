// SPDX-License-Identifier: GPL-2.0
//! What takes more than a row: settings of the whole host.

use super::socket;
use crate::capabilities::XID;
use crate::process;
use crate::unified::{refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use vserver_abi as abi;

/// A protocol family that is not there has the host look for a module of that name.
pub fn modules_are_not_asked_for() -> Result<()> {
    const MODPROBE: &str = "/proc/sys/kernel/modprobe";
    const FAMILY: i32 = libc::AF_APPLETALK;
    let (script, notes) = ("/tmp/modprobe.sh", "/tmp/modprobe.notes");
    fs::write(notes, "")?;
    fs::write(script, format!("#!/bin/sh\necho \"$@\" >>{notes}\n"))?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    let old = fs::read_to_string(MODPROBE)?;
    fs::write(MODPROBE, script)?;
    let ask = || {
        ensure!(socket(FAMILY, libc::SOCK_DGRAM, 0) == Err(Errno::AFNOSUPPORT));
        Ok(fs::read_to_string(notes)?)
    };
    let inside = process::isolated(|| {
        abi::ctx_create(XID, 0)?;
        let noted = ask()?;
        ensure!(noted.is_empty(), "{noted}");
        Ok(())
    });
    let outside = ask();
    fs::write(MODPROBE, old)?;
    inside?;
    ensure!(outside?.contains("net-pf-5"), "the host");
    Ok(())
}

/// Where memory is not overcommitted some is left to root, not to root inside a context.
pub fn memory_for_the_administrator() -> Result<()> {
    const SETTINGS: [(&str, &str); 2] = [
        ("/proc/sys/vm/admin_reserve_kbytes", "1000000000"),
        ("/proc/sys/vm/overcommit_memory", "2"),
    ];
    let old = SETTINGS.map(|(name, _)| fs::read_to_string(name));
    let done = process::isolated(|| {
        for (name, value) in SETTINGS {
            fs::write(name, value)?;
        }
        map_memory().context("the host's root")?;
        abi::ctx_create(XID, 0)?;
        refused("inside", map_memory(), Errno::NOMEM)
    });
    for ((name, _), old) in SETTINGS.iter().zip(old).rev() {
        fs::write(name, old?)?;
    }
    done
}

fn map_memory() -> Result<(), Errno> {
    let (length, may) = (1 << 20, libc::PROT_READ | libc::PROT_WRITE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    syscall(unsafe { libc::syscall(libc::SYS_mmap, 0, length, may, flags, -1, 0) }).map(drop)
}
