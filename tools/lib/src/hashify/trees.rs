// SPDX-License-Identifier: GPL-2.0
//! The trees of a run, and the pool of each file system on which there are any.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxFlags};
use rustix::fs::{fstat, fstatvfs, openat, openat2, stat, statx};
use rustix::io::Errno;

use super::key;
use super::pool::{self, Pool};
use crate::config::Store;
use crate::error::{Error, Result};
use crate::replace::Inode;

/// Where guests live, if nothing else is said.
pub const GUESTS: &str = "/vservers";

/// An open tree.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) inode: Inode,
    /// A number for its root directory that no other one on the file system has or will have.
    pub(super) identity: u64,
}

/// The trees on one file system, with their pool.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) pool: Pool,
    pub(super) trees: Vec<Tree>,
}

impl Tree {
    /// Opens the tree at `path`.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let failed = |errno: Errno| match errno {
            Errno::NOENT | Errno::NOTDIR => {
                Error::Place(format!("{}: no such directory", path.display()))
            }
            errno => Error::file("open", path, errno),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&fd).map_err(failed)?;
        // Under one name, however it is called.
        let path = fs::canonicalize(path).map_err(|e| Error::file("find", path, e))?;
        Ok(Self {
            path,
            identity: identity(&fd).map_err(failed)?,
            fd: Arc::new(fd),
            inode: (stat.st_dev, stat.st_ino),
        })
    }

    /// Checks that nobody has moved or removed it meanwhile: before `vserver delete` takes anything
    /// out of a tree, it gives it another name.
    pub(crate) fn check_there(&self) -> Result<()> {
        match stat(&self.path) {
            Ok(stat) if (stat.st_dev, stat.st_ino) == self.inode => Ok(()),
            _ => Err(Error::Busy(format!(
                "{}: it was removed or replaced meanwhile",
                self.path.display()
            ))),
        }
    }

    /// Opens a file in it to read, without following a symlink, leaving the mount, waiting for a
    /// pipe's other end, or leaving a trace in its access time where that can be avoided.
    pub(super) fn open(&self, relative: &Path) -> Result<File, Errno> {
        const FLAGS: OFlags = OFlags::RDONLY
            .union(OFlags::NOFOLLOW)
            .union(OFlags::NONBLOCK)
            .union(OFlags::NOCTTY)
            .union(OFlags::CLOEXEC);
        let opened = match open_below(&self.fd, relative, FLAGS | OFlags::NOATIME) {
            Err(Errno::PERM) => open_below(&self.fd, relative, FLAGS),
            opened => opened,
        };
        opened.map(File::from)
    }
}

/// Opens what is below a directory, without following a symlink or leaving the mount.
pub(crate) fn open_below(root: &OwnedFd, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
        .union(ResolveFlags::NO_SYMLINKS)
        .union(ResolveFlags::NO_XDEV);
    match openat2(root, relative, flags, Mode::empty(), RESOLVE) {
        Err(Errno::NAMETOOLONG) => {}
        opened => return opened,
    }
    // Deeper than one call can say: step by step.
    let mut at: Option<OwnedFd> = None;
    let mut components = relative
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
    let last = components.next_back().ok_or(Errno::NOENT)?;
    for name in components {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = at.as_ref().unwrap_or(root);
        at = Some(openat2(dir, name, step, Mode::empty(), RESOLVE)?);
    }
    openat2(
        at.as_ref().unwrap_or(root),
        last,
        flags,
        Mode::empty(),
        RESOLVE,
    )
}

/// Inode numbers are given again; with the time at which the inode was made, where the file system
/// knows it, they are not. Device numbers change when the machine boots.
fn identity(fd: &OwnedFd) -> Result<u64, Errno> {
    let stat = statx(
        fd,
        "",
        AtFlags::EMPTY_PATH,
        StatxFlags::INO | StatxFlags::BTIME,
    )?;
    let known = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    let (seconds, nanoseconds) = match known {
        true => (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        false => (0, 0),
    };
    let seconds = u64::from_ne_bytes(seconds.to_ne_bytes());
    Ok(key::of_numbers(&[
        stat.stx_ino,
        seconds,
        nanoseconds.into(),
    ]))
}

/// Which of these trees a directory lies in, or is.
pub(crate) fn lies_in(dir: impl AsFd, trees: &[(Inode, PathBuf)]) -> Result<Option<&Path>, Errno> {
    const ABOVE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let identity = |fd: &OwnedFd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let mut fd = openat(dir, ".", ABOVE, Mode::empty())?;
    loop {
        let inode = identity(&fd)?;
        if let Some((_, tree)) = trees.iter().find(|(tree, _)| *tree == inode) {
            return Ok(Some(tree));
        }
        fd = openat(&fd, "..", ABOVE, Mode::empty())?;
        if identity(&fd)? == inode {
            return Ok(None);
        }
    }
}

/// Opens all trees and a pool for each file system on which there are any.
pub(super) fn open(paths: &[PathBuf], pool: Option<&Path>, create: bool) -> Result<Vec<Place>> {
    let mut trees: Vec<Tree> = Vec::new();
    for path in paths {
        let tree = Tree::new(path)?;
        if trees.iter().any(|other| other.inode == tree.inode) {
            return Err(Error::Place(format!(
                "{}: the same tree is named twice",
                path.display()
            )));
        }
        if create {
            check_writable(&tree)?;
        }
        trees.push(tree);
    }
    if trees.len() >= usize::from(u16::MAX) {
        return Err(Error::Place(
            "more than 65534 trees: do with less at a time".to_owned(),
        ));
    }
    let all: Vec<_> = trees
        .iter()
        .map(|tree| (tree.inode, tree.path.clone()))
        .collect();
    let mut places: Vec<Place> = Vec::new();
    for tree in trees {
        let device = tree.inode.0;
        if let Some(place) = places.iter_mut().find(|place| place.pool.inode.0 == device) {
            place.trees.push(tree);
            continue;
        }
        let pool = pool_for(&tree, pool, create)?;
        pool.check_outside(&all)?;
        places.push(Place {
            pool,
            trees: vec![tree],
        });
    }
    Ok(places)
}

/// The pools of these trees, those that there are.
pub fn pools(paths: &[PathBuf], named: Option<&Path>) -> Result<Vec<Pool>> {
    let places = open(paths, named, false)?;
    let pools = places.into_iter().map(|place| place.pool);
    Ok(pools.filter(|pool| !pool.missing).collect())
}

/// The pools of these trees and those that are known without any: the one that is named, or where links of
/// [`Store::pools`] lead and the one with the guests.
pub fn all_pools(store: &Store, paths: &[PathBuf], named: Option<&Path>) -> Result<Vec<Pool>> {
    let mut all = pools(paths, named)?;
    let known = match named {
        Some(path) => vec![path.to_owned()],
        None => {
            let mut known = store.pools()?;
            known.push(store.guests_dir().join(pool::NAME));
            known
        }
    };
    for path in known {
        if let Some(pool) = Pool::open(&path, false)? {
            if all.iter().all(|other| other.inode != pool.inode) {
                all.push(pool);
            }
        }
    }
    Ok(all)
}

pub(crate) fn check_writable(tree: &Tree) -> Result<()> {
    check_directory_writable(&tree.fd, &tree.path)
}

/// Fails if the directory at `path` is on a file system that nobody can write to.
pub(crate) fn check_directory_writable(dir: impl AsFd, path: &Path) -> Result<()> {
    let stat = fstatvfs(dir).map_err(|e| Error::file("look at", path, e))?;
    match stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        false => Ok(()),
        true => Err(Error::Place(format!(
            "{}: is on a read-only file system: remount it writable, or try --dry-run",
            path.display()
        ))),
    }
}

/// The file system that a pool is on, or is to be made on.
fn device(pool: &Path) -> Result<u64, Errno> {
    let device = |path: &Path| stat(path).map(|stat| stat.st_dev);
    device(pool).or_else(|_| device(above(pool)))
}

fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    }
}

/// Where the pool for a tree is: where it is named; where a link of [`Store::pools`] leads on the
/// tree's file system; with the guests, if they are there; or beside the tree.
fn path_for(store: &Store, tree: &Tree, named: Option<&Path>) -> Result<PathBuf> {
    let here = |path: &PathBuf| device(path) == Ok(tree.inode.0);
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = store.pools()?.into_iter().find(here) {
        return Ok(path);
    }
    let guests = store.guests_dir().join(pool::NAME);
    match guests.exists() && here(&guests) {
        true => Ok(guests),
        false => pool::beside(&tree.path),
    }
}

/// The pool for a tree, see [`path_for`].
pub(crate) fn pool_for(tree: &Tree, named: Option<&Path>, create: bool) -> Result<Pool> {
    let path = path_for(&Store::system(), tree, named)?;
    let above = above(&path);
    let lies_on = device(&path);
    match lies_on.map_err(|e| Error::place("look at", above, e))? == tree.inode.0 {
        true => {}
        false => {
            return Err(Error::Place(format!(
                "{}: the pool {} is on another file system, to which files can't be linked: name one \
                 on the same file system, outside of the tree, with --pool",
                tree.path.display(),
                path.display()
            )));
        }
    }
    match Pool::open(&path, create)? {
        Some(pool) => Ok(pool),
        None => Pool::missing(&path, above),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_pool_may_be_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let store = Store::below(root.clone());
        let path = root.join("srv/web");
        for dir in [&path, &store.pools_dir(), &store.guests_dir()] {
            fs::create_dir_all(dir).unwrap();
        }
        let tree = Tree::new(&path).unwrap();
        let found = |named: Option<&Path>| path_for(&store, &tree, named);
        assert_eq!(found(None).unwrap(), root.join("srv/.hash"));
        fs::create_dir(root.join("vservers/.hash")).unwrap();
        assert_eq!(found(None).unwrap(), root.join("vservers/.hash"));
        // One on another file system, one that is still to be made, one that comes later.
        let links = [
            ("a", "/proc"),
            ("b", "../../../pool"),
            ("c", "../../../srv"),
        ];
        for (name, to) in links {
            symlink(to, store.pools_dir().join(name)).unwrap();
        }
        assert_eq!(found(None).unwrap(), root.join("pool"));
        fs::create_dir(root.join("pool")).unwrap();
        assert_eq!(found(None).unwrap(), root.join("pool"));
        let named = Path::new("named");
        assert_eq!(found(Some(named)).unwrap(), named);
        // Also without a tree; the first of the links leads to what is no pool.
        fs::remove_file(store.pools_dir().join("a")).unwrap();
        fs::remove_file(store.pools_dir().join("c")).unwrap();
        let pools = |named| {
            let pools = all_pools(&store, &[], named).unwrap().into_iter();
            pools.map(|pool| pool.path).collect::<Vec<_>>()
        };
        let both = [root.join("pool"), root.join("vservers/.hash")];
        assert_eq!(pools(None), both);
        assert_eq!(pools(Some(&both[0])), both[..1]);
        assert!(pools(Some(named)).is_empty());
        symlink("../../../missing/pool", store.pools_dir().join("d")).unwrap();
        let error = found(None).unwrap_err().to_string();
        assert!(error.contains("pools/d: leads to"), "{error}");
    }
}
