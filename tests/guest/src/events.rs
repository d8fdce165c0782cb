// SPDX-License-Identifier: GPL-2.0
//! What is told of a broken link: counters, the tracepoint, audit records.
//!
//! As in `cow`, a file has two names, `a` and `b`, and what is done is done to `a`.

use crate::audit::{Audit, Event, Record, Watch};
use crate::harness::{Suite, Test};
use crate::process::isolated;
use crate::tests;
use crate::tracefs::{Fields, Tracer};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, IFlags, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chroot};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vserver_abi as abi;

pub const EXT4: Suite = Suite::new("events", "ext4 timeout=300", TESTS);
pub const XFS: Suite = Suite::new("events-xfs", "xfs timeout=300", TESTS);

const TESTS: &[Test] = tests![
    a_copy,
    what_is_cut_off,
    the_last_name,
    a_failure,
    nothing_to_break,
    of_a_context,
    for_a_caller_with_a_limit,
    paths_are_the_hosts,
    paths_are_one_word,
    paths_are_cut,
    audit_as_of_a_plain_file,
    audit_of_a_descriptor,
    audit_of_a_failure,
    audit_watch_goes_along,
];

const XID: u32 = 140;

// ---------------------------------------------------------------- counters and tracepoint

/// The four counters of the host or of a context, in this order.
const CLONE: usize = 0;
const COPY: usize = 1;
const CLEAR: usize = 2;
const FAIL: usize = 3;
const NAMES: [&str; 4] = ["Clone", "Copy", "Clear", "Fail"];

type Counts = [u64; 4];

fn counts(file: &str, prefix: &str) -> Result<Counts> {
    let path = Path::new("/proc/virtual").join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut counts = [0; 4];
    for (name, count) in NAMES.iter().zip(&mut counts) {
        let start = format!("{prefix}{name}:\t");
        let value = text.lines().find_map(|line| line.strip_prefix(&start));
        *count = value.with_context(|| format!("no {start:?}"))?.parse()?;
    }
    Ok(counts)
}

fn of_host() -> Result<Counts> {
    counts("status", "Cow")
}

/// How a file with other names is made private here.
fn usual() -> usize {
    if root().ends_with("xfs") { CLONE } else { COPY }
}

fn more(mut counts: Counts, which: usize) -> Counts {
    if let Some(count) = counts.get_mut(which) {
        *count += 1;
    }
    counts
}

fn tracer() -> Result<Tracer> {
    Tracer::new("vserver", "vserver_cow_break")
}

/// The one event that there must be.
fn one(tracer: &Tracer) -> Result<Fields> {
    let mut events = tracer.take()?;
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => Ok(event),
        (event, _) => bail!("not one event: {events:?} {event:?}"),
    }
}

fn number(event: &Fields, key: &str) -> Result<i64> {
    let value = event.get(key).with_context(|| format!("no {key}"))?;
    value.parse().with_context(|| format!("{key}={value}"))
}

fn is(event: &Fields, key: &str, want: impl ToString) -> Result<()> {
    let want = want.to_string();
    ensure!(
        event.get(key) == Some(&want),
        "{key} is not {want}: {event:?}"
    );
    Ok(())
}

/// What is done to `a` counts as `which` on the host and as nothing else, and is traced once: with
/// that path, and the inodes before and after.
fn counts_as(
    pair: &Pair,
    which: usize,
    ret: i32,
    action: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let tracer = tracer()?;
    let before = of_host()?;
    let start = Instant::now();
    action()?;
    let elapsed = start.elapsed();
    let after = of_host()?;
    ensure!(after == more(before, which), "{before:?}, then {after:?}");

    let event = one(&tracer)?;
    let how = ["clone", "copy", "clear", "fail"];
    let meta = fs::metadata(&pair.a)?;
    is(&event, "path", pair.a.display())?;
    is(&event, "how", how.get(which).context("how")?)?;
    is(&event, "size", CONTENT.len())?;
    is(&event, "ret", ret)?;
    is(&event, "xid", 0)?;
    let (major, minor) = (libc::major(meta.dev()), libc::minor(meta.dev()));
    is(&event, "dev", format!("{major}:{minor}"))?;
    is(&event, "ino", pair.before.ino)?;
    is(&event, "new_ino", if ret < 0 { 0 } else { meta.ino() })?;
    let ns = u128::try_from(number(&event, "ns")?)?;
    ensure!(ns > 0 && ns <= elapsed.as_nanos(), "{ns} of {elapsed:?}");
    Ok(())
}

fn write(path: &Path) -> Result<()> {
    open(path, OFlags::WRONLY)?;
    Ok(())
}

fn a_copy() -> Result<()> {
    let pair = Pair::new("copy")?;
    counts_as(&pair, usual(), 0, || write(&pair.a))?;
    pair.broken_alike()
}

/// What is truncated away is not copied, and nothing is left to share.
fn what_is_cut_off() -> Result<()> {
    let pair = Pair::new("cut_off")?;
    let tracer = tracer()?;
    let before = of_host()?;
    open(&pair.a, OFlags::WRONLY | OFlags::TRUNC)?;
    ensure!(of_host()? == more(before, COPY));
    let event = one(&tracer)?;
    is(&event, "how", "copy")?;
    is(&event, "size", 0)
}

fn the_last_name() -> Result<()> {
    let pair = Pair::new("last")?;
    fs::remove_file(&pair.b)?;
    counts_as(&pair, CLEAR, 0, || write(&pair.a))?;
    ensure!(fs::metadata(&pair.a)?.ino() == pair.before.ino);
    Ok(())
}

/// In a directory from which no name may be taken.
fn in_fixed_directory(pair: &Pair, action: impl FnOnce() -> Result<()>) -> Result<()> {
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    rfs::ioctl_setflags(&dir, flags | IFlags::APPEND)?;
    let result = action();
    rfs::ioctl_setflags(&dir, flags)?;
    result
}

fn a_failure() -> Result<()> {
    let pair = Pair::new("failure")?;
    let refused = || refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM);
    counts_as(&pair, FAIL, -libc::EPERM, || {
        in_fixed_directory(&pair, refused)
    })?;
    pair.intact()
}

/// Who may not write fails before anything is tried; what is private is not broken again.
fn nothing_to_break() -> Result<()> {
    let pair = Pair::new("nothing")?;
    let tracer = tracer()?;
    let before = of_host()?;
    isolated(|| {
        become_user()?;
        refused("open", open(&pair.a, OFlags::WRONLY), Errno::ACCESS)
    })?;
    pair.reader()?;
    ensure!(of_host()? == before);
    ensure!(tracer.take()?.is_empty());

    write(&pair.a)?;
    one(&tracer)?;
    let before = of_host()?;
    write(&pair.a)?;
    ensure!(of_host()? == before);
    ensure!(tracer.take()?.is_empty());
    Ok(())
}

/// What a context breaks counts there and on the host, what others break does not.
fn of_a_context() -> Result<()> {
    let (inside, outside) = (Pair::new("inside")?, Pair::new("outside")?);
    let tracer = tracer()?;
    let before = of_host()?;
    let gate = crate::process::Gate::new()?;
    let child = crate::process::spawn(|| {
        let done = abi::ctx_create(XID, 0).is_ok() && write(&inside.a).is_ok();
        let _ = gate.open();
        if done {
            crate::process::sleep_forever();
        }
        1
    })?;
    gate.pass()?;
    let file = format!("{XID}/cow");
    let of_context = || counts(&file, "");

    is(&one(&tracer)?, "xid", XID)?;
    ensure!(of_context()? == more([0; 4], usual()));
    ensure!(of_host()? == more(before, usual()));
    write(&outside.a)?;
    is(&one(&tracer)?, "xid", 0)?;
    ensure!(of_context()? == more([0; 4], usual()));
    let mode = fs::metadata(Path::new("/proc/virtual").join(&file))?.permissions();
    ensure!(mode.mode() & 0o777 == 0o444, "{mode:?}");
    isolated(|| {
        abi::ctx_create(XID + 1, 0)?;
        match of_context() {
            Ok(counts) => bail!("seen from another context: {counts:?}"),
            Err(_) => Ok(()),
        }
    })?;
    child.kill(rustix::process::Signal::KILL)?;
    child.wait()?;
    inside.broken_alike()
}

/// A kernel thread copies for whom `RLIMIT_FSIZE` would stop: it counts for him.
fn for_a_caller_with_a_limit() -> Result<()> {
    let pair = Pair::new("limit")?;
    let tracer = tracer()?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        let limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        // SAFETY: the structure is valid.
        ensure!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0);
        write(&pair.a)?;
        ensure!(counts(&format!("{XID}/cow"), "")? == more([0; 4], usual()));
        Ok(())
    })?;
    is(&one(&tracer)?, "xid", XID)?;
    pair.broken_alike()
}

// ---------------------------------------------------------------- paths in a trace

/// Also if the caller's root is another.
fn paths_are_the_hosts() -> Result<()> {
    let pair = Pair::new("root")?;
    let tracer = tracer()?;
    isolated(|| {
        chroot(&pair.dir)?;
        write(Path::new("/a"))
    })?;
    is(&one(&tracer)?, "path", pair.a.display())
}

/// Who chooses a name can't write into the trace.
fn paths_are_one_word() -> Result<()> {
    let pair = Pair::new("word")?;
    let name = "a b\tc\\\nd: vserver_cow_break: path=e";
    let path = pair.dir.join(name);
    fs::rename(&pair.a, &path)?;
    let tracer = tracer()?;
    write(&path)?;
    let escaped = "a\\040b\\011c\\134\\012d:\\040vserver_cow_break:\\040path=e";
    is(&one(&tracer)?, "path", pair.dir.join(escaped).display())
}

/// The end of a long path is what tells most.
fn paths_are_cut() -> Result<()> {
    let pair = Pair::new("cut")?;
    let top = root().join("cut-top");
    let mut path = top.clone();
    for _ in 0..12 {
        path.push("d".repeat(250));
    }
    fs::create_dir_all(&path)?;
    path.push("a");
    fs::rename(&pair.a, &path)?;
    let tracer = tracer()?;
    write(&path)?;
    let event = one(&tracer)?;
    fs::remove_dir_all(&top)?;
    let traced = event.get("path").context("no path")?;
    let end = traced.strip_prefix("...").context("not cut")?;
    ensure!(traced.len() == 2048, "{}", traced.len());
    ensure!(path.display().to_string().ends_with(end), "{traced}");
    is(
        &event,
        "how",
        if usual() == CLONE { "clone" } else { "copy" },
    )
}

// ---------------------------------------------------------------- audit

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
fn audit_as_of_a_plain_file() -> Result<()> {
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
fn audit_of_a_descriptor() -> Result<()> {
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
fn audit_of_a_failure() -> Result<()> {
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
fn audit_watch_goes_along() -> Result<()> {
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
