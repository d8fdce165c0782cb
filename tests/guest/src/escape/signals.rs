// SPDX-License-Identifier: GPL-2.0
//! Signals, pidfds, process groups and who waits for whom.

use super::calls::{address, call, done};
use super::{ALL, rows};
use crate::harness::Test;
use rustix::fd::AsRawFd as _;
use rustix::io::Errno;

/// `struct f_owner_ex`
#[repr(C)]
struct Owner {
    kind: i32,
    pid: i32,
}

/// What a sender may say of itself: `struct siginfo`, whose code is `SI_QUEUE`.
#[repr(C)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    rest: [i32; 29],
}

impl Info {
    fn new() -> Self {
        Self {
            signal: libc::SIGCONT,
            errno: 0,
            code: libc::SI_QUEUE,
            rest: [0; 29],
        }
    }
}

/// `struct pidfd_info`
#[repr(C)]
struct PidfdInfo {
    mask: u64,
    rest: [u64; 15],
}

const CONT: usize = libc::SIGCONT as usize;
const PIDFD_GET_INFO: usize = 0xc080_ff0b;
const PIDFD_GET_IPC_NAMESPACE: usize = 0xff02;
const FD_PIDFS_ROOT: usize = -10002i32 as usize;
const F_SETOWN_EX: usize = 15;

pub const ROWS: &[Test] = rows![ALL;
    "kill, to ask", Err(Errno::SRCH), |v| Ok(done(libc::SYS_kill, &[v.pid(), 0]));
    "kill", Err(Errno::SRCH), |v| Ok(done(libc::SYS_kill, &[v.pid(), CONT]));
    "kill, fatally", Ok(1), |v| {
        let _ = call(libc::SYS_kill, &[v.pid(), libc::SIGKILL as usize]);
        Ok(Ok(v.is_alive()?.into()))
    };
    "kill a group", Err(Errno::SRCH), |v| Ok(done(libc::SYS_kill, &[v.group(), CONT]));
    "tkill", Err(Errno::SRCH), |v| Ok(done(libc::SYS_tkill, &[v.pid(), CONT]));
    "tgkill", Err(Errno::SRCH), |v| Ok(done(libc::SYS_tgkill, &[v.pid(), v.pid(), CONT]));
    "rt_sigqueueinfo", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_rt_sigqueueinfo,
        &[v.pid(), CONT, address(&mut Info::new())],
    ));
    "rt_tgsigqueueinfo", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_rt_tgsigqueueinfo,
        &[v.pid(), v.pid(), CONT, address(&mut Info::new())],
    ));
    "pidfd_open", Err(Errno::SRCH), |v| Ok(done(libc::SYS_pidfd_open, &[v.pid(), 0]));
    "pidfd_send_signal by an old pidfd", Err(Errno::PERM), |v| Ok(done(
        libc::SYS_pidfd_send_signal,
        &[v.pidfd(), CONT, 0, 0],
    ));
    "pidfd_send_signal to the group of an old pidfd", Err(Errno::PERM), |v| Ok(done(
        libc::SYS_pidfd_send_signal,
        &[v.pidfd(), CONT, 0, 4],
    ));
    "a pidfd by its file handle", Err(Errno::STALE), |v| Ok(done(
        libc::SYS_open_by_handle_at,
        &[FD_PIDFS_ROOT, (&raw const v.handle).addr(), libc::O_CLOEXEC as usize],
    ));
    "PIDFD_GET_INFO of an old pidfd", Err(Errno::REMOTE), |v| {
        let mut info = PidfdInfo { mask: 7, rest: [0; 15] };
        Ok(done(libc::SYS_ioctl, &[v.pidfd(), PIDFD_GET_INFO, address(&mut info)]))
    };
    "PIDFD_GET_IPC_NAMESPACE of an old pidfd", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_ioctl,
        &[v.pidfd(), PIDFD_GET_IPC_NAMESPACE, 0],
    ));
    "pidfd_getfd of an old pidfd", Err(Errno::PERM), |v| Ok(done(
        libc::SYS_pidfd_getfd,
        &[v.pidfd(), 0, 0],
    ));
    "F_SETOWN", Err(Errno::SRCH), |v| {
        let (file, _) = rustix::pipe::pipe()?;
        let fd = file.as_raw_fd() as usize;
        Ok(done(libc::SYS_fcntl, &[fd, libc::F_SETOWN as usize, v.pid()]))
    };
    "F_SETOWN to a group", Err(Errno::SRCH), |v| {
        let (file, _) = rustix::pipe::pipe()?;
        let fd = file.as_raw_fd() as usize;
        Ok(done(libc::SYS_fcntl, &[fd, libc::F_SETOWN as usize, v.group()]))
    };
    "F_SETOWN_EX to a thread", Err(Errno::SRCH), |v| {
        let (file, _) = rustix::pipe::pipe()?;
        let mut owner = Owner { kind: 0, pid: v.pid() as i32 };
        let fd = file.as_raw_fd() as usize;
        Ok(done(libc::SYS_fcntl, &[fd, F_SETOWN_EX, address(&mut owner)]))
    };
    "wait for it", Err(Errno::CHILD), |v| Ok(done(
        libc::SYS_wait4,
        &[v.pid(), 0, libc::WNOHANG as usize, 0],
    ));
    "setpgid of it", Err(Errno::SRCH), |v| Ok(done(libc::SYS_setpgid, &[v.pid(), v.pid()]));
    "setpgid into its group", Err(Errno::PERM), |v| Ok(done(libc::SYS_setpgid, &[0, v.pid()]));
    "getpgid", Err(Errno::SRCH), |v| Ok(done(libc::SYS_getpgid, &[v.pid()]));
    "getsid", Err(Errno::SRCH), |v| Ok(done(libc::SYS_getsid, &[v.pid()]));
];
