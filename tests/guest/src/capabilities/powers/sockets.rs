// SPDX-License-Identifier: GPL-2.0
//! What the table tries with sockets.

use super::call;
use crate::unified::syscall;
use rustix::io::Errno;

/// A netlink socket that hears what is said in all network namespaces.
pub fn listen_to_all() -> Result<(), Errno> {
    const NETLINK_LISTEN_ALL_NSID: i32 = 8;
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        None,
    )?;
    let on = 1i32;
    // SAFETY: the option is a number of four bytes.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_setsockopt,
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SOL_NETLINK,
            NETLINK_LISTEN_ALL_NSID,
            &raw const on,
            4,
        )
    })
    .map(drop)
}

pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    call(
        libc::SYS_socket,
        [family.into(), kind.into(), protocol.into(), 0],
    )
}

pub fn low_port() -> Result<(), Errno> {
    use rustix::net;
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
    net::bind(
        &socket,
        &net::SocketAddrV4::new(net::Ipv4Addr::LOCALHOST, 81),
    )
}
