// SPDX-License-Identifier: GPL-2.0
//! The pool: a further name for each shared file, made of its hash, by which the next run finds it.
//!
//! `.hash/<2 hex digits>/<rest of the hash>`, one to a file system, beside the guests and out of their
//! reach. What a run remembers of its trees is below `.state` in it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, Stat, fstat, mkdirat, open, openat, statat, unlinkat};
use rustix::io::Errno;

use super::key::Hash;
use super::trees;
use crate::copy::open_quietly;
use crate::error::{Error, Result};
use crate::protect::{self, Exposed};
use crate::replace::Inode;
use crate::temp;
use crate::walk::DIRECTORY;

/// What a pool is called, beside the trees.
pub const NAME: &str = ".hash";

/// An open pool.
#[derive(Debug)]
pub struct Pool {
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
    pub(super) inode: Inode,
    /// There is none yet, and none is to be made.
    pub(crate) missing: bool,
}

/// What came of giving a file a name in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    /// It has one now.
    New,
    /// It had it already.
    Before,
    /// The name belongs to another file.
    Taken,
}

/// The pool of a tree if nothing else is said: beside it.
pub fn beside(tree: &Path) -> Result<PathBuf> {
    let tree = std::fs::canonicalize(tree).map_err(|e| Error::file("find", tree, e))?;
    match tree.parent() {
        Some(parent) => Ok(parent.join(NAME)),
        None => Err(Error::Place(
            "/ has no place beside it for a pool: name one with --pool".to_owned(),
        )),
    }
}

impl Pool {
    /// Opens the pool at `path`; nothing is there if it is missing and not to be made.
    ///
    /// It must be a directory of ours into which nobody else can write.
    pub fn open(path: &Path, create: bool) -> Result<Option<Self>> {
        let failed = |errno: Errno| Error::file("open the pool", path, errno);
        if create {
            match rustix::fs::mkdir(path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::place("make the pool", path, errno)),
            }
        }
        let fd = match open(path, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) if !create => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Error::Place(format!(
                    "{}: not a directory: move it away, or name another pool with --pool",
                    path.display()
                )));
            }
            fd => fd.map_err(failed)?,
        };
        let stat = fstat(&fd).map_err(failed)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
            return Err(Error::Place(format!(
                "{}: others could change this pool: it must be yours, with mode 700",
                path.display()
            )));
        }
        Ok(Some(Self {
            path: path.to_owned(),
            fd,
            inode: (stat.st_dev, stat.st_ino),
            missing: false,
        }))
    }

    /// Stands for a pool that is not there, in the directory `above`.
    pub(super) fn missing(path: &Path, above: &Path) -> Result<Self> {
        let failed = |errno: Errno| Error::file("open", above, errno);
        let fd = open(above, DIRECTORY, Mode::empty()).map_err(failed)?;
        let device = fstat(&fd).map_err(failed)?.st_dev;
        Ok(Self {
            path: path.to_owned(),
            fd,
            inode: (device, 0),
            missing: true,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that no tree contains the pool: its guest could change what others share.
    pub(super) fn check_outside(&self, trees: &[(Inode, PathBuf)]) -> Result<()> {
        let inside = trees::lies_in(&self.fd, trees);
        match inside.map_err(|e| Error::file("look above", &self.path, e))? {
            None => Ok(()),
            Some(tree) => Err(Error::Place(format!(
                "the pool {} lies in the tree {}: its guest could change it; name one outside with \
                 --pool",
                self.path.display(),
                tree.display()
            ))),
        }
    }

    /// Gives a file its name.
    pub(super) fn link(&self, file: &File, hash: &Hash) -> Result<Linked, Errno> {
        let name = name(hash);
        let mut linked = temp::link(file, self.fd.as_fd(), &name);
        if linked == Err(Errno::NOENT) {
            match mkdirat(&self.fd, &name[..2], Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            linked = temp::link(file, self.fd.as_fd(), &name);
        }
        match linked {
            Err(Errno::EXIST) => {}
            linked => return linked.map(|()| Linked::New),
        }
        let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
        let have = identity(self.stat(hash)?);
        Ok(match have == identity(fstat(file)?) {
            true => Linked::Before,
            false => Linked::Taken,
        })
    }

    /// Opens the file of that name.
    pub(super) fn entry(&self, hash: &Hash) -> Result<File, Errno> {
        open_quietly(&self.fd, OsStr::new(&name(hash)))
    }

    /// Removes a name.
    pub(super) fn remove(&self, hash: &Hash) -> Result<(), Errno> {
        let file = match self.entry(hash) {
            Err(Errno::NOENT) => return Ok(()),
            file => file?,
        };
        let mut unlink = || unlinkat(&self.fd, name(hash), AtFlags::empty());
        let way = protect::best();
        let protected = way.attributes().get(file.as_fd());
        match protected.is_ok_and(|attr| protect::is_unified(&attr)) {
            true => way.exposed(&file, &mut unlink).map_err(|e| match e {
                Exposed::Failed(errno) | Exposed::Bared(errno) => errno,
            }),
            false => unlink(),
        }
    }

    /// All entries, with their inodes.
    pub(crate) fn entries(&self) -> Result<Vec<(Hash, u64)>> {
        let failed = |errno: Errno| Error::file("read the pool", &self.path, errno);
        let mut all = Vec::new();
        for number in 0..=u8::MAX {
            let dir = format!("{number:02x}");
            let fd = match self.directory(OsStr::new(&dir)) {
                Err(Errno::NOENT) => continue,
                fd => fd.map_err(failed)?,
            };
            for entry in Dir::read_from(&fd).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let hash = parse(dir.as_bytes(), entry.file_name().to_bytes());
                all.extend(hash.map(|hash| (hash, entry.ino())));
            }
        }
        Ok(all)
    }

    /// What stat(2) says of an entry.
    pub(super) fn stat(&self, hash: &Hash) -> Result<Stat, Errno> {
        statat(&self.fd, name(hash), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The directory in which runs remember things, made if it is missing.
    pub(super) fn state(&self, create: bool) -> Result<OwnedFd, Errno> {
        if self.missing {
            return Err(Errno::NOENT);
        }
        if create {
            match mkdirat(&self.fd, ".state", Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        openat(&self.fd, ".state", DIRECTORY, Mode::empty())
    }

    /// The path of an entry, for messages.
    pub(super) fn path_of(&self, hash: &Hash) -> PathBuf {
        self.path.join(name(hash))
    }

    /// Opens one of its directories.
    pub(super) fn directory(&self, name: &OsStr) -> Result<OwnedFd, Errno> {
        if self.missing {
            return Err(Errno::NOENT);
        }
        openat(&self.fd, name, DIRECTORY, Mode::empty())
    }
}

/// What the pool calls a file, below its path.
pub(super) fn name(hash: &Hash) -> String {
    let hex = blake3::Hash::from_bytes(*hash).to_hex();
    format!("{}/{}", &hex[..2], &hex[2..])
}

/// The hash of which an entry's name is made, if it is one.
pub(super) fn parse(dir: &[u8], rest: &[u8]) -> Option<Hash> {
    let plain = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    if dir.len() != 2 || rest.len() != 62 || !dir.iter().chain(rest).all(plain) {
        return None;
    }
    let mut hex = [0; 64];
    hex[..2].copy_from_slice(dir);
    hex[2..].copy_from_slice(rest);
    blake3::Hash::from_hex(hex)
        .ok()
        .map(|hash| *hash.as_bytes())
}

/// Whether a path is that of an entry of a pool, wherever that is.
pub(crate) fn is_entry(path: &Path) -> bool {
    let dir = path.parent().and_then(Path::file_name);
    match (dir, path.file_name()) {
        (Some(dir), Some(rest)) => parse(dir.as_bytes(), rest.as_bytes()).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn names_are_what_clients_expect() {
        let hash = [0xab; 32];
        let name = name(&hash);
        let (dir, rest) = name.split_once('/').unwrap();
        assert_eq!((dir, rest.len()), ("ab", 62));
        assert_eq!(parse(dir.as_bytes(), rest.as_bytes()), Some(hash));
        assert_eq!(parse(b"AB", rest.as_bytes()), None);
        assert_eq!(parse(b"ab", &rest.as_bytes()[1..]), None);
    }

    #[test]
    fn a_name_belongs_to_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        assert!(Pool::open(&path, false).unwrap().is_none());
        let pool = Pool::open(&path, true).unwrap().unwrap();
        let file = |name: &str| {
            fs::write(dir.path().join(name), name).unwrap();
            File::open(dir.path().join(name)).unwrap()
        };
        let (a, b, hash) = (file("a"), file("b"), [1; 32]);
        assert_eq!(pool.link(&a, &hash), Ok(Linked::New));
        assert_eq!(pool.link(&a, &hash), Ok(Linked::Before));
        assert_eq!(pool.link(&b, &hash), Ok(Linked::Taken));
        assert_eq!(fs::read(pool.path_of(&hash)).unwrap(), b"a");
        pool.remove(&hash).unwrap();
        pool.remove(&hash).unwrap();
        assert_eq!(pool.link(&b, &hash), Ok(Linked::New));
    }

    #[test]
    fn a_pool_that_others_could_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Pool::open(&path, true).unwrap_err().to_string();
        assert!(error.contains("mode 700"), "{error}");
        fs::remove_dir(&path).unwrap();
        symlink("/tmp", &path).unwrap();
        let error = Pool::open(&path, true).unwrap_err().to_string();
        assert!(error.contains("not a directory"), "{error}");
    }

    #[test]
    fn a_pool_in_a_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("guest");
        fs::create_dir_all(tree.join("srv")).unwrap();
        let pool = Pool::open(&tree.join("srv/pool"), true).unwrap().unwrap();
        let stat = rustix::fs::stat(&tree).unwrap();
        let trees = [((stat.st_dev, stat.st_ino), tree)];
        let error = pool.check_outside(&trees).unwrap_err().to_string();
        assert!(error.contains("--pool"), "{error}");
        let pool = Pool::open(&dir.path().join(NAME), true).unwrap().unwrap();
        pool.check_outside(&trees).unwrap();
    }
}
