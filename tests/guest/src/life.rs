// SPDX-License-Identifier: GPL-2.0
//! How contexts end and who gets their orphans, who may enter, the barrier, and process 1.

mod fake_init;
mod fake_proc;

use crate::harness::Suite;
use crate::process::{self, Child, Gate, Status, isolated, spawn};
use crate::tests;
use crate::unified::{become_user, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use fake_init::*;
use fake_proc::*;
use rustix::fd::AsRawFd as _;
use rustix::fs::{self as rfs, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "life",
    wants: "ext4 tmpfs timeout=300",
    tests: tests![
        reboot_ends_the_context,
        reboot_is_refused,
        reboot_by_whom,
        reboot_of_a_container_inside,
        helper_is_told,
        helper_is_in_charge,
        helper_that_is_missing,
        helper_is_the_hosts_to_name,
        restarted_after_a_reboot,
        new_ones_inherit_nothing,
        orphans_go_to_init,
        orphans_go_to_a_subreaper_inside,
        orphans_do_not_go_outside,
        orphans_of_inits_ancestors,
        orphans_outside_stay_outside,
        orphans_go_to_the_reaper,
        who_shares_cannot_enter,
        who_traces_cannot_enter,
        who_used_io_uring_cannot_enter,
        barrier,
        barrier_and_descriptors,
        init_is_process_one,
        the_flag_makes_it_so,
        reached_by_its_number,
        signals_to_and_from_it,
        one_is_never_the_machines,
        what_proc_has_of_it,
        one_name_for_many,
        not_in_a_pid_namespace,
        told_by_other_means,
        shared_list_of_a_cgroup,
        told_in_proc,
        children_left_outside,
    ],
};

const XID: u32 = 300;

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

/// A process in a new context that has been set up.
fn guest(xid: u32, flags: u64, body: impl FnOnce() -> Result<()>) -> Result<Child> {
    let ready = Gate::new()?;
    let child = spawn(|| {
        let made = abi::ctx_create(xid, flags);
        if ready.open().is_err() || made.is_err() {
            println!("# ctx_create: {made:?}");
            return 1;
        }
        match body() {
            Ok(()) => 0,
            Err(e) => {
                println!("# inside: {e:#}");
                1
            }
        }
    })?;
    ready.pass()?;
    Ok(child)
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
    let stat = format!("/proc/{}/stat", waiter.id());
    process::eventually("somebody waits", || {
        fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
    })?;
    Ok(waiter)
}

fn ended(xid: u32) -> Result<()> {
    process::eventually("the end", || abi::ctx_stat(xid) == Err(Errno::SRCH))
}

fn reboot_ends_the_context() -> Result<()> {
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
        ended(XID)?;
    }
    // Somebody else's end is none of a reboot.
    let child = guest(XID, 0, || process::sleep_forever())?;
    let waiter = waiter(XID, 0)?;
    child.kill(Signal::KILL)?;
    child.wait()?;
    ensure!(waiter.wait()? == Status::Exited(0));
    Ok(())
}

fn reboot_is_refused() -> Result<()> {
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

fn reboot_by_whom() -> Result<()> {
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
fn reboot_of_a_container_inside() -> Result<()> {
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
    ended(XID)
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

fn helper_is_told() -> Result<()> {
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
        ended(XID)?;
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

fn helper_is_in_charge() -> Result<()> {
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

fn helper_that_is_missing() -> Result<()> {
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
        ended(XID)?;
    }
    Ok(())
}

fn helper_is_the_hosts_to_name() -> Result<()> {
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

fn restarted_after_a_reboot() -> Result<()> {
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

/// Whoever had the memory before.
fn new_ones_inherit_nothing() -> Result<()> {
    for _ in 0..20 {
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            let words = [
                abi::get_cflags(XID)?,
                abi::get_ccaps(XID)?,
                abi::get_umask(XID)?,
            ];
            ensure!(words == [abi::VXF_STATE_SETUP, 0, 0], "{words:x?}");
            ensure!(abi::vx_info(XID)?.initpid == 0);
            abi::set_ccaps(XID, !0, !0)?;
            abi::set_umask(XID, !0, !0)?;
            abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
            Ok(())
        })?;
    }
    Ok(())
}

fn getpid() -> i32 {
    std::process::id() as i32
}

fn getppid() -> i32 {
    // SAFETY: always safe.
    unsafe { libc::getppid() }
}

fn becomes_subreaper() -> Result<()> {
    // SAFETY: the call takes numbers.
    let ret = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    ensure!(ret == 0);
    Ok(())
}

/// Has a grandchild that loses its parent, and gives the number of the one that it finds then,
/// seen by itself. It exits after that.
fn who_gets_an_orphan() -> Result<i32> {
    let (mut read, write) = process::pipe()?;
    let parent = spawn(|| {
        let old = getpid();
        let orphan = spawn(|| {
            let found = process::eventually("another parent", || getppid() != old);
            let text = format!("{}", if found.is_ok() { getppid() } else { -1 });
            i32::from(rustix::io::write(&write, text.as_bytes()).is_err())
        });
        match orphan {
            // Without waiting for it.
            Ok(orphan) => {
                std::mem::forget(orphan);
                0
            }
            Err(_) => 1,
        }
    })?;
    drop(write);
    ensure!(parent.wait()? == Status::Exited(0));
    let mut text = String::new();
    read.read_to_string(&mut text)?;
    Ok(text.parse()?)
}

/// Waits for any child.
fn reap() -> Result<Pid, Errno> {
    loop {
        match rustix::process::wait(rustix::process::WaitOptions::empty()) {
            Ok(Some((pid, _))) => return Ok(pid),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn enter_as_init() -> Result<()> {
    abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT)?;
    abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
    Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
}

fn orphans_go_to_init() -> Result<()> {
    isolated(|| {
        enter_as_init()?;
        ensure!(who_gets_an_orphan()? == getpid());
        reap()?;
        refused("another", reap(), Errno::CHILD)?;
        // From deeper down.
        let init = getpid();
        let child = spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid == init)))?;
        ensure!(child.wait()? == Status::Exited(0));
        reap()?;
        refused("another", reap(), Errno::CHILD)
    })
}

fn orphans_go_to_a_subreaper_inside() -> Result<()> {
    isolated(|| {
        enter_as_init()?;
        let child = spawn(|| {
            let is_right = becomes_subreaper().is_ok()
                && who_gets_an_orphan().is_ok_and(|pid| pid == getpid())
                && reap().is_ok();
            i32::from(!is_right)
        })?;
        ensure!(child.wait()? == Status::Exited(0));
        refused("another", reap(), Errno::CHILD)
    })
}

fn orphans_do_not_go_outside() -> Result<()> {
    isolated(|| {
        becomes_subreaper()?;
        let child = spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid != getppid())))?;
        ensure!(child.wait()? == Status::Exited(1), "the host's orphan");
        reap()?;
        // With an init, which has a parent outside itself, and without.
        for init in [true, false] {
            let outside = getpid();
            let child = spawn(|| {
                let entered = match init {
                    true => enter_as_init(),
                    false => abi::ctx_create(XID, 0).map(drop).map_err(Into::into),
                };
                let child = entered.and_then(|()| {
                    spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid != outside)))
                });
                let status = child.and_then(Child::wait);
                i32::from(!status.is_ok_and(|status| status == Status::Exited(0)))
            })?;
            ensure!(child.wait()? == Status::Exited(0), "init: {init}");
            refused("its orphan", reap(), Errno::CHILD)?;
            ended(XID)?;
        }
        Ok(())
    })
}

/// Who enters may leave a child outside: the context's init does not become its parent.
fn orphans_outside_stay_outside() -> Result<()> {
    isolated(|| {
        let ready = Gate::new()?;
        let init = spawn(|| {
            if enter_as_init().and_then(|()| ready.open()).is_err() {
                return 1;
            }
            process::sleep_forever()
        })?;
        ready.pass()?;
        ensure!(abi::vx_info(XID)?.initpid == init.id(), "no init");
        let (read, write) = process::pipe()?;
        let father = spawn(|| {
            let father = getpid();
            let orphan = spawn(|| {
                // 0 is a parent whom it does not see.
                let found = process::eventually("another", || ![0, father].contains(&getppid()));
                let pid = if found.is_ok() { getppid() } else { 0 };
                i32::from(rustix::io::write(&write, &pid.to_ne_bytes()).is_err())
            });
            // Without waiting for it.
            std::mem::forget(orphan);
            i32::from(abi::ctx_migrate(XID, 0).is_err())
        })?;
        ensure!(father.wait()? == Status::Exited(0), "it does not enter");
        let mut pid = [0; 4];
        (&read).read_exact(&mut pid)?;
        ensure!(i32::from_ne_bytes(pid) == 1, "{}", i32::from_ne_bytes(pid));
        Ok(())
    })?;
    ended(XID)
}

/// The init is no parent of its own ancestors' children, one of which it is.
fn orphans_of_inits_ancestors() -> Result<()> {
    let (asked, told) = (Gate::new()?, Gate::new()?);
    let (mut read, write) = process::pipe()?;
    let father = spawn(|| {
        let flags = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT;
        if abi::ctx_create(XID, flags).is_err() {
            return 1;
        }
        let father = getpid();
        let init = spawn(|| {
            let check = || -> Result<String> {
                abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
                told.open()?;
                asked.pass()?;
                process::eventually("another parent", || getppid() != father)?;
                ensure!(getppid() != getpid(), "a circle");
                ensure!(who_gets_an_orphan()? == getpid(), "no reaper");
                Ok(String::from("right"))
            };
            let text = check().unwrap_or_else(|e| format!("{e:#}"));
            i32::from(rustix::io::write(&write, text.as_bytes()).is_err())
        });
        let sibling = spawn(|| process::sleep_forever());
        let done = told.pass();
        std::mem::forget((init, sibling));
        i32::from(done.is_err())
    })?;
    drop(write);
    ensure!(father.wait()? == Status::Exited(0));
    asked.open()?;
    let mut text = [0; 64];
    let n = read.read(&mut text)?;
    ensure!(
        &text[..n] == b"right",
        "{}",
        String::from_utf8_lossy(&text[..n])
    );
    ended(XID)
}

fn orphans_go_to_the_reaper() -> Result<()> {
    isolated(|| {
        let (ask, reaper_is_there) = (Gate::new()?, Gate::new()?);
        let (mut read, write) = process::pipe()?;
        let init = spawn(|| {
            let check = || -> Result<()> {
                enter_as_init()?;
                for _ in 0..2 {
                    reaper_is_there.open()?;
                    ask.pass()?;
                    let pid = who_gets_an_orphan()?;
                    rustix::io::write(&write, &pid.to_ne_bytes())?;
                }
                Ok(())
            };
            i32::from(check().is_err())
        })?;
        let mut parent = || -> Result<i32> {
            let mut pid = [0; 4];
            ask.open()?;
            read.read_exact(&mut pid)?;
            Ok(i32::from_ne_bytes(pid))
        };
        reaper_is_there.pass()?;
        let ready = Gate::new()?;
        let reaper = spawn(|| {
            if abi::ctx_migrate(XID, abi::VXM_SET_REAPER).is_err() || ready.open().is_err() {
                return 1;
            }
            process::sleep_forever()
        })?;
        ready.pass()?;
        ensure!(parent()? == reaper.id() as i32);
        ensure!(abi::vx_info(XID)?.initpid == init.id(), "it is no init");
        reaper_is_there.pass()?;
        reaper.kill(Signal::KILL)?;
        reaper.wait()?;
        ensure!(parent()? == init.id() as i32);
        ensure!(init.wait()? == Status::Exited(0));
        Ok(())
    })
}

/// A child that has things in common with this process. It waits to be killed.
fn share(what: libc::c_int) -> Result<Child> {
    // SAFETY: without CLONE_VM this is fork() as far as memory is concerned, and there is one
    // thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, what | libc::SIGCHLD, 0, 0, 0, 0) };
    if syscall(pid)? == 0 {
        process::sleep_forever();
    }
    let pid = Pid::from_raw(pid as i32).context("a pid")?;
    Ok(Child::of(pid))
}

/// The same with the memory.
fn share_memory() -> Result<Child> {
    extern "C" fn pause(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: it waits and touches no memory.
            unsafe { libc::syscall(libc::SYS_pause) };
        }
    }
    let mut stack = vec![0u128; 4096];
    // SAFETY: the stack is the child's alone: it is never freed. What the child runs touches
    // nothing of this process.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(
            pause,
            top.cast(),
            libc::CLONE_VM | libc::SIGCHLD,
            std::ptr::null_mut(),
        )
    };
    std::mem::forget(stack);
    syscall(pid.into())?;
    Ok(Child::of(Pid::from_raw(pid).context("a pid")?))
}

fn enters_after(child: Child, what: &str) -> Result<()> {
    refused(what, abi::ctx_create(XID, 0), Errno::INVAL)?;
    refused(what, abi::ctx_migrate(abi::VX_XID_WATCH, 0), Errno::INVAL)?;
    ensure!(!fs::exists(format!("/proc/virtual/{XID}"))?, "debris");
    child.kill(Signal::KILL)?;
    child.wait()?;
    abi::ctx_create(XID, 0)?;
    Ok(())
}

fn who_shares_cannot_enter() -> Result<()> {
    isolated(|| enters_after(share(libc::CLONE_FS)?, "working directory"))?;
    isolated(|| enters_after(share(libc::CLONE_FILES)?, "files"))?;
    isolated(|| enters_after(share_memory()?, "memory"))?;
    // A child as most are is no hindrance. It is out of reach then, and has to end by itself.
    isolated(|| {
        let go = Gate::new()?;
        let child = spawn(|| i32::from(go.pass().is_err()))?;
        let entered = abi::ctx_create(XID, 0);
        go.open()?;
        std::mem::forget(child);
        Ok(entered.map(drop)?)
    })
}

fn seize(pid: Pid) -> Result<(), Errno> {
    // SAFETY: the call takes numbers.
    let ret = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid.as_raw_nonzero().get(), 0, 0) };
    syscall(ret).map(drop)
}

fn who_traces_cannot_enter() -> Result<()> {
    isolated(|| {
        let child = spawn(|| process::sleep_forever())?;
        seize(child.pid())?;
        enters_after(child, "tracing")
    })?;
    // Who is traced: it is the tracer that gets something, and it is outside.
    isolated(|| {
        let go = Gate::new()?;
        let child = spawn(|| i32::from(go.pass().is_err() || abi::ctx_create(XID, 0).is_err()))?;
        seize(child.pid())?;
        go.open()?;
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })
}

fn who_used_io_uring_cannot_enter() -> Result<()> {
    isolated(|| {
        let mut params = [0u64; 15];
        // SAFETY: struct io_uring_params has 120 bytes.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
        let ring = syscall(ring)?;
        refused("a ring", abi::ctx_create(XID, 0), Errno::INVAL)?;
        // SAFETY: the descriptor is this function's alone.
        syscall(unsafe { libc::close(ring as i32) }.into())?;
        refused("one that was", abi::ctx_create(XID, 0), Errno::INVAL)
    })
}

/// A directory with the barrier, and in it the root of a guest.
fn barred(root: &str) -> Result<(PathBuf, PathBuf)> {
    let guests = Path::new(root).join("guests");
    let guest = guests.join("one");
    fs::create_dir_all(guest.join("jail"))?;
    fs::write(guests.join("secret"), "x")?;
    set_barrier(&guests, true)?;
    Ok((guests, guest))
}

fn set_barrier(dir: &Path, on: bool) -> Result<()> {
    let flags = if on { abi::IATTR_BARRIER } else { 0 };
    let mask = abi::IATTR_BARRIER;
    let attr = abi::CtxFiattr {
        xid: 0,
        flags,
        mask,
    };
    abi::set_iattr(dir, attr).context("set_iattr")
}

/// Leaves a chroot as root can: by a second one below its working directory.
fn escape(guest: &Path, flags: u64) -> Result<()> {
    rustix::process::chroot(guest)?;
    rustix::process::chdir("/")?;
    abi::ctx_create(XID, flags)?;
    rustix::process::chroot("jail")?;
    Ok(())
}

fn barrier() -> Result<()> {
    for root in ["/mnt/ext4", "/mnt/tmpfs"] {
        let (guests, guest) = barred(root)?;
        // Twice: what is known of the inode, and what is not yet.
        for _ in 0..2 {
            isolated(|| {
                escape(&guest, 0)?;
                refused("chdir", rustix::process::chdir(".."), Errno::ACCESS)?;
                refused("further", rfs::stat("../.."), Errno::ACCESS)?;
                refused("a file", rfs::stat("../secret"), Errno::ACCESS)?;
                refused(
                    "a new one",
                    rfs::mkdirat(CWD, "../x", Mode::empty()),
                    Errno::ACCESS,
                )?;
                let list = rfs::open("..", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
                refused("to list it", list, Errno::ACCESS)?;
                // Everything below is the guest's.
                rfs::stat("jail")?;
                rustix::process::chdir("jail")?;
                rustix::process::chdir("..")?;
                Ok(())
            })
            .with_context(|| root.to_owned())?;
        }
        // Who sets it up, who only looks, the host, and everybody once it is gone.
        isolated(|| {
            escape(&guest, abi::VXF_STATE_SETUP)?;
            Ok(rustix::process::chdir("../..")?)
        })
        .context("setup")?;
        isolated(|| {
            abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
            rfs::stat(guests.join("secret"))?;
            Ok(())
        })?;
        rfs::stat(guests.join("secret"))?;
        set_barrier(&guests, false)?;
        isolated(|| {
            escape(&guest, 0)?;
            rfs::stat("../secret")?;
            Ok(rustix::process::chdir("../..")?)
        })
        .context("without")?;
        fs::remove_dir_all(&guests)?;
    }
    Ok(())
}

fn barrier_and_descriptors() -> Result<()> {
    let (guests, guest) = barred("/mnt/ext4")?;
    isolated(|| {
        escape(&guest, 0)?;
        let dir = rfs::open("..", OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        refused(
            "a file",
            rfs::statat(&dir, "secret", rfs::AtFlags::empty()),
            Errno::ACCESS,
        )?;
        refused(
            "above",
            rfs::statat(&dir, "..", rfs::AtFlags::empty()),
            Errno::ACCESS,
        )?;
        refused("fchdir", rustix::process::fchdir(&dir), Errno::ACCESS)?;
        let name = format!("/proc/self/fd/{}", dir.as_raw_fd());
        refused("chroot", rustix::process::chroot(name), Errno::NOENT)?;
        refused(
            "to clear it",
            abi::fset_iattr(&dir, abi::CtxFiattr::default()),
            Errno::PERM,
        )
    })?;
    fs::remove_dir_all(&guests)?;
    Ok(())
}
