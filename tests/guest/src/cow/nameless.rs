// SPDX-License-Identifier: GPL-2.0
//! A file whose last name is gone: who alone has it open for reading may modify it as a plain one,
//! and nobody may while somebody else reads it.

use crate::by_fd::may_write;
use crate::calls::truncate;
use crate::process::{Gate, Status, spawn};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, setxattr};
use rustix::io::{Errno, pread, write};
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

const TIME: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 0,
};
const TIMES: Timestamps = Timestamps {
    last_access: TIME,
    last_modification: TIME,
};

/// What can be done by a descriptor that is open for reading.
type Modify = fn(&OwnedFd) -> Result<(), Errno>;

/// After each the file is an ordinary one, so each has a file of its own.
const MODIFICATIONS: [(&str, Modify); 7] = [
    ("fchmod", |fd| rfs::fchmod(fd, Mode::from_raw_mode(0o600))),
    ("fchown", |fd| {
        rfs::fchown(fd, Some(Uid::from_raw(USER)), None)
    }),
    ("futimens", |fd| rfs::futimens(fd, &TIMES)),
    ("fsetxattr", |fd| {
        rfs::fsetxattr(fd, "user.new", b"new", XattrFlags::empty())
    }),
    ("fremovexattr", |fd| rfs::fremovexattr(fd, "user.old")),
    ("truncate by link", |fd| truncate(&link(fd), 4)),
    ("open by link", |fd| {
        write(open(&link(fd), OFlags::WRONLY)?, b"WHAT").map(drop)
    }),
];

fn link(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

fn make(path: &Path) -> Result<()> {
    fs::write(path, CONTENT)?;
    Ok(setxattr(path, "user.old", b"old", XattrFlags::empty())?)
}

/// Takes both names of a file that is open. The directory goes at the end of the pair's life.
fn remove_names(pair: &Pair) -> Result<()> {
    fs::remove_file(&pair.b)?;
    Ok(fs::remove_file(&pair.a)?)
}

/// All that the modifications could change.
#[derive(Debug, PartialEq)]
struct Seen {
    mode: u32,
    owner: u32,
    content: Vec<u8>,
    is_of_the_time: bool,
    xattrs: [bool; 2],
}

fn seen(fd: &OwnedFd) -> Result<Seen> {
    let stat = rfs::fstat(fd)?;
    let mut content = vec![0; 64];
    let len = pread(fd, &mut content[..], 0)?;
    content.truncate(len);
    let has = |name: &str| rfs::fgetxattr(fd, name, &mut [0u8; 16][..]).is_ok();
    Ok(Seen {
        mode: stat.st_mode,
        owner: stat.st_uid,
        content,
        is_of_the_time: stat.st_mtime == TIME.tv_sec,
        xattrs: [has("user.old"), has("user.new")],
    })
}

fn flags(fd: &OwnedFd) -> Result<u32> {
    Ok(abi::fget_iattr(fd)?.flags)
}

/// What becomes of a plain file.
fn of_a_plain_one(modify: Modify) -> Result<Seen> {
    let path = root().join("nameless_plain");
    make(&path)?;
    let fd = open(&path, OFlags::RDONLY)?;
    fs::remove_file(&path)?;
    modify(&fd)?;
    seen(&fd)
}

/// It succeeds as on a plain file, which this is then.
fn modified(fd: &OwnedFd, modify: Modify) -> Result<()> {
    may_write(fd).context("access")?;
    modify(fd)?;
    ensure!(flags(fd)? == 0, "still unified");
    let (is, want) = (seen(fd)?, of_a_plain_one(modify)?);
    ensure!(is == want, "is {is:?}, should be {want:?}");
    Ok(())
}

fn not_modified(fd: &OwnedFd, modify: Modify) -> Result<()> {
    let before = seen(fd)?;
    refused("access", may_write(fd), Errno::STALE)?;
    expect(modify(fd), Errno::STALE)?;
    ensure!(flags(fd)? == UNIFIED, "not unified any more");
    let after = seen(fd)?;
    ensure!(after == before, "was {before:?}, is {after:?}");
    Ok(())
}

pub(super) fn nameless_file_of_one_reader() -> Result<()> {
    for (what, modify) in MODIFICATIONS {
        let pair = Pair::with("one_reader", make)?;
        let fd = pair.reader()?;
        remove_names(&pair)?;
        modified(&fd, modify).context(what)?;
    }
    Ok(())
}

/// The other reader is the same process, twice.
pub(super) fn nameless_file_open_twice() -> Result<()> {
    for (what, modify) in MODIFICATIONS {
        let pair = Pair::with("open_twice", make)?;
        let fd = pair.reader()?;
        let _other = (pair.reader()?, fd.try_clone()?);
        remove_names(&pair)?;
        modified(&fd, modify).context(what)?;
    }
    Ok(())
}

pub(super) fn nameless_file_read_elsewhere() -> Result<()> {
    for (what, modify) in MODIFICATIONS {
        let pair = Pair::with("read_elsewhere", make)?;
        let fd = pair.reader()?;
        let (opened, done) = (Gate::new()?, Gate::new()?);
        let other = spawn(|| {
            let read = || -> Result<Vec<u8>> {
                let theirs = open(&pair.b, OFlags::RDONLY)?;
                opened.open()?;
                done.pass()?;
                Ok(seen(&theirs)?.content)
            };
            i32::from(!read().is_ok_and(|content| content == CONTENT))
        })?;
        opened.pass()?;
        remove_names(&pair)?;
        let tried = not_modified(&fd, modify).context(what);
        done.open()?;
        ensure!(
            other.wait()? == Status::Exited(0),
            "what another guest reads"
        );
        tried?;
    }
    Ok(())
}
