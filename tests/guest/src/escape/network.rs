// SPDX-License-Identifier: GPL-2.0
//! What is left of the network inside, and what there is in a network namespace of one's own.

use super::{diag, enter, xids};
use crate::harness::Test;
use crate::limits::sockets::own_network as new_network;
use crate::process::isolated;
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

pub const TESTS: &[Test] = tests![
    shared_network,
    own_network,
    devices_of_the_host,
    raw_sockets,
    closed_but_not_gone,
    rests_of_connections,
];

/// What tells of interfaces and counters, and of one's own sockets.
fn shared_network() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        for name in ["dev", "route", "snmp", "sockstat", "unix"] {
            fs::read(format!("/proc/net/{name}")).context(name)?;
        }
        Ok(())
    })
}

/// There nothing is of anybody else.
fn own_network() -> Result<()> {
    isolated(|| {
        // SAFETY: nothing of memory is concerned.
        ensure!(unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0);
        enter(xids().0)?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = format!(":{:04X} ", listener.local_addr()?.port());
        let text = fs::read_to_string("/proc/net/tcp")?;
        ensure!(text.contains(&port), "{port} not in {text}");
        for name in ["netlink", "packet", "dev"] {
            fs::read(format!("/proc/net/{name}")).context(name)?;
        }
        ensure!(diag::lists_netlink()? == Ok(1));
        ensure!(diag::lists_sctp()? == Ok(1));
        ensure!(diag::hears_of_closed()? == Ok(1));
        Ok(())
    })
}

/// Who hears of devices in the host's network namespace hears of the host's.
fn devices_of_the_host() -> Result<()> {
    const NETLINK_KOBJECT_UEVENT: libc::c_int = 15;
    let hears = || {
        // SAFETY: nothing of memory is concerned.
        let fd =
            unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) };
        match fd {
            -1 => Err(std::io::Error::last_os_error().raw_os_error()),
            _ => Ok(()),
        }
    };
    ensure!(hears() == Ok(()), "the host");
    isolated(|| {
        enter(xids().0)?;
        let refused = hears();
        ensure!(
            refused == Err(Some(libc::EPROTONOSUPPORT)),
            "shared: {refused:?}"
        );
        Ok(())
    })?;
    isolated(|| {
        new_network()?;
        enter(xids().1)?;
        ensure!(hears() == Ok(()), "its own");
        Ok(())
    })
}

fn raw_socket(family: AddressFamily) -> Result<(OwnedFd, String)> {
    let protocol = match family {
        AddressFamily::INET => ipproto::ICMP,
        _ => ipproto::ICMPV6,
    };
    let raw = socket(family, SocketType::RAW, Some(protocol))?;
    let inode = rfs::fstat(&raw)?.st_ino;
    Ok((raw, format!(" {inode} ")))
}

/// They are known by the numbers of their inodes only.
fn raw_sockets() -> Result<()> {
    for (family, list) in [
        (AddressFamily::INET, "/proc/net/raw"),
        (AddressFamily::INET6, "/proc/net/raw6"),
    ] {
        let (_host, others) = raw_socket(family)?;
        ensure!(fs::read_to_string(list)?.contains(&others), "the host");
        isolated(|| {
            enter(xids().0)?;
            let (_guest, own) = raw_socket(family)?;
            let text = fs::read_to_string(list)?;
            ensure!(text.contains(&own), "its own: {text}");
            ensure!(!text.contains(&others), "the host's: {text}");
            ensure!(text.starts_with("  sl"), "{text}");
            Ok(())
        })?;
    }
    Ok(())
}

/// A connection between two sockets here: the one that asked, the one that was asked.
fn connection() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    Ok((one, listener.accept()?.0))
}

fn ports(stream: &TcpStream) -> Result<(u16, u16)> {
    Ok((stream.local_addr()?.port(), stream.peer_addr()?.port()))
}

/// Whether `/proc/net/tcp` and `sock_diag` tell of a connection: they must agree.
fn told((from, to): (u16, u16)) -> Result<bool> {
    let line = format!(" 0100007F:{from:04X} 0100007F:{to:04X} ");
    let listed = fs::read_to_string("/proc/net/tcp")?.contains(&line);
    let found = diag::tells_of_connection(from, to)?;
    match found {
        Ok(_) => ensure!(listed, "not in /proc"),
        Err(e) => ensure!(e == Errno::NOENT && !listed, "{e}, in /proc: {listed}"),
    }
    Ok(listed)
}

/// A socket that nobody has any more, with data that nobody takes: it counts to nobody. Gives the
/// end that holds it up.
fn closed() -> Result<(TcpStream, (u16, u16))> {
    let (mut one, other) = connection()?;
    one.set_nonblocking(true)?;
    let data = [0; 1 << 16];
    // What is on its way may make room again.
    let mut full = 0;
    while full < 20 {
        match one.write(&data) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                full += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            written => {
                written?;
                full = 0;
            }
        }
    }
    let between = ports(&one)?;
    Ok((other, between))
}

fn closed_but_not_gone() -> Result<()> {
    // In the host's namespace it may be anybody's.
    isolated(|| {
        let host = closed()?;
        ensure!(told(host.1)?, "the host");
        enter(xids().0)?;
        let own = closed()?;
        ensure!(!told(own.1)? && !told(host.1)?, "in the host's namespace");
        Ok(())
    })?;
    isolated(|| {
        new_network()?;
        enter(xids().0)?;
        let own = closed()?;
        ensure!(told(own.1)?, "in its own namespace");
        Ok(())
    })
}

/// A connection whose sockets are gone, and which waits for what is late.
fn rest() -> Result<(u16, u16)> {
    let (mut one, mut other) = connection()?;
    let between = ports(&one)?;
    one.shutdown(Shutdown::Write)?;
    ensure!(other.read(&mut [0])? == 0);
    drop(other);
    ensure!(one.read(&mut [0])? == 0);
    Ok(between)
}

fn rests_of_connections() -> Result<()> {
    isolated(|| {
        let host = rest()?;
        ensure!(told(host)?, "the host");
        enter(xids().0)?;
        ensure!(!told(rest()?)? && !told(host)?, "in the host's namespace");
        Ok(())
    })?;
    isolated(|| {
        new_network()?;
        enter(xids().0)?;
        ensure!(told(rest()?)?, "in its own namespace");
        Ok(())
    })
}
