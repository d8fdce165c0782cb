// SPDX-License-Identifier: GPL-2.0
//! Breaks and writers against whoever makes the file unified or an ordinary one.

use super::race::race_until;
use super::shared::{How, PAST, Shared, differ};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::OFlags;
use rustix::io::{Errno, pwrite};
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// A file that is unified and ordinary by turns is either broken or, while it is ordinary, one
/// file under both names; a copy is made of a file that stands still.
pub fn ununify() -> Result<()> {
    let shared = Shared::new("ununify")?;
    race_until(&["copy", "both"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let (got, seen) = race.around(
            || how.run(&shared.a),
            || Ok(set_flags(&shared.b, 0, UNIFIED)?),
            |()| {
                unify(&shared.b)?;
                look(&shared.b)
            },
        )?;
        let (a, b) = (look(&shared.a)?, look(&shared.b)?);
        ensure!(b == seen, "{how:?}: it changed while it was unified");
        match got {
            Err(e) => {
                let expected = match how {
                    How::Append | How::Empty => raced_again(e),
                    _ => just_unified(e),
                };
                ensure!(expected, "{how:?}: {e}");
                ensure!(a == b && b == shared.before, "{how:?}: {e}");
                race.count_result(got);
            }
            Ok(_) if a.ino != b.ino => {
                ensure!(b == shared.before, "{how:?}: b was modified");
                shared.modified(&shared.a, how)?;
                race.count("copy");
            }
            Ok(_) => {
                let done = Look {
                    flags: UNIFIED,
                    ..how.applied(&shared.before, &b)
                };
                ensure!(a == b && b == done, "{how:?}: neither copied nor done");
                race.count("both");
            }
        }
        ensure!(fs::read_dir(&shared.inner)?.count() == 1, "debris");
        restore(&shared, how)
    })
}

/// Whether somebody who modifies without opening came between: when the kernel had found the file
/// ordinary it was made unified, or nobody may begin to write as that is being done.
pub fn just_unified(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::TXTBSY)
}

/// Whether an open for writing was overtaken twice: the kernel tries it again once.
pub fn raced_again(errno: Errno) -> bool {
    errno == Errno::STALE
}

/// Makes it unified, as soon as nobody writes.
fn unify(path: &Path) -> Result<()> {
    loop {
        match set_flags(path, UNIFIED, UNIFIED) {
            Err(Errno::TXTBSY) => std::thread::yield_now(),
            set => return Ok(set?),
        }
    }
}

/// What was done to both names is undone.
fn restore(shared: &Shared, how: How) -> Result<()> {
    let b = look(&shared.b)?;
    if b == shared.before {
        return Ok(());
    }
    set_flags(&shared.b, 0, UNIFIED)?;
    fs::write(&shared.b, &shared.before.content)?;
    let mode = rustix::fs::Mode::from_raw_mode(shared.before.mode & 0o7777);
    rustix::fs::chmod(&shared.b, mode)?;
    if how == How::Attribute {
        rustix::fs::removexattr(&shared.b, "user.new")?;
    }
    set_times(&shared.b, PAST)?;
    unify(&shared.b)?;
    shared.other_unchanged()
}

/// One makes copies by one name, one rewrites the file by another whenever it is ordinary: no copy
/// has something of both.
pub fn no_torn_copy() -> Result<()> {
    let shared = Shared::new("torn")?;
    let size = shared.before.content.len();
    let uniform = |content: &[u8]| content.windows(2).all(|two| two.first() == two.last());
    let rewrite = |letter| -> Result<()> {
        set_flags(&shared.b, 0, UNIFIED)?;
        let fd = open(&shared.b, OFlags::WRONLY)?;
        pwrite(&fd, &vec![letter; size], 0)?;
        Ok(())
    };
    race_until(&["copy", "one file"], |race| {
        shared.renew()?;
        set_flags(&shared.b, 0, UNIFIED)?;
        fs::write(&shared.b, vec![b'a'; size])?;
        unify(&shared.b)?;
        let (got, ()) = race.around(
            || How::Mode.run(&shared.a),
            || {
                rewrite(b'b')?;
                unify(&shared.b)?;
                rewrite(b'c')
            },
            |()| unify(&shared.b),
        )?;
        ensure!(got.err().is_none_or(just_unified), "{got:?}");
        let (a, b) = (look(&shared.a)?, look(&shared.b)?);
        ensure!(
            uniform(&a.content) && a.content.len() == size,
            "a torn copy"
        );
        ensure!(b.content == vec![b'c'; size], "the writing by b is lost");
        race.count(if a.ino == b.ino { "one file" } else { "copy" });
        ensure!(fs::read_dir(&shared.inner)?.count() == 1, "debris");
        Ok(())
    })
}

/// A file of one name that is modified and gives its name to an equal one: the modification is
/// found by the name, whoever was first.
pub fn unify_at_once() -> Result<()> {
    let shared = Shared::new("unify")?;
    race_until(&["unified", "left alone"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        fs::remove_file(&shared.a)?;
        fs::write(&shared.a, &shared.before.content)?;
        set_times(&shared.a, PAST)?;
        let mode = rustix::fs::Mode::from_raw_mode(shared.before.mode & 0o7777);
        rustix::fs::chmod(&shared.a, mode)?;
        set_flags(&shared.a, UNIFIED, UNIFIED)?;
        let own = look(&shared.a)?.ino;
        let (old, new) = (
            open(&shared.a, OFlags::RDONLY)?,
            open(&shared.b, OFlags::RDONLY)?,
        );
        let (got, unified) = race.pair(
            || how.run(&shared.a),
            // Nobody has it open then: a waiter could take it for a private one.
            || {
                let unified = abi::unify(&old, &new);
                drop((old, new));
                unified
            },
        )?;
        got.with_context(|| format!("{how:?}"))?;
        ensure!(matches!(unified, Ok(()) | Err(Errno::STALE)), "{unified:?}");
        let now = look(&shared.a)?;
        let wanted = how.applied(&shared.before, &now);
        ensure!(now == wanted, "{how:?}: {}", differ(&now, &wanted));
        if unified.is_ok() {
            race.count("unified");
        } else {
            race.count("left alone");
            race.count(if now.ino == own { "in place" } else { "copied" });
        }
        shared.settled(&["in", "in/a"])
    })
}
