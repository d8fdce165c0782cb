// SPDX-License-Identifier: GPL-2.0
//! A copy belongs to the file's owner, group and project, and counts against their quota, whoever
//! breaks the link; root is refused what they may not have.

use super::case::{SIZE, content};
use super::ground::Ground;
use crate::process::{eventually, isolated};
use crate::unified::{Pair, USER, become_user, open, refused, syscall};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

const OWNER: u32 = 5000;
const GROUP: u32 = 6000;
const PROJECT: u32 = 7000;

/// What the quota is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    User = 0,
    Group = 1,
    Project = 2,
}

impl Kind {
    fn id(self) -> u32 {
        match self {
            Kind::User => OWNER,
            Kind::Group => GROUP,
            Kind::Project => PROJECT,
        }
    }
}

/// `struct if_dqblk`: limits in KiB, what is in use in bytes.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Quota {
    bytes_hard: u64,
    bytes_soft: u64,
    pub bytes: u64,
    inodes_hard: u64,
    inodes_soft: u64,
    pub inodes: u64,
    bytes_time: u64,
    inodes_time: u64,
    valid: u32,
}

const GET: u32 = 0x80_0007;
const SET: u32 = 0x80_0008;
const LIMITS: u32 = 1 | 4;

fn quotactl(ground: &Ground, cmd: u32, kind: Kind, id: u32, quota: &mut Quota) -> Result<()> {
    let fd = open(&ground.at, OFlags::RDONLY)?;
    let cmd = cmd << 8 | kind as u32;
    // SAFETY: `quota` has the layout of struct if_dqblk and outlives the call.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            fd.as_raw_fd(),
            cmd,
            id,
            &raw mut *quota,
        )
    };
    syscall(ret).with_context(|| format!("quotactl {cmd:#x} of {kind:?} {id}"))?;
    Ok(())
}

fn usage(ground: &Ground, kind: Kind, id: u32) -> Result<Quota> {
    let mut quota = Quota::default();
    ground.sync()?;
    // Of somebody who never had anything some file systems know nothing.
    match quotactl(ground, GET, kind, id, &mut quota) {
        Err(e) if e.downcast_ref() == Some(&Errno::NOENT) => Ok(Quota::default()),
        Err(e) => Err(e),
        Ok(()) => Ok(quota),
    }
}

/// No limit is 0.
fn limit(ground: &Ground, kind: Kind, id: u32, kib: u64, inodes: u64) -> Result<()> {
    let mut quota = Quota {
        bytes_hard: kib,
        inodes_hard: inodes,
        valid: LIMITS,
        ..Quota::default()
    };
    quotactl(ground, SET, kind, id, &mut quota)
}

/// `struct fsxattr`
#[derive(Default)]
#[repr(C)]
struct Fsxattr {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    project: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

const PROJINHERIT: u32 = 0x200;

const FSGETXATTR: u64 = 0x801c_581f;
const FSSETXATTR: u64 = 0x401c_5820;

fn fsxattr(path: &Path) -> Result<Fsxattr> {
    let mut attr = Fsxattr::default();
    let fd = open(path, OFlags::RDONLY)?;
    // SAFETY: `attr` has the layout of struct fsxattr and outlives the call.
    syscall(unsafe { libc::ioctl(fd.as_raw_fd(), FSGETXATTR as _, &raw mut attr) }.into())
        .context("FSGETXATTR")?;
    Ok(attr)
}

/// With these flags besides those that it has.
fn set_project(path: &Path, project: u32, flags: u32) -> Result<()> {
    let mut attr = fsxattr(path)?;
    attr.project = project;
    attr.xflags |= flags;
    let fd = open(path, OFlags::RDONLY)?;
    // SAFETY: as above.
    syscall(unsafe { libc::ioctl(fd.as_raw_fd(), FSSETXATTR as _, &raw mut attr) }.into())
        .context("FSSETXATTR")?;
    Ok(())
}

/// What is in use by whom the quota is of.
pub fn of(ground: &Ground, kind: Kind) -> Result<Quota> {
    usage(ground, kind, kind.id())
}

/// Nobody gets more than he has, which it gives.
pub fn limit_to_use(ground: &Ground, kind: Kind) -> Result<Quota> {
    let now = of(ground, kind)?;
    limit(
        ground,
        kind,
        kind.id(),
        now.bytes.div_ceil(1024),
        now.inodes,
    )?;
    Ok(now)
}

pub fn no_limit(ground: &Ground, kind: Kind) -> Result<()> {
    limit(ground, kind, kind.id(), 0, 0)
}

/// Makes a file that everybody may write, and whose owner and group have a quota; a directory
/// becomes theirs.
pub fn owned(path: &Path) -> Result<()> {
    if !path.is_dir() {
        fs::write(path, content(SIZE))?;
        rfs::chmod(path, Mode::from_raw_mode(0o666))?;
    }
    let (uid, gid) = (Some(Uid::from_raw(OWNER)), Some(Gid::from_raw(GROUP)));
    Ok(rfs::chownat(CWD, path, uid, gid, AtFlags::empty())?)
}

/// Such a file; the project is handed down by its directory or is its own.
pub fn pair(kind: Kind, handed_down: bool) -> Result<Pair> {
    Pair::with("quota", |a| {
        let dir = a.parent().context("no directory")?;
        if handed_down && kind == Kind::Project {
            set_project(dir, PROJECT, PROJINHERIT)?;
        }
        owned(a)?;
        if !handed_down && kind == Kind::Project {
            set_project(a, PROJECT, 0)?;
        }
        Ok(())
    })
}

pub fn options() -> &'static str {
    if super::is_tmpfs() {
        "usrquota,grpquota"
    } else {
        "usrquota,grpquota,prjquota"
    }
}

/// Root breaks the link, and somebody else who may write but has no quota left himself.
fn charged(kind: Kind, handed_down: bool) -> Result<()> {
    let ground = Ground::with(options())?;
    let clean = usage(&ground, kind, kind.id())?;
    let pair = pair(kind, handed_down)?;
    let before = usage(&ground, kind, kind.id())?;
    let account = ground.account()?;
    let root = usage(&ground, Kind::User, 0)?;
    // For xfs a project is a small file system.
    let over = match kind {
        Kind::Project if ground.fs() == "xfs" => Errno::NOSPC,
        _ => Errno::DQUOT,
    };
    // The directory is its project's as well.
    let inodes = 1 + u64::from(kind == Kind::Project && handed_down);
    ensure!(
        before.bytes >= clean.bytes + SIZE as u64 && before.inodes == clean.inodes + inodes,
        "{clean:?}, then {before:?}"
    );

    let open_it = || open(&pair.a, OFlags::RDWR).map(drop);
    let chmod_it = || rfs::chmod(&pair.a, Mode::from_raw_mode(0o600));
    let kib = before.bytes.div_ceil(1024);
    for more in [0, 4, SIZE as u64 / 2048] {
        limit(&ground, kind, kind.id(), kib + more, 0)?;
        pair.refused("open", open_it(), over)?;
        pair.refused("chmod", chmod_it(), over)?;
    }
    // xfs lets whoever may give a file a project id exceed the limit of inodes with it.
    if handed_down || ground.fs() != "xfs" {
        limit(&ground, kind, kind.id(), 0, before.inodes)?;
        pair.refused("open", open_it(), over)?;
        pair.refused("chmod", chmod_it(), over)?;
    }
    limit(&ground, kind, kind.id(), kib, 0)?;
    isolated(|| {
        become_user()?;
        refused("open as a user", open_it(), over)
    })?;
    pair.intact()?;
    limit(&ground, kind, kind.id(), 0, 0)?;
    ground.nothing_leaked(&account, SIZE as u64)?;
    let now = usage(&ground, kind, kind.id())?;
    ensure!(
        now.bytes == before.bytes && now.inodes == before.inodes,
        "{before:?}, now {now:?}"
    );

    // Who breaks it needs no quota.
    limit(&ground, Kind::User, USER, 1, 1)?;
    isolated(|| {
        become_user()?;
        Ok(open_it()?)
    })?;
    pair.broken_alike()?;
    let now = usage(&ground, kind, kind.id())?;
    ensure!(
        now.inodes == before.inodes + 1 && now.bytes >= 2 * SIZE as u64,
        "the copy is not charged: {before:?}, now {now:?}"
    );
    let user = usage(&ground, Kind::User, USER)?;
    ensure!(user.inodes == 0 && user.bytes == 0, "{user:?}");
    let root_now = usage(&ground, Kind::User, 0)?;
    ensure!(root_now.inodes == root.inodes, "{root:?}, now {root_now:?}");
    limit(&ground, Kind::User, USER, 0, 0)
}

pub fn quota_of_the_user() -> Result<()> {
    charged(Kind::User, false)
}

pub fn quota_of_the_group() -> Result<()> {
    charged(Kind::Group, false)
}

/// That of the directory and all in it
pub fn quota_of_the_project() -> Result<()> {
    charged(Kind::Project, true)
}

/// That of this file, in a directory that has none
pub fn quota_of_its_own_project() -> Result<()> {
    charged(Kind::Project, false)
}

/// A directory that hands down its group, which is not the file's: the copy is the file's group's
/// before it has any content.
pub fn quota_in_a_directory_of_another_group() -> Result<()> {
    const OTHER: u32 = GROUP + 1;
    /// xfs reserves some blocks for a new inode, which begins as the other group's.
    const LARGE: usize = 1 << 20;
    let ground = Ground::with(options())?;
    let pair = Pair::with("handed_down", |a| {
        let dir = a.parent().context("no directory")?;
        rfs::chownat(CWD, dir, None, Some(Gid::from_raw(OTHER)), AtFlags::empty())?;
        rfs::chmod(dir, Mode::from_raw_mode(0o2755))?;
        owned(a)?;
        fs::write(a, content(LARGE))?;
        Ok(rfs::chmod(a, Mode::from_raw_mode(0o6755))?)
    })?;
    let open_it = || open(&pair.a, OFlags::RDWR).map(drop);
    let (group, other) = (
        of(&ground, Kind::Group)?,
        usage(&ground, Kind::Group, OTHER)?,
    );

    let kib = group.bytes.div_ceil(1024);
    for more in [0, 4, LARGE as u64 / 2048] {
        limit(&ground, Kind::Group, GROUP, kib + more, 0)?;
        pair.refused("open", open_it(), Errno::DQUOT)?;
    }
    no_limit(&ground, Kind::Group)?;
    eventually("what failed is given back", || {
        of(&ground, Kind::Group).is_ok_and(|now| now.inodes == group.inodes)
    })?;

    // Half of the content would fit.
    let kib = other.bytes.div_ceil(1024) + LARGE as u64 / 2048;
    limit(&ground, Kind::Group, OTHER, kib, 0)?;
    open_it()?;
    pair.broken_alike()?;
    limit(&ground, Kind::Group, OTHER, 0, 0)?;
    let now = of(&ground, Kind::Group)?;
    ensure!(
        now.inodes == group.inodes + 1 && now.bytes >= group.bytes + LARGE as u64,
        "{group:?}, now {now:?}"
    );
    let now = usage(&ground, Kind::Group, OTHER)?;
    ensure!(
        now.inodes == other.inodes && now.bytes < other.bytes + LARGE as u64,
        "{other:?}, now {now:?}"
    );
    Ok(())
}

/// A directory that hands down its project, which is not the file's: the copy gets that when it has the
/// name, and if there is no room for it there, stays in the directory's.
pub fn quota_in_a_directory_of_another_project() -> Result<()> {
    const OTHER: u32 = PROJECT + 1;
    let ground = Ground::with(options())?;
    let pair = Pair::with("handed_down", |a| {
        owned(a)?;
        set_project(a, PROJECT, 0)
    })?;
    // Nobody could give it the other name in such a directory.
    set_project(&pair.dir, OTHER, PROJINHERIT)?;
    let was = (
        of(&ground, Kind::Project)?,
        usage(&ground, Kind::Project, OTHER)?,
    );

    limit_to_use(&ground, Kind::Project)?;
    drop(open(&pair.a, OFlags::RDWR).context("open")?);
    pair.broken()?;
    let got = fsxattr(&pair.a)?.project;
    let now = (
        of(&ground, Kind::Project)?,
        usage(&ground, Kind::Project, OTHER)?,
    );
    // xfs lets whoever may give a file a project id exceed its limit.
    let stays = ground.fs() != "xfs";
    ensure!(got == if stays { OTHER } else { PROJECT }, "project {got}");
    let [file, directory] = [now.0.inodes - was.0.inodes, now.1.inodes - was.1.inodes];
    ensure!(
        (file, directory) == if stays { (0, 1) } else { (1, 0) },
        "{was:?}, now {now:?}"
    );
    no_limit(&ground, Kind::Project)
}

const QUOTA_CTL: u64 = 0xc010_9428;
const QGROUP_LIMIT: u64 = 0x8030_942b;
const QUOTA_RESCAN_WAIT: u64 = 0x942e;

/// The subvolume at the top
const TOP: u64 = 5;
const MAX_REFERENCED: u64 = 1;

fn btrfs(ground: &Ground, code: u64, mut args: [u64; 6]) -> Result<()> {
    let fd = open(&ground.at, OFlags::RDONLY)?;
    // SAFETY: `args` is as large as the largest of the structures, and outlives the call.
    syscall(unsafe { libc::ioctl(fd.as_raw_fd(), code as _, args.as_mut_ptr()) }.into())
        .with_context(|| format!("ioctl {code:#x}"))?;
    Ok(())
}

/// To a single byte.
pub fn limit_subvolume(ground: &Ground) -> Result<()> {
    btrfs(ground, QUOTA_CTL, [1, 0, 0, 0, 0, 0])?;
    btrfs(ground, QUOTA_RESCAN_WAIT, [0; 6])?;
    btrfs(ground, QGROUP_LIMIT, [TOP, MAX_REFERENCED, 1, 0, 0, 0])?;
    ground.sync()
}

/// To change the limit is over the limit, too: there is no quota any more.
pub fn unlimit_subvolume(ground: &Ground) -> Result<()> {
    btrfs(ground, QUOTA_CTL, [2, 0, 0, 0, 0, 0])
}

/// Where owners have no quota the copy counts against that of the subvolume.
pub fn quota_of_the_subvolume() -> Result<()> {
    let ground = Ground::new()?;
    let pair = Pair::new("quota")?;
    limit_subvolume(&ground)?;
    let got = open(&pair.a, OFlags::RDWR);
    pair.refused("open", got, Errno::DQUOT)?;
    let got = rfs::chmod(&pair.a, Mode::from_raw_mode(0o600));
    pair.refused("chmod", got, Errno::DQUOT)?;
    unlimit_subvolume(&ground)?;
    open(&pair.a, OFlags::RDWR)?;
    pair.broken_alike()
}
