// SPDX-License-Identifier: GPL-2.0
//! inotify

use super::changes::{LEAVE, MODIFY, by_name, compare, unheard, unheard_beside};
use anyhow::{Context as _, Result};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

/// What has happened, and to which name.
type Event = (ReadFlags, Option<String>);

/// Watches a file or directory for everything.
fn watch(path: &Path) -> Result<OwnedFd> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&fd, path, WatchFlags::ALL_EVENTS).context("inotify_add_watch")?;
    Ok(fd)
}

/// What has been seen so far.
fn seen(watch: &OwnedFd) -> Result<Vec<Event>> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(watch, &mut buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name();
                let name = name.map(|name| name.to_string_lossy().into_owned());
                events.push((event.events(), name));
            }
            Err(Errno::AGAIN) => return Ok(events),
            Err(e) => return Err(e).context("inotify"),
        }
    }
}

fn directory(path: &Path) -> Result<OwnedFd> {
    watch(path.parent().context("no parent")?)
}

pub(super) fn inotify_of_the_directory() -> Result<()> {
    compare("inotify_dir", MODIFY, directory, seen)?;
    compare("inotify_dir", LEAVE, directory, seen)
}

/// The watch is on the inode, which is shared: it sees what leaves the inode as it is, but not what
/// gives the name another one.
pub(super) fn inotify_of_the_file() -> Result<()> {
    compare("inotify_file", LEAVE, watch, seen)?;
    unheard("inotify_file", |pair| watch(&pair.a), seen)
}

/// A last link is not copied: both watches see all. But for what is done by a descriptor that is
/// open: it reads the shared content, and so there is a copy.
pub(super) fn inotify_of_a_last_link() -> Result<()> {
    compare(
        "inotify_last",
        &by_name(),
        |path| {
            fs::remove_file(path.with_file_name("b"))?;
            let fd = directory(path)?;
            inotify::add_watch(&fd, path, WatchFlags::ALL_EVENTS)?;
            Ok(fd)
        },
        seen,
    )
}

/// Whoever watches another guest's name hears nothing at all.
pub(super) fn inotify_of_another_name() -> Result<()> {
    let watched = |other: &Path| {
        let fd = watch(other)?;
        inotify::add_watch(&fd, other.join("b"), WatchFlags::ALL_EVENTS)?;
        Ok(fd)
    };
    unheard_beside("inotify_other", watched, seen)
}
