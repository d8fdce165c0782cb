// SPDX-License-Identifier: GPL-2.0
//! Files that exchange what they have, as they can on xfs.

use super::{OTHER, OWN, counted, equals_a_scan, limit_space, on};
use crate::calls::ioctl;
use crate::harness::Test;
use crate::tags::{inside, mount_at};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::AsRawFd as _;
use rustix::fs::{OFlags, syncfs};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![by_range];

/// Exchanges all that two files have.
fn exchange(one: &Path, two: &Path) -> Result<(), Errno> {
    const XFS_IOC_EXCHANGE_RANGE: u64 = 0x4028_5881;
    const TO_EOF: u64 = 1;
    let (one, two) = (open(one, OFlags::RDWR)?, open(two, OFlags::RDWR)?);
    // The one is in the structure, the other is asked.
    let fd = one.as_raw_fd() as u64;
    ioctl(&two, XFS_IOC_EXCHANGE_RANGE, &mut [fd, 0, 0, 0, TO_EOF]).map(drop)
}

/// As xfs has it, bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))
        })
    })
}

/// Lets the file system exchange ranges, or not; the tools that made it don't know of that. Its
/// superblock is in the first sector, and has a checksum.
fn can_exchange(can: bool) -> Result<()> {
    const INCOMPAT: usize = 219;
    const EXCHRANGE: u8 = 1 << 6;
    const CRC: std::ops::Range<usize> = 224..228;
    unmount(root(), UnmountFlags::empty())?;
    let device = std::env::var("DISK_XFS")?;
    let device = File::options().read(true).write(true).open(device)?;
    let mut sector = [0; 512];
    device.read_exact_at(&mut sector, 0)?;
    sector[INCOMPAT] &= !EXCHRANGE;
    if can {
        sector[INCOMPAT] |= EXCHRANGE;
    }
    sector[CRC].fill(0);
    let crc = crc32c(&sector);
    sector[CRC].copy_from_slice(&crc.to_le_bytes());
    device.write_all_at(&sector, 0)?;
    device.sync_all()?;
    drop(device);
    mount_at(&root(), "tag").context("mount")
}

fn by_range() -> Result<()> {
    if !on("xfs") {
        return Ok(());
    }
    counted("exchanged")?;
    can_exchange(true)?;
    let done = exchanged();
    can_exchange(false)?;
    done
}

fn exchanged() -> Result<()> {
    const SIZE: usize = 300 << 10;
    let dir = counted("exchanged")?;
    abi::add_dlimit(OTHER, &dir)?;
    let [own, other, host] = ["own", "other", "host"].map(|name| dir.join(name));
    inside(OWN, || Ok(fs::write(&own, vec![1; 64 << 10])?))?;
    inside(OTHER, || Ok(fs::write(&other, vec![2; SIZE])?))?;
    fs::write(&host, vec![3; 2 * SIZE])?;
    syncfs(open(&dir, OFlags::RDONLY)?)?;
    // What they have changes sides.
    exchange(&own, &other)?;
    ensure!(fs::read(&own)? == vec![2; SIZE]);
    ensure!(equals_a_scan(OWN)? == (SIZE as u64, 1));
    ensure!(equals_a_scan(OTHER)? == (64 << 10, 1));
    // Not if that is too much.
    limit_space(&dir, OWN, (SIZE as u64 >> 10) + 100)?;
    inside(OWN, || expect(exchange(&own, &host), Errno::NOSPC))?;
    inside(OWN, || expect(exchange(&host, &own), Errno::NOSPC))?;
    ensure!(equals_a_scan(OWN)? == (SIZE as u64, 1));
    limit_space(&dir, OWN, (2 * SIZE as u64) >> 10)?;
    inside(OWN, || Ok(exchange(&own, &host)?))?;
    ensure!(equals_a_scan(OWN)? == (2 * SIZE as u64, 1));
    // To have less is always possible.
    limit_space(&dir, OWN, 0)?;
    inside(OWN, || Ok(exchange(&own, &host)?))?;
    ensure!(equals_a_scan(OWN)? == (SIZE as u64, 1));
    Ok(())
}
