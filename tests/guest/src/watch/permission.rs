// SPDX-License-Identifier: GPL-2.0
//! fanotify, of groups that are asked before.

use super::changes::{MODIFY, file};
use super::fanotify::{group, group_with, mark};
use crate::process::{Status, spawn};
use crate::twin::{Op, Twin};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::{Errno, read, write};
use std::path::Path;

/// A new group that is asked for permission to open, and to read, what is in the directory of `path`.
fn asked(path: &Path) -> Result<OwnedFd> {
    let group = group(libc::FAN_CLASS_CONTENT)?;
    let mask = libc::FAN_OPEN_PERM | libc::FAN_ACCESS_PERM | libc::FAN_EVENT_ON_CHILD;
    mark(&group, 0, mask, path.parent().context("no parent")?)?;
    Ok(group)
}

/// A new group that is asked before content is wanted, to provide it.
fn provides(path: &Path) -> Result<OwnedFd> {
    let group = group(libc::FAN_CLASS_PRE_CONTENT)?;
    let mask = FAN_PRE_ACCESS | libc::FAN_EVENT_ON_CHILD;
    mark(&group, 0, mask, path.parent().context("no parent")?)?;
    Ok(group)
}

pub const FAN_PRE_ACCESS: u64 = 0x10_0000;

/// Whether the file system lets somebody provide content when it is wanted.
pub fn can_be_provided() -> bool {
    !root().ends_with("tmpfs") && !root().ends_with("f2fs")
}

/// Lets another process do `op`, and answers all questions with `answer`. Returns how often it was
/// asked, and what came of it.
fn answering(
    group: OwnedFd,
    answer: u32,
    op: Op,
    path: &Path,
) -> Result<(usize, Result<(), Errno>)> {
    // Its other end is closed when the process has ended.
    let (end, alive) = rustix::pipe::pipe()?;
    let child = spawn(|| {
        // SAFETY: the descriptor is this process's copy, which nobody uses.
        unsafe { libc::close(group.as_raw_fd()) };
        op(path).map_or_else(Errno::raw_os_error, |()| 0)
    })?;
    drop(alive);
    let mut count = 0;
    loop {
        let mut ready = [
            PollFd::new(&group, PollFlags::IN),
            PollFd::new(&end, PollFlags::empty()),
        ];
        poll(&mut ready, None)?;
        if ready[0].revents().contains(PollFlags::IN) {
            count += grant(&group, answer)?;
        } else if !ready[1].revents().is_empty() {
            break;
        }
    }
    match child.wait()? {
        Status::Exited(0) => Ok((count, Ok(()))),
        Status::Exited(errno) => Ok((count, Err(Errno::from_raw_os_error(errno)))),
        status => anyhow::bail!("{status:?}"),
    }
}

/// Answers what is asked now; returns how much that is.
fn grant(group: &OwnedFd, answer: u32) -> Result<usize> {
    let mut buffer = [0; 4096];
    let len = read(group, &mut buffer[..])?;
    let mut rest = buffer.get(..len).unwrap_or_default();
    let mut count = 0;
    while !rest.is_empty() {
        let number = |at: usize| -> Result<i32> {
            let bytes = rest.get(at..at + 4).context("short")?;
            Ok(i32::from_ne_bytes(bytes.try_into()?))
        };
        let (len, fd) = (usize::try_from(number(0)?)?, number(16)?);
        rest = rest.get(len..).context("an event that is cut off")?;
        count += 1;
        let answer = [fd.to_ne_bytes(), answer.to_ne_bytes()].concat();
        write(group, &answer)?;
        // SAFETY: it came with the event, and nobody else has it.
        unsafe { libc::close(fd) };
    }
    Ok(count)
}

/// Does everything to both files of a twin, and compares. Somebody has to be asked.
fn compare(
    name: &str,
    asked: fn(&Path) -> Result<OwnedFd>,
    answer: u32,
    check: fn(&Twin) -> Result<()>,
) -> Result<()> {
    let (mut times, mut denied) = (0, 0);
    for (what, op) in MODIFY {
        let twin = Twin::with(name, file)?;
        let on = |path: &Path| answering(asked(path)?, answer, *op, path);
        let (plain, unified) = (on(&twin.plain())?, on(&twin.pair.a)?);
        ensure!(
            plain == unified,
            "{what}: the unified file {unified:?}, the plain one {plain:?}"
        );
        times += unified.0;
        if unified.1 == Err(Errno::PERM) {
            denied += 1;
            check(&twin).context(*what)?;
        }
        twin.pair.others_unchanged().context(*what)?;
    }
    ensure!(times > 0, "nobody was asked");
    ensure!(
        (denied > 0) == (answer == libc::FAN_DENY),
        "{denied} denied"
    );
    Ok(())
}

/// A scanner that is asked before each open anywhere, and itself modifies the file, must not wait
/// for itself: nobody is asked about the opens that make the copy. chmod() opens nothing.
pub(super) fn permission_not_asked_for() -> Result<()> {
    let pair = Pair::with("not_asked", file)?;
    let scanner = group(libc::FAN_CLASS_CONTENT)?;
    let mask = libc::FAN_OPEN_PERM | libc::FAN_ACCESS_PERM;
    mark(&scanner, libc::FAN_MARK_FILESYSTEM, mask, &root())?;
    let chmod: Op = |a| rfs::chmod(a, Mode::from_raw_mode(0o600));
    let done = answering(scanner, libc::FAN_ALLOW, chmod, &pair.a)?;
    ensure!(done == (0, Ok(())), "{done:?}");
    pair.broken()?;
    Ok(())
}

/// One that would write to what it is asked about, to disinfect it, is asked and can read it.
pub(super) fn permission_asked_for_writing() -> Result<()> {
    let pair = Pair::with("for_writing", file)?;
    for flags in [libc::O_RDWR, libc::O_WRONLY] {
        let scanner = group_with(libc::FAN_CLASS_CONTENT, flags)?;
        mark(&scanner, 0, libc::FAN_OPEN_PERM, &pair.a)?;
        let read: Op = |a| open(a, OFlags::RDONLY).map(drop);
        let done = answering(scanner, libc::FAN_ALLOW, read, &pair.a)?;
        ensure!(done == (1, Ok(())), "{done:?}");
    }
    pair.intact()
}

/// What is not granted leaves the content as it is; O_TRUNC too, which empties a file only then.
pub(super) fn permission_denied() -> Result<()> {
    compare("denied", asked, libc::FAN_DENY, |twin| {
        let a = look(&twin.pair.a)?;
        ensure!(
            a.content == CONTENT && a.mtime == twin.pair.before.mtime,
            "{a:?}"
        );
        twin.pair.has_names(&["a", "b"])
    })
}

/// One is asked as often as for a plain file: not about the copy, nor about reading the original.
pub(super) fn permission_granted() -> Result<()> {
    compare("granted", asked, libc::FAN_ALLOW, |_| Ok(()))
}

/// Who provides content is asked before it is written or cut off, as for a plain file, and not by the
/// copying.
pub(super) fn permission_to_provide_content() -> Result<()> {
    if !can_be_provided() {
        let got = provides(&root().join("provided"));
        let errno = got.err().and_then(|e| e.downcast_ref::<Errno>().copied());
        ensure!(errno == Some(Errno::OPNOTSUPP), "{errno:?}");
        return Ok(());
    }
    compare("provided", provides, libc::FAN_ALLOW, |_| Ok(()))?;
    compare("not_provided", provides, libc::FAN_DENY, |twin| {
        let (plain, a) = (look(&twin.plain())?, look(&twin.pair.a)?);
        ensure!(plain.content == a.content, "{plain:?}\n{a:?}");
        twin.pair.has_names(&["a", "b"])
    })
}

/// A mark on the file itself is one on the shared inode: one is asked about those who read it. The
/// copy is another file, about which nobody asked to be asked.
pub(super) fn permission_of_the_file_itself() -> Result<()> {
    let pair = Pair::with("itself", file)?;
    let watch = || -> Result<OwnedFd> {
        let group = group(libc::FAN_CLASS_CONTENT)?;
        mark(&group, 0, libc::FAN_OPEN_PERM, &pair.a)?;
        Ok(group)
    };
    let read: Op = |a| open(a, OFlags::RDONLY).map(drop);
    let denied = answering(watch()?, libc::FAN_DENY, read, &pair.a)?;
    ensure!(denied == (1, Err(Errno::PERM)), "read: {denied:?}");
    pair.intact()?;
    let open_it: Op = |a| open(a, OFlags::WRONLY).map(drop);
    let opened = answering(watch()?, libc::FAN_DENY, open_it, &pair.a)?;
    ensure!(opened == (0, Ok(())), "write: {opened:?}");
    pair.broken_alike()
}
