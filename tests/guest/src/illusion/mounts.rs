// SPDX-License-Identifier: GPL-2.0
//! The mounts that a context is shown.

use super::{XID, end, guest};
use crate::process::{isolated, sleep_forever};
use anyhow::{Result, ensure};
use rustix::process::chroot;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// Needs no flag: /proc/mounts shows what can be reached.
pub fn mounts_below_the_root() -> Result<()> {
    for flags in [0, abi::VXF_HIDE_MOUNT] {
        isolated(|| {
            crate::namespace::new_mounts()?;
            let root = Path::new("/run/root");
            fs::create_dir_all(root.join("proc"))?;
            let none = rustix::mount::MountFlags::empty();
            rustix::mount::mount("root", root, "tmpfs", none, None)?;
            fs::create_dir_all(root.join("proc"))?;
            rustix::mount::mount("proc", root.join("proc"), "proc", none, None)?;
            ensure!(fs::read_to_string("/proc/self/mounts")?.contains(" /sys/fs/cgroup "));
            abi::ctx_create(XID, flags | abi::VXF_STATE_SETUP)?;
            chroot(root)?;
            for file in ["mounts", "mountinfo"] {
                let text = fs::read_to_string(format!("/proc/self/{file}"))?;
                ensure!(text.lines().count() == 2, "{text}");
                ensure!(!text.contains("cgroup"), "{text}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// How many mounts there are below the root, and whether that one is told about.
fn mount_calls() -> [Result<i64, i32>; 2] {
    const STATMOUNT: libc::c_long = 457;
    const LISTMOUNT: libc::c_long = 458;
    const ROOT: u64 = !0;
    let errno = || std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    let mut found = [0u64; 64];
    // struct mnt_id_req: its size, of what, where to begin or what to tell
    let list = [24u64, ROOT, 0];
    // SAFETY: both structures are as long as they say, and `found` as is said of it.
    let listed =
        unsafe { libc::syscall(LISTMOUNT, list.as_ptr(), found.as_mut_ptr(), found.len(), 0) };
    let listed = if listed < 0 { Err(errno()) } else { Ok(listed) };
    let own = rustix::fs::statx(
        rustix::fs::CWD,
        "/",
        rustix::fs::AtFlags::empty(),
        rustix::fs::StatxFlags::from_bits_retain(0x4000),
    );
    let of = [24u64, own.map_or(0, |found| found.stx_mnt_id), 1];
    // SAFETY: as above.
    let told = unsafe { libc::syscall(STATMOUNT, of.as_ptr(), found.as_mut_ptr(), 512, 0) };
    [listed, if told < 0 { Err(errno()) } else { Ok(told) }]
}

pub fn mounts_hidden() -> Result<()> {
    const FILES: [&str; 3] = ["mounts", "mountinfo", "mountstats"];
    let shown = |pid: &str| -> Result<usize> {
        let mut count = 0;
        for file in FILES {
            count += fs::read_to_string(format!("/proc/{pid}/{file}"))?
                .lines()
                .count();
        }
        Ok(count)
    };
    let [listed, told] = mount_calls();
    ensure!(listed > Ok(0) && told == Ok(0), "{listed:?} {told:?}");
    let hidden = guest(XID, abi::VXF_HIDE_MOUNT, || sleep_forever())?;
    ensure!(shown(&hidden.id().to_string())? > 3, "from outside");
    end(hidden)?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_HIDE_MOUNT)?;
        ensure!(shown("self")? > 3, "while it is set up");
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        ensure!(shown("self")? == 0);
        let found = mount_calls();
        ensure!(found == [Ok(0), Err(libc::ENOENT)], "{found:?}");
        Ok(())
    })
}
