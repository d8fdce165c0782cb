// SPDX-License-Identifier: GPL-2.0
//! What takes more than a row: broadcasts, parents, keys that were brought along,
//! terminals; and what the host sees of its guests.

use super::calls::{address, call, done};
use super::victim::{self, Victim};
use super::{Found, ask, enter, xids};
use crate::harness::Test;
use crate::process::{Gate, Status, isolated, sleep_forever, spawn};
use crate::{raw, tests};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use vserver_abi as abi;

pub const TESTS: &[Test] = tests![
    kill_everybody,
    own_group_with_others,
    signals_of_events_to_a_group,
    no_parent_outside,
    no_sibling_outside,
    shared_entries_of_proc_stay,
    host_sees_its_children_only,
    keys_brought_along,
    no_keys_from_the_host,
    typing_for_others,
    inode_marks,
    own_debugger,
    entries_of_proc_that_stay,
    traced_by_who_is_inside,
    process_events,
    keyrings_of_users,
    keyring_for_the_parent,
];

/// kill(-1) is for all that one may kill, which is all there is of the context.
fn kill_everybody() -> Result<()> {
    let (xid, other) = xids();
    isolated(|| {
        let (host, guest) = (Victim::new(None)?, Victim::new(Some(other))?);
        enter(xid)?;
        let own = Victim::new(None)?;
        let killed = call(libc::SYS_kill, &[usize::MAX, libc::SIGKILL as usize]);
        ensure!(killed == Ok(0), "{killed:?}");
        ensure!(!own.is_alive()?, "its own lives");
        ensure!(host.is_alive()? && guest.is_alive()?, "others died");
        Ok(())
    })?;
    victim::sweep()
}

/// A process group may have members on both sides: kill(0) is for those of this side.
fn own_group_with_others() -> Result<()> {
    isolated(|| {
        call(libc::SYS_setpgid, &[0, 0])?;
        let (left, _leash) = left_behind()?;
        enter(xids().0)?;
        let own = spawn(|| sleep_forever())?;
        // SAFETY: ignoring a signal touches no memory.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        call(libc::SYS_kill, &[0, libc::SIGTERM as usize])?;
        ensure!(own.wait()? == Status::Killed(libc::SIGTERM));
        outlived(left)
    })
}

/// SIGIO goes to a process group without anybody asking who is in it.
fn signals_of_events_to_a_group() -> Result<()> {
    isolated(|| {
        call(libc::SYS_setpgid, &[0, 0])?;
        let (left, _leash) = left_behind()?;
        enter(xids().0)?;
        let own = spawn(|| sleep_forever())?;
        let (read, write) = rustix::pipe::pipe()?;
        let fd = read.as_raw_fd() as usize;
        // SAFETY: ignoring a signal touches no memory.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let group = (std::process::id() as usize).wrapping_neg();
        call(libc::SYS_fcntl, &[fd, libc::F_SETOWN as usize, group]).context("F_SETOWN")?;
        let asynchronous = (libc::O_ASYNC | libc::O_NONBLOCK) as usize;
        call(libc::SYS_fcntl, &[fd, libc::F_SETFL as usize, asynchronous])?;
        rustix::io::write(&write, b"x")?;
        ensure!(own.wait()? == Status::Killed(libc::SIGIO));
        outlived(left)
    })
}

/// A child that stays on the host when its parent enters a context, until the descriptor is closed.
fn left_behind() -> Result<(u32, OwnedFd)> {
    let (end, leash) = rustix::pipe::pipe()?;
    let mut leash = Some(leash);
    let child = spawn(|| {
        drop(leash.take());
        let _ = rustix::io::read(&end, &mut [0]);
        0
    })?;
    let pid = child.id();
    // It is not found any more when it would be dropped.
    std::mem::forget(child);
    Ok((pid, leash.context("the leash")?))
}

/// Whether a child on the host, which a signal was not meant for, lives. Only waiting for anybody
/// finds it from inside.
fn outlived(pid: u32) -> Result<()> {
    let mut status = 0i32;
    let none = [usize::MAX, address(&mut status), libc::WNOHANG as usize, 0];
    for _ in 0..50 {
        ensure!(
            call(libc::SYS_wait4, &none)? == 0,
            "{pid} died: {status:#x}"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}

fn status_line(key: &str) -> Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    Ok(line.context("no such line")?.trim().to_owned())
}

fn no_parent_outside() -> Result<()> {
    let parent = std::process::id();
    let found = ask(|| {
        ensure!(call(libc::SYS_getppid, &[])? == i64::from(parent));
        enter(xids().0)?;
        ensure!(call(libc::SYS_getppid, &[])? == 0);
        ensure!(status_line("PPid:")? == "0");
        let stat = fs::read_to_string("/proc/self/stat")?;
        ensure!(stat.split(' ').nth(3) == Some("0"), "{stat}");
        let own = std::process::id();
        isolated(|| {
            ensure!(call(libc::SYS_getppid, &[])? == i64::from(own));
            ensure!(status_line("PPid:")? == own.to_string());
            Ok(())
        })?;
        Ok(Ok(0))
    })?;
    ensure!(found == Ok(0));
    Ok(())
}

fn clone_sibling() -> Result<Found> {
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as usize;
    let made = call(libc::SYS_clone, &[flags, 0, 0, 0, 0]);
    if made == Ok(0) {
        // SAFETY: ends the new process at once.
        unsafe { libc::_exit(0) };
    }
    Ok(made.map(|_| 1))
}

fn no_sibling_outside() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        ensure!(clone_sibling()? == Err(Errno::INVAL));
        ensure!(ask(clone_sibling)? == Ok(1));
        Ok(())
    })?;
    ensure!(ask(clone_sibling)? == Ok(1));
    Ok(())
}

/// A name that is not there inside must stay there for those outside.
fn shared_entries_of_proc_stay() -> Result<()> {
    let one = Victim::new(None)?;
    let name = format!("/proc/{}/status", one.pid());
    fs::read(&name)?;
    let id = || anyhow::Ok(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&name)?));
    let before = id()?;
    isolated(|| {
        enter(xids().0)?;
        ensure!(!fs::exists(&name)?);
        Ok(())
    })?;
    ensure!(id()? == before, "the entry was thrown away");
    victim::sweep()
}

fn host_sees_its_children_only() -> Result<()> {
    let ready = Gate::new()?;
    let (read, write) = rustix::pipe::pipe()?;
    let child = spawn(|| {
        let told = enter(xids().0).and_then(|()| {
            let grandchild = spawn(|| sleep_forever())?;
            rustix::io::write(&write, &grandchild.id().to_ne_bytes())?;
            ready.open()?;
            std::mem::forget(grandchild);
            sleep_forever()
        });
        let _: Result<()> = told;
        1
    })?;
    ready.pass()?;
    let mut bytes = [0; 4];
    rustix::io::read(&read, &mut bytes)?;
    let grandchild = u32::from_ne_bytes(bytes) as usize;
    let pid = child.id() as usize;

    ensure!(done(libc::SYS_kill, &[pid, 0]) == Ok(1));
    ensure!(done(libc::SYS_pidfd_open, &[pid, 0]) == Ok(1));
    ensure!(fs::exists(format!("/proc/{pid}"))?);
    let gone = Err(Errno::SRCH);
    ensure!(done(libc::SYS_kill, &[grandchild, 0]) == gone);
    ensure!(done(libc::SYS_pidfd_open, &[grandchild, 0]) == gone);
    ensure!(done(libc::SYS_getsid, &[grandchild]) == gone);
    ensure!(!fs::exists(format!("/proc/{grandchild}"))?);
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        ensure!(done(libc::SYS_kill, &[grandchild, 0]) == Ok(1));
        ensure!(fs::exists(format!("/proc/{grandchild}"))?);
        Ok(())
    })?;
    isolated(|| {
        // A stranger of the same host.
        ensure!(done(libc::SYS_kill, &[pid, 0]) == gone);
        Ok(())
    })?;
    child.kill(Signal::KILL)?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        call(libc::SYS_kill, &[grandchild, libc::SIGKILL as usize])?;
        Ok(())
    })
}

const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
const KEYCTL_READ: usize = 11;
const SESSION_KEYRING: usize = -3i32 as usize;

fn add_key(keyring: usize) -> Found {
    let (mut kind, mut name) = (*b"user\0", *b"brought\0");
    let (kind, name) = (address(&mut kind), address(&mut name));
    call(libc::SYS_add_key, &[kind, name, name, 7, keyring])
}

fn keys_brought_along() -> Result<()> {
    isolated(|| {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let key = add_key(SESSION_KEYRING)? as usize;
        ensure!(call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]) == Ok(7));
        enter(xids().0)?;
        let read = call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]);
        ensure!(read == Err(Errno::NOKEY), "{read:?}");
        let added = add_key(SESSION_KEYRING);
        ensure!(added == Err(Errno::ACCESS), "{added:?}");
        // One of its own is as good as ever.
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let key = add_key(SESSION_KEYRING)? as usize;
        ensure!(call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]) == Ok(7));
        Ok(())
    })
}

/// A key that is not there is asked for from a program of the host: not by a guest.
fn no_keys_from_the_host() -> Result<()> {
    const HELPER: &str = "/sbin/request-key";
    let called = format!("/tmp/request-key-{}", std::process::id());
    fs::write(HELPER, format!("#!/bin/sh\necho \"$2\" > {called}\n"))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(HELPER, mode)?;
    let request = || {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let (mut kind, mut name) = (*b"user\0", *b"missing\0");
        let (kind, name) = (address(&mut kind), address(&mut name));
        anyhow::Ok(call(libc::SYS_request_key, &[kind, name, name, 0]))
    };
    let result = isolated(|| {
        enter(xids().0)?;
        let found = request()?;
        ensure!(found == Err(Errno::NOKEY), "{found:?}");
        ensure!(!fs::exists(&called)?, "the helper was called");
        Ok(())
    })
    .and_then(|()| {
        isolated(|| {
            let _ = request()?;
            ensure!(fs::exists(&called)?, "the helper is not called at all");
            Ok(())
        })
    });
    fs::remove_file(HELPER)?;
    result
}

/// TIOCSTI on a terminal, which may be the host's too, unless the administrator allows it.
fn typing_for_others() -> Result<()> {
    const TIOCLINUX: usize = 0x541c;
    const TIOCVHANGUP: usize = 0x5437;
    let host = std::process::id();
    for ccaps in [0, abi::VXC_TIOCSTI] {
        isolated(|| {
            call(libc::SYS_setsid, &[])?;
            let terminal = terminal()?;
            let mut letter = *b"x";
            let letter = address(&mut letter);
            let type_it = || done(libc::SYS_ioctl, &[terminal, libc::TIOCSTI as usize, letter]);
            ensure!(type_it() == Ok(1));

            let xid = xids().0;
            abi::ctx_create(xid, abi::VXF_STATE_SETUP)?;
            let words = [u64::MAX, u64::MAX, ccaps, u64::MAX];
            raw::vserver(abi::VCMD_set_bcaps, xid, (&raw const words[0]).addr())?;
            raw::vserver(abi::VCMD_set_ccaps, xid, (&raw const words[2]).addr())?;
            abi::set_cflags(xid, 0, abi::VXF_STATE_SETUP)?;
            let allowed = ccaps != 0;
            let expected = if allowed { Ok(1) } else { Err(Errno::PERM) };
            ensure!(type_it() == expected, "{ccaps:#x}: {:?}", type_it());
            let hung_up = done(libc::SYS_ioctl, &[terminal, TIOCVHANGUP, 0]);
            ensure!(hung_up == Err(Errno::PERM), "{hung_up:?}");
            let console = done(libc::SYS_ioctl, &[terminal, TIOCLINUX, letter]);
            ensure!(console == Err(Errno::PERM), "{console:?}");
            // No group of the host's gets what is typed, and its signals.
            let mut group = host;
            let group = address(&mut group);
            let given = done(
                libc::SYS_ioctl,
                &[terminal, libc::TIOCSPGRP as usize, group],
            );
            ensure!(given == Err(Errno::SRCH), "{given:?}");
            let redirected = done(libc::SYS_ioctl, &[terminal, libc::TIOCCONS as usize, 0]);
            ensure!(redirected == Err(Errno::PERM), "{redirected:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// A new terminal, which controls the caller's session.
fn terminal() -> Result<usize> {
    let mut options = fs::File::options();
    let master = options.read(true).write(true).open("/dev/ptmx")?;
    let fd = master.as_raw_fd() as usize;
    let mut locked = 0i32;
    let locked = address(&mut locked);
    call(libc::SYS_ioctl, &[fd, libc::TIOCSPTLCK as usize, locked])?;
    let mode = (libc::O_RDWR | libc::O_CLOEXEC) as usize;
    let peer = call(libc::SYS_ioctl, &[fd, libc::TIOCGPTPEER as usize, mode])? as usize;
    call(libc::SYS_ioctl, &[peer, libc::TIOCSCTTY as usize, 0])?;
    // It must not be hung up.
    std::mem::forget(master);
    Ok(peer)
}

fn inode_marks() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        let group = call(libc::SYS_fanotify_init, &[0, 0])? as usize;
        let (here, mut name) = (libc::AT_FDCWD as usize, *b"/tmp\0");
        call(
            libc::SYS_fanotify_mark,
            &[group, 1, 0x20, here, address(&mut name)],
        )?;
        Ok(())
    })
}

/// Breakpoints of ptrace() are perf events of the kernel's own.
fn own_debugger() -> Result<()> {
    const PTRACE_POKEUSER: usize = 6;
    const PTRACE_SEIZE: usize = 0x4206;
    const PTRACE_INTERRUPT: usize = 0x4207;
    const DEBUG_REGISTERS: usize = 848;
    isolated(|| {
        enter(xids().0)?;
        let child = spawn(|| sleep_forever())?;
        let pid = child.id() as usize;
        call(libc::SYS_ptrace, &[PTRACE_SEIZE, pid, 0, 0])?;
        call(libc::SYS_ptrace, &[PTRACE_INTERRUPT, pid, 0, 0])?;
        call(libc::SYS_wait4, &[pid, 0, 0, 0])?;
        let mut here = 0u64;
        let poke = |register: usize, value: usize| {
            let at = DEBUG_REGISTERS + 8 * register;
            call(libc::SYS_ptrace, &[PTRACE_POKEUSER, pid, at, value])
        };
        poke(0, address(&mut here)).context("the address")?;
        poke(7, 0xd_0001).context("what to wait for")?;
        Ok(())
    })
}

fn entries_of_proc_that_stay() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        for name in [
            "meminfo",
            "stat",
            "mounts",
            "net/dev",
            "sys/kernel/ostype",
            "self/status",
            "uptime",
            "virtual/info",
            "sysvipc/shm",
            "version",
        ] {
            fs::read(format!("/proc/{name}")).context(name)?;
        }
        Ok(())
    })
}

/// Who asks its parent to trace it is not there for a parent who has entered a context.
fn traced_by_who_is_inside() -> Result<()> {
    const PTRACE_TRACEME: usize = 0;
    for inside in [false, true] {
        isolated(|| {
            let (ready, told) = (Gate::new()?, Gate::new()?);
            let (mut text, write) = crate::process::pipe()?;
            let child = spawn(|| {
                let asked = ready
                    .pass()
                    .map(|()| done(libc::SYS_ptrace, &[PTRACE_TRACEME]));
                let _ = rustix::io::write(&write, format!("{asked:?}").as_bytes());
                let _ = told.open();
                0
            })?;
            if inside {
                enter(xids().0)?;
            }
            ready.open()?;
            told.pass()?;
            drop(write);
            let mut asked = [0; 256];
            let len = std::io::Read::read(&mut text, &mut asked)?;
            let asked = String::from_utf8_lossy(asked.get(..len).unwrap_or_default()).into_owned();
            let expected: Result<Found> = Ok(if inside { Err(Errno::PERM) } else { Ok(1) });
            // It is not found any more when it would be waited for.
            std::mem::forget(child);
            ensure!(asked == format!("{expected:?}"), "{inside}: {asked}");
            Ok(())
        })?;
    }
    Ok(())
}

/// The connector tells of every fork and exit there is.
fn process_events() -> Result<()> {
    const NETLINK_CONNECTOR: libc::c_int = 11;
    let connect = || {
        let args = [libc::AF_NETLINK, libc::SOCK_DGRAM, NETLINK_CONNECTOR];
        call(libc::SYS_socket, &args.map(|arg| arg as usize)).map(drop)
    };
    connect().context("the host")?;
    isolated(|| {
        enter(xids().0)?;
        let got = connect();
        ensure!(got == Err(Errno::PROTONOSUPPORT), "{got:?}");
        Ok(())
    })
}

/// A user's keyrings are the host's, also if a guest is the first to ask for them.
fn keyrings_of_users() -> Result<()> {
    const UID: u32 = 4321;
    const KEYCTL_GET_KEYRING_ID: usize = 0;
    const USER_KEYRING: usize = -4isize as usize;
    const KEYCTL_GET_PERSISTENT: usize = 22;
    const PROCESS_KEYRING: usize = -2isize as usize;
    let own = || call(libc::SYS_keyctl, &[KEYCTL_GET_KEYRING_ID, USER_KEYRING, 1]);
    let persistent = || {
        let args = [KEYCTL_GET_PERSISTENT, UID as usize, PROCESS_KEYRING];
        call(libc::SYS_keyctl, &args)
    };
    isolated(|| {
        enter(xids().0)?;
        let got = persistent();
        ensure!(got.is_err(), "persistent: {got:?}");
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(UID, UID, UID) } == 0);
        let got = own();
        ensure!(got == Err(Errno::NOKEY), "the guest's: {got:?}");
        Ok(())
    })?;
    isolated(|| {
        // SAFETY: as above.
        ensure!(unsafe { libc::setresuid(UID, UID, UID) } == 0);
        let got = own();
        ensure!(got.is_ok(), "the host's: {got:?}");
        let got = persistent();
        ensure!(got.is_ok(), "the host's persistent one: {got:?}");
        Ok(())
    })
}

/// Nobody inside replaces the credentials of the parent that it has kept.
fn keyring_for_the_parent() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    const KEYCTL_SESSION_TO_PARENT: usize = 18;
    let give = || {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        call(libc::SYS_keyctl, &[KEYCTL_SESSION_TO_PARENT])
    };
    isolated(|| {
        enter(xids().0)?;
        let got = give();
        ensure!(got == Err(Errno::PERM), "{got:?}");
        Ok(())
    })?;
    // To one's own parent inside, and on the host.
    isolated(|| {
        let got = give();
        ensure!(got.is_ok(), "on the host: {got:?}");
        Ok(())
    })
}
