// SPDX-License-Identifier: GPL-2.0
//! Others have nothing to do with a context that has reached its limit, and don't wait for it.

use super::hit::{LIMIT, fill};
use super::{OTHER, OWN, counted, limit_inodes, limit_space, on};
use crate::harness::Test;
use crate::process::{Gate, Status, isolated, spawn};
use crate::tags::inside;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, FallocateFlags, OFlags};
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use std::time::Duration;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    others_go_on,
    others_need_not_wait,
    full_disk_at_the_limit_of_inodes,
    others_are_not_written_out,
    full_disk_after_a_limit,
];

fn others_go_on() -> Result<()> {
    let dir = counted("others")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || fill(&dir.join("own"), OFlags::empty()).map(drop))?;
    for xid in [OTHER, abi::VX_XID_HOST] {
        inside(xid, || {
            Ok(fs::write(dir.join(xid.to_string()), vec![1; 2 << 20])?)
        })?;
    }
    // What is nobody's does not count, whoever makes it grow.
    inside(OWN, || Ok(fs::write(dir.join("0"), vec![1; 3 << 20])?))
}

/// How often somebody wanted the journal of a file system to be committed; 0 if there is none. On
/// btrfs how often it was. A commit is counted a moment after who waited for it goes on.
fn commits_wanted() -> Result<u64> {
    let mut wanted = commits_counted()?;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = commits_counted()?;
        if now == wanted {
            return Ok(now);
        }
        wanted = now;
    }
}

fn commits_counted() -> Result<u64> {
    if on("btrfs") {
        return commits_of_btrfs();
    }
    let Ok(journals) = fs::read_dir("/proc/fs/jbd2") else {
        return Ok(0);
    };
    let mut sum = 0;
    for journal in journals {
        let text = fs::read_to_string(journal?.path().join("info"))?;
        let (_, rest) = text.split_once('(').context("info of a journal")?;
        let (wanted, _) = rest.split_once(' ').context("info of a journal")?;
        sum += wanted.parse::<u64>()?;
    }
    Ok(sum)
}

fn commits_of_btrfs() -> Result<u64> {
    let mut sum = 0;
    for disk in fs::read_dir("/sys/fs/btrfs")? {
        // There is a directory beside them that is none.
        let Ok(text) = fs::read_to_string(disk?.path().join("commit_stats")) else {
            continue;
        };
        let count = text.lines().find_map(|line| line.strip_prefix("commits "));
        sum += count.context("commits")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// That a commit might free something does not help who is at his limit.
fn others_need_not_wait() -> Result<()> {
    let dir = counted("wait")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || fill(&dir.join("own"), OFlags::empty()).map(drop))?;
    for _ in 0..5 {
        let host = dir.join("host");
        fs::write(&host, vec![1; 1 << 20])?;
        rfs::syncfs(open(&dir, OFlags::RDONLY)?)?;
        fs::remove_file(&host)?;
        let before = commits_wanted()?;
        inside(OWN, || {
            let file = open(&dir.join("own"), OFlags::WRONLY | OFlags::APPEND)?;
            expect(rustix::io::write(&file, &[1; 8192]), Errno::NOSPC)
        })?;
        ensure!(commits_wanted()? == before);
    }
    Ok(())
}

/// Where it is the disk that is full, a commit may help, though no inode is left to the context.
fn full_disk_at_the_limit_of_inodes() -> Result<()> {
    if !on("ext4") {
        return Ok(());
    }
    let dir = counted("no-inode")?;
    let own = dir.join("own");
    inside(OWN, || Ok(fs::write(&own, "")?))?;
    limit_inodes(&dir, OWN, 1)?;
    let all = rfs::statvfs(&dir)?;
    // Unless the journal was just committed, so that nothing is about to become free.
    for _ in 0..5 {
        let host = dir.join("host");
        fs::write(&host, vec![1; 1 << 20])?;
        rfs::syncfs(open(&dir, OFlags::RDONLY)?)?;
        fs::remove_file(&host)?;
        let before = commits_wanted()?;
        inside(OWN, || {
            let file = open(&own, OFlags::RDWR)?;
            let size = all.f_blocks * all.f_frsize;
            let none = FallocateFlags::empty();
            expect(rfs::fallocate(&file, none, 0, size), Errno::NOSPC)
        })?;
        let wanted = commits_wanted()? > before;
        rfs::ftruncate(open(&own, OFlags::RDWR)?, 0)?;
        if wanted {
            return Ok(());
        }
    }
    anyhow::bail!("nobody wanted a commit")
}

/// How much xfs has found a place for when it was written out.
fn written_out() -> Result<u64> {
    let text = fs::read_to_string("/proc/fs/xfs/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("xpc "));
    let first = line.and_then(|line| line.split(' ').next());
    Ok(first.context("xpc")?.parse()?)
}

fn nothing_is_written_out_by_itself(body: impl FnOnce() -> Result<()>) -> Result<()> {
    let period = "/proc/sys/vm/dirty_writeback_centisecs";
    let periodic = fs::read_to_string(period)?;
    fs::write(period, "0")?;
    let done = isolated(body);
    fs::write(period, periodic)?;
    done
}

/// Nor does that others' files would take less when they are written out.
fn others_are_not_written_out() -> Result<()> {
    if !on("xfs") {
        return Ok(());
    }
    let dir = counted("written-out")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || fill(&dir.join("own"), OFlags::empty()).map(drop))?;
    // Room for a bit of it, which is no reason either.
    limit_space(&dir, OWN, LIMIT + 4)?;
    nothing_is_written_out_by_itself(|| {
        for _ in 0..5 {
            rfs::syncfs(open(&dir, OFlags::RDONLY)?)?;
            fs::write(dir.join("host"), vec![1; 1 << 20])?;
            let before = written_out()?;
            inside(OWN, || {
                let file = open(&dir.join("own"), OFlags::WRONLY | OFlags::APPEND)?;
                expect(rustix::io::write(&file, &[1; 64 << 10]), Errno::NOSPC)
            })?;
            ensure!(written_out()? == before);
            // It would be seen.
            rfs::syncfs(open(&dir, OFlags::RDONLY)?)?;
            ensure!(written_out()? >= before + (1 << 20));
            fs::remove_file(dir.join("host"))?;
        }
        Ok(())
    })
}

/// All that there is of the disk but a bit, and some that is only reserved.
fn use_up(dir: &Path) -> Result<()> {
    fs::write(dir.join("reserved"), vec![1; 1 << 20])?;
    let rest = open(&dir.join("rest"), OFlags::RDWR | OFlags::CREATE)?;
    let (mut at, mut piece) = (0, 1u64 << 30);
    while piece >= 4096 {
        match rfs::fallocate(&rest, FallocateFlags::empty(), at, piece) {
            Ok(()) => at += piece,
            Err(Errno::NOSPC) => piece /= 2,
            Err(e) => anyhow::bail!("{e}"),
        }
    }
    Ok(())
}

/// Where it is the disk that is full, others are written out for who was refused by his limit before,
/// too.
fn full_disk_after_a_limit() -> Result<()> {
    if !on("xfs") {
        return Ok(());
    }
    let dir = counted("full-disk")?;
    limit_space(&dir, OWN, 8 << 10)?;
    let (refused, full, tried) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let done = nothing_is_written_out_by_itself(|| {
        let host = spawn(|| {
            let written = || -> Result<bool> {
                refused.pass()?;
                use_up(&dir)?;
                let before = written_out()?;
                full.open()?;
                tried.pass()?;
                Ok(written_out()? >= before + (1 << 20))
            };
            i32::from(!written().is_ok_and(|written| written))
        })?;
        inside(OWN, || {
            let file = open(&dir.join("own"), OFlags::RDWR | OFlags::CREATE)?;
            let none = FallocateFlags::empty();
            expect(rfs::fallocate(&file, none, 0, 16 << 20), Errno::NOSPC)?;
            refused.open()?;
            full.pass()?;
            // Writing others out may make room for a part.
            let data = vec![1; 4 << 20];
            let got = rustix::io::pwrite(&file, &data, 0);
            let is_full = got.map_or_else(|e| e == Errno::NOSPC, |n| n < data.len());
            ensure!(is_full, "{got:?}");
            tried.open()
        })?;
        ensure!(host.wait()? == Status::Exited(0), "nothing was written out");
        Ok(())
    });
    fs::remove_dir_all(&dir)?;
    done
}
