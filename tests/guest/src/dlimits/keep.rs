// SPDX-License-Identifier: GPL-2.0
//! What is counted survives a mount, and nothing survives that may be wrong.

use super::{KEEP, OTHER, OWN, THIRD, XIDS, counted, equals_a_scan, on};
use crate::calls::ioctl;
use crate::harness::Test;
use crate::kernel_log::{log_end, logged};
use crate::tags::{inside, mount_at, mount_with, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, FallocateFlags, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use std::fs;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    survives_a_mount,
    just_before_the_end,
    open_to_the_end,
    root_of_a_context,
    read_only_mount,
    remounts,
    crash_after_a_mount,
    without_tags,
    other_tags,
    forged_values,
    nobody_sees_it,
    more_than_fit,
];

const NAME: &str = "security.vserver.dlimits";

/// Where it has the name of the file system's, its own version, and how many limits there are.
const UUID: usize = 16;
const VERSION: usize = 0;
const COUNT: usize = 12;
/// The first limit.
const LIMIT: usize = 32;

/// It was kept, and is what there is.
fn kept(xid: u32) -> Result<abi::Dlimit> {
    let limit = abi::get_dlimit(xid, root()).with_context(|| format!("of {xid}"))?;
    let both = abi::CDLIM_COUNTED | abi::CDLIM_KEPT;
    ensure!(limit.flags == both, "{limit:?}");
    Ok(limit)
}

fn kept_as(xid: u32, before: abi::Dlimit) -> Result<()> {
    let flags = abi::CDLIM_COUNTED | abi::CDLIM_KEPT;
    let limit = kept(xid)?;
    ensure!(
        limit == abi::Dlimit { flags, ..before },
        "{before:?} became {limit:?}"
    );
    Ok(())
}

fn none_is_kept() -> Result<()> {
    for xid in XIDS {
        expect(abi::get_dlimit(xid, root()), Errno::SRCH)?;
    }
    Ok(())
}

/// What a file system does not show before it is written out.
fn work(dir: &Path) -> Result<()> {
    inside(OWN, || {
        fs::create_dir(dir.join("sub"))?;
        fs::write(dir.join("sub/small"), "a few bytes")?;
        std::os::unix::fs::symlink("x".repeat(300), dir.join("link"))?;
        // For the next one there is room beyond the end.
        for _ in 0..4 {
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
            rustix::io::write(open(&dir.join("grows"), flags)?, &[1; 300_000])?;
        }
        let sparse = open(&dir.join("sparse"), OFlags::RDWR | OFlags::CREATE)?;
        rustix::io::pwrite(&sparse, &[1; 5000], 10 << 20)?;
        rfs::fallocate(&sparse, FallocateFlags::KEEP_SIZE, 20 << 20, 100_000)?;
        Ok(())
    })
}

fn survives_a_mount() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("kept")?;
    work(&dir)?;
    let other = abi::Dlimit {
        space_used: 0,
        space_total: 1 << 40,
        inodes_used: 0,
        inodes_total: 1 << 33,
        reserved: 7,
        flags: abi::CDLIM_COUNTED,
    };
    abi::add_dlimit(OTHER, &dir)?;
    abi::set_dlimit(OTHER, &dir, &other)?;
    // Nobody has counted what that one has.
    abi::add_dlimit(THIRD, &dir)?;
    // The second one is of what was not counted in between.
    for _ in 0..2 {
        mount_with("tag")?;
        kept(OWN)?;
        let (bytes, inodes) = equals_a_scan(OWN)?;
        ensure!(bytes > 1_200_000 && inodes == 5, "{bytes} in {inodes}");
        kept_as(OTHER, other)?;
        expect(abi::get_dlimit(THIRD, root()), Errno::SRCH)?;
    }
    // It goes on from there, and what is said anew is no more what was kept.
    inside(OWN, || Ok(fs::remove_file(dir.join("grows"))?))?;
    ensure!(equals_a_scan(OWN)?.1 == 4);
    let found = abi::get_dlimit(OWN, &dir)?;
    abi::set_dlimit(OWN, &dir, &found)?;
    ensure!(abi::get_dlimit(OWN, &dir)?.flags == abi::CDLIM_COUNTED);
    Ok(())
}

/// What was removed just now is not freed yet.
fn just_before_the_end() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("late")?;
    inside(OWN, || {
        for i in 0..200 {
            let file = dir.join(i.to_string());
            fs::write(&file, vec![1; 20_000])?;
            if i % 2 == 0 {
                fs::remove_file(&file)?;
            }
        }
        Ok(())
    })?;
    mount_with("tag")?;
    kept(OWN)?;
    ensure!(equals_a_scan(OWN)?.1 == 100);
    Ok(())
}

/// A file system that nobody finds any more ends with the last file that is open, which has no name.
fn open_to_the_end() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("open")?;
    let name = dir.join("file");
    inside(OWN, || {
        fs::write(dir.join("other"), vec![1; 50_000])?;
        Ok(fs::write(&name, vec![1; 1 << 20])?)
    })?;
    let file = open(&name, OFlags::RDWR)?;
    fs::remove_file(&name)?;
    unmount(root(), UnmountFlags::DETACH)?;
    rustix::io::pwrite(&file, &[1; 100_000], 2 << 20)?;
    drop(file);
    mount_at(&root(), "tag")?;
    kept(OWN)?;
    ensure!(equals_a_scan(OWN)?.1 == 1);
    Ok(())
}

/// Where the attribute itself takes a block it is the context's, and gone when it is counted.
fn root_of_a_context() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let _dir = counted("root")?;
    set_tag(&root(), OWN)?;
    let before = abi::get_dlimit(OWN, root())?;
    for _ in 0..2 {
        mount_with("tag")?;
        kept_as(OWN, before)?;
    }
    set_tag(&root(), 0)?;
    let after = abi::get_dlimit(OWN, root())?;
    ensure!((after.space_used, after.inodes_used) == (0, 0), "{after:?}");
    Ok(())
}

fn remount(flags: MountFlags) -> Result<()> {
    Ok(mount_remount(root(), flags, c"tag")?)
}

/// It shows what was kept, and writes nothing.
fn read_only_mount() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("read-only")?;
    work(&dir)?;
    mount_with("tag")?;
    let before = kept(OWN)?;
    for _ in 0..2 {
        mount_with("tag,ro")?;
        kept_as(OWN, before)?;
    }
    // When it can be written to, what was kept is of yesterday.
    remount(MountFlags::empty())?;
    inside(OWN, || Ok(fs::write(dir.join("more"), vec![1; 60_000])?))?;
    equals_a_scan(OWN)?;
    mount_with("tag")?;
    kept(OWN)?;
    ensure!(equals_a_scan(OWN)?.1 == 6);
    Ok(())
}

/// Read-only is as good as unmounted: that is how the file system of the host itself ends.
fn remounts() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("remounts")?;
    work(&dir)?;
    remount(MountFlags::RDONLY)?;
    let before = abi::get_dlimit(OWN, &dir)?;
    mount_with("tag")?;
    kept_as(OWN, before)?;
    equals_a_scan(OWN)?;
    // Who still writes keeps it from becoming read-only, and goes on being counted.
    let file = open(&dir.join("grows"), OFlags::WRONLY | OFlags::APPEND)?;
    ensure!(remount(MountFlags::RDONLY).is_err());
    rustix::io::write(&file, &[1; 50_000])?;
    drop(file);
    equals_a_scan(OWN)?;
    remount(MountFlags::RDONLY)?;
    remount(MountFlags::empty())?;
    inside(OWN, || Ok(fs::remove_file(dir.join("grows"))?))?;
    mount_with("tag")?;
    kept(OWN)?;
    ensure!(equals_a_scan(OWN)?.1 == 4);
    Ok(())
}

/// As it is after a power failure: the disk has what was made durable, and no more. Returns whether
/// the file system can do that.
fn crash() -> Result<bool> {
    const SHUTDOWN: u64 = 0x8004_587d;
    const WITHOUT_THE_LOG: u32 = 2;
    if on("btrfs") || on("tmpfs") {
        return Ok(false);
    }
    let top = open(&root(), OFlags::RDONLY)?;
    ioctl(&top, SHUTDOWN, &mut { WITHOUT_THE_LOG }).context("shutdown")?;
    drop(top);
    mount_with("tag")?;
    Ok(true)
}

/// Whatever was made durable, what was kept before it was not.
fn crash_after_a_mount() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("crash")?;
    work(&dir)?;
    mount_with("tag")?;
    kept(OWN)?;
    // Some file systems write down the file alone.
    inside(OWN, || {
        let file = open(&dir.join("new"), OFlags::RDWR | OFlags::CREATE)?;
        rustix::io::write(&file, &[1; 100_000])?;
        Ok(rfs::fsync(&file)?)
    })?;
    if !crash()? {
        return Ok(());
    }
    none_is_kept()?;
    ensure!(fs::metadata(dir.join("new"))?.len() == 100_000);
    // The same where it was read-only in between.
    let dir = counted("crash")?;
    remount(MountFlags::RDONLY)?;
    remount(MountFlags::empty())?;
    inside(OWN, || {
        let file = open(&dir.join("new"), OFlags::RDWR | OFlags::CREATE)?;
        rustix::io::write(&file, &[1; 100_000])?;
        Ok(rfs::fsync(&file)?)
    })?;
    crash()?;
    none_is_kept()
}

/// Who mounts it without tags can change anything, and nobody counts.
fn without_tags() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    for (options, then_writable) in [("rw", false), ("ro", true)] {
        let _dir = counted("untagged")?;
        mount_with(options)?;
        if then_writable {
            mount_remount(root(), MountFlags::empty(), c"")?;
        }
        mount_with("tag")?;
        none_is_kept().context(options)?;
    }
    // If nothing can be written nothing is lost.
    let _dir = counted("untagged")?;
    mount_with("ro")?;
    mount_with("tag")?;
    kept(OWN)?;
    Ok(())
}

/// Then other files are the context's.
fn other_tags() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let _dir = counted("others")?;
    mount_with(&format!("tag={OWN}"))?;
    none_is_kept()?;
    mount_with("tag")?;
    none_is_kept()
}

/// What the kernel has written last.
fn written() -> Result<Vec<u8>> {
    mount_with("ro")?;
    xattr(&root(), NAME)?.context("nothing is written down")
}

/// Puts something in its place, and mounts that.
fn forge(value: &[u8]) -> Result<()> {
    mount_with("rw")?;
    rfs::setxattr(root(), NAME, value, XattrFlags::empty())?;
    mount_with("tag")
}

fn changed(value: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(old) = value.get_mut(at) {
        *old = byte;
    }
    value
}

/// What this version did not write it does not believe, and says so once.
fn forged_values() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let _dir = counted("forged")?;
    let good = written()?;
    ensure!(good.len() == LIMIT + 40, "{} bytes", good.len());
    let longer = [&good[..], &[0]].concat();
    let values = [
        ("nothing", vec![]),
        ("a byte", vec![1]),
        ("too short", good[..good.len() - 1].to_vec()),
        ("too long", longer),
        ("much too long", vec![1; 600]),
        ("another version", changed(&good, VERSION, 2)),
        ("bits that mean nothing", changed(&good, VERSION + 7, 1)),
        ("more than there are", changed(&good, COUNT, 2)),
        ("many more", changed(&good, COUNT + 3, 0xff)),
        (
            "no context",
            changed(&changed(&good, LIMIT, 0), LIMIT + 1, 0),
        ),
        ("a large xid", changed(&good, LIMIT + 3, 1)),
        ("reserved", changed(&good, LIMIT + 4, 101)),
        ("negative space", changed(&good, LIMIT + 15, 0x80)),
        ("more space than there is", changed(&good, LIMIT + 15, 0x7f)),
        ("negative total", changed(&good, LIMIT + 23, 0x80)),
        ("many inodes", changed(&good, LIMIT + 31, 0x7f)),
    ];
    for (what, value) in values {
        let log = log_end()?;
        forge(&value).context(what)?;
        none_is_kept().context(what)?;
        let said = logged(&log, &["is not valid, and not used"])?;
        ensure!(said.len() == 1, "{what}: {said:?}");
    }
    // That of another file system is valid there.
    let log = log_end()?;
    forge(&changed(&good, UUID, good.get(UUID).map_or(0, |b| !b)))?;
    none_is_kept()?;
    ensure!(logged(&log, &["is not valid, and not used"])?.is_empty());
    // And what was right is right.
    forge(&good)?;
    kept(OWN)?;
    Ok(())
}

/// Neither inside a context nor on the host, where backups would take it along.
fn nobody_sees_it() -> Result<()> {
    if on("tmpfs") {
        return Ok(());
    }
    let _dir = counted("hidden")?;
    let hidden = || -> Result<()> {
        ensure!(xattr(&root(), NAME)?.is_none());
        let mut names = [0; 4096];
        let length = rfs::listxattr(root(), &mut names[..])?;
        ensure!(rfs::listxattr_query(root())? == length);
        let names = String::from_utf8_lossy(names.get(..length).unwrap_or_default());
        ensure!(!names.contains(NAME), "{names}");
        Ok(())
    };
    mount_with("tag,ro")?;
    kept(OWN)?;
    hidden()?;
    inside(OWN, hidden)?;
    // Without tags the host sees it, as it is on the disk; those inside don't.
    mount_with("ro")?;
    ensure!(xattr(&root(), NAME)?.is_some());
    inside(OWN, hidden)?;
    mount_with("tag")?;
    hidden()?;
    for xid in [abi::VX_XID_HOST, OWN] {
        inside(xid, || {
            let set = rfs::setxattr(root(), NAME, b"x", XattrFlags::empty());
            refused("set", set, Errno::PERM)?;
            refused("remove", rfs::removexattr(root(), NAME), Errno::PERM)
        })?;
    }
    Ok(())
}

/// Of as many as the file system takes in an attribute; the others have to be counted.
fn more_than_fit() -> Result<()> {
    const MANY: u32 = 300;
    if on("tmpfs") {
        return Ok(());
    }
    let dir = counted("many")?;
    abi::rem_dlimit(OWN, &dir)?;
    let all = 1000..1000 + MANY;
    for xid in all.clone() {
        let limit = abi::Dlimit {
            space_used: xid.into(),
            inodes_used: 1,
            ..KEEP
        };
        abi::add_dlimit(xid, &dir)?;
        abi::set_dlimit(xid, &dir, &limit)?;
    }
    mount_with("tag")?;
    let found: Vec<u32> = all
        .filter(|xid| abi::get_dlimit(*xid, root()).is_ok())
        .collect();
    for (xid, expected) in found.iter().zip(1000..) {
        ensure!(*xid == expected, "{xid} instead of {expected}");
        ensure!(kept(*xid)?.space_used == u64::from(*xid));
        abi::rem_dlimit(*xid, root())?;
    }
    ensure!(found.len() >= 10, "only {}", found.len());
    Ok(())
}
