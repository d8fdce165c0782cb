// SPDX-License-Identifier: GPL-2.0
//! What those inside a context have to do with the host's audit.

use super::given::{enter, enter_with};
use crate::harness::Test;
use crate::process::isolated;
use crate::tests;
use crate::unified::{become_user, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use std::fs;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![login_uid, login_uid_is_not_all_of_audit, audit_messages];

const CAP_AUDIT_WRITE: u64 = 1 << 29;
const NO_SPACES: UnshareFlags = UnshareFlags::empty();

fn log_in(uid: &str) -> Result<(), Errno> {
    let file = rfs::open("/proc/self/loginuid", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, uid.as_bytes()).map(drop)
}

fn login_uid() -> Result<()> {
    isolated(|| {
        log_in("0")?;
        enter_with(abi::VXC_AUDIT_CONTROL)?;
        log_in("1000")?;
        ensure!(fs::read_to_string("/proc/self/loginuid")? == "1000");
        let file = rfs::open("/proc/self/loginuid", OFlags::WRONLY, Mode::empty())?;
        become_user()?;
        refused("a user", rustix::io::write(&file, b"1001"), Errno::PERM)
    })?;
    isolated(|| {
        log_in("0")?;
        enter_with(!abi::VXC_AUDIT_CONTROL)?;
        refused("with all others", log_in("1000"), Errno::PERM)
    })?;
    // Who has not logged in may do so once, as ever.
    isolated(|| {
        enter_with(0)?;
        log_in("1000")?;
        refused("again", log_in("1001"), Errno::PERM)
    })
}

const AUDIT_GET: u16 = 1000;
const AUDIT_USER: u16 = 1005;

/// Sends a message to audit and waits for what it says.
fn audit(kind: u16) -> Result<(), Errno> {
    const NETLINK_AUDIT: i32 = 9;
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    let mut message = [0u8; 20];
    message[0] = 20;
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message[6] = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u8;
    message[16..].copy_from_slice(b"say\0");
    let mut answer = [0u8; 256];
    // SAFETY: the buffers have the lengths that are said; the socket is nobody else's.
    unsafe {
        let socket = syscall(libc::socket(libc::AF_NETLINK, flags, NETLINK_AUDIT).into())? as i32;
        let sent = syscall(libc::send(socket, message.as_ptr().cast(), 20, 0) as i64);
        let got = sent
            .and_then(|_| syscall(libc::recv(socket, answer.as_mut_ptr().cast(), 256, 0) as i64));
        libc::close(socket);
        got?;
    }
    // struct nlmsgerr: a negative errno, or 0.
    let error: [u8; 4] = answer[16..20].try_into().unwrap_or_default();
    match (
        u16::from_ne_bytes([answer[4], answer[5]]),
        i32::from_ne_bytes(error),
    ) {
        (2, 0) => Ok(()),
        (2, error) => Err(Errno::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

fn login_uid_is_not_all_of_audit() -> Result<()> {
    isolated(|| {
        enter_with(abi::VXC_AUDIT_CONTROL)?;
        refused("the status", audit(AUDIT_GET), Errno::CONNREFUSED)?;
        refused("a message", audit(AUDIT_USER), Errno::CONNREFUSED)
    })
}

fn audit_messages() -> Result<()> {
    audit(AUDIT_GET).context("the host's root")?;
    audit(AUDIT_USER).context("the host's root")?;
    isolated(|| {
        enter_with(!0)?;
        refused("inside", audit(AUDIT_USER), Errno::CONNREFUSED)
    })?;
    isolated(|| {
        enter(0, CAP_AUDIT_WRITE, NO_SPACES)?;
        audit(AUDIT_USER).context("with the capability")?;
        refused("the status", audit(AUDIT_GET), Errno::PERM)
    })?;
    // Without contexts a user is told who he is.
    isolated(|| {
        become_user()?;
        refused("a user of the host", audit(AUDIT_USER), Errno::PERM)
    })
}
