// SPDX-License-Identifier: GPL-2.0
//! Making a context and ending it, against a cgroup and against namespaces.
//!
//! Much of an end is done later, by workers and after grace periods. So many are made and ended in
//! a row, and what is executed is counted until the machine is quiet. Each is made by a process of
//! its own, which then exits: that is what ends a context, and namespaces. What such a process
//! costs that does nothing is taken off.

use crate::meter::Meter;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{WaitOptions, waitpid};
use rustix::thread::UnshareFlags;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork, unshare};

const REPS: usize = 7;
/// How many are made and ended for one value.
const ROUNDS: u32 = 40;
/// Until nothing is left to be done: several grace periods.
const QUIET: Duration = Duration::from_millis(100);
/// The first of as many unused contexts.
const XID: u32 = 4000;
/// Without and with controllers in the cgroups below.
const BARE: &str = "/sys/fs/cgroup/bare";
const FULL: &str = "/sys/fs/cgroup/full";
const CONTROLLERS: &str = "+cpu +memory +pids";

/// What a context keeps apart by itself, and what a guest has beside it.
fn kept_apart() -> UnshareFlags {
    UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS
}
fn guests() -> UnshareFlags {
    UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS
}

/// What is made: by the child, and what its parent does after its end.
struct Thing {
    name: &'static str,
    make: fn(u32) -> Result<()>,
    end: fn(u32) -> Result<()>,
}

const NOTHING: Thing = Thing {
    name: "nothing",
    make: |_| Ok(()),
    end: |_| Ok(()),
};

const THINGS: &[Thing] = &[
    Thing {
        name: "context",
        make: |n| Ok(abi::ctx_create(XID + n, 0).map(drop)?),
        ..NOTHING
    },
    Thing {
        name: "cgroup",
        make: |n| in_cgroup(BARE, n, |dir| Ok(fs::remove_dir(dir)?)),
        ..NOTHING
    },
    Thing {
        name: "cgroup-full",
        make: |n| in_cgroup(FULL, n, |dir| Ok(fs::remove_dir(dir)?)),
        ..NOTHING
    },
    Thing {
        name: "cgroup-entered",
        make: |n| in_cgroup(FULL, n, enter_cgroup),
        end: |n| Ok(fs::remove_dir(cgroup(FULL, n))?),
    },
    Thing {
        name: "unshare-pid-ipc-uts",
        make: |_| Ok(unshare(kept_apart())?),
        ..NOTHING
    },
    Thing {
        name: "context-mnt-ipc-uts",
        make: |n| {
            unshare(guests())?;
            let xid = abi::ctx_create(XID + n, abi::VXF_STATE_SETUP)?;
            Ok(abi::set_space(xid, guests().bits().into(), 0)?)
        },
        ..NOTHING
    },
    Thing {
        name: "cgroup-mnt-ipc-uts",
        make: |n| {
            unshare(guests())?;
            in_cgroup(FULL, n, enter_cgroup)
        },
        end: |n| Ok(fs::remove_dir(cgroup(FULL, n))?),
    },
    Thing {
        name: "unshare-mnt-ipc-uts",
        make: |_| Ok(unshare(guests())?),
        ..NOTHING
    },
];

fn cgroup(parent: &str, n: u32) -> PathBuf {
    Path::new(parent).join(n.to_string())
}

fn in_cgroup(parent: &str, n: u32, f: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let dir = cgroup(parent, n);
    fs::create_dir(&dir)?;
    f(&dir)
}

fn enter_cgroup(dir: &Path) -> Result<()> {
    Ok(fs::write(dir.join("cgroup.procs"), "0")?)
}

/// The directories in which cgroups are made.
pub fn prepare_cgroups() -> Result<()> {
    let enable = |dir: &Path| {
        let file = dir.join("cgroup.subtree_control");
        fs::write(&file, CONTROLLERS).with_context(|| file.display().to_string())
    };
    enable(Path::new("/sys/fs/cgroup"))?;
    for dir in [BARE, FULL] {
        if !fs::exists(dir)? {
            fs::create_dir(dir)?;
        }
    }
    enable(Path::new(FULL))
}

/// Measures making and ending each of them.
pub fn run(report: &mut Report) {
    report.group("life", || {
        prepare_cgroups()?;
        let meter = Meter::new()?;
        let mut values = vec![Vec::new(); THINGS.len()];
        // The first time only warms up.
        for _ in 0..=REPS {
            let empty = batch(&meter, &NOTHING)?;
            for (values, thing) in values.iter_mut().zip(THINGS) {
                let cost = batch(&meter, thing).context(thing.name)?;
                values.push(cost.saturating_sub(empty) / u64::from(ROUNDS));
            }
        }
        for (values, thing) in values.iter().zip(THINGS) {
            figure(&format!("what={}", thing.name), &values[1..]);
        }
        Ok(())
    });
}

fn batch(meter: &Meter, thing: &Thing) -> Result<u64> {
    let cost = meter.measure(|| {
        for n in 0..ROUNDS {
            in_child(|| (thing.make)(n))?;
            (thing.end)(n)?;
        }
        std::thread::sleep(QUIET);
        Ok(())
    })?;
    nothing_is_left()?;
    Ok(cost)
}

/// Does something in a process of its own.
pub fn in_child(body: impl FnOnce() -> Result<()>) -> Result<()> {
    match fork()? {
        Fork::Parent(pid) => {
            let status = waitpid(Some(pid), WaitOptions::empty())?;
            let code = status.and_then(|(_, status)| status.exit_status());
            ensure!(code == Some(0), "in the child: {code:?}");
            Ok(())
        }
        Fork::Child => std::process::exit(match body() {
            Ok(()) => 0,
            Err(e) => {
                println!("# {e:#}");
                1
            }
        }),
    }
}

/// Fails if something was still to be done when it should have been counted.
fn nothing_is_left() -> Result<()> {
    let users = fs::read_to_string("/sys/module/vserver/refcnt")?;
    ensure!(users.trim() == "0", "{users} uses of the module");
    let cgroups = fs::read_to_string("/sys/fs/cgroup/cgroup.stat")?;
    ensure!(
        cgroups.contains("nr_dying_descendants 0\n"),
        "dying cgroups: {cgroups}"
    );
    Ok(())
}
