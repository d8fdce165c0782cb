// SPDX-License-Identifier: GPL-2.0
//! Whether two open files are equal.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::Stat;

/// Read at once from each file.
const CHUNK: usize = 256 * 1024;
/// Compared before files are touched: most that differ do so here.
const PREFIX: usize = 4096;

/// What one inode has one of, as far as stat(2) says: device, mode, owner, group, size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dev: u64,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// Modification time, where it shall be kept.
    pub(super) time: Option<(i64, u64)>,
}

impl Key {
    pub(super) fn new(stat: &Stat, keep_times: bool) -> Self {
        Self {
            dev: stat.st_dev,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
            time: keep_times.then_some((stat.st_mtime, stat.st_mtime_nsec)),
        }
    }
}

/// Whether the files begin equally.
pub(super) fn same_prefix(a: &File, b: &File, size: u64) -> io::Result<bool> {
    let end = usize::try_from(size).map_or(PREFIX, |size| size.min(PREFIX));
    same_range(a, b, end as u64, PREFIX)
}

/// Whether the files, both of this size, are equal to the last byte.
pub(super) fn same_content(a: &File, b: &File, size: u64) -> io::Result<bool> {
    same_range(a, b, size, CHUNK)
}

fn same_range(a: &File, b: &File, end: u64, chunk: usize) -> io::Result<bool> {
    thread_local! {
        static BUFFERS: RefCell<[Vec<u8>; 2]> = RefCell::new([vec![0; CHUNK], vec![0; CHUNK]]);
    }
    BUFFERS.with_borrow_mut(|[left, right]| {
        let mut at = 0;
        while at < end {
            let length = usize::try_from(end - at).map_or(chunk, |rest| rest.min(chunk));
            let (left, right) = (&mut left[..length], &mut right[..length]);
            let read = |file: &File, buffer: &mut [u8]| match file.read_exact_at(buffer, at) {
                // It has become shorter.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                read => read.map(|()| true),
            };
            if !read(a, left)? || !read(b, right)? || left != right {
                return Ok(false);
            }
            at += length as u64;
        }
        Ok(true)
    })
}
