// SPDX-License-Identifier: GPL-2.0
//! The copy is what the file was: metadata, holes, and nothing of the directory's.

use crate::calls::FsXattr;
use crate::sample::{ACL_DEFAULT, rich, some_acl};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, IFlags, Mode, OFlags, XattrFlags, setxattr};
use rustix::io::write;
use std::fs;
use std::path::Path;

pub(super) fn copy_has_all_metadata() -> Result<()> {
    let pair = Pair::with("metadata", rich)?;
    open(&pair.a, OFlags::RDWR)?;
    pair.broken_alike()?;
    Ok(())
}

/// 2: our own writing must not have noted that there is nothing for a write to strip.
pub(super) fn capabilities_go_with_a_write() -> Result<()> {
    let pair = Pair::with("capabilities", rich)?;
    let fd = open(&pair.a, OFlags::WRONLY)?;
    ensure!(xattr(&pair.a, "security.capability")?.is_some());
    write(&fd, b"x")?;
    ensure!(
        xattr(&pair.a, "security.capability")?.is_none(),
        "still there"
    );
    pair.broken()?;
    Ok(())
}

/// 24 (12 is done in C): the copy has what the file had, not what the directory gives.
pub(super) fn directory_hands_nothing_down() -> Result<()> {
    let pair = Pair::new("hands_down")?;
    setxattr(&pair.dir, ACL_DEFAULT, &some_acl(), XattrFlags::empty())?;
    rfs::chownat(
        CWD,
        &pair.dir,
        None,
        Some(Gid::from_raw(42)),
        AtFlags::empty(),
    )?;
    rfs::chmod(&pair.dir, Mode::from_raw_mode(0o2755))?;
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    rfs::ioctl_setflags(
        &dir,
        rfs::ioctl_getflags(&dir)? | IFlags::NODUMP | IFlags::NOATIME,
    )?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()?;
    let flags = rfs::ioctl_getflags(pair.reader()?)?;
    ensure!(
        !flags.intersects(IFlags::NODUMP | IFlags::NOATIME),
        "{flags:?}"
    );
    Ok(())
}

/// 24: how its content is stored, and for which project.
pub(super) fn hints_are_the_files_own() -> Result<()> {
    for case in Hints::cases()? {
        // The directory has them and the file does not, then the other way round.
        let pair = Pair::with("hints", |a| Ok(fs::write(a, CONTENT)?))?;
        case.give(&pair.dir, &case.dir)
            .context("to the directory")?;
        check_hints(&pair).with_context(|| format!("the directory has {case:x?}"))?;

        let pair = Pair::with("hints", |a| {
            fs::write(a, b"")?;
            case.give(a, &case.file).context("to the file")?;
            Ok(fs::write(a, CONTENT)?)
        })?;
        check_hints(&pair).with_context(|| format!("the file has {case:x?}"))?;
    }
    Ok(())
}

/// What a directory hands down, and what a file of its own has.
#[derive(Clone, Copy, Debug)]
struct Hints {
    dir: FsXattr,
    file: FsXattr,
    /// Of both.
    flags: IFlags,
}

impl Hints {
    /// Those that the file system under test has.
    fn cases() -> Result<Vec<Self>> {
        const EXT4: u32 = 0xef53;
        const XFS: u32 = 0x5846_5342;
        const BTRFS: u32 = 0x9123_683e;
        const F2FS: u32 = 0xf2f5_2010;
        const PROJINHERIT: u32 = 0x200;
        const NODEFRAG: u32 = 0x2000;
        const EXTSIZE: u32 = 0x800;
        const EXTSZINHERIT: u32 = 0x1000;
        const COWEXTSIZE: u32 = 0x1_0000;

        let none = Self {
            dir: FsXattr::default(),
            file: FsXattr::default(),
            flags: IFlags::empty(),
        };
        let nodump = Self {
            flags: IFlags::NODUMP | IFlags::NOATIME,
            ..none
        };
        let mut project = none;
        project.dir.xflags = PROJINHERIT;
        project.dir.projid = 7;
        project.file.projid = 9;
        let mut extents = none;
        extents.dir.xflags = EXTSZINHERIT;
        extents.dir.extsize = 64 << 10;
        extents.file.xflags = EXTSIZE;
        extents.file.extsize = 32 << 10;
        let mut cow_extents = none;
        cow_extents.dir.xflags = COWEXTSIZE;
        cow_extents.dir.cowextsize = 64 << 10;
        cow_extents.file = cow_extents.dir;
        let nocow = Self {
            flags: IFlags::NOCOW,
            ..none
        };
        let compressed = Self {
            flags: IFlags::COMPRESSED,
            ..none
        };
        let journal = Self {
            flags: IFlags::JOURNALING,
            ..none
        };
        let mut nodefrag = none;
        nodefrag.dir.xflags = NODEFRAG;
        nodefrag.file.xflags = NODEFRAG;
        Ok(match rfs::statfs(root())?.f_type as u32 {
            // There is no room for a project id in an inode of 128 bytes, nor where all is as in ext3.
            EXT4 if root().ends_with("ext4-128") || root().ends_with("ext4-ext3") => {
                vec![nodump, journal]
            }
            EXT4 => vec![nodump, project, journal],
            F2FS => vec![nodump, project],
            // Without reflink there is no copying on write to give hints for.
            XFS if root().ends_with("xfs-plain") => vec![nodump, project, extents, nodefrag],
            XFS => vec![nodump, project, extents, cow_extents, nodefrag],
            BTRFS => vec![nodump, nocow, compressed],
            _ => vec![nodump],
        })
    }

    fn give(&self, path: &Path, own: &FsXattr) -> Result<()> {
        let fd = open(path, OFlags::RDONLY)?;
        if *own != FsXattr::default() {
            own.set(&fd).context("FSSETXATTR")?;
            let got = FsXattr::get(&fd)?;
            ensure!(got.xflags & own.xflags == own.xflags, "{got:x?}");
        }
        rfs::ioctl_setflags(&fd, rfs::ioctl_getflags(&fd)? | self.flags)?;
        Ok(())
    }
}

fn check_hints(pair: &Pair) -> Result<()> {
    const IMMUTABLE: u32 = 0x8;
    /// The original has one more than the copy: ours.
    const HASATTR: u32 = 0x8000_0000;
    let stored = |path: &Path| -> Result<_> {
        let fd = open(path, OFlags::RDONLY)?;
        let mut hints = FsXattr::get(&fd)?;
        hints.xflags &= !(IMMUTABLE | HASATTR);
        hints.nextents = 0;
        Ok((hints, rfs::ioctl_getflags(&fd)? - IFlags::IMMUTABLE))
    };
    let want = stored(&pair.b)?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()?;
    let got = stored(&pair.a)?;
    ensure!(got == want, "is {got:x?}, should be {want:x?}");
    Ok(())
}
