// SPDX-License-Identifier: GPL-2.0
//! /proc of a context whose init is process 1: there it is to those inside, and nobody else is.

use super::fake_init::{Init, call};
use super::{XID, getpid};
use crate::process::{Gate, Status, isolated, spawn};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// The processes that /proc lists.
pub(super) fn listed() -> Result<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok()),
        );
    }
    Ok(numbers)
}

/// The first number of a line of a file of lines `KEY:\tVALUE`.
pub(super) fn line(path: impl AsRef<Path>, key: &str) -> Result<i64> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"))
        .and_then(|value| value.split('\t').next()?.parse().ok())
        .with_context(|| format!("{key} in {}: {text}", path.display()))
}

/// The number of a process, and those of its parent, process group and session, in its `stat`.
fn stat(path: impl AsRef<Path>) -> Result<[i32; 4]> {
    let text = fs::read_to_string(path)?;
    let (head, tail) = text.rsplit_once(") ").context("stat")?;
    let pid = head.split(' ').next().context("stat")?.parse()?;
    let mut numbers = tail.split(' ').skip(1).map(str::parse::<i32>);
    let mut next = || numbers.next().context("stat");
    Ok([pid, next()??, next()??, next()??])
}

/// Fails unless there is nothing of this name.
pub(super) fn absent(path: &str) -> Result<()> {
    let found = fs::metadata(path).err().and_then(|e| e.raw_os_error());
    ensure!(found == Some(libc::ENOENT), "{path}: {found:?}");
    Ok(())
}

fn named(name: &str) -> Result<()> {
    Ok(fs::write("/proc/self/comm", name)?)
}

/// What those inside find in /proc of their init, which goes by `real` outside.
fn look_inside(real: i32, name: &str) -> Result<()> {
    let all = listed()?;
    ensure!(all.contains(&1) && !all.contains(&(real as u32)), "{all:?}");
    ensure!(fs::read_to_string("/proc/1/comm")?.trim_end() == name);
    for dir in ["/proc/1", "/proc/1/task/1"] {
        let status = format!("{dir}/status");
        for (key, number) in [
            ("Tgid", 1),
            ("Pid", 1),
            ("PPid", 0),
            ("NStgid", 1),
            ("NSpid", 1),
        ] {
            let found = line(&status, key)?;
            ensure!(found == number, "{status}: {key} is {found}");
        }
        ensure!(stat(format!("{dir}/stat"))? == [1, 0, 1, 1], "{dir}/stat");
    }
    for entry in fs::read_dir("/proc/1/task")? {
        ensure!(entry?.file_name() == "1");
    }
    absent(&format!("/proc/{real}"))?;
    absent(&format!("/proc/{real}/stat"))?;
    absent(&format!("/proc/1/task/{real}"))?;
    ensure!(line(format!("/proc/virtual/{XID}/info"), "Init")? == 1);
    ensure!(line("/proc/self/vinfo", "CIPid")? == 1);
    Ok(())
}

pub fn what_proc_has_of_it() -> Result<()> {
    let machine = fs::read_to_string("/proc/1/comm")?;
    let looked = Gate::new()?;
    let go = Gate::new()?;
    let init = Init::new(XID, || {
        call(libc::SYS_setsid, [0; 4])?;
        named("fake")?;
        ensure!(fs::read_link("/proc/self")?.as_os_str() == "1");
        ensure!(fs::read_link("/proc/thread-self")?.as_os_str() == "1/task/1");
        let child = spawn(|| {
            let done = go.pass().and_then(|()| {
                let me = getpid();
                ensure!(stat("/proc/self/stat")? == [me, 1, 1, 1]);
                ensure!(line("/proc/self/status", "PPid")? == 1);
                ensure!(fs::read_link("/proc/self")?.as_os_str() == me.to_string().as_str());
                Ok(())
            });
            if let Err(e) = &done {
                println!("# {e:#}");
            }
            i32::from(looked.open().is_err() || done.is_err())
        })?;
        go.open()?;
        looked.pass()?;
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })?;
    let real = init.child.id() as i32;

    // The same from outside, before and after those inside have been there.
    let outside = || -> Result<()> {
        ensure!(fs::read_to_string("/proc/1/comm")? == machine);
        ensure!(fs::read_to_string(format!("/proc/{real}/comm"))? == "fake\n");
        ensure!(line(format!("/proc/{real}/status"), "Pid")? == i64::from(real));
        ensure!(stat(format!("/proc/{real}/stat"))? == [real, getpid(), real, real]);
        ensure!(line(format!("/proc/virtual/{XID}/info"), "Init")? == i64::from(real));
        let all = listed()?;
        ensure!(all.contains(&1) && all.contains(&(real as u32)), "{all:?}");
        Ok(())
    };
    outside()?;
    isolated(|| {
        abi::ctx_migrate(XID, 0)?;
        look_inside(real, "fake")
    })?;
    outside()?;
    isolated(|| {
        abi::ctx_migrate(XID, 0)?;
        look_inside(real, "fake")
    })?;
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        ensure!(fs::read_to_string("/proc/1/comm")? == machine);
        ensure!(line(format!("/proc/{real}/status"), "Pid")? == i64::from(real));
        ensure!(line(format!("/proc/{real}/vinfo"), "CIPid")? == i64::from(real));
        Ok(())
    })?;
    init.end()?;
    ensure!(fs::read_to_string("/proc/1/comm")? == machine);
    absent(&format!("/proc/{real}"))
}

/// A name in /proc is another process to each of these, at the same time.
pub fn one_name_for_many() -> Result<()> {
    const ROUNDS: usize = 500;
    let machine = fs::read_to_string("/proc/1/comm")?;
    let first = Init::new(XID, || named("first"))?;
    let second = Init::new(XID + 1, || named("second"))?;
    let look = |comm: &str| -> Result<()> {
        for round in 0..ROUNDS {
            let found = fs::read_to_string("/proc/1/comm").context(round)?;
            ensure!(found == comm, "{found} instead of {comm}, round {round}");
            let own = fs::read_to_string("/proc/self/comm").context("self")?;
            ensure!(!own.is_empty());
            if round % 50 == 0 {
                ensure!(listed()?.contains(&1), "not listed, round {round}");
            }
        }
        Ok(())
    };
    let readers = [
        (0, machine.as_str()),
        (XID, "first\n"),
        (XID + 1, "second\n"),
    ]
    .map(|(xid, comm)| {
        spawn(|| {
            let done = match xid {
                0 => look(comm),
                xid => abi::ctx_migrate(xid, 0)
                    .map_err(Into::into)
                    .and_then(|()| look(comm)),
            };
            if let Err(e) = &done {
                println!("# in {xid}: {e:#}");
            }
            i32::from(done.is_err())
        })
    });
    for reader in readers {
        ensure!(reader?.wait()? == Status::Exited(0));
    }
    first.end()?;
    second.end()
}

/// Who made and used objects of System V IPC, whom a timer tells, whose children there are.
pub fn told_in_proc() -> Result<()> {
    isolated(|| {
        // SAFETY: nothing of memory is concerned.
        ensure!(unsafe { libc::unshare(libc::CLONE_NEWIPC) } == 0);
        let init = Init::new(XID, || {
            let private = libc::IPC_PRIVATE as usize;
            let (size, mode) = (4096, libc::IPC_CREAT as usize | 0o600);
            let shm = call(libc::SYS_shmget, [private, size, mode, 0])?;
            let shm = usize::try_from(shm)?;
            call(libc::SYS_shmat, [shm, 0, 0, 0])?;
            let queue = call(libc::SYS_msgget, [private, mode, 0, 0])?;
            let queue = usize::try_from(queue)?;
            let mut message = [1u64, 0];
            call(libc::SYS_msgsnd, [queue, (&raw mut message).addr(), 8, 0])?;
            let mut timer = 0i32;
            let at = (&raw mut timer).addr();
            call(
                libc::SYS_timer_create,
                [libc::CLOCK_MONOTONIC as usize, 0, at, 0],
            )?;
            let child = spawn(|| crate::process::sleep_forever())?;
            std::mem::forget(child);
            Ok(())
        })?;
        let real = init.child.id().to_string();
        let look = |own: &str| -> Result<()> {
            let word = |file: &str, n: usize| -> Result<String> {
                let text = fs::read_to_string(format!("/proc/sysvipc/{file}"))?;
                let line = text.lines().last().unwrap_or_default();
                let word = line.split_whitespace().nth(n).context(text.clone())?;
                Ok(word.to_owned())
            };
            ensure!((word("shm", 4)?, word("shm", 5)?) == (own.into(), own.into()));
            ensure!(word("msg", 5)? == own, "the sender: {}", word("msg", 5)?);
            let timers = fs::read_to_string(format!("/proc/{own}/timers"))?;
            ensure!(timers.contains(&format!("/pid.{own}\n")), "{timers}");
            Ok(())
        };
        isolated(|| {
            abi::ctx_migrate(XID, 0)?;
            look("1")?;
            let children = fs::read_to_string("/proc/1/task/1/children")?;
            ensure!(children.split_whitespace().count() == 1, "{children}");
            Ok(())
        })?;
        isolated(|| {
            abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
            look(&real)
        })?;
        init.end()
    })
}

/// Children that stay on the host when their parent enters a context are not listed inside.
pub fn children_left_outside() -> Result<()> {
    isolated(|| {
        let leave = Gate::new()?;
        let left = spawn(|| i32::from(leave.pass().is_err()))?;
        let own = std::process::id();
        let path = format!("/proc/{own}/task/{own}/children");
        let list = || -> Result<Vec<u32>> {
            let text = fs::read_to_string(&path)?;
            let numbers = text.split_whitespace().map(str::parse);
            Ok(numbers.collect::<Result<_, _>>()?)
        };
        ensure!(list()? == [left.id()], "{:?}", list()?);
        abi::ctx_create(XID, 0)?;
        let inside = spawn(|| crate::process::sleep_forever())?;
        ensure!(list()? == [inside.id()], "{:?}", list()?);
        leave.open()?;
        // It is not found any more when it would be waited for.
        std::mem::forget(left);
        Ok(())
    })
}
