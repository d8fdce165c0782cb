// SPDX-License-Identifier: GPL-2.0
//! The commands that make and break a link: the name goes to the other file in one step, or nothing
//! happens.

use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, IFlags, OFlags, inotify};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use std::fs;
use std::path::PathBuf;
use vserver_abi as abi;

/// A unified file `a`, `b` and an equal one, `c`, that has one name.
struct Equal {
    pair: Pair,
    c: PathBuf,
}

impl Equal {
    fn new(name: &str) -> Result<Self> {
        let pair = Pair::new(name)?;
        let c = pair.dir.join("c");
        fs::write(&c, CONTENT)?;
        set_times(
            &c,
            rfs::Timespec {
                tv_sec: 1_000_000_000,
                tv_nsec: 123_456_789,
            },
        )?;
        set_flags(&c, UNIFIED, UNIFIED)?;
        Ok(Self { pair, c })
    }

    fn fds(&self) -> Result<(OwnedFd, OwnedFd)> {
        Ok((open(&self.c, OFlags::RDONLY)?, self.pair.reader()?))
    }

    /// The call fails with `errno`, and each name leads where it did.
    fn refused(&self, what: &str, errno: Errno) -> Result<()> {
        let (before, (c, a)) = (look(&self.c)?, self.fds()?);
        self.refused_with(what, abi::unify(c, a), errno)?;
        ensure!(look(&self.c)? == before, "{what}: the file has changed");
        Ok(())
    }

    fn refused_with(&self, what: &str, got: Result<(), Errno>, errno: Errno) -> Result<()> {
        refused(what, got, errno)?;
        self.pair.others_unchanged().context(what.to_owned())?;
        let debris = self.pair.names()?.iter().any(|name| name.starts_with('.'));
        ensure!(!debris, "{what}: {:?}", self.pair.names()?);
        Ok(())
    }
}

pub(super) fn unify_gives_the_name() -> Result<()> {
    let equal = Equal::new("unify")?;
    let (c, a) = equal.fds()?;
    let watcher = inotify::init(inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &watcher,
        &equal.pair.dir,
        inotify::WatchFlags::ALL_EVENTS ^ inotify::WatchFlags::CLOSE_NOWRITE,
    )?;
    abi::unify(&c, &a)?;
    let mut events = [0u8; 256];
    refused(
        "events",
        rustix::io::read(&watcher, &mut events),
        Errno::AGAIN,
    )?;
    ensure!(look(&equal.c)? == equal.pair.before, "not the same file");
    ensure!(rfs::fstat(&a)?.st_nlink == 3 && rfs::fstat(&c)?.st_nlink == 0);
    equal.pair.has_names(&["a", "b", "c"])?;
    // It is a link like the others.
    fs::write(&equal.c, b"private")?;
    equal.pair.others_unchanged()?;
    equal.pair.has_names(&["a", "b", "c"])?;
    ensure!(fs::read(&equal.c)? == b"private" && rfs::fstat(&a)?.st_nlink == 2);
    Ok(())
}

/// What is open is a file, wherever its name has gone.
pub(super) fn unify_follows_the_name() -> Result<()> {
    let equal = Equal::new("unify_moved")?;
    let (c, a) = equal.fds()?;
    let sub = equal.pair.dir.join("sub");
    fs::create_dir(&sub)?;
    fs::rename(&equal.c, sub.join("d"))?;
    fs::write(&equal.c, b"new here")?;
    let done = abi::unify(&c, &a).map_err(Into::into).and_then(|()| {
        ensure!(look(&sub.join("d"))? == equal.pair.before);
        ensure!(fs::read(&equal.c)? == b"new here");
        equal.pair.others_unchanged()
    });
    fs::remove_dir_all(&sub)?;
    done
}

pub(super) fn unify_needs_two_that_stand_still() -> Result<()> {
    let equal = Equal::new("unify_still")?;
    set_flags(&equal.c, 0, UNIFIED)?;
    equal.refused("an ordinary file", Errno::STALE)?;
    set_flags(&equal.c, UNIFIED, UNIFIED)?;
    let ordinary = equal.pair.dir.join("ordinary");
    fs::write(&ordinary, CONTENT)?;
    for flags in [0, abi::IATTR_IMMUTABLE] {
        set_flags(&ordinary, flags, UNIFIED)?;
        let (c, _) = equal.fds()?;
        let got = abi::unify(c, open(&ordinary, OFlags::RDONLY)?);
        equal.refused_with("for an ordinary one", got, Errno::NOENT)?;
        ensure!(fs::read(&equal.c)? == CONTENT);
    }
    set_flags(&ordinary, 0, UNIFIED)?;
    fs::remove_file(&ordinary)?;

    let (c, a) = equal.fds()?;
    let got = abi::unify(&a, equal.pair.reader()?);
    equal.refused_with("with itself", got, Errno::INVAL)?;
    let b = open(&equal.pair.b, OFlags::RDONLY)?;
    equal.refused_with("with its other name", abi::unify(&a, b), Errno::INVAL)?;
    let null = open("/dev/null".as_ref(), OFlags::RDONLY)?;
    equal.refused_with("elsewhere", abi::unify(&c, null), Errno::XDEV)?;
    let path = open(&equal.pair.a, OFlags::PATH)?;
    equal.refused_with("O_PATH", abi::unify(&c, &path), Errno::BADF)?;
    equal.refused_with("O_PATH", abi::unify(&path, &c), Errno::BADF)?;
    drop(path);
    // The other one has no name left.
    let gone = equal.pair.dir.join("gone");
    fs::copy(&equal.c, &gone)?;
    set_flags(&gone, UNIFIED, UNIFIED)?;
    let nameless = open(&gone, OFlags::RDONLY)?;
    fs::remove_file(&gone)?;
    equal.refused_with("nameless", abi::unify(&c, nameless), Errno::NOENT)?;
    // Another file has the name.
    fs::write(equal.pair.dir.join("new"), b"new")?;
    fs::rename(equal.pair.dir.join("new"), &equal.c)?;
    equal.refused_with("a name that has gone", abi::unify(&c, &a), Errno::STALE)?;
    ensure!(fs::read(&equal.c)? == b"new");
    Ok(())
}

pub(super) fn unify_in_vain() -> Result<()> {
    let equal = Equal::new("unify_in_vain")?;
    let dir = open(&equal.pair.dir, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    for flag in [IFlags::APPEND, IFlags::IMMUTABLE] {
        rfs::ioctl_setflags(&dir, flags | flag)?;
        let refused = equal.refused("a fixed directory", Errno::PERM);
        rfs::ioctl_setflags(&dir, flags)?;
        refused?;
    }
    isolated(|| {
        new_mounts()?;
        mount_bind(&equal.pair.b, &equal.c)?;
        equal.refused("the mounted file", Errno::INVAL)
    })?;
    // The name that is mounted on, by a descriptor from before.
    let before = equal.fds()?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&equal.pair.b, &equal.c)?;
        let got = abi::unify(&before.0, &before.1);
        equal.refused_with("a mount point", got, Errno::BUSY)
    })?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&equal.pair.dir, &equal.pair.dir)?;
        mount_remount(&equal.pair.dir, MountFlags::BIND | MountFlags::RDONLY, "")?;
        equal.refused("read-only", Errno::ROFS)
    })?;
    let (c, a) = equal.fds()?;
    isolated(|| {
        become_user()?;
        refused("a user", abi::unify(&c, &a), Errno::PERM)
    })?;
    abi::unify(c, a)?;
    equal.pair.has_names(&["a", "b", "c"])
}

/// Who had the file open when it gave its name away means what has the name now.
pub(super) fn unify_and_old_descriptors() -> Result<()> {
    let equal = Equal::new("unify_descriptors")?;
    let (c, a) = equal.fds()?;
    let path = open(&equal.c, OFlags::PATH)?;
    abi::unify(&c, &a)?;
    rfs::fchmod(&c, rfs::Mode::from_raw_mode(0o600))?;
    let now = look(&equal.c)?;
    ensure!(now.mode & 0o7777 == 0o600 && now.ino != equal.pair.before.ino);
    equal.pair.others_unchanged()?;
    // Nor is it made ordinary as the last name of a file that has none.
    drop(c);
    let again = format!("/proc/self/fd/{}", path.as_raw_fd());
    let fd = open(again.as_ref(), OFlags::WRONLY | OFlags::APPEND)?;
    rustix::io::write(&fd, b"more")?;
    ensure!(fs::read(&equal.c)? == [CONTENT, b"more"].concat());
    equal.pair.others_unchanged()
}

/// As the first modification would, but nothing is modified.
pub(super) fn deunify() -> Result<()> {
    let pair = Pair::new("deunify")?;
    let fd = pair.reader()?;
    abi::deunify(&fd)?;
    pair.broken_alike()?;
    let done = look(&pair.a)?;
    abi::deunify(&fd).context("again")?;
    abi::deunify(pair.reader()?).context("an ordinary file")?;
    ensure!(look(&pair.a)? == done);
    fs::remove_file(&pair.a)?;
    drop(fd);
    let b = open(&pair.b, OFlags::RDONLY)?;
    isolated(|| {
        become_user()?;
        refused("a user", abi::deunify(&b), Errno::PERM)
    })?;
    abi::deunify(&b).context("the last name")?;
    let want = Look {
        flags: 0,
        ..pair.before.clone()
    };
    ensure!(look(&pair.b)? == want, "in place");
    // Who else has it open may have had it when it was shared.
    set_flags(&pair.b, UNIFIED, UNIFIED)?;
    let _other = open(&pair.b, OFlags::RDONLY)?;
    abi::deunify(&b).context("the last name")?;
    let now = look(&pair.b)?;
    ensure!(
        now.ino != want.ino
            && now
                == Look {
                    ino: now.ino,
                    ..want
                }
    );
    pair.has_names(&["b"])
}
