// SPDX-License-Identifier: GPL-2.0
//! Users and groups inside a context have quotas of their own, on a file system that others use.

use super::{OTHER, OWN, counted, equals_a_scan};
use crate::harness::Test;
use crate::tags::{enter, inside, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use vserver_abi::{self as abi, Owner};

pub(super) const TESTS: &[Test] = tests![
    owners_are_told_apart,
    what_was_there,
    given_from_hand_to_hand,
    follows_its_owner,
    given_while_it_is_written,
    follows_the_tag_of_its_owners,
    whom_it_answers,
    the_hosts_is_not_shown,
    how_it_looks,
    it_ends,
];

/// Somebody else than [`USER`].
const NEIGHBOUR: u32 = 1001;
pub(super) const GROUP: u32 = 6000;
pub(super) const FULL_GROUP: u32 = 6001;

pub(super) const USERS: i32 = libc::USRQUOTA;
pub(super) const GROUPS: i32 = libc::GRPQUOTA;

const GET_NEXT: i32 = 0x80_0009;
const GET_XFS_STATE: i32 = 0x5805;
pub(super) const LIMITS: u32 = 1 | 4;
pub(super) const INODES_TIME: u32 = 32;
const HIDDEN_FILES: u32 = 1 << 16;

/// `struct if_nextdqblk`: limits in KiB, what is in use in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub(super) struct Quota {
    pub(super) bytes_hard: u64,
    pub(super) bytes_soft: u64,
    pub(super) bytes: u64,
    pub(super) inodes_hard: u64,
    pub(super) inodes_soft: u64,
    pub(super) inodes: u64,
    pub(super) bytes_time: u64,
    pub(super) inodes_time: u64,
    pub(super) valid: u32,
    pub(super) id: u32,
}

/// `struct if_dqinfo`
#[derive(Debug, Default)]
#[repr(C)]
struct Info {
    bytes_grace: u64,
    inodes_grace: u64,
    flags: u32,
    valid: u32,
}

/// Calls quotactl_fd(2) with an argument that is as large as the command wants it.
fn quotactl<T>(dir: &Path, cmd: i32, kind: i32, id: u32, arg: &mut T) -> Result<(), Errno> {
    let fd: OwnedFd = open(dir, OFlags::RDONLY)?;
    let cmd = libc::QCMD(cmd, kind);
    // SAFETY: `arg` has the layout that the command says, and outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            fd.as_raw_fd(),
            cmd,
            id,
            std::ptr::from_mut(arg),
        )
    };
    syscall(done).map(drop)
}

pub(super) fn get(dir: &Path, kind: i32, id: u32) -> Result<Quota, Errno> {
    let mut quota = Quota::default();
    quotactl(dir, libc::Q_GETQUOTA, kind, id, &mut quota)?;
    Ok(quota)
}

/// Sets what `valid` says of it.
pub(super) fn set(dir: &Path, kind: i32, id: u32, quota: Quota) -> Result<(), Errno> {
    let mut quota = quota;
    quotactl(dir, libc::Q_SETQUOTA, kind, id, &mut quota)
}

/// KiB
pub(super) const LIMIT: u64 = 1024;

pub(super) fn space(kib: u64) -> Quota {
    Quota {
        bytes_hard: kib,
        valid: LIMITS,
        ..Quota::default()
    }
}

pub(super) fn inodes(n: u64) -> Quota {
    Quota {
        inodes_hard: n,
        valid: LIMITS,
        ..Quota::default()
    }
}

/// Whether limits hold.
pub(super) fn turn(dir: &Path, kind: i32, on: bool) -> Result<(), Errno> {
    let cmd = if on {
        libc::Q_QUOTAON
    } else {
        libc::Q_QUOTAOFF
    };
    quotactl(dir, cmd, kind, 0, &mut 0u32)
}

/// An empty directory for everybody, where what the owners in [`OWN`] have is counted.
pub(super) fn with_quota(name: &str) -> Result<std::path::PathBuf> {
    let dir = counted(name)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
    abi::add_quota(OWN, &dir)?;
    Ok(dir)
}

/// Space and inodes of each owner.
pub(super) type Sums = BTreeMap<(i32, u32), (u64, u64)>;

/// Adds up what the context's files in a directory are to whom, each inode once.
fn add_up(dir: &Path, block: u64, seen: &mut BTreeSet<u64>, sums: &mut Sums) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if abi::get_iattr(&path)?.xid == OWN && seen.insert(meta.ino()) {
            for owner in [(USERS, meta.uid()), (GROUPS, meta.gid())] {
                let sum = sums.entry(owner).or_default();
                sum.0 += meta.blocks() * 512 / block * block;
                sum.1 += 1;
            }
        }
        if meta.is_dir() {
            add_up(&path, block, seen, sums)?;
        }
    }
    Ok(())
}

/// What is counted for each owner is what there is, and nobody else has anything.
pub(super) fn owners_equal_a_scan(dir: &Path) -> Result<Sums> {
    equals_a_scan(OWN)?;
    let (mut seen, mut found) = (BTreeSet::new(), Sums::new());
    add_up(&root(), rfs::statvfs(dir)?.f_frsize, &mut seen, &mut found)?;
    inside(OWN, || {
        let mut counted = Sums::new();
        for kind in [USERS, GROUPS] {
            let mut id = 0;
            loop {
                let mut quota = Quota::default();
                match quotactl(dir, GET_NEXT, kind, id, &mut quota) {
                    Err(Errno::NOENT) => break,
                    done => done.context("Q_GETNEXTQUOTA")?,
                }
                if (quota.bytes, quota.inodes) != (0, 0) {
                    counted.insert((kind, quota.id), (quota.bytes, quota.inodes));
                }
                id = quota.id + 1;
            }
        }
        ensure!(counted == found, "found {found:?}, counted {counted:?}");
        Ok(())
    })?;
    Ok(found)
}

fn owners_are_told_apart() -> Result<()> {
    let dir = with_quota("owners")?;
    inside(OWN, || {
        fs::write(dir.join("root"), vec![1; 50_000])?;
        become_user()?;
        fs::create_dir(dir.join("below"))?;
        fs::write(dir.join("below/user"), vec![1; 100_000])?;
        fs::write(dir.join("removed"), vec![1; 100_000])?;
        symlink("x".repeat(1000), dir.join("link"))?;
        Ok(fs::remove_file(dir.join("removed"))?)
    })?;
    inside(OTHER, || {
        become_user()?;
        Ok(fs::write(dir.join("other"), vec![1; 100_000])?)
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    let (bytes, inodes) = sums[&(USERS, USER)];
    ensure!(bytes >= 100_000 && inodes == 3, "{sums:?}");
    ensure!(sums[&(USERS, 0)].1 == 1, "{sums:?}");
    inside(OWN, || Ok(fs::remove_dir_all(dir.join("below"))?))?;
    ensure!(owners_equal_a_scan(&dir)?[&(USERS, USER)].1 == 1);
    Ok(())
}

/// It is said what there was before it was counted.
fn what_was_there() -> Result<()> {
    let dir = counted("before")?;
    inside(OWN, || Ok(fs::write(dir.join("file"), vec![1; 100_000])?))?;
    let (bytes, inodes) = equals_a_scan(OWN)?;
    abi::add_quota(OWN, &dir)?;
    for owner in [Owner::User(0), Owner::Group(0)] {
        abi::set_quota(OWN, &dir, owner, &abi::Quota::used(bytes, inodes))?;
    }
    owners_equal_a_scan(&dir)?;
    refused("again", abi::add_quota(OWN, &dir), Errno::EXIST)?;
    refused("nobody", abi::add_quota(OTHER, &dir), Errno::SRCH)?;
    let nobody = abi::set_quota(OTHER, &dir, Owner::User(0), &abi::Quota::used(0, 0));
    refused("of nobody", nobody, Errno::SRCH)?;
    // And of all at once.
    for owner in [Owner::USERS, Owner::GROUPS] {
        abi::set_quota(OWN, &dir, owner, &abi::Quota::used(0, 0))?;
    }
    inside(OWN, || {
        ensure!(get(&dir, USERS, 0)?.inodes == 0 && get(&dir, GROUPS, 0)?.bytes == 0);
        Ok(())
    })
}

/// Who has nothing any more is forgotten.
fn given_from_hand_to_hand() -> Result<()> {
    let dir = with_quota("hands")?;
    inside(OWN, || {
        fs::write(dir.join("file"), "x")?;
        for id in 2000..4000 {
            chown(dir.join("file"), Some(id), Some(id))?;
        }
        let mut quota = Quota::default();
        quotactl(&dir, GET_NEXT, USERS, 0, &mut quota)?;
        ensure!(quota.id == 3999, "{quota:?}");
        set(&dir, USERS, 5000, space(LIMIT))?;
        quotactl(&dir, GET_NEXT, USERS, 4000, &mut quota)?;
        ensure!(quota.id == 5000, "{quota:?}");
        set(&dir, USERS, 5000, space(0))?;
        let next = quotactl(&dir, GET_NEXT, USERS, 4000, &mut quota);
        refused("next", next, Errno::NOENT)
    })?;
    owners_equal_a_scan(&dir)?;
    Ok(())
}

/// By chown(2) of those inside and of the host, of what has space, is open, has no blocks yet.
fn follows_its_owner() -> Result<()> {
    let dir = with_quota("chown")?;
    inside(OWN, || {
        let file = open(&dir.join("open"), OFlags::RDWR | OFlags::CREATE)?;
        ensure!(rustix::io::write(&file, &[1; 50_000])? == 50_000);
        chown(dir.join("open"), Some(USER), None)?;
        ensure!(rustix::io::write(&file, &[1; 50_000])? == 50_000);
        chown(dir.join("open"), None, Some(GROUP))?;
        ensure!(rustix::io::write(&file, &[1; 50_000])? == 50_000);
        fs::write(dir.join("empty"), "")?;
        symlink("x".repeat(1000), dir.join("link"))?;
        lchown(dir.join("link"), Some(NEIGHBOUR), Some(GROUP))?;
        Ok(chown(dir.join("empty"), Some(NEIGHBOUR), Some(GROUP))?)
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(sums[&(USERS, USER)].0 >= 150_000, "{sums:?}");
    chown(dir.join("open"), Some(NEIGHBOUR), Some(0))?;
    let sums = owners_equal_a_scan(&dir)?;
    ensure!(!sums.contains_key(&(USERS, USER)), "{sums:?}");
    ensure!(sums[&(USERS, NEIGHBOUR)].1 == 3, "{sums:?}");
    Ok(())
}

/// Whom it is charged to meanwhile, and who gets it then, is the same for all of it.
fn given_while_it_is_written() -> Result<()> {
    const FILES: [&str; 3] = ["a", "b", "c"];
    let dir = with_quota("race")?;
    let write = |worker: u64| -> Result<()> {
        for i in 0..300 {
            for name in FILES {
                let file = open(&dir.join(name), OFlags::RDWR | OFlags::CREATE)?;
                rustix::io::pwrite(&file, &[1; 9000], (i * 7 + worker) % 40 * 4096)?;
                if i % 16 == worker {
                    rfs::ftruncate(&file, 0)?;
                }
            }
        }
        Ok(())
    };
    let give = |worker: u32| -> Result<()> {
        for i in 0..300 {
            for name in FILES {
                let owner = if i % 2 == worker { USER } else { NEIGHBOUR };
                let given = lchown(dir.join(name), Some(owner), Some(owner + 1));
                if let Err(e) = given {
                    ensure!(e.kind() == std::io::ErrorKind::NotFound, "{e}");
                }
            }
        }
        Ok(())
    };
    inside(OWN, || {
        let mut workers = Vec::new();
        for worker in 0..2 {
            workers.push(crate::process::spawn(|| i32::from(write(worker).is_err()))?);
            let giver = worker as u32;
            workers.push(crate::process::spawn(|| i32::from(give(giver).is_err()))?);
        }
        for worker in workers {
            let status = worker.wait()?;
            ensure!(status == crate::process::Status::Exited(0), "{status:?}");
        }
        Ok(())
    })?;
    let sums = owners_equal_a_scan(&dir)?;
    let users = sums.range((USERS, 0)..(GROUPS, 0));
    ensure!(users.map(|(_, sum)| sum.1).sum::<u64>() == 3, "{sums:?}");
    for name in FILES {
        fs::remove_file(dir.join(name))?;
    }
    ensure!(owners_equal_a_scan(&dir)?.is_empty());
    Ok(())
}

fn follows_the_tag_of_its_owners() -> Result<()> {
    let dir = with_quota("tags")?;
    inside(OWN, || {
        become_user()?;
        Ok(fs::write(dir.join("file"), vec![1; 100_000])?)
    })?;
    ensure!(owners_equal_a_scan(&dir)?.len() == 2);
    set_tag(&dir.join("file"), OTHER)?;
    ensure!(owners_equal_a_scan(&dir)?.is_empty());
    set_tag(&dir.join("file"), OWN)?;
    ensure!(owners_equal_a_scan(&dir)?.len() == 2);
    Ok(())
}

/// Enters with a context capability beside what contexts have by default.
fn enter_with(ccaps: u64) -> Result<()> {
    abi::ctx_create(OWN, abi::VXF_STATE_SETUP)?;
    abi::set_ccaps(OWN, ccaps, !0)?;
    Ok(abi::set_cflags(OWN, 0, abi::VXF_STATE_SETUP)?)
}

fn whom_it_answers() -> Result<()> {
    let dir = with_quota("who")?;
    for (ccaps, may) in [(abi::VXC_QUOTA_CTL, true), (!abi::VXC_QUOTA_CTL, false)] {
        crate::process::isolated(|| {
            enter_with(ccaps)?;
            let done = set(&dir, USERS, USER, space(LIMIT));
            ensure!(done.is_ok() == may, "{ccaps:#x}: {done:?}");
            let done = turn(&dir, USERS, true);
            ensure!(done.is_ok() == may, "{ccaps:#x}: {done:?}");
            become_user()?;
            refused("another's", get(&dir, USERS, NEIGHBOUR), Errno::PERM)?;
            refused("set", set(&dir, USERS, USER, space(0)), Errno::PERM)?;
            ensure!(get(&dir, USERS, USER)?.bytes_hard == LIMIT, "his own");
            ensure!(get(&dir, GROUPS, USER)?.bytes_hard == 0, "his group's");
            Ok(())
        })?;
    }
    Ok(())
}

/// Where nothing is counted for a context it learns nothing, whatever quota the file system has.
fn the_hosts_is_not_shown() -> Result<()> {
    let dir = counted("host")?;
    inside(OWN, || {
        refused("quota", get(&dir, USERS, 0), Errno::SRCH)?;
        let mut info = Info::default();
        let got = quotactl(&dir, libc::Q_GETINFO, USERS, 0, &mut info);
        refused("info", got, Errno::SRCH)?;
        let got = quotactl(&dir, libc::Q_GETFMT, USERS, 0, &mut 0u32);
        refused("format", got, Errno::SRCH)?;
        refused("off", turn(&dir, USERS, false), Errno::SRCH)?;
        let set = set(&dir, USERS, USER, space(LIMIT));
        refused("limit", set, Errno::SRCH)
    })
}

/// As a file system looks that keeps quota in hidden files, by both interfaces.
fn how_it_looks() -> Result<()> {
    let dir = with_quota("looks")?;
    inside(OWN, || {
        let mut info = Info::default();
        quotactl(&dir, libc::Q_GETINFO, GROUPS, 0, &mut info)?;
        ensure!(info.flags & HIDDEN_FILES != 0 && info.bytes_grace > 0);
        info.bytes_grace = 77;
        info.valid = 1;
        quotactl(&dir, libc::Q_SETINFO, GROUPS, 0, &mut info)?;
        quotactl(&dir, libc::Q_GETINFO, GROUPS, 0, &mut info)?;
        ensure!(info.bytes_grace == 77 && info.inodes_grace != 77);
        quotactl(&dir, libc::Q_GETINFO, USERS, 0, &mut info)?;
        ensure!(info.bytes_grace != 77);
        let mut format = 0u32;
        quotactl(&dir, libc::Q_GETFMT, USERS, 0, &mut format)?;
        ensure!(format == 3, "{format}");
        quotactl(&dir, libc::Q_SYNC, USERS, 0, &mut 0u32)?;
        // struct fs_quota_stat: a version, then flags of 16 bits.
        turn(&dir, GROUPS, true)?;
        let mut state = [0u16; 64];
        quotactl(&dir, GET_XFS_STATE, USERS, 0, &mut state)?;
        ensure!(state[1] == 0b1101, "{:#b}", state[1]);
        refused("again", turn(&dir, GROUPS, true), Errno::EXIST)?;
        turn(&dir, GROUPS, false)?;
        refused("off again", turn(&dir, GROUPS, false), Errno::EXIST)?;
        // What is not to be set is not looked at.
        let kept = Quota {
            bytes_hard: u64::MAX >> 11,
            inodes_soft: u64::MAX,
            ..Quota::default()
        };
        set(&dir, USERS, USER, kept)?;
        // Limits that nobody could reach.
        let much = set(&dir, USERS, USER, space(u64::MAX >> 11));
        refused("much", much, Errno::RANGE)?;
        // Projects are the host's.
        let project = get(&dir, 2, 0);
        refused("project", project, Errno::INVAL)
    })
}

fn it_ends() -> Result<()> {
    let dir = with_quota("ends")?;
    inside(OWN, || {
        set(&dir, USERS, USER, inodes(1))?;
        Ok(turn(&dir, USERS, true)?)
    })?;
    // Also while somebody is charged.
    let file = dir.join("busy");
    let busy = crate::process::spawn(|| {
        let done = enter(OWN).and_then(|()| {
            for _ in 0..500 {
                fs::write(&file, vec![1; 10_000])?;
                chown(&file, Some(USER), Some(GROUP))?;
                fs::remove_file(&file)?;
            }
            Ok(())
        });
        i32::from(done.is_err())
    })?;
    for _ in 0..100 {
        abi::rem_quota(OWN, &dir)?;
        abi::add_quota(OWN, &dir)?;
    }
    ensure!(busy.wait()? == crate::process::Status::Exited(0));
    abi::rem_quota(OWN, &dir)?;
    refused("again", abi::rem_quota(OWN, &dir), Errno::SRCH)?;
    inside(OWN, || {
        refused("inside", get(&dir, USERS, 0), Errno::SRCH)?;
        become_user()?;
        fs::write(dir.join("1"), "")?;
        Ok(fs::write(dir.join("2"), "")?)
    })?;
    equals_a_scan(OWN)?;
    // It goes with the limit, too.
    abi::add_quota(OWN, &dir)?;
    abi::rem_dlimit(OWN, &dir)?;
    refused("of nothing", abi::rem_quota(OWN, &dir), Errno::SRCH)
}
