// SPDX-License-Identifier: GPL-2.0
//! Control groups: who is told to be in one, and whose they are to change.

use super::calls::call;
use super::{enter, xids};
use crate::harness::Test;
use crate::namespace::new_mounts;
use crate::process::{self, isolated, sleep_forever, spawn};
use crate::tests;
use crate::unified::refused;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use std::fs;
use std::path::{Path, PathBuf};

pub const TESTS: &[Test] = tests![
    cgroups_of_the_host,
    cgroups_of_ones_own,
    cgroups_below_the_root,
    cgroups_of_version_1,
    child_in_a_cgroup_of_the_host,
];

const TOP: &str = "/sys/fs/cgroup";

/// A group of a test's own, which is removed when all who are in it are gone.
struct Group(PathBuf);

impl Group {
    fn new(top: &Path, name: &str) -> Result<Self> {
        let path = top.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// Moves the caller there.
    fn join(&self) -> Result<()> {
        Ok(fs::write(self.0.join("cgroup.procs"), "0")?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = process::eventually("it is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

fn to_write(path: impl AsRef<Path>) -> Result<(), Errno> {
    rfs::open(path.as_ref(), OFlags::WRONLY, Mode::empty()).map(drop)
}

/// All that would change a group.
fn is_closed(dir: &Path, files: &[&str]) -> Result<()> {
    for file in files {
        let path = dir.join(file);
        refused(file, to_write(&path), Errno::ACCESS)?;
        refused(file, rfs::chmod(&path, Mode::RUSR), Errno::ACCESS)?;
    }
    let made = rfs::mkdir(dir.join("guest"), Mode::RWXU);
    refused("mkdir", made, Errno::ACCESS)?;
    let owner = rfs::chown(dir, Some(rfs::Uid::ROOT), None);
    refused("chown", owner, Errno::ACCESS)
}

/// The numbers in a list, in the order of numbers.
fn members(path: impl AsRef<Path>) -> Result<Vec<u32>> {
    let text = fs::read_to_string(path)?;
    let mut all: Vec<u32> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
    all.sort_unstable();
    Ok(all)
}

const LISTS: [&str; 2] = ["cgroup.procs", "cgroup.threads"];

/// Those of the host are not a guest's to freeze, kill, change or move to, and tell it of itself.
fn cgroups_of_the_host() -> Result<()> {
    let group = Group::new(Path::new(TOP), "escape")?;
    isolated(|| {
        group.join()?;
        let host = std::process::id();
        let child = spawn(|| match enter(xids().0) {
            Ok(()) => sleep_forever(),
            Err(_) => 1,
        })?;
        let guest = child.id();
        process::eventually("it is inside", || {
            vserver_abi::task_xid(guest) == Ok(xids_of(guest))
        })?;
        // The host manages its guests by their groups.
        for list in LISTS {
            let found = members(group.0.join(list))?;
            ensure!(found.contains(&host) && found.contains(&guest), "{found:?}");
        }
        isolated(|| {
            enter(xids().0)?;
            let own = std::process::id();
            for list in LISTS {
                let found = members(group.0.join(list))?;
                ensure!(found == [own], "{list}: {found:?}, not {own}");
            }
            is_closed(&group.0, &["cgroup.procs", "cgroup.freeze", "cgroup.kill"])?;
            is_closed(Path::new(TOP), &["cgroup.procs", "cgroup.subtree_control"])
        })
    })?;
    // Nobody else is kept from it.
    fs::write(format!("{TOP}/cgroup.procs"), "0")?;
    Ok(())
}

/// The context that a process of this number enters by [`xids`].
fn xids_of(pid: u32) -> u32 {
    1000 + pid % 20_000 * 2
}

fn new_namespace() -> Result<()> {
    // SAFETY: nothing of memory is concerned.
    let ret = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    ensure!(ret == 0, "unshare: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Below the root of its namespace a context does as it likes; to the root itself and to what is
/// beside it, which its mounts may show, it does nothing.
fn cgroups_of_ones_own() -> Result<()> {
    let (own, other) = (
        Group::new(Path::new(TOP), "own")?,
        Group::new(Path::new(TOP), "other")?,
    );
    isolated(|| {
        own.join()?;
        new_namespace()?;
        enter(xids().0)?;
        for file in ["cgroup.procs", "cgroup.subtree_control"] {
            to_write(own.0.join(file)).context(file)?;
        }
        for file in ["cgroup.freeze", "cgroup.max.depth", "cgroup.kill"] {
            refused(file, to_write(own.0.join(file)), Errno::ACCESS)?;
        }
        let below = Group::new(&own.0, "below")?;
        isolated(|| {
            below.join().context("to move there")?;
            ensure!(members(below.0.join("cgroup.procs"))? == [std::process::id()]);
            Ok(())
        })?;
        fs::write(below.0.join("cgroup.max.depth"), "1").context("its own limit")?;
        drop(below);
        is_closed(&other.0, &["cgroup.procs", "cgroup.freeze", "cgroup.kill"])?;
        is_closed(Path::new(TOP), &["cgroup.procs", "cgroup.subtree_control"])
    })
}

/// A namespace whose root is the root of all has nothing to itself.
fn cgroups_below_the_root() -> Result<()> {
    let other = Group::new(Path::new(TOP), "other")?;
    isolated(|| {
        new_mounts()?;
        new_namespace()?;
        enter(xids().0)?;
        is_closed(&other.0, &["cgroup.procs", "cgroup.freeze"])?;
        is_closed(Path::new(TOP), &["cgroup.procs", "cgroup.subtree_control"])
    })
}

/// These have no root that a namespace could be asked for.
fn cgroups_of_version_1() -> Result<()> {
    const DIR: &str = "/mnt";
    isolated(|| {
        new_mounts()?;
        let name = c"none,name=escape";
        rustix::mount::mount("escape", DIR, "cgroup", MountFlags::empty(), Some(name))?;
        let group = Group::new(Path::new(DIR), "own")?;
        let found = isolated(|| {
            group.join()?;
            let host = std::process::id();
            new_namespace()?;
            isolated(|| {
                enter(xids().0)?;
                let own = std::process::id();
                for list in ["cgroup.procs", "tasks"] {
                    let found = members(group.0.join(list))?;
                    ensure!(found == [own], "{list}: {found:?}, not {own}");
                }
                is_closed(&group.0, &["cgroup.procs", "tasks"])
            })?;
            ensure!(members(group.0.join("tasks"))?.contains(&host));
            Ok(())
        });
        drop(group);
        rustix::mount::unmount(DIR, rustix::mount::UnmountFlags::empty())?;
        found
    })
}

/// A child that is made in another group than its parent's.
fn child_in_a_cgroup_of_the_host() -> Result<()> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let group = Group::new(Path::new(TOP), "escape")?;
    let dir = rfs::openat(CWD, &group.0, OFlags::RDONLY, Mode::empty())?;
    let clone = || {
        // struct clone_args: flags first, then the signal, the group last
        let mut args = [0u64; 11];
        args[0] = CLONE_INTO_CGROUP;
        args[4] = libc::SIGCHLD as u64;
        args[10] = std::os::fd::AsRawFd::as_raw_fd(&dir) as u64;
        let made = call(
            libc::SYS_clone3,
            &[(&raw mut args).addr(), size_of_val(&args)],
        );
        if made == Ok(0) {
            // SAFETY: ends the new process at once.
            unsafe { libc::_exit(0) };
        }
        made.map(drop)
    };
    isolated(|| Ok(clone()?)).context("the host")?;
    isolated(|| {
        enter(xids().0)?;
        refused("inside", clone(), Errno::ACCESS)
    })
}
