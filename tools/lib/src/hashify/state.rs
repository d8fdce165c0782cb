// SPDX-License-Identifier: GPL-2.0
//! What a run remembers of each tree, so that the next one reads only what has changed.
//!
//! Two lists, one file a tree, in the pool: the files that were read and not shared, with the hashes
//! of their content; and the paths that were shared, by which `--status` knows what is not any more.
//! It is of that very tree, and not of one that has its place after it was deleted. All of it is a hint: files are compared before they are shared, whatever stands here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, openat, renameat};
use rustix::io::Errno;

use super::key;
use super::pool::Pool;
use super::trees::Tree;

/// First in the file: what it is, and in which form.
const MAGIC: u64 = u64::from_le_bytes(*b"vshash04");

/// A file that was read: what it was, and the hashes of its beginning and of all of it (0: not made).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) ident: u64,
    pub(super) key: u64,
    pub(super) full: u64,
}

/// What is remembered of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// When, in seconds since 1970.
    pub(super) time: u64,
    /// Whether the hashes are of the modification times, too.
    pub(super) keep_times: bool,
    /// What was read, sorted.
    pub(super) seen: Vec<Seen>,
    /// The paths that were shared, as numbers, sorted.
    pub(super) shared: Vec<u64>,
}

impl State {
    /// What is remembered of the tree; nothing if that can't be read, or is of another tree.
    pub(crate) fn load(pool: &Pool, tree: &Tree) -> Self {
        let Ok(dir) = pool.state(false) else {
            return Self::default();
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&dir, name(&tree.path), flags, Mode::empty()).map(File::from);
        let state = file
            .map_err(io::Error::from)
            .and_then(|file| Self::read(tree.identity, io::BufReader::new(file)));
        state.unwrap_or_default()
    }

    /// What a clone of the tree begins with.
    pub(crate) fn of_clone(self) -> Self {
        Self {
            seen: Vec::new(),
            ..self
        }
    }

    /// What a run makes use of: hashes that it would make otherwise tell it nothing.
    pub(super) fn for_run(self, keep_times: bool) -> Self {
        match self.keep_times == keep_times {
            true => self,
            false => Self {
                seen: Vec::new(),
                ..self
            },
        }
    }

    /// Makes it what a run has to leave that has not looked at all files: what was shared before may be
    /// so still.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        self.time = before.time;
        self.shared.extend_from_slice(&before.shared);
        self.shared.sort_unstable();
        self.shared.dedup();
    }

    /// Whether anything of the tree was shared.
    pub(crate) fn shares(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Remembers it; until it is complete the old one stays.
    pub(crate) fn save(&self, pool: &Pool, tree: &Tree) -> io::Result<()> {
        let dir: OwnedFd = pool.state(true)?;
        let name = name(&tree.path);
        let new = format!("{name}.new");
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&dir, &new, flags, Mode::RUSR | Mode::WUSR)?);
        let mut out = io::BufWriter::new(file);
        self.write(tree.identity, &mut out)?;
        out.flush()?;
        out.get_ref().sync_data()?;
        Ok(renameat(&dir, &new, &dir, &name)?)
    }

    /// Forgets the tree at a path.
    pub(crate) fn remove(pool: &Pool, tree: &Path) -> Result<(), Errno> {
        match rustix::fs::unlinkat(pool.state(false)?, name(tree), rustix::fs::AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    /// What is remembered of a file that was read before and has not changed.
    pub(super) fn find(&self, ident: u64) -> Option<Seen> {
        let at = self
            .seen
            .binary_search_by_key(&ident, |seen| seen.ident)
            .ok()?;
        self.seen.get(at).copied()
    }

    /// Whether a path was shared.
    pub(super) fn was_shared(&self, path: &[u8]) -> bool {
        self.shared.binary_search(&key::of_path(path)).is_ok()
    }

    fn write(&self, tree: u64, out: &mut impl Write) -> io::Result<()> {
        let mut put = |number: u64| out.write_all(&number.to_le_bytes());
        let lengths = [self.seen.len() as u64, self.shared.len() as u64];
        let times = u64::from(self.keep_times);
        let mut sum = key::of_numbers(&[times, lengths[0], lengths[1]]);
        for number in [MAGIC, self.time, tree, times, lengths[0], lengths[1]] {
            put(number)?;
        }
        for number in self
            .seen
            .iter()
            .flat_map(|s| [s.ident, s.key, s.full])
            .chain(self.shared.iter().copied())
        {
            sum = sum.rotate_left(1) ^ number;
            put(number)?;
        }
        put(sum)
    }

    fn read(tree: u64, mut from: impl Read) -> io::Result<Self> {
        let mut get = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)
                .map(|()| u64::from_le_bytes(bytes))
        };
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        if get()? != MAGIC {
            return Err(broken());
        }
        let time = get()?;
        if get()? != tree {
            return Err(broken());
        }
        let keep_times = match get()? {
            0 => false,
            1 => true,
            _ => return Err(broken()),
        };
        let lengths = [get()?, get()?];
        let mut sum = key::of_numbers(&[u64::from(keep_times), lengths[0], lengths[1]]);
        let mut next = || {
            let number = get()?;
            sum = sum.rotate_left(1) ^ number;
            Ok::<_, io::Error>(number)
        };
        let mut state = Self {
            time,
            keep_times,
            ..Self::default()
        };
        for _ in 0..lengths[0] {
            let (ident, key, full) = (next()?, next()?, next()?);
            state.seen.push(Seen { ident, key, full });
        }
        for _ in 0..lengths[1] {
            state.shared.push(next()?);
        }
        match get()? == sum {
            true => Ok(state),
            false => Err(broken()),
        }
    }
}

/// The name of a tree's file.
fn name(tree: &Path) -> String {
    format!("{:016x}", key::of_path(tree.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn example() -> State {
        let seen = |ident| Seen {
            ident,
            key: ident * 3,
            full: 0,
        };
        State {
            time: 7,
            keep_times: true,
            seen: vec![seen(1), seen(5), seen(9)],
            shared: vec![key::of_path(b"usr/bin/cat")],
        }
    }

    #[test]
    fn it_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::open(&dir.path().join(".hash"), true)
            .unwrap()
            .unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            Tree::new(&path).unwrap()
        };
        let tree = make("web");
        assert_eq!(State::load(&pool, &tree), State::default());
        example().save(&pool, &tree).unwrap();
        let state = State::load(&pool, &tree);
        assert_eq!(state, example());
        assert_eq!(state.find(5).unwrap().key, 15);
        assert_eq!(state.find(6), None);
        assert!(state.was_shared(b"usr/bin/cat") && !state.was_shared(b"usr/bin/dd"));
        assert_eq!(State::load(&pool, &make("db")), State::default());
        State::remove(&pool, &tree.path).unwrap();
        assert_eq!(State::load(&pool, &tree), State::default());
        // Another one has its place.
        example().save(&pool, &tree).unwrap();
        fs::remove_dir(&tree.path).unwrap();
        drop(tree);
        // What has the same inode was born at another tick of its clock.
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(State::load(&pool, &make("web")), State::default());
    }

    #[test]
    fn what_is_broken_counts_as_nothing() {
        let mut bytes = Vec::new();
        example().write(4, &mut bytes).unwrap();
        assert_eq!(State::read(4, &*bytes).unwrap(), example());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let read = State::read(4, &*bad);
            assert!(
                read.is_err() || at / 8 == 1,
                "byte {at}: the time alone is not checked"
            );
            assert!(State::read(4, &bytes[..at]).is_err());
        }
    }
}
