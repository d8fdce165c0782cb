// SPDX-License-Identifier: GPL-2.0
//! Sockets.

use super::{FILES, Guest, XID, expect, expect_io, has, hits, inside, limit, settled, storm};
use crate::process::{self, Gate};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use vserver_abi as abi;

const SOCKETS: u32 = abi::VLIMIT_NSOCK;

/// A network of the test's own, in which there is a way to oneself.
pub fn own_network() -> Result<()> {
    // SAFETY: the process has one thread, and no sockets.
    super::check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all zeroes are a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&any);
    // SAFETY: the structure is the one of the command.
    super::check(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &request) })?;
    Ok(())
}

pub fn one(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    socket(family, kind, None)
}

pub fn sockets_are_counted() -> Result<()> {
    inside(|| {
        has(SOCKETS, 0)?;
        let kinds = [
            (AddressFamily::UNIX, SocketType::STREAM),
            (AddressFamily::UNIX, SocketType::DGRAM),
            (AddressFamily::INET, SocketType::STREAM),
            (AddressFamily::INET, SocketType::DGRAM),
            (AddressFamily::INET6, SocketType::STREAM),
            (AddressFamily::INET6, SocketType::DGRAM),
            (AddressFamily::NETLINK, SocketType::RAW),
            (AddressFamily::PACKET, SocketType::RAW),
        ];
        let mut all = Vec::new();
        for (family, kind) in kinds {
            all.push(one(family, kind).with_context(|| format!("{family:?}"))?);
            has(SOCKETS, all.len() as u64)?;
        }
        has(FILES, all.len() as u64)?;
        let pair = UnixStream::pair()?;
        has(SOCKETS, all.len() as u64 + 2)?;
        // As soon as they are closed, whatever of them the kernel still keeps.
        drop((pair, all));
        has(SOCKETS, 0)
    })
}

pub fn sockets_are_refused() -> Result<()> {
    inside(|| {
        limit(SOCKETS, 2)?;
        let udp = || one(AddressFamily::INET, SocketType::DGRAM);
        let mut all = vec![udp()?, udp()?];
        expect(udp(), Errno::NOBUFS)?;
        expect(one(AddressFamily::UNIX, SocketType::STREAM), Errno::NOBUFS)?;
        all.pop();
        expect_io(UnixStream::pair(), Errno::NOBUFS)?;
        has(SOCKETS, 1)?;
        has(FILES, 1)?;
        hits(SOCKETS, 3)?;
        for _ in 0..50 {
            drop(udp()?);
        }
        hits(SOCKETS, 3)
    })?;
    one(AddressFamily::INET, SocketType::DGRAM)?;
    Ok(())
}

/// What comes in counts to who listens, also where nobody's process brings it.
pub fn connections_from_outside() -> Result<()> {
    own_network()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5001));
    let (listens, accept, accepted, end) = (Gate::new()?, Gate::new()?, Gate::new()?, Gate::new()?);
    let guest = Guest::new(abi::VXF_STATE_SETUP, || {
        let serve = || -> Result<()> {
            let listener = TcpListener::bind(address)?;
            listens.open()?;
            accept.pass()?;
            // Two are waiting, which is one too many.
            expect_io(listener.accept(), Errno::NOBUFS)?;
            hits(SOCKETS, 1)?;
            limit(SOCKETS, 3)?;
            let (mut first, _) = listener.accept()?;
            let (second, _) = listener.accept()?;
            has(SOCKETS, 3)?;
            let mut byte = [0];
            first.read_exact(&mut byte)?;
            drop(second);
            drop(first);
            has(SOCKETS, 1)?;
            drop(listener);
            has(SOCKETS, 0)
        };
        if let Err(e) = serve() {
            println!("# {e:#}");
            return;
        }
        let _ = accepted.open().and(end.pass());
    })?;
    listens.pass()?;
    abi::set_hard_limit(XID, SOCKETS, Some(2))?;
    let mut all = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    process::eventually("the connections count", || {
        abi::rlimit_stat(XID, SOCKETS).is_ok_and(|stat| stat.value == 3)
    })?;
    all[0].write_all(b"x")?;
    accept.open()?;
    process::eventually("they were accepted and closed", || {
        abi::rlimit_stat(XID, SOCKETS).map_or(true, |stat| stat.value == 0)
    })?;
    accepted.pass()?;
    // Connections that nobody accepts go with who listened.
    ensure!(abi::rlimit_stat(XID, SOCKETS)?.maximum == 3);
    end.open()?;
    ensure!(guest.child.wait()? == process::Status::Exited(0));
    Ok(())
}

pub fn unix_connections_from_outside() -> Result<()> {
    let path = format!("/tmp/limits-{}", std::process::id());
    let listens = Gate::new()?;
    let guest = Guest::new(0, || {
        let _listener = UnixListener::bind(&path);
        let _ = listens.open();
        process::sleep_forever()
    })?;
    listens.pass()?;
    let count = || abi::rlimit_stat(XID, SOCKETS).map(|stat| stat.value);
    ensure!(count()? == 1);
    let one = UnixStream::connect(&path)?;
    ensure!(count()? == 2, "{}", count()?);
    let two = UnixStream::connect(&path)?;
    ensure!(count()? == 3);
    std::fs::remove_file(&path)?;
    guest.end()?;
    drop((one, two));
    expect(abi::ctx_stat(XID), Errno::SRCH)
}

/// Those of SCTP too.
pub fn sctp_connections_are_counted() -> Result<()> {
    use rustix::net::{accept, bind, connect, getsockname, ipproto, listen};
    own_network()?;
    inside(|| {
        let sctp = || socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::SCTP));
        let (listener, client) = (sctp()?, sctp()?);
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        listen(&listener, 1)?;
        connect(&client, &getsockname(&listener)?)?;
        has(SOCKETS, 2)?;
        let accepted = accept(&listener)?;
        has(SOCKETS, 3)?;
        drop(accepted);
        has(SOCKETS, 2)?;
        drop((listener, client));
        has(SOCKETS, 0)
    })
}

/// Opens and closes on several CPUs at the limit, with connections of each to itself.
pub fn sockets_storm() -> Result<()> {
    own_network()?;
    inside(|| {
        limit(SOCKETS, 6)?;
        storm(4, || {
            for i in 0..150 {
                let made = match i % 3 {
                    0 => UnixStream::pair().map(drop),
                    1 => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop),
                    _ => one(AddressFamily::INET6, SocketType::STREAM)
                        .map(drop)
                        .map_err(std::io::Error::from),
                };
                if let Err(e) = made {
                    ensure!(e.raw_os_error() == Some(libc::ENOBUFS), "{e}");
                }
            }
            Ok(())
        })?;
        let udp = || one(AddressFamily::INET, SocketType::DGRAM);
        let all: Vec<_> = (0..6).map(|_| udp()).collect::<Result<_, _>>()?;
        expect(udp(), Errno::NOBUFS)?;
        drop(all);
        settled(SOCKETS, 0, 6)?;
        // Children of a listening socket that go in all ways.
        abi::set_hard_limit(abi::VX_XID_SELF, SOCKETS, None)?;
        storm(3, || {
            for _ in 0..30 {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let address = listener.local_addr()?;
                let clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
                let accepted = listener.accept()?;
                drop(clients);
                drop(listener);
                drop(accepted);
            }
            Ok(())
        })?;
        process::eventually("nothing is left", || has(SOCKETS, 0).is_ok())
    })
}
