// SPDX-License-Identifier: GPL-2.0
//! What is done to a watched file.

use crate::calls::truncate;
use crate::twin::{Op, Twin};
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Mode, OFlags, Timespec, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::{read, write};
use std::fs;
use std::path::Path;

/// A file to change.
pub fn file(a: &Path) -> Result<()> {
    fs::write(a, CONTENT)?;
    Ok(setxattr(a, "user.old", b"old", XattrFlags::empty())?)
}

/// Modifies the file, each in another way.
pub const MODIFY: &[(&str, Op)] = &[
    ("open", |a| open(a, OFlags::WRONLY).map(drop)),
    ("write", |a| write(open(a, OFlags::RDWR)?, b"W").map(drop)),
    ("append", |a| {
        let fd = open(a, OFlags::WRONLY | OFlags::APPEND)?;
        write(&fd, b"W")?;
        write(&fd, b"W").map(drop)
    }),
    ("O_TRUNC", |a| {
        let fd = open(a, OFlags::WRONLY | OFlags::TRUNC | OFlags::CREATE)?;
        write(&fd, b"W").map(drop)
    }),
    ("O_TRUNC alone", |a| open(a, OFlags::TRUNC).map(drop)),
    ("truncate", |a| truncate(a, 5)),
    ("extend", |a| truncate(a, 50)),
    ("fallocate", |a| {
        let mode = rfs::FallocateFlags::empty();
        rfs::fallocate(open(a, OFlags::WRONLY)?, mode, 0, 8192)
    }),
    ("chmod", |a| rfs::chmod(a, Mode::from_raw_mode(0o600))),
    ("fchmod", |a| {
        rfs::fchmod(open(a, OFlags::RDONLY)?, Mode::from_raw_mode(0o600))
    }),
    ("chown", |a| {
        rfs::chownat(CWD, a, Some(Uid::from_raw(USER)), None, AtFlags::empty())
    }),
    ("utimes", |a| {
        let time = Timespec {
            tv_sec: 77,
            tv_nsec: 0,
        };
        set_times(a, time)
    }),
    ("setxattr", |a| {
        setxattr(a, "user.new", b"new", XattrFlags::empty())
    }),
    ("removexattr", |a| rfs::removexattr(a, "user.old")),
];

/// Leaves the inode as it is.
pub const LEAVE: &[(&str, Op)] = &[
    ("read", |a| {
        read(open(a, OFlags::RDONLY)?, &mut [0; 64]).map(drop)
    }),
    ("access", |a| rfs::access(a, rfs::Access::WRITE_OK)),
    ("link", |a| {
        rfs::link(a, a.with_file_name("c"))?;
        rfs::unlink(a.with_file_name("c"))
    }),
    ("rename", |a| {
        rfs::rename(a, a.with_file_name("c"))?;
        rfs::rename(a.with_file_name("c"), a)
    }),
    ("unlink", |a| rfs::unlink(a)),
];

/// Does each of `changes` to the files of a new twin, of which `watch` has made what it needs, and
/// compares what `seen` then says of the plain file and of the unified one.
pub fn compare<W, S: std::fmt::Debug + PartialEq>(
    name: &str,
    changes: &[(&str, Op)],
    watch: impl Fn(&Path) -> Result<W>,
    seen: impl Fn(&W) -> Result<S>,
) -> Result<()> {
    for (what, op) in changes {
        let twin = Twin::with(name, file)?;
        let both = [twin.plain(), twin.pair.a.clone()].map(|path| -> Result<S> {
            let watch = watch(&path)?;
            op(&path)?;
            seen(&watch)
        });
        let [plain, unified] = both;
        let (plain, unified) = (plain?, unified?);
        ensure!(
            plain == unified,
            "{what}: of the unified file {unified:?}, of the plain one {plain:?}"
        );
    }
    Ok(())
}

/// What needs no descriptor that is open for reading.
pub fn by_name() -> Vec<(&'static str, Op)> {
    let mut changes = MODIFY.to_vec();
    changes.retain(|(what, _)| *what != "fchmod");
    changes
}

/// Modifies a unified file by its name, in each way, while `watch` is on something that this is not
/// about: then `seen` says nothing.
pub fn unheard<W, S: std::fmt::Debug + Default + PartialEq>(
    name: &str,
    watch: impl Fn(&Pair) -> Result<W>,
    seen: impl Fn(&W) -> Result<S>,
) -> Result<()> {
    // A descriptor that was got before is one of the shared inode.
    for (what, op) in by_name() {
        let pair = Pair::with(name, file)?;
        let watch = watch(&pair)?;
        op(&pair.a)?;
        let events = seen(&watch)?;
        ensure!(events == S::default(), "{what}: {events:?}");
    }
    Ok(())
}

/// The same while `watch` is on a directory that has one more name `b` of the file, another guest's.
pub fn unheard_beside<W, S: std::fmt::Debug + Default + PartialEq>(
    name: &str,
    watch: impl Fn(&Path) -> Result<W>,
    seen: impl Fn(&W) -> Result<S>,
) -> Result<()> {
    let other = root().join("beside");
    let watched = |pair: &Pair| {
        let _ = Pair::clean(&other);
        fs::create_dir(&other)?;
        fs::hard_link(&pair.b, other.join("b"))?;
        watch(&other)
    };
    unheard(name, watched, seen)?;
    Pair::clean(&other)
}
