// SPDX-License-Identifier: GPL-2.0
//! Breaks against the module's coming and going: with it they are done, without it the file is
//! immutable, and there is nothing in between.

use super::race::{Race, race};
use super::shared::{How, Shared};
use crate::process::{Status, spawn};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::AsRawFd as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use vserver_abi as abi;

const XID: u32 = 330;

/// Takes the module away, unless somebody needs it now.
fn remove() -> Result<(), Errno> {
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

fn insert() -> Result<()> {
    let module = open(Path::new("/vserver.ko"), OFlags::RDONLY)?;
    // SAFETY: the parameters are a C string.
    let ret = unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), c"".as_ptr(), 0) };
    syscall(ret).context("insmod").map(drop)
}

/// Removes it as soon as nobody needs it for a moment.
fn remove_soon() -> Result<u32> {
    let start = Instant::now();
    let mut busy = 0;
    loop {
        match remove() {
            Ok(()) => return Ok(busy),
            Err(Errno::AGAIN) if start.elapsed() < Duration::from_secs(20) => busy += 1,
            Err(e) => return Err(e).context("rmmod"),
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// It goes at any moment of the break, but never under its feet.
pub fn module_removal() -> Result<()> {
    let shared = Shared::new("module")?;
    race(|race: &mut Race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let (got, removed) = race.pair(|| how.run(&shared.a), remove_soon)?;
        race.count(format!("busy {}", removed? > 0));
        // Whatever it is now, it stays.
        let again = How::Mode.run(&shared.a);
        let private = match got {
            Ok(_) => true,
            Err(Errno::PERM) => false,
            Err(e) => bail!("{how:?}: {e:?}"),
        };
        if private {
            again.context("a private file")?;
        } else {
            refused("without the module", again, Errno::PERM)?;
            refused(
                "unlink",
                fs::remove_file(&shared.a)
                    .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)),
                Errno::PERM,
            )?;
        }
        insert()?;
        race.count_result(got);
        if !private {
            shared.untouched(&shared.a)?;
        }
        shared.settled(&["in", "in/a"])
    })
}

/// While a context exists, or a break waits, the module stays.
pub fn module_in_use() -> Result<()> {
    let shared = Shared::new("in_use")?;
    let child = spawn(|| {
        let inside = || -> Result<()> {
            abi::ctx_create(XID, 0)?;
            refused("rmmod beside a context", remove(), Errno::AGAIN)?;
            How::Append.run(&shared.a)?;
            Ok(())
        };
        match inside() {
            Ok(()) => 0,
            Err(e) => {
                println!("# {e:#}");
                1
            }
        }
    })?;
    ensure!(child.wait()? == Status::Exited(0), "in the context");
    shared.modified(&shared.a, How::Append)?;
    remove_soon()?;
    insert()?;
    shared.settled(&["in", "in/a"])
}
