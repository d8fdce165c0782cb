// SPDX-License-Identifier: GPL-2.0
//! The root directory of a guest and what is mounted in it.

use std::ffi::CStr;
use std::fs;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_move, mount_remount, unmount,
};
use rustix::process::{chdir, chroot, pivot_root, umask};

use crate::error::{Doing, Result};
use crate::mount_table;

/// A file system that every guest gets.
struct Mount {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    data: &'static CStr,
}

const NOSUID: MountFlags = MountFlags::NOSUID;
const NODEV: MountFlags = MountFlags::NODEV;
const NOEXEC: MountFlags = MountFlags::NOEXEC;
const RDONLY: MountFlags = MountFlags::RDONLY;

/// In this order; a kind of file system that the kernel lacks is left out.
const MOUNTS: [Mount; 5] = [
    Mount {
        kind: "proc",
        target: "/proc",
        flags: NOSUID.union(NODEV).union(NOEXEC),
        data: c"",
    },
    Mount {
        kind: "sysfs",
        target: "/sys",
        flags: NOSUID.union(NODEV).union(NOEXEC).union(RDONLY),
        data: c"",
    },
    Mount {
        kind: "tmpfs",
        target: "/dev",
        flags: NOSUID.union(NOEXEC),
        data: c"mode=755,size=64k,nr_inodes=256",
    },
    Mount {
        kind: "devpts",
        target: "/dev/pts",
        flags: NOSUID.union(NOEXEC),
        data: c"newinstance,ptmxmode=0666,mode=620,gid=5",
    },
    Mount {
        kind: "tmpfs",
        target: "/dev/shm",
        flags: NOSUID.union(NODEV),
        data: c"mode=1777",
    },
];

/// What a guest gets that has a cgroup namespace of its own: its groups.
const GROUPS: Mount = Mount {
    kind: "cgroup2",
    target: "/sys/fs/cgroup",
    flags: NOSUID.union(NODEV).union(NOEXEC),
    data: c"",
};

/// Files of `/proc` through which a guest could change the host: only to be read.
const READ_ONLY: [&str; 2] = ["/proc/sys", "/proc/sysrq-trigger"];

/// Devices that do nobody any harm: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// Keeps what is mounted from now on from being seen outside this mount namespace.
pub(super) fn make_private() -> Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).doing(|| "make the mounts private".into())
}

/// Makes `dir` the root of this mount namespace and mounts there what a guest needs. From
/// the first step on names are looked up inside the guest: no symlink leads out of it. With `groups`
/// this process is in a cgroup namespace of the guest's.
pub(super) fn enter_root(dir: &Path, groups: bool) -> Result<()> {
    let doing = || format!("make {} the root", dir.display());
    mount_bind_recursive(dir, dir).doing(doing)?;
    chdir(dir).doing(doing)?;
    match pivot_root(".", ".") {
        Ok(()) => unmount(".", UnmountFlags::DETACH).doing(doing)?,
        // The root is an initramfs, which cannot be moved away: cover it.
        Err(Errno::INVAL) => {
            mount_move(".", "/").doing(doing)?;
            chroot(".").doing(doing)?;
        }
        Err(errno) => Err(errno).doing(doing)?,
    }
    chdir("/").doing(doing)?;
    MOUNTS.iter().try_for_each(mount_one)?;
    if groups {
        mount_one(&GROUPS)?;
    }
    READ_ONLY.into_iter().try_for_each(protect)?;
    fill_dev()
}

/// Makes what `/proc/mounts` says that the root is mounted from, for programs about quota: they look at
/// it, and name it to the kernel. Nobody inside can open it. Where that is no device it is left out.
pub(super) fn show_disk() -> Result<()> {
    let mounts = mount_table::mounts()?;
    let Some(root) = mounts.iter().rfind(|m| m.point == Path::new("/")) else {
        return Ok(());
    };
    let Some(device) = device_number(&root.device) else {
        return Ok(());
    };
    if !is_in_dev(&root.source) {
        return Ok(());
    }
    let doing = || format!("make {} in the guest", root.source.display());
    if let Some(dir) = root.source.parent() {
        fs::create_dir_all(dir).doing(doing)?;
    }
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, &root.source, FileType::BlockDevice, mode, device).doing(doing)
}

/// `98:0`
fn device_number(text: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Whether a path leads to something in `/dev`, without a look.
fn is_in_dev(path: &Path) -> bool {
    let inner = path.strip_prefix("/dev");
    inner.is_ok_and(|inner| {
        let mut parts = inner.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    })
}

fn mount_one(m: &Mount) -> Result<()> {
    let doing = || format!("mount {} on {} of the guest", m.kind, m.target);
    match mkdirat(CWD, m.target, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
        Err(errno) => return Err(errno).doing(doing),
    }
    match mount(m.kind, m.target, m.kind, m.flags, m.data) {
        Err(Errno::NODEV) => Ok(()),
        done => done.doing(doing),
    }
}

/// Makes a file or directory of the guest read-only, if it is there.
fn protect(path: &str) -> Result<()> {
    let doing = || format!("make {path} of the guest read-only");
    match mount_bind(path, path) {
        Err(Errno::NOENT) => return Ok(()),
        done => done.doing(doing)?,
    }
    let flags = MountFlags::BIND | RDONLY | NOSUID | NODEV | NOEXEC;
    mount_remount(path, flags, c"").doing(doing)
}

fn fill_dev() -> Result<()> {
    let usual = umask(Mode::empty());
    let filled = DEVICES
        .into_iter()
        .try_for_each(|(path, major, minor)| {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(
                CWD,
                path,
                FileType::CharacterDevice,
                mode,
                makedev(major, minor),
            )
            .doing(|| format!("make {path} in the guest"))
        })
        .and_then(|()| {
            LINKS.into_iter().try_for_each(|(to, path)| {
                symlinkat(to, CWD, path).doing(|| format!("make {path} in the guest"))
            })
        });
    umask(usual);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_in_dev() {
        for path in ["/dev/sdb1", "/dev/mapper/vg-guests"] {
            assert!(is_in_dev(Path::new(path)), "{path}");
        }
        for path in [
            "tmpfs",
            "none",
            "/dev",
            "/dev/",
            "/dev/../etc/x",
            "/srv/image",
            "dev/x",
        ] {
            assert!(!is_in_dev(Path::new(path)), "{path}");
        }
        assert_eq!(device_number(b"8:17"), Some(makedev(8, 17)));
        assert_eq!(device_number(b"8"), None);
    }
}
