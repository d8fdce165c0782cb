// SPDX-License-Identifier: GPL-2.0
//! Calls of single file systems that give a file other blocks, mostly those of a second file. Who
//! makes them has both open for writing.

use super::prelude::*;
use crate::matrix::site::holds_data_in_inodes;
use crate::unified::root;
use rustix::fs as rfs;

pub const TABLE: &[Operation] = &[
    op("xfs: swap extents", CopyFirst, |s| {
        swap_extents(&s.writer()?, &equally_long(s)?)
    }),
    op("xfs: swap extents of a reader", Same, |s| {
        swap_extents(&s.reader()?, &equally_long(s)?)
    }),
    op("xfs: swap extents with a reader", Same, |s| {
        swap_extents(&equally_long(s)?, &s.reader()?)
    }),
    op("xfs: exchange a range", CopyFirst, |s| {
        exchange_range(&s.writer()?, &donor(s)?)
    }),
    op("xfs: exchange a range with it", CopyFirst, |s| {
        exchange_range(&donor(s)?, &s.writer()?)
    }),
    op("xfs: exchange a range of a reader", Same, |s| {
        exchange_range(&s.reader()?, &donor(s)?)
    }),
    op("xfs: exchange a range with a reader", Same, |s| {
        exchange_range(&donor(s)?, &s.reader()?)
    }),
    op("xfs: commit a range", CopyFirst, |s| {
        commit_range(&s.writer()?, &donor(s)?)
    }),
    op("xfs: commit a range to a reader", Same, |s| {
        commit_range(&s.reader()?, &donor(s)?)
    }),
    op("xfs: commit a range of a reader", Same, |s| {
        commit_range(&donor(s)?, &s.reader()?)
    }),
    op("ext4: move extents", CopyFirst, |s| {
        move_extents(&s.writer()?, &donor(s)?)
    }),
    op("ext4: move extents to it", CopyFirst, |s| {
        move_extents(&donor(s)?, &s.writer()?)
    }),
    op("ext4: move extents of a reader", Same, |s| {
        move_extents(&s.reader()?, &donor(s)?)
    }),
    op("ext4: move extents to a reader", Same, |s| {
        move_extents(&donor(s)?, &s.reader()?)
    }),
    // Once more, so that the boot loader's inode is as before. Where there is quota ext4 begins that
    // without room for it in the journal, and gives up if its block is not in the transaction already.
    op("ext4: swap with the boot loader", CopyFirst, |s| {
        let file = s.writer()?;
        if root().ends_with("ext4") || holds_data_in_inodes() {
            return Err(Errno::OPNOTSUPP);
        }
        sys::ioctl_number(&file, EXT4_IOC_SWAP_BOOT, 0)?;
        sys::ioctl_number(&file, EXT4_IOC_SWAP_BOOT, 0)
    }),
    op("ext4: swap with the boot loader by a reader", Same, |s| {
        sys::ioctl_number(s.reader()?, EXT4_IOC_SWAP_BOOT, 0)
    }),
    op("f2fs: move a range", CopyFirst, |s| {
        move_range(&donor(s)?, &s.writer()?)
    }),
    op("f2fs: move a range from it", CopyFirst, |s| {
        move_range(&s.writer()?, &donor(s)?)
    }),
    op("f2fs: move a range to a reader", Same, |s| {
        move_range(&donor(s)?, &s.reader()?)
    }),
    op("f2fs: move a range from a reader", Same, |s| {
        move_range(&s.reader()?, &donor(s)?)
    }),
    op("f2fs: atomic write", CopyFirst, |s| {
        atomic_write(&s.writer()?)
    }),
    op("f2fs: atomic write by a reader", Same, |s| {
        atomic_write(&s.reader()?)
    }),
    op("btrfs: encoded write by a reader", Same, |s| {
        // struct btrfs_ioctl_encoded_io_args: none of it is looked at
        sys::ioctl(s.reader()?, BTRFS_IOC_ENCODED_WRITE, &mut [0u64; 16])
    }),
];

const BLOCK: u64 = 4096;
const XFS_IOC_SWAPEXT: u64 = 0xc0c0_586d;
const XFS_IOC_EXCHANGE_RANGE: u64 = 0x4028_5881;
const XFS_IOC_START_COMMIT: u64 = 0x8058_5882;
const XFS_IOC_COMMIT_RANGE: u64 = 0x4058_5883;
const EXT4_IOC_MOVE_EXT: u64 = 0xc028_660f;
const EXT4_IOC_SWAP_BOOT: u64 = 0x6611;
const F2FS_IOC_START_ATOMIC_WRITE: u64 = 0xf501;
const F2FS_IOC_COMMIT_ATOMIC_WRITE: u64 = 0xf502;
const F2FS_IOC_MOVE_RANGE: u64 = 0xc020_f509;
const BTRFS_IOC_ENCODED_WRITE: u64 = 0x4080_9440;

/// The other file, which may be written to.
fn donor(s: &Site) -> Result<OwnedFd, Errno> {
    site::open(&s.x(), libc::O_RDWR)
}

/// The same, as long as `a` is.
fn equally_long(s: &Site) -> Result<OwnedFd, Errno> {
    let file = donor(s)?;
    rfs::ftruncate(&file, s.size()?)?;
    Ok(file)
}

/// `struct xfs_swapext`, of the structure in it what is looked at.
#[repr(C)]
struct SwapExtents {
    version: i64,
    target: i64,
    donor: i64,
    offset: i64,
    len: i64,
    pad: [u64; 2],
    inode: u64,
    ids: [u32; 5],
    size: i64,
    access: [i64; 2],
    modification: [i64; 2],
    change: [i64; 2],
    rest: [u64; 6],
}

fn swap_extents(target: &OwnedFd, donor: &OwnedFd) -> Outcome {
    let stat = rfs::fstat(target)?;
    let mut arg = SwapExtents {
        version: 0,
        target: sys::fd(target) as i64,
        donor: sys::fd(donor) as i64,
        offset: 0,
        len: stat.st_size,
        pad: [0; 2],
        inode: stat.st_ino,
        ids: [0; 5],
        size: stat.st_size,
        access: [0; 2],
        // Seconds, and nanoseconds in half of the next word.
        modification: [stat.st_mtime, stat.st_mtime_nsec as i64],
        change: [stat.st_ctime, stat.st_ctime_nsec as i64],
        rest: [0; 6],
    };
    sys::ioctl(target, XFS_IOC_SWAPEXT, &mut arg)
}

fn exchange_range(file: &OwnedFd, with: &OwnedFd) -> Outcome {
    // struct xfs_exchange_range: descriptor, two offsets, length, flags
    let mut range = [sys::fd(with) as u64, 0, 0, BLOCK, 0];
    sys::ioctl(file, XFS_IOC_EXCHANGE_RANGE, &mut range)
}

fn commit_range(file: &OwnedFd, from: &OwnedFd) -> Outcome {
    // struct xfs_commit_range: as above, then how fresh the file is
    let mut range = [0u64; 11];
    sys::ioctl(file, XFS_IOC_START_COMMIT, &mut range)?;
    range[0] = sys::fd(from) as u64;
    range[3] = BLOCK;
    sys::ioctl(file, XFS_IOC_COMMIT_RANGE, &mut range)
}

fn move_extents(file: &OwnedFd, donor: &OwnedFd) -> Outcome {
    // struct move_extent: reserved, donor; two first blocks, how many; how many were moved
    let mut range = [(sys::fd(donor) as u64) << 32, 0, 0, 1, 0];
    sys::ioctl(file, EXT4_IOC_MOVE_EXT, &mut range)?;
    Ok(range[4])
}

fn move_range(from: &OwnedFd, to: &OwnedFd) -> Outcome {
    // struct f2fs_move_range: destination, two offsets, length
    let mut range = [sys::fd(to) as u64, 0, 0, BLOCK];
    sys::ioctl(from, F2FS_IOC_MOVE_RANGE, &mut range)
}

fn atomic_write(file: &OwnedFd) -> Outcome {
    sys::ioctl_number(file, F2FS_IOC_START_ATOMIC_WRITE, 0)?;
    let wrote = rustix::io::pwrite(file, b"new", 0)?;
    sys::ioctl_number(file, F2FS_IOC_COMMIT_ATOMIC_WRITE, 0)?;
    Ok(wrote as u64)
}
