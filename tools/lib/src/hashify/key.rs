// SPDX-License-Identifier: GPL-2.0
//! By what files are told apart before they are compared, and what the pool calls them.
//!
//! The hash is BLAKE3 of what an inode has one of (mode, owner, group, size, the extended attributes),
//! of where each hole before data begins and ends, and of the hash of the data. A block of 64 KiB that
//! is all zeros is a hole: files that differ only in where they have holes are equal, and holes need not
//! be read. Data has a hash of its own because BLAKE3 is fast on what begins at its block boundaries.

use std::fs::File;
use std::io;

use rustix::fs::Stat;

use crate::content::Content;
use crate::unify::compare::Key;
use crate::xattr::Xattrs;

/// Hashed as one.
const BLOCK: usize = 64 * 1024;
/// Files up to this size are hashed as a whole at once, of others only so much.
pub(super) const PREFIX: usize = 32 * 1024;

/// What the pool calls a file.
pub(crate) type Hash = [u8; 32];

/// A hash under way.
struct Hashing {
    /// Of all but the data.
    outline: blake3::Hasher,
    data: blake3::Hasher,
    /// Where the last data ended.
    end: u64,
}

impl Hashing {
    /// What has to be equal besides the content is in it.
    fn new(key: &Key, xattrs: &Xattrs) -> Self {
        let mut outline = blake3::Hasher::new();
        for number in [key.mode, key.owner.0, key.owner.1] {
            outline.update(&number.to_le_bytes());
        }
        outline.update(&key.size.to_le_bytes());
        outline.update(&(xattrs.len() as u64).to_le_bytes());
        for bytes in xattrs.iter().flat_map(|(name, value)| [name, value]) {
            outline.update(&(bytes.len() as u64).to_le_bytes());
            outline.update(bytes);
        }
        if let Some((seconds, nanoseconds)) = key.time {
            outline.update(&seconds.to_le_bytes());
            outline.update(&nanoseconds.to_le_bytes());
        }
        Self {
            outline,
            data: blake3::Hasher::new(),
            end: 0,
        }
    }

    fn add(&mut self, at: u64, bytes: &[u8]) {
        let mut at = at;
        for block in bytes.chunks(BLOCK) {
            let end = at + block.len() as u64;
            if !is_zero(block) {
                if self.end != at {
                    self.outline.update(&self.end.to_le_bytes());
                    self.outline.update(&at.to_le_bytes());
                }
                self.data.update(block);
                self.end = end;
            }
            at = end;
        }
    }

    fn done(mut self) -> Hash {
        self.outline.update(self.data.finalize().as_bytes());
        *self.outline.finalize().as_bytes()
    }
}

fn is_zero(block: &[u8]) -> bool {
    let none = |piece: &[u8]| piece.iter().fold(0, |all, byte| all | byte) == 0;
    block.chunks(64).all(none)
}

/// The hash of a file whose content is at hand.
pub(super) fn of_bytes(key: &Key, xattrs: &Xattrs, content: &[u8]) -> Hash {
    let mut hashing = Hashing::new(key, xattrs);
    hashing.add(0, content);
    hashing.done()
}

/// The hash of a file; none if it has become shorter.
pub(super) fn of_file(
    key: &Key,
    xattrs: &Xattrs,
    file: &File,
    stat: &Stat,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Hash>> {
    let mut hashing = Hashing::new(key, xattrs);
    let whole = Content::new(file, stat).chunks(buffer, |at, bytes| hashing.add(at, bytes))?;
    Ok(whole.then(|| hashing.done()))
}

/// The hash of the beginning, which is all of a small file; none if it has become shorter.
pub(super) fn of_prefix(
    key: &Key,
    xattrs: &Xattrs,
    file: &File,
    stat: &Stat,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Hash>> {
    let whole = Content::new(file, stat).prefix(PREFIX, buffer)?;
    Ok(whole.then(|| of_bytes(key, xattrs, buffer)))
}

/// The first bytes of a hash as a number that is neither nothing nor everything.
pub(super) fn short(hash: &Hash) -> u64 {
    let first = hash
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    first.clamp(1, u64::MAX - 1)
}

/// A number for whatever is made of numbers.
pub(super) fn of_numbers(numbers: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    short(hasher.finalize().as_bytes())
}

/// A number for a path.
pub(super) fn of_path(path: &[u8]) -> u64 {
    short(blake3::hash(path).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn key(size: u64) -> Key {
        Key {
            dev: 1,
            size,
            mode: 0o100_644,
            owner: (0, 0),
            time: None,
        }
    }

    #[test]
    fn all_that_counts_is_in_it() {
        let base = of_bytes(&key(3), &Vec::new(), b"abc");
        let xattrs = vec![(b"user.a".to_vec(), b"1".to_vec())];
        assert_ne!(base, of_bytes(&key(3), &xattrs, b"abc"));
        assert_ne!(base, of_bytes(&key(3), &Vec::new(), b"abd"));
        let other = Key {
            mode: 0o100_600,
            ..key(3)
        };
        assert_ne!(base, of_bytes(&other, &Vec::new(), b"abc"));
        let other = Key {
            owner: (0, 1),
            ..key(3)
        };
        assert_ne!(base, of_bytes(&other, &Vec::new(), b"abc"));
        // Where it lies is not.
        assert_eq!(
            base,
            of_bytes(&Key { dev: 2, ..key(3) }, &Vec::new(), b"abc")
        );
    }

    #[test]
    fn holes_are_zeros_and_zeros_count() {
        let size = 9 * BLOCK as u64;
        let hash = |zeros: bool, at: u64| {
            let file = tempfile::tempfile().unwrap();
            if zeros {
                file.write_all_at(&vec![0; 3 * BLOCK], 0).unwrap();
            }
            file.write_all_at(b"x", at).unwrap();
            file.set_len(size).unwrap();
            file.sync_all().unwrap();
            let stat = rustix::fs::fstat(&file).unwrap();
            of_file(&key(size), &Vec::new(), &file, &stat, &mut Vec::new())
                .unwrap()
                .unwrap()
        };
        let at = 8 * BLOCK as u64;
        assert_eq!(hash(true, at), hash(false, at));
        assert_ne!(hash(true, at), hash(true, at - BLOCK as u64));
    }

    #[test]
    fn holes_begin_and_end_somewhere() {
        let hash = |blocks: [u8; 6]| {
            let content: Vec<u8> = blocks.iter().flat_map(|&b| vec![b; BLOCK]).collect();
            of_bytes(&key(content.len() as u64), &Vec::new(), &content)
        };
        // The same data, the second piece of which begins at the same place.
        assert_ne!(hash([1, 0, 0, 0, 2, 3]), hash([1, 2, 0, 0, 3, 0]));
    }

    #[test]
    fn a_small_file_has_one_hash() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let (none, mut buffer) = (Vec::new(), Vec::new());
        let hash = of_bytes(&key(3), &none, b"abc");
        assert_eq!(
            of_file(&key(3), &none, &file, &stat, &mut buffer).unwrap(),
            Some(hash)
        );
        assert_eq!(
            of_prefix(&key(3), &none, &file, &stat, &mut buffer).unwrap(),
            Some(hash)
        );
        file.set_len(2).unwrap();
        assert_eq!(
            of_file(&key(3), &none, &file, &stat, &mut buffer).unwrap(),
            None
        );
    }
}
