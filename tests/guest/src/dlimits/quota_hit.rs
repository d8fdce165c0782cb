// SPDX-License-Identifier: GPL-2.0
//! What becomes of users and groups in a context who reach a limit of theirs.

use super::quota::{
    FULL_GROUP, GROUP, GROUPS, INODES_TIME, LIMIT, LIMITS, Quota, USERS, get, inodes,
    owners_equal_a_scan, set, space, turn, with_quota,
};
use super::{OTHER, OWN, limit_space, on};
use crate::harness::Test;
use crate::process::{Status, spawn};
use crate::tags::{inside, mount_with};
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

pub(super) const TESTS: &[Test] = tests![
    space_of_a_user,
    inodes_of_a_user,
    for_a_time,
    group_that_is_full,
    given_to_who_is_full,
    given_in_vain,
    many_at_a_limit,
    long_links,
    break_of_a_link,
    last_name,
    root_is_not_refused,
    only_if_it_is_on,
];

/// Writes until it is refused.
fn fill(path: &Path) -> Result<()> {
    let file = open(path, OFlags::WRONLY | OFlags::CREATE)?;
    let mut sum = 0;
    loop {
        match rustix::io::write(&file, &[1; 16 << 10]) {
            Ok(n) => sum += n as u64,
            done => return expect(done, Errno::DQUOT),
        }
        ensure!(sum <= LIMIT << 11, "{sum} bytes and no end");
    }
}

/// What is still free of a limit when xfs reserves for the worst case, or btrfs takes a large folio.
const LEFT: u64 = 256 << 10;

pub(super) fn is_full(dir: &Path, owner: (i32, u32)) -> Result<()> {
    let (bytes, _) = owners_equal_a_scan(dir)?[&owner];
    ensure!(
        bytes <= LIMIT << 10 && bytes > (LIMIT << 10) - LEFT,
        "{bytes} bytes"
    );
    Ok(())
}

fn space_of_a_user() -> Result<()> {
    let dir = with_quota("space")?;
    inside(OWN, || {
        set(&dir, USERS, USER, space(LIMIT))?;
        turn(&dir, USERS, true)?;
        become_user()?;
        fill(&dir.join("file"))
    })?;
    is_full(&dir, (USERS, USER))?;
    // Others have room, who have the same id elsewhere too.
    let more = |file: &str| fs::write(dir.join(file), vec![1; 2 << 20]);
    inside(OWN, || Ok(more("of-root")?))?;
    inside(OTHER, || {
        become_user()?;
        Ok(more("of-other")?)
    })?;
    // What is freed can be used again, and what is there be written to.
    inside(OWN, || {
        become_user()?;
        let file = open(&dir.join("file"), OFlags::WRONLY)?;
        ensure!(rustix::io::write(&file, &[2; 4096])? == 4096, "in place");
        fs::remove_file(dir.join("file"))?;
        drop(file);
        fill(&dir.join("again"))
    })?;
    is_full(&dir, (USERS, USER))?;
    // A limit of the context is another error.
    inside(OWN, || Ok(fs::remove_file(dir.join("of-root"))?))?;
    limit_space(&dir, OWN, LIMIT / 2)?;
    inside(OWN, || {
        set(&dir, USERS, USER, space(0))?;
        become_user()?;
        let new = open(&dir.join("new"), OFlags::WRONLY | OFlags::CREATE);
        let written = new.and_then(|file| rustix::io::write(&file, &[1; 64 << 10]));
        refused("write", written, Errno::NOSPC)
    })
}

fn inodes_of_a_user() -> Result<()> {
    let dir = with_quota("inodes")?;
    inside(OWN, || {
        set(&dir, USERS, USER, inodes(10))?;
        turn(&dir, USERS, true)?;
        become_user()?;
        for i in 0..10 {
            fs::create_dir(dir.join(i.to_string()))?;
        }
        let mode = rfs::Mode::from_raw_mode(0o755);
        refused("mkdir", rfs::mkdir(dir.join("x"), mode), Errno::DQUOT)?;
        let flags = OFlags::WRONLY | OFlags::CREATE;
        refused("a file", open(&dir.join("x"), flags), Errno::DQUOT)?;
        let link = rfs::symlink("x", dir.join("x"));
        refused("a link", link, Errno::DQUOT)?;
        fs::remove_dir(dir.join("0"))?;
        // xfs frees an inode a little later.
        rfs::syncfs(open(&dir, OFlags::RDONLY)?)?;
        Ok(fs::write(dir.join("x"), "")?)
    })?;
    ensure!(owners_equal_a_scan(&dir)?[&(USERS, USER)].1 == 10);
    Ok(())
}

/// Above a soft limit there is a time, after which it is a hard one.
fn for_a_time() -> Result<()> {
    let dir = with_quota("time")?;
    let soft = Quota {
        inodes_soft: 5,
        valid: LIMITS,
        ..Quota::default()
    };
    let over = |time: u64| Quota {
        inodes_time: time,
        valid: INODES_TIME,
        ..Quota::default()
    };
    let time = || Ok::<_, Errno>(get(&dir, USERS, USER)?.inodes_time);
    let add = |name: &str| fs::write(dir.join(name), "").map_err(|e| e.raw_os_error());
    let make = |names: &[&str]| -> Result<()> {
        let made = |name: &str| add(name).map_err(|e| anyhow::anyhow!("{name}: {e:?}"));
        inside_as_user(&|| names.iter().try_for_each(|name| made(name)))
    };
    inside(OWN, || {
        set(&dir, USERS, USER, soft)?;
        Ok(turn(&dir, USERS, true)?)
    })?;
    make(&["1", "2", "3", "4", "5"])?;
    inside(OWN, || {
        ensure!(time()? == 0);
        Ok(())
    })?;
    make(&["6", "7"])?;
    inside(OWN, || {
        ensure!(time()? > 1, "{}", time()?);
        // It is over.
        set(&dir, USERS, USER, over(1))?;
        ensure!(time()? == 1);
        Ok(())
    })?;
    inside_as_user(&|| {
        let got = add("8");
        ensure!(got == Err(Some(libc::EDQUOT)), "{got:?}");
        for name in ["1", "2", "3"] {
            fs::remove_file(dir.join(name))?;
        }
        Ok(rfs::syncfs(open(&dir, OFlags::RDONLY)?)?)
    })?;
    inside(OWN, || {
        ensure!(time()? == 0, "below the limit");
        Ok(())
    })?;
    // And begins anew.
    make(&["8", "9"])?;
    inside(OWN, || {
        ensure!(time()? > 1);
        Ok(())
    })
}

fn inside_as_user(body: &dyn Fn() -> Result<()>) -> Result<()> {
    inside(OWN, || {
        become_user()?;
        body()
    })
}

/// Becomes [`USER`], who is in groups.
fn become_member(groups: &[u32]) -> Result<()> {
    // SAFETY: the list has the length that is said; the process has one thread.
    let done = unsafe {
        libc::setgroups(groups.len(), groups.as_ptr()) == 0
            && libc::setgid(groups[0]) == 0
            && libc::setuid(USER) == 0
    };
    ensure!(done, "setuid");
    Ok(())
}

fn group_that_is_full() -> Result<()> {
    let dir = with_quota("group")?;
    inside(OWN, || {
        set(&dir, GROUPS, GROUP, space(LIMIT))?;
        turn(&dir, GROUPS, true)?;
        become_member(&[GROUP])?;
        fill(&dir.join("file"))
    })?;
    is_full(&dir, (GROUPS, GROUP))?;
    // The user has room in another.
    inside(OWN, || {
        become_member(&[FULL_GROUP])?;
        Ok(fs::write(dir.join("more"), vec![1; 2 << 20])?)
    })
}

/// A user can give his files to a group of his.
fn given_to_who_is_full() -> Result<()> {
    let dir = with_quota("given")?;
    inside(OWN, || {
        set(&dir, GROUPS, FULL_GROUP, inodes(1))?;
        turn(&dir, GROUPS, true)?;
        become_member(&[GROUP, FULL_GROUP])?;
        let give = |name: &str| {
            fs::write(dir.join(name), "x")?;
            let group = rfs::Gid::from_raw(FULL_GROUP);
            Ok::<_, std::io::Error>(rfs::chown(dir.join(name), None, Some(group)))
        };
        give("first")??;
        refused("chgrp", give("second")?, Errno::DQUOT)
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(GROUPS, FULL_GROUP)].1 == 1 && sums[&(GROUPS, GROUP)].1 == 1);
    // Who may not do it does not learn that they are full.
    inside(OWN, || {
        become_member(&[GROUP])?;
        let group = rfs::Gid::from_raw(FULL_GROUP);
        let given = rfs::chown(dir.join("second"), None, Some(group));
        refused("another's group", given, Errno::PERM)?;
        let owner = rfs::Uid::from_raw(USER + 1);
        let given = rfs::chown(dir.join("second"), Some(owner), None);
        refused("another's file", given, Errno::PERM)
    })?;
    owners_equal_a_scan(&dir)?;
    Ok(())
}

/// The file system has a quota of its own, by which it refuses what has begun.
fn given_in_vain() -> Result<()> {
    // There is none on btrfs, and f2fs calls it damaged then.
    if on("btrfs") || on("f2fs") {
        return Ok(());
    }
    mount_with("tag,grpquota")?;
    let done = refused_by_the_file_system();
    mount_with("tag")?;
    done
}

fn refused_by_the_file_system() -> Result<()> {
    let dir = with_quota("in-vain")?;
    let file = dir.join("file");
    let append = |name: &Path| {
        let file = open(name, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)?;
        rustix::io::write(&file, &[1; 50_000])
    };
    let as_member = |body: &dyn Fn() -> Result<()>| {
        inside(OWN, || {
            become_member(&[GROUP, FULL_GROUP])?;
            body()
        })
    };
    set(&dir, GROUPS, FULL_GROUP, inodes(1))?;
    fs::write(dir.join("host"), "")?;
    chown(dir.join("host"), None, Some(FULL_GROUP))?;
    as_member(&|| {
        ensure!(append(&file)? == 50_000);
        Ok(())
    })?;
    let before = owners_equal_a_scan(&dir)?;
    let group = Some(rfs::Gid::from_raw(FULL_GROUP));
    as_member(&|| refused("chgrp", rfs::chown(&file, None, group), Errno::DQUOT))?;
    ensure!(owners_equal_a_scan(&dir)? == before, "{before:?}");
    // It is still whose it was.
    as_member(&|| {
        ensure!(append(&file)? == 50_000);
        Ok(())
    })?;
    let more = owners_equal_a_scan(&dir)?;
    let owner = (GROUPS, GROUP);
    ensure!(more[&owner].0 > before[&owner].0, "{more:?}");
    as_member(&|| Ok(fs::remove_file(&file)?))?;
    let rest = owners_equal_a_scan(&dir)?;
    ensure!(rest.is_empty(), "{rest:?}");
    set(&dir, GROUPS, FULL_GROUP, inodes(0)).map_err(Into::into)
}

/// Not one inode more, and not one less.
fn many_at_a_limit() -> Result<()> {
    let dir = with_quota("many")?;
    let storm = |worker: u32| -> Result<()> {
        for i in 0..50 {
            let mode = rfs::Mode::from_raw_mode(0o755);
            match rfs::mkdir(dir.join(format!("{worker}-{i}")), mode) {
                Ok(()) => {}
                made => return expect(made, Errno::DQUOT),
            }
        }
        anyhow::bail!("50 directories")
    };
    inside(OWN, || {
        set(&dir, USERS, USER, inodes(40))?;
        turn(&dir, USERS, true)?;
        become_user()?;
        let workers: Vec<_> = (0..4)
            .map(|worker| spawn(move || i32::from(storm(worker).is_err())))
            .collect::<Result<_>>()?;
        for worker in workers {
            let status = worker.wait()?;
            ensure!(status == Status::Exited(0), "{status:?}");
        }
        Ok(())
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(USERS, USER)].1 == 40, "{sums:?}");
    Ok(())
}

/// What does not fit into the inode of a link is space.
fn long_links() -> Result<()> {
    let dir = with_quota("links")?;
    let target = "x".repeat(1000);
    let mut made = Ok(());
    inside(OWN, || {
        set(&dir, USERS, USER, space(LIMIT / 2))?;
        turn(&dir, USERS, true)?;
        become_user()?;
        for i in 0..600 {
            made = rfs::symlink(&target, dir.join(i.to_string()));
            if made.is_err() {
                return expect(made, Errno::DQUOT);
            }
        }
        // Where they are in metadata, or in the inode all the same.
        ensure!(on("btrfs") || on("f2fs"), "600 links");
        Ok(())
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(USERS, USER)].0 <= LIMIT << 9, "{sums:?}");
    Ok(())
}

/// A unified file of 256 KiB, which is [`USER`]'s.
fn unified() -> Result<Pair> {
    Pair::with("full", |a| {
        fs::write(a, vec![1; 256 << 10])?;
        Ok(chown(a, Some(USER), Some(GROUP))?)
    })
}

fn append(path: &Path) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::APPEND)?;
    rustix::io::write(&file, b"x").map(drop)
}

/// The copy is the owner's, and so is the limit.
fn break_of_a_link() -> Result<()> {
    let dir = with_quota("break")?;
    let pair = unified()?;
    inside(OWN, || {
        set(&dir, USERS, USER, space(100))?;
        Ok(turn(&dir, USERS, true)?)
    })?;
    inside_as_user(&|| expect(append(&pair.a), Errno::DQUOT))?;
    pair.intact()?;
    ensure!(owners_equal_a_scan(&dir)?.is_empty());
    inside(OWN, || Ok(set(&dir, USERS, USER, space(LIMIT))?))?;
    inside_as_user(&|| Ok(append(&pair.a)?))?;
    pair.broken()?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(USERS, USER)].1 == 1 && sums[&(GROUPS, GROUP)].0 >= 256 << 10);
    Ok(())
}

/// That needs no copy, but is charged like one.
fn last_name() -> Result<()> {
    let dir = with_quota("last")?;
    let pair = unified()?;
    fs::remove_file(&pair.b)?;
    inside(OWN, || {
        set(&dir, GROUPS, GROUP, space(100))?;
        Ok(turn(&dir, GROUPS, true)?)
    })?;
    inside_as_user(&|| expect(append(&pair.a), Errno::DQUOT))?;
    ensure!(look(&pair.a)? == pair.before);
    ensure!(owners_equal_a_scan(&dir)?.is_empty());
    inside(OWN, || Ok(set(&dir, GROUPS, GROUP, space(LIMIT))?))?;
    inside_as_user(&|| Ok(append(&pair.a)?))?;
    ensure!(owners_equal_a_scan(&dir)?[&(GROUPS, GROUP)].1 == 1);
    Ok(())
}

/// Root inside, and the host, are charged.
fn root_is_not_refused() -> Result<()> {
    let dir = with_quota("root")?;
    inside(OWN, || {
        set(&dir, USERS, 0, inodes(1))?;
        set(&dir, USERS, USER, inodes(1))?;
        turn(&dir, USERS, true)?;
        for i in 0..5 {
            let path = dir.join(i.to_string());
            fs::write(&path, "")?;
            chown(&path, Some(if i < 2 { 0 } else { USER }), None)?;
        }
        Ok(())
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(USERS, 0)].1 == 2 && sums[&(USERS, USER)].1 == 3);
    Ok(())
}

fn only_if_it_is_on() -> Result<()> {
    let dir = with_quota("off")?;
    let make = |name: &str| {
        inside(OWN, || {
            become_user()?;
            Ok(fs::write(dir.join(name), "")?)
        })
    };
    inside(OWN, || Ok(set(&dir, USERS, USER, inodes(1))?))?;
    make("1")?;
    make("2")?;
    inside(OWN, || Ok(turn(&dir, USERS, true)?))?;
    ensure!(make("3").is_err());
    inside(OWN, || Ok(turn(&dir, USERS, false)?))?;
    make("3")?;
    owners_equal_a_scan(&dir)?;
    Ok(())
}
