// SPDX-License-Identifier: GPL-2.0
//! The process that others try to get at. It has one of everything.

use super::calls::{address, call};
use super::enter;
use crate::process::{self, Child, isolated, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use rustix::io;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use vserver_abi as abi;

/// What it says of itself before it goes to sleep.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Says {
    ready: i32,
    shm: i32,
    sem: i32,
    msg: i32,
    key: i32,
    /// The number of its UNIX socket, the ports of its INET sockets.
    socket: i32,
    tcp: i32,
    udp: i32,
    tcp6: i32,
    udp6: i32,
}

/// The handle of a file, as the kernel has it.
#[repr(C)]
pub struct Handle {
    pub bytes: u32,
    pub kind: i32,
    pub data: [u8; 128],
}

/// A process that sleeps until the one who made it is gone, and what its maker took of it before
/// entering a context himself.
pub struct Victim {
    child: Child,
    says: Says,
    /// A pidfd, and the handle of that.
    pub pidfd: OwnedFd,
    pub handle: Handle,
    /// Its directory in /proc.
    pub dir: File,
    /// Reaches its end when the victim dies.
    life: OwnedFd,
    _leash: OwnedFd,
}

/// Nobody else is this user.
pub const UID: usize = 34_567;
/// Nor as nice.
pub const NICE: i32 = 7;

impl Victim {
    /// Starts it, in a new context if that is said.
    pub fn new(xid: Option<u32>) -> Result<Self> {
        let (leash_end, leash) = rustix::pipe::pipe()?;
        let (life, life_end) = rustix::pipe::pipe()?;
        let (report, report_end) = rustix::pipe::pipe()?;
        let mut holds = Some((leash, life, report));
        let child = spawn(|| {
            // Its copies of the other ends would keep the pipes open.
            drop(holds.take());
            let said = match settle(xid) {
                Ok((says, things)) => {
                    // SAFETY: a plain structure without padding.
                    let bytes: [u8; size_of::<Says>()] = unsafe { std::mem::transmute(says) };
                    let said = io::write(&report_end, &bytes).is_ok();
                    let mut byte = [0];
                    let _ = io::read(&leash_end, &mut byte);
                    drop(things);
                    said
                }
                Err(e) => io::write(&report_end, format!("{e:#}").as_bytes()).is_err(),
            };
            drop(life_end);
            i32::from(!said)
        })?;
        let (leash, life, report) = holds.context("the ends of pipes")?;
        let mut bytes = [0; 1024];
        let len = io::read(&report, &mut bytes)?;
        ensure!(
            len == size_of::<Says>(),
            "the victim: {}",
            String::from_utf8_lossy(bytes.get(..len).unwrap_or_default())
        );
        let mut says = Says::default();
        // SAFETY: the structure has any value, and `bytes` is longer.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut says).cast(), len);
        }
        let pid = child.id() as usize;
        let fd = call(libc::SYS_pidfd_open, &[pid, 0]).context("pidfd_open")?;
        // SAFETY: a new descriptor that nobody else knows.
        let pidfd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) };
        let mut handle = Handle {
            bytes: 128,
            kind: 0,
            data: [0; 128],
        };
        let (mut mount, mut empty) = (0i32, [0u8]);
        call(
            libc::SYS_name_to_handle_at,
            &[
                pidfd.as_raw_fd() as usize,
                address(&mut empty),
                address(&mut handle),
                address(&mut mount),
                libc::AT_EMPTY_PATH as usize,
            ],
        )
        .context("name_to_handle_at")?;
        Ok(Self {
            dir: File::open(format!("/proc/{pid}"))?,
            child,
            says,
            pidfd,
            handle,
            life,
            _leash: leash,
        })
    }

    /// Its number.
    pub fn pid(&self) -> usize {
        self.child.id() as usize
    }

    /// The number of its process group, for calls that take it as a negative one.
    pub fn group(&self) -> usize {
        self.pid().wrapping_neg()
    }

    pub fn pidfd(&self) -> usize {
        self.pidfd.as_raw_fd() as usize
    }

    pub fn shm(&self) -> usize {
        self.says.shm as usize
    }

    pub fn sem(&self) -> usize {
        self.says.sem as usize
    }

    pub fn msg(&self) -> usize {
        self.says.msg as usize
    }

    pub fn socket(&self) -> u32 {
        self.says.socket as u32
    }

    pub fn tcp(&self) -> u16 {
        self.says.tcp as u16
    }

    pub fn udp(&self) -> u16 {
        self.says.udp as u16
    }

    pub fn tcp6(&self) -> u16 {
        self.says.tcp6 as u16
    }

    pub fn udp6(&self) -> u16 {
        self.says.udp6 as u16
    }

    pub fn key(&self) -> usize {
        self.says.key as usize
    }

    /// The key of its System V objects.
    pub fn ipc_key(&self) -> usize {
        ipc_key(self.child.id())
    }

    /// The name of its sockets.
    pub fn address(&self) -> Result<SocketAddr> {
        socket_name(self.child.id())
    }

    /// The file that it has locked.
    pub fn locked(&self) -> String {
        lock_name(self.child.id())
    }

    /// Whether it lives, in a way that works from anywhere.
    pub fn is_alive(&self) -> Result<bool> {
        // A signal that was sent is acted on before long.
        self.lives_for(1)
    }

    /// Whether it dies, however slow the machine is.
    pub fn dies(&self) -> Result<bool> {
        Ok(!self.lives_for(30 * process::patience())?)
    }

    fn lives_for(&self, seconds: u32) -> Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.life, PollFlags::IN)];
        let wait = Timespec {
            tv_sec: seconds.into(),
            tv_nsec: 0,
        };
        Ok(poll(&mut fds, Some(&wait))? == 0)
    }
}

/// The upper half of the keys of System V objects.
const KEYS: usize = 0x0e5c;

fn ipc_key(pid: u32) -> usize {
    (KEYS << 16) + (pid & 0xffff) as usize
}

/// Removes the System V objects that victims left behind: a segment of shared memory holds its
/// maker's credentials, and they hold the context. Only a spectator can.
pub fn sweep() -> Result<()> {
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        for (kind, remove) in [
            ("shm", libc::SYS_shmctl),
            ("sem", libc::SYS_semctl),
            ("msg", libc::SYS_msgctl),
        ] {
            let list = std::fs::read_to_string(format!("/proc/sysvipc/{kind}"))?;
            for line in list.lines().skip(1) {
                let mut words = line.split_whitespace().map(str::parse::<usize>);
                if let (Some(Ok(key)), Some(Ok(id))) = (words.next(), words.next())
                    && key >> 16 == KEYS
                {
                    // IPC_RMID is 0, of semctl() too, where it comes last.
                    call(remove, &[id, 0, 0])?;
                }
            }
        }
        Ok(())
    })
}

fn socket_name(pid: u32) -> Result<SocketAddr> {
    Ok(SocketAddr::from_abstract_name(format!("escape-{pid}"))?)
}

fn lock_name(pid: u32) -> String {
    format!("/tmp/escape-{pid}")
}

/// What the victim keeps open.
type Things = (
    UnixListener,
    UnixDatagram,
    [TcpListener; 2],
    [UdpSocket; 2],
    File,
);

/// Makes one of everything.
fn settle(xid: Option<u32>) -> Result<(Says, Things)> {
    if let Some(xid) = xid {
        enter(xid)?;
    }
    let pid = std::process::id();
    let create = (libc::IPC_CREAT | 0o666) as usize;
    let key = ipc_key(pid);
    let (mut kind, mut name) = (*b"user\0", *b"escape\0");
    let own_keyring = -2i32 as usize;
    let stream = UnixListener::bind_addr(&socket_name(pid)?).context("bind")?;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("tcp")?;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("udp")?;
    let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).context("tcp6")?;
    let udp6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).context("udp6")?;
    let says = Says {
        ready: 1,
        shm: call(libc::SYS_shmget, &[key, 4096, create]).context("shmget")? as i32,
        sem: call(libc::SYS_semget, &[key, 1, create]).context("semget")? as i32,
        msg: call(libc::SYS_msgget, &[key, create]).context("msgget")? as i32,
        key: call(
            libc::SYS_add_key,
            &[
                address(&mut kind),
                address(&mut name),
                address(&mut name),
                6,
                own_keyring,
            ],
        )
        .context("add_key")? as i32,
        socket: rustix::fs::fstat(&stream)?.st_ino as i32,
        tcp: tcp.local_addr()?.port().into(),
        udp: udp.local_addr()?.port().into(),
        tcp6: tcp6.local_addr()?.port().into(),
        udp6: udp6.local_addr()?.port().into(),
    };
    const KEYCTL_SETPERM: usize = 5;
    call(
        libc::SYS_keyctl,
        &[KEYCTL_SETPERM, says.key as usize, 0x3f3f_3f3f],
    )
    .context("keyctl")?;

    let locked = File::create(lock_name(pid))?;
    // SAFETY: all zeroes is a lock of the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as i16;
    let fd = locked.as_raw_fd() as usize;
    call(
        libc::SYS_fcntl,
        &[fd, libc::F_SETLK as usize, address(&mut lock)],
    )
    .context("lock")?;

    let datagram = SocketAddr::from_abstract_name(format!("escape-{pid}-d"))?;
    let datagram = UnixDatagram::bind_addr(&datagram).context("bind")?;

    call(
        libc::SYS_setpriority,
        &[libc::PRIO_PROCESS as usize, 0, NICE as usize],
    )
    .context("setpriority")?;
    call(libc::SYS_setpgid, &[0, 0]).context("setpgid")?;
    call(libc::SYS_setresuid, &[UID, UID, UID]).context("setresuid")?;
    // A process that has changed its user can't be traced in its own user namespace else.
    call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1]).context("prctl")?;
    Ok((says, (stream, datagram, [tcp, tcp6], [udp, udp6], locked)))
}

impl Drop for Victim {
    /// The lock file would stay.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.locked());
    }
}
