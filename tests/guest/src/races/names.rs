// SPDX-License-Identifier: GPL-2.0
//! Breaks against what else happens to the name: whoever modifies the file gets it or finds the
//! name gone. A name that has gone never comes back, and the file that another one leads to now is
//! modified only if it was meant.

use super::race::{Order, Race, race, race_until};
use super::shared::{DONE_OR_GONE, How, Shared};
use super::worker::Worker;
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{self as rfs, CWD, RenameFlags};
use rustix::io::Errno;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use vserver_abi as abi;

const XID: u32 = 320;

/// What has to come about where another file gets the name.
const BEFORE_OR_AFTER: &[&str] = &["before", "after"];

/// One round: somebody modifies `a` while `other` happens, which succeeds.
fn round(
    race: &mut Race,
    shared: &Shared,
    how: How,
    other: impl FnOnce() -> std::io::Result<()> + Send,
) -> Result<Result<u64, Errno>> {
    let (got, done) = race.pair(|| how.run(&shared.a), other)?;
    done.with_context(|| format!("beside {how:?}: {got:?}"))?;
    ensure!(got != Ok(shared.before.ino), "{how:?}: the shared inode");
    race.count_result(got);
    Ok(got)
}

/// Nothing but the name's absence is a reason to fail.
fn only_gone(how: How, got: Result<u64, Errno>) -> Result<()> {
    match got {
        Err(e) if !how.gone(e) => bail!("{how:?}: {e:?}"),
        _ => Ok(()),
    }
}

pub fn unlink() -> Result<()> {
    let shared = Shared::new("unlink")?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &shared, how, || fs::remove_file(&shared.a))?;
        only_gone(how, got)?;
        shared.settled(&["in"])
    })
}

/// With no other name the flags are taken off in place.
pub fn unlink_the_last() -> Result<()> {
    race_until(DONE_OR_GONE, |race| {
        let shared = Shared::new("unlink_last")?;
        fs::remove_file(&shared.b)?;
        let how = race.pick(How::ALL)?;
        let (got, done) = race.pair(|| how.run(&shared.a), || fs::remove_file(&shared.a))?;
        done?;
        only_gone(how, got)?;
        race.count_result(got);
        let left: Vec<_> = fs::read_dir(&shared.inner)?.collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

/// With the directory.
pub fn remove_directory() -> Result<()> {
    let shared = Shared::new("rmdir")?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &shared, how, || {
            fs::remove_file(&shared.a)?;
            fs::remove_dir(&shared.inner)
        })?;
        only_gone(how, got)?;
        shared.settled(&[])
    })
}

/// The name within its directory, or into another.
pub fn rename_away() -> Result<()> {
    let shared = Shared::new("rename_away")?;
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let name = race.pick(&["in/c", "c"])?;
        let c = shared.guest.join(name);
        let got = round(race, &shared, how, || fs::rename(&shared.a, &c))?;
        only_gone(how, got)?;
        // Who has the file open goes with the name.
        ensure!(got != Err(Errno::STALE), "{how:?}");
        shared.consistent(&c, how, got)?;
        shared.settled(&["in", name])
    })
}

/// Another file takes the name.
pub fn rename_over() -> Result<()> {
    let shared = Shared::new("rename_over")?;
    let plain = shared.inner.join("plain");
    race_until(BEFORE_OR_AFTER, |race| {
        shared.renew()?;
        fs::write(&plain, b"plain")?;
        let before = look(&plain)?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &shared, how, || fs::rename(&plain, &shared.a))?;
        let after = look(&shared.a)?;
        ensure!(after.ino == before.ino, "{how:?}: the name is back");
        match got {
            // Either that one was modified or the one that has lost the name.
            Ok(ino) => {
                let modified = how.applied(&before, &after);
                let meant = ino == before.ino || (ino == 0 && how != How::Descriptor);
                let other = ino == 0 || ino != before.ino;
                ensure!(
                    (meant && after == modified) || (other && after == before),
                    "{how:?}: {after:?} was {before:?}"
                );
                race.count(if after == before { "before" } else { "after" });
            }
            Err(e) => {
                ensure!(
                    how == How::Descriptor && e == Errno::STALE,
                    "{how:?}: {e:?}"
                );
                ensure!(after == before, "{how:?}: {after:?} was {before:?}");
            }
        }
        shared.settled(&["in", "in/a"])
    })
}

/// With a plain file.
pub fn exchange() -> Result<()> {
    let shared = Shared::new("exchange")?;
    let plain = shared.inner.join("plain");
    race_until(BEFORE_OR_AFTER, |race| {
        shared.renew()?;
        fs::write(&plain, b"plain")?;
        let before = look(&plain)?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &shared, how, || {
            let flags = RenameFlags::EXCHANGE;
            Ok(rfs::renameat_with(CWD, &plain, CWD, &shared.a, flags)?)
        })?;
        got.with_context(|| format!("{how:?}"))?;
        let after = look(&shared.a)?;
        ensure!(after.ino == before.ino, "{how:?}: not exchanged");
        if after == before {
            race.count("before");
            shared.modified(&plain, how)?;
        } else {
            race.count("after");
            ensure!(after == how.applied(&before, &after), "{how:?}: {after:?}");
            shared.untouched(&plain)?;
        }
        shared.settled(&["in", "in/a", "in/plain"])
    })
}

/// With a name of another unified file.
pub fn exchange_unified() -> Result<()> {
    let (one, two) = (Shared::new("exchange_one")?, Shared::new("exchange_two")?);
    let c = one.guest.join("c");
    race_until(BEFORE_OR_AFTER, |race| {
        one.renew()?;
        fs::hard_link(&two.b, &c)?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &one, how, || {
            Ok(rfs::renameat_with(
                CWD,
                &c,
                CWD,
                &one.a,
                RenameFlags::EXCHANGE,
            )?)
        })?;
        ensure!(got != Ok(two.before.ino), "{how:?}: the other shared inode");
        // Either was it, but a descriptor can't be looked up again when its file has moved away.
        if one.untouched(&c).is_err() {
            race.count("before");
            one.modified(&c, how)?;
            two.untouched(&one.a)?;
        } else if let Err(e) = got {
            ensure!(
                how == How::Descriptor && e == Errno::STALE,
                "{how:?}: {e:?}"
            );
            two.untouched(&one.a)?;
        } else {
            race.count("after");
            two.modified(&one.a, how)?;
        }
        two.other_unchanged()?;
        one.settled(&["c", "in", "in/a"])
    })
}

/// Onto another name of the same file, which leaves one of them.
pub fn rename_between_two_names() -> Result<()> {
    let shared = Shared::new("between")?;
    let c = shared.inner.join("c");
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        fs::hard_link(&shared.b, &c)?;
        let how = race.pick(How::ALL)?;
        // `a` goes, or is what the other one becomes.
        let away = race.order() == Order::After || race.below(2) == 0;
        let (from, to) = if away {
            (&shared.a, &c)
        } else {
            (&c, &shared.a)
        };
        let got = round(race, &shared, how, || fs::rename(from, to))?;
        if away {
            only_gone(how, got)?;
            shared.consistent(&c, how, got)?;
            return shared.settled(&["in", "in/c"]);
        }
        match got {
            Err(e) => ensure!(
                how == How::Descriptor && e == Errno::STALE,
                "{how:?}: {e:?}"
            ),
            Ok(_) => {
                // Broken after it, or replaced when it was broken.
                let kept = shared.modified(&shared.a, how);
                ensure!(
                    kept.is_ok() || shared.untouched(&shared.a).is_ok(),
                    "{kept:?}"
                );
            }
        }
        shared.settled(&["in", "in/a"])
    })
}

/// Parent and grandparent, in place or to elsewhere.
pub fn rename_directories() -> Result<()> {
    let shared = Shared::new("directories")?;
    let elsewhere = shared.dir.join("elsewhere");
    let moves: &[(&Path, &Path)] = &[
        (&shared.inner, &shared.guest.join("out")),
        (&shared.inner, &elsewhere),
        (&shared.guest, &shared.dir.join("host")),
    ];
    race_until(DONE_OR_GONE, |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let (from, to) = race.pick(moves)?;
        let got = round(race, &shared, how, || fs::rename(from, to))?;
        only_gone(how, got)?;
        let now = to.join(shared.a.strip_prefix(from)?);
        shared.consistent(&now, how, got)?;
        fs::rename(to, from)?;
        shared.settled(&["in", "in/a"])
    })
}

/// The host links the unified file, or the copy if that was quicker.
pub fn link() -> Result<()> {
    let shared = Shared::new("link")?;
    let c = shared.guest.join("c");
    race_until(BEFORE_OR_AFTER, |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let got = round(race, &shared, how, || fs::hard_link(&shared.a, &c))?;
        got.with_context(|| format!("{how:?}"))?;
        shared.modified(&shared.a, how)?;
        if look(&c)?.ino == look(&shared.a)?.ino {
            race.count("before");
        } else {
            race.count("after");
            shared.untouched(&c)?;
        }
        shared.settled(&["c", "in", "in/a"])
    })
}

/// 10: while the flags are taken off a last name, the host gives the file another one. Should the
/// file still be unified when it has that, it must stay what it is.
pub fn link_the_last() -> Result<()> {
    race_until(&["unified", "plain"], |race| {
        let shared = Shared::new("link_last")?;
        let c = shared.guest.join("c");
        fs::remove_file(&shared.b)?;
        let how = race.pick(How::ALL)?;
        let (got, linked) = race.pair(
            || how.run(&shared.a),
            || -> Result<bool> {
                let linked = match fs::hard_link(&shared.a, &c) {
                    // As when any file takes a name over: the one that was looked up has none.
                    Err(e) if e.kind() == ErrorKind::NotFound => fs::hard_link(&shared.a, &c),
                    linked => linked,
                };
                linked?;
                Ok(abi::get_iattr(&c)?.flags == UNIFIED)
            },
        )?;
        got.with_context(|| format!("{how:?}"))?;
        if linked? {
            race.count("unified");
            shared.untouched(&c)?;
            return shared.modified(&shared.a, how);
        }
        race.count("plain");
        let (a, c) = (look(&shared.a)?, look(&c)?);
        ensure!(a == c && a.flags == 0, "{how:?}: {:#x}", a.flags);
        ensure!(a == how.applied(&shared.before, &a), "{how:?}");
        Ok(())
    })
}

/// 11: inside a context both names go on being one file, whoever makes the copy.
pub fn link_inside_a_context() -> Result<()> {
    let shared = Shared::new("link_context")?;
    let c = shared.guest.join("c");
    let guest = Worker::new(
        || Ok(abi::ctx_create(XID, 0).map(drop)?),
        || Ok(fs::hard_link(&shared.a, &c)?),
    )?;
    race(|race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let (got, linked) = race.pair(|| how.run(&shared.a), || guest.work())?;
        linked?;
        got.with_context(|| format!("{how:?}"))?;
        shared.modified(&shared.a, how)?;
        ensure!(look(&shared.a)? == look(&c)?, "{how:?}: two files");
        shared.settled(&["c", "in", "in/a"])
    })
}
