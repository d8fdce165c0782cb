// SPDX-License-Identifier: GPL-2.0
//! A last link is not copied, unless somebody else still refers to the inode.

use crate::calls::truncate;
use crate::process::eventually;
use crate::unified::*;
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, Mode, OFlags, XattrFlags, setxattr};
use rustix::io::{Errno, read, write};
use rustix::pipe::{SpliceFlags, pipe, splice};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

pub(super) fn last_link_in_place() -> Result<()> {
    let pair = Pair::new("last_link")?;
    fs::remove_file(&pair.b)?;
    open(&pair.a, OFlags::WRONLY)?;
    let a = look(&pair.a)?;
    let want = Look {
        flags: 0,
        ..pair.before.clone()
    };
    ensure!(a == want, "{a:?}");
    pair.has_names(&["a"])
}

/// Another guest may go on reading or mapping a file whose name it has removed.
pub(super) fn last_link_open_elsewhere() -> Result<()> {
    let pair = Pair::new("last_link_open")?;
    let other = open(&pair.b, OFlags::RDONLY)?;
    fs::remove_file(&pair.b)?;
    fs::write(&pair.a, b"new")?;
    ensure!(look(&pair.a)?.ino != pair.before.ino);
    let mut buffer = [0; 64];
    let len = read(&other, &mut buffer)?;
    ensure!(buffer.get(..len) == Some(CONTENT));
    Ok(())
}

/// It may also hold it by a descriptor that it can open for writing later.
pub(super) fn last_link_held_elsewhere() -> Result<()> {
    let pair = Pair::new("last_link_held")?;
    let other = open(&pair.b, OFlags::PATH)?;
    let link = PathBuf::from(format!("/proc/self/fd/{}", other.as_raw_fd()));
    fs::remove_file(&pair.b)?;
    fs::write(&pair.a, b"new")?;
    let a = look(&pair.a)?;
    ensure!(a.ino != pair.before.ino, "cleared in place");
    ensure!(fs::read(&link)? == CONTENT);
    // That one has no name any more: it can't be replaced and may be refused.
    if let Ok(file) = open(&link, OFlags::WRONLY) {
        write(&file, b"theirs")?;
    }
    ensure!(look(&pair.a)? == a, "another guest's file was written");
    Ok(())
}

/// What can be done to the file that a path leads to.
type Modify = fn(&Path) -> Result<(), Errno>;

/// Something of every kind.
const MODIFICATIONS: [(&str, Modify); 4] = [
    ("append", |path| {
        write(open(path, OFlags::WRONLY | OFlags::APPEND)?, b"two\n").map(drop)
    }),
    ("chmod", |path| rfs::chmod(path, Mode::from_raw_mode(0o600))),
    ("setxattr", |path| {
        setxattr(path, "user.new", b"new", XattrFlags::empty())
    }),
    ("truncate", |path| truncate(path, 4)),
];

/// Whatever has taken the name by which a descriptor came is what the caller means, not the file that
/// has lost its other name since.
pub(super) fn last_link_of_a_name_that_went() -> Result<()> {
    for (what, modify) in MODIFICATIONS {
        let pair = Pair::new("went_to_a_copy")?;
        let held = open(&pair.a, OFlags::PATH)?;
        write(open(&pair.a, OFlags::WRONLY | OFlags::APPEND)?, b"one\n")?;
        fs::remove_file(&pair.b)?;
        follows_the_name(&pair, &held, modify).with_context(|| format!("{what}, a copy"))?;

        let pair = Pair::new("went_to_another")?;
        let held = open(&pair.a, OFlags::PATH)?;
        let c = pair.dir.join("c");
        fs::write(&c, b"as equal as can be")?;
        set_flags(&c, UNIFIED, UNIFIED)?;
        abi::unify(pair.reader()?, open(&c, OFlags::RDONLY)?)?;
        fs::remove_file(&pair.b)?;
        let other = look(&c)?;
        follows_the_name(&pair, &held, modify).with_context(|| format!("{what}, another"))?;
        ensure!(look(&c)? == other, "{what}: another guest's file");
    }
    Ok(())
}

fn follows_the_name(pair: &Pair, held: &OwnedFd, modify: Modify) -> Result<()> {
    let link = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let before = look(&pair.a)?;
    modify(&link)?;
    let after = look(&pair.a)?;
    let same = Look {
        ino: after.ino,
        flags: 0,
        ..before
    };
    ensure!(after.flags == 0 && after != same, "not modified: {after:?}");
    ensure!(fs::read(&link)? == CONTENT, "the file without a name was");
    Ok(())
}

/// It may also have the pages in a pipe, and not the file.
pub(super) fn last_link_in_a_pipe() -> Result<()> {
    in_a_pipe(&Pair::new("last_link_pipe")?)
}

pub(super) fn last_large_link_in_a_pipe() -> Result<()> {
    in_a_pipe(&Pair::large("large_link_pipe")?)
}

fn in_a_pipe(pair: &Pair) -> Result<()> {
    let (reader, writer) = pipe()?;
    let other = open(&pair.b, OFlags::RDONLY)?;
    let len = splice(other, None, writer, None, 4096, SpliceFlags::empty())?;
    ensure!(len == pair.before.content.len().min(4096), "{len}");
    fs::remove_file(&pair.b)?;
    write(open(&pair.a, OFlags::WRONLY)?, b"mine")?;
    ensure!(look(&pair.a)?.ino != pair.before.ino, "cleared in place");
    let mut buffer = [0; 4096];
    let len = read(&reader, &mut buffer)?;
    ensure!(
        len > 0 && buffer.get(..len) == pair.before.content.get(..len),
        "another guest reads it"
    );
    Ok(())
}

/// Whoever held it and is gone is in nobody's way.
pub(super) fn last_link_after_a_reader() -> Result<()> {
    after_a_reader(&Pair::new("last_link_after")?)
}

pub(super) fn last_large_link_after_a_reader() -> Result<()> {
    after_a_reader(&Pair::large("large_link_after")?)
}

fn after_a_reader(pair: &Pair) -> Result<()> {
    let other = open(&pair.b, OFlags::PATH)?;
    fs::remove_file(&pair.b)?;
    drop(other);
    fs::write(&pair.a, b"new")?;
    let a = look(&pair.a)?;
    ensure!(a.ino == pair.before.ino && a.flags == 0, "{a:?}");
    Ok(())
}

/// A file whose inode comes from the disk. f2fs reads an immutable one so that it can't be written
/// to, whatever its flags say later.
fn read_anew(name: &str) -> Result<Pair> {
    let pair = Pair::new(name)?;
    fs::remove_file(&pair.b)?;
    forget()?;
    Ok(pair)
}

fn forget() -> Result<()> {
    rfs::sync();
    drop_caches()
}

fn is_f2fs() -> bool {
    root().ends_with("f2fs")
}

/// It can be written to and read.
fn written(path: &Path) -> Result<()> {
    let file = open(path, OFlags::RDWR)?;
    let mut buffer = [0; 64];
    let len = read(&file, &mut buffer)?;
    ensure!(buffer.get(..len) == Some(CONTENT), "{buffer:?}");
    write(&file, b"more")?;
    ensure!(fs::read(path)? == [CONTENT, b"more"].concat());
    Ok(())
}

pub(super) fn last_link_read_anew() -> Result<()> {
    let pair = read_anew("read_anew")?;
    written(&pair.a)?;
    let a = look(&pair.a)?;
    let in_place = a.ino == pair.before.ino;
    ensure!(a.flags == 0 && in_place != is_f2fs(), "{a:?}");
    pair.has_names(&["a"])
}

/// Made an ordinary one by command it is one, or there is a way that makes it one.
pub(super) fn ununified_read_anew() -> Result<()> {
    let pair = read_anew("ununified")?;
    let done = set_flags(&pair.a, 0, UNIFIED);
    if is_f2fs() {
        refused("set_iattr", done, Errno::BUSY)?;
        let a = look(&pair.a)?;
        ensure!(a == pair.before, "{a:?}");
        abi::deunify(open(&pair.a, OFlags::RDONLY)?)?;
    } else {
        done?;
    }
    written(&pair.a)
}

/// What the administrator made immutable is writable again as by chattr(1).
pub(super) fn immutable_read_anew() -> Result<()> {
    let pair = read_anew("immutable")?;
    set_flags(&pair.a, 0, abi::IATTR_IUNLINK)?;
    set_flags(&pair.a, 0, abi::IATTR_IMMUTABLE)?;
    ensure!(look(&pair.a)?.flags == 0);
    Ok(())
}

/// What an open that may not wait can't know, a later one is told.
pub(super) fn opened_only_if_known() -> Result<()> {
    let pair = read_anew("only_if_known")?;
    set_flags(&pair.a, 0, abi::IATTR_IUNLINK)?;
    let known = || {
        let flags = OFlags::WRONLY;
        let (mode, resolve) = (Mode::empty(), rfs::ResolveFlags::CACHED);
        rfs::openat2(rfs::CWD, &pair.a, flags, mode, resolve).map(drop)
    };
    expect(known(), Errno::PERM)?;
    // What is in memory alone is always known.
    if !root().ends_with("tmpfs") {
        eventually("it has to be looked up", || {
            let in_cache = forget().is_ok() && fs::metadata(&pair.a).is_ok();
            in_cache && known() == Err(Errno::AGAIN)
        })?;
    }
    expect(open(&pair.a, OFlags::WRONLY), Errno::PERM)?;
    expect(known(), Errno::PERM)?;
    Ok(set_flags(&pair.a, 0, abi::IATTR_IMMUTABLE)?)
}

/// 10: the tool that links the file again while its last link is cleared. If it then finds the new
/// name unified, that stays so.
pub(super) fn last_link_is_linked_again() -> Result<()> {
    const TIMES: usize = 100;
    let pair = Pair::new("linked_again")?;
    fs::remove_file(&pair.b)?;
    let start = std::sync::Barrier::new(2);
    for _ in 0..TIMES {
        let unified = std::thread::scope(|scope| {
            let tool = scope.spawn(|| -> Result<bool> {
                start.wait();
                fs::hard_link(&pair.a, &pair.b)?;
                Ok(abi::get_iattr(&pair.b)?.flags == UNIFIED)
            });
            start.wait();
            let opened = open(&pair.a, OFlags::WRONLY);
            let unified = tool.join().map_err(|_| anyhow!("panic"))??;
            write(opened?, b"W")?;
            Ok::<_, anyhow::Error>(unified)
        })?;
        let (a, b) = (look(&pair.a)?, look(&pair.b)?);
        if unified {
            ensure!(b.flags == UNIFIED && a.ino != b.ino, "{a:?} {b:?}");
        }
        ensure!(a.flags == 0, "{a:?}");
        // As it was in the beginning.
        set_flags(&pair.b, 0, UNIFIED)?;
        fs::remove_file(&pair.b)?;
        set_flags(&pair.a, UNIFIED, UNIFIED)?;
    }
    Ok(())
}
