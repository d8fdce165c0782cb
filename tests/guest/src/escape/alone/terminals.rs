// SPDX-License-Identifier: GPL-2.0
//! A terminal that is shared with the host.

use crate::escape::calls::{address, call, done};
use crate::escape::xids;
use crate::process::isolated;
use crate::raw;
use anyhow::{Result, ensure};
use rustix::fd::AsRawFd as _;
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

/// TIOCSTI on a terminal, which may be the host's too, unless the administrator allows it.
pub fn typing_for_others() -> Result<()> {
    const TIOCLINUX: usize = 0x541c;
    const TIOCVHANGUP: usize = 0x5437;
    let host = std::process::id();
    for ccaps in [0, abi::VXC_TIOCSTI] {
        isolated(|| {
            call(libc::SYS_setsid, &[])?;
            let terminal = terminal()?;
            let mut letter = *b"x";
            let letter = address(&mut letter);
            let type_it = || done(libc::SYS_ioctl, &[terminal, libc::TIOCSTI as usize, letter]);
            ensure!(type_it() == Ok(1));

            let xid = xids().0;
            abi::ctx_create(xid, abi::VXF_STATE_SETUP)?;
            let words = [u64::MAX, u64::MAX, ccaps, u64::MAX];
            raw::vserver(abi::VCMD_set_bcaps, xid, (&raw const words[0]).addr())?;
            raw::vserver(abi::VCMD_set_ccaps, xid, (&raw const words[2]).addr())?;
            abi::set_cflags(xid, 0, abi::VXF_STATE_SETUP)?;
            let allowed = ccaps != 0;
            let expected = if allowed { Ok(1) } else { Err(Errno::PERM) };
            ensure!(type_it() == expected, "{ccaps:#x}: {:?}", type_it());
            let hung_up = done(libc::SYS_ioctl, &[terminal, TIOCVHANGUP, 0]);
            ensure!(hung_up == Err(Errno::PERM), "{hung_up:?}");
            let console = done(libc::SYS_ioctl, &[terminal, TIOCLINUX, letter]);
            ensure!(console == Err(Errno::PERM), "{console:?}");
            // No group of the host's gets what is typed, and its signals.
            let mut group = host;
            let group = address(&mut group);
            let given = done(
                libc::SYS_ioctl,
                &[terminal, libc::TIOCSPGRP as usize, group],
            );
            ensure!(given == Err(Errno::SRCH), "{given:?}");
            let redirected = done(libc::SYS_ioctl, &[terminal, libc::TIOCCONS as usize, 0]);
            ensure!(redirected == Err(Errno::PERM), "{redirected:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// A new terminal, which controls the caller's session.
fn terminal() -> Result<usize> {
    let mut options = fs::File::options();
    let master = options.read(true).write(true).open("/dev/ptmx")?;
    let fd = master.as_raw_fd() as usize;
    let mut locked = 0i32;
    let locked = address(&mut locked);
    call(libc::SYS_ioctl, &[fd, libc::TIOCSPTLCK as usize, locked])?;
    let mode = (libc::O_RDWR | libc::O_CLOEXEC) as usize;
    let peer = call(libc::SYS_ioctl, &[fd, libc::TIOCGPTPEER as usize, mode])? as usize;
    call(libc::SYS_ioctl, &[peer, libc::TIOCSCTTY as usize, 0])?;
    // It must not be hung up.
    std::mem::forget(master);
    Ok(peer)
}
