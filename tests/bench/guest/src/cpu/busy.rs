// SPDX-License-Identifier: GPL-2.0
//! Tasks that do nothing but run, in a cgroup and maybe in a context.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

/// How the tasks are scheduled.
#[derive(Clone, Copy, PartialEq)]
pub enum Class {
    Fair,
    Fifo,
}

/// Tasks that run as much as they may. Ended when dropped.
pub struct Tasks {
    pids: Vec<libc::pid_t>,
    xid: Option<u32>,
    cgroup: PathBuf,
}

impl Tasks {
    /// `n` of them, in context `xid` if there is one, each doing what `body` says.
    pub fn start(
        n: usize,
        xid: Option<u32>,
        class: Class,
        cgroup: &str,
        body: impl Fn() + Copy,
    ) -> Result<Self> {
        fs::create_dir(cgroup).context("cgroup")?;
        let mut tasks = Self {
            pids: Vec::new(),
            xid,
            cgroup: cgroup.into(),
        };
        let (read, write) = rustix::pipe::pipe()?;
        for i in 0..n {
            match fork()? {
                Fork::Parent(pid) => tasks.pids.push(pid.as_raw_nonzero().get()),
                Fork::Child => {
                    // SAFETY: this touches no memory.
                    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                    let ready = join(xid, i == 0, class, cgroup);
                    if ready.is_ok() && rustix::io::write(&write, b"x").is_ok() {
                        body();
                    }
                    std::process::exit(1)
                }
            }
            // One after the other, and the first makes the context.
            let mut byte = [0];
            ensure!(rustix::io::read(&read, &mut byte)? == 1, "task {i}");
        }
        Ok(tasks)
    }

    /// What all of them used, in microseconds.
    pub fn used(&self) -> Result<u64> {
        let stat = fs::read_to_string(self.cgroup.join("cpu.stat"))?;
        let usage = stat.lines().find_map(|l| l.strip_prefix("usage_usec "));
        Ok(usage.context("usage_usec")?.parse()?)
    }

    /// What each of them used, in nanoseconds.
    pub fn each(&self) -> Result<Vec<u64>> {
        let of = |pid| -> Result<u64> {
            let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
            Ok(text.split(' ').next().context("schedstat")?.parse()?)
        };
        self.pids.iter().map(of).collect()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for pid in &self.pids {
            // SAFETY: our own children, not yet waited for.
            unsafe {
                libc::kill(*pid, libc::SIGKILL);
                libc::waitpid(*pid, std::ptr::null_mut(), 0);
            }
        }
        while self.xid.is_some_and(|xid| abi::ctx_stat(xid).is_ok()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        while self.cgroup.exists() && fs::remove_dir(&self.cgroup).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A task gets where it is to run.
fn join(xid: Option<u32>, first: bool, class: Class, cgroup: &str) -> Result<()> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    match class {
        Class::Fair => schedule(libc::SCHED_OTHER, 0)?,
        Class::Fifo => schedule(libc::SCHED_FIFO, 10)?,
    }
    match xid {
        Some(xid) if first => Ok(abi::ctx_create(xid, 0).map(drop)?),
        Some(xid) => Ok(abi::ctx_migrate(xid, 0)?),
        None => Ok(()),
    }
}

pub fn schedule(policy: libc::c_int, priority: libc::c_int) -> Result<()> {
    let param = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: `param` is valid for the call.
    let done = unsafe { libc::sched_setscheduler(0, policy, &param) };
    ensure!(done == 0, "sched_setscheduler");
    Ok(())
}

/// Uses CPU time; no instruction that an emulator or a hypervisor takes for idling.
pub fn spin() {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}
