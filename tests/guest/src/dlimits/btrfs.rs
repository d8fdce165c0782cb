// SPDX-License-Identifier: GPL-2.0
//! What is so on btrfs alone: subvolumes, compression, what is in the tree itself.

use super::{OWN, count_from_here, counted, equals_a_scan, equals_a_scan_now, limit_space, on};
use crate::harness::Test;
use crate::subvolumes::{destroy, make};
use crate::tags::{belongs, inside, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, FallocateFlags, IFlags, OFlags};
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    in_the_tree,
    compressed,
    sparse_clone,
    in_place,
    read_only_snapshots,
    writable_snapshots,
];

/// A small file is part of its inode, and shown as a block.
fn in_the_tree() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("tree")?;
    let path = dir.join("file");
    inside(OWN, || Ok(fs::write(&path, "a few bytes")?))?;
    ensure!(equals_a_scan_now(OWN)? == (4096, 1));
    ensure!(equals_a_scan(OWN)? == (4096, 1));
    // It gets an extent of its own.
    let file = open(&path, OFlags::RDWR)?;
    ensure!(rustix::io::pwrite(&file, &[1; 6000], 0)? == 6000);
    ensure!(equals_a_scan_now(OWN)? == (8192, 1));
    ensure!(equals_a_scan(OWN)? == (8192, 1));
    rfs::ftruncate(&file, 10)?;
    ensure!(equals_a_scan(OWN)? == (4096, 1));
    rfs::ftruncate(&file, 0)?;
    ensure!(equals_a_scan(OWN)? == (0, 1));
    Ok(())
}

/// What is compressed counts as what it is to those who read it, as `du` says.
fn compressed() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("compressed")?;
    rfs::ioctl_setflags(open(&dir, OFlags::RDONLY)?, IFlags::COMPRESSED)?;
    inside(OWN, || {
        fs::write(dir.join("large"), vec![1; 1 << 20])?;
        Ok(fs::write(dir.join("small"), vec![1; 3000])?)
    })?;
    ensure!(equals_a_scan_now(OWN)? == ((1 << 20) + 4096, 2));
    ensure!(equals_a_scan(OWN)? == ((1 << 20) + 4096, 2));
    let file = open(&dir.join("large"), OFlags::RDWR)?;
    ensure!(rustix::io::pwrite(&file, &[2; 50_000], 100_000)? == 50_000);
    ensure!(equals_a_scan(OWN)? == ((1 << 20) + 4096, 2));
    drop(file);
    inside(OWN, || Ok(fs::remove_file(dir.join("large"))?))?;
    ensure!(equals_a_scan(OWN)? == (4096, 1));
    Ok(())
}

/// A clone takes what the original has, not what it is long; and only where there is nothing yet.
fn sparse_clone() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("sparse")?;
    let (one, two) = (dir.join("one"), dir.join("two"));
    let from = open(&one, OFlags::RDWR | OFlags::CREATE)?;
    rustix::io::pwrite(&from, &[1; 100_000], 8 << 20)?;
    rfs::ftruncate(&from, 64 << 20)?;
    limit_space(&dir, OWN, 150)?;
    inside(OWN, || {
        let to = open(&two, OFlags::RDWR | OFlags::CREATE)?;
        rfs::ioctl_ficlone(&to, &from)?;
        // Once more in the same place.
        Ok(rfs::ioctl_ficlone(&to, &from)?)
    })?;
    ensure!(equals_a_scan(OWN)? == (102_400, 1));
    inside(OWN, || {
        let to = open(&dir.join("three"), OFlags::RDWR | OFlags::CREATE)?;
        expect(rfs::ioctl_ficlone(to, &from), Errno::NOSPC)
    })?;
    ensure!(equals_a_scan(OWN)? == (102_400, 2));
    Ok(())
}

/// Who has all that he may have writes, clears, cuts and clones where there is something already.
fn in_place() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("in-place")?;
    let [one, two, three] = ["one", "two", "three"].map(|name| dir.join(name));
    inside(OWN, || {
        fs::write(&one, vec![1; 100_000])?;
        fs::write(&two, "a few bytes")?;
        Ok(fs::write(&three, "other bytes")?)
    })?;
    ensure!(equals_a_scan(OWN)? == (110_592, 3));
    limit_space(&dir, OWN, 108)?;
    inside(OWN, || {
        let file = open(&one, OFlags::RDWR)?;
        ensure!(rustix::io::pwrite(&file, &[2; 100_000], 0)? == 100_000);
        rfs::fallocate(&file, FallocateFlags::ZERO_RANGE, 10, 90_000)?;
        rfs::ftruncate(&file, 99_990)?;
        let small = open(&three, OFlags::RDWR)?;
        rfs::ioctl_ficlone(&small, open(&two, OFlags::RDONLY)?)?;
        expect(rustix::io::pwrite(&file, &[3], 200_000), Errno::NOSPC)
    })?;
    ensure!(fs::read(&three)? == b"a few bytes");
    ensure!(equals_a_scan(OWN)? == (110_592, 3));
    Ok(())
}

/// A subvolume of the context's with a file.
fn volume(at: &Path) -> Result<()> {
    make(at, None, false)?;
    set_tag(at, OWN)?;
    inside(OWN, || Ok(fs::write(at.join("file"), vec![1; 50_000])?))
}

fn read_only_snapshots() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("read-only")?;
    let (own, copy) = (dir.join("volume"), dir.join("copy"));
    volume(&own)?;
    let before = equals_a_scan(OWN)?;
    ensure!(before == (53_248, 2), "{before:?}");
    make(&copy, Some(&own), true)?;
    let done = while_there_is_a_copy(&own, &copy);
    destroy(&copy)?;
    done?;
    ensure!(equals_a_scan(OWN)? == (90_112, 2));
    fs::remove_dir_all(&own)?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}

fn while_there_is_a_copy(own: &Path, copy: &Path) -> Result<()> {
    belongs(&copy.join("file"), OWN)?;
    ensure!(equals_a_scan(OWN)? == (53_248, 2));
    inside(OWN, || Ok(fs::write(own.join("file"), vec![2; 90_000])?))?;
    ensure!(equals_a_scan(OWN)? == (90_112, 2));
    Ok(())
}

/// It counts as soon as somebody counts.
fn writable_snapshots() -> Result<()> {
    if !on("btrfs") {
        return Ok(());
    }
    let dir = counted("writable")?;
    let (own, copy) = (dir.join("volume"), dir.join("copy"));
    volume(&own)?;
    make(&copy, Some(&own), false)?;
    abi::rem_dlimit(OWN, &dir)?;
    count_from_here(OWN)?;
    ensure!(equals_a_scan(OWN)? == (2 * 53_248, 4));
    inside(OWN, || Ok(fs::write(copy.join("file"), vec![2; 90_000])?))?;
    ensure!(equals_a_scan(OWN)? == (53_248 + 90_112, 4));
    fs::remove_dir_all(&copy)?;
    ensure!(equals_a_scan(OWN)? == (53_248, 2));
    fs::remove_dir_all(&own)?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}
