// SPDX-License-Identifier: GPL-2.0
//! What goes through sockets.

use super::sockets::{one, own_network};
use super::{Guest, XID, check, expect, expect_io, inside};
use crate::process;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use vserver_abi as abi;

const UNIX: u32 = 1;
const INET: u32 = 2;
const INET6: u32 = 3;
const PACKET: u32 = 4;
const OTHER: u32 = 5;

/// Calls and bytes: received, sent, failed.
fn moved(family: u32) -> Result<[(u32, u64); 3]> {
    let stat = abi::sock_stat(abi::VX_XID_SELF, family)?;
    ensure!(stat.field == family);
    let [recv, sent, fail] = stat.count;
    let [recv_bytes, sent_bytes, fail_bytes] = stat.total;
    Ok([(recv, recv_bytes), (sent, sent_bytes), (fail, fail_bytes)])
}

fn is(family: u32, expected: [(u32, u64); 3]) -> Result<()> {
    let moved = moved(family)?;
    ensure!(moved == expected, "{family}: {moved:?}, not {expected:?}");
    Ok(())
}

pub fn traffic_by_family() -> Result<()> {
    own_network()?;
    inside(|| {
        for family in 0..=OTHER {
            is(family, [(0, 0); 3])?;
        }
        let (mut left, mut right) = UnixStream::pair()?;
        left.write_all(&[1; 100])?;
        left.write_all(&[2; 60])?;
        // More was asked for than there is; a look is no reading.
        let mut buffer = [0; 1000];
        let peeked = recv(&right, &mut buffer, RecvFlags::PEEK)?;
        ensure!(peeked.0 > 0);
        is(UNIX, [(0, 0), (2, 160), (0, 0)])?;
        let mut rest = 160;
        let mut calls = 0;
        while rest > 0 {
            rest -= right.read(&mut buffer)?;
            calls += 1;
        }
        is(UNIX, [(calls, 160), (2, 160), (0, 0)])?;

        for (family, address) in [(INET, "127.0.0.1:0"), (INET6, "[::1]:0")] {
            let socket = UdpSocket::bind(address)?;
            let to = socket.local_addr()?;
            for size in [10, 500, 0] {
                ensure!(socket.send_to(&buffer[..size], to)? == size);
            }
            for size in [10, 500, 0] {
                ensure!(socket.recv(&mut buffer)? == size);
            }
            is(family, [(3, 510), (3, 510), (0, 0)])?;
        }

        let netlink = one(AddressFamily::NETLINK, SocketType::RAW)?;
        // A request for nothing: a header that says so.
        let request = [16, 0, 0, 0, 2, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        ensure!(send(&netlink, &request, SendFlags::empty())? == 16);
        let (answer, _) = recv(&netlink, &mut buffer[..], RecvFlags::empty())?;
        is(OTHER, [(1, answer as u64), (1, 16), (0, 0)])?;
        is(PACKET, [(0, 0); 3])?;

        let text = fs::read_to_string(format!("/proc/virtual/{XID}/cacct"))?;
        let lines: Vec<_> = text.lines().collect();
        ensure!(lines.len() == 7, "{text}");
        ensure!(
            lines[3]
                == "INET:\t         3/510       \t         3/510       \t         0/0         ",
            "{text}"
        );
        let names = lines[1..].iter().map(|line| line.split(':').next());
        ensure!(
            names.eq(["UNSPEC", "UNIX", "INET", "INET6", "PACKET", "OTHER"].map(Some)),
            "{text}"
        );
        expect(abi::sock_stat(abi::VX_XID_SELF, 6), Errno::INVAL)?;
        expect(abi::sock_stat(abi::VX_XID_SELF, u32::MAX), Errno::INVAL)
    })
}

pub fn traffic_fails() -> Result<()> {
    inside(|| {
        let (mut left, right) = UnixStream::pair()?;
        drop(right);
        expect_io(left.write(b"x"), Errno::PIPE)?;
        is(UNIX, [(0, 0), (0, 0), (1, 0)])?;
        // To have received nothing is not to have failed to send.
        left.set_nonblocking(true)?;
        let (one, _other) = UnixStream::pair()?;
        one.set_nonblocking(true)?;
        let mut byte = [0];
        // SAFETY: the buffer is as long as is said.
        let ret = unsafe { libc::recv(one.as_raw_fd(), byte.as_mut_ptr().cast(), 1, 0) };
        expect(check(ret), Errno::AGAIN)?;
        is(UNIX, [(0, 0), (0, 0), (1, 0)])
    })
}

/// What the host sends is nobody's, also into a context; what the guest takes is the guest's.
pub fn traffic_of_the_host() -> Result<()> {
    let (mut host, mut guest) = UnixStream::pair()?;
    // Its creator counts: the host.
    inside(|| {
        guest.write_all(b"from the inside")?;
        is(UNIX, [(0, 0); 3])
    })?;
    let mut text = [0; 15];
    host.read_exact(&mut text).context("what was sent")?;
    let idle = Guest::new(0, || process::sleep_forever())?;
    host.write_all(b"x")?;
    ensure!(abi::sock_stat(XID, UNIX)?.count == [0; 3]);
    idle.end()
}
