// SPDX-License-Identifier: GPL-2.0
//! What those inside see of contexts, and what is not taken inside.

use super::{Guest, XID, create, proc_file};
use crate::process::{Gate, isolated, sleep_forever, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Seek as _};
use vserver_abi as abi;

/// The entries of /proc/virtual.
fn entries() -> Result<BTreeSet<String>> {
    fs::read_dir("/proc/virtual")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn set<const N: usize>(names: [String; N]) -> BTreeSet<String> {
    names.into()
}

pub fn lists_nobody_else() -> Result<()> {
    let (own, other) = (XID.to_string(), (XID + 1).to_string());
    let path = format!("/proc/virtual/{other}/status");
    let guest = Guest::new(XID + 1, 0)?;
    // Found here, and remembered by the kernel.
    let mut opened = fs::File::open(&path)?;
    ensure!(entries()?.contains(&other));
    let fixed = || ["info".to_owned(), "status".to_owned()];
    isolated(|| {
        create(XID, 0)?;
        let [info, status] = fixed();
        ensure!(
            entries()? == set([info, status, own.clone()]),
            "{:?}",
            entries()?
        );
        for path in [&path, &format!("/proc/virtual/{other}")] {
            let error = fs::metadata(path).err().context("found")?;
            ensure!(error.raw_os_error() == Some(libc::ENOENT), "{error}");
        }
        ensure!(proc_file(XID, "info")?["ID"] == own);
        Ok(())
    })?;
    // It did not go with that, neither for the host nor for the spectator.
    ensure!(proc_file(XID + 1, "info")?["ID"] == other);
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        ensure!(entries()?.contains(&other));
        ensure!(proc_file(XID + 1, "info")?["ID"] == other);
        Ok(())
    })?;
    // What was opened has one text, however often it is read.
    let (mut first, mut second) = (String::new(), String::new());
    opened.read_to_string(&mut first)?;
    guest.end()?;
    opened.seek(std::io::SeekFrom::Start(0))?;
    opened.read_to_string(&mut second)?;
    ensure!(
        first == second && first.contains("\nTasks:\t1\n"),
        "{first}"
    );
    Ok(())
}

pub fn status_of_ones_own() -> Result<()> {
    let others = [Guest::new(XID + 1, 0)?, Guest::new(XID + 2, 0)?];
    isolated(|| {
        create(XID, 0)?;
        let status = fs::read_to_string("/proc/virtual/status")?;
        ensure!(
            status.starts_with("#CTotal:\t1\n#CActive:\t1\n#NSProxy:\t0\t0 0 0 0\n"),
            "{status}"
        );
        // Links that were broken, by it.
        for line in ["CowClone", "CowCopy", "CowClear", "CowFail"] {
            ensure!(status.contains(&format!("\n{line}:\t0\n")), "{status}");
        }
        Ok(())
    })?;
    let status = fs::read_to_string("/proc/virtual/status")?;
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("#CTotal:\t"));
    let count: u32 = count.context("no count")?.parse()?;
    ensure!(count >= 2, "{status}");
    others.into_iter().try_for_each(Guest::end)
}

/// The value of the only semaphore of an array.
fn value(array: libc::c_int) -> libc::c_int {
    // SAFETY: the command takes no argument.
    unsafe { libc::semctl(array, 0, libc::GETVAL) }
}

/// Takes one, to be given back at exit.
fn take(array: libc::c_int) -> Result<()> {
    let mut down = libc::sembuf {
        sem_num: 0,
        sem_op: -1,
        sem_flg: (libc::SEM_UNDO | libc::IPC_NOWAIT) as libc::c_short,
    };
    // SAFETY: one operation.
    let ret = unsafe { libc::semop(array, &mut down, 1) };
    ensure!(ret == 0, "semop: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What a process has to give back to a semaphore of the host it gives back when it enters, not
/// when it exits inside.
pub fn semaphores_are_left_outside() -> Result<()> {
    // SAFETY: nothing of memory is concerned; so with the next.
    ensure!(unsafe { libc::unshare(libc::CLONE_NEWIPC) } == 0);
    let array = unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) };
    ensure!(array >= 0 && unsafe { libc::semctl(array, 0, libc::SETVAL, 1) } == 0);
    let (taken, enter, entered) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let child = spawn(|| {
        let body = || {
            take(array)?;
            taken.open()?;
            enter.pass()?;
            create(XID, 0)?;
            // Its own it takes as ever.
            // SAFETY: as above.
            let own = unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) };
            ensure!(own >= 0 && unsafe { libc::semctl(own, 0, libc::SETVAL, 1) } == 0);
            isolated(|| take(own))?;
            ensure!(value(own) == 1, "an undo inside");
            take(own)?;
            ensure!(value(own) == 0);
            entered.open()
        };
        match body() {
            Ok(()) => sleep_forever(),
            Err(e) => {
                println!("# {e:#}");
                let _ = taken.open().and_then(|()| entered.open());
                1
            }
        }
    })?;
    taken.pass()?;
    ensure!(value(array) == 0, "not taken");
    enter.open()?;
    entered.pass()?;
    ensure!(abi::task_xid(child.id())? == XID);
    ensure!(value(array) == 1, "not given back on entry");
    // Taken by the host, it stays so when the other one exits.
    let holder = spawn(|| match take(array).and_then(|()| taken.open()) {
        Ok(()) => sleep_forever(),
        Err(_) => 1,
    })?;
    taken.pass()?;
    child.kill(Signal::KILL)?;
    child.wait()?;
    ensure!(value(array) == 0, "given back from inside");
    drop(holder);
    Ok(())
}
