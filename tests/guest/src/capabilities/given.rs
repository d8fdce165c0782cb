// SPDX-License-Identifier: GPL-2.0
//! What a context capability gives back, and nothing more; which namespaces may be made.

use super::XID;
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process::{Gate, Status, isolated, spawn};
use crate::tests;
use crate::unified::{become_user, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::AsFd as _;
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use std::fs;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    host_name,
    domain_name,
    host_name_of_the_host,
    host_name_as_a_sysctl,
    kernel_log,
    kernel_log_restricted,
    oom_score,
    secure_mount,
    secure_mount_on_the_hosts_mounts,
    secure_mount_where_mounts_are_shared,
    secure_mount_beside_the_capability,
    unshare_wants_both,
    unshare_with_a_capability_wants_the_kind,
    setns_wants_the_kind,
    user_namespaces,
    capabilities_of_a_user_namespace,
];

const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYSLOG: u64 = 1 << 34;

/// Enters a context that has been set up with this beside what contexts have by default.
pub(super) fn enter(ccaps: u64, bcaps: u64, umask: UnshareFlags) -> Result<()> {
    abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
    abi::set_ccaps(XID, ccaps, !0)?;
    abi::set_bcaps(XID, bcaps, bcaps)?;
    abi::set_umask(XID, umask.bits().into(), !0)?;
    Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
}

pub(super) fn enter_with(ccaps: u64) -> Result<()> {
    enter(ccaps, 0, UnshareFlags::empty())
}

fn set_name(call: libc::c_long, name: &str) -> Result<(), Errno> {
    // SAFETY: the name has the length that is said.
    syscall(unsafe { libc::syscall(call, name.as_ptr(), name.len()) }).map(drop)
}

fn set_host_name(name: &str) -> Result<(), Errno> {
    set_name(libc::SYS_sethostname, name)
}

fn host_name() -> Result<()> {
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        enter_with(abi::VXC_SET_UTSNAME)?;
        set_host_name("guest").context("with it")?;
        ensure!(rustix::system::uname().nodename() == c"guest");
        // It is a power that the credentials must have, too.
        become_user()?;
        refused("a user", set_host_name("user"), Errno::PERM)
    })?;
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        enter_with(!abi::VXC_SET_UTSNAME)?;
        refused("with all others", set_host_name("guest"), Errno::PERM)
    })?;
    ensure!(rustix::system::uname().nodename() == c"host");
    Ok(())
}

fn domain_name() -> Result<()> {
    for (ccaps, allowed) in [(abi::VXC_SET_UTSNAME, true), (0, false)] {
        isolated(|| {
            abi::process::unshare(UnshareFlags::NEWUTS)?;
            enter_with(ccaps)?;
            let done = set_name(libc::SYS_setdomainname, "domain");
            ensure!(done.is_ok() == allowed, "{ccaps:#x}: {done:?}");
            Ok(())
        })?;
    }
    Ok(())
}

fn host_name_of_the_host() -> Result<()> {
    isolated(|| {
        enter_with(abi::VXC_SET_UTSNAME)?;
        refused("the host's", set_host_name("guest"), Errno::PERM)
    })?;
    ensure!(rustix::system::uname().nodename() == c"host");
    Ok(())
}

/// It is the same name, and takes the same powers.
fn host_name_as_a_sysctl() -> Result<()> {
    const FILE: &str = "/proc/sys/kernel/hostname";
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        enter_with(abi::VXC_SET_UTSNAME)?;
        fs::write(FILE, "guest").context("with it")?;
        ensure!(rustix::system::uname().nodename() == c"guest");
        Ok(())
    })?;
    for (ccaps, namespace) in [
        (!abi::VXC_SET_UTSNAME, UnshareFlags::NEWUTS),
        (abi::VXC_SET_UTSNAME, UnshareFlags::empty()),
    ] {
        isolated(|| {
            abi::process::unshare(namespace)?;
            enter_with(ccaps)?;
            let written = fs::write(FILE, "guest").map_err(|e| e.raw_os_error());
            ensure!(
                written == Err(Some(libc::EACCES)),
                "{ccaps:#x}: {written:?}"
            );
            Ok(())
        })?;
    }
    ensure!(rustix::system::uname().nodename() == c"host");
    Ok(())
}

const READ_ALL: i32 = 3;
const CONSOLE_ON: i32 = 7;

fn syslog(action: i32) -> Result<(), Errno> {
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer has the length that is said.
    let ret = unsafe { libc::syscall(libc::SYS_syslog, action, buffer.as_mut_ptr(), 256) };
    syscall(ret).map(drop)
}

fn kernel_log() -> Result<()> {
    isolated(|| {
        enter_with(abi::VXC_SYSLOG)?;
        syslog(READ_ALL)?;
        refused("to change it", syslog(CONSOLE_ON), Errno::PERM)
    })?;
    isolated(|| {
        enter_with(!abi::VXC_SYSLOG)?;
        refused("to read it", syslog(READ_ALL), Errno::PERM)
    })?;
    isolated(|| {
        enter(0, CAP_SYSLOG, UnshareFlags::empty())?;
        syslog(READ_ALL)?;
        Ok(syslog(CONSOLE_ON)?)
    })
}

/// Where the host lets only the privileged read it.
fn kernel_log_restricted() -> Result<()> {
    const RESTRICT: &str = "/proc/sys/kernel/dmesg_restrict";
    let old = fs::read_to_string(RESTRICT)?;
    fs::write(RESTRICT, "1")?;
    let done = isolated(|| {
        enter_with(abi::VXC_SYSLOG)?;
        syslog(READ_ALL).context("root")?;
        become_user()?;
        refused("a user", syslog(READ_ALL), Errno::PERM)
    });
    fs::write(RESTRICT, old)?;
    done
}

fn set_oom_score(score: &str) -> Result<(), Errno> {
    let file = rfs::open("/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, score.as_bytes()).map(drop)
}

fn oom_score() -> Result<()> {
    isolated(|| {
        enter_with(abi::VXC_OOM_ADJUST)?;
        set_oom_score("-500")?;
        ensure!(fs::read_to_string("/proc/self/oom_score_adj")? == "-500\n");
        become_user()?;
        refused("a user", set_oom_score("-600"), Errno::ACCESS)
    })?;
    isolated(|| {
        enter_with(!abi::VXC_OOM_ADJUST)?;
        refused("to lower it", set_oom_score("-500"), Errno::ACCESS)?;
        Ok(set_oom_score("500")?)
    })
}

fn mount(kind: &str, flags: MountFlags) -> Result<(), Errno> {
    rustix::mount::mount("none", "/mnt", kind, flags, None)
}

fn secure_mount() -> Result<()> {
    isolated(|| {
        new_mounts()?;
        enter_with(abi::VXC_SECURE_MOUNT)?;
        for kind in ["tmpfs", "proc"] {
            mount(kind, MountFlags::empty()).context(kind)?;
            let mounts = fs::read_to_string("/proc/self/mounts")?;
            let line = mounts.lines().last().unwrap_or_default();
            let options = line.split(' ').nth(3).unwrap_or_default();
            let has = |what| options.split(',').any(|option| option == what);
            ensure!(line.starts_with(&format!("none /mnt {kind} ")), "{line}");
            ensure!(has("nodev") && has("nosuid"), "{line}");
        }
        let none = MountFlags::empty();
        for kind in ["ramfs", "sysfs", "ext4", "devtmpfs", "overlay"] {
            refused(kind, mount(kind, none), Errno::PERM)?;
        }
        let bind = rustix::mount::mount_bind("/tmp", "/mnt");
        refused("a bind mount", bind, Errno::PERM)?;
        let remount = rustix::mount::mount_remount("/mnt", none, "");
        refused("a remount", remount, Errno::PERM)?;
        let other = rustix::mount::mount_move("/mnt", "/tmp");
        refused("to move it", other, Errno::PERM)?;
        // What the administrator has covered stays so.
        let unmount = rustix::mount::unmount("/mnt", rustix::mount::UnmountFlags::empty());
        refused("to unmount it", unmount, Errno::PERM)?;
        become_user()?;
        refused("a user", mount("tmpfs", none), Errno::PERM)
    })?;
    isolated(|| {
        new_mounts()?;
        enter_with(!abi::VXC_SECURE_MOUNT)?;
        refused("without", mount("tmpfs", MountFlags::empty()), Errno::PERM)
    })
}

fn secure_mount_on_the_hosts_mounts() -> Result<()> {
    isolated(|| {
        enter_with(abi::VXC_SECURE_MOUNT)?;
        refused("there", mount("tmpfs", MountFlags::empty()), Errno::PERM)
    })
}

/// What is mounted on a shared mount is mounted on its peers, which are the host's, and stays.
fn secure_mount_where_mounts_are_shared() -> Result<()> {
    let mounts = || fs::read_to_string("/proc/self/mounts");
    let none = MountFlags::empty();
    isolated(|| {
        new_mounts()?;
        mount("tmpfs", none)?;
        let shared = MountPropagationFlags::SHARED;
        rustix::mount::mount_change("/mnt", shared)?;
        fs::create_dir("/mnt/sub")?;
        let before = mounts()?;
        // A mount namespace that the administrator has made without more ado.
        isolated(|| {
            abi::process::unshare(UnshareFlags::NEWNS)?;
            enter_with(abi::VXC_SECURE_MOUNT)?;
            let there = rustix::mount::mount("none", "/mnt/sub", "tmpfs", none, None);
            refused("on a shared mount", there, Errno::PERM)
        })?;
        ensure!(mounts()? == before, "{}", mounts()?);
        // And one that the guest has made.
        let ccaps = abi::VXC_SECURE_MOUNT | abi::VXC_NAMESPACE;
        isolated(|| {
            enter(ccaps, 0, UnshareFlags::NEWNS)?;
            abi::process::unshare(UnshareFlags::NEWNS)?;
            rustix::mount::mount("none", "/mnt/sub", "tmpfs", none, None)?;
            ensure!(mounts()?.contains("none /mnt/sub tmpfs"));
            Ok(())
        })?;
        ensure!(mounts()? == before, "{}", mounts()?);
        // What the host mounts there arrives.
        isolated(|| {
            let (mounted, there) = (Gate::new()?, Gate::new()?);
            let child = spawn(|| {
                let body = || {
                    enter(ccaps, 0, UnshareFlags::NEWNS)?;
                    abi::process::unshare(UnshareFlags::NEWNS)?;
                    there.open()?;
                    mounted.pass()?;
                    ensure!(mounts()?.contains("host /mnt/sub tmpfs"));
                    Ok(())
                };
                i32::from(body().is_err())
            })?;
            there.pass()?;
            rustix::mount::mount("host", "/mnt/sub", "tmpfs", none, None)?;
            mounted.open()?;
            ensure!(child.wait()? == Status::Exited(0), "not there inside");
            Ok(())
        })
    })
}

/// Who has the capability in bcaps too is not restricted by what would be lent.
fn secure_mount_beside_the_capability() -> Result<()> {
    isolated(|| {
        new_mounts()?;
        let ccaps = abi::VXC_SECURE_MOUNT | abi::VXC_SECURE_REMOUNT;
        enter(ccaps, CAP_SYS_ADMIN, UnshareFlags::empty())?;
        mount("tmpfs", MountFlags::empty())?;
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let line = mounts.lines().last().unwrap_or_default();
        ensure!(line.starts_with("none /mnt tmpfs "), "{line}");
        ensure!(
            !line.contains("nodev") && !line.contains("nosuid"),
            "{line}"
        );
        Ok(())
    })
}

const KINDS: [(UnshareFlags, &str); 7] = [
    (UnshareFlags::NEWNS, "mnt"),
    (UnshareFlags::NEWUTS, "uts"),
    (UnshareFlags::NEWIPC, "ipc"),
    (UnshareFlags::NEWNET, "net"),
    (UnshareFlags::NEWPID, "pid"),
    (UnshareFlags::NEWCGROUP, "cgroup"),
    (UnshareFlags::NEWTIME, "time"),
];

/// A child in namespaces of its own, by clone(2).
fn clone(kinds: UnshareFlags) -> Result<(), Errno> {
    let flags = libc::c_ulong::from(kinds.bits()) | libc::SIGCHLD as libc::c_ulong;
    // SAFETY: without CLONE_VM this is fork(), and there is one thread.
    let pid = syscall(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    if pid == 0 {
        std::process::exit(0);
    }
    // SAFETY: the call is given a number and no place for an answer.
    syscall(unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) }.into()).map(drop)
}

fn unshare_wants_both() -> Result<()> {
    for (kind, name) in KINDS {
        let others = !kind & UnshareFlags::from_bits_retain(0x7e02_0080);
        for (ccaps, umask, allowed) in [
            (abi::VXC_NAMESPACE, kind, true),
            (abi::VXC_NAMESPACE, others, false),
            (abi::VXC_NAMESPACE, UnshareFlags::empty(), false),
            (0, kind, false),
        ] {
            isolated(|| {
                enter(ccaps, 0, umask)?;
                // A time namespace is for children only: its flag is a signal's to clone(2).
                if kind != UnshareFlags::NEWTIME {
                    let done = clone(kind);
                    ensure!(done.is_ok() == allowed, "clone: {done:?}");
                }
                match (abi::process::unshare(kind), allowed) {
                    (Ok(()), true) => Ok(()),
                    (got, true) => Ok(got?),
                    (got, false) => refused("unshare", got, Errno::PERM),
                }
            })
            .with_context(|| format!("{name}, ccaps {ccaps:#x}, umask {umask:?}"))?;
        }
    }
    // As ever, root only.
    isolated(|| {
        enter(abi::VXC_NAMESPACE, 0, UnshareFlags::NEWUTS)?;
        become_user()?;
        let got = abi::process::unshare(UnshareFlags::NEWUTS);
        refused("a user", got, Errno::PERM)
    })
}

fn unshare_with_a_capability_wants_the_kind() -> Result<()> {
    isolated(|| {
        enter(0, CAP_SYS_ADMIN, UnshareFlags::NEWUTS)?;
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        for (kind, name) in KINDS {
            if kind != UnshareFlags::NEWUTS {
                let both = abi::process::unshare(kind | UnshareFlags::NEWUTS);
                refused(name, both, Errno::PERM)?;
            }
        }
        Ok(())
    })
}

fn setns(name: &str) -> Result<(), Errno> {
    let path = format!("/proc/self/ns/{name}");
    let namespace = rfs::open(path, OFlags::RDONLY, Mode::empty())?;
    rustix::thread::move_into_link_name_space(namespace.as_fd(), None)
}

fn setns_wants_the_kind() -> Result<()> {
    isolated(|| {
        enter(0, CAP_SYS_ADMIN, UnshareFlags::NEWUTS)?;
        setns("uts")?;
        for name in ["mnt", "ipc", "net", "pid", "cgroup"] {
            refused(name, setns(name), Errno::PERM)?;
        }
        Ok(())
    })?;
    // The kind is not enough: its capability says nothing about entering.
    isolated(|| {
        enter(abi::VXC_NAMESPACE, 0, UnshareFlags::NEWUTS)?;
        refused("uts", setns("uts"), Errno::PERM)
    })
}

fn user_namespaces() -> Result<()> {
    let users = UnshareFlags::NEWUSER;
    for (umask, allowed) in [(users, true), (!users, false)] {
        for root in [true, false] {
            isolated(|| {
                enter(abi::VXC_NAMESPACE, 0, umask)?;
                if !root {
                    become_user()?;
                }
                match (abi::process::unshare(users), allowed) {
                    (Err(e), true) => Err(e.into()),
                    (Ok(()), true) => Ok(()),
                    (got, false) => refused("users", got, Errno::PERM),
                }
            })
            .with_context(|| format!("umask {umask:?}, root {root}"))?;
        }
    }
    Ok(())
}

/// All capabilities in it, and none more than the context lets pass.
fn capabilities_of_a_user_namespace() -> Result<()> {
    isolated(|| {
        let kinds = UnshareFlags::NEWUSER | UnshareFlags::NEWUTS;
        enter(abi::VXC_NAMESPACE, 0, kinds)?;
        become_user()?;
        abi::process::unshare(UnshareFlags::NEWUSER)?;
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        refused("the name", set_host_name("guest"), Errno::PERM)?;
        let mounts = abi::process::unshare(UnshareFlags::NEWNS);
        refused("mounts", mounts, Errno::PERM)?;
        let child = spawn(|| i32::from(set_host_name("guest").is_ok()))?;
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })?;
    isolated(|| {
        let kinds = UnshareFlags::NEWUSER | UnshareFlags::NEWUTS;
        enter(abi::VXC_NAMESPACE | abi::VXC_SET_UTSNAME, 0, kinds)?;
        become_user()?;
        abi::process::unshare(kinds)?;
        Ok(set_host_name("guest")?)
    })
}
