// SPDX-License-Identifier: GPL-2.0
//! A tree as a stock kernel shows it, to the last bit that a modification could change.

use crate::unified::xattr;
use anyhow::{Context as _, Result, ensure};
use rustix::fs as rfs;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// All there is to see of a file. Unlike with `unified::Look` the module is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub ino: u64,
    pub generation: u32,
    pub links: u64,
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
    pub content: u64,
    pub extents: Vec<(u64, u64)>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub flags: u32,
}

pub const ATTRIBUTE: &str = "security.vserver";

impl Seen {
    pub fn at(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let meta = file.metadata()?;
        let mut hasher = DefaultHasher::new();
        fs::read(path)?.hash(&mut hasher);
        Ok(Self {
            ino: meta.ino(),
            generation: abi::generation(&file)?,
            links: meta.nlink(),
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            size: meta.size(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            content: hasher.finish(),
            extents: extents(&file, meta.size())?,
            xattrs: xattrs(path)?,
            flags: rfs::ioctl_getflags(&file)?.bits(),
        })
    }

    /// It has the immutable flag and says that it is shared.
    pub fn is_unified(&self) -> bool {
        self.flags & rfs::IFlags::IMMUTABLE.bits() != 0 && self.xattrs.contains_key(ATTRIBUTE)
    }

    /// What it is when it has an inode of its own: only what no two inodes have in common differs.
    pub fn made_ordinary(&self, now: &Self) -> Result<()> {
        let mut want = Self {
            ino: now.ino,
            generation: now.generation,
            links: 1,
            ctime: now.ctime,
            flags: self.flags & !rfs::IFlags::IMMUTABLE.bits(),
            ..self.clone()
        };
        want.xattrs.remove(ATTRIBUTE);
        ensure!(*now == want, "is {now:?}, should be {want:?}");
        Ok(())
    }
}

/// Where there is data.
fn extents(file: &File, size: u64) -> Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rfs::seek(file, rfs::SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            start => start?,
        };
        at = rfs::seek(file, rfs::SeekFrom::Hole(start))?;
        extents.push((start, at));
    }
    Ok(extents)
}

fn xattrs(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut names = [0; 4096];
    let len = rfs::listxattr(path, &mut names[..])?;
    let names = names.get(..len).unwrap_or_default().split(|c| *c == 0);
    let mut all = BTreeMap::new();
    for name in names.filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name)?;
        all.insert(name.to_owned(), xattr(path, name)?.context("gone")?);
    }
    Ok(all)
}

/// Every file in some directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Seen>);

impl Tree {
    pub fn of<'a>(root: &Path, dirs: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut files = BTreeMap::new();
        for dir in dirs {
            for entry in fs::read_dir(root.join(dir))? {
                let path = entry?.path();
                let seen = Seen::at(&path)?;
                files.insert(path, seen);
            }
        }
        Ok(Self(files))
    }

    pub fn get(&self, path: &Path) -> Result<&Seen> {
        let seen = self.0.get(path);
        seen.with_context(|| format!("{} is missing", path.display()))
    }

    /// For the next boot.
    pub fn save(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, format!("{self:#?}\n"))?)
    }

    /// Nothing has changed since another boot saved it.
    pub fn is_as_saved(&self, file: &Path) -> Result<()> {
        let (saved, now) = (fs::read_to_string(file)?, format!("{self:#?}\n"));
        let mut lines = saved.lines().zip(now.lines());
        let differs = lines.find(|(a, b)| a != b);
        ensure!(saved == now, "the tree has changed: {differs:?}");
        Ok(())
    }
}
