// SPDX-License-Identifier: GPL-2.0
//! truncate(2), ftruncate(2), fallocate(2).

use super::prelude::*;
use crate::uring;
use io_uring::{
    opcode::{Fallocate, Ftruncate},
    types::Fd,
};

pub const TABLE: &[Operation] = &[
    op("truncate to nothing", Copy, |s| truncate(s, 0)),
    op("truncate to less", Copy, |s| truncate(s, 40)),
    op("truncate to a block and a bit", Copy, |s| truncate(s, 4100)),
    op("truncate to the same", Copy, |s| truncate(s, s.size()?)),
    op("truncate to more", Copy, |s| truncate(s, 20_000)),
    op("truncate to less than nothing", Same, |s| {
        truncate(s, u64::MAX)
    }),
    op("ftruncate", CopyFirst, |s| {
        done(rustix::fs::ftruncate(s.writer()?, 40))
    }),
    op("ftruncate by a reader", Same, |s| {
        done(rustix::fs::ftruncate(s.reader()?, 0))
    }),
    op("io_uring ftruncate", CopyFirst, |s| {
        let file = s.writer()?;
        uring::run(&Ftruncate::new(Fd(file.as_raw_fd()), 40).build())
    }),
    op("fallocate", CopyFirst, |s| allocate(s, 0, 8192, 8192)),
    op("fallocate KEEP_SIZE", CopyFirst, |s| {
        allocate(s, KEEP_SIZE, 8192, 8192)
    }),
    op("fallocate PUNCH_HOLE", CopyFirst, |s| {
        allocate(s, PUNCH_HOLE | KEEP_SIZE, 100, 5000)
    }),
    op("fallocate ZERO_RANGE", CopyFirst, |s| {
        allocate(s, ZERO_RANGE, 100, 12_000)
    }),
    op("fallocate ZERO_RANGE|KEEP_SIZE", CopyFirst, |s| {
        allocate(s, ZERO_RANGE | KEEP_SIZE, 4096, 4096)
    }),
    op("fallocate COLLAPSE_RANGE", CopyFirst, |s| {
        allocate(s, COLLAPSE_RANGE, 4096, 4096)
    }),
    op("fallocate INSERT_RANGE", CopyFirst, |s| {
        allocate(s, INSERT_RANGE, 4096, 4096)
    }),
    op("fallocate UNSHARE_RANGE", CopyFirst, |s| {
        allocate(s, UNSHARE_RANGE, 0, 8192)
    }),
    op("fallocate WRITE_ZEROES", CopyFirst, |s| {
        allocate(s, WRITE_ZEROES, 4096, 4096)
    }),
    op("fallocate by a reader", Same, |s| {
        done(rustix::fs::fallocate(s.reader()?, mode(0), 0, 20_000))
    }),
    // As xfs called it before there was a system call; it goes to the same end.
    op("FS_IOC_ZERO_RANGE", CopyFirst, |s| zero_range(&s.writer()?)),
    op("FS_IOC_ZERO_RANGE by a reader", Same, |s| {
        zero_range(&s.reader()?)
    }),
    op("io_uring fallocate", CopyFirst, |s| {
        let file = s.writer()?;
        uring::run(&Fallocate::new(Fd(file.as_raw_fd()), 20_000).build())
    }),
];

const KEEP_SIZE: u32 = 0x01;
const PUNCH_HOLE: u32 = 0x02;
const COLLAPSE_RANGE: u32 = 0x08;
const ZERO_RANGE: u32 = 0x10;
const INSERT_RANGE: u32 = 0x20;
const UNSHARE_RANGE: u32 = 0x40;
const WRITE_ZEROES: u32 = 0x80;
const FS_IOC_ZERO_RANGE: u64 = 0x4030_5839;

fn truncate(s: &Site, len: u64) -> Outcome {
    sys::call_path(libc::SYS_truncate, &s.a(), [len as usize, 0, 0])
}

fn mode(bits: u32) -> rustix::fs::FallocateFlags {
    rustix::fs::FallocateFlags::from_bits_retain(bits)
}

fn allocate(s: &Site, bits: u32, start: u64, len: u64) -> Outcome {
    done(rustix::fs::fallocate(s.writer()?, mode(bits), start, len))
}

fn zero_range(file: &OwnedFd) -> Outcome {
    // struct space_resv: from where (the beginning), start, length, and what nobody looks at
    let mut range = [0u64, 4096, 4096, 0, 0, 0];
    sys::ioctl(file, FS_IOC_ZERO_RANGE, &mut range)
}
