// SPDX-License-Identifier: GPL-2.0
//! Truncations that are held up between the look at permission and the inode's lock, while the host
//! makes the file a unified one. They have to look again: what they would empty is not theirs any
//! more. Who holds them up is told of them, so nothing depends on time.

use super::leases::{Hold, Sigio};
use super::shared::place;
use crate::calls::truncate;
use crate::unified::*;
use crate::watch::fanotify::{group, mark};
use crate::watch::permission::{FAN_PRE_ACCESS, can_be_provided};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, read};
use std::time::Duration;

/// Long enough for whatever does happen.
const LONG: Duration = Duration::from_secs(20);

/// Two names of a file that is not unified any more.
fn ordinary(name: &str) -> Result<Pair> {
    place()?;
    let pair = Pair::new(name)?;
    set_flags(&pair.a, 0, UNIFIED)?;
    Ok(pair)
}

/// Starts to `cut` the file, waits until that is `held` by what is returned then, unifies the file,
/// and lets go. It is cut off as was asked for, but of a copy: `kept` bytes are left.
fn unified_meanwhile<H>(
    pair: &Pair,
    kept: usize,
    cut: impl FnOnce() -> Result<(), Errno> + Send,
    held: impl FnOnce() -> Result<H>,
) -> Result<()> {
    let (unified, got) = std::thread::scope(|scope| {
        let cut = scope.spawn(cut);
        let unified = held().and_then(|_holder| {
            set_flags(&pair.a, UNIFIED, UNIFIED).context("set_iattr")?;
            ensure!(!cut.is_finished(), "did not wait");
            Ok(())
        });
        (unified, cut.join())
    });
    unified?;
    let Ok(got) = got else { bail!("panic") };
    pair.others_unchanged()
        .with_context(|| format!("{got:?}"))?;
    got?;
    let a = pair.broken()?;
    ensure!(Some(&a.content[..]) == CONTENT.get(..kept), "{a:?}");
    Ok(())
}

/// An open for reading waits for who has a write lease, and gets write access only then, to
/// truncate: it does not keep the host from unifying the file.
pub fn open_held_by_a_lease() -> Result<()> {
    let pair = ordinary("held_open")?;
    let sigio = Sigio::block();
    let holder = pair.reader()?;
    Hold::Lease(libc::F_WRLCK)
        .take(holder.as_fd())
        .context("lease")?;
    let empty = || open(&pair.a, OFlags::RDONLY | OFlags::TRUNC).map(drop);
    unified_meanwhile(&pair, 0, empty, move || {
        ensure!(sigio.comes(LONG), "not told");
        // The lease ends with it.
        Ok(holder)
    })
}

/// truncate(2) waits for who provides content when it is wanted, and gets write access only then.
pub fn truncate_held_by_a_watcher() -> Result<()> {
    const KEPT: usize = 5;
    if !can_be_provided() {
        return Ok(());
    }
    let pair = ordinary("held_truncate")?;
    let watcher = group(libc::FAN_CLASS_PRE_CONTENT)?;
    mark(&watcher, 0, FAN_PRE_ACCESS, &pair.a)?;
    let cut = || truncate(&pair.a, KEPT as i64);
    unified_meanwhile(&pair, KEPT, cut, move || {
        asked(&watcher)?;
        // Without a watcher, what he was asked for is granted.
        Ok(watcher)
    })
}

/// Waits until a group is asked for something.
fn asked(group: &OwnedFd) -> Result<()> {
    let limit = Timespec::try_from(LONG)?;
    let mut ready = [PollFd::new(group, PollFlags::IN)];
    ensure!(poll(&mut ready, Some(&limit))? == 1, "not asked");
    let mut event = [0; 4096];
    let len = read(group, &mut event[..])?;
    let fd = event.get(16..20).filter(|_| len >= 20).context("short")?;
    // SAFETY: it came with the event, and nobody else has it.
    drop(unsafe { OwnedFd::from_raw_fd(i32::from_ne_bytes(fd.try_into()?)) });
    Ok(())
}
