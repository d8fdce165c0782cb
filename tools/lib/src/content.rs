// SPDX-License-Identifier: GPL-2.0
//! The content of files, read once and in large pieces; what a file says to be a hole is not read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

/// Read at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// An open file of a known size.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    file: &'a File,
    size: u64,
    /// It takes less of the disk than it is long.
    sparse: bool,
}

impl<'a> Content<'a> {
    /// The content of the file of which `stat` tells.
    pub(crate) fn new(file: &'a File, stat: &Stat) -> Self {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        Self {
            file,
            size,
            sparse: allocated < size && size > CHUNK as u64,
        }
    }

    /// The first bytes of the file.
    pub(crate) fn dense(file: &'a File, size: u64) -> Self {
        Self {
            file,
            size,
            sparse: false,
        }
    }

    /// Fills the buffer from `at`; false if the file has become shorter.
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<bool> {
        match self.file.read_exact_at(buffer, at) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| true),
        }
    }

    /// The beginning of the first chunk from `at`, itself one, in which there may be data.
    fn next_data(&self, at: u64) -> u64 {
        if !self.sparse {
            return at;
        }
        match seek(self.file, SeekFrom::Data(at)) {
            Ok(data) => data - data % CHUNK as u64,
            Err(Errno::NXIO) => self.size,
            // It doesn't tell: read all.
            Err(_) => at,
        }
    }

    /// Gives each chunk in which there may be data, with its offset; false if the file has become
    /// shorter.
    pub(crate) fn chunks(
        &self,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(u64, &[u8]),
    ) -> io::Result<bool> {
        let mut at = self.next_data(0);
        while at < self.size {
            let length = piece(self.size - at);
            buffer.resize(length.max(buffer.len()), 0);
            let buffer = &mut buffer[..length];
            if !self.read(buffer, at)? {
                return Ok(false);
            }
            take(at, buffer);
            at = self.next_data(at + length as u64);
        }
        Ok(true)
    }

    /// Whether both are equal to the last byte.
    pub(crate) fn equals(&self, other: &Self, buffers: &mut [Vec<u8>; 2]) -> io::Result<bool> {
        if self.size != other.size {
            return Ok(false);
        }
        let [left, right] = buffers;
        let next = |at| self.next_data(at).min(other.next_data(at));
        let mut at = next(0);
        while at < self.size {
            let length = piece(self.size - at);
            left.resize(length.max(left.len()), 0);
            right.resize(length.max(right.len()), 0);
            let (left, right) = (&mut left[..length], &mut right[..length]);
            if !self.read(left, at)? || !other.read(right, at)? || left != right {
                return Ok(false);
            }
            at = next(at + length as u64);
        }
        Ok(true)
    }

    /// Whether the content is these bytes.
    pub(crate) fn is(&self, bytes: &[u8], buffer: &mut Vec<u8>) -> io::Result<bool> {
        buffer.resize(bytes.len().max(buffer.len()), 0);
        let buffer = &mut buffer[..bytes.len()];
        Ok(self.size == bytes.len() as u64 && self.read(buffer, 0)? && buffer == bytes)
    }

    /// The whole content, or nothing if it is more than a chunk or has become shorter.
    pub(crate) fn whole(&self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        if self.size > CHUNK as u64 {
            return Ok(false);
        }
        buffer.resize(piece(self.size), 0);
        self.read(buffer, 0)
    }

    /// The beginning, as many bytes as there are up to `most`; false if the file has become shorter.
    pub(crate) fn prefix(&self, most: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
        buffer.resize(piece(self.size).min(most), 0);
        self.read(buffer, 0)
    }
}

fn piece(rest: u64) -> usize {
    usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, data: &[(u64, &[u8])]) -> (File, Stat) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for (at, bytes) in data {
            file.write_all_at(bytes, *at).unwrap();
        }
        file.sync_all().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        (file, stat)
    }

    fn equal(a: &(File, Stat), b: &(File, Stat)) -> bool {
        let (a, b) = (Content::new(&a.0, &a.1), Content::new(&b.0, &b.1));
        a.equals(&b, &mut Default::default()).unwrap()
    }

    #[test]
    fn holes_are_equal_to_zeros() {
        let far = 5 * CHUNK as u64 + 7;
        let zeros = vec![0; CHUNK + 9];
        let holes = file(far + 100, &[(far, b"end")]);
        let filled = file(far + 100, &[(far, b"end"), (100, &zeros)]);
        let other = file(far + 100, &[(far, b"end"), (2 * CHUNK as u64 + 1, b"x")]);
        assert!(equal(&holes, &filled) && equal(&filled, &holes));
        assert!(!equal(&holes, &other) && !equal(&other, &filled));
        assert!(!equal(&holes, &file(far + 101, &[(far, b"end")])));
    }

    #[test]
    fn a_terabyte_of_nothing_takes_no_time() {
        let huge = file(1 << 40, &[((1 << 40) - 1, b"x")]);
        assert!(equal(&huge, &file(1 << 40, &[((1 << 40) - 1, b"x")])));
        let mut seen = Vec::new();
        let content = Content::new(&huge.0, &huge.1);
        let done = content.chunks(&mut Vec::new(), |at, bytes| seen.push((at, bytes.len())));
        assert!(done.unwrap());
        assert_eq!(seen, [((1 << 40) - CHUNK as u64, CHUNK)]);
    }

    #[test]
    fn what_has_become_shorter_is_known() {
        let (short, stat) = file(3, &[(0, b"abc")]);
        let content = Content::new(&short, &stat);
        let mut buffer = Vec::new();
        assert!(content.whole(&mut buffer).unwrap() && buffer == b"abc");
        assert!(content.is(b"abc", &mut Vec::new()).unwrap());
        assert!(!content.is(b"abd", &mut Vec::new()).unwrap());
        short.set_len(2).unwrap();
        assert!(!content.whole(&mut buffer).unwrap());
        assert!(!content.chunks(&mut buffer, |_, _| ()).unwrap());
    }
}
