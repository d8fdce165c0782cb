// SPDX-License-Identifier: GPL-2.0
//! Who may enter a context.

use super::XID;
use crate::process::{self, Child, Gate, Status, isolated, pipe, spawn};
use crate::unified::{refused, syscall};
use crate::uring;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use vserver_abi as abi;

/// A child that has things in common with this process. It waits to be killed.
fn share(what: libc::c_int) -> Result<Child> {
    // SAFETY: without CLONE_VM this is fork() as far as memory is concerned, and there is one
    // thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, what | libc::SIGCHLD, 0, 0, 0, 0) };
    if syscall(pid)? == 0 {
        process::sleep_forever();
    }
    let pid = Pid::from_raw(pid as i32).context("a pid")?;
    Ok(Child::of(pid))
}

/// The same with the memory.
fn share_memory() -> Result<Child> {
    extern "C" fn pause(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: it waits and touches no memory.
            unsafe { libc::syscall(libc::SYS_pause) };
        }
    }
    let mut stack = vec![0u128; 4096];
    // SAFETY: the stack is the child's alone: it is never freed. What the child runs touches
    // nothing of this process.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(
            pause,
            top.cast(),
            libc::CLONE_VM | libc::SIGCHLD,
            std::ptr::null_mut(),
        )
    };
    std::mem::forget(stack);
    syscall(pid.into())?;
    Ok(Child::of(Pid::from_raw(pid).context("a pid")?))
}

fn enters_after(child: Child, what: &str) -> Result<()> {
    refused(what, abi::ctx_create(XID, 0), Errno::INVAL)?;
    refused(what, abi::ctx_migrate(abi::VX_XID_WATCH, 0), Errno::INVAL)?;
    ensure!(!fs::exists(format!("/proc/virtual/{XID}"))?, "debris");
    child.kill(Signal::KILL)?;
    child.wait()?;
    abi::ctx_create(XID, 0)?;
    Ok(())
}

pub(super) fn who_shares_cannot_enter() -> Result<()> {
    isolated(|| enters_after(share(libc::CLONE_FS)?, "working directory"))?;
    isolated(|| enters_after(share(libc::CLONE_FILES)?, "files"))?;
    isolated(|| enters_after(share_memory()?, "memory"))?;
    // A child as most are is no hindrance. It is out of reach then, and has to end by itself.
    isolated(|| {
        let go = Gate::new()?;
        let child = spawn(|| i32::from(go.pass().is_err()))?;
        let entered = abi::ctx_create(XID, 0);
        go.open()?;
        std::mem::forget(child);
        Ok(entered.map(drop)?)
    })
}

fn seize(pid: Pid) -> Result<(), Errno> {
    // SAFETY: the call takes numbers.
    let ret = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid.as_raw_nonzero().get(), 0, 0) };
    syscall(ret).map(drop)
}

pub(super) fn who_traces_cannot_enter() -> Result<()> {
    isolated(|| {
        let child = spawn(|| process::sleep_forever())?;
        seize(child.pid())?;
        enters_after(child, "tracing")
    })?;
    // Who is traced: it is the tracer that gets something, and it is outside.
    isolated(|| {
        let go = Gate::new()?;
        let child = spawn(|| i32::from(go.pass().is_err() || abi::ctx_create(XID, 0).is_err()))?;
        seize(child.pid())?;
        go.open()?;
        ensure!(child.wait()? == Status::Exited(0));
        Ok(())
    })
}

pub(super) fn who_used_io_uring_cannot_enter() -> Result<()> {
    isolated(|| {
        let ring = uring::ring()?;
        refused("a ring", abi::ctx_create(XID, 0), Errno::INVAL)?;
        drop(ring);
        refused("one that was", abi::ctx_create(XID, 0), Errno::INVAL)
    })
}

/// What was brought along gets into no core dump either, until a program runs.
pub(super) fn entering_leaves_no_core() -> Result<()> {
    let dir = Path::new("/tmp/core");
    fs::create_dir_all(dir)?;
    for (what, inside, program, dumps) in [
        ("outside", false, false, true),
        ("inside", true, false, false),
        ("a program inside", true, true, true),
    ] {
        let child = spawn(|| match abort(dir, inside, program) {
            Ok(()) => 0,
            Err(_) => 1,
        })?;
        let status = child.wait()?;
        ensure!(
            status == Status::Killed(libc::SIGABRT),
            "{what}: {status:?}"
        );
        let cores: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
        for core in &cores {
            fs::remove_file(core.path())?;
        }
        ensure!(cores.is_empty() != dumps, "{what}: {cores:?}");
    }
    Ok(fs::remove_dir(dir)?)
}

fn abort(dir: &Path, inside: bool, program: bool) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure is only read.
    syscall(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) }.into())?;
    std::env::set_current_dir(dir)?;
    if inside {
        abi::ctx_create(XID, 0)?;
    }
    if program {
        let error = Command::new("sh").args(["-c", "kill -ABRT $$"]).exec();
        return Err(error.into());
    }
    Ok(kill_process(getpid(), Signal::ABORT)?)
}

/// A child is told of its parent's end if it wants to be, on whichever side of the border.
pub(super) fn end_of_a_parent() -> Result<()> {
    for (what, of_parent, of_child) in [
        ("of the host", None, Some(XID)),
        ("inside", Some(XID), None),
    ] {
        let gate = Gate::new()?;
        let (mut alive, write) = pipe()?;
        let parent = spawn(|| {
            let child = spawn(|| {
                let entered = of_child.map_or(Ok(()), |xid| abi::ctx_create(xid, 0).map(drop));
                // SAFETY: this touches no memory.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                if entered.is_ok() && gate.open().is_ok() {
                    process::sleep_forever();
                }
                1
            });
            let entered = of_parent.map_or(Ok(()), |xid| abi::ctx_create(xid, 0).map(drop));
            let passed = gate.pass();
            // It is not this process that ends it.
            let child = child.map(std::mem::forget);
            i32::from(child.is_err() || entered.is_err() || passed.is_err())
        })?;
        drop(write);
        let status = parent.wait()?;
        ensure!(status == Status::Exited(0), "{what}: {status:?}");
        // The child alone has the pipe's other end now.
        std::io::Read::read_to_end(&mut alive, &mut Vec::new())?;
        process::until_ended(XID)?;
    }
    Ok(())
}
