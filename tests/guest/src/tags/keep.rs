// SPDX-License-Identifier: GPL-2.0
//! Where tags come from, and what they stay with: links, renames, unified files, backups, a crash of
//! the cache.

use super::{
    NAME, OTHER, OWN, belongs, enter, fresh, in_memory, inside, kind, mount_with, set_tag, tag,
};
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process::{Gate, Status, isolated, spawn};
use crate::raw;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    who_makes_it_decides,
    by_the_host_for_a_context,
    new_process_inherits,
    links_and_renames_keep_it,
    unified_files_are_nobodys,
    copies_belong_to_who_breaks,
    last_name_belongs_to_who_breaks,
    copy_up_belongs_to_who_makes_it,
    is_on_the_disk,
    backup_and_restore,
    restored_by_the_host_alone,
    any_context_may_own,
    change_takes_effect_at_once,
];

const MODE: Mode = Mode::from_raw_mode(0o644);

/// One of each kind, each made in its own way.
fn make_all(dir: &Path) -> Result<()> {
    fs::write(dir.join("file"), "x")?;
    fs::create_dir(dir.join("dir"))?;
    symlink("file", dir.join("link"))?;
    symlink("x".repeat(200), dir.join("long-link"))?;
    rfs::mknodat(CWD, dir.join("fifo"), FileType::Fifo, MODE, 0)?;
    drop(UnixListener::bind(dir.join("socket"))?);
    let nameless = open(dir, OFlags::RDWR | OFlags::TMPFILE)?;
    rfs::linkat(&nameless, "", CWD, dir.join("tmpfile"), AtFlags::EMPTY_PATH)?;
    fs::write(dir.join("dir/in"), "x")?;
    rfs::mkdir(dir.join("dir/default"), MODE)?;
    Ok(())
}

const ALL: &[&str] = &[
    "file",
    "dir",
    "link",
    "long-link",
    "fifo",
    "socket",
    "tmpfile",
    "dir/in",
    "dir/default",
];

fn all_belong(dir: &Path, xid: u32) -> Result<()> {
    ALL.iter()
        .try_for_each(|name| belongs(&dir.join(name), xid))
}

fn who_makes_it_decides() -> Result<()> {
    for (who, whose) in [(OWN, OWN), (abi::VX_XID_HOST, 0), (abi::VX_XID_WATCH, 0)] {
        let dir = fresh("made")?;
        inside(who, || make_all(&dir))?;
        all_belong(&dir, whose).with_context(|| format!("made by {who}"))?;
    }
    // Those who set it up are in it.
    let dir = fresh("made")?;
    isolated(|| {
        abi::ctx_create(OWN, abi::VXF_STATE_SETUP)?;
        make_all(&dir)
    })?;
    all_belong(&dir, OWN)
}

fn by_the_host_for_a_context() -> Result<()> {
    let dir = fresh("migrated")?;
    isolated(|| {
        ensure!(abi::task_tag(0)? == 0);
        abi::tag_migrate(OTHER)?;
        ensure!(abi::task_tag(0)? == OTHER && abi::task_xid(0)? == 0);
        make_all(&dir)?;
        for none in [abi::VX_XID_WATCH, abi::VX_XID_MAX + 1, abi::VX_XID_ANY] {
            expect(raw::vserver(abi::VCMD_tag_migrate, none, 0), Errno::INVAL)?;
        }
        // It goes with the first step into a context.
        enter(OWN)?;
        ensure!(abi::task_tag(0)? == OWN);
        Ok(fs::write(dir.join("later"), "x")?)
    })?;
    all_belong(&dir, OTHER)?;
    belongs(&dir.join("later"), OWN)?;
    isolated(|| {
        become_user()?;
        expect(raw::vserver(abi::VCMD_tag_migrate, OTHER, 0), Errno::PERM)
    })
}

fn new_process_inherits() -> Result<()> {
    let dir = fresh("inherited")?;
    isolated(|| {
        abi::tag_migrate(OTHER)?;
        isolated(|| make_all(&dir))
    })?;
    all_belong(&dir, OTHER)
}

fn links_and_renames_keep_it() -> Result<()> {
    let dir = fresh("moved")?;
    fs::write(dir.join("nobody"), "x")?;
    inside(OWN, || {
        fs::write(dir.join("own"), "x")?;
        for name in ["own", "nobody"] {
            fs::hard_link(dir.join(name), dir.join(format!("{name}-link")))?;
            fs::rename(dir.join(name), dir.join(format!("{name}-moved")))?;
        }
        Ok(fs::rename(
            dir.join("own-moved"),
            dir.join("own-moved-again"),
        )?)
    })?;
    fs::rename(dir.join("own-moved-again"), dir.join("own-by-host"))?;
    for (name, xid) in [
        ("own-link", OWN),
        ("own-by-host", OWN),
        ("nobody-link", 0),
        ("nobody-moved", 0),
    ] {
        belongs(&dir.join(name), xid)?;
    }
    Ok(())
}

/// A unified file under two names, whose owner was [`OWN`].
fn unified(name: &str) -> Result<Pair> {
    fresh("unified")?;
    Pair::with(name, |a| {
        fs::write(a, CONTENT)?;
        Ok(set_tag(a, OWN)?)
    })
}

fn unified_files_are_nobodys() -> Result<()> {
    let pair = unified("nobodys")?;
    let attr = abi::get_iattr(&pair.a)?;
    ensure!(attr.xid == 0 && attr.mask & abi::IATTR_TAG == 0, "{attr:?}");
    expect(set_tag(&pair.a, OTHER), Errno::INVAL)?;
    set_tag(&pair.a, 0)?;
    pair.intact()?;
    for xid in [OWN, OTHER] {
        inside(xid, || {
            ensure!(fs::read(&pair.a)? == CONTENT);
            Ok(())
        })?;
    }
    // What is ordinary again stays nobody's.
    fs::remove_file(&pair.b)?;
    set_flags(&pair.a, 0, UNIFIED)?;
    belongs(&pair.a, 0)
}

fn copies_belong_to_who_breaks() -> Result<()> {
    for (who, whose) in [(OWN, OWN), (OTHER, OTHER), (abi::VX_XID_HOST, 0)] {
        let pair = unified("copied")?;
        inside(who, || Ok(fs::write(&pair.a, "new")?))?;
        pair.broken()?;
        belongs(&pair.a, whose)?;
    }
    Ok(())
}

fn last_name_belongs_to_who_breaks() -> Result<()> {
    for (who, whose) in [(OWN, OWN), (OTHER, OTHER), (abi::VX_XID_HOST, 0)] {
        let pair = unified("last")?;
        fs::remove_file(&pair.b)?;
        inside(who, || Ok(fs::write(&pair.a, "new")?))?;
        ensure!(look(&pair.a)?.ino == pair.before.ino, "not in place");
        belongs(&pair.a, whose)?;
    }
    Ok(())
}

fn copy_up_belongs_to_who_makes_it() -> Result<()> {
    let top = fresh("overlay")?;
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(top.join(name))?;
    }
    fs::write(top.join("lower/file"), "x")?;
    set_tag(&top.join("lower/file"), OTHER)?;
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let (options, merged) = (CString::new(options)?, top.join("merged"));
    isolated(|| {
        new_mounts()?;
        mount(
            "overlay",
            &merged,
            "overlay",
            MountFlags::empty(),
            Some(options.as_c_str()),
        )?;
        Ok(fs::write(merged.join("file"), "new")?)
    })?;
    belongs(&top.join("lower/file"), OTHER)?;
    belongs(&top.join("upper/file"), 0)
}

/// The tags are as they were when nothing of them is in memory.
fn is_on_the_disk() -> Result<()> {
    if in_memory()? {
        return Ok(());
    }
    let dir = fresh("disk")?;
    inside(OWN, || make_all(&dir))?;
    fs::create_dir(dir.join("host"))?;
    make_all(&dir.join("host"))?;
    mount_with("tag")?;
    // The first look is a path walk that may not wait.
    inside(OTHER, || {
        expect(open(&dir.join("dir/in"), OFlags::RDONLY), Errno::ACCESS)
    })?;
    all_belong(&dir, OWN)?;
    all_belong(&dir.join("host"), 0)?;
    // Without the option they mean nothing, and stay.
    mount_with("rw")?;
    ensure!(abi::get_iattr(dir.join("file"))?.mask & abi::IATTR_TAG == 0);
    inside(OTHER, || {
        ensure!(fs::read(dir.join("file"))? == b"x");
        Ok(fs::write(dir.join("unasked"), "x")?)
    })?;
    expect(set_tag(&dir.join("file"), 0), Errno::INVAL)?;
    mount_with("tag")?;
    belongs(&dir.join("unasked"), 0)?;
    all_belong(&dir, OWN)
}

fn value(path: &Path) -> Result<Vec<u8>, Errno> {
    let mut value = [0; 64];
    let length = rfs::lgetxattr(path, NAME, &mut value[..])?;
    Ok(value.get(..length).unwrap_or_default().to_vec())
}

fn backup_and_restore() -> Result<()> {
    let dir = fresh("backup")?;
    inside(OWN, || make_all(&dir))?;
    let restored = dir.join("restored");
    fs::create_dir(&restored)?;
    make_all(&restored)?;
    for name in ALL {
        let value = value(&dir.join(name)).with_context(|| (*name).to_owned())?;
        ensure!(value == [1, 0, 0, 0, 0x41, 1, 0, 0], "{name}: {value:?}");
        rfs::lsetxattr(restored.join(name), NAME, &value, XattrFlags::empty())?;
    }
    all_belong(&restored, OWN)?;
    inside(OTHER, || {
        expect(open(&restored.join("file"), OFlags::RDONLY), Errno::ACCESS)
    })?;
    // The barrier of a directory comes back with it.
    set_flags(&dir.join("dir"), abi::IATTR_BARRIER, abi::IATTR_BARRIER)?;
    let barrier = value(&dir.join("dir"))?;
    rfs::setxattr(restored.join("dir"), NAME, &barrier, XattrFlags::empty())?;
    let attr = abi::get_iattr(restored.join("dir"))?;
    ensure!(
        (attr.flags, attr.xid) == (abi::IATTR_BARRIER, OWN),
        "{attr:?}"
    );
    rfs::lremovexattr(restored.join("link"), NAME)?;
    belongs(&restored.join("link"), 0)
}

fn restored_by_the_host_alone() -> Result<()> {
    let dir = fresh("bad")?;
    let file = dir.join("file");
    fs::write(&file, "x")?;
    let good = [1, 0, 0, 0, 2, 0, 0, 0];
    let bad: &[&[u8]] = &[
        &[],
        &[1, 0, 0, 0, 2, 0, 0],
        &[1, 0, 0, 0, 2, 0, 0, 0, 0],
        &[2, 0, 0, 0, 2, 0, 0, 0],
        &[1, 4, 0, 0, 2, 0, 0, 0],
        &[1, 0, 1, 0, 2, 0, 0, 0],
        &[1, 0, 0, 0, 1, 0, 0, 0],
        &[1, 0, 0, 0, 0xff, 0xff, 0, 0],
        &[1, 0, 0, 0, 2, 0, 1, 0],
        // A file is no barrier.
        &[1, 2, 0, 0, 2, 0, 0, 0],
    ];
    for value in bad {
        let set = rfs::setxattr(&file, NAME, value, XattrFlags::empty());
        refused(&format!("{value:?}"), set, Errno::INVAL)?;
    }
    let set = || rfs::setxattr(&file, NAME, &good, XattrFlags::empty());
    inside(abi::VX_XID_WATCH, || {
        refused("spectator", set(), Errno::PERM)
    })?;
    isolated(|| {
        become_user()?;
        refused("user", set(), Errno::PERM)
    })?;
    belongs(&file, 0)?;
    set()?;
    belongs(&file, 2)?;
    let pair = unified("restored")?;
    let set = rfs::setxattr(&pair.a, NAME, &good, XattrFlags::empty());
    pair.refused("unified", set, Errno::PERM)
}

/// Also those that there are not, and never were.
fn any_context_may_own() -> Result<()> {
    let file = fresh("any")?.join("file");
    fs::write(&file, "x")?;
    for xid in [abi::VX_XID_MIN, 4711, abi::VX_XID_MAX, 0] {
        set_tag(&file, xid)?;
        belongs(&file, xid)?;
    }
    for xid in [
        abi::VX_XID_WATCH,
        abi::VX_XID_MAX + 1,
        abi::VX_XID_SELF,
        abi::VX_XID_ANY,
    ] {
        refused("set_iattr", set_tag(&file, xid), Errno::INVAL)?;
    }
    belongs(&file, 0)?;
    isolated(|| {
        become_user()?;
        refused("user", set_tag(&file, OWN), Errno::PERM)
    })?;
    ensure!(tag(Path::new("/proc/self/stat")).is_err(), "{}", kind()?);
    Ok(())
}

fn change_takes_effect_at_once() -> Result<()> {
    let file = fresh("changed")?.join("file");
    fs::write(&file, "x")?;
    let (opened, changed) = (Gate::new()?, Gate::new()?);
    let host = spawn(|| {
        let done = opened.pass().and_then(|()| Ok(set_tag(&file, OTHER)?));
        i32::from(done.and_then(|()| changed.open()).is_err())
    })?;
    inside(OWN, || {
        let held = open(&file, OFlags::RDWR)?;
        opened.open()?;
        changed.pass()?;
        expect(open(&file, OFlags::RDONLY), Errno::ACCESS)?;
        // What was opened before stays open.
        ensure!(rustix::io::pread(&held, &mut [0; 1][..], 0)? == 1);
        rustix::io::pwrite(&held, b"y", 0)?;
        Ok(())
    })?;
    ensure!(host.wait()? == Status::Exited(0));
    Ok(())
}
