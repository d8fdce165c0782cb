// SPDX-License-Identifier: GPL-2.0
//! All there is to see of a name: what must be the same on the name of a unified file, after an
//! operation, as on a plain file after the same operation.

use super::own::Own;
use super::sys::{self, FS_IOC_FSGETXATTR, FsXattr};
use crate::unified::{UNIFIED, open};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vserver_abi as abi;

/// A time of a file.
pub type Time = (i64, i64);

/// Of the inode flags not those that say how the file system stores the file, nor immutable.
const FLAGS_ASIDE: u32 = 0x1000_0000 | 0x8_0000 | 0x10;
/// Of the xflags not immutable, nor that there are attributes.
const XFLAGS_ASIDE: u32 = 0x8000_0000 | 0x8;

/// A file, or whatever else has the name.
#[derive(Clone, PartialEq, Eq)]
pub struct Look {
    pub ino: u64,
    pub links: u64,
    /// The vserver flags.
    pub flags: u32,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    /// Of the last access and modification.
    pub times: [Time; 2],
    /// When the inode was changed last.
    pub changed: Time,
    own: Own,
    content: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    fsflags: Option<u32>,
    fsxattr: Option<FsXattr>,
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.content.get(..24).unwrap_or(&self.content);
        write!(
            f,
            "inode {} links {} {:o} {:?} {} bytes {:?} times {:?} changed {:?} {:?} xattrs {:?} \
             flags {:x?} {:x?} vserver {:#x}",
            self.ino,
            self.links,
            self.mode,
            self.owner,
            self.size,
            String::from_utf8_lossy(start),
            self.times,
            self.changed,
            self.own,
            self.xattrs
                .keys()
                .map(|k| String::from_utf8_lossy(k))
                .collect::<Vec<_>>(),
            self.fsflags,
            self.fsxattr,
            self.flags,
        )
    }
}

impl Look {
    /// Looks without leaving a trace in the access time.
    pub fn at(path: &Path) -> Result<Self> {
        let meta = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
        let mut look = Self {
            ino: meta.ino(),
            links: meta.nlink(),
            flags: 0,
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            size: meta.size(),
            times: [
                (meta.atime(), meta.atime_nsec()),
                (meta.mtime(), meta.mtime_nsec()),
            ],
            changed: (meta.ctime(), meta.ctime_nsec()),
            own: Own::default(),
            content: Vec::new(),
            xattrs: BTreeMap::new(),
            fsflags: None,
            fsxattr: None,
        };
        if meta.is_file() {
            look.read(path)?;
        }
        Ok(look)
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let file = open(path, OFlags::RDONLY | OFlags::NOATIME)?;
        self.flags = abi::fget_iattr(&file)?.flags;
        self.own = Own::of(&file)?;
        self.fsflags = rfs::ioctl_getflags(&file)
            .ok()
            .map(|flags| flags.bits() & !FLAGS_ASIDE);
        let mut fsxattr = FsXattr::default();
        if sys::ioctl(&file, FS_IOC_FSGETXATTR, &mut fsxattr).is_ok() {
            fsxattr.xflags &= !XFLAGS_ASIDE;
            fsxattr.nextents = 0;
            self.fsxattr = Some(fsxattr);
        }
        let mut names = [0; 1024];
        let len = rfs::flistxattr(&file, &mut names[..])?;
        for name in names.get(..len).unwrap_or_default().split(|c| *c == 0) {
            if !name.is_empty() && name != b"security.vserver" {
                let mut value = [0; 1024];
                let len = rfs::fgetxattr(&file, name, &mut value[..])?;
                let value = value.get(..len).unwrap_or_default();
                self.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
        fs::File::from(file).read_to_end(&mut self.content)?;
        Ok(())
    }

    /// Whether it is no regular file.
    pub fn is_special(&self) -> bool {
        self.mode & libc::S_IFMT != libc::S_IFREG
    }

    /// Whether this, on the name of a unified file, is what `plain` is on the name of a plain one.
    /// Times that were set to "now" lie in `now`, and need not be the same; that of the last change
    /// is left to [`super::change`].
    pub fn is_like(&self, plain: &Self, now: &std::ops::Range<i64>) -> Result<()> {
        let mut want = plain.clone();
        (want.ino, want.flags) = (self.ino, self.flags);
        (want.changed, want.own) = (self.changed, self.own);
        if self.flags == UNIFIED {
            want.links = self.links;
        }
        for (time, here) in want.times.iter_mut().zip(self.times) {
            if now.contains(&time.0) && now.contains(&here.0) {
                *time = here;
            }
        }
        ensure!(*self == want, "is {self:?}\na plain file would be {want:?}");
        Ok(())
    }

    /// Whether nothing but the number of names has changed, and when that was.
    pub fn is_still(&self, before: &Self) -> Result<()> {
        let want = Self {
            links: self.links,
            changed: self.changed,
            ..before.clone()
        };
        ensure!(*self == want, "was {before:?}\nis {self:?}");
        Ok(())
    }
}
