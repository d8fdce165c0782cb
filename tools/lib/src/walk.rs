// SPDX-License-Identifier: GPL-2.0
//! Walking a tree that somebody may be changing who wishes us no good.
//!
//! No path is looked up twice: a directory is opened below its open parent, which neither a symlink
//! nor a mount nor `..` leads out of, and what is found is dealt with by descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::vec;

use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::fs::{open, openat, openat2, statat};
use rustix::io::Errno;

use crate::copy::open_quietly;
use crate::error::{Error, Result};

/// To open a directory for looking into it, and nothing that a symlink leads to.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// So deep does anybody go into a tree; each level has a descriptor, and its path grows. What is deeper is
/// of somebody who wants to use these up.
pub(crate) const DEEPEST: usize = 1000;

/// What it says of a directory at that depth, whose path would be long.
pub(crate) fn too_deep(path: &Path) -> Error {
    let begin: PathBuf = path.components().take(4).collect();
    let begin = begin.display();
    Error::Invalid(format!("{begin}/...: more than {DEEPEST} directories deep"))
}

/// What a walk has found: a name in an open directory.
#[derive(Clone, Debug)]
pub struct Entry {
    dir: Rc<OwnedFd>,
    name: OsString,
    path: PathBuf,
    kind: FileType,
    links: u64,
}

impl Entry {
    /// Finds the file at `path`; a final symlink is not followed.
    pub fn find(path: &Path) -> Result<Self> {
        let failed = |errno: Errno| Error::file("open", path, errno);
        let (dir, name) = match (path.parent(), path.file_name()) {
            (Some(dir), Some(name)) if dir.as_os_str().is_empty() => (Path::new("."), name),
            (Some(dir), Some(name)) => (dir, name),
            // `/`, `..`: the directory is its own way in.
            _ => (path, OsStr::new(".")),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Rc::new(open(dir, flags, Mode::empty()).map_err(failed)?);
        Self::look(dir, name.to_owned(), path.to_owned()).map_err(failed)
    }

    fn look(dir: Rc<OwnedFd>, name: OsString, path: PathBuf) -> Result<Self, Errno> {
        let stat = statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Self {
            dir,
            name,
            path,
            kind: FileType::from_raw_mode(stat.st_mode),
            links: stat.st_nlink,
        })
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of file it was when it was found.
    pub fn kind(&self) -> FileType {
        self.kind
    }

    /// Opens it to read; `None` if it is no regular file, or not any more.
    pub(crate) fn open_file(&self) -> Result<Option<File>, Errno> {
        if !self.kind.is_file() {
            return Ok(None);
        }
        match open_quietly(&self.dir, &self.name) {
            Err(Errno::LOOP | Errno::NXIO) => Ok(None),
            file => file.map(Some),
        }
    }

    /// Opens it to read if it is a regular file that had other names.
    pub(crate) fn open_if_linked(&self) -> Result<Option<File>, Errno> {
        match self.links {
            0 | 1 => Ok(None),
            _ => self.open_file(),
        }
    }

    /// Opens it to read if it is of a kind that can have attributes: a file or a directory.
    pub(crate) fn open(&self) -> Result<Option<File>, Errno> {
        match self.kind.is_dir() {
            true => openat(&self.dir, &self.name, DIRECTORY, Mode::empty())
                .map(|fd| Some(File::from(fd))),
            false => self.open_file(),
        }
    }

    /// A path that leads to it also if its directory is moved or replaced meanwhile.
    pub(crate) fn anchored(&self) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.dir.as_raw_fd().to_string())
            .join(&self.name)
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Into directories.
    pub recursive: bool,
    /// Into what is mounted there.
    pub cross_mounts: bool,
}

/// A walk under way; a directory comes before what is in it.
pub struct Walk {
    options: Options,
    /// Comes next: where it begins.
    first: Option<Result<Entry>>,
    /// The last one that was given out, if it is a directory to be entered.
    below: Option<Entry>,
    levels: Vec<Level>,
}

/// An open directory, and the names in it that are still to come.
struct Level {
    dir: Rc<OwnedFd>,
    path: PathBuf,
    names: vec::IntoIter<OsString>,
}

/// `path`, with all that is in it as the options say.
pub fn walk(path: &Path, options: Options) -> Walk {
    Walk {
        options,
        first: Some(Entry::find(path)),
        below: None,
        levels: Vec::new(),
    }
}

impl Walk {
    fn give(&mut self, entry: Entry) -> Result<Entry> {
        if self.options.recursive && entry.kind.is_dir() {
            self.below = Some(entry.clone());
        }
        Ok(entry)
    }

    /// Opens a directory; `None` if that is none any more, or not to be entered.
    fn enter(&self, entry: Entry) -> Result<Option<Level>> {
        if self.levels.len() >= DEEPEST {
            return Err(too_deep(&entry.path));
        }
        let opened = if self.levels.is_empty() {
            // Whatever is mounted here was asked for.
            openat(&entry.dir, &entry.name, DIRECTORY, Mode::empty())
        } else {
            let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            if !self.options.cross_mounts {
                resolve |= ResolveFlags::NO_XDEV;
            }
            openat2(&entry.dir, &entry.name, DIRECTORY, Mode::empty(), resolve)
        };
        let dir = match opened {
            Err(Errno::XDEV | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            dir => dir.map_err(|e| Error::file("open", &entry.path, e))?,
        };
        let names = names(&dir).map_err(|e| Error::file("read", &entry.path, e))?;
        Ok(Some(Level {
            dir: Rc::new(dir),
            path: entry.path,
            names: names.into_iter(),
        }))
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

impl Iterator for Walk {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first.and_then(|entry| self.give(entry)));
        }
        if let Some(below) = self.below.take() {
            match self.enter(below) {
                Ok(level) => self.levels.extend(level),
                Err(e) => return Some(Err(e)),
            }
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            match Entry::look(level.dir.clone(), name, path.clone()) {
                // It is gone by now.
                Err(Errno::NOENT) => {}
                Ok(entry) => return Some(self.give(entry)),
                Err(errno) => return Some(Err(Error::file("look at", &path, errno))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const ALL: Options = Options {
        recursive: true,
        cross_mounts: false,
    };

    /// A directory `t` with `t/d/f`, `t/e/g` and a symlink `t/l` to a directory with `secret`.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let t = dir.path().join("t");
        for (sub, file) in [("d", "f"), ("e", "g")] {
            fs::create_dir_all(t.join(sub)).unwrap();
            fs::write(t.join(sub).join(file), "content").unwrap();
        }
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        symlink("../outside", t.join("l")).unwrap();
        dir
    }

    fn paths(walk: Walk, below: &Path) -> Vec<String> {
        walk.map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(below).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect()
    }

    #[test]
    fn all_is_found_once_and_in_order() {
        let dir = tree();
        let t = dir.path().join("t");
        let found = paths(walk(&t, ALL), dir.path());
        assert_eq!(found, ["t", "t/d", "t/d/f", "t/e", "t/e/g", "t/l"]);
        let found = paths(walk(&t, Options::default()), dir.path());
        assert_eq!(found, ["t"]);
    }

    #[test]
    fn a_directory_turned_into_a_symlink_is_not_followed() {
        let dir = tree();
        let t = dir.path().join("t");
        let mut found = Vec::new();
        for entry in walk(&t, ALL) {
            let entry = entry.unwrap();
            if entry.path().ends_with("t/e") {
                fs::rename(t.join("e"), t.join("aside")).unwrap();
                symlink("../outside", t.join("e")).unwrap();
            }
            found.push(entry.name().to_str().unwrap().to_owned());
        }
        assert_eq!(found, ["t", "d", "f", "e", "l"]);
    }

    #[test]
    fn a_walk_goes_on_in_a_directory_that_was_moved_out_of_its_path() {
        let dir = tree();
        let t = dir.path().join("t");
        for entry in walk(&t, ALL) {
            let entry = entry.unwrap();
            if entry.path().ends_with("d/f") {
                fs::rename(t.join("d"), t.join("moved")).unwrap();
                symlink("../outside", t.join("d")).unwrap();
                fs::write(dir.path().join("outside/f"), "another").unwrap();
                let file = entry.open_file().unwrap().unwrap();
                assert_eq!(std::io::read_to_string(file).unwrap(), "content");
            }
        }
    }

    /// It has a descriptor for each level, and their number is limited.
    #[test]
    fn a_walk_ends_at_a_depth() {
        use rustix::fs::mkdirat;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "content").unwrap();
        let mut at = open(dir.path(), DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..DEEPEST + 500 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        let found: Vec<_> = walk(dir.path(), ALL).collect();
        let errors: Vec<_> = found.iter().filter_map(|e| e.as_ref().err()).collect();
        assert_eq!((found.len(), errors.len()), (DEEPEST + 3, 1));
        assert!(errors[0].to_string().contains("directories deep"));
        let last = found.last().unwrap().as_ref().unwrap();
        assert_eq!(last.name(), "f", "it goes on");
        crate::removal::remove_tree(&dir.path().join("d")).unwrap();
    }

    #[test]
    fn a_final_symlink_is_not_opened() {
        let dir = tree();
        let link = Entry::find(&dir.path().join("t/l")).unwrap();
        assert!(link.open().unwrap().is_none());
        // Nor is one that took a file's place.
        let file = Entry::find(&dir.path().join("t/d/f")).unwrap();
        fs::remove_file(file.path()).unwrap();
        symlink("../../outside/secret", file.path()).unwrap();
        assert!(file.open().unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        let error = walk(Path::new("/nonexistent/x"), ALL).next().unwrap();
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "open /nonexistent/x: No such file or directory (os error 2)"
        );
        assert_eq!(
            Entry::find(Path::new("/")).unwrap().kind(),
            FileType::Directory
        );
        assert_eq!(
            Entry::find(Path::new("..")).unwrap().kind(),
            FileType::Directory
        );
    }

    #[test]
    fn other_file_systems_are_not_entered() {
        // Mounted on every Linux: proc in the root's tree.
        let proc = Entry::find(Path::new("/proc")).unwrap();
        let mut inside = walk(Path::new("/"), ALL);
        inside.next().unwrap().unwrap();
        let below = inside.below.take().unwrap();
        let root = inside.enter(below).unwrap().unwrap();
        inside.levels.push(root);
        assert!(inside.enter(proc.clone()).unwrap().is_none());
        inside.options.cross_mounts = true;
        assert!(inside.enter(proc).unwrap().is_some());
    }
}
