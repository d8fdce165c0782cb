// SPDX-License-Identifier: GPL-2.0
//! What is counted: all that the files of a context have, and nothing else.

use super::{OTHER, OWN, count_from_here, counted, equals_a_scan, equals_a_scan_now, on};
use crate::harness::Test;
use crate::tags::{belongs, inside, mount_with, set_tag};
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    each_kind_of_file,
    what_is_removed,
    while_it_is_open,
    without_a_name,
    holes_and_cuts,
    ahead_of_the_end,
    shared_and_written_to,
    attributes,
    whoever_made_it,
    follows_the_tag,
    unified_counts_for_nobody,
    copies_count_for_who_breaks,
];

const MODE: Mode = Mode::from_raw_mode(0o644);

fn each_kind_of_file() -> Result<()> {
    let dir = counted("kinds")?;
    inside(OWN, || {
        fs::write(dir.join("file"), vec![1; 100_000])?;
        fs::write(dir.join("empty"), "")?;
        fs::create_dir(dir.join("dir"))?;
        for i in 0..200 {
            fs::write(
                dir.join("dir")
                    .join(format!("a name that takes some room {i}")),
                "x",
            )?;
        }
        symlink("x".repeat(30), dir.join("link"))?;
        symlink("x".repeat(1000), dir.join("long-link"))?;
        rfs::mknodat(CWD, dir.join("fifo"), FileType::Fifo, MODE, 0)?;
        Ok(fs::hard_link(dir.join("file"), dir.join("dir/again"))?)
    })?;
    fs::write(dir.join("host"), vec![1; 100_000])?;
    let (bytes, inodes) = equals_a_scan(OWN)?;
    ensure!(
        bytes >= 100_000 && inodes == 206,
        "{bytes} bytes, {inodes} inodes"
    );
    Ok(())
}

fn what_is_removed() -> Result<()> {
    let dir = counted("removed")?;
    inside(OWN, || {
        for i in 0..50 {
            let below = dir.join(i.to_string());
            fs::create_dir(&below)?;
            fs::write(below.join("file"), vec![1; 10_000])?;
        }
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)?.1 == 100);
    inside(OWN, || {
        for entry in fs::read_dir(&dir)? {
            fs::remove_dir_all(entry?.path())?;
        }
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}

/// What is used, in KiB and inodes.
fn used(dir: &Path) -> Result<(u64, u64)> {
    let limit = abi::get_dlimit(OWN, dir)?;
    Ok((limit.space_used, limit.inodes_used))
}

fn while_it_is_open() -> Result<()> {
    let dir = counted("open")?;
    inside(OWN, || {
        let file = open(&dir.join("file"), OFlags::RDWR | OFlags::CREATE)?;
        ensure!(rustix::io::write(&file, &[1; 8192])? == 8192);
        rfs::fsync(&file)?;
        let before = used(&dir)?;
        fs::remove_file(dir.join("file"))?;
        ensure!(before.0 >= 8 && used(&dir)? == before, "{before:?}");
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}

fn without_a_name() -> Result<()> {
    let dir = counted("nameless")?;
    inside(OWN, || {
        let file = open(&dir, OFlags::RDWR | OFlags::TMPFILE)?;
        ensure!(rustix::io::write(&file, &[1; 8192])? == 8192);
        rfs::fsync(&file)?;
        ensure!(
            used(&dir)?.0 >= 8 && used(&dir)?.1 == 1,
            "{:?}",
            used(&dir)?
        );
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    inside(OWN, || {
        let file = open(&dir, OFlags::RDWR | OFlags::TMPFILE)?;
        rustix::io::write(&file, &[1; 8192])?;
        Ok(rfs::linkat(
            &file,
            "",
            CWD,
            dir.join("named"),
            AtFlags::EMPTY_PATH,
        )?)
    })?;
    ensure!(equals_a_scan(OWN)?.1 == 1);
    Ok(())
}

fn holes_and_cuts() -> Result<()> {
    let dir = counted("holes")?;
    inside(OWN, || {
        let file = open(&dir.join("file"), OFlags::RDWR | OFlags::CREATE)?;
        rfs::ftruncate(&file, 1 << 30)?;
        rustix::io::pwrite(&file, &[1; 5000], 1 << 20)?;
        rustix::io::pwrite(&file, &[1; 5000], (1 << 30) - 1)?;
        rfs::fallocate(&file, FallocateFlags::empty(), 0, 300_000)?;
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rfs::fallocate(&file, punch, 100_000, 100_000)?;
        Ok(())
    })?;
    ensure!(equals_a_scan(OWN)?.0 >= 200_000);
    inside(OWN, || Ok(crate::calls::truncate(&dir.join("file"), 1000)?))?;
    ensure!(equals_a_scan(OWN)?.0 < 100_000);
    Ok(())
}

/// What a file that grows is given beyond its end, and keeps while it is open.
fn ahead_of_the_end() -> Result<()> {
    let dir = counted("ahead")?;
    let path = dir.join("file");
    inside(OWN, || Ok(fs::write(&path, "")?))?;
    let file = open(&path, OFlags::WRONLY | OFlags::APPEND)?;
    for _ in 0..20 {
        ensure!(rustix::io::write(&file, &[1; 64 << 10])? == 64 << 10);
        equals_a_scan_now(OWN)?;
    }
    let (bytes, _) = equals_a_scan(OWN)?;
    ensure!(bytes > 20 * (64 << 10) || !on("xfs"), "{bytes}");
    drop(file);
    equals_a_scan(OWN)?;
    inside(OWN, || Ok(fs::remove_file(&path)?))?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}

/// Blocks that two files share count for both, and so does what xfs reserves for the copy that a write
/// makes.
fn shared_and_written_to() -> Result<()> {
    let dir = counted("shared")?;
    let (one, two) = (dir.join("one"), dir.join("two"));
    inside(OWN, || {
        fs::write(&one, vec![1; 1 << 20])?;
        Ok(fs::write(&two, "")?)
    })?;
    let file = open(&two, OFlags::RDWR)?;
    match rfs::ioctl_ficlone(&file, open(&one, OFlags::RDONLY)?) {
        Err(Errno::OPNOTSUPP) if !on("xfs") && !on("btrfs") => return Ok(()),
        cloned => cloned?,
    }
    ensure!(equals_a_scan(OWN)? == (2 << 20, 2));
    ensure!(rustix::io::pwrite(&file, &[2; 100_000], 300_000)? == 100_000);
    ensure!(equals_a_scan_now(OWN)?.0 > 2 << 20 || on("btrfs"));
    ensure!(rustix::io::pwrite(&file, &[2; 100_000], 700_000)? == 100_000);
    equals_a_scan(OWN)?;
    rfs::ftruncate(&file, 310_000)?;
    equals_a_scan_now(OWN)?;
    drop(file);
    inside(OWN, || Ok(fs::remove_file(&two)?))?;
    ensure!(equals_a_scan(OWN)? == (1 << 20, 1));
    Ok(())
}

/// Where files without a tag belong to a context all that the host makes counts for it.
fn whoever_made_it() -> Result<()> {
    mount_with(&format!("tag={OWN}"))?;
    let dir = root().join("whoever");
    fs::create_dir(&dir)?;
    count_from_here(OWN)?;
    let before = equals_a_scan(OWN)?;
    for xid in [abi::VX_XID_HOST, OWN] {
        inside(xid, || {
            fs::write(dir.join(xid.to_string()), vec![1; 50_000])?;
            Ok(fs::create_dir(dir.join(format!("dir-{xid}")))?)
        })?;
    }
    let after = equals_a_scan(OWN)?;
    ensure!(after.0 >= before.0 + 100_000 && after.1 == before.1 + 4);
    fs::remove_dir_all(&dir)?;
    let gone = equals_a_scan(OWN)?;
    ensure!(gone.1 == before.1 - 1, "{before:?} {gone:?}");
    mount_with("tag")
}

fn attributes() -> Result<()> {
    let dir = counted("attributes")?;
    inside(OWN, || {
        for i in 0..3 {
            let file = dir.join(i.to_string());
            fs::write(&file, "x")?;
            rfs::setxattr(&file, "user.long", &[i; 700], XattrFlags::empty())?;
        }
        Ok(rfs::removexattr(dir.join("0"), "user.long")?)
    })?;
    equals_a_scan(OWN)?;
    inside(OWN, || Ok(fs::remove_file(dir.join("1"))?))?;
    ensure!(equals_a_scan(OWN)?.1 == 2);
    Ok(())
}

fn follows_the_tag() -> Result<()> {
    let dir = counted("moved")?;
    abi::add_dlimit(OTHER, &dir)?;
    let (file, made) = (dir.join("file"), dir.join("made"));
    fs::write(&file, vec![1; 50_000])?;
    inside(OWN, || Ok(fs::write(&made, vec![1; 20_000])?))?;
    for xid in [OWN, OTHER, 0, OWN] {
        set_tag(&file, xid)?;
        equals_a_scan(OWN)?;
        equals_a_scan(OTHER)?;
    }
    // Also where nothing of it is on the disk yet.
    rfs::removexattr(&file, "security.vserver")?;
    equals_a_scan(OWN)?;
    let value = [1, 0, 0, 0, OTHER as u8, (OTHER >> 8) as u8, 0, 0];
    rfs::setxattr(&made, "security.vserver", &value, XattrFlags::empty())?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    ensure!(equals_a_scan(OTHER)?.1 == 1);
    Ok(())
}

/// A unified file of 64 KiB that was [`OWN`]'s.
fn unified() -> Result<Pair> {
    Pair::with("unified", |a| {
        fs::write(a, vec![1; 64 << 10])?;
        Ok(set_tag(a, OWN)?)
    })
}

fn unified_counts_for_nobody() -> Result<()> {
    let _dir = counted("nobody")?;
    let pair = unified()?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    inside(OWN, || Ok(fs::remove_file(&pair.a)?))?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    fs::write(&pair.a, "x")?;
    Ok(())
}

fn copies_count_for_who_breaks() -> Result<()> {
    let dir = counted("breaker")?;
    abi::add_dlimit(OTHER, &dir)?;
    let pair = unified()?;
    let append = |path: &Path| {
        let file = open(path, OFlags::WRONLY | OFlags::APPEND)?;
        rustix::io::write(&file, b"x").map(drop)
    };
    inside(OTHER, || Ok(append(&pair.a)?))?;
    ensure!(equals_a_scan(OTHER)?.0 >= 64 << 10);
    ensure!(equals_a_scan(OWN)? == (0, 0));
    // The last name keeps the inode.
    inside(OWN, || Ok(append(&pair.b)?))?;
    ensure!(equals_a_scan(OWN)?.0 >= 64 << 10);
    belongs(&pair.b, OWN)
}
