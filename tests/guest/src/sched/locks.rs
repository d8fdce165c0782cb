// SPDX-License-Identifier: GPL-2.0
//! Who is held holds nobody up: no lock of the kernel's, no freezer, no CPU that goes.

use super::{XID, first, held, rate, share, share_in, spinners, state};
use crate::process::{self, Child, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::Duration;
use vserver_abi as abi;

const DIR: &str = "/tmp/sched-locks";
const CGROUPS: &str = "/sys/fs/cgroup";

/// A lock of a byte that is the file's, as fcntl(2) makes them; false if another has it.
fn byte_lock(file: &File, kind: libc::c_int, byte: i64) -> bool {
    // SAFETY: all zeroes is a valid `flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    // SAFETY: `lock` is valid for the call.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) == 0 }
}

/// Takes and gives back locks of a directory, of a file's content and of its file locks.
fn use_locks(who: &str, byte: i64) -> Result<()> {
    let [one, other] = ["a", "b"].map(|name| format!("{DIR}/{who}-{name}"));
    File::create(&one)?;
    fs::rename(&one, &other)?;
    fs::remove_file(&other)?;
    let mut shared = File::options().append(true).open(format!("{DIR}/shared"))?;
    shared.write_all(b"x")?;
    shared.set_len(0)?;
    ensure!(byte_lock(&shared, libc::F_WRLCK, byte), "locked by another");
    ensure!(byte_lock(&shared, libc::F_UNLCK, byte));
    rustix::fs::flock(&shared, FlockOperation::NonBlockingLockShared)?;
    rustix::fs::flock(&shared, FlockOperation::Unlock)?;
    Ok(())
}

/// Wherever it is caught, it gives back the kernel's locks before it waits.
pub fn kernel_locks_are_free() -> Result<()> {
    fs::create_dir_all(DIR)?;
    File::create(format!("{DIR}/shared"))?;
    let guest = first(XID, 0, None, || {
        while use_locks("guest", 1).is_ok() {}
        1
    })?;
    for round in 0..30 {
        abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
        process::eventually("held", || state(guest.id()) == Some('S'))?;
        let host = spawn(|| i32::from(use_locks("host", 2).is_err()))?;
        process::eventually("the host goes on", || state(host.id()) == Some('Z'))?;
        ensure!(host.wait()? == process::Status::Exited(0), "round {round}");
        abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
        std::thread::sleep(Duration::from_micros(700 * round));
    }
    Ok(())
}

/// A cgroup.
pub(super) struct Cgroup {
    dir: PathBuf,
    /// When it is dropped.
    is_removed: bool,
}

impl Cgroup {
    /// One that is removed when it is dropped.
    pub(super) fn new(name: &str) -> Result<Self> {
        let dir = cgroups()?.join(name);
        fs::create_dir(&dir).context("cgroup")?;
        Ok(Self {
            dir,
            is_removed: true,
        })
    }

    /// One that stays.
    pub(super) fn shared(name: &str) -> Result<Self> {
        let dir = cgroups()?.join(name);
        fs::create_dir_all(&dir).context("cgroup")?;
        Ok(Self {
            dir,
            is_removed: false,
        })
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.dir.join(file), text).with_context(|| format!("{file}: {text}"))
    }

    pub(super) fn add(&self, child: &Child) -> Result<()> {
        self.write("cgroup.procs", &child.id().to_string())
    }

    /// What those inside ran, in milliseconds.
    pub(super) fn used(&self) -> Result<u64> {
        let text = fs::read_to_string(self.dir.join("cpu.stat"))?;
        let usage = text.lines().find_map(|l| l.strip_prefix("usage_usec "));
        Ok(usage.context("usage_usec")?.parse::<u64>()? / 1000)
    }
}

fn cgroups() -> Result<PathBuf> {
    let root = PathBuf::from(CGROUPS);
    let _ = fs::create_dir_all(&root);
    if !root.join("cgroup.procs").exists() {
        rustix::mount::mount(
            "cgroup2",
            CGROUPS,
            "cgroup2",
            rustix::mount::MountFlags::empty(),
            None,
        )?;
    }
    Ok(root)
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..if self.is_removed { 100 } else { 0 } {
            if fs::remove_dir(&self.dir).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn held_task_freezes() -> Result<()> {
    let cgroup = Cgroup::new("held")?;
    let child = held(abi::VXF_SCHED_HARD)?;
    cgroup.add(&child)?;
    let frozen = |word: &str| {
        fs::read_to_string(cgroup.dir.join("cgroup.events")).is_ok_and(|text| text.contains(word))
    };
    cgroup.write("cgroup.freeze", "1")?;
    process::eventually("frozen", || frozen("frozen 1"))?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    std::thread::sleep(Duration::from_millis(100));
    ensure!(state(child.id()) != Some('R'), "it runs although frozen");
    cgroup.write("cgroup.freeze", "0")?;
    process::eventually("thawed", || frozen("frozen 0"))?;
    process::eventually("runs", || state(child.id()) == Some('R'))
}

/// The limit holds while a CPU is away, and what it had collected is not lost with it.
pub fn cpu_goes_and_comes() -> Result<()> {
    let online = "/sys/devices/system/cpu/cpu1/online";
    let _guest = spinners(3, abi::VXF_SCHED_HARD, Some(rate(5, 50)))?;
    for _ in 0..2 {
        fs::write(online, "0").context("cpu1")?;
        let away = share(2);
        fs::write(online, "1").context("cpu1")?;
        let back = share(2)?;
        for share in [away?, back] {
            ensure!(
                (0.03..0.25).contains(&share),
                "{share:.3} of a CPU instead of 0.1"
            );
        }
    }
    Ok(())
}

/// The smaller of the two limits counts.
pub fn quota_of_a_cgroup_too() -> Result<()> {
    let root = PathBuf::from(CGROUPS);
    let cgroup = Cgroup::new("quota")?;
    fs::write(root.join("cgroup.subtree_control"), "+cpu").context("+cpu")?;
    let guest = spinners(2, abi::VXF_SCHED_HARD, Some(rate(50, 100)))?;
    guest.iter().try_for_each(|child| cgroup.add(child))?;
    cgroup.write("cpu.max", "10000 100000")?;
    let by_cgroup = share_in(&cgroup, 3)?;
    cgroup.write("cpu.max", "90000 100000")?;
    abi::set_sched(XID, rate(5, 50))?;
    let by_bucket = share_in(&cgroup, 3)?;
    for share in [by_cgroup, by_bucket] {
        ensure!(
            (0.03..0.25).contains(&share),
            "{share:.3} of a CPU instead of 0.1"
        );
    }
    Ok(())
}
