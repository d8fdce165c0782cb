// SPDX-License-Identifier: GPL-2.0
//! What a broken link counts as, and that it is traced once.

use super::{XID, in_fixed_directory, is, one, tracer, write};
use crate::process::isolated;
use crate::tracefs::Fields;
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Instant;
use vserver_abi as abi;

/// The four counters of the host or of a context, in this order.
pub const CLONE: usize = 0;
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

/// How many files have been made private by copying their content.
pub fn copied() -> Result<u64> {
    Ok(of_host()?[COPY])
}

/// How a file with other names is made private here.
pub fn usual() -> usize {
    if root().ends_with("xfs") || root().ends_with("btrfs") {
        CLONE
    } else {
        COPY
    }
}

/// The file system's device. On btrfs stat(2) has another, the subvolume's.
fn device(path: &Path) -> Result<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let below = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        let device = fields.next()?.to_owned();
        let top = Path::new(fields.nth(1)?);
        let depth = top.components().count();
        path.starts_with(top).then_some((depth, device))
    };
    let mounts = mounts.lines().filter_map(below);
    let (_, device) = mounts.max_by_key(|(depth, _)| *depth).context("no mount")?;
    Ok(device)
}

fn more(mut counts: Counts, which: usize) -> Counts {
    if let Some(count) = counts.get_mut(which) {
        *count += 1;
    }
    counts
}

fn number(event: &Fields, key: &str) -> Result<i64> {
    let value = event.get(key).with_context(|| format!("no {key}"))?;
    value.parse().with_context(|| format!("{key}={value}"))
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
    is(&event, "dev", device(&pair.a)?)?;
    is(&event, "ino", pair.before.ino)?;
    is(&event, "new_ino", if ret < 0 { 0 } else { meta.ino() })?;
    let ns = u128::try_from(number(&event, "ns")?)?;
    ensure!(ns > 0 && ns <= elapsed.as_nanos(), "{ns} of {elapsed:?}");
    Ok(())
}

pub fn a_copy() -> Result<()> {
    let pair = Pair::new("copy")?;
    counts_as(&pair, usual(), 0, || write(&pair.a))?;
    pair.broken_alike()
}

/// What is truncated away is not copied, and nothing is left to share.
pub fn what_is_cut_off() -> Result<()> {
    let pair = Pair::new("cut_off")?;
    let tracer = tracer()?;
    let before = of_host()?;
    open(&pair.a, OFlags::WRONLY | OFlags::TRUNC)?;
    ensure!(of_host()? == more(before, COPY));
    let event = one(&tracer)?;
    is(&event, "how", "copy")?;
    is(&event, "size", 0)
}

pub fn the_last_name() -> Result<()> {
    let pair = Pair::new("last")?;
    fs::remove_file(&pair.b)?;
    counts_as(&pair, CLEAR, 0, || write(&pair.a))?;
    ensure!(fs::metadata(&pair.a)?.ino() == pair.before.ino);
    Ok(())
}

pub fn a_failure() -> Result<()> {
    let pair = Pair::new("failure")?;
    let refused = || refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM);
    counts_as(&pair, FAIL, -libc::EPERM, || {
        in_fixed_directory(&pair, refused)
    })?;
    pair.intact()
}

/// Who may not write fails before anything is tried; what is private is not broken again.
pub fn nothing_to_break() -> Result<()> {
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
pub fn of_a_context() -> Result<()> {
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
pub fn for_a_caller_with_a_limit() -> Result<()> {
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
