// SPDX-License-Identifier: GPL-2.0
//! Disk images in memory: sparse files on tmpfs.

use super::log::Entry;
use crate::dm;
use anyhow::{Context as _, Result};
use rustix::fs::{self as rfs, FallocateFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// So much is copied at once, or left a hole.
const CHUNK: usize = 64 << 10;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

pub struct Image {
    pub file: File,
    size: u64,
}

impl Image {
    /// An image of nothing.
    pub fn new(path: &Path, size: u64) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.set_len(size)?;
        Ok(Self { file, size })
    }

    /// An image of a disk.
    pub fn of(disk: &Path, path: &Path) -> Result<Self> {
        let image = Self::new(path, dm::size(disk)?)?;
        let from = File::open(disk)?;
        let mut buffer = vec![0; CHUNK];
        for at in (0..image.size).step_by(CHUNK) {
            let len = CHUNK.min((image.size - at) as usize);
            let piece = &mut buffer[..len];
            from.read_exact_at(piece, at)?;
            if *piece != ZEROS[..len] {
                image.file.write_all_at(piece, at)?;
            }
        }
        Ok(image)
    }

    /// Becomes the same as another image of the same size.
    pub fn become_copy_of(&self, other: &Image) -> Result<()> {
        self.file.set_len(0)?;
        self.file.set_len(self.size)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        while let Some(start) = seek(&other.file, SeekFrom::Data(at))? {
            at = seek(&other.file, SeekFrom::Hole(start))?.unwrap_or(self.size);
            for from in (start..at).step_by(CHUNK) {
                let piece = &mut buffer[..CHUNK.min((at - from) as usize)];
                other.file.read_exact_at(piece, from)?;
                self.file.write_all_at(piece, from)?;
            }
        }
        Ok(())
    }

    /// Does what was logged. What is discarded reads as zeros.
    pub fn replay(&self, entry: &Entry, log: &File) -> Result<()> {
        match *entry {
            Entry::Write { to, from, len, .. } => {
                let mut data = vec![0; len as usize];
                log.read_exact_at(&mut data, from)?;
                self.file.write_all_at(&data, to)?;
            }
            Entry::Discard { to, len } => {
                let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rfs::fallocate(&self.file, mode, to, len).context("discard")?;
            }
            Entry::Mark(_) => (),
        }
        Ok(())
    }
}

fn seek(file: &File, to: SeekFrom) -> Result<Option<u64>> {
    match rfs::seek(file, to) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
