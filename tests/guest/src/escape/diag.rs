// SPDX-License-Identifier: GPL-2.0
//! `NETLINK_SOCK_DIAG`: what the kernel tells about sockets.

use super::calls::{address, call};
use super::{Found, victim::Victim};
use anyhow::{Result, ensure};
use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use rustix::io::{self, Errno};

const NETLINK_SOCK_DIAG: usize = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
pub const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;

const UNIX: u8 = libc::AF_UNIX as u8;
const INET: u8 = libc::AF_INET as u8;
const NETLINK: u8 = libc::AF_NETLINK as u8;
const TCP: u8 = libc::IPPROTO_TCP as u8;
const UDP: u8 = libc::IPPROTO_UDP as u8;
const SCTP: u8 = libc::IPPROTO_SCTP as u8;
const ALL_PROTOCOLS: u8 = 255;
/// No cookie, and all states.
const NONE: u32 = u32::MAX;
const ALL: u32 = u32::MAX;

fn socket(protocol: usize) -> Result<OwnedFd> {
    let raw = (libc::SOCK_RAW | libc::SOCK_CLOEXEC) as usize;
    let args = [libc::AF_NETLINK as usize, raw, protocol];
    let fd = call(libc::SYS_socket, &args)?;
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}

/// A number of 16 bits.
pub fn short(bytes: &[u8], at: usize) -> u16 {
    let pair = bytes.get(at..at + 2).and_then(|pair| pair.try_into().ok());
    u16::from_ne_bytes(pair.unwrap_or_default())
}

/// A number of 32 bits.
fn long(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_ne_bytes(four.unwrap_or_default())
}

/// The contents of the messages that the kernel answers with, or its error.
pub type Answer = Result<Vec<Vec<u8>>, Errno>;

fn ask(kind: u16, flags: u16, request: &[u8]) -> Result<Answer> {
    ask_about(NETLINK_SOCK_DIAG, kind, flags, request)
}

/// Asks something by a protocol of netlink.
pub fn ask_about(protocol: usize, kind: u16, flags: u16, request: &[u8]) -> Result<Answer> {
    let socket = socket(protocol)?;
    let mut message = ((HEADER + request.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    ensure!(io::write(&socket, &message)? == message.len());

    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = io::read(&socket, &mut buffer)?;
        let mut rest = buffer.get(..len).unwrap_or_default();
        while rest.len() >= HEADER {
            let size = long(rest, 0) as usize;
            ensure!((HEADER..=rest.len()).contains(&size), "{size} bytes");
            let (head, next) = rest.split_at(size);
            let body = head.get(HEADER..).unwrap_or_default();
            match short(head, 4) {
                // Either may say how it ended.
                NLMSG_DONE | NLMSG_ERROR if long(body, 0) == 0 => return Ok(Ok(found)),
                NLMSG_DONE | NLMSG_ERROR => {
                    let errno = (long(body, 0) as i32).wrapping_neg();
                    return Ok(Err(Errno::from_raw_os_error(errno)));
                }
                _ => found.push(body.to_vec()),
            }
            if flags & (NLM_F_DUMP | NLM_F_ACK) == 0 {
                return Ok(Ok(found));
            }
            let next_at = size.next_multiple_of(4) - size;
            rest = next.get(next_at..).unwrap_or_default();
        }
    }
}

/// `struct unix_diag_req`
fn unix(inode: u32) -> Vec<u8> {
    let mut request = vec![UNIX, 0, 0, 0];
    for word in [ALL, inode, 0, NONE, NONE] {
        request.extend(word.to_ne_bytes());
    }
    request
}

/// `struct inet_diag_req_v2` about a local address and another one.
fn inet(protocol: u8, source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
    let mut request = vec![INET, protocol, 0, 0];
    request.extend(ALL.to_ne_bytes());
    request.extend(source.1.to_be_bytes());
    request.extend(destination.1.to_be_bytes());
    for address in [source.0, destination.0] {
        request.extend(address);
        request.extend([0; 12]);
    }
    request.extend(0u32.to_ne_bytes());
    request.extend([0xff; 8]);
    request
}

const ANY: ([u8; 4], u16) = ([0; 4], 0);

fn here(port: u16) -> ([u8; 4], u16) {
    ([127, 0, 0, 1], port)
}

/// Whether there is an answer.
fn one(answer: Result<Vec<Vec<u8>>, Errno>) -> Found {
    answer.and_then(|found| match found.len() {
        1 => Ok(1),
        _ => Err(Errno::IO),
    })
}

pub fn lists_unix(victim: &Victim) -> Result<Found> {
    let inode = victim.socket();
    let found = ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &unix(0))?;
    Ok(found.map(|all| i64::from(all.iter().any(|body| long(body, 4) == inode))))
}

pub fn tells_of_unix(victim: &Victim) -> Result<Found> {
    Ok(one(ask(SOCK_DIAG_BY_FAMILY, 0, &unix(victim.socket()))?))
}

fn lists(protocol: u8, port: u16) -> Result<Found> {
    let request = inet(protocol, ANY, ANY);
    let found = ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request)?;
    // The port comes after four bytes.
    let port = port.to_be_bytes();
    Ok(found.map(|all| i64::from(all.iter().any(|body| body.get(4..6) == Some(&port)))))
}

pub fn lists_tcp(victim: &Victim) -> Result<Found> {
    lists(TCP, victim.tcp())
}

pub fn lists_udp(victim: &Victim) -> Result<Found> {
    lists(UDP, victim.udp())
}

pub fn tells_of_tcp(victim: &Victim) -> Result<Found> {
    let request = inet(TCP, here(victim.tcp()), ANY);
    Ok(one(ask(SOCK_DIAG_BY_FAMILY, 0, &request)?))
}

pub fn tells_of_udp(victim: &Victim) -> Result<Found> {
    // The other way round, for historical reasons.
    let request = inet(UDP, ANY, here(victim.udp()));
    Ok(one(ask(SOCK_DIAG_BY_FAMILY, 0, &request)?))
}

pub fn destroys_tcp(victim: &Victim) -> Result<Found> {
    let request = inet(TCP, here(victim.tcp()), ANY);
    Ok(ask(SOCK_DESTROY, NLM_F_ACK, &request)?.map(|_| 1))
}

/// Asks about sockets of a protocol whose module tells about them in a way of its own.
pub fn lists_sctp() -> Result<Found> {
    let found = ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &inet(SCTP, ANY, ANY))?;
    Ok(found.map(|_| 1))
}

/// Whether there is a socket of TCP between two ports of this machine, be it the rest of one.
pub fn tells_of_connection(from: u16, to: u16) -> Result<Found> {
    let request = inet(TCP, here(from), here(to));
    Ok(one(ask(SOCK_DIAG_BY_FAMILY, 0, &request)?))
}

/// Asks about sockets of a family that knows no context.
pub fn lists_netlink() -> Result<Found> {
    let mut request = vec![NETLINK, ALL_PROTOCOLS, 0, 0];
    request.extend([0; 16]);
    Ok(ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request)?.map(|all| i64::from(!all.is_empty())))
}

/// Wants to hear of TCP sockets that are closed.
pub fn hears_of_closed() -> Result<Found> {
    let socket = socket(NETLINK_SOCK_DIAG)?;
    // struct sockaddr_nl: family, no number, the first group.
    let mut name = [libc::AF_NETLINK as u32, 0, 1];
    let size = size_of_val(&name);
    Ok(call(
        libc::SYS_bind,
        &[socket.as_raw_fd() as usize, address(&mut name), size],
    )
    .map(|_| 1))
}
