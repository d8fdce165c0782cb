// SPDX-License-Identifier: GPL-2.0
//! A context's init as process 1: by number, in what calls report, and to nobody outside.

use super::fake_proc::{absent, line, listed};
use super::{XID, getpid, getppid};
use crate::process::{self, Child, Gate, Status, isolated, sleep_forever, spawn, until_ended};
use crate::unified::{refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// Becomes the init of a new context that may do everything, and process 1 to those inside.
fn become_init(xid: u32) -> Result<()> {
    let setup = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT;
    abi::ctx_create(xid, setup | abi::VXF_INFO_INIT)?;
    abi::set_bcaps(xid, !0, !0)?;
    abi::set_umask(xid, !0, !0)?;
    Ok(abi::set_cflags(xid, 0, setup)?)
}

/// A context's init that does something, and is known by its number here.
pub(super) struct Init {
    pub(super) child: Child,
    xid: u32,
}

impl Init {
    /// It goes on when `body` has succeeded, which it says.
    pub(super) fn new(xid: u32, body: impl FnOnce() -> Result<()>) -> Result<Self> {
        let ready = Gate::new()?;
        let child = spawn(|| {
            let done = become_init(xid).and_then(|()| body());
            if let Err(e) = &done {
                println!("# inside: {e:#}");
            }
            if ready.open().is_err() || done.is_err() {
                return 1;
            }
            sleep_forever()
        })?;
        ready.pass()?;
        ensure!(abi::vx_info(xid)?.initpid == child.id(), "it failed inside");
        Ok(Self { child, xid })
    }

    pub(super) fn end(self) -> Result<()> {
        self.child.kill(Signal::KILL)?;
        ensure!(self.child.wait()? == Status::Killed(libc::SIGKILL));
        until_ended(self.xid)
    }
}

/// Does something in a child of the caller's, which must succeed.
fn in_a_child(body: impl FnOnce() -> Result<()>) -> Result<()> {
    isolated(body).context("in a child")
}

pub(super) fn call(number: i64, arguments: [usize; 4]) -> Result<i64, Errno> {
    let [a, b, c, d] = arguments;
    // SAFETY: the calls below take numbers, or pointers that are valid.
    syscall(unsafe { libc::syscall(number, a, b, c, d) })
}

fn gettid() -> Result<i64, Errno> {
    call(libc::SYS_gettid, [0; 4])
}

pub fn init_is_process_one() -> Result<()> {
    isolated(|| {
        let real = getpid();
        ensure!(real > 1);
        become_init(XID)?;
        ensure!(
            (getpid(), getppid()) == (1, 0),
            "{} {}",
            getpid(),
            getppid()
        );
        ensure!(gettid()? == 1);
        call(libc::SYS_setpgid, [0, 0, 0, 0])?;
        for pid in [0, 1] {
            let group = call(libc::SYS_getpgid, [pid, 0, 0, 0])?;
            ensure!(group == 1, "getpgid({pid}) is {group}");
        }
        // Others have their numbers.
        let child = spawn(|| i32::from((getppid(), getpid() > 1) != (1, true)))?;
        ensure!(child.id() > 1);
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })?;
    until_ended(XID)
}

pub fn the_flag_makes_it_so() -> Result<()> {
    isolated(|| {
        let real = getpid();
        let init = abi::VXF_STATE_INIT;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | init | abi::VXF_INFO_INIT)?;
        ensure!(getpid() == real, "before it is the init");
        refused("1", call(libc::SYS_kill, [1, 0, 0, 0]), Errno::SRCH)?;
        abi::set_cflags(XID, 0, init)?;
        ensure!(getpid() == 1);
        ensure!(abi::vx_info(XID)?.initpid == 1);
        ensure!(abi::task_xid(1)? == XID);
        refused("its own", abi::task_xid(real as u32), Errno::SRCH)?;
        abi::set_cflags(XID, 0, abi::VXF_INFO_INIT)?;
        ensure!(getpid() == real, "without the flag");
        ensure!(abi::vx_info(XID)?.initpid == real as u32);
        refused("1", call(libc::SYS_kill, [1, 0, 0, 0]), Errno::SRCH)?;
        ensure!(call(libc::SYS_kill, [real as usize, 0, 0, 0]) == Ok(0));
        abi::set_cflags(XID, abi::VXF_INFO_INIT, abi::VXF_INFO_INIT)?;
        ensure!(getpid() == 1, "with the flag again");
        Ok(())
    })?;
    until_ended(XID)
}

/// Calls that take a number, tried on `pid`.
fn by_number(pid: usize) -> Vec<(&'static str, Result<i64, Errno>)> {
    let mut buffer = [0u64; 16];
    let at = buffer.as_mut_ptr().addr();
    let opened = call(libc::SYS_pidfd_open, [pid, 0, 0, 0]);
    if let Ok(fd) = opened {
        // SAFETY: it was just opened.
        drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    let seized = call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, pid, 0, 0]);
    if seized.is_ok() {
        let _ = call(
            libc::SYS_ptrace,
            [libc::PTRACE_INTERRUPT as usize, pid, 0, 0],
        );
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), libc::__WALL) };
        let _ = call(libc::SYS_ptrace, [libc::PTRACE_DETACH as usize, pid, 0, 0]);
    }
    vec![
        ("kill", call(libc::SYS_kill, [pid, 0, 0, 0])),
        ("tgkill", call(libc::SYS_tgkill, [pid, pid, 0, 0])),
        ("pidfd_open", opened.map(|_| 0)),
        ("ptrace", seized),
        (
            "sched_getscheduler",
            call(libc::SYS_sched_getscheduler, [pid, 0, 0, 0]),
        ),
        (
            "sched_getaffinity",
            call(libc::SYS_sched_getaffinity, [pid, 128, at, 0]).map(|_| 0),
        ),
        (
            "getpriority",
            call(libc::SYS_getpriority, [0, pid, 0, 0]).map(|_| 0),
        ),
        (
            "ioprio_get",
            call(libc::SYS_ioprio_get, [1, pid, 0, 0]).map(|_| 0),
        ),
        ("prlimit", call(libc::SYS_prlimit64, [pid, 7, 0, at])),
        (
            "getpgid",
            call(libc::SYS_getpgid, [pid, 0, 0, 0]).map(|_| 0),
        ),
        ("getsid", call(libc::SYS_getsid, [pid, 0, 0, 0]).map(|_| 0)),
    ]
}

pub fn reached_by_its_number() -> Result<()> {
    isolated(|| {
        let real = getpid() as usize;
        become_init(XID)?;
        in_a_child(|| {
            for (what, found) in by_number(1) {
                ensure!(found == Ok(0), "{what}(1): {found:?}");
            }
            for (what, found) in by_number(real) {
                ensure!(found == Err(Errno::SRCH), "{what}, its own: {found:?}");
            }
            // One that nobody has is nobody's here, too.
            for (what, found) in by_number(0x7fff_fff0) {
                ensure!(found == Err(Errno::SRCH), "{what}, nobody's: {found:?}");
            }
            Ok(())
        })
    })?;
    until_ended(XID)?;
    // Outside the numbers are what they are.
    let init = Init::new(XID, || Ok(()))?;
    for (what, found) in by_number(init.child.id() as usize) {
        ensure!(found == Ok(0), "{what}: {found:?}");
    }
    ensure!(abi::task_xid(init.child.id())? == XID);
    ensure!(abi::task_xid(1)? == 0);
    init.end()
}

/// Waits for the blocked signal and gives its sender's number.
fn sender(set: &libc::sigset_t) -> Result<i32> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is initialised, `info` is where the answer goes.
    let signal = unsafe { libc::sigwaitinfo(set, &mut info) };
    ensure!(signal == libc::SIGUSR1, "{signal}");
    // SAFETY: a signal by kill(2) has a sender.
    Ok(unsafe { info.si_pid() })
}

pub fn signals_to_and_from_it() -> Result<()> {
    isolated(|| {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: the set is initialised by the first call.
        let set = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
            libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            set.assume_init()
        };
        become_init(XID)?;
        let child = spawn(|| {
            let sent = call(libc::SYS_kill, [1, libc::SIGUSR1 as usize, 0, 0]);
            i32::from(sent.is_err() || !sender(&set).is_ok_and(|pid| pid == 1))
        })?;
        ensure!(sender(&set)? == child.id() as i32, "the child's number");
        child.kill(Signal::USR1)?;
        ensure!(child.wait()? == Status::Exited(0), "init's number");
        // kill(-1) of another is for everybody but the init.
        let sleeper = spawn(|| sleep_forever())?;
        let killer = spawn(|| {
            let all = [usize::MAX, libc::SIGKILL as usize, 0, 0];
            i32::from(call(libc::SYS_kill, all).is_err())
        })?;
        ensure!(sleeper.wait()? == Status::Killed(libc::SIGKILL));
        ensure!(killer.wait()? == Status::Exited(0));
        Ok(())
    })?;
    until_ended(XID)
}

/// With the flag and without, and before there is an init and after.
pub fn one_is_never_the_machines() -> Result<()> {
    let nobody = || -> Result<()> {
        for (what, found) in by_number(1) {
            ensure!(found == Err(Errno::SRCH), "{what}: {found:?}");
        }
        ensure!(!listed()?.contains(&1));
        absent("/proc/1")?;
        absent("/proc/1/stat")
    };
    let machine = fs::read_link("/proc/1/ns/mnt")?;
    for flags in [0, abi::VXF_INFO_INIT] {
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT | flags)?;
            abi::set_bcaps(XID, !0, !0)?;
            nobody()?;
            in_a_child(nobody)
        })?;
        until_ended(XID)?;
    }
    isolated(|| {
        abi::process::unshare(rustix::thread::UnshareFlags::NEWNS)?;
        let own = fs::read_link("/proc/self/ns/mnt")?;
        ensure!(own != machine);
        become_init(XID)?;
        in_a_child(|| {
            ensure!(fs::read_link("/proc/1/ns/mnt")? == own);
            Ok(())
        })
    })?;
    until_ended(XID)
}

pub fn not_in_a_pid_namespace() -> Result<()> {
    isolated(|| {
        become_init(XID)?;
        abi::process::unshare(rustix::thread::UnshareFlags::NEWPID)?;
        let container = spawn(|| {
            let done = (|| -> Result<()> {
                ensure!((getpid(), getppid()) == (1, 0));
                let child = spawn(|| {
                    let is_right = (getpid(), getppid()) == (2, 1)
                        && call(libc::SYS_kill, [1, 0, 0, 0]) == Ok(0);
                    i32::from(!is_right)
                })?;
                ensure!(child.id() == 2);
                ensure!(child.wait()? == Status::Exited(0));
                Ok(())
            })();
            if let Err(e) = &done {
                println!("# in the namespace: {e:#}");
            }
            i32::from(done.is_err())
        })?;
        ensure!(container.id() > 1, "the number outside the namespace");
        ensure!(container.wait()? == Status::Exited(0));
        ensure!(getpid() == 1);
        Ok(())
    })?;
    until_ended(XID)
}

/// Who locks, who is at the other end of a socket, what a pidfd is of, who is in a cgroup.
pub fn told_by_other_means() -> Result<()> {
    let path = "/tmp/fake-init-lock";
    isolated(|| {
        let lock = rfs::open(path, OFlags::RDWR | OFlags::CREATE, Mode::RUSR | Mode::WUSR)?;
        become_init(XID)?;
        // SAFETY: all zeroes is a valid flock; the calls take a valid one.
        let mut ask: libc::flock = unsafe { std::mem::zeroed() };
        ask.l_type = libc::F_WRLCK as i16;
        let at = (&raw mut ask).addr();
        let fd = lock.as_raw_fd() as usize;
        call(libc::SYS_fcntl, [fd, libc::F_SETLK as usize, at, 0])?;
        let (left, right) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::empty(),
            None,
        )?;
        in_a_child(|| {
            // SAFETY: as above.
            let mut ask: libc::flock = unsafe { std::mem::zeroed() };
            ask.l_type = libc::F_WRLCK as i16;
            let at = (&raw mut ask).addr();
            call(libc::SYS_fcntl, [fd, libc::F_GETLK as usize, at, 0])?;
            ensure!(ask.l_pid == 1, "the lock is {}'s", ask.l_pid);
            let peer = rustix::net::sockopt::socket_peercred(&left)?;
            ensure!(peer.pid.as_raw_nonzero().get() == 1, "the peer is {peer:?}");
            let pidfd = call(libc::SYS_pidfd_open, [1, 0, 0, 0])?;
            ensure!(line(format!("/proc/self/fdinfo/{pidfd}"), "Pid")? == 1);
            ensure!(line(format!("/proc/self/fdinfo/{pidfd}"), "NSpid")? == 1);
            Ok(())
        })?;
        drop(right);
        Ok(())
    })?;
    fs::remove_file(path)?;
    until_ended(XID)
}

/// The list of a cgroup of version 1 is made for one who reads it and kept for others.
pub fn shared_list_of_a_cgroup() -> Result<()> {
    let dir = Path::new("/tmp/fake-init-cgroup");
    fs::create_dir_all(dir)?;
    let data = c"none,name=fake";
    rustix::mount::mount(
        "fake",
        dir,
        "cgroup",
        rustix::mount::MountFlags::empty(),
        Some(data),
    )
    .context("a hierarchy of version 1")?;
    let guest = dir.join("guest");
    let found = (|| -> Result<()> {
        fs::create_dir_all(&guest)?;
        let init = Init::new(XID, || Ok(()))?;
        fs::write(guest.join("cgroup.procs"), init.child.id().to_string())?;
        for file in ["cgroup.procs", "tasks"] {
            let list = || fs::read_to_string(guest.join(file));
            let number = format!("{}\n", init.child.id());
            // Kept as long as somebody has it open.
            let open = fs::File::open(guest.join(file))?;
            isolated(|| {
                abi::ctx_migrate(XID, 0)?;
                // Who has come is not in this group; that it is kept must not show.
                ensure!(list()? == "1\n", "{:?} inside", list()?);
                Ok(())
            })?;
            ensure!(list()? == number, "{:?} instead of {number}", list()?);
            drop(open);
        }
        init.end()
    })();
    process::eventually("nobody is in it", || fs::remove_dir(&guest).is_ok())?;
    rustix::mount::unmount(dir, rustix::mount::UnmountFlags::empty())?;
    fs::remove_dir(dir)?;
    found
}
