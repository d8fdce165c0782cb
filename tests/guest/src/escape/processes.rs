// SPDX-License-Identifier: GPL-2.0
//! Tracing, memory, scheduling, priorities, limits: what takes the number of a process or a user.

use super::calls::{address, call, done};
use super::victim::UID;
use super::{ALL, NO_USERS, rows, taskstats};
use crate::harness::Test;
use rustix::fd::AsRawFd as _;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::fs::File;

const PTRACE_ATTACH: usize = 16;
const PTRACE_SEIZE: usize = 0x4206;
const KCMP_FILES: usize = 2;
const IOPRIO_WHO: [usize; 3] = [1, 2, 3];
const IOPRIO_BEST_EFFORT_7: usize = 2 << 13 | 7;
const FUTEX_TRYLOCK_PI_PRIVATE: usize = 8 | 128;
const NS_GET_PID_FROM_PIDNS: usize = 0x8004_b706;
const CPU_CLOCK: usize = 2;

/// `struct perf_event_attr`, its oldest size: a software event in user mode only.
#[repr(C)]
pub struct PerfEvent {
    pub kind: u32,
    size: u32,
    pub config: u64,
    sample: [u64; 3],
    pub flags: u64,
    rest: [u64; 2],
}

pub const PERF_COUNT_SW_TASK_CLOCK: u64 = 1;
pub const PERF_EXCLUDE_KERNEL: u64 = 1 << 5;

impl PerfEvent {
    pub fn new() -> Self {
        Self {
            kind: 1,
            size: 64,
            config: PERF_COUNT_SW_TASK_CLOCK,
            sample: [0; 3],
            flags: PERF_EXCLUDE_KERNEL,
            rest: [0; 2],
        }
    }
}

/// `struct sched_attr`
fn sched_attr() -> [u32; 12] {
    let mut attr = [0; 12];
    attr[0] = 48;
    attr[1] = libc::SCHED_BATCH as u32;
    attr
}

/// A mask of processors: the first.
fn first_cpu() -> [usize; 16] {
    let mut mask = [0; 16];
    mask[0] = 1;
    mask
}

fn remote() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::dangling_mut(),
        iov_len: 1,
    }
}

/// Sends a message that says it comes from a process.
fn send_as(pid: usize) -> anyhow::Result<super::Found> {
    let (one, _two) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    /// `struct cmsghdr` with `struct ucred`
    #[repr(C)]
    struct Control {
        len: usize,
        level: i32,
        kind: i32,
        creds: [u32; 3],
        pad: u32,
    }
    let mut control = Control {
        len: 28,
        level: libc::SOL_SOCKET,
        kind: libc::SCM_CREDENTIALS,
        creds: [pid as u32, 0, 0],
        pad: 0,
    };
    let mut byte = [0u8];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    // SAFETY: all zeroes is a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    let fd = one.as_raw_fd() as usize;
    Ok(done(libc::SYS_sendmsg, &[fd, address(&mut message), 0]))
}

pub const ROWS: &[Test] = &super::join::<{ ANYBODYS.len() + ROOTS.len() }>(&[ANYBODYS, ROOTS]);

/// What takes capabilities in the host's user namespace, before anybody looks for a process.
const ROOTS: &[Test] = rows![NO_USERS;
    "a message that says it sent it", Err(Errno::SRCH), |v| send_as(v.pid());
    "taskstats of its thread", Err(Errno::SRCH), taskstats::of_a_thread;
    "taskstats of it", Err(Errno::SRCH), taskstats::of_a_process;
];

const ANYBODYS: &[Test] = rows![ALL;
    "ptrace attach", Err(Errno::SRCH), |v| Ok(done(libc::SYS_ptrace, &[PTRACE_ATTACH, v.pid()]));
    "ptrace seize", Err(Errno::SRCH), |v| Ok(done(libc::SYS_ptrace, &[PTRACE_SEIZE, v.pid()]));
    "process_vm_readv", Err(Errno::SRCH), |v| {
        // An address that nobody has: to be asked for it is to be let through.
        let (mut byte, mut there) = ([0u8], remote());
        let mut here = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let parts = [v.pid(), address(&mut here), 1, address(&mut there), 1, 0];
        Ok(done(libc::SYS_process_vm_readv, &parts))
    };
    "process_vm_writev", Err(Errno::SRCH), |v| {
        let (mut byte, mut there) = ([0u8], remote());
        let mut here = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let parts = [v.pid(), address(&mut here), 1, address(&mut there), 1, 0];
        Ok(done(libc::SYS_process_vm_writev, &parts))
    };
    "process_madvise of an old pidfd", Err(Errno::ACCESS), |v| {
        let mut there = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Ok(done(
            libc::SYS_process_madvise,
            &[v.pidfd(), address(&mut there), 1, libc::MADV_COLD as usize, 0],
        ))
    };
    "move_pages", Err(Errno::SRCH), |v| Ok(done(libc::SYS_move_pages, &[v.pid(), 0, 0, 0, 0, 0]));
    "migrate_pages", Err(Errno::SRCH), |v| {
        let (mut from, mut to) = (1usize, 2usize);
        let nodes = [address(&mut from), address(&mut to)];
        Ok(done(libc::SYS_migrate_pages, &[v.pid(), 64, nodes[0], nodes[1]]))
    };
    "kcmp", Err(Errno::SRCH), |v| {
        let own = std::process::id() as usize;
        Ok(done(libc::SYS_kcmp, &[own, v.pid(), KCMP_FILES, 0, 0]))
    };
    "get_robust_list", Err(Errno::SRCH), |v| {
        let (mut head, mut len) = (0usize, 0usize);
        let out = [v.pid(), address(&mut head), address(&mut len)];
        Ok(done(libc::SYS_get_robust_list, &out))
    };
    "perf_event_open", Err(Errno::SRCH), |v| {
        let mut event = PerfEvent::new();
        let none = usize::MAX;
        Ok(done(libc::SYS_perf_event_open, &[address(&mut event), v.pid(), none, none, 0]))
    };
    "sched_getscheduler", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_getscheduler,
        &[v.pid()],
    ));
    "sched_getparam", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_getparam,
        &[v.pid(), address(&mut 0i32)],
    ));
    "sched_getattr", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_getattr,
        &[v.pid(), address(&mut sched_attr()), 48, 0],
    ));
    "sched_getaffinity", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_getaffinity,
        &[v.pid(), 128, address(&mut first_cpu())],
    ));
    "sched_rr_get_interval", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_rr_get_interval,
        &[v.pid(), address(&mut [0i64; 2])],
    ));
    "sched_setscheduler", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_setscheduler,
        &[v.pid(), libc::SCHED_BATCH as usize, address(&mut 0i32)],
    ));
    "sched_setparam", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_setparam,
        &[v.pid(), address(&mut 0i32)],
    ));
    "sched_setattr", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_setattr,
        &[v.pid(), address(&mut sched_attr()), 0],
    ));
    "sched_setaffinity", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_sched_setaffinity,
        &[v.pid(), 128, address(&mut first_cpu())],
    ));
    "getpriority", Err(Errno::SRCH), |v| Ok(call(libc::SYS_getpriority, &[0, v.pid()]));
    "getpriority of its group", Err(Errno::SRCH), |v| Ok(call(
        libc::SYS_getpriority,
        &[1, v.pid()],
    ));
    "getpriority of its user", Err(Errno::SRCH), |_| Ok(call(libc::SYS_getpriority, &[2, UID]));
    "setpriority", Err(Errno::SRCH), |v| Ok(done(libc::SYS_setpriority, &[0, v.pid(), 9]));
    "setpriority of its group", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_setpriority,
        &[1, v.pid(), 9],
    ));
    "setpriority of its user", Err(Errno::SRCH), |_| Ok(done(
        libc::SYS_setpriority,
        &[2, UID, 9],
    ));
    "ioprio_get", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_ioprio_get,
        &[IOPRIO_WHO[0], v.pid()],
    ));
    "ioprio_get of its group", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_ioprio_get,
        &[IOPRIO_WHO[1], v.pid()],
    ));
    "ioprio_get of its user", Err(Errno::SRCH), |_| Ok(done(
        libc::SYS_ioprio_get,
        &[IOPRIO_WHO[2], UID],
    ));
    "ioprio_set", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_ioprio_set,
        &[IOPRIO_WHO[0], v.pid(), IOPRIO_BEST_EFFORT_7],
    ));
    "ioprio_set of its group", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_ioprio_set,
        &[IOPRIO_WHO[1], v.pid(), IOPRIO_BEST_EFFORT_7],
    ));
    "ioprio_set of its user", Err(Errno::SRCH), |_| Ok(done(
        libc::SYS_ioprio_set,
        &[IOPRIO_WHO[2], UID, IOPRIO_BEST_EFFORT_7],
    ));
    "prlimit to get", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_prlimit64,
        &[v.pid(), libc::RLIMIT_NOFILE as usize, 0, address(&mut [0u64; 2])],
    ));
    "prlimit to set", Err(Errno::SRCH), |v| Ok(done(
        libc::SYS_prlimit64,
        &[v.pid(), libc::RLIMIT_CORE as usize, address(&mut [0u64; 2]), 0],
    ));
    "capget", Err(Errno::SRCH), |v| {
        let mut head = [0x2008_0522u32, v.pid() as u32];
        Ok(done(libc::SYS_capget, &[address(&mut head), address(&mut [0u32; 6])]))
    };
    "the clock of its time", Err(Errno::INVAL), |v| {
        // As clock_getcpuclockid() makes it of the number.
        let clock = !v.pid() << 3 | CPU_CLOCK;
        Ok(done(libc::SYS_clock_gettime, &[clock as u32 as usize, address(&mut [0i64; 2])]))
    };
    "a futex that it is said to hold", Err(Errno::SRCH), |v| {
        let mut word = v.pid() as u32;
        Ok(done(libc::SYS_futex, &[address(&mut word), FUTEX_TRYLOCK_PI_PRIVATE, 0, 0, 0, 0]))
    };
    "its number in the pid namespace", Err(Errno::SRCH), |v| {
        let namespace = File::open("/proc/self/ns/pid")?;
        let fd = namespace.as_raw_fd() as usize;
        Ok(done(libc::SYS_ioctl, &[fd, NS_GET_PID_FROM_PIDNS, v.pid()]))
    };
    "the lock that it holds", Ok(0), |v| {
        let file = File::options().write(true).open(v.locked())?;
        // SAFETY: all zeroes is a lock of the whole file.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as i16;
        let fd = file.as_raw_fd() as usize;
        let got = call(libc::SYS_fcntl, &[fd, libc::F_GETLK as usize, address(&mut lock)]);
        Ok(got.map(|_| (lock.l_pid as usize == v.pid()).into()))
    };
];
