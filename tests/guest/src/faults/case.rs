// SPDX-License-Identifier: GPL-2.0
//! The operations that fail at every step, and what must be true after each.

use super::ground::Ground;
use super::nth::{Fault, Point};
use crate::unified::{Look, Pair, UNIFIED, look, open, set_flags, syscall};
use anyhow::{Result, anyhow, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags, setxattr};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vserver_abi::IATTR_IMMUTABLE;

/// More pages than one, and not a whole number of them.
pub const SIZE: usize = 40_000;

/// Content of `len` bytes, no two pages of it alike.
pub fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 4096 * 7 + i % 251) as u8).collect()
}

/// A file with something of everything: each is a step that can fail.
pub fn rich(a: &Path) -> Result<()> {
    fs::write(a, content(SIZE))?;
    let (uid, gid) = (Some(Uid::from_raw(5000)), Some(Gid::from_raw(6000)));
    rfs::chownat(CWD, a, uid, gid, AtFlags::empty())?;
    for name in ["user.some", "trusted.some", "security.some"] {
        setxattr(a, name, b"value", XattrFlags::empty())?;
    }
    // user::rw-, user:1000:r--, group::r--, mask::rw-, other::r--
    let acl = [
        &2u32.to_le_bytes()[..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 4, 0, 0xe8, 3, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255],
        &[16, 0, 6, 0, 255, 255, 255, 255],
        &[32, 0, 4, 0, 255, 255, 255, 255],
    ];
    let acl = acl.concat();
    setxattr(a, "system.posix_acl_access", &acl, XattrFlags::empty())?;
    Ok(())
}

/// An operation on the name `a`.
pub struct Case {
    /// Before the first time.
    pub prepare: fn(&Pair) -> Result<()>,
    /// What it gives is open until the fault is over.
    pub act: fn(&Pair) -> Result<Option<OwnedFd>, Errno>,
    /// What is to be true when it has succeeded.
    pub done: fn(&Pair) -> Result<()>,
    /// What is to be true when it has failed.
    pub intact: fn(&Pair) -> Result<()>,
    /// What may be true instead, where the break was over and the operation failed then: the copy
    /// is complete.
    pub half: fn(&Pair) -> Result<()>,
    /// Makes everything as it was before.
    pub again: fn(&Pair) -> Result<()>,
}

impl Case {
    /// It has failed: is everything as it was? Then nothing is to be made again.
    pub fn failed(&self, pair: &Pair) -> Result<()> {
        let Err(e) = (self.intact)(pair) else {
            return Ok(());
        };
        (self.half)(pair).map_err(|half| anyhow!("{e:#}; and {half:#}"))?;
        (self.again)(pair)
    }
}

/// The name has the old file, or all of the new one. Whether it is the old.
pub fn old_or_new(pair: &Pair) -> Result<bool> {
    let old = fs::metadata(&pair.a)?.ino() == pair.before.ino;
    if old {
        pair.intact()?;
    } else {
        pair.broken_alike()?;
    }
    Ok(old)
}

/// The file system gave up, which is as good as a crash, and was mounted again: what that has left
/// behind goes with the next break in the directory.
pub fn sweep(pair: &Pair) -> Result<()> {
    let [x, y] = ["x", "y"].map(|name| pair.dir.join(name));
    fs::write(&x, "x")?;
    fs::hard_link(&x, &y)?;
    set_flags(&x, UNIFIED, UNIFIED)?;
    open(&x, OFlags::WRONLY)?;
    fs::remove_file(&x)?;
    Ok(fs::remove_file(&y)?)
}

/// The name goes back to the inode of the other.
pub fn link_again(pair: &Pair) -> Result<()> {
    fs::remove_file(&pair.a)?;
    Ok(fs::hard_link(&pair.b, &pair.a)?)
}

pub fn never(_: &Pair) -> Result<()> {
    bail!("it is half done")
}

/// A break, but for what is done and how that looks.
const BREAK: Case = Case {
    prepare: |_| Ok(()),
    act: |pair| open(&pair.a, OFlags::RDWR).map(Some),
    done: Pair::broken_alike,
    intact: Pair::intact,
    half: Pair::broken_alike,
    again: link_again,
};

pub const OPEN: Case = BREAK;

pub const CHMOD: Case = Case {
    act: |pair| rfs::chmod(&pair.a, Mode::from_raw_mode(0o640)).map(|()| None),
    done: |pair| {
        let mode = pair.broken()?.mode;
        ensure!(mode & 0o7777 == 0o640, "{mode:o}");
        Ok(())
    },
    // ext4 changes the mode in memory before it can fail to write it, as on any file.
    half: |pair| pair.broken_alike().or_else(|_| (CHMOD.done)(pair)),
    ..BREAK
};

const KEPT: usize = 20_000;

pub const TRUNCATE: Case = Case {
    act: |pair| {
        let path = CString::new(pair.a.to_string_lossy().into_owned());
        let path = path.map_err(|_| Errno::INVAL)?;
        // SAFETY: the path is a C string.
        syscall(unsafe { libc::truncate(path.as_ptr(), KEPT as _) }.into()).map(|_| None)
    },
    done: |pair| {
        let a = pair.broken()?;
        ensure!(a.content == content(KEPT), "other content");
        Ok(())
    },
    // Only what is kept is copied.
    half: |pair| {
        let a = pair.broken()?;
        ensure!([KEPT, SIZE].contains(&a.content.len()), "another size");
        ensure!(a.content == content(a.content.len()), "other content");
        Ok(())
    },
    ..BREAK
};

pub const SETXATTR: Case = Case {
    act: |pair| {
        setxattr(&pair.a, "user.other", b"other", XattrFlags::empty())?;
        Ok(None)
    },
    done: |pair| {
        let a = pair.broken()?;
        ensure!(a.xattrs.contains_key(&b"user.other"[..]), "not set");
        Ok(())
    },
    ..BREAK
};

pub const SET_FLAGS: Case = Case {
    prepare: clear_flags,
    act: |pair| set_flags(&pair.a, UNIFIED, UNIFIED).map(|()| None),
    done: Pair::intact,
    intact: plain,
    half: never,
    again: clear_flags,
};

pub const CLEAR_FLAGS: Case = Case {
    prepare: |_| Ok(()),
    act: |pair| set_flags(&pair.a, 0, UNIFIED).map(|()| None),
    done: plain,
    intact: Pair::intact,
    half: never,
    again: set_both_flags,
};

/// Nobody else has the file: it becomes an ordinary one.
pub const LAST_LINK: Case = Case {
    prepare: |pair| Ok(fs::remove_file(&pair.b)?),
    done: plain,
    intact: |pair| {
        let a = look(&pair.a)?;
        ensure!(a == pair.before, "a was {:?}, is {a:?}", pair.before);
        pair.has_names(&["a"])
    },
    half: plain,
    again: set_both_flags,
    ..BREAK
};

fn set_both_flags(pair: &Pair) -> Result<()> {
    Ok(set_flags(&pair.a, UNIFIED, UNIFIED)?)
}

fn clear_flags(pair: &Pair) -> Result<()> {
    Ok(set_flags(&pair.a, 0, UNIFIED)?)
}

/// All names are those of the same file still, which is an ordinary one: what is left of the
/// attribute means nothing without the flag.
fn plain(pair: &Pair) -> Result<()> {
    for name in pair.names()? {
        let found = look(&pair.dir.join(&name))?;
        ensure!(found.flags & IATTR_IMMUTABLE == 0, "{name}: immutable");
        let want = Look {
            flags: found.flags,
            ..pair.before.clone()
        };
        ensure!(found == want, "{name}: {found:?}");
    }
    Ok(())
}

/// An error without the content of files.
pub fn short(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let mut parts = text.split("content: [");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(']').map_or("", |(_, rest)| rest);
        short += "content: [..";
        short += rest;
    }
    short
}

/// Lets `case` fail at its first point, its second, ... until it has no more. Each time the error is
/// one of `errors` and nothing has happened, or the fault did no harm, as not all do.
pub fn at_every_point(
    ground: &Ground,
    point: &Point<'_>,
    case: &Case,
    errors: &[Errno],
    before_each: impl Fn() -> Result<()>,
) -> Result<()> {
    let pair = ground.pair("case", rich)?;
    (case.prepare)(&pair)?;
    let account = ground.account()?;
    let fault = Fault::new(point)?;
    let mut harmless = 0;

    for nth in 1.. {
        before_each()?;
        let (got, struck) = fault.strike(nth, || (case.act)(&pair))?;
        let got = got.map(drop);
        let healed = ground.heal().and_then(|healed| {
            if healed {
                sweep(&pair)?;
            }
            Ok(healed)
        });
        let checked = healed.and_then(|healed| match got {
            // What the file system had not written when it gave up may be lost, but not half of it.
            Ok(()) if healed => (case.done)(&pair)
                .and_then(|()| (case.again)(&pair))
                .or_else(|_| case.failed(&pair)),
            Ok(()) => {
                harmless += u32::from(struck);
                (case.done)(&pair)?;
                (case.again)(&pair)
            }
            Err(e) if struck && errors.contains(&e) => case.failed(&pair),
            Err(e) => bail!("{e:?}"),
        });
        checked.map_err(|e| anyhow!("fault {nth}: {got:?}: {}", short(&e)))?;
        if !struck {
            println!("# {} faults, {harmless} of them did no harm", nth - 1);
            ensure!(harmless + 1 < nth, "nothing failed");
            // One copy may be there at the end that was not before: none of them is left.
            return ground.nothing_leaked(&account, SIZE as u64);
        }
    }
    bail!("no end of it")
}
