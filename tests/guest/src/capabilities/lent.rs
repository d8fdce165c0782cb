// SPDX-License-Identifier: GPL-2.0
//! Context capabilities for limits, attributes of files and remounts: where each ends.

use super::XID;
use super::given::{enter, enter_with};
use crate::calls::ioctl;
use crate::harness::Test;
use crate::kernel_log::{log_end, logged};
use crate::namespace::new_mounts;
use crate::process::{Status, isolated, spawn};
use crate::tests;
use crate::unified::{Pair, become_user, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, CWD, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::thread::UnshareFlags;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    limits,
    limits_of_other_capabilities,
    limits_of_another_process,
    security_attributes,
    trusted_attributes,
    attributes_of_the_overlay,
    attributes_want_the_right_to_write,
    attributes_of_the_kernels_files,
    attributes_of_unified_files,
    remount,
    remount_is_for_its_own,
    remount_of_what_setup_mounted,
    options_for_other_powers,
    options_do_not_get_into_the_log,
    mounts_by_the_old_magic_number,
    terminal_numbers_elsewhere,
];

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_SYS_ADMIN: u64 = 1 << 21;

fn set_limit(pid: u32, resource: i64, limit: [u64; 2]) -> Result<(), Errno> {
    // SAFETY: the structure is two words long.
    syscall(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, limit.as_ptr(), 0) })
        .map(drop)
}

/// Those that may be raised.
const LIMITS: [i64; 10] = [
    libc::RLIMIT_CPU as i64,
    libc::RLIMIT_FSIZE as i64,
    libc::RLIMIT_DATA as i64,
    libc::RLIMIT_STACK as i64,
    libc::RLIMIT_CORE as i64,
    libc::RLIMIT_NPROC as i64,
    libc::RLIMIT_AS as i64,
    libc::RLIMIT_SIGPENDING as i64,
    libc::RLIMIT_MSGQUEUE as i64,
    libc::RLIMIT_RTTIME as i64,
];

/// Enough to live on.
const LOW: u64 = 1 << 40;

fn limits() -> Result<()> {
    let lower = || {
        LIMITS
            .into_iter()
            .try_for_each(|limit| set_limit(0, limit, [LOW, LOW]))
    };
    let raise = |limit| set_limit(0, limit, [LOW, 2 * LOW]);
    isolated(|| {
        lower()?;
        enter_with(abi::VXC_SET_RLIMIT)?;
        for resource in LIMITS {
            raise(resource).with_context(|| format!("limit {resource}"))?;
        }
        lower()?;
        become_user()?;
        for resource in LIMITS {
            refused("a user", raise(resource), Errno::PERM)?;
        }
        Ok(())
    })?;
    isolated(|| {
        lower()?;
        enter_with(!abi::VXC_SET_RLIMIT)?;
        for resource in LIMITS {
            refused("without", raise(resource), Errno::PERM)?;
        }
        Ok(())
    })
}

const MEMLOCK: i64 = libc::RLIMIT_MEMLOCK as i64;
const NICE: i64 = libc::RLIMIT_NICE as i64;
const RTPRIO: i64 = libc::RLIMIT_RTPRIO as i64;

fn limits_of_other_capabilities() -> Result<()> {
    for resource in [MEMLOCK, NICE, RTPRIO] {
        let raise = || set_limit(0, resource, [0, 20]);
        isolated(|| {
            set_limit(0, resource, [0, 10])?;
            enter_with(abi::VXC_SET_RLIMIT)?;
            refused("inside", raise(), Errno::PERM)?;
            Ok(set_limit(0, resource, [0, 5])?)
        })
        .with_context(|| format!("limit {resource}"))?;
        isolated(|| {
            set_limit(0, resource, [0, 10])?;
            Ok(raise()?)
        })?;
    }
    Ok(())
}

/// A process of the context can have its limits raised, others are not there.
fn limits_of_another_process() -> Result<()> {
    const CORE: i64 = libc::RLIMIT_CORE as i64;
    isolated(|| {
        set_limit(0, CORE, [0, 10])?;
        let parent = std::process::id();
        let child = spawn(|| {
            let done = enter_with(abi::VXC_SET_RLIMIT).and_then(|()| {
                refused("the host's", set_limit(parent, CORE, [0, 20]), Errno::SRCH)?;
                let own = std::process::id();
                let grandchild = spawn(|| i32::from(set_limit(own, CORE, [0, 20]).is_err()))?;
                ensure!(grandchild.wait()? == Status::Exited(0), "its own");
                Ok(())
            });
            if let Err(e) = &done {
                println!("# {e:#}");
            }
            i32::from(done.is_err())
        })?;
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })
}

const FILE: &str = "/mnt/ext4/attributes";

fn new_file() -> Result<()> {
    Ok(fs::write(FILE, "")?)
}

fn set_attribute(path: &str, name: &str) -> Result<(), Errno> {
    rfs::setxattr(path, name, b"x", XattrFlags::empty())
}

fn remove_attribute(path: &str, name: &str) -> Result<(), Errno> {
    rfs::removexattr(path, name)
}

fn attribute(path: &str, name: &str) -> Result<(), Errno> {
    let mut value = [0u8; 8];
    rfs::getxattr(path, name, &mut value[..]).map(drop)
}

/// An attribute of this name is for who has this context capability, and nothing of `others` is.
fn attributes(ccap: u64, name: &str, others: &[&str]) -> Result<()> {
    new_file()?;
    isolated(|| {
        enter_with(ccap)?;
        set_attribute(FILE, name).context("set")?;
        attribute(FILE, name).context("get")?;
        remove_attribute(FILE, name).context("remove")?;
        refused("it is gone", attribute(FILE, name), Errno::NODATA)?;
        for other in others {
            refused(other, set_attribute(FILE, other), Errno::PERM)?;
        }
        become_user()?;
        refused("a user", set_attribute(FILE, name), Errno::PERM)
    })?;
    set_attribute(FILE, name)?;
    isolated(|| {
        enter_with(!ccap)?;
        refused("to set it", set_attribute(FILE, name), Errno::PERM)?;
        refused("to remove it", remove_attribute(FILE, name), Errno::PERM)
    })?;
    Ok(remove_attribute(FILE, name)?)
}

fn security_attributes() -> Result<()> {
    let others = ["trusted.guest", "security.vserver"];
    attributes(abi::VXC_FS_SECURITY, "security.guest", &others)
}

fn trusted_attributes() -> Result<()> {
    let others = ["security.guest", "security.vserver"];
    attributes(abi::VXC_FS_TRUSTED, "trusted.guest", &others)?;
    // Who may not set them does not see them either.
    set_attribute(FILE, "trusted.guest")?;
    isolated(|| {
        enter_with(!abi::VXC_FS_TRUSTED)?;
        refused(
            "to read it",
            attribute(FILE, "trusted.guest"),
            Errno::NODATA,
        )
    })
}

fn attributes_of_the_overlay() -> Result<()> {
    const NAME: &str = "trusted.overlay.redirect";
    new_file()?;
    isolated(|| {
        enter_with(abi::VXC_FS_TRUSTED)?;
        refused("inside", set_attribute(FILE, NAME), Errno::PERM)
    })?;
    Ok(set_attribute(FILE, NAME)?)
}

/// Nothing else guards them, so that these are the first to ask.
fn attributes_want_the_right_to_write() -> Result<()> {
    let ccaps = abi::VXC_FS_SECURITY | abi::VXC_FS_TRUSTED;
    new_file()?;
    rfs::chmod(FILE, Mode::from_raw_mode(0o400))?;
    for name in ["security.guest", "trusted.guest"] {
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            abi::set_ccaps(XID, ccaps, !0)?;
            abi::set_bcaps(XID, 0, CAP_DAC_OVERRIDE)?;
            abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
            refused("read only", set_attribute(FILE, name), Errno::ACCESS)?;
            rfs::chmod(FILE, Mode::from_raw_mode(0o600))?;
            set_attribute(FILE, name)?;
            rfs::chmod(FILE, Mode::from_raw_mode(0o400))?;
            refused("to remove it", remove_attribute(FILE, name), Errno::ACCESS)
        })
        .context(name)?;
        // The capability is enough on the host.
        remove_attribute(FILE, name)?;
    }
    Ok(())
}

fn attributes_of_the_kernels_files() -> Result<()> {
    const FILE: &str = "/sys/kernel/rcu_expedited";
    for name in ["security.guest", "trusted.guest"] {
        isolated(|| {
            enter_with(abi::VXC_FS_SECURITY | abi::VXC_FS_TRUSTED)?;
            refused("inside", set_attribute(FILE, name), Errno::ACCESS)
        })
        .context(name)?;
        set_attribute(FILE, name).with_context(|| format!("the host's {name}"))?;
        isolated(|| {
            enter_with(abi::VXC_FS_SECURITY | abi::VXC_FS_TRUSTED)?;
            refused("to remove it", remove_attribute(FILE, name), Errno::ACCESS)
        })?;
        remove_attribute(FILE, name)?;
    }
    Ok(())
}

fn attributes_of_unified_files() -> Result<()> {
    for (name, ccap) in [
        ("security.guest", abi::VXC_FS_SECURITY),
        ("trusted.guest", abi::VXC_FS_TRUSTED),
    ] {
        let pair = Pair::new(name)?;
        let file = pair.a.to_str().context("not a name")?;
        isolated(|| {
            enter_with(!ccap)?;
            refused("without", set_attribute(file, name), Errno::PERM)
        })?;
        pair.intact()?;
        isolated(|| {
            enter_with(ccap)?;
            Ok(set_attribute(file, name)?)
        })?;
        attribute(file, name)?;
        pair.broken()?;
        Pair::clean(&pair.dir)?;
    }
    Ok(())
}

fn mount(kind: &str, flags: MountFlags) -> Result<(), Errno> {
    rustix::mount::mount("none", "/mnt", kind, flags, None)
}

fn remount_at(path: &str, flags: MountFlags, data: &str) -> Result<(), Errno> {
    rustix::mount::mount_remount(path, flags, data)
}

/// What the last mount's line says of it.
fn options() -> Result<String> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let line = mounts.lines().last().unwrap_or_default();
    ensure!(line.contains(" /mnt "), "{line}");
    let options = line.split(' ').nth(3).unwrap_or_default();
    Ok(format!(",{options},"))
}

fn remount() -> Result<()> {
    let ccaps = abi::VXC_SECURE_MOUNT | abi::VXC_SECURE_REMOUNT;
    let none = MountFlags::empty();
    isolated(|| {
        new_mounts()?;
        enter_with(ccaps)?;
        for (kind, data, shown) in [
            ("tmpfs", "size=64k", ",size=64k,"),
            ("proc", "hidepid=2", ",hidepid=invisible,"),
        ] {
            mount(kind, none)?;
            remount_at("/mnt", MountFlags::NOEXEC, data).context(kind)?;
            let now = options()?;
            ensure!(now.contains(shown) && now.contains(",noexec,"), "{now}");
            remount_at("/mnt", MountFlags::RDONLY, "").context(kind)?;
            let now = options()?;
            ensure!(now.starts_with(",ro,"), "{now}");
            // Neither of these can be given back.
            remount_at("/mnt", none, "").context(kind)?;
            let now = options()?;
            ensure!(
                now.starts_with(",rw,") && !now.contains(",noexec,"),
                "{now}"
            );
            ensure!(now.contains(",nodev,") && now.contains(",nosuid,"), "{now}");
        }
        let mount_only = remount_at("/mnt", MountFlags::BIND, "");
        refused("the mount alone", mount_only, Errno::PERM)?;
        let unmount = rustix::mount::unmount("/mnt", rustix::mount::UnmountFlags::empty());
        refused("to unmount it", unmount, Errno::PERM)?;
        become_user()?;
        refused("a user", remount_at("/mnt", none, ""), Errno::PERM)
    })?;
    isolated(|| {
        new_mounts()?;
        enter_with(!abi::VXC_SECURE_REMOUNT)?;
        mount("tmpfs", none)?;
        refused("without", remount_at("/mnt", none, ""), Errno::PERM)
    })
}

fn remount_is_for_its_own() -> Result<()> {
    let none = MountFlags::empty();
    isolated(|| {
        new_mounts()?;
        enter_with(!0)?;
        for path in ["/tmp", "/proc", "/mnt/ext4", "/dev"] {
            refused(path, remount_at(path, none, ""), Errno::PERM)?;
        }
        Ok(())
    })?;
    // In the host's mount namespace nothing is its own.
    isolated(|| {
        enter_with(!0)?;
        refused("the host's", remount_at("/tmp", none, ""), Errno::PERM)
    })
}

/// It is the administrator's, though somebody inside the context mounted it.
fn remount_of_what_setup_mounted() -> Result<()> {
    isolated(|| {
        new_mounts()?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        mount("tmpfs", MountFlags::RDONLY)?;
        abi::set_ccaps(XID, !0, !0)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        let remount = remount_at("/mnt", MountFlags::empty(), "");
        refused("read-write", remount, Errno::PERM)
    })
}

/// The capability is lent to mount, not for what an option wants it for.
fn options_for_other_powers() -> Result<()> {
    let none = MountFlags::empty();
    let swap = c"noswap";
    let quota = c"usrquota";
    let pids = c"pidns=/proc/self/ns/pid";
    isolated(|| {
        new_mounts()?;
        enter_with(!0)?;
        for (kind, data) in [("tmpfs", swap), ("tmpfs", quota), ("proc", pids)] {
            let done = rustix::mount::mount("none", "/mnt", kind, none, data);
            refused(kind, done, Errno::PERM)?;
        }
        mount("tmpfs", none)?;
        refused("remount", remount_at("/mnt", none, "noswap"), Errno::PERM)
    })?;
    isolated(|| {
        new_mounts()?;
        for (kind, data) in [("tmpfs", swap), ("proc", pids)] {
            rustix::mount::mount("none", "/mnt", kind, none, data).context("the host")?;
        }
        Ok(())
    })
}

/// What a guest asks for is no text for the host's log, whether it is lent the capability or has
/// it.
fn options_do_not_get_into_the_log() -> Result<()> {
    let options = [
        c"flood",
        c"size=flood",
        c"mode=flood",
        c"casefold",
        c"casefold=utf8-12.1.0",
        c"strict_encoding",
    ];
    let flood = || {
        options.map(|data| rustix::mount::mount("none", "/mnt", "tmpfs", MountFlags::empty(), data))
    };
    let words = ["flood", "tmpfs"];
    let log = log_end()?;
    isolated(|| {
        new_mounts()?;
        enter_with(abi::VXC_SECURE_MOUNT)?;
        ensure!(flood().iter().all(Result::is_err), "{:?}", flood());
        Ok(())
    })?;
    isolated(|| {
        new_mounts()?;
        enter(0, CAP_SYS_ADMIN, UnshareFlags::empty())?;
        ensure!(flood().iter().all(Result::is_err), "{:?}", flood());
        // It is the options that are refused.
        mount("tmpfs", MountFlags::empty()).context("without any")
    })?;
    let found = logged(&log, &words)?;
    ensure!(found.is_empty(), "{found:?}");
    isolated(|| {
        new_mounts()?;
        let _ = flood();
        Ok(())
    })?;
    let found = logged(&log, &words)?;
    ensure!(found.len() >= 3, "the host: {found:?}");
    Ok(())
}

fn mounts_by_the_old_magic_number() -> Result<()> {
    isolated(|| {
        new_mounts()?;
        enter_with(abi::VXC_SECURE_MOUNT | abi::VXC_SECURE_REMOUNT)?;
        let magic = MountFlags::from_bits_retain(0xc0ed_0000);
        mount("tmpfs", magic)?;
        let now = options()?;
        ensure!(now.contains(",nodev,") && now.contains(",nosuid,"), "{now}");
        Ok(remount_at("/mnt", magic, "size=64k")?)
    })
}

const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const TIOCCONS: u64 = 0x541d;

/// What is refused of a terminal is another thing, or nothing, to other files.
fn terminal_numbers_elsewhere() -> Result<()> {
    isolated(|| {
        enter_with(0)?;
        let null = rfs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
        for number in [TIOCSTI, TIOCCONS, TIOCLINUX] {
            refused("null", ioctl(&null, number, &mut 0u8), Errno::NOTTY)?;
        }
        let here = rfs::openat(CWD, Path::new("/tmp"), OFlags::RDONLY, Mode::empty())?;
        refused("a directory", ioctl(&here, TIOCSTI, &mut 0u8), Errno::NOTTY)
    })
}
