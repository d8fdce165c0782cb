// SPDX-License-Identifier: GPL-2.0
//! fanotify, of groups that are told afterwards.

use super::changes::{LEAVE, MODIFY, compare};
use crate::calls::{c_path, new_fd};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::io::{Errno, read};
use std::collections::BTreeMap;
use std::path::Path;

/// A new group of the given class and options.
pub fn group(options: u32) -> Result<OwnedFd> {
    group_with(options, libc::O_RDONLY)
}

/// The same that gets files opened so.
pub fn group_with(options: u32, open: i32) -> Result<OwnedFd> {
    let options = options | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    // SAFETY: this touches no memory.
    let fd = unsafe { libc::fanotify_init(options, open as u32) };
    new_fd(fd.into()).context("fanotify_init")
}

/// Lets a group watch `path`, or what it is on.
pub fn mark(group: &OwnedFd, what: u32, mask: u64, path: &Path) -> Result<()> {
    let path = c_path(path);
    // SAFETY: the path is a C string.
    let ret = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD | what,
            mask,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    };
    syscall(ret.into()).context("fanotify_mark")?;
    Ok(())
}

const CONTENT_EVENTS: u64 = libc::FAN_ACCESS
    | libc::FAN_MODIFY
    | libc::FAN_OPEN
    | libc::FAN_CLOSE_WRITE
    | libc::FAN_CLOSE_NOWRITE;

const NAME_EVENTS: u64 = libc::FAN_ATTRIB
    | libc::FAN_CREATE
    | libc::FAN_DELETE
    | libc::FAN_MOVED_FROM
    | libc::FAN_MOVED_TO
    | libc::FAN_ONDIR;

/// What has been told of each name; "" is for what has none.
type Told = BTreeMap<String, u64>;

fn told(group: &OwnedFd) -> Result<Told> {
    let mut told = Told::new();
    let mut buffer = vec![0; 16384];
    loop {
        let len = match read(group, &mut buffer[..]) {
            Ok(len) => len,
            Err(Errno::AGAIN) => return Ok(told),
            Err(e) => return Err(e).context("fanotify"),
        };
        let mut rest = buffer.get(..len).unwrap_or_default();
        while !rest.is_empty() {
            let event = Event::parse(rest).context("an event that is cut off")?;
            ensure!(event.mask & libc::FAN_Q_OVERFLOW == 0, "overflow");
            *told.entry(event.name).or_default() |= event.mask;
            rest = rest.get(event.len..).unwrap_or_default();
        }
    }
}

/// struct fanotify_event_metadata and the name that may follow it.
struct Event {
    len: usize,
    mask: u64,
    name: String,
}

impl Event {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let len = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let head = usize::from(u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?));
        let mask = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
        let fd = i32::from_ne_bytes(bytes.get(16..20)?.try_into().ok()?);
        let name = Self::name(bytes.get(head..len)?).unwrap_or_default();
        if fd >= 0 {
            // SAFETY: it came with the event, and nobody else has it.
            unsafe { libc::close(fd) };
        }
        Some(Self { len, mask, name })
    }

    /// The name in struct fanotify_event_info_fid: behind its head, the file system's id and the
    /// handle of the directory.
    fn name(info: &[u8]) -> Option<String> {
        const HEAD: usize = 4 + 8;
        if *info.first()? != libc::FAN_EVENT_INFO_TYPE_DFID_NAME {
            return None;
        }
        let handle = u32::from_ne_bytes(info.get(HEAD..HEAD + 4)?.try_into().ok()?) as usize;
        let name = info.get(HEAD + 8 + handle..)?;
        let end = name.iter().position(|c| *c == 0)?;
        Some(String::from_utf8_lossy(name.get(..end)?).into_owned())
    }
}

fn by_names(what: u32, path: &Path) -> Result<OwnedFd> {
    let group = group(libc::FAN_CLASS_NOTIF | libc::FAN_REPORT_DFID_NAME)?;
    let mask = CONTENT_EVENTS | NAME_EVENTS | libc::FAN_EVENT_ON_CHILD;
    mark(&group, what, mask, path)?;
    Ok(group)
}

pub(super) fn fanotify_of_the_directory() -> Result<()> {
    let watch = |path: &Path| by_names(0, path.parent().context("no parent")?);
    compare("fanotify_dir", MODIFY, watch, told)?;
    compare("fanotify_dir", LEAVE, watch, told)
}

/// This sees all files there are, and so also those without a name.
pub(super) fn fanotify_of_the_file_system() -> Result<()> {
    let watch = |_: &Path| by_names(libc::FAN_MARK_FILESYSTEM, &root());
    compare("fanotify_fs", MODIFY, watch, told)?;
    compare("fanotify_fs", LEAVE, watch, told)
}

pub(super) fn fanotify_of_the_mount() -> Result<()> {
    let watch = |_: &Path| {
        let group = group(libc::FAN_CLASS_NOTIF)?;
        mark(&group, libc::FAN_MARK_MOUNT, CONTENT_EVENTS, &root())?;
        Ok(group)
    };
    compare("fanotify_mount", MODIFY, watch, told)?;
    compare("fanotify_mount", LEAVE, watch, told)
}
