// SPDX-License-Identifier: GPL-2.0
//! Telling systemd that a service runs: sd_notify(3).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Context;

/// Says that what was asked for runs, if anybody wants to know.
pub(crate) fn ready() -> anyhow::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) => send(&socket, b"READY=1").context("tell systemd that the guest runs"),
        None => Ok(()),
    }
}

/// A name that begins with @ is of no file.
fn send(socket: &OsStr, words: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(words, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let name = format!("@vserver-test-{}", std::process::id());
        let abstract_one = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        for (server, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str()),
            (
                UnixDatagram::bind_addr(&abstract_one).unwrap(),
                OsStr::new(&name),
            ),
        ] {
            send(socket, b"READY=1").unwrap();
            let mut words = [0; 20];
            let length = server.recv(&mut words).unwrap();
            assert_eq!(&words[..length], b"READY=1");
        }
        assert!(send(OsStr::new("/nonexistent/socket"), b"").is_err());
    }
}
