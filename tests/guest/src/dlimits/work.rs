// SPDX-License-Identifier: GPL-2.0
//! Work at random by several contexts at once, to its end and until the power fails.

use super::quota::{owners_equal_a_scan, with_quota};
use super::{
    OTHER, OWN, THIRD, XIDS, count_from_here, counted, equals_a_scan, limit_inodes, limit_space, on,
};
use crate::harness::{Suite, Test};
use crate::kernel_log::{log_whole, logged};
use crate::process::{Child, Status, isolated, spawn};
use crate::tags::{enter, mount_with, options, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{
    self as rfs, AtFlags, CWD, FallocateFlags, Gid, IFlags, Mode, OFlags, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![to_its_end, while_quota_is_on, that_changes_owners];

// The runner cuts the power a random moment after `@@cut`, and boots the same disk again.
pub const CRASH_EXT4: Suite = crash("dlimit_crash", "ext4 memory=768 timeout=200 cuts=4");
pub const CRASH_XFS: Suite = crash("dlimit_crash-xfs", "xfs memory=768 timeout=200 cuts=4");
pub const CRASH_BTRFS: Suite = crash("dlimit_crash-btrfs", "btrfs memory=768 timeout=200 cuts=4");
pub const CRASH_F2FS: Suite = crash("dlimit_crash-f2fs", "f2fs memory=768 timeout=200 cuts=4");

const fn crash(name: &'static str, wants: &'static str) -> Suite {
    Suite::new(name, wants, tests![as_it_was_found, until_the_cut])
}

/// A generator of numbers; the same seed gives the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// 32 KiB from wherever in it they are aligned.
fn data_for_disk() -> Vec<u8> {
    vec![1; (32 << 10) + 4096]
}

/// Something at random to files in a directory; what can't be done is as good. Files that have no
/// name any more are held for a while.
fn step(numbers: &mut Numbers, dir: &Path, held: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    let mut name = || dir.join(format!("f{}", numbers.next(12)));
    let (one, two) = (name(), name());
    let size = numbers.next(200_000);
    let data = vec![1; numbers.next(60_000) as usize];
    let file = |flags| open(&one, flags);
    match numbers.next(29) {
        0..=4 => rustix::io::pwrite(file(OFlags::RDWR | OFlags::CREATE)?, &data, size).map(drop),
        5 => rfs::ftruncate(file(OFlags::RDWR)?, size),
        6 => open(&one, OFlags::RDWR | OFlags::TRUNC).map(drop),
        7 => rfs::fallocate(file(OFlags::RDWR)?, FallocateFlags::empty(), size, 50_000),
        8 => rfs::fallocate(file(OFlags::RDWR)?, FallocateFlags::KEEP_SIZE, size, 50_000),
        9 => {
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rfs::fallocate(file(OFlags::RDWR)?, punch, size, 50_000)
        }
        10 => rfs::unlink(&one),
        11 => rfs::rename(&one, &two),
        12 => rfs::link(&one, &two),
        13 => rfs::mkdir(&one, Mode::from_raw_mode(0o755)),
        14 => rfs::rmdir(&one),
        15 => rfs::symlink("x".repeat(size as usize % 300 + 1), &one),
        16 => rfs::setxattr(
            &one,
            "user.x",
            &data[..data.len().min(2000)],
            XattrFlags::empty(),
        ),
        17 => rfs::removexattr(&one, "user.x"),
        18 => rfs::fsync(file(OFlags::RDWR)?),
        19 => {
            let from = file(OFlags::RDONLY)?;
            let to = open(&two, OFlags::RDWR | OFlags::CREATE)?;
            rfs::copy_file_range(from, None, to, None, 100_000).map(drop)
        }
        20 => {
            let nameless = open(dir, OFlags::RDWR | OFlags::TMPFILE)?;
            let written = rustix::io::write(&nameless, &data);
            held.push(nameless);
            written.map(drop)
        }
        21 => {
            held.push(file(OFlags::RDWR)?);
            rfs::unlink(&one)
        }
        22 => {
            let from = file(OFlags::RDONLY)?;
            rfs::ioctl_ficlone(open(&two, OFlags::RDWR | OFlags::CREATE)?, from)
        }
        23 => {
            let to = file(OFlags::RDWR | OFlags::APPEND)?;
            held.push(to.try_clone().map_err(|_| Errno::MFILE)?);
            rustix::io::write(to, &data).map(drop)
        }
        24 => {
            let aligned = data_for_disk();
            let start = aligned.as_ptr().align_offset(4096);
            let piece = &aligned[start..start + (4096 << numbers.next(4))];
            let to = file(OFlags::RDWR | OFlags::CREATE | OFlags::DIRECT)?;
            rustix::io::pwrite(to, piece, size / 4096 * 4096).map(drop)
        }
        25..=27 => {
            let mut id = || [0, USER, USER + 1][numbers.next(3) as usize];
            let (uid, gid) = (Uid::from_raw(id()), Gid::from_raw(id()));
            rfs::chownat(CWD, &one, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        }
        _ => {
            held.clear();
            Ok(())
        }
    }
}

/// What files of a context are like on btrfs: there is no direct I/O to those with checksums.
fn flags(xid: u32) -> IFlags {
    match xid {
        OTHER => IFlags::COMPRESSED,
        THIRD => IFlags::NOCOW,
        _ => IFlags::empty(),
    }
}

/// So many steps of a context in a directory of its own.
fn work(xid: u32, dir: &Path, steps: u64) -> Result<()> {
    enter(xid)?;
    let own = dir.join(xid.to_string());
    fs::create_dir(&own)?;
    if on("btrfs") {
        rfs::ioctl_setflags(open(&own, OFlags::RDONLY)?, flags(xid))?;
    }
    let mut numbers = Numbers(u64::from(xid) * 0x9e37_79b9_7f4a_7c15);
    let mut held = Vec::new();
    for _ in 0..steps {
        if let Err(Errno::IO | Errno::NOTRECOVERABLE) = step(&mut numbers, &own, &mut held) {
            anyhow::bail!("an I/O error");
        }
    }
    Ok(())
}

/// Meanwhile the host gives files to others.
fn give_away(dir: &Path, steps: u64) {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut any = |xids: &[u32]| xids[numbers.next(xids.len() as u64) as usize];
    for _ in 0..steps {
        let file = format!("{}/f{}", any(&XIDS), any(&[0, 1, 2, 3]));
        // Mostly it is not there.
        let _ = set_tag(&dir.join(file), any(&[0, OWN, OTHER, THIRD]));
    }
}

/// All of them at once.
fn start(dir: &Path, steps: u64) -> Result<Vec<Child>> {
    let mut workers = Vec::new();
    for xid in XIDS {
        workers.push(spawn(|| {
            i32::from(isolated(|| work(xid, dir, steps)).is_err())
        })?);
    }
    workers.push(spawn(|| {
        give_away(dir, steps);
        0
    })?);
    Ok(workers)
}

/// Room for some of it, so that limits are hit in the middle of things.
fn limit(dir: &Path) -> Result<()> {
    limit_space(dir, OTHER, 300)?;
    limit_inodes(dir, THIRD, 8)
}

fn to_its_end() -> Result<()> {
    at_random(&counted("random")?)
}

/// Its reservations and those of disk limits do not get in each other's way. btrfs has another kind,
/// that knows no users.
fn while_quota_is_on() -> Result<()> {
    if on("btrfs") {
        return Ok(());
    }
    mount_with("tag,usrquota,grpquota")?;
    at_random(&counted("quota")?)?;
    mount_with("tag")
}

/// Whose they are inside is counted, too.
fn that_changes_owners() -> Result<()> {
    let dir = with_quota("owners")?;
    done_at_random(&dir)?;
    owners_equal_a_scan(&dir)?;
    gone(&dir)?;
    ensure!(owners_equal_a_scan(&root())?.is_empty());
    Ok(())
}

fn at_random(dir: &Path) -> Result<()> {
    done_at_random(dir)?;
    gone(dir)
}

fn done_at_random(dir: &Path) -> Result<()> {
    for xid in &XIDS[1..] {
        abi::add_dlimit(*xid, dir)?;
    }
    limit(dir)?;
    for worker in start(dir, 600)? {
        let status = worker.wait()?;
        ensure!(status == Status::Exited(0), "{status:?}");
    }
    let mut inodes = 0;
    for xid in XIDS {
        inodes += equals_a_scan(xid)?.1;
    }
    ensure!(inodes > 0);
    Ok(())
}

/// What was removed does not count, whosever it was.
fn gone(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir)?;
    for xid in XIDS {
        ensure!(equals_a_scan(xid)? == (0, 0), "{xid}");
    }
    Ok(())
}

/// Nothing is kept over a cut. Who mounts it without tags says if there is something.
fn nothing_was_kept() -> Result<()> {
    let said = logged(&log_whole()?, &["writable without tags"])?;
    ensure!(said.is_empty(), "{said:?}");
    for xid in XIDS {
        expect(abi::get_dlimit(xid, root()), Errno::SRCH)?;
    }
    Ok(())
}

/// What the cut has left is counted, and what becomes of it.
fn as_it_was_found() -> Result<()> {
    nothing_was_kept()?;
    if options()?.iter().all(|option| option != "tag") {
        mount_with("tag")?;
    }
    let dir = root().join("work");
    for xid in XIDS {
        count_from_here(xid)?;
    }
    if std::env::var("BOOT").context("BOOT")? != "1" {
        gone(&dir)?;
    }
    // What is counted by now is written down, and taken back.
    mount_with("tag")?;
    fs::create_dir(&dir)?;
    // The next boot looks for it.
    rfs::syncfs(open(&root(), OFlags::RDONLY)?)?;
    limit(&dir)
}

/// Works on until the power fails, if it does in this boot.
fn until_the_cut() -> Result<()> {
    if std::env::var_os("CUT").is_none() {
        return Ok(());
    }
    let workers = start(&root().join("work"), u64::MAX)?;
    println!("@@cut");
    for worker in workers {
        worker.wait()?;
    }
    Ok(())
}
