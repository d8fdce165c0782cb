// SPDX-License-Identifier: GPL-2.0
//! reboot(2) inside a context, and the administrator's helper.

use super::{XID, enter_as_init, guest};
use crate::process::{self, Child, Gate, Status, isolated, spawn, until_ended};
use crate::unified::{become_user, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use vserver_abi as abi;

const RESTART: u32 = 0x0123_4567;
const RESTART2: u32 = 0xa1b2_c3d4;
const HALT: u32 = 0xcdef_0123;
const POWER_OFF: u32 = 0x4321_fedc;
const CAD_ON: u32 = 0x89ab_cdef;
const CAD_OFF: u32 = 0;
const SW_SUSPEND: u32 = 0xd000_fce2;
const KEXEC: u32 = 0x4558_4543;

const MAGIC: u32 = 0xfee1_dead;
const MAGIC2: u32 = 672_274_793;

const HELPER: &str = "/proc/sys/kernel/vshelper";

fn reboot_with(magic: u32, magic2: u32, cmd: u32) -> Result<(), Errno> {
    // SAFETY: the only pointer is the name for RESTART2, a C string.
    let ret = unsafe { libc::syscall(libc::SYS_reboot, magic, magic2, cmd, c"x".as_ptr()) };
    syscall(ret).map(drop)
}

fn reboot(cmd: u32) -> Result<(), Errno> {
    reboot_with(MAGIC, MAGIC2, cmd)
}

/// Waits for the end of a context in a process of its own, which exits with 0 if the command that
/// ended it is that one.
fn waiter(xid: u32, cmd: u32) -> Result<Child> {
    let waiter = spawn(|| match abi::wait_exit(xid) {
        Ok(exit) if exit.reboot_cmd as u32 == cmd => 0,
        other => {
            println!("# {other:?} instead of {cmd:#x}");
            1
        }
    })?;
    process::eventually("somebody waits", || {
        process::state(waiter.id()) == Some('S')
    })?;
    Ok(waiter)
}

pub(super) fn reboot_ends_the_context() -> Result<()> {
    for (cmd, flags) in [
        (RESTART, 0),
        (RESTART2, 0),
        (HALT, abi::VXF_REBOOT_KILL),
        (POWER_OFF, 0),
    ] {
        let go = Gate::new()?;
        let child = guest(XID, flags, || {
            let _other = spawn(|| process::sleep_forever())?;
            go.pass()?;
            reboot(cmd)?;
            process::sleep_forever()
        })?;
        let waiter = waiter(XID, cmd)?;
        go.open()?;
        ensure!(child.wait()? == Status::Killed(libc::SIGKILL), "{cmd:#x}");
        ensure!(waiter.wait()? == Status::Exited(0), "{cmd:#x}");
        until_ended(XID)?;
    }
    // Somebody else's end is none of a reboot.
    let child = guest(XID, 0, || process::sleep_forever())?;
    let waiter = waiter(XID, 0)?;
    child.kill(Signal::KILL)?;
    child.wait()?;
    ensure!(waiter.wait()? == Status::Exited(0));
    Ok(())
}

/// The parent of its init is told as that of a pid namespace's is, whoever has called.
pub(super) fn reboot_kills_the_init() -> Result<()> {
    for (cmd, signal) in [
        (RESTART, libc::SIGHUP),
        (RESTART2, libc::SIGHUP),
        (HALT, libc::SIGINT),
        (POWER_OFF, libc::SIGINT),
    ] {
        for by_itself in [true, false] {
            let init = spawn(|| {
                let ask = || i32::from(reboot(cmd).is_err());
                let _other = match (enter_as_init(), by_itself) {
                    (Ok(()), true) => return ask(),
                    (Ok(()), false) => spawn(ask),
                    (Err(_), _) => return 1,
                };
                process::sleep_forever()
            })?;
            let status = init.wait()?;
            ensure!(status == Status::Killed(signal), "{cmd:#x}: {status:?}");
            until_ended(XID)?;
        }
    }
    // Other signals are what they are, also the one that ends a context.
    let ready = Gate::new()?;
    let init = spawn(|| match enter_as_init().and_then(|()| ready.open()) {
        Ok(()) => process::sleep_forever(),
        Err(_) => 1,
    })?;
    ready.pass()?;
    abi::ctx_kill(XID, 0, libc::SIGKILL)?;
    ensure!(init.wait()? == Status::Killed(libc::SIGKILL));
    until_ended(XID)
}

pub(super) fn reboot_is_refused() -> Result<()> {
    let check = || {
        reboot(CAD_ON)?;
        reboot(CAD_OFF)?;
        refused("kexec", reboot(KEXEC), Errno::PERM)?;
        refused("suspend", reboot(SW_SUSPEND), Errno::PERM)?;
        refused("a command", reboot(1), Errno::INVAL)?;
        refused("magic", reboot_with(1, MAGIC2, RESTART), Errno::INVAL)?;
        refused("second magic", reboot_with(MAGIC, 1, RESTART), Errno::INVAL)
    };
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        check()
    })?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        check()
    })?;
    // The host: what is harmless.
    reboot(CAD_OFF)?;
    refused("a command", reboot(1), Errno::INVAL)?;
    refused("magic", reboot_with(1, MAGIC2, RESTART), Errno::INVAL)
}

pub(super) fn reboot_by_whom() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::set_bcaps(XID, 0, 1 << 22)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        refused("without CAP_SYS_BOOT", reboot(RESTART), Errno::PERM)
    })?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        become_user()?;
        refused("as a user", reboot(RESTART), Errno::PERM)
    })
}

/// A pid namespace inside is ended as anywhere, and nobody else is.
pub(super) fn reboot_of_a_container_inside() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
        abi::process::unshare(rustix::thread::UnshareFlags::NEWPID)?;
        let container = spawn(|| {
            let code = i32::from(reboot(HALT).is_ok());
            std::process::exit(code)
        })?;
        // As pid_namespaces(7) says it.
        ensure!(container.wait()? == Status::Killed(libc::SIGINT));
        ensure!(abi::ctx_stat(XID)?.tasks == 1);
        Ok(())
    })?;
    until_ended(XID)
}

/// A helper that notes what it is told.
struct Helper {
    path: PathBuf,
    notes: PathBuf,
}

impl Helper {
    fn new(name: &str) -> Result<Self> {
        let path = PathBuf::from(format!("/tmp/{name}.sh"));
        let notes = PathBuf::from(format!("/tmp/{name}.notes"));
        fs::write(&notes, "")?;
        let script = format!(
            "#!/bin/sh\necho \"$1 $2 $#\" >>{}\n",
            notes.to_string_lossy()
        );
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        fs::write(HELPER, path.to_string_lossy().as_bytes())?;
        Ok(Self { path, notes })
    }

    fn has_noted(&self, text: &str) -> Result<()> {
        // The helpers of one context may run at once.
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        process::eventually(text, || {
            fs::read_to_string(&self.notes).is_ok_and(|notes| sorted(&notes) == sorted(text))
        })
        .with_context(|| format!("{:?}", fs::read_to_string(&self.notes)))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = fs::write(HELPER, "/sbin/vshelper");
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.notes);
    }
}

pub(super) fn helper_is_told() -> Result<()> {
    for (cmd, action) in [
        (RESTART, "restart"),
        (RESTART2, "restart2"),
        (HALT, "halt"),
        (POWER_OFF, "poweroff"),
    ] {
        let helper = Helper::new("told")?;
        let flags = abi::VXF_SC_HELPER | abi::VXF_REBOOT_KILL;
        let child = guest(XID, flags, || {
            reboot(cmd)?;
            process::sleep_forever()
        })?;
        ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
        helper.has_noted(&format!("{action} {XID} 2\nshutdown {XID} 2\n"))?;
        until_ended(XID)?;
    }
    // Not of a context that has none.
    let helper = Helper::new("told")?;
    let child = guest(XID, 0, || {
        reboot(HALT)?;
        process::sleep_forever()
    })?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    // All of the end is over when the id is free: this one's helper comes after it.
    isolated(|| Ok(abi::ctx_create(XID, abi::VXF_SC_HELPER).map(drop)?))?;
    helper.has_noted(&format!("shutdown {XID} 2\n"))
}

pub(super) fn helper_is_in_charge() -> Result<()> {
    let helper = Helper::new("charge")?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_SC_HELPER)?;
        reboot(HALT)?;
        helper.has_noted(&format!("halt {XID} 2\n"))?;
        // Nobody starts one process after the other on the host.
        refused("a second time", reboot(HALT), Errno::AGAIN)?;
        reboot(CAD_OFF)?;
        Ok(())
    })?;
    helper.has_noted(&format!("halt {XID} 2\nshutdown {XID} 2\n"))
}

pub(super) fn helper_that_is_missing() -> Result<()> {
    for path in ["/nonexistent", ""] {
        fs::write(HELPER, format!("{path}\n"))?;
        let status = guest(XID, abi::VXF_SC_HELPER, || {
            reboot(HALT)?;
            process::sleep_forever()
        })
        .and_then(Child::wait);
        fs::write(HELPER, "/sbin/vshelper")?;
        let status = status?;
        ensure!(
            status == Status::Killed(libc::SIGKILL),
            "{path}: {status:?}"
        );
        until_ended(XID)?;
    }
    Ok(())
}

pub(super) fn helper_is_the_hosts_to_name() -> Result<()> {
    ensure!(fs::read_to_string(HELPER)? == "/sbin/vshelper\n");
    let open = || rfs::open(HELPER, OFlags::WRONLY, Mode::empty());
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        refused("by name", open(), Errno::ACCESS)
    })?;
    isolated(|| {
        let file = open()?;
        abi::ctx_create(XID, 0)?;
        refused(
            "by descriptor",
            rustix::io::write(&file, b"/x"),
            Errno::PERM,
        )
    })?;
    open()?;
    Ok(())
}

pub(super) fn restarted_after_a_reboot() -> Result<()> {
    let child = guest(XID, abi::VXF_PERSISTENT, || {
        reboot(RESTART)?;
        process::sleep_forever()
    })?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    ensure!(abi::ctx_stat(XID)?.tasks == 0);
    let go = Gate::new()?;
    let child = spawn(|| {
        if abi::ctx_migrate(XID, 0).is_err() || go.pass().is_err() {
            return 1;
        }
        i32::from(reboot(HALT).is_err())
    })?;
    process::eventually("a new life", || {
        abi::ctx_stat(XID).is_ok_and(|stat| stat.tasks == 1)
    })?;
    abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
    let waiter = waiter(XID, HALT)?;
    go.open()?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    ensure!(waiter.wait()? == Status::Exited(0));
    Ok(())
}
