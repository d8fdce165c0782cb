// SPDX-License-Identifier: GPL-2.0
//! The kernel module goes, and comes again.

use crate::process::patience;
use crate::unified::{open, syscall};
use anyhow::{Context as _, Result};
use rustix::fd::AsRawFd as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::Path;
use std::time::{Duration, Instant};

/// Takes the module away, unless somebody needs it now.
pub fn remove() -> Result<(), Errno> {
    // SAFETY: the name is a C string.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_delete_module,
            c"vserver".as_ptr(),
            libc::O_NONBLOCK,
        )
    };
    syscall(ret).map(drop)
}

/// The same as soon as nobody needs it for a moment.
pub fn remove_soon() -> Result<()> {
    let start = Instant::now();
    loop {
        match remove() {
            Err(Errno::AGAIN) if start.elapsed() < Duration::from_secs(20) * patience() => {
                std::thread::sleep(Duration::from_micros(100));
            }
            removed => return removed.context("rmmod"),
        }
    }
}

/// Loads it.
pub fn insert() -> Result<()> {
    let module = open(Path::new("/vserver.ko"), OFlags::RDONLY)?;
    // SAFETY: the parameters are a C string.
    let ret = unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), c"".as_ptr(), 0) };
    syscall(ret).context("insmod").map(drop)
}
