// SPDX-License-Identifier: GPL-2.0
//! Audit records of a broken link, which are those of a plain file.

use super::{XID, in_fixed_directory, write};
use crate::audit::{Audit, Event, Record, Watch};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

type Change = fn(&Path) -> Result<()>;

/// Ways to modify a file by name and by descriptor.
const CHANGES: &[(&str, Change)] = &[
    ("open", write),
    ("O_TRUNC", |path| {
        open(path, OFlags::WRONLY | OFlags::TRUNC)?;
        Ok(())
    }),
    ("O_CREAT", |path| {
        open(path, OFlags::RDWR | OFlags::CREATE)?;
        Ok(())
    }),
    ("truncate", |path| {
        let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: the path is a C string.
        syscall(unsafe { libc::truncate(path.as_ptr(), 4) }.into())?;
        Ok(())
    }),
    ("chmod", |path| {
        Ok(rfs::chmod(path, Mode::from_raw_mode(0o600))?)
    }),
    ("fchmod", |path| {
        let file = open(path, OFlags::RDONLY)?;
        Ok(rfs::fchmod(file, Mode::from_raw_mode(0o600))?)
    }),
    ("chown", |path| {
        let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
        Ok(rfs::chown(path, Some(uid), Some(gid))?)
    }),
    ("setxattr", |path| {
        Ok(rfs::setxattr(path, "user.x", b"x", XattrFlags::empty())?)
    }),
    ("link", |path| {
        abi::ctx_create(XID, 0)?;
        let beside = path.with_extension("link");
        Ok(rfs::linkat(CWD, path, CWD, beside, AtFlags::empty())?)
    }),
];

/// The directory in which all that is audited is.
fn audited() -> Result<(PathBuf, Audit)> {
    let top = root().join("audit");
    fs::create_dir_all(&top)?;
    let mut audit = Audit::start()?;
    audit.watch(Watch::Dir, &top)?;
    Ok((top, audit))
}

/// The record of the file that is named.
fn file_record<'a>(events: &'a [Event], path: &Path) -> Result<&'a Record> {
    let name = format!("\"{}\"", path.display());
    let is_it = |r: &&Record| {
        r.get("name") == Some(&name) && r.get("nametype").is_some_and(|t| t == "NORMAL")
    };
    let mut records = events.iter().flat_map(|event| &event.paths).filter(is_it);
    match (records.next(), records.next()) {
        (Some(record), None) => Ok(record),
        _ => bail!("not one record of {name}: {events:#?}"),
    }
}

/// What must be equal of two files' records: all but their names and inodes.
fn but_for_the_file(events: &[Event]) -> Vec<(Vec<u16>, Vec<Record>)> {
    let paths = |event: &Event| {
        let mut paths = event.paths.clone();
        for path in &mut paths {
            path.remove("inode");
            if let Some(name) = path.get_mut("name") {
                *name = name.replace("/plain", "/a");
            }
        }
        paths
    };
    events
        .iter()
        .map(|event| (event.types.clone(), paths(event)))
        .collect()
}

/// The same records as of the same call on a plain file: they name the file, its inode is the one
/// that was modified, and there is nothing of a copy or its temporary name.
pub fn audit_as_of_a_plain_file() -> Result<()> {
    let (top, mut audit) = audited()?;
    for (what, change) in CHANGES {
        let pair = Pair::new("audit/pair").context(*what)?;
        let plain = pair.dir.join("plain");
        fs::write(&plain, CONTENT)?;

        let want = audit.record(|| change(&plain)).context(*what)?;
        let got = audit.record(|| change(&pair.a)).context(*what)?;
        ensure!(!want.is_empty(), "{what}: nothing is recorded");
        ensure!(
            but_for_the_file(&got) == but_for_the_file(&want),
            "{what}: {got:#?} instead of {want:#?}"
        );
        pair.others_unchanged().context(*what)?;
        // fchmod knows no name.
        if *what != "fchmod" {
            let ino = fs::metadata(&pair.a)?.ino().to_string();
            ensure!(ino != pair.before.ino.to_string(), "{what}: not broken");
            is_inode(file_record(&got, &pair.a)?, &ino).context(*what)?;
        }
    }
    drop(audit);
    Ok(fs::remove_dir(top)?)
}

/// Ways to modify a file by a descriptor that is open for reading.
const CHANGES_BY_DESCRIPTOR: &[(&str, Change)] = &[
    ("fchmod", |path| {
        let file = open(path, OFlags::RDONLY)?;
        Ok(rfs::fchmod(file, Mode::from_raw_mode(0o600))?)
    }),
    ("fchown", |path| {
        let file = open(path, OFlags::RDONLY)?;
        let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
        Ok(rfs::fchown(file, Some(uid), Some(gid))?)
    }),
    ("fsetxattr", |path| {
        let file = open(path, OFlags::RDONLY)?;
        Ok(rfs::fsetxattr(file, "user.x", b"x", XattrFlags::empty())?)
    }),
    ("fremovexattr", |path| {
        let file = open(path, OFlags::RDONLY)?;
        Ok(rfs::fremovexattr(file, "user.old")?)
    }),
];

/// A descriptor knows no name, so its inode is all that the record has to tell of the file: it is
/// the one that was modified, in each record, and not the one that the descriptor was opened on.
pub fn audit_of_a_descriptor() -> Result<()> {
    let make = |path: &Path| -> Result<()> {
        fs::write(path, CONTENT)?;
        Ok(rfs::setxattr(path, "user.old", b"x", XattrFlags::empty())?)
    };
    let (top, mut audit) = audited()?;
    for (what, change) in CHANGES_BY_DESCRIPTOR {
        let pair = Pair::with("audit/pair", make).context(*what)?;
        let plain = pair.dir.join("plain");
        make(&plain)?;

        let want = audit.record(|| change(&plain)).context(*what)?;
        let got = audit.record(|| change(&pair.a)).context(*what)?;
        ensure!(
            but_for_the_file(&got) == but_for_the_file(&want),
            "{what}: {got:#?} instead of {want:#?}"
        );
        fs::remove_file(plain)?;
        let ino = pair.broken().context(*what)?.ino.to_string();
        let records: Vec<_> = got.iter().flat_map(|event| &event.paths).collect();
        ensure!(!records.is_empty(), "{what}: nothing is recorded");
        for record in records {
            is_inode(record, &ino).context(*what)?;
        }
    }
    drop(audit);
    Ok(fs::remove_dir(top)?)
}

fn is_inode(record: &Record, ino: &str) -> Result<()> {
    ensure!(
        record.get("inode").is_some_and(|is| is == ino),
        "inode is not {ino}: {record:?}"
    );
    Ok(())
}

/// The file that was not modified, and no other name.
pub fn audit_of_a_failure() -> Result<()> {
    let (top, mut audit) = audited()?;
    let pair = Pair::new("audit/pair")?;
    let mut events = Vec::new();
    in_fixed_directory(&pair, || {
        events = audit.record(|| refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM))?;
        Ok(())
    })?;
    let ino = pair.before.ino.to_string();
    is_inode(file_record(&events, &pair.a)?, &ino)?;
    ensure!(events.len() == 1, "{events:#?}");
    ensure!(events.iter().all(|e| e.paths.len() == 1), "{events:#?}");
    drop(audit);
    drop(pair);
    Ok(fs::remove_dir(top)?)
}

/// A watch on a name stays with the name: it sees the break, and what comes after, by this name and
/// no other.
pub fn audit_watch_goes_along() -> Result<()> {
    let pair = Pair::new("watch")?;
    let mut audit = Audit::start()?;
    audit.watch(Watch::Name, &pair.a)?;
    for what in ["the break", "a write after it"] {
        let events = audit.record(|| write(&pair.a)).context(what)?;
        let ino = fs::metadata(&pair.a)?.ino().to_string();
        is_inode(file_record(&events, &pair.a).context(what)?, &ino)?;
        ensure!(events.len() == 1, "{what}: {events:#?}");
    }
    let events = audit.record(|| write(&pair.b))?;
    ensure!(events.is_empty(), "of another name: {events:#?}");
    Ok(())
}
