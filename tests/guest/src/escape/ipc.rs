// SPDX-License-Identifier: GPL-2.0
//! System V IPC, abstract sockets and keys, in namespaces that are shared.

use super::calls::{address, call, done};
use super::{ALL, Found, NO_WATCH, diag, rows};
use crate::harness::Test;
use rustix::io::Errno;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

const IPC_RMID: usize = 0;
const IPC_STAT: usize = 2;
const STAT_ANY: [usize; 3] = [15, 20, 13];
const GETVAL: usize = 12;
const SETVAL: usize = 16;
const NO_WAIT: usize = libc::IPC_NOWAIT as usize;

const KEYCTL_DESCRIBE: usize = 6;
const KEYCTL_READ: usize = 11;
const KEYCTL_REVOKE: usize = 3;
const KEYCTL_LINK: usize = 8;
const OWN_PROCESS_KEYRING: usize = -2i32 as usize;

/// The index of an object in its table, which is the lower part of its id.
fn index(id: usize) -> usize {
    id & 0x7fff
}

fn io<T>(result: std::io::Result<T>) -> anyhow::Result<Found> {
    Ok(match result {
        Ok(_) => Ok(1),
        Err(e) => Err(Errno::from_raw_os_error(
            e.raw_os_error().unwrap_or(libc::EIO),
        )),
    })
}

/// `struct msgbuf` of eight bytes
fn message() -> [u64; 2] {
    [1, 0]
}

pub const ROWS: &[Test] =
    &super::join::<{ SYSV.len() + SOCKETS.len() + KEYS.len() }>(&[SYSV, SOCKETS, KEYS]);

const SYSV: &[Test] = rows![ALL;
    "shmget of its key", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_shmget, &[v.ipc_key(), 0, 0]));
    "shmat", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_shmat, &[v.shm(), 0, 0]));
    "shmctl IPC_STAT", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_shmctl,
        &[v.shm(), IPC_STAT, address(&mut [0u64; 32])],
    ));
    "shmctl SHM_STAT_ANY", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_shmctl,
        &[index(v.shm()), STAT_ANY[0], address(&mut [0u64; 32])],
    ));
    "shmctl SHM_LOCK", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_shmctl, &[v.shm(), 11, 0]));
    "shmctl IPC_RMID", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_shmctl,
        &[v.shm(), IPC_RMID, 0],
    ));
    "semget of its key", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_semget, &[v.ipc_key(), 1, 0]));
    "semop", Err(Errno::ACCESS), |v| {
        // struct sembuf: the first one, up, at once
        let mut up = [0u16, 1, libc::IPC_NOWAIT as u16];
        Ok(done(libc::SYS_semop, &[v.sem(), address(&mut up), 1]))
    };
    "semctl GETVAL", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_semctl, &[v.sem(), 0, GETVAL]));
    "semctl SETVAL", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_semctl,
        &[v.sem(), 0, SETVAL, 1],
    ));
    "semctl SEM_STAT_ANY", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_semctl,
        &[index(v.sem()), 0, STAT_ANY[1], address(&mut [0u64; 32])],
    ));
    "semctl IPC_RMID", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_semctl,
        &[v.sem(), 0, IPC_RMID],
    ));
    "msgget of its key", Err(Errno::ACCESS), |v| Ok(done(libc::SYS_msgget, &[v.ipc_key(), 0]));
    "msgsnd", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_msgsnd,
        &[v.msg(), address(&mut message()), 8, NO_WAIT],
    ));
    "msgrcv", Err(Errno::ACCESS), |v| {
        let _ = call(libc::SYS_msgsnd, &[v.msg(), address(&mut message()), 8, NO_WAIT]);
        Ok(done(libc::SYS_msgrcv, &[v.msg(), address(&mut message()), 8, 0, NO_WAIT]))
    };
    "msgctl MSG_STAT_ANY", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_msgctl,
        &[index(v.msg()), STAT_ANY[2], address(&mut [0u64; 32])],
    ));
    "msgctl IPC_RMID", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_msgctl,
        &[v.msg(), IPC_RMID, 0],
    ));
];

const SOCKETS: &[Test] = rows![ALL;
    "connect to its abstract socket", Err(Errno::CONNREFUSED), |v| {
        io(UnixStream::connect_addr(&v.address()?))
    };
    "send to its abstract socket", Err(Errno::CONNREFUSED), |v| {
        let name = SocketAddr::from_abstract_name(format!("escape-{}-d", v.pid()))?;
        io(UnixDatagram::unbound()?.send_to_addr(b"x", &name))
    };
    "connect to its abstract datagram socket", Err(Errno::CONNREFUSED), |v| {
        let name = SocketAddr::from_abstract_name(format!("escape-{}-d", v.pid()))?;
        io(UnixDatagram::unbound()?.connect_addr(&name))
    };
    "/proc/net/unix", Ok(0), |v| {
        let name = format!("@escape-{}", v.pid());
        let text = std::fs::read_to_string("/proc/net/unix")?;
        Ok(Ok(text.lines().any(|line| line.ends_with(&name)).into()))
    };
    "sock_diag lists its UNIX socket", Ok(0), diag::lists_unix;
    "sock_diag of its UNIX socket", Err(Errno::NOENT), diag::tells_of_unix;
    "sock_diag lists its TCP socket", Ok(0), diag::lists_tcp;
    "sock_diag of its TCP socket", Err(Errno::NOENT), diag::tells_of_tcp;
    "sock_diag lists its UDP socket", Ok(0), diag::lists_udp;
    "sock_diag of its UDP socket", Err(Errno::NOENT), diag::tells_of_udp;
    "SOCK_DESTROY of its TCP socket", Err(Errno::NOENT), diag::destroys_tcp;
];

const KEYS: &[Test] = rows![NO_WATCH;
    "describe its key", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_keyctl,
        &[KEYCTL_DESCRIBE, v.key(), 0, 0],
    ));
    "read its key", Err(Errno::NOKEY), |v| Ok(done(
        libc::SYS_keyctl,
        &[KEYCTL_READ, v.key(), 0, 0],
    ));
    "link its key", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_keyctl,
        &[KEYCTL_LINK, v.key(), OWN_PROCESS_KEYRING],
    ));
    "revoke its key", Err(Errno::ACCESS), |v| Ok(done(
        libc::SYS_keyctl,
        &[KEYCTL_REVOKE, v.key()],
    ));
];
