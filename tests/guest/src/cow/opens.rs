// SPDX-License-Identifier: GPL-2.0
//! Opening for writing, in every mode, and what goes on afterwards.

use crate::calls::c_path;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::{Errno, read, write};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

pub(super) fn open_modes() -> Result<()> {
    let kept: &[(&str, OFlags)] = &[
        ("write", OFlags::WRONLY),
        ("read and write", OFlags::RDWR),
        ("append", OFlags::WRONLY.union(OFlags::APPEND)),
        ("create", OFlags::WRONLY.union(OFlags::CREATE)),
        ("nofollow", OFlags::RDWR.union(OFlags::NOFOLLOW)),
        ("direct", OFlags::RDWR.union(OFlags::DIRECT)),
    ];
    for (what, flags) in kept {
        let pair = Pair::new("open_modes")?;
        open(&pair.a, *flags).context(*what)?;
        let a = pair.broken().context(*what)?;
        ensure!(
            a.content == CONTENT && a.mtime == pair.before.mtime,
            "{what}: {a:?}"
        );
    }
    let emptied: &[(&str, OFlags)] = &[
        ("truncate", OFlags::WRONLY.union(OFlags::TRUNC)),
        ("truncate only", OFlags::RDONLY.union(OFlags::TRUNC)),
        (
            "creat",
            OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::TRUNC),
        ),
    ];
    for (what, flags) in emptied {
        let pair = Pair::new("open_modes")?;
        open(&pair.a, *flags).context(*what)?;
        ensure!(pair.broken().context(*what)?.content.is_empty(), "{what}");
    }
    let pair = Pair::new("open_modes")?;
    let exclusive = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    pair.refused("O_EXCL", open(&pair.a, exclusive), Errno::EXIST)
}

/// Through the magic links, with no name given.
pub(super) fn open_by_proc_fd() -> Result<()> {
    for flags in [OFlags::PATH, OFlags::RDONLY] {
        let pair = Pair::new("open_by_proc_fd")?;
        let fd = open(&pair.a, flags)?;
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let file = open(Path::new(&link), OFlags::WRONLY | OFlags::APPEND)?;
        write(&file, b"more")?;
        ensure!(pair.broken()?.content.ends_with(b"more"));
    }
    Ok(())
}

pub(super) fn reading_leaves_it_alone() -> Result<()> {
    let pair = Pair::new("reading")?;
    let fd = pair.reader()?;
    open(&pair.a, OFlags::PATH)?;
    ensure!(
        rfs::access(&pair.a, rfs::Access::WRITE_OK).is_ok(),
        "access"
    );
    refused("write", write(&fd, b"x"), Errno::BADF)?;
    refused("ftruncate", rfs::ftruncate(&fd, 0), Errno::INVAL)?;
    let mode = rfs::FallocateFlags::empty();
    refused("fallocate", rfs::fallocate(&fd, mode, 0, 4096), Errno::BADF)?;
    pair.intact()
}

pub(super) fn writes_go_to_the_copy() -> Result<()> {
    let pair = Pair::new("writes")?;
    let one = open(&pair.a, OFlags::WRONLY)?;
    write(&one, b"WHAT")?;
    let two = open(&pair.a, OFlags::WRONLY | OFlags::APPEND)?;
    write(&two, b"end")?;
    let a = pair.broken()?;
    ensure!(a.content == b"WHAT all share\nend", "{a:?}");
    ensure!(a.mtime != pair.before.mtime);
    Ok(())
}

pub(super) fn old_descriptor_keeps_the_content() -> Result<()> {
    let pair = Pair::new("old_descriptor")?;
    let old = pair.reader()?;
    fs::write(&pair.a, b"new")?;
    let mut buffer = [0; 64];
    let len = read(&old, &mut buffer)?;
    ensure!(buffer.get(..len) == Some(CONTENT));
    ensure!(pair.broken()?.content == b"new");
    Ok(())
}

/// 9: as soon as it has the name nobody has the copy open for writing.
pub(super) fn executable_at_once() -> Result<()> {
    let pair = Pair::with("executable", |a| {
        fs::write(a, b"#!/none\n")?;
        Ok(rfs::chmod(a, Mode::from_raw_mode(0o755))?)
    })?;
    let path = c_path(&pair.a);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let argv = [path.as_ptr(), std::ptr::null()];
                // SAFETY: the process that it makes calls but execve() and _exit(); all pointers
                // are valid.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: as above.
                    unsafe {
                        libc::execve(argv[0], argv.as_ptr(), argv.as_ptr().add(1));
                        libc::_exit(i32::from(*libc::__errno_location() == libc::ETXTBSY));
                    }
                }
                let mut status = 0;
                // SAFETY: `status` is valid for the call.
                unsafe { libc::waitpid(pid, &raw mut status, 0) };
                if pid > 0 && status != 0 {
                    return false;
                }
            }
            true
        });
        let done = (0..20).try_for_each(|n| -> Result<()> {
            rfs::chmod(&pair.a, Mode::from_raw_mode(0o700 + n % 2))?;
            fs::remove_file(&pair.a)?;
            Ok(fs::hard_link(&pair.b, &pair.a)?)
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let quiet = runner.join().unwrap_or(false);
        done?;
        ensure!(quiet, "ETXTBSY");
        Ok(())
    })
}
