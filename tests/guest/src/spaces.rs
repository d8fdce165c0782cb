// SPDX-License-Identifier: GPL-2.0
//! Spaces: what a context holds of namespaces and directories, who enters it, and what its end
//! lets go.

mod mounts;
mod refused;
mod together;

use crate::harness::Suite;
use crate::process::{
    Child, Gate, Status, eventually, isolated, sleep_forever, spawn, until_ended,
};
use crate::unified::expect;
use crate::{raw, tests};
use anyhow::{Context as _, Result, ensure};
use mounts::*;
use refused::*;
use rustix::io::Errno;
use rustix::process::{Signal, chdir, chroot};
use rustix::system::{sethostname, uname};
use rustix::thread::UnshareFlags;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use together::pinned_at_once;
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "spaces",
    wants: "ext4 timeout=300",
    tests: tests![
        masks,
        guest_is_entered,
        parts_are_entered,
        every_kind,
        user_namespace,
        root_and_directory,
        sets_grow,
        two_sets,
        pinned_at_once,
        versions,
        of_the_host,
        refusals,
        who_may,
        private_is_not_entered,
        shared_directories_stay,
        live_without_processes,
        end_unmounts,
        end_waits_for_nobody,
        mounter_does_not_hold_the_context,
        shown,
        tools_enter_them,
    ],
};

const XID: u32 = 200;
const MNT: u64 = libc::CLONE_NEWNS as u64;
const UTS: u64 = libc::CLONE_NEWUTS as u64;
const IPC: u64 = libc::CLONE_NEWIPC as u64;
const USER: u64 = libc::CLONE_NEWUSER as u64;
const DIRS: u64 = abi::SPACE_DIRS;

/// A process in a new context, with these namespaces new, which the context holds.
struct Guest {
    child: Child,
    /// Its namespaces by their kinds: only its parent sees the process.
    namespaces: HashMap<String, PathBuf>,
}

impl Guest {
    fn new(new: UnshareFlags, flags: u64) -> Result<Self> {
        let held = u64::from(new.bits());
        Self::with(|| {
            abi::process::unshare(new)?;
            abi::ctx_create(XID, flags | abi::VXF_STATE_SETUP)?;
            abi::set_space(abi::VX_XID_SELF, held, 0)?;
            abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
            Ok(())
        })
    }

    fn with(setup: impl FnOnce() -> Result<()>) -> Result<Self> {
        let ready = Gate::new()?;
        let child = spawn(|| {
            let done = setup();
            if let Err(e) = &done {
                println!("# the guest: {e:#}");
            }
            if ready.open().is_err() || done.is_err() {
                return 1;
            }
            sleep_forever()
        })?;
        ready.pass()?;
        let xid = abi::task_xid(child.id());
        ensure!(xid == Ok(XID), "no guest: {xid:?}");
        let namespaces = fs::read_dir(format!("/proc/{}/ns", child.id()))?
            .map(|entry| {
                let entry = entry?;
                let kind = entry.file_name().to_string_lossy().into_owned();
                Ok((kind, fs::read_link(entry.path())?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { child, namespaces })
    }

    fn namespace(&self, kind: &str) -> Result<PathBuf> {
        self.namespaces.get(kind).cloned().context(kind.to_owned())
    }

    fn end(self) -> Result<()> {
        self.child.kill(Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }
}

fn own(kind: &str) -> Result<PathBuf> {
    fs::read_link(format!("/proc/self/ns/{kind}")).context(kind.to_owned())
}

fn become_nobody() -> Result<()> {
    // SAFETY: the process has one thread.
    ensure!(unsafe { libc::setresuid(1000, 1000, 1000) } == 0);
    Ok(())
}

fn status(xid: u32, key: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/virtual/{xid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    Ok(line
        .context(key.to_owned())?
        .trim_start_matches([':', '\t'])
        .to_owned())
}

fn masks() -> Result<()> {
    ensure!(abi::get_vci()? & abi::VCI_SPACES != 0);
    let all = abi::get_space_mask()?;
    for kind in [
        MNT,
        UTS,
        IPC,
        USER,
        DIRS,
        libc::CLONE_NEWPID as u64,
        libc::CLONE_NEWNET as u64,
        libc::CLONE_NEWCGROUP as u64,
        0x80,
    ] {
        ensure!(all & kind != 0, "{kind:#x} of {all:#x}");
    }
    let default = abi::get_space_default()?;
    ensure!(default == MNT | UTS | IPC | DIRS, "{default:#x}");
    let mut word = 0u64;
    let address = std::ptr::from_mut(&mut word) as usize;
    // A client would take any other answer for the mask.
    ensure!(raw::vserver(abi::VCMD_get_space_default, 0, address)? == 0);
    isolated(|| {
        become_nobody()?;
        ensure!(abi::get_space_mask()? == all);
        expect(abi::get_space_default(), Errno::PERM)
    })
}

fn guest_is_entered() -> Result<()> {
    let guest = Guest::new(
        UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC,
        0,
    )?;
    isolated(|| {
        abi::enter_space(XID, 0, 0)?;
        for kind in ["mnt", "uts", "ipc"] {
            ensure!(own(kind)? == guest.namespace(kind)?, "{kind}");
        }
        ensure!(own("net")? == guest.namespace("net")?);
        // This is not to be in the context.
        ensure!(abi::task_xid(0)? == 0);
        abi::ctx_migrate(XID, 0)?;
        ensure!(fs::read_to_string("/proc/self/vinfo")?.starts_with(&format!("XID:\t{XID}\n")));
        Ok(())
    })?;
    guest.end()
}

fn parts_are_entered() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS | UnshareFlags::NEWIPC, 0)?;
    isolated(|| {
        let ipc = own("ipc")?;
        abi::enter_space(XID, UTS, 0)?;
        ensure!(own("uts")? == guest.namespace("uts")?);
        ensure!(own("ipc")? == ipc && ipc != guest.namespace("ipc")?);
        // All or nothing.
        expect(abi::enter_space(XID, IPC | MNT, 0), Errno::INVAL)?;
        ensure!(own("ipc")? == ipc);
        abi::enter_space(XID, IPC, 0)?;
        ensure!(own("ipc")? == guest.namespace("ipc")?);
        // Nor is it an error to be there already.
        Ok(abi::enter_space(XID, 0, 0)?)
    })?;
    guest.end()
}

fn every_kind() -> Result<()> {
    for (kind, flag) in [
        ("mnt", UnshareFlags::NEWNS),
        ("uts", UnshareFlags::NEWUTS),
        ("ipc", UnshareFlags::NEWIPC),
        ("net", UnshareFlags::NEWNET),
        ("cgroup", UnshareFlags::NEWCGROUP),
        ("pid_for_children", UnshareFlags::NEWPID),
        ("time_for_children", UnshareFlags::NEWTIME),
    ] {
        isolated(|| {
            // A pid namespace lives by its first process, which here is the guest's child.
            let guest = Guest::with(|| {
                abi::process::unshare(flag)?;
                abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
                std::mem::forget(spawn(|| sleep_forever())?);
                Ok(abi::set_space(XID, u64::from(flag.bits()), 0)?)
            })?;
            isolated(|| {
                ensure!(own(kind)? != guest.namespace(kind)?, "it is the host's");
                abi::enter_space(XID, 0, 0)?;
                ensure!(own(kind)? == guest.namespace(kind)?, "not entered");
                let kind = kind.trim_end_matches("_for_children");
                let theirs = guest.namespace(&format!("{kind}_for_children"));
                let child = spawn(|| {
                    let own = own(kind).ok();
                    i32::from(theirs.is_ok_and(|theirs| own != Some(theirs)))
                })?;
                ensure!(child.wait()? == Status::Exited(0), "the child is elsewhere");
                Ok(())
            })?;
            abi::ctx_kill(XID, 0, libc::SIGKILL)?;
            guest.child.wait()?;
            until_ended(XID)
        })
        .context(kind)?;
    }
    Ok(())
}

/// Who may call is in the host's user namespace, and to be there already is no error.
fn user_namespace() -> Result<()> {
    let guest = Guest::with(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        Ok(abi::set_space(XID, USER, 0)?)
    })?;
    isolated(|| {
        abi::enter_space(XID, 0, 0)?;
        ensure!(own("user")? == fs::read_link("/proc/1/ns/user")?);
        Ok(())
    })?;
    guest.end()
}

fn root_and_directory() -> Result<()> {
    let root = PathBuf::from("/mnt/ext4/root");
    fs::create_dir_all(root.join("home"))?;
    let guest = Guest::with(|| {
        chroot(&root)?;
        chdir("/home")?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        Ok(abi::set_space(XID, DIRS, 0)?)
    })?;
    isolated(|| {
        abi::enter_space(XID, DIRS, 0)?;
        ensure!(fs::exists("/home")? && !fs::exists("/proc/self")?, "root");
        ensure!(std::env::current_dir()? == PathBuf::from("/home"));
        Ok(())
    })?;
    ensure!(fs::exists("/proc/self")?);
    guest.end()
}

fn sets_grow() -> Result<()> {
    let guest = Guest::with(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        abi::set_space(XID, UTS, 0)?;
        abi::process::unshare(UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
        // The first UTS namespace stays.
        Ok(abi::set_space(XID, IPC, 0)?)
    })?;
    ensure!(status(XID, "Spaces")? == format!("{:08x}", UTS | IPC));
    isolated(|| {
        let before = own("uts")?;
        abi::enter_space(XID, 0, 0)?;
        ensure!(own("ipc")? == guest.namespace("ipc")?);
        ensure!(own("uts")? != guest.namespace("uts")? && own("uts")? != before);
        Ok(())
    })?;
    guest.end()
}

fn two_sets() -> Result<()> {
    let guest = Guest::with(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        Ok(abi::set_space(XID, UTS, 1)?)
    })?;
    isolated(|| {
        expect(abi::enter_space(XID, 0, 0), Errno::INVAL)?;
        abi::enter_space(XID, 0, 1)?;
        ensure!(own("uts")? == guest.namespace("uts")?);
        Ok(())
    })?;
    ensure!(status(XID, "Spaces")? == "00000000");
    guest.end()
}

/// The old versions know one set; the oldest also no mask.
fn versions() -> Result<()> {
    let guest = Guest::with(|| {
        abi::process::unshare(UnshareFlags::NEWUTS | UnshareFlags::NEWIPC)?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        let mask = UTS;
        let address = std::ptr::from_ref(&mask) as usize;
        raw::vserver(abi::VCMD_set_space_v1, XID, address)?;
        ensure!(status(XID, "Spaces")? == format!("{UTS:08x}"));
        // What it should not look at.
        raw::vserver(abi::VCMD_set_space_v0, XID, 1)?;
        Ok(())
    })?;
    ensure!(status(XID, "Spaces")? == format!("{:08x}", abi::get_space_default()?));
    for (cmd, data) in [
        (abi::VCMD_enter_space_v0, 1),
        (abi::VCMD_enter_space_v1, 0),
        (abi::VCMD_enter_space_v1, std::ptr::from_ref(&IPC) as usize),
        (abi::VCMD_enter_space, 0),
    ] {
        isolated(|| {
            raw::vserver(cmd, XID, data)?;
            ensure!(own("ipc")? == guest.namespace("ipc")?);
            ensure!((own("uts")? == guest.namespace("uts")?) == (data < 2));
            Ok(())
        })
        .with_context(|| format!("{cmd:#x}"))?;
    }
    guest.end()
}

fn private_is_not_entered() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS, 0)?;
    abi::set_cflags(XID, abi::VXF_INFO_PRIVATE, abi::VXF_INFO_PRIVATE)?;
    isolated(|| expect(abi::enter_space(XID, 0, 0), Errno::ACCESS))?;
    abi::set_cflags(XID, 0, abi::VXF_INFO_PRIVATE)?;
    isolated(|| Ok(abi::enter_space(XID, 0, 0)?))?;
    guest.end()
}

/// Threads share root and directory: one of them may not change them for all.
fn shared_directories_stay() -> Result<()> {
    let guest = Guest::with(|| {
        abi::process::unshare(UnshareFlags::NEWNS)?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        Ok(abi::set_space(XID, MNT | DIRS, 0)?)
    })?;
    isolated(|| {
        let before = own("mnt")?;
        let errors =
            std::thread::spawn(|| [MNT, DIRS, 0].map(|mask| abi::enter_space(XID, mask, 0).err()))
                .join();
        ensure!(
            errors.as_ref().is_ok_and(|e| *e == [Some(Errno::INVAL); 3]),
            "{errors:?}"
        );
        ensure!(own("mnt")? == before);
        // A thread is joined a moment before it lets go of the directories.
        eventually("entered", || abi::enter_space(XID, 0, 0).is_ok())?;
        ensure!(own("mnt")? == guest.namespace("mnt")?);
        Ok(())
    })?;
    guest.end()
}

fn live_without_processes() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS, abi::VXF_PERSISTENT)?;
    isolated(|| {
        abi::enter_space(XID, 0, 0)?;
        Ok(sethostname(b"kept")?)
    })?;
    guest.end()?;
    ensure!(abi::ctx_stat(XID)?.tasks == 0);
    isolated(|| {
        abi::enter_space(XID, 0, 0)?;
        ensure!(uname().nodename().to_bytes() == b"kept");
        Ok(())
    })?;
    ensure!(uname().nodename().to_bytes() == b"host");
    abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
    isolated(|| expect(abi::enter_space(XID, 0, 0), Errno::SRCH))
}

fn shown() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS | UnshareFlags::NEWIPC, 0)?;
    let text = fs::read_to_string(format!("/proc/virtual/{XID}/nsproxy"))?;
    ensure!(
        text.starts_with("NSProxy:\t0 ")
            && text
                .lines()
                .next()
                .is_some_and(|l| l.ends_with(&format!(" {:08x}", UTS | IPC))),
        "{text}"
    );
    for kind in ["uts", "ipc"] {
        let link = guest.namespace(kind)?;
        let link = link.to_string_lossy();
        let number = link.trim_start_matches(|c: char| !c.is_ascii_digit());
        let number = number.trim_end_matches(']');
        ensure!(
            text.contains(&format!("\n{kind}:\t{number} ")),
            "{link}: {text}"
        );
    }
    ensure!(text.lines().count() == 3, "{text}");
    let total = fs::read_to_string("/proc/virtual/status")?;
    ensure!(total.contains("#NSProxy:\t1\t0 0 1 1\n"), "{total}");
    isolated(|| {
        abi::ctx_create(XID + 1, 0)?;
        ensure!(fs::read(format!("/proc/virtual/{XID}/nsproxy")).is_err());
        ensure!(fs::read(format!("/proc/virtual/{}/nsproxy", XID + 1))?.is_empty());
        Ok(())
    })?;
    guest.end()?;
    eventually("nothing is held", || {
        fs::read_to_string("/proc/virtual/status")
            .is_ok_and(|total| total.contains("#NSProxy:\t0\t0 0 0 0\n"))
    })
}

fn vserver(args: &[&str]) -> Result<String> {
    let output = Command::new("vserver").args(args).output()?;
    ensure!(
        output.status.success(),
        "vserver {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// `vserver enter` is where `vserver run` was, though its process may be gone.
fn tools_enter_them() -> Result<()> {
    let xid = XID.to_string();
    vserver(&[
        "run",
        "--xid",
        &xid,
        "--name",
        "spaced",
        "--namespaces",
        "mnt,uts,ipc",
        "--hostname",
        "inner",
        "--persistent",
        "--detach",
        "--",
        "sleep",
        "1000",
    ])?;
    let init = abi::vx_info(XID)?.initpid;
    let inside = || {
        vserver(&[
            "enter",
            "spaced",
            "--root",
            "/",
            "--",
            "sh",
            "-c",
            "hostname; readlink /proc/self/ns/mnt; readlink /proc/self/ns/ipc",
        ])
    };
    // A spectator sees the process.
    let theirs = |kind| {
        let link = format!("/proc/{init}/ns/{kind}");
        vserver(&["enter", "1", "--", "readlink", &link])
    };
    let wanted = format!("inner\n{}\n{}", theirs("mnt")?, theirs("ipc")?);
    let found = inside()?;
    ensure!(found == wanted, "{found} instead of {wanted}");
    abi::ctx_kill(XID, 0, libc::SIGKILL)?;
    eventually("nobody", || {
        abi::ctx_stat(XID).is_ok_and(|stat| stat.tasks == 0)
    })?;
    let found = inside()?;
    ensure!(found == wanted, "{found} instead of {wanted}");
    abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
    expect(abi::ctx_stat(XID), Errno::SRCH)
}
