// SPDX-License-Identifier: GPL-2.0
//! A unified file under two names, and what there is to see of a file: what the suites of unified
//! files share.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use rustix::fs::{getxattr, listxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

pub const UNIFIED: u32 = abi::IATTR_IUNLINK | abi::IATTR_IMMUTABLE;
pub const CONTENT: &[u8] = b"what all share\n";
pub const USER: u32 = 1000;

/// Where the file system under test is.
pub fn root() -> PathBuf {
    if let Some(dir) = std::env::var_os("COW_DIR") {
        return dir.into();
    }
    let suite = std::env::args().nth(1).unwrap_or_default();
    let kind = suite.split_once('-').map_or("ext4", |(_, kind)| kind);
    Path::new("/mnt").join(kind)
}

/// All there is to see of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub ino: u64,
    pub content: Vec<u8>,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub flags: u32,
}

/// Inodes and pages that nobody uses go, those of the disk.
pub fn drop_caches() -> Result<()> {
    // What was used a moment ago survives the first time.
    for _ in 0..3 {
        fs::write("/proc/sys/vm/drop_caches", "3")?;
    }
    Ok(())
}

pub fn xattr(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut value = [0; 4096];
    match getxattr(path, name, &mut value[..]) {
        Ok(len) => Ok(value.get(..len).map(<[u8]>::to_vec)),
        Err(Errno::NODATA) => Ok(None),
        Err(e) => bail!("getxattr {name}: {e}"),
    }
}

pub fn look(path: &Path) -> Result<Look> {
    let meta = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    let mut names = [0; 4096];
    let len = listxattr(path, &mut names[..])?;
    let mut xattrs = BTreeMap::new();
    for name in names.get(..len).unwrap_or_default().split(|c| *c == 0) {
        if !name.is_empty() && name != b"security.vserver" {
            let value = xattr(path, std::str::from_utf8(name)?)?;
            xattrs.insert(name.to_vec(), value.context("xattr has gone")?);
        }
    }
    Ok(Look {
        ino: meta.ino(),
        content: fs::read(path)?,
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        xattrs,
        flags: abi::get_iattr(path)?.flags,
    })
}

/// How many names a file has, and when its inode was changed last.
pub fn change(path: &Path) -> Result<(u64, (i64, i64))> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.nlink(), (meta.ctime(), meta.ctime_nsec())))
}

pub fn set_flags(path: &Path, flags: u32, mask: u32) -> Result<(), Errno> {
    abi::set_iattr(
        path,
        abi::CtxFiattr {
            xid: 0,
            flags,
            mask,
        },
    )
}

/// A directory with a unified file that has two names.
pub struct Pair {
    pub dir: PathBuf,
    pub a: PathBuf,
    pub b: PathBuf,
    pub before: Look,
}

impl Pair {
    pub fn new(name: &str) -> Result<Self> {
        Self::with(name, |a| Ok(fs::write(a, CONTENT)?))
    }

    /// With a file that the page cache holds in large folios where the file system has them.
    pub fn large(name: &str) -> Result<Self> {
        let content: Vec<u8> = (0..1 << 21).map(|i: u32| (i / 1000) as u8).collect();
        Self::with(name, |a| Ok(fs::write(a, content)?))
    }

    /// With a file that `make` makes.
    pub fn with(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let dir = root().join(name);
        let _ = Self::clean(&dir);
        fs::create_dir(&dir)?;
        let (a, b) = (dir.join("a"), dir.join("b"));
        make(&a)?;
        let time = Timespec {
            tv_sec: 1_000_000_000,
            tv_nsec: 123_456_789,
        };
        set_times(&a, time)?;
        fs::hard_link(&a, &b)?;
        set_flags(&a, UNIFIED, UNIFIED).context("set_iattr")?;
        let before = look(&a)?;
        ensure!(before.flags == UNIFIED, "{before:?}");
        Ok(Self { dir, a, b, before })
    }

    /// With a file whose blocks a copy can't share: on btrfs it has no checksums, and a copy has.
    pub fn unshared(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let top = root();
        if !top.ends_with("btrfs") {
            return Self::with(name, make);
        }
        let sums = |option: &CStr| {
            mount_remount(&top, MountFlags::empty(), option).with_context(|| format!("{option:?}"))
        };
        sums(c"nodatasum")?;
        let pair = Self::with(name, make);
        sums(c"datasum")?;
        pair
    }

    pub fn clean(dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let _ = set_flags(&path, 0, UNIFIED);
            fs::remove_file(path)?;
        }
        Ok(fs::remove_dir(dir)?)
    }

    pub fn names(&self) -> Result<BTreeSet<String>> {
        fs::read_dir(&self.dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// The other name is what it was, and there are no names but these.
    pub fn others_unchanged(&self) -> Result<()> {
        let b = look(&self.b)?;
        ensure!(b == self.before, "b was {:?}, is {b:?}", self.before);
        Ok(())
    }

    pub fn has_names(&self, names: &[&str]) -> Result<()> {
        let found = self.names()?;
        ensure!(
            found.iter().map(String::as_str).eq(names.iter().copied()),
            "names: {found:?}"
        );
        Ok(())
    }

    /// The link is broken, and but for its own inode and flags the copy is what the file was.
    pub fn broken_alike(&self) -> Result<()> {
        let a = self.broken()?;
        let want = Look {
            ino: a.ino,
            flags: 0,
            ..self.before.clone()
        };
        ensure!(a == want, "is {a:?}, should be {want:?}");
        Ok(())
    }

    /// `a` has a file of its own now.
    pub fn broken(&self) -> Result<Look> {
        self.others_unchanged()?;
        self.has_names(&["a", "b"])?;
        let a = look(&self.a)?;
        ensure!(a.ino != self.before.ino, "the link is not broken");
        ensure!(a.flags == 0, "flags of the copy: {:#x}", a.flags);
        ensure!(fs::metadata(&self.a)?.nlink() == 1);
        Ok(a)
    }

    /// Nothing has happened.
    pub fn intact(&self) -> Result<()> {
        self.others_unchanged()?;
        self.has_names(&["a", "b"])?;
        let a = look(&self.a)?;
        ensure!(a == self.before, "a was {:?}, is {a:?}", self.before);
        Ok(())
    }

    pub fn refused<T: std::fmt::Debug>(
        &self,
        what: &str,
        got: Result<T, Errno>,
        want: Errno,
    ) -> Result<()> {
        refused(what, got, want)?;
        self.intact().context(what.to_owned())
    }

    pub fn reader(&self) -> Result<OwnedFd> {
        Ok(open(&self.a, OFlags::RDONLY)?)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = Self::clean(&self.dir);
    }
}

pub fn refused<T: std::fmt::Debug>(what: &str, got: Result<T, Errno>, want: Errno) -> Result<()> {
    expect(got, want).with_context(|| what.to_owned())
}

/// It failed, and so.
pub fn expect<T: std::fmt::Debug>(got: Result<T, Errno>, want: Errno) -> Result<()> {
    match got {
        Err(e) if e == want => Ok(()),
        got => bail!("{got:?} instead of {want:?}"),
    }
}

pub fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rfs::open(path, flags, Mode::from_raw_mode(0o644))
}

pub fn set_times(path: &Path, time: Timespec) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rfs::utimensat(CWD, path, &times, AtFlags::empty())
}

pub fn syscall(ret: i64) -> Result<i64, Errno> {
    if ret < 0 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(ret)
    }
}

/// Becomes an ordinary user. Only in a process of its own.
pub fn become_user() -> Result<()> {
    // SAFETY: these touch no memory; the process has one thread.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0
            && libc::setgid(USER) == 0
            && libc::setuid(USER) == 0
    };
    ensure!(done, "setuid");
    Ok(())
}
