// SPDX-License-Identifier: GPL-2.0
//! All regular files of the trees and of the pool, in little memory: some 70 bytes each.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The pool is a tree like the others, and the first one.
pub(super) const POOL: u16 = 0;
/// In the place of a key: the file is in the pool.
const SHARED: u64 = u64::MAX;

/// A name of a file.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) size: u64,
    pub(super) ino: u64,
    /// Inode, size and times in one number: another one when the file has changed.
    ident: AtomicU64,
    /// The hash of its beginning, 0 while it is not known.
    key: AtomicU64,
    /// Mode, owner and group in one number.
    pub(super) meta: u32,
    /// Where its name ends in its directory's list; it begins where the one before it ends.
    end: u32,
}

/// A directory of a tree.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) tree: u16,
    /// Its inode's number; 0 in the pool.
    ino: u64,
    parent: u32,
    name: Box<[u8]>,
    names: Box<[u8]>,
    pub(super) files: Box<[Record]>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ref {
    dir: u32,
    file: u32,
}

impl Ref {
    pub(super) fn new(dir: u32, file: u32) -> Self {
        Self { dir, file }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) dirs: Vec<Directory>,
}

/// The files of one directory, while it is read.
#[derive(Default)]
pub(super) struct Listing {
    /// The directory's inode number.
    pub(super) ino: u64,
    names: Vec<u8>,
    files: Vec<Record>,
}

impl Record {
    pub(super) fn ident(&self) -> u64 {
        self.ident.load(Ordering::Relaxed)
    }

    pub(super) fn set_ident(&self, ident: u64) {
        self.ident.store(ident, Ordering::Relaxed);
    }

    /// The hash of its beginning, if it is known.
    pub(super) fn key(&self) -> Option<u64> {
        match self.key.load(Ordering::Relaxed) {
            0 | SHARED => None,
            key => Some(key),
        }
    }

    pub(super) fn set_key(&self, key: u64) {
        self.key.store(key, Ordering::Relaxed);
    }

    /// Notes that the name leads to a file of the pool.
    pub(super) fn set_shared(&self) {
        self.key.store(SHARED, Ordering::Relaxed);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.key.load(Ordering::Relaxed) == SHARED
    }
}

impl Listing {
    /// Adds a file.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        size: u64,
        ino: u64,
        meta: u32,
        ident: u64,
        key: u64,
    ) {
        self.names.extend_from_slice(name);
        self.files.push(Record {
            size,
            ino,
            ident: AtomicU64::new(ident),
            key: AtomicU64::new(key),
            meta,
            end: u32::try_from(self.names.len()).unwrap_or(u32::MAX),
        });
    }
}

impl Files {
    /// Adds a directory that is about to be read, and gives its number.
    pub(super) fn add_dir(&mut self, tree: u16, parent: Option<u32>, name: &[u8]) -> u32 {
        let number = u32::try_from(self.dirs.len()).unwrap_or(u32::MAX);
        self.dirs.push(Directory {
            tree,
            parent: parent.unwrap_or(number),
            name: name.into(),
            ..Directory::default()
        });
        number
    }

    /// What was found in a directory.
    pub(super) fn fill(&mut self, dir: u32, listing: Listing) {
        if let Some(dir) = self.dirs.get_mut(dir as usize) {
            dir.ino = listing.ino;
            dir.names = listing.names.into();
            dir.files = listing.files.into();
        }
    }

    /// Every file, those first that may be equal to each other: by size, metadata, inode, and in the
    /// order of the trees.
    pub(super) fn sorted(&self) -> Vec<Ref> {
        let count = self.dirs.iter().map(|dir| dir.files.len()).sum();
        let mut all = Vec::with_capacity(count);
        for (number, dir) in self.dirs.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let files = 0..u32::try_from(dir.files.len()).unwrap_or(u32::MAX);
            all.extend(files.map(|file| Ref { dir: number, file }));
        }
        use rayon::slice::ParallelSliceMut;
        all.par_sort_unstable_by_key(|at| {
            let record = self.record(*at);
            (
                record.size,
                record.meta,
                record.ino,
                self.tree(*at),
                at.dir,
                at.file,
            )
        });
        all
    }

    pub(super) fn record(&self, at: Ref) -> &Record {
        &self.dirs[at.dir as usize].files[at.file as usize]
    }

    pub(super) fn tree(&self, at: Ref) -> u16 {
        self.dirs[at.dir as usize].tree
    }

    /// The number of its directory's inode; 0 in the pool.
    pub(super) fn dir_ino(&self, at: Ref) -> u64 {
        self.dirs[at.dir as usize].ino
    }

    /// The name in its directory.
    pub(super) fn name(&self, at: Ref) -> &[u8] {
        let dir = &self.dirs[at.dir as usize];
        let begin = match at.file {
            0 => 0,
            file => dir.files[file as usize - 1].end,
        };
        &dir.names[begin as usize..dir.files[at.file as usize].end as usize]
    }

    /// The path below the tree.
    pub(super) fn path(&self, at: Ref) -> PathBuf {
        let mut path = self.dir_path(at.dir);
        path.push(OsStr::from_bytes(self.name(at)));
        path
    }

    /// The path of a directory below its tree; empty for the tree itself.
    pub(super) fn dir_path(&self, dir: u32) -> PathBuf {
        let mut names = Vec::new();
        let mut number = dir;
        loop {
            let dir = &self.dirs[number as usize];
            if dir.parent == number {
                break;
            }
            names.push(OsStr::from_bytes(&dir.name));
            number = dir.parent;
        }
        names.into_iter().rev().collect()
    }

    /// Each file of a directory.
    pub(super) fn of_dir(&self, number: usize) -> impl Iterator<Item = Ref> + '_ {
        let files = self.dirs.get(number).map_or(0, |dir| dir.files.len());
        let dir = u32::try_from(number).unwrap_or(u32::MAX);
        (0..u32::try_from(files).unwrap_or(u32::MAX)).map(move |file| Ref { dir, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Files {
        let mut files = Files::default();
        let pool = files.add_dir(POOL, None, b"");
        let tree = files.add_dir(1, None, b"");
        let usr = files.add_dir(1, Some(tree), b"usr");
        let bin = files.add_dir(1, Some(usr), b"b\xffn");
        let mut listing = Listing::default();
        listing.add(b"cat", 7, 100, 1, 1, 0);
        listing.add(b"dd", 5, 101, 1, 2, 0);
        files.fill(bin, listing);
        let mut listing = Listing::default();
        listing.add(b"0123", 7, 100, 1, 3, 9);
        files.fill(pool, listing);
        files
    }

    #[test]
    fn paths_are_put_together() {
        let files = example();
        let paths: Vec<_> = files.sorted().iter().map(|at| files.path(*at)).collect();
        let want: [&[u8]; 3] = [b"usr/b\xffn/dd", b"0123", b"usr/b\xffn/cat"];
        let paths: Vec<_> = paths.iter().map(|p| p.as_os_str().as_bytes()).collect();
        assert_eq!(paths, want);
        assert_eq!(files.dir_path(1), PathBuf::new());
    }

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 40 && size_of::<Ref>() == 8);
    }

    #[test]
    fn keys_and_what_is_shared() {
        let files = example();
        let all = files.sorted();
        let (dd, pool) = (files.record(all[0]), files.record(all[1]));
        assert_eq!((dd.key(), pool.key()), (None, Some(9)));
        dd.set_key(4);
        assert_eq!((dd.key(), dd.is_shared()), (Some(4), false));
        dd.set_shared();
        assert_eq!((dd.key(), dd.is_shared()), (None, true));
    }
}
