// SPDX-License-Identifier: GPL-2.0
//! The files of the crash tests. Everything about each follows from its number, so that a check
//! after the crash knows what to expect without having seen it made.
//!
//! ```text
//! origin/0 ... origin/9      the originals, which nobody breaks
//! chmod/0  ... chmod/9       the same unified inodes, each to be broken by chmod
//! write/0  ... write/9       ... by a write, and so on: a directory for each `Way`
//! chmod/10 ... chmod/17      single ones: unified inodes of their own, without another name
//! ```

use super::ways::{WAYS, Way, fsync};
use crate::unified::{self, Look, UNIFIED, set_flags};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::fs::{XattrFlags, setxattr};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// How many originals there are.
pub const FILES: u64 = SHAPES.len() as u64;
/// The numbers of all files. Those from [`FILES`] on have a single name.
pub const NUMBERS: u64 = FILES + 8;

/// A size, and the ranges that hold data; the rest are holes.
struct Shape {
    size: u64,
    data: &'static [(u64, u64)],
}

const fn full(size: u64, data: &'static [(u64, u64)]) -> Shape {
    Shape { size, data }
}

const SHAPES: &[Shape] = &[
    full(0, &[]),
    full(1, &[(0, 1)]),
    full(60, &[(0, 60)]),
    full(2000, &[(0, 2000)]),
    full(4096, &[(0, 4096)]),
    full(4097, &[(0, 4097)]),
    full(70_000, &[(0, 70_000)]),
    full((1 << 20) + 17, &[(0, (1 << 20) + 17)]),
    // A hole at the start, between and at the end.
    full(2 << 20, &[(65_536, 131_072), (1 << 20, (1 << 20) + 5000)]),
    full(300_000, &[]),
];

fn shape(n: u64) -> &'static Shape {
    &SHAPES[(n % FILES) as usize]
}

/// Whether the file has no other name.
pub fn is_single(n: u64) -> bool {
    n >= FILES
}

/// cap_net_raw, effective, for the initial user namespace.
const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::r-x, as the attribute has it.
const ACL: &[u8] = &[
    2, 0, 0, 0, //
    1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, //
    2, 0, 7, 0, 0xe8, 3, 0, 0, //
    4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, //
    16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, //
    32, 0, 5, 0, 0xff, 0xff, 0xff, 0xff,
];

/// A stream of bytes that repeats nowhere: a block of another file, or one in the wrong place, is
/// noticed as well as a missing one.
pub fn pattern(seed: u64, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((to - from) as usize + 16);
    for word in from / 8..to.div_ceil(8) {
        let mut x = (word ^ (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x ^= x >> 29;
        // No byte is zero, as in a hole.
        bytes.extend((x | 0x0101_0101_0101_0101).to_le_bytes());
    }
    let skip = (from % 8) as usize;
    bytes.drain(..skip);
    bytes.truncate((to - from) as usize);
    bytes
}

/// What the original `n` looks like; its inode number is not known and stays 0.
pub fn expected(n: u64) -> Look {
    let shape = shape(n);
    let mut content = vec![0; shape.size as usize];
    for &(from, to) in shape.data {
        content[from as usize..to as usize].copy_from_slice(&pattern(n, from, to));
    }
    let mut xattrs = BTreeMap::new();
    let mut has = |name: &str, value: &[u8]| xattrs.insert(name.as_bytes().to_vec(), value.into());
    has("user.number", &n.to_le_bytes());
    if n % 2 == 1 {
        has("trusted.t", b"trusted");
        has("security.other", &[b'l'; 300]);
    }
    let rich = n % 3 == 0;
    if rich {
        has("security.capability", CAPABILITY);
        has("system.posix_acl_access", ACL);
    }
    let mode = if rich { 0o4775 } else { 0o640 };
    Look {
        ino: 0,
        content,
        mode: FileType::RegularFile.as_raw_mode() | mode,
        owner: (1000 + n as u32, 2000 + n as u32),
        mtime: (1_000_000_000 + n as i64, 123_456_789),
        xattrs,
        flags: UNIFIED,
    }
}

/// What there is to see of a file, without the other form in which xfs shows its ACL.
pub fn look(path: &Path) -> Result<Look> {
    let mut look = unified::look(path)?;
    look.xattrs.remove(&b"trusted.SGI_ACL_FILE"[..]);
    Ok(look)
}

/// Makes the original `n`; not unified yet.
pub fn make(path: &Path, n: u64) -> Result<()> {
    let want = expected(n);
    let shape = shape(n);
    let file = File::create(path)?;
    for &(from, to) in shape.data {
        file.write_all_at(&want.content[from as usize..to as usize], from)?;
    }
    file.set_len(shape.size)?;
    let (uid, gid) = want.owner;
    rfs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    rfs::fchmod(&file, Mode::from_raw_mode(want.mode & 0o7777))?;
    for (name, value) in &want.xattrs {
        setxattr(path, name.as_slice(), value, XattrFlags::empty())?;
    }
    let time = Timespec {
        tv_sec: want.mtime.0,
        tv_nsec: want.mtime.1,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rfs::utimensat(CWD, path, &times, AtFlags::empty())?;
    Ok(())
}

/// The file systems' root directory and what is in it.
#[derive(Clone)]
pub struct Tree {
    pub root: PathBuf,
}

impl Tree {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn origin(&self, n: u64) -> PathBuf {
        self.root.join("origin").join(n.to_string())
    }

    /// Makes the originals and all their names. `between` is called before every original.
    pub fn make(&self, mut between: impl FnMut(u64) -> Result<()>) -> Result<()> {
        fs::create_dir(self.root.join("origin"))?;
        for way in WAYS {
            fs::create_dir(self.root.join(way.name()))?;
        }
        for n in 0..FILES {
            between(n)?;
            let origin = self.origin(n);
            make(&origin, n).with_context(|| format!("original {n}"))?;
            set_flags(&origin, UNIFIED, UNIFIED).context("set_iattr")?;
            for way in WAYS {
                fs::hard_link(&origin, way.path(self, n))?;
            }
        }
        for n in FILES..NUMBERS {
            between(n)?;
            for way in WAYS {
                self.make_single(&way.path(self, n), n)?;
            }
        }
        self.sync()
    }

    /// Makes everything durable that was done so far.
    pub fn sync(&self) -> Result<()> {
        Ok(rfs::syncfs(File::open(&self.root)?)?)
    }

    /// The originals are as they were made, and so are all names that still are theirs.
    pub fn originals(&self) -> Result<Vec<Look>> {
        (0..FILES)
            .map(|n| {
                let is = look(&self.origin(n))?;
                let want = Look {
                    ino: is.ino,
                    ..expected(n)
                };
                ensure!(is == want, "original {n}: {}", differences(&want, &is));
                Ok(is)
            })
            .collect()
    }

    /// Makes a file of a single name, in place of what has that.
    fn make_single(&self, name: &Path, n: u64) -> Result<()> {
        let new = name.with_file_name(format!("{NEW}{n}"));
        let _ = fs::remove_file(&new);
        make(&new, n).with_context(|| new.display().to_string())?;
        fsync(&new)?;
        unified::set_flags(&new, UNIFIED, UNIFIED)?;
        Ok(fs::rename(&new, name)?)
    }

    /// Lets a name be one of the original again, as a tool that unifies does; or makes that of a
    /// single file anew.
    pub fn restore(&self, way: Way, n: u64) -> Result<()> {
        let name = way.path(self, n);
        if is_single(n) {
            return self.make_single(&name, n);
        }
        unified::set_flags(&name, UNIFIED, UNIFIED)?;
        Ok(abi::unify(File::open(name)?, File::open(self.origin(n))?)?)
    }

    /// Whether nobody has broken the link, or it is whole again.
    pub fn is_original(&self, way: Way, n: u64) -> Result<bool> {
        let name = way.path(self, n);
        if is_single(n) {
            return Ok(abi::get_iattr(&name)?.flags & UNIFIED == UNIFIED);
        }
        Ok(fs::metadata(name)?.ino() == fs::metadata(self.origin(n))?.ino())
    }
}

/// How the name begins of what is to have another.
pub const NEW: &str = ".new";

/// Where two files differ, in words that fit on a line.
pub fn differences(want: &Look, is: &Look) -> String {
    let mut found = Vec::new();
    let mut note = |what: &str, want: String, is: String| {
        if want != is {
            found.push(format!("{what} {want} became {is}"));
        }
    };
    note(
        "size",
        want.content.len().to_string(),
        is.content.len().to_string(),
    );
    note("mode", format!("{:o}", want.mode), format!("{:o}", is.mode));
    note(
        "owner",
        format!("{:?}", want.owner),
        format!("{:?}", is.owner),
    );
    note(
        "mtime",
        format!("{:?}", want.mtime),
        format!("{:?}", is.mtime),
    );
    note("flags", want.flags.to_string(), is.flags.to_string());
    let names = |look: &Look| {
        let names = look
            .xattrs
            .iter()
            .map(|(name, value)| format!("{}[{}]", String::from_utf8_lossy(name), value.len()));
        names.collect::<Vec<_>>().join(",")
    };
    note("attributes", names(want), names(is));
    let mut bytes = want.content.iter().zip(&is.content);
    if let Some(at) = bytes.position(|(a, b)| a != b) {
        let zero = is.content[at..].iter().all(|byte| *byte == 0);
        let what = if zero { "zeros" } else { "other bytes" };
        found.push(format!("{what} from byte {at} on"));
    }
    if found.is_empty() && want != is {
        found.push("the values of attributes".into());
    }
    found.join("; ")
}
