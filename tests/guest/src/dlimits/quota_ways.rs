// SPDX-License-Identifier: GPL-2.0
//! Other ways than `write` to come to the limit of a user in a context.

use super::hit::touch;
use super::quota::{LIMIT, USERS, owners_equal_a_scan, set, space, turn, with_quota};
use super::quota_hit::is_full;
use super::{OWN, on};
use crate::harness::Test;
use crate::process::{Status, spawn};
use crate::tags::{enter, inside};
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, FallocateFlags, IFlags, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const TESTS: &[Test] = tests![mapped, allocated, written_directly, copied];

const WHO: (i32, u32) = (USERS, USER);

/// Where [`USER`] has a limit.
fn with_limit(name: &str) -> Result<PathBuf> {
    let dir = with_quota(name)?;
    inside(OWN, || {
        set(&dir, USERS, USER, space(LIMIT))?;
        Ok(turn(&dir, USERS, true)?)
    })?;
    Ok(dir)
}

fn as_user(body: impl FnOnce() -> Result<()>) -> Result<()> {
    inside(OWN, || {
        become_user()?;
        body()
    })
}

fn create(path: &Path, flags: OFlags) -> Result<rustix::fd::OwnedFd, Errno> {
    open(path, OFlags::RDWR | OFlags::CREATE | flags)
}

/// Nobody has more than he may.
fn is_within(dir: &Path) -> Result<()> {
    let (bytes, _) = owners_equal_a_scan(dir)?[&WHO];
    ensure!(bytes <= LIMIT << 10, "{bytes} bytes");
    Ok(())
}

/// It is told at the first touch, and what was touched is written out.
fn mapped() -> Result<()> {
    let dir = with_limit("map")?;
    let path = dir.join("file");
    let child = spawn(|| {
        let user = enter(OWN).and_then(|()| become_user());
        let touched = user.and_then(|()| touch(&path, 4 << 20));
        i32::from(touched.is_err())
    })?;
    let status = child.wait()?;
    ensure!(status == Status::Killed(Signal::BUS.as_raw()), "{status:?}");
    is_full(&dir, WHO)?;
    let content = fs::read(&path)?;
    let pages = content.chunks(4096).filter(|page| page[0] == 1).count() as u64;
    let (bytes, _) = owners_equal_a_scan(&dir)?[&WHO];
    ensure!(
        pages * 4096 + (128 << 10) >= bytes,
        "{pages} pages, {bytes} bytes"
    );
    Ok(())
}

fn allocated() -> Result<()> {
    let dir = with_limit("allocate")?;
    as_user(|| {
        let file = create(&dir.join("file"), OFlags::empty())?;
        let none = FallocateFlags::empty();
        rfs::fallocate(&file, none, 0, LIMIT << 9)?;
        expect(rfs::fallocate(&file, none, 0, LIMIT << 12), Errno::DQUOT)
    })?;
    is_within(&dir)
}

fn written_directly() -> Result<()> {
    let dir = with_limit("directly")?;
    let mut over = Errno::DQUOT;
    if on("btrfs") {
        // Where there are checksums it goes by the page cache; where not, there is only one error.
        rfs::ioctl_setflags(open(&dir, OFlags::RDONLY)?, IFlags::NOCOW)?;
        over = Errno::NOSPC;
    }
    as_user(|| {
        let file = create(&dir.join("file"), OFlags::DIRECT)?;
        let buffer = vec![1u8; 128 << 10];
        let start = buffer.as_ptr().align_offset(4096);
        let mut sum = 0;
        while sum <= LIMIT << 11 {
            match rustix::io::write(&file, &buffer[start..start + (64 << 10)]) {
                Ok(n) if n > 0 => sum += n as u64,
                done => return expect(done, over),
            }
        }
        anyhow::bail!("{sum} bytes and no end")
    })?;
    is_full(&dir, WHO)
}

fn copied() -> Result<()> {
    let dir = with_limit("copy")?;
    fs::write(dir.join("host"), vec![1; 4 << 20])?;
    as_user(|| {
        let from = open(&dir.join("host"), OFlags::RDONLY)?;
        let to = create(&dir.join("copy"), OFlags::empty())?;
        loop {
            match rfs::copy_file_range(&from, None, &to, None, 4 << 20) {
                Ok(n) if n > 0 => {}
                done => return expect(done, Errno::DQUOT),
            }
        }
    })?;
    is_within(&dir)
}
