// SPDX-License-Identifier: GPL-2.0
//! The cgroup of a context, which limits and counts its memory: `vserver/<xid>` in the hierarchy
//! of version 2, wherever that is mounted.
//!
//! It lies beside the groups of systemd, if the host has that, which leaves alone what it has not
//! made; so a guest is in the same place whoever starts it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;

use crate::error::{Doing, Error, Result};
use crate::limits::Most;
use crate::mount_table::{Mount, mounts};

/// The group with those of all contexts.
const ALL: &str = "vserver";
/// A group in that of a context whose own may have no process, since its groups have controllers.
const ENTERED: &str = "entered";
/// How long the last process may take to leave a group, in steps.
const LEAVE: (u32, Duration) = (100, Duration::from_millis(10));
/// How often it is tried to enter a group that somebody removes meanwhile.
const TRIES: usize = 3;

/// An amount of memory: `512M`, `2G`, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub Most);

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(most) = text.parse() {
            return Ok(Self(most));
        }
        let amount = |(unit, shift): (char, u32)| {
            let number = text.strip_suffix([unit, unit.to_ascii_lowercase()])?;
            number.parse::<u64>().ok()?.checked_mul(1 << shift)
        };
        [('K', 10), ('M', 20), ('G', 30), ('T', 40)]
            .into_iter()
            .find_map(amount)
            .map(|n| Self(Most::Number(n)))
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "{text}: not an amount of memory; say 512M, 2G or unlimited"
                ))
            })
    }
}

/// Limits of memory to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of memory,
    pub memory: Option<Bytes>,
    /// and of swap beside that.
    pub swap: Option<Bytes>,
}

impl Limits {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there has to be a group for them.
    fn bound(&self) -> bool {
        let number = |bytes: Option<Bytes>| matches!(bytes, Some(Bytes(Most::Number(_))));
        number(self.memory) || number(self.swap)
    }

    /// Those of a context that is new: what is not limited is unlimited.
    fn of_new(self) -> Self {
        let unlimited = Some(Bytes(Most::Unlimited));
        Self {
            memory: self.memory.or(unlimited),
            swap: self.swap.or(unlimited),
        }
    }

    /// The files of a group with what is to be written there.
    fn files(&self) -> impl Iterator<Item = (&'static str, Bytes)> {
        let files = [("memory.max", self.memory), ("memory.swap.max", self.swap)];
        files
            .into_iter()
            .filter_map(|(file, bytes)| Some((file, bytes?)))
    }
}

/// What a context has of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// How much it has.
    pub used: u64,
    /// The most it may have, if that is limited.
    pub limit: Option<u64>,
    /// How much of it is in swap, and
    pub swap_used: u64,
    /// the most that may be.
    pub swap_limit: Option<u64>,
    /// How many of its processes were killed since there was no more.
    pub oom_kills: u64,
}

/// Where the hierarchy is mounted.
fn hierarchy() -> Option<PathBuf> {
    mounted(mounts().ok()?)
}

/// The first mount of all of version 2.
fn mounted(mounts: Vec<Mount>) -> Option<PathBuf> {
    let whole = |m: &Mount| m.kind == b"cgroup2" && m.root == Path::new("/");
    mounts.into_iter().find(whole).map(|m| m.point)
}

fn group(xid: u32) -> Option<PathBuf> {
    Some(hierarchy()?.join(ALL).join(xid.to_string()))
}

/// Gives context `xid`, which is there, a group with these limits and moves this process in. That
/// there can't be one is an error if it is needed, as it is for limits.
pub(crate) fn create(xid: u32, limits: &Limits, needed: bool) -> Result<()> {
    let made = make_and_join(xid, limits);
    match limits.bound() {
        true => made.map_err(|e| Error::Invalid(format!("memory can't be limited: {e}"))),
        false if needed => made.map_err(|e| Error::Invalid(format!("a cgroup of its own: {e}"))),
        false => Ok(()),
    }
}

fn make_and_join(xid: u32, limits: &Limits) -> Result<()> {
    let top = hierarchy().ok_or_else(|| {
        Error::Invalid(
            "version 2 of cgroups is not mounted (mount -t cgroup2 cgroup2 /sys/fs/cgroup)".into(),
        )
    })?;
    let all = top.join(ALL);
    let group = all.join(xid.to_string());
    sweep(&all);
    let mut tries = 0..TRIES;
    loop {
        // One of the last time would have its figures and limits.
        let _ = remove_tree(&group);
        let controlled = make(&top, &all, &group);
        if limits.bound() {
            controlled?;
        }
        let joined = set(&group, &limits.of_new()).and_then(|()| join(&group));
        match joined {
            // Somebody took it for a rest of the last time.
            Err(e) if gone(&e) && tries.next().is_some() => {}
            joined => return joined.doing(|| format!("use {}", group.display())),
        }
    }
}

/// Makes the group, and has it count memory.
fn make(top: &Path, all: &Path, group: &Path) -> Result<()> {
    let controlled = control(top);
    make_dir(all)?;
    let controlled = controlled.and_then(|()| control(all));
    make_dir(group)?;
    controlled
}

fn make_dir(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.doing(|| format!("make {}", path.display())),
    }
}

/// Has the groups in this one count memory.
fn control(dir: &Path) -> Result<()> {
    let read = |file| {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        Ok(text.split_whitespace().any(|word| word == "memory"))
    };
    if read("cgroup.subtree_control")? {
        return Ok(());
    }
    if !read("cgroup.controllers")? {
        return Err(Error::Invalid(format!(
            "{} has no memory controller: version 1 of cgroups has it, or it is switched off \
             (cgroup_disable=memory)",
            dir.display()
        )));
    }
    let path = dir.join("cgroup.subtree_control");
    write(&path, "+memory").doing(|| format!("write +memory to {}", path.display()))
}

/// Sets limits; a group that counts no memory has none to be taken away.
fn set(group: &Path, limits: &Limits) -> io::Result<()> {
    for (file, Bytes(most)) in limits.files() {
        let path = group.join(file);
        match most {
            Most::Unlimited if !path.exists() => {}
            Most::Unlimited => write(&path, "max")?,
            Most::Number(n) => write(&path, &n.to_string())?,
        }
    }
    Ok(())
}

/// Moves this process into a group.
fn join(group: &Path) -> io::Result<()> {
    write(&group.join("cgroup.procs"), "0")
}

/// Writes a file that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn gone(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NODEV))
}

/// Moves this process, which is on the host, into the group of context `xid`, if it has one.
pub(crate) fn enter(xid: u32) -> Result<()> {
    let Some(group) = group(xid) else {
        return Ok(());
    };
    let joined = match join(&group) {
        // The guest's init has made groups of its own.
        Err(e) if e.kind() == ErrorKind::ResourceBusy => {
            let below = group.join(ENTERED);
            make_dir(&below)?;
            join(&below)
        }
        joined => joined,
    };
    match joined {
        Err(e) if gone(&e) => Ok(()),
        joined => joined.doing(|| format!("enter {}", group.display())),
    }
}

/// Changes the limits of context `xid`. If it has more than it may have then, it has to give that
/// back: its processes may be killed.
pub fn change(xid: u32, limits: &Limits) -> Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    let group = group(xid).filter(|group| group.exists()).ok_or_else(|| {
        Error::Invalid(format!(
            "context {xid} has no cgroup to limit its memory: guests get one when they start, \
             others by vserver run --memory"
        ))
    })?;
    set(&group, limits).doing(|| format!("limit the memory of context {xid}"))
}

/// What context `xid` has of memory; `None` if it has no group, or nobody counts.
pub fn memory(xid: u32) -> Option<Memory> {
    read(&group(xid)?)
}

fn read(group: &Path) -> Option<Memory> {
    let text = |file| fs::read_to_string(group.join(file)).ok();
    // "max" is no number.
    let number = |file| text(file)?.trim().parse::<u64>().ok();
    let events = text("memory.events").unwrap_or_default();
    let kills = events.lines().find_map(|l| l.strip_prefix("oom_kill "));
    Some(Memory {
        used: number("memory.current")?,
        limit: number("memory.max"),
        swap_used: number("memory.swap.current").unwrap_or_default(),
        swap_limit: number("memory.swap.max"),
        oom_kills: kills.and_then(|n| n.parse().ok()).unwrap_or_default(),
    })
}

/// Removes the group of context `xid`, whose processes are gone.
pub(crate) fn remove(xid: u32) {
    let Some(group) = group(xid) else {
        return;
    };
    let (steps, pause) = LEAVE;
    for _ in 0..steps {
        match remove_tree(&group) {
            // The last ones have yet to leave it.
            Err(e) if e.kind() == ErrorKind::ResourceBusy => sleep(pause),
            // What stays takes no more than a name, and goes with the next start.
            _ => return,
        }
    }
}

/// Removes a group with those in it. Its files are no obstacle.
fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

/// Removes what contexts have left that ended with nobody watching.
fn sweep(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else {
        return;
    };
    for entry in entries.flatten() {
        let xid = entry.file_name().to_str().and_then(|n| n.parse().ok());
        if xid.is_some_and(|xid: u32| abi::vx_info(xid) == Err(Errno::SRCH)) {
            // One that is in use is none of these.
            let _ = remove_tree(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount_table::parse;

    fn number(text: &str) -> Option<u64> {
        match text.parse::<Bytes>().ok()?.0 {
            Most::Number(n) => Some(n),
            Most::Unlimited => None,
        }
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(number("4096"), Some(4096));
        assert_eq!(number("8k"), Some(8 << 10));
        assert_eq!(number("512M"), Some(512 << 20));
        assert_eq!(number("2G"), Some(2 << 30));
        assert_eq!(number("1T"), Some(1 << 40));
        assert_eq!("unlimited".parse::<Bytes>().unwrap().0, Most::Unlimited);
        for bad in ["", "M", "-1M", "1.5G", "5X", "99999999T", "5MB"] {
            let error = bad.parse::<Bytes>().unwrap_err().to_string();
            assert!(error.contains("say 512M, 2G or unlimited"), "{error}");
        }
    }

    #[test]
    fn the_hierarchy_is_found() {
        let hybrid = "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro\n\
             31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(
            mounted(parse(hybrid.as_bytes())),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
        let part = "31 30 0:27 /a /mnt rw - cgroup2 cgroup2 rw\n";
        let old = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(mounted(parse(part.as_bytes())), None);
        assert_eq!(mounted(parse(old.as_bytes())), None);
        assert_eq!(mounted(parse(b"rubbish\n")), None);
    }

    #[test]
    fn a_group_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None, "nobody counts");
        for (file, text) in [
            ("memory.current", "4096\n"),
            ("memory.max", "67108864\n"),
            ("memory.swap.max", "max\n"),
            (
                "memory.events",
                "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
            ),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let memory = Memory {
            used: 4096,
            limit: Some(64 << 20),
            swap_used: 0,
            swap_limit: None,
            oom_kills: 2,
        };
        assert_eq!(read(dir.path()), Some(memory));
    }

    #[test]
    fn only_numbers_need_a_group() {
        let limits = |memory: &str| Limits {
            memory: Some(memory.parse().unwrap()),
            swap: None,
        };
        assert!(limits("1G").bound());
        assert!(!limits("unlimited").bound());
        assert!(!limits("unlimited").is_empty());
        assert!(!Limits::default().bound());
    }
}
