// SPDX-License-Identifier: GPL-2.0
//! Keys and keyrings: brought along, asked for, a user's, a parent's.

use crate::escape::calls::{address, call};
use crate::escape::{Found, enter, xids};
use crate::process::isolated;
use anyhow::{Result, ensure};
use rustix::io::Errno;
use std::fs;

const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
const KEYCTL_READ: usize = 11;
const SESSION_KEYRING: usize = -3i32 as usize;

fn add_key(keyring: usize) -> Found {
    let (mut kind, mut name) = (*b"user\0", *b"brought\0");
    let (kind, name) = (address(&mut kind), address(&mut name));
    call(libc::SYS_add_key, &[kind, name, name, 7, keyring])
}

pub fn keys_brought_along() -> Result<()> {
    isolated(|| {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let key = add_key(SESSION_KEYRING)? as usize;
        ensure!(call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]) == Ok(7));
        enter(xids().0)?;
        let read = call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]);
        ensure!(read == Err(Errno::NOKEY), "{read:?}");
        let added = add_key(SESSION_KEYRING);
        ensure!(added == Err(Errno::ACCESS), "{added:?}");
        // One of its own is as good as ever.
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let key = add_key(SESSION_KEYRING)? as usize;
        ensure!(call(libc::SYS_keyctl, &[KEYCTL_READ, key, 0, 0]) == Ok(7));
        Ok(())
    })
}

/// A key that is not there is asked for from a program of the host: not by a guest.
pub fn no_keys_from_the_host() -> Result<()> {
    const HELPER: &str = "/sbin/request-key";
    let called = format!("/tmp/request-key-{}", std::process::id());
    fs::write(HELPER, format!("#!/bin/sh\necho \"$2\" > {called}\n"))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(HELPER, mode)?;
    let request = || {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        let (mut kind, mut name) = (*b"user\0", *b"missing\0");
        let (kind, name) = (address(&mut kind), address(&mut name));
        anyhow::Ok(call(libc::SYS_request_key, &[kind, name, name, 0]))
    };
    let result = isolated(|| {
        enter(xids().0)?;
        let found = request()?;
        ensure!(found == Err(Errno::NOKEY), "{found:?}");
        ensure!(!fs::exists(&called)?, "the helper was called");
        Ok(())
    })
    .and_then(|()| {
        isolated(|| {
            let _ = request()?;
            ensure!(fs::exists(&called)?, "the helper is not called at all");
            Ok(())
        })
    });
    fs::remove_file(HELPER)?;
    result
}

/// A user's keyrings are the host's, also if a guest is the first to ask for them.
pub fn keyrings_of_users() -> Result<()> {
    const UID: u32 = 4321;
    const KEYCTL_GET_KEYRING_ID: usize = 0;
    const USER_KEYRING: usize = -4isize as usize;
    const KEYCTL_GET_PERSISTENT: usize = 22;
    const PROCESS_KEYRING: usize = -2isize as usize;
    let own = || call(libc::SYS_keyctl, &[KEYCTL_GET_KEYRING_ID, USER_KEYRING, 1]);
    let persistent = || {
        let args = [KEYCTL_GET_PERSISTENT, UID as usize, PROCESS_KEYRING];
        call(libc::SYS_keyctl, &args)
    };
    isolated(|| {
        enter(xids().0)?;
        let got = persistent();
        ensure!(got.is_err(), "persistent: {got:?}");
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(UID, UID, UID) } == 0);
        let got = own();
        ensure!(got == Err(Errno::NOKEY), "the guest's: {got:?}");
        Ok(())
    })?;
    isolated(|| {
        // SAFETY: as above.
        ensure!(unsafe { libc::setresuid(UID, UID, UID) } == 0);
        let got = own();
        ensure!(got.is_ok(), "the host's: {got:?}");
        let got = persistent();
        ensure!(got.is_ok(), "the host's persistent one: {got:?}");
        Ok(())
    })
}

/// Nobody inside replaces the credentials of the parent that it has kept.
pub fn keyring_for_the_parent() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    const KEYCTL_SESSION_TO_PARENT: usize = 18;
    let give = || {
        call(libc::SYS_keyctl, &[KEYCTL_JOIN_SESSION_KEYRING, 0])?;
        call(libc::SYS_keyctl, &[KEYCTL_SESSION_TO_PARENT])
    };
    isolated(|| {
        enter(xids().0)?;
        let got = give();
        ensure!(got == Err(Errno::PERM), "{got:?}");
        Ok(())
    })?;
    // To one's own parent inside, and on the host.
    isolated(|| {
        let got = give();
        ensure!(got.is_ok(), "on the host: {got:?}");
        Ok(())
    })
}
