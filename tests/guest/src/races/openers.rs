// SPDX-License-Identifier: GPL-2.0
//! Breaks against breaks: one name gets one copy, each name its own.

use super::race::{Order, race, race_until};
use super::shared::{How, Shared};
use crate::process::{Gate, Status, eventually, spawn, state};
use crate::raw::{list_into, unfilled_page};
use crate::unified::*;
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::{Errno, write};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;

/// By the name, or by a descriptor that leads to it and was there before: all write to one inode.
pub fn many_openers() -> Result<()> {
    const OPENERS: usize = 6;
    let shared = Shared::new("openers")?;
    race(|race| {
        shared.renew()?;
        let held = open(&shared.a, OFlags::PATH)?;
        let reader = open(&shared.a, OFlags::RDONLY)?;
        let by_fd = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let inodes = race.many(OPENERS, |i| -> Result<u64, Errno> {
            if i == 0 {
                // Has no descriptor of the copy, so it says what the others do.
                rfs::fchmod(reader.as_fd(), Mode::from_raw_mode(0o640))?;
                return Ok(rfs::stat(&shared.a)?.st_ino);
            }
            let path = if i % 2 == 0 { &by_fd } else { &shared.a };
            let fd = open(path, OFlags::WRONLY | OFlags::APPEND)?;
            write(&fd, b"line\n")?;
            Ok(rfs::fstat(&fd)?.st_ino)
        })?;
        let inodes = inodes.into_iter().collect::<Result<BTreeSet<_>, _>>()?;
        let a = look(&shared.a)?;
        ensure!(inodes == BTreeSet::from([a.ino]), "{inodes:?}");
        ensure!(a.ino != shared.before.ino && a.mode & 0o7777 == 0o640);
        let lines = b"line\n".repeat(OPENERS - 1);
        let (old, new) = a.content.split_at(shared.before.content.len());
        ensure!(old == shared.before.content && new == lines, "the content");
        shared.settled(&["in", "in/a"])
    })
}

/// The other guest's name goes meanwhile, before the copy is there or when it just is: whoever waited
/// goes on with the copy, or all with the file itself.
pub fn openers_and_unlink() -> Result<()> {
    const OPENERS: usize = 5;
    race_until(&["in place", "a copy"], |race| {
        let shared = Shared::new("openers_unlink")?;
        let held = open(&shared.a, OFlags::PATH)?;
        let by_fd = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let at_the_copy = race.order() != Order::After && race.below(2) == 0;
        let done = race.many(OPENERS + 1, |i| -> Result<()> {
            if i == OPENERS {
                while at_the_copy && rfs::stat(&shared.a)?.st_ino == shared.before.ino {
                    std::thread::yield_now();
                }
                return Ok(fs::remove_file(&shared.b)?);
            }
            let path = if i == 0 { &shared.a } else { &by_fd };
            let fd = open(path, OFlags::WRONLY | OFlags::APPEND)?;
            write(&fd, format!("{i}\n").as_bytes())?;
            Ok(())
        })?;
        done.into_iter().collect::<Result<()>>()?;
        let a = look(&shared.a)?;
        let in_place = a.ino == shared.before.ino;
        race.count(if in_place { "in place" } else { "a copy" });
        let (old, new) = a
            .content
            .split_at_checked(shared.before.content.len())
            .context("shorter")?;
        let lines: BTreeSet<_> = new.split_inclusive(|byte| *byte == b'\n').collect();
        ensure!(old == shared.before.content, "the content");
        ensure!(
            lines.len() == OPENERS && new.len() == 2 * OPENERS,
            "records: {}",
            String::from_utf8_lossy(new)
        );
        Ok(())
    })
}

/// Whose break has to wait keeps no other guest's waiting: here for the lock of its directory, which
/// somebody reads all the time.
pub fn breaks_beside_each_other() -> Result<()> {
    let shared = Shared::new("beside")?;
    shared.renew()?;
    let (dir, name) = (shared.dir.join("other"), shared.dir.join("other/c"));
    fs::create_dir(&dir)?;
    fs::hard_link(&shared.b, &name)?;
    let reader = spawn(|| match (fs::File::open(&shared.inner), unfilled_page()) {
        (Ok(dir), Ok(page)) => {
            list_into(&dir, page);
            0
        }
        _ => 1,
    })?;
    eventually("somebody reads the directory", || {
        in_call(reader.id(), libc::SYS_getdents64)
    })?;
    let waiting = spawn(|| i32::from(How::Append.run(&shared.a).is_err()))?;
    eventually("a break waits for the directory", || {
        state(waiting.id()) == Some('D')
    })?;
    let other = std::thread::scope(|scope| {
        let other = scope.spawn(|| How::Append.run(&name));
        let done = eventually("the other break is done", || other.is_finished());
        // Both end then.
        reader.kill(Signal::KILL)?;
        done.map(|()| other.join())
    })?;
    other.map_err(|_| anyhow!("panic"))??;
    ensure!(waiting.wait()? == Status::Exited(0));
    for name in [&shared.a, &name] {
        shared.modified(name, How::Append)?;
    }
    fs::remove_dir_all(&dir)?;
    shared.settled(&["in", "in/a"])
}

/// Whether a process is in a system call.
fn in_call(process: u32, call: libc::c_long) -> bool {
    fs::read_to_string(format!("/proc/{process}/syscall"))
        .is_ok_and(|text| text.starts_with(&format!("{call} ")))
}

/// The copy is the only one, and found by all, though nobody keeps it or its directory in memory.
pub fn openers_and_reclaim() -> Result<()> {
    const OPENERS: usize = 3;
    let shared = Shared::new("reclaim")?;
    race(|race| {
        shared.renew()?;
        let opened = race.many(OPENERS + 1, |i| -> Result<()> {
            if i == OPENERS {
                return Ok(fs::write("/proc/sys/vm/drop_caches", "2")?);
            }
            let fd = open(&shared.a, OFlags::WRONLY | OFlags::APPEND)?;
            write(&fd, b"line\n")?;
            Ok(())
        })?;
        opened.into_iter().collect::<Result<()>>()?;
        let a = look(&shared.a)?;
        let content = [&*shared.before.content, &*b"line\n".repeat(OPENERS)].concat();
        ensure!(a.content == content, "{} bytes", a.content.len());
        shared.settled(&["in", "in/a"])
    })
}

/// Every name at once, in one directory: the copies are not in each other's way.
pub fn many_names() -> Result<()> {
    const NAMES: usize = 5;
    let shared = Shared::new("names")?;
    let paths: Vec<_> = (0..NAMES)
        .map(|i| shared.inner.join(i.to_string()))
        .collect();
    race(|race| {
        shared.renew()?;
        for path in &paths {
            fs::hard_link(&shared.b, path)?;
        }
        let ways: Vec<_> = (0..NAMES)
            .map(|_| race.pick(How::ALL))
            .collect::<Result<_>>()?;
        let each = |i: usize| {
            paths
                .get(i)
                .zip(ways.get(i))
                .map(|(path, how)| how.run(path))
        };
        for got in race.many(NAMES, each)? {
            got.context("a path")??;
        }
        for (path, how) in paths.iter().zip(ways) {
            shared.modified(path, how)?;
        }
        shared.settled(&["in", "in/0", "in/1", "in/2", "in/3", "in/4", "in/a"])
    })
}

/// Both names of two, by a process each, and no other is left: one may have the file itself, the
/// other then has a copy.
pub fn both_of_two() -> Result<()> {
    race_until(&["in place", "two copies"], |race| {
        let shared = Shared::new("both")?;
        let (one, two) = (race.pick(How::ALL)?, race.pick(How::ALL)?);
        let late = race.moment() / 2;
        let (ready, go) = (Gate::new()?, Gate::new()?);
        let other = || {
            spawn(|| {
                if ready.open().and_then(|()| go.pass()).is_err() {
                    return 255;
                }
                std::thread::sleep(late);
                two.run(&shared.b).map_or_else(|e| e.raw_os_error(), |_| 0)
            })
        };
        let (got, status) = match race.order() {
            Order::Before => {
                go.open()?;
                (one.run(&shared.a), other()?.wait()?)
            }
            Order::After => {
                go.open()?;
                let status = other()?.wait()?;
                (one.run(&shared.a), status)
            }
            Order::Any | Order::Inside => {
                let late = race.moment() / 2;
                let other = other()?;
                ready.pass()?;
                go.open()?;
                std::thread::sleep(late);
                let start = std::time::Instant::now();
                let got = one.run(&shared.a);
                race.took(start.elapsed());
                (got, other.wait()?)
            }
        };
        ensure!(
            got.is_ok() && status == crate::process::Status::Exited(0),
            "{one:?} {got:?}, {two:?} {status:?}"
        );
        let (a, b) = (look(&shared.a)?, look(&shared.b)?);
        let in_place = [a.ino, b.ino].contains(&shared.before.ino);
        race.count(if in_place { "in place" } else { "two copies" });
        ensure!(a.ino != b.ino, "{one:?} and {two:?}: one file");
        ensure!(
            a == one.applied(&shared.before, &a),
            "{one:?}: {:#x}",
            a.flags
        );
        ensure!(
            b == two.applied(&shared.before, &b),
            "{two:?}: {:#x}",
            b.flags
        );
        let names = fs::read_dir(&shared.inner)?.count() + fs::read_dir(&shared.dir)?.count();
        ensure!(names == 3, "{names} names");
        Ok(())
    })
}
