// SPDX-License-Identifier: GPL-2.0
//! Whether two open files are equal.

use std::cell::RefCell;
use std::fs::File;
use std::io;

use rustix::fs::Stat;

use crate::content::Content;

/// Compared before files are touched: most that differ do so here.
const PREFIX: u64 = 4096;

/// What one inode has one of, as far as stat(2) says: device, mode, owner, group, size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) dev: u64,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Modification time, where it shall be kept.
    pub(crate) time: Option<(i64, u64)>,
}

impl Key {
    pub(crate) fn new(stat: &Stat, keep_times: bool) -> Self {
        Self {
            dev: stat.st_dev,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
            time: keep_times.then_some((stat.st_mtime, stat.st_mtime_nsec)),
        }
    }
}

thread_local! {
    static BUFFERS: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Whether the files begin equally.
pub(crate) fn same_prefix(a: &File, b: &File, size: u64) -> io::Result<bool> {
    let begin = size.min(PREFIX);
    same(Content::dense(a, begin), Content::dense(b, begin))
}

/// Whether the files, of which their stats tell, are equal to the last byte.
pub(crate) fn same_content(a: (&File, &Stat), b: (&File, &Stat)) -> io::Result<bool> {
    same(Content::new(a.0, a.1), Content::new(b.0, b.1))
}

fn same(a: Content<'_>, b: Content<'_>) -> io::Result<bool> {
    BUFFERS.with_borrow_mut(|buffers| a.equals(&b, buffers))
}
