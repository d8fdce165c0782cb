// SPDX-License-Identifier: GPL-2.0
//! What becomes of those who reach their limit: as on a disk that is full.

use super::{KEEP, OTHER, OWN, counted, equals_a_scan, limit_inodes, limit_space, on};
use crate::harness::Test;
use crate::process::{Gate, Status, spawn};
use crate::tags::{enter, inside, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, FallocateFlags, IFlags, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    written,
    written_directly,
    allocated,
    copied,
    mapped,
    names_in_a_storm,
    names_take_space,
    room_that_was_made,
    break_of_a_link,
    last_name,
    for_root_alone,
    changes_take_effect_at_once,
    below_what_is_used,
    given_away_when_full,
    lists_of_rights,
];

pub(super) const LIMIT: u64 = 1024;

/// Writes until it is refused, and says how much was written.
pub(super) fn fill(path: &Path, flags: OFlags) -> Result<u64> {
    let file = open(path, OFlags::RDWR | OFlags::CREATE | flags)?;
    // Aligned, for those who write directly.
    let buffer = vec![1u8; 128 << 10];
    let start = buffer.as_ptr().align_offset(4096);
    let piece = &buffer[start..start + (64 << 10)];
    let mut sum = 0;
    loop {
        match rustix::io::write(&file, piece) {
            Ok(0) => anyhow::bail!("nothing written"),
            Ok(n) => sum += n as u64,
            Err(Errno::NOSPC) => return Ok(sum),
            Err(e) => anyhow::bail!("{e} after {sum} bytes"),
        }
        ensure!(sum <= LIMIT << 11, "{sum} bytes and no end");
    }
}

/// The file has what was written, the context no more than it may have, and little less.
fn is_full(path: &Path, sum: u64) -> Result<()> {
    ensure!(fs::metadata(path)?.len() == sum);
    let (bytes, _) = equals_a_scan(OWN)?;
    ensure!(
        bytes <= LIMIT << 10 && bytes > (LIMIT - 128) << 10,
        "{bytes} bytes"
    );
    Ok(())
}

fn written() -> Result<()> {
    let dir = counted("written")?;
    limit_space(&dir, OWN, LIMIT)?;
    let file = dir.join("file");
    inside(OWN, || is_full_after(&file, OFlags::empty()))?;
    // What was written is all there.
    ensure!(fs::read(&file)?.iter().all(|byte| *byte == 1));
    is_full(&file, fs::metadata(&file)?.len())
}

fn is_full_after(file: &Path, flags: OFlags) -> Result<()> {
    let sum = fill(file, flags)?;
    ensure!(fs::metadata(file)?.len() == sum, "{sum}");
    Ok(())
}

fn written_directly() -> Result<()> {
    let dir = counted("direct")?;
    limit_space(&dir, OWN, LIMIT)?;
    if on("btrfs") {
        // Where there are checksums it goes by the page cache.
        rfs::ioctl_setflags(open(&dir, OFlags::RDONLY)?, IFlags::NOCOW)?;
    }
    let file = dir.join("file");
    inside(OWN, || is_full_after(&file, OFlags::DIRECT))?;
    is_full(&file, fs::metadata(&file)?.len())
}

fn allocated() -> Result<()> {
    let dir = counted("allocated")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || {
        let file = open(&dir.join("file"), OFlags::RDWR | OFlags::CREATE)?;
        let none = FallocateFlags::empty();
        rfs::fallocate(&file, none, 0, 512 << 10)?;
        expect(rfs::fallocate(&file, none, 0, 4 << 20), Errno::NOSPC)
    })?;
    ensure!(equals_a_scan(OWN)?.0 <= LIMIT << 10);
    Ok(())
}

fn copied() -> Result<()> {
    let dir = counted("copied")?;
    limit_space(&dir, OWN, LIMIT)?;
    fs::write(dir.join("host"), vec![1; 4 << 20])?;
    inside(OWN, || {
        let from = open(&dir.join("host"), OFlags::RDONLY)?;
        let to = open(&dir.join("copy"), OFlags::RDWR | OFlags::CREATE)?;
        loop {
            match rfs::copy_file_range(&from, None, &to, None, 4 << 20) {
                Ok(0) => anyhow::bail!("all of it"),
                Ok(_) => {}
                done => return expect(done, Errno::NOSPC),
            }
        }
    })?;
    ensure!(equals_a_scan(OWN)?.0 <= LIMIT << 10);
    Ok(())
}

/// It is told at the first touch, and nothing is lost later.
fn mapped() -> Result<()> {
    let dir = counted("mapped")?;
    limit_space(&dir, OWN, LIMIT)?;
    let path = dir.join("file");
    let child = spawn(|| {
        let touched = enter(OWN).and_then(|()| touch(&path, 4 << 20));
        i32::from(touched.is_err())
    })?;
    let status = child.wait()?;
    ensure!(status == Status::Killed(Signal::BUS.as_raw()), "{status:?}");
    let (bytes, _) = equals_a_scan(OWN)?;
    // btrfs has folios of up to 64 blocks, and takes all of one when it is written to.
    let left = if on("btrfs") { 256 } else { 128 };
    ensure!(
        bytes <= LIMIT << 10 && bytes > (LIMIT - left) << 10,
        "{bytes} bytes"
    );
    // Each page that was touched is there.
    let content = fs::read(&path)?;
    let pages = content.chunks(4096).filter(|page| page[0] == 1).count() as u64;
    ensure!(
        pages * 4096 + (128 << 10) >= bytes,
        "{pages} pages, {bytes} bytes"
    );
    Ok(())
}

/// Writes to each page of a mapping.
pub(super) fn touch(path: &Path, size: usize) -> Result<()> {
    use rustix::fd::AsRawFd as _;
    let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
    rfs::ftruncate(&file, size as u64)?;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let fd = file.as_raw_fd();
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), size, prot, libc::MAP_SHARED, fd, 0) };
    ensure!(map != libc::MAP_FAILED, "mmap");
    for at in (0..size).step_by(4096) {
        // SAFETY: inside the mapping, which nobody else knows.
        unsafe { map.cast::<u8>().add(at).write_volatile(1) };
    }
    Ok(())
}

fn names_in_a_storm() -> Result<()> {
    let dir = counted("storm")?;
    limit_inodes(&dir, OWN, 100)?;
    let start = &Gate::new()?;
    let storm = |worker: u32| {
        start.pass()?;
        for i in 0..60 {
            let name = dir.join(format!("{worker}-{i}"));
            match rfs::mkdir(&name, rfs::Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::NOSPC) => {}
                Err(e) => anyhow::bail!("{e}"),
            }
        }
        Ok(())
    };
    inside(OWN, || {
        let workers: Vec<_> = (0..4)
            .map(|worker| spawn(move || i32::from(storm(worker).is_err())))
            .collect::<Result<_>>()?;
        for _ in &workers {
            start.open()?;
        }
        for worker in workers {
            ensure!(worker.wait()? == Status::Exited(0));
        }
        Ok(())
    })?;
    let (_, inodes) = equals_a_scan(OWN)?;
    ensure!(inodes == 100, "{inodes}");
    Ok(())
}

/// A directory grows, too. On btrfs names are in the tree, which nobody is charged for.
fn names_take_space() -> Result<()> {
    if on("tmpfs") || on("btrfs") {
        return Ok(());
    }
    let dir = counted("names")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || {
        let below = dir.join("dir");
        fs::create_dir(&below)?;
        for i in 0..20_000 {
            match fs::write(below.join(format!("{i:0>240}")), "") {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(e) => anyhow::bail!("{e}"),
            }
        }
        anyhow::bail!("no end")
    })?;
    let (bytes, _) = equals_a_scan(OWN)?;
    ensure!(
        bytes <= LIMIT << 10 && bytes > (LIMIT - 256) << 10,
        "{bytes} bytes"
    );
    Ok(())
}

/// What was removed makes room at once, also where the file system frees it later.
fn room_that_was_made() -> Result<()> {
    let dir = counted("room")?;
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || {
        for i in 0..30 {
            let file = dir.join(i.to_string());
            let sum = fill(&file, OFlags::empty())?;
            ensure!(sum > (LIMIT - 128) << 10, "{i}: {sum}");
            fs::remove_file(&file)?;
            let file = open(&file, OFlags::RDWR | OFlags::CREATE)?;
            rfs::fallocate(&file, FallocateFlags::empty(), 0, LIMIT << 9)?;
            fs::remove_file(dir.join(i.to_string()))?;
        }
        Ok(())
    })
}

/// A unified file of 256 KiB.
fn unified() -> Result<Pair> {
    Pair::with("full", |a| Ok(fs::write(a, vec![1; 256 << 10])?))
}

fn append(path: &Path) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::APPEND)?;
    rustix::io::write(&file, b"x").map(drop)
}

fn break_of_a_link() -> Result<()> {
    let dir = counted("break")?;
    let pair = unified()?;
    limit_space(&dir, OWN, 100)?;
    inside(OWN, || expect(append(&pair.a), Errno::NOSPC))?;
    pair.intact()?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || Ok(append(&pair.a)?))?;
    pair.broken()?;
    ensure!(equals_a_scan(OWN)?.0 >= 256 << 10);
    Ok(())
}

fn last_name() -> Result<()> {
    let dir = counted("last")?;
    let pair = unified()?;
    fs::remove_file(&pair.b)?;
    limit_space(&dir, OWN, 100)?;
    inside(OWN, || expect(append(&pair.a), Errno::NOSPC))?;
    ensure!(look(&pair.a)? == pair.before);
    ensure!(equals_a_scan(OWN)? == (0, 0));
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || Ok(append(&pair.a)?))?;
    ensure!(equals_a_scan(OWN)?.1 == 1);
    Ok(())
}

fn for_root_alone() -> Result<()> {
    let dir = counted("reserved")?;
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let limit = abi::Dlimit {
        space_total: LIMIT,
        reserved: 50,
        ..KEEP
    };
    abi::set_dlimit(OWN, &dir, &limit)?;
    inside(OWN, || {
        become_user()?;
        let sum = fill(&dir.join("user"), OFlags::empty())?;
        ensure!((300 << 10..=512 << 10).contains(&sum), "{sum}");
        Ok(())
    })?;
    inside(OWN, || {
        let sum = fill(&dir.join("root"), OFlags::empty())?;
        ensure!(sum >= 300 << 10, "{sum}");
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)?.0 <= LIMIT << 10);
    Ok(())
}

fn changes_take_effect_at_once() -> Result<()> {
    let dir = counted("changed")?;
    limit_space(&dir, OWN, LIMIT)?;
    let (full, more) = (Gate::new()?, Gate::new()?);
    let host = spawn(|| {
        let done = full.pass().and_then(|()| limit_space(&dir, OWN, 2 * LIMIT));
        i32::from(done.and_then(|()| more.open()).is_err())
    })?;
    inside(OWN, || {
        let file = dir.join("file");
        fill(&file, OFlags::empty())?;
        full.open()?;
        more.pass()?;
        let file = open(&file, OFlags::WRONLY | OFlags::APPEND)?;
        ensure!(rustix::io::write(&file, &[1; 64 << 10])? == 64 << 10);
        Ok(())
    })?;
    ensure!(host.wait()? == Status::Exited(0));
    Ok(())
}

fn below_what_is_used() -> Result<()> {
    let dir = counted("below")?;
    let file = dir.join("file");
    inside(OWN, || Ok(fs::write(&file, vec![1; 1 << 20])?))?;
    equals_a_scan(OWN)?;
    limit_space(&dir, OWN, 100)?;
    limit_inodes(&dir, OWN, 0)?;
    inside(OWN, || {
        ensure!(fs::read(&file)?.len() == 1 << 20);
        // In place there is nothing to be had.
        let held = open(&file, OFlags::RDWR)?;
        ensure!(rustix::io::pwrite(&held, b"y", 0)? == 1);
        expect(rustix::io::pwrite(&held, &[1; 4096], 2 << 20), Errno::NOSPC)?;
        expect(
            open(&dir.join("new"), OFlags::RDWR | OFlags::CREATE),
            Errno::NOSPC,
        )?;
        Ok(fs::remove_file(&file)?)
    })?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    // What comes by a change of its tag is not refused.
    fs::write(&file, vec![1; 1 << 20])?;
    set_tag(&file, OWN)?;
    ensure!(equals_a_scan(OWN)?.0 >= 1 << 20 && fs::metadata(&file)?.blocks() > 0);
    Ok(())
}

/// A tag changes whether there is room for an attribute or not.
fn given_away_when_full() -> Result<()> {
    let dir = counted("given")?;
    let file = dir.join("file");
    limit_space(&dir, OWN, LIMIT)?;
    inside(OWN, || fill(&file, OFlags::empty()).map(drop))?;
    limit_space(&dir, OWN, 8)?;
    let (bytes, _) = equals_a_scan(OWN)?;
    ensure!(bytes > (LIMIT - 128) << 10, "{bytes}");
    set_tag(&file, OTHER)?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    set_tag(&file, OWN)?;
    ensure!(equals_a_scan(OWN)? == (bytes, 1));
    inside(OWN, || Ok(fs::remove_file(&file)?))?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}

/// xfs takes the space for these without a question.
fn lists_of_rights() -> Result<()> {
    const NAME: &str = "system.posix_acl_access";
    if !on("xfs") {
        return Ok(());
    }
    let dir = counted("rights")?;
    let mut list = vec![2, 0, 0, 0];
    let mut entry = |tag: u16, id: u32| {
        list.extend([tag, 6].map(u16::to_le_bytes).concat());
        list.extend(id.to_le_bytes());
    };
    entry(1, !0);
    (2000..4000).for_each(|id| entry(2, id));
    [4, 0x10, 0x20].iter().for_each(|tag| entry(*tag, !0));
    inside(OWN, || {
        fs::write(dir.join("one"), "")?;
        fs::write(dir.join("two"), "")?;
        Ok(rfs::setxattr(
            dir.join("one"),
            NAME,
            &list,
            XattrFlags::empty(),
        )?)
    })?;
    let (bytes, _) = equals_a_scan(OWN)?;
    ensure!(bytes >= 16_000, "{bytes}");
    limit_space(&dir, OWN, bytes >> 10)?;
    inside(OWN, || {
        let set = rfs::setxattr(dir.join("two"), NAME, &list, XattrFlags::empty());
        expect(set, Errno::NOSPC)?;
        Ok(rfs::removexattr(dir.join("one"), NAME)?)
    })?;
    ensure!(equals_a_scan(OWN)?.0 < bytes);
    Ok(())
}
