// SPDX-License-Identifier: GPL-2.0
//! What two sides have in common: descriptors that were passed on, queues whose names they share.

use super::calls::{address, call, done};
use super::{enter, xids};
use crate::calls::send_fd;
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::tests;
use crate::uring;
use anyhow::{Context as _, Result, ensure};
use io_uring::opcode::Nop;
use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
    SocketType,
};
use rustix::process::{WaitOptions, waitpid};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

pub const TESTS: &[Test] = tests![
    descriptors_of_the_host,
    descriptors_of_others,
    message_queues,
    message_queues_by_path,
    pidfds_of_peers,
    signal_of_events_for_others,
    signals_by_descriptor,
    priorities_of_io_that_are_shared,
    credentials_in_a_ring,
];

type Pair = (OwnedFd, OwnedFd);

fn pair() -> Result<Pair> {
    let flags = SocketFlags::CLOEXEC;
    let kind = SocketType::DGRAM;
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        kind,
        flags,
        None,
    )?)
}

/// Sends a pipe of one's own.
fn send_pipe(to: &OwnedFd) -> Result<()> {
    let (read, _) = rustix::pipe::pipe()?;
    send_fd(to, &read)
}

/// How many descriptors come with the next message.
fn receive(from: &OwnedFd) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(from, &mut data, &mut control, RecvFlags::empty())?;
    let count = control.drain().map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.count(),
        _ => 0,
    });
    Ok(count.sum())
}

fn descriptors_of_the_host() -> Result<()> {
    let (one, two) = pair()?;
    send_pipe(&one)?;
    isolated(|| {
        enter(xids().0)?;
        ensure!(receive(&two)? == 1, "not what the administrator passes");
        send_pipe(&one)?;
        ensure!(receive(&two)? == 1, "not its own");
        send_pipe(&one)
    })?;
    ensure!(receive(&two)? == 1, "the host gets nothing");
    Ok(())
}

fn descriptors_of_others() -> Result<()> {
    let (xid, other) = xids();
    let (one, two) = pair()?;
    let mut signals = 1u64 << (libc::SIGUSR1 - 1);
    let signals = address(&mut signals);
    // What is no file, but can be waited for.
    let others = [
        (libc::SYS_eventfd2, [0; 4]),
        (libc::SYS_signalfd4, [usize::MAX, signals, 8, 0]),
        (libc::SYS_epoll_create1, [0; 4]),
    ];
    isolated(|| {
        enter(other)?;
        send_pipe(&one)?;
        for (number, args) in others {
            let fd = call(number, &args)?;
            // SAFETY: a new descriptor that nobody else knows.
            send_fd(&one, &unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })?;
        }
        Ok(())
    })?;
    isolated(|| {
        enter(xid)?;
        for i in 0..=others.len() {
            ensure!(receive(&two)? == 0, "another context's, number {i}");
        }
        Ok(())
    })
}

/// POSIX message queues, whose names are of the IPC namespace.
fn message_queues() -> Result<()> {
    let (xid, other) = xids();
    let mut name = format!("escape-{}\0", std::process::id()).into_bytes();
    let name = name.as_mut_ptr().addr();
    let create = (libc::O_CREAT | libc::O_RDWR) as usize;
    let make = || done(libc::SYS_mq_open, &[name, create, 0o666, 0]);
    let open = || done(libc::SYS_mq_open, &[name, libc::O_RDWR as usize, 0, 0]);
    let remove = || done(libc::SYS_mq_unlink, &[name]);
    let refused = Err(Errno::ACCESS);

    ensure!(make() == Ok(1) && open() == Ok(1));
    isolated(|| {
        enter(xid)?;
        ensure!(open() == refused && make() == refused && remove() == refused);
        Ok(())
    })?;
    ensure!(remove() == Ok(1));
    isolated(|| {
        enter(other)?;
        ensure!(make() == Ok(1) && open() == Ok(1) && remove() == Ok(1));
        ensure!(make() == Ok(1));
        Ok(())
    })?;
    // The host is refused too: a guest could put it where the host looks for its own.
    ensure!(open() == refused && remove() == refused);
    isolated(|| {
        enter(xid)?;
        ensure!(open() == refused && remove() == refused);
        Ok(())
    })?;
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        ensure!(open() == Ok(1) && remove() == Ok(1));
        Ok(())
    })
}

/// Where they are mounted they are files, with a mode and an owner.
fn message_queues_by_path() -> Result<()> {
    use rustix::fs::{CWD, Gid, Mode, Timespec, Timestamps, Uid};
    const DIR: &str = "/mnt";
    let make = |name: &str| {
        let mut name = format!("{name}\0").into_bytes();
        let create = (libc::O_CREAT | libc::O_RDWR) as usize;
        done(
            libc::SYS_mq_open,
            &[name.as_mut_ptr().addr(), create, 0o600, 0],
        )
    };
    let change = |name: &str| {
        let path = format!("{DIR}/{name}");
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: zero,
            last_modification: zero,
        };
        [
            rustix::fs::chmod(&path, Mode::from_raw_mode(0o666)),
            rustix::fs::chown(&path, Some(Uid::from_raw(1)), Some(Gid::from_raw(1))),
            rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()),
        ]
    };
    isolated(|| {
        // SAFETY: nothing of memory is concerned.
        ensure!(unsafe { libc::unshare(libc::CLONE_NEWIPC) } == 0);
        new_mounts()?;
        rustix::mount::mount("mqueue", DIR, "mqueue", MountFlags::empty(), None)?;
        ensure!(make("host") == Ok(1));
        isolated(|| {
            enter(xids().0)?;
            ensure!(make("guest") == Ok(1));
            let own = change("guest");
            ensure!(own == [Ok(()); 3], "its own: {own:?}");
            let others = change("host");
            ensure!(others == [Err(Errno::ACCESS); 3], "the host's: {others:?}");
            Ok(())
        })?;
        let own = change("host");
        ensure!(own == [Ok(()); 3], "the host itself: {own:?}");
        let others = change("guest");
        ensure!(others == [Err(Errno::ACCESS); 3], "a guest's: {others:?}");
        isolated(|| {
            enter(abi::VX_XID_WATCH)?;
            let all = change("guest");
            ensure!(all == [Ok(()); 3], "the spectator: {all:?}");
            Ok(())
        })
    })
}

/// A pidfd of whoever has sent the next message.
fn sender(from: &OwnedFd) -> Result<OwnedFd> {
    const SCM_PIDFD: libc::c_int = 4;
    let mut byte = [0u8];
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    let mut control = [0u64; 8];
    // SAFETY: zeroes are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let at = address(&mut message);
    call(libc::SYS_recvmsg, &[from.as_raw_fd() as usize, at, 0])?;
    // SAFETY: the kernel has filled it in, and it points to `control`.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message).as_ref() };
    let first = first.context("no control message")?;
    ensure!((first.cmsg_level, first.cmsg_type) == (libc::SOL_SOCKET, SCM_PIDFD));
    // SAFETY: such a message is a number.
    let fd = unsafe { libc::CMSG_DATA(first).cast::<i32>().read_unaligned() };
    ensure!(fd >= 0, "{}", Errno::from_raw_os_error(-fd));
    // SAFETY: it is a descriptor, and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket gives a pidfd of who is at its other end: outside that leads to nobody.
fn pidfds_of_peers() -> Result<()> {
    const SO_PASSPIDFD: usize = 76;
    const SO_PEERPIDFD: usize = 77;
    const PIDFD_GET_INFO: usize = 0xc080_ff0b;
    let (one, two) = pair()?;
    let mut on = 1i32;
    let at = [two.as_raw_fd() as usize, libc::SOL_SOCKET as usize];
    call(
        libc::SYS_setsockopt,
        &[at[0], at[1], SO_PASSPIDFD, address(&mut on), 4],
    )?;
    let send = || rustix::net::send(&one, b"x", SendFlags::empty());
    let peer = || {
        let (mut fd, mut len) = (-1i32, 4u32);
        let at = [one.as_raw_fd() as usize, libc::SOL_SOCKET as usize];
        let (value, len) = (address(&mut fd), address(&mut len));
        call(
            libc::SYS_getsockopt,
            &[at[0], at[1], SO_PEERPIDFD, value, len],
        )?;
        anyhow::Ok(fd as usize)
    };
    let reach = |pidfd: usize| {
        // struct pidfd_info: a mask first
        let mut info = [0u64; 16];
        [
            done(libc::SYS_pidfd_send_signal, &[pidfd, 0, 0, 0]),
            done(
                libc::SYS_ioctl,
                &[pidfd, PIDFD_GET_INFO, address(&mut info)],
            ),
            done(libc::SYS_pidfd_getfd, &[pidfd, one.as_raw_fd() as usize, 0]),
        ]
    };
    let found = reach(peer()?);
    ensure!(found == [Ok(1); 3], "the host: {found:?}");
    send()?;
    let found = reach(sender(&two)?.as_raw_fd() as usize);
    ensure!(found == [Ok(1); 3], "the host by a message: {found:?}");
    send()?;
    isolated(|| {
        enter(xids().0)?;
        let nobody = [Err(Errno::PERM), Err(Errno::REMOTE), Err(Errno::PERM)];
        let found = reach(peer()?);
        ensure!(found == nobody, "{found:?}");
        let found = reach(sender(&two)?.as_raw_fd() as usize);
        ensure!(found == nobody, "by a message: {found:?}");
        Ok(())
    })
}

/// Who is told of events chooses the signal: else a guest could choose SIGKILL.
fn signal_of_events_for_others() -> Result<()> {
    const F_SETSIG: usize = 10;
    let fcntl = |fd: &OwnedFd, command: usize, arg: usize| {
        done(libc::SYS_fcntl, &[fd.as_raw_fd() as usize, command, arg])
    };
    let set = |fd: &OwnedFd| fcntl(fd, F_SETSIG, libc::SIGKILL as usize);
    isolated(|| {
        let (told, _write) = rustix::pipe::pipe()?;
        let (untold, _other) = rustix::pipe::pipe()?;
        let own = std::process::id() as usize;
        ensure!(fcntl(&told, libc::F_SETOWN as usize, own) == Ok(1));
        isolated(|| {
            enter(xids().0)?;
            for fd in [&told, &untold] {
                ensure!(set(fd) == Err(Errno::PERM), "{:?}", set(fd));
            }
            let (mine, _end) = rustix::pipe::pipe()?;
            ensure!(set(&mine) == Ok(1) && set(&mine) == Ok(1));
            let own = std::process::id() as usize;
            ensure!(fcntl(&mine, libc::F_SETOWN as usize, own) == Ok(1));
            ensure!(set(&mine) == Ok(1));
            // What it has taken over tells the host nothing any more.
            ensure!(fcntl(&told, libc::F_SETOWN as usize, own) == Ok(1));
            ensure!(set(&told) == Ok(1));
            Ok(())
        })?;
        ensure!(set(&untold) == Ok(1));
        Ok(())
    })
}

/// A signalfd from outside is about the signals of who reads it.
fn signals_by_descriptor() -> Result<()> {
    isolated(|| {
        let mut signals = 1u64 << (libc::SIGUSR1 - 1);
        let set = address(&mut signals);
        let block = libc::SIG_BLOCK as usize;
        call(libc::SYS_rt_sigprocmask, &[block, set, 0, 8])?;
        let flags = libc::SFD_NONBLOCK as usize;
        let fd = call(libc::SYS_signalfd4, &[usize::MAX, set, 8, flags])? as usize;
        let raise = || {
            let own = std::process::id() as usize;
            call(libc::SYS_kill, &[own, libc::SIGUSR1 as usize])
        };
        let read = || {
            let mut found = [0u8; 128];
            call(libc::SYS_read, &[fd, address(&mut found), found.len()])
        };
        raise()?;
        isolated(|| {
            enter(xids().0)?;
            ensure!(read() == Err(Errno::AGAIN), "the host's");
            raise()?;
            ensure!(read() == Ok(128), "its own");
            Ok(())
        })?;
        ensure!(read() == Ok(128), "the host itself");
        Ok(())
    })
}

/// Who shares what I/O is queued by would get another priority with it.
fn priorities_of_io_that_are_shared() -> Result<()> {
    const BEST_EFFORT_4: usize = 2 << 13 | 4;
    isolated(|| {
        call(libc::SYS_ioprio_set, &[1, 0, BEST_EFFORT_4])?;
        let flags = libc::CLONE_IO as usize | libc::SIGCHLD as usize;
        let (end, leash) = rustix::pipe::pipe()?;
        let pid = call(libc::SYS_clone, &[flags, 0, 0, 0, 0])?;
        if pid == 0 {
            drop(leash);
            let _ = rustix::io::read(&end, &mut [0]);
            // SAFETY: ends the new process at once.
            unsafe { libc::_exit(0) };
        }
        let shared = abi::ctx_create(xids().0, 0).map(drop);
        ensure!(shared == Err(Errno::INVAL), "{shared:?}");
        drop(leash);
        // It lets go of it on its way out, maybe after it was waited for.
        crate::process::eventually("nobody shares it", || abi::ctx_create(xids().0, 0).is_ok())
    })
}

/// An io_uring that was made on the host has credentials of the host registered.
fn credentials_in_a_ring() -> Result<()> {
    let submit = |inside: bool| {
        let mut ring = uring::ring()?;
        let host = ring.submitter().register_personality();
        let host = host.map_err(|_| Errno::IO)?;
        if inside {
            // Who has used a ring cannot enter; a child has not, and shares this one.
            if let Fork::Parent(child) = fork()? {
                let status = waitpid(Some(child), WaitOptions::empty())?;
                let code = status.and_then(|(_, status)| status.exit_status());
                std::process::exit(code.unwrap_or(101));
            }
            enter(xids().0).map_err(|_| Errno::IO)?;
        }
        uring::run_in(&mut ring, &Nop::new().build().personality(host))
    };
    for (inside, expected) in [(false, Ok(0)), (true, Err(Errno::PERM))] {
        isolated(|| {
            let found = submit(inside);
            ensure!(found == expected, "{found:?}");
            Ok(())
        })?;
    }
    Ok(())
}
