// SPDX-License-Identifier: GPL-2.0
//! Reads the log of `dm-log-writes` (drivers/md/dm-log-writes.c says how it is laid out): a
//! superblock, then for each write a sector that describes it and the sectors written.
//!
//! The log says in which order writes were made durable: what had completed before a flush stands
//! before it. So whatever stands up to a flush was on the disk at least when that had ended.

use anyhow::{Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const SECTOR: u64 = 512;

const FLUSH: u64 = 1 << 0;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

pub enum Entry {
    Write {
        /// Where on the disk, and where in the log, in bytes.
        to: u64,
        from: u64,
        len: u64,
        durable: bool,
    },
    Discard {
        to: u64,
        len: u64,
    },
    Mark(String),
}

impl Entry {
    /// All that stands before it, and it itself, has been made durable.
    pub fn is_durable(&self) -> bool {
        matches!(self, Entry::Write { durable: true, .. })
    }
}

/// All entries in order. A flush without data is a write of nothing.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let log = File::open(path)?;
    let mut sector = [0; SECTOR as usize];
    log.read_exact_at(&mut sector, 0)?;
    ensure!(word(&sector, 0) == MAGIC, "no log of writes");
    ensure!(word(&sector, 3) as u32 == SECTOR as u32, "sector size");
    let count = word(&sector, 2);

    let mut entries = Vec::new();
    let mut at = SECTOR;
    for _ in 0..count {
        log.read_exact_at(&mut sector, at)?;
        at += SECTOR;
        let (to, len) = (word(&sector, 0) * SECTOR, word(&sector, 1) * SECTOR);
        let flags = word(&sector, 2);
        entries.push(if flags & MARK != 0 {
            let text = &sector[32..][..word(&sector, 3) as usize];
            Entry::Mark(String::from_utf8_lossy(text).into_owned())
        } else if flags & DISCARD != 0 {
            Entry::Discard { to, len }
        } else {
            let from = at;
            at += len;
            Entry::Write {
                to,
                from,
                len,
                durable: flags & (FLUSH | FUA) != 0,
            }
        });
    }
    Ok(entries)
}

fn word(sector: &[u8], n: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&sector[n * 8..n * 8 + 8]);
    u64::from_le_bytes(bytes)
}
