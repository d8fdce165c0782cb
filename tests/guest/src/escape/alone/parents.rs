// SPDX-License-Identifier: GPL-2.0
//! Parents, siblings and children on the other side, and who traces whom.

use crate::escape::calls::{address, call, done};
use crate::escape::{Found, ask, enter, xids};
use crate::process::{Gate, Status, isolated, last_words, pipe, sleep_forever, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use vserver_abi as abi;

const PTRACE_SEIZE: usize = 0x4206;

fn status_line(key: &str) -> Result<String> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    Ok(line.context("no such line")?.trim().to_owned())
}

pub fn no_parent_outside() -> Result<()> {
    let parent = std::process::id();
    let found = ask(|| {
        ensure!(call(libc::SYS_getppid, &[])? == i64::from(parent));
        enter(xids().0)?;
        ensure!(call(libc::SYS_getppid, &[])? == 0);
        ensure!(status_line("PPid:")? == "0");
        let stat = fs::read_to_string("/proc/self/stat")?;
        ensure!(stat.split(' ').nth(3) == Some("0"), "{stat}");
        let own = std::process::id();
        isolated(|| {
            ensure!(call(libc::SYS_getppid, &[])? == i64::from(own));
            ensure!(status_line("PPid:")? == own.to_string());
            Ok(())
        })?;
        Ok(Ok(0))
    })?;
    ensure!(found == Ok(0));
    Ok(())
}

fn clone_sibling() -> Result<Found> {
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as usize;
    let made = call(libc::SYS_clone, &[flags, 0, 0, 0, 0]);
    if made == Ok(0) {
        // SAFETY: ends the new process at once.
        unsafe { libc::_exit(0) };
    }
    Ok(made.map(|_| 1))
}

pub fn no_sibling_outside() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        ensure!(clone_sibling()? == Err(Errno::INVAL));
        ensure!(ask(clone_sibling)? == Ok(1));
        Ok(())
    })?;
    ensure!(ask(clone_sibling)? == Ok(1));
    Ok(())
}

pub fn host_sees_its_children_only() -> Result<()> {
    let ready = Gate::new()?;
    let (read, write) = rustix::pipe::pipe()?;
    let child = spawn(|| {
        let told = enter(xids().0).and_then(|()| {
            let grandchild = spawn(|| sleep_forever())?;
            rustix::io::write(&write, &grandchild.id().to_ne_bytes())?;
            ready.open()?;
            std::mem::forget(grandchild);
            sleep_forever()
        });
        let _: Result<()> = told;
        1
    })?;
    ready.pass()?;
    let mut bytes = [0; 4];
    rustix::io::read(&read, &mut bytes)?;
    let grandchild = u32::from_ne_bytes(bytes) as usize;
    let pid = child.id() as usize;

    ensure!(done(libc::SYS_kill, &[pid, 0]) == Ok(1));
    ensure!(done(libc::SYS_pidfd_open, &[pid, 0]) == Ok(1));
    ensure!(fs::exists(format!("/proc/{pid}"))?);
    let gone = Err(Errno::SRCH);
    ensure!(done(libc::SYS_kill, &[grandchild, 0]) == gone);
    ensure!(done(libc::SYS_pidfd_open, &[grandchild, 0]) == gone);
    ensure!(done(libc::SYS_getsid, &[grandchild]) == gone);
    ensure!(!fs::exists(format!("/proc/{grandchild}"))?);
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        ensure!(done(libc::SYS_kill, &[grandchild, 0]) == Ok(1));
        ensure!(fs::exists(format!("/proc/{grandchild}"))?);
        Ok(())
    })?;
    isolated(|| {
        // A stranger of the same host.
        ensure!(done(libc::SYS_kill, &[pid, 0]) == gone);
        Ok(())
    })?;
    child.kill(Signal::KILL)?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    isolated(|| {
        enter(abi::VX_XID_WATCH)?;
        call(libc::SYS_kill, &[grandchild, libc::SIGKILL as usize])?;
        Ok(())
    })
}

/// Who is traced from outside is told of nobody; from inside, of whom.
pub fn no_tracer_outside() -> Result<()> {
    let (ready, traced) = (Gate::new()?, Gate::new()?);
    let (words, write) = pipe()?;
    let child = spawn(|| {
        let done = (|| {
            // While it is traced itself its child's end would stop it.
            let before = enter(xids().0).and_then(|()| tracer_inside());
            ready.open()?;
            before?;
            traced.pass()?;
            let tracer = status_line("TracerPid:")?;
            ensure!(tracer == "0", "outside is {tracer}");
            Ok(())
        })();
        if let Err(e) = &done {
            let _ = rustix::io::write(&write, format!("{e:#}").as_bytes());
        }
        i32::from(done.is_err())
    })?;
    ready.pass()?;
    let pid = child.id() as usize;
    let seized = call(libc::SYS_ptrace, &[PTRACE_SEIZE, pid, 0, 0]);
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    traced.open()?;
    let (status, words) = last_words(child, words)?;
    ensure!(status == Status::Exited(0), "{status:?} {words}");
    seized.context("the tracer")?;
    let line = format!("TracerPid:\t{}", std::process::id());
    ensure!(text.lines().any(|found| found == line), "{text}");
    Ok(())
}

/// A child of one's own that one traces knows by whom.
fn tracer_inside() -> Result<()> {
    let (seized, told) = (Gate::new()?, Gate::new()?);
    let child = spawn(|| {
        let tracer = seized.pass().and_then(|()| status_line("TracerPid:"));
        let _ = told.open();
        let expected = std::os::unix::process::parent_id().to_string();
        i32::from(tracer.ok() != Some(expected))
    })?;
    call(libc::SYS_ptrace, &[PTRACE_SEIZE, child.id() as usize, 0, 0])?;
    seized.open()?;
    told.pass()?;
    ensure!(child.wait()? == Status::Exited(0), "not told of one inside");
    Ok(())
}

/// Breakpoints of ptrace() are perf events of the kernel's own.
pub fn own_debugger() -> Result<()> {
    const PTRACE_POKEUSER: usize = 6;
    const PTRACE_INTERRUPT: usize = 0x4207;
    const DEBUG_REGISTERS: usize = 848;
    isolated(|| {
        enter(xids().0)?;
        let child = spawn(|| sleep_forever())?;
        let pid = child.id() as usize;
        call(libc::SYS_ptrace, &[PTRACE_SEIZE, pid, 0, 0])?;
        call(libc::SYS_ptrace, &[PTRACE_INTERRUPT, pid, 0, 0])?;
        call(libc::SYS_wait4, &[pid, 0, 0, 0])?;
        let mut here = 0u64;
        let poke = |register: usize, value: usize| {
            let at = DEBUG_REGISTERS + 8 * register;
            call(libc::SYS_ptrace, &[PTRACE_POKEUSER, pid, at, value])
        };
        poke(0, address(&mut here)).context("the address")?;
        poke(7, 0xd_0001).context("what to wait for")?;
        Ok(())
    })
}

/// Who asks its parent to trace it is not there for a parent who has entered a context.
pub fn traced_by_who_is_inside() -> Result<()> {
    const PTRACE_TRACEME: usize = 0;
    for inside in [false, true] {
        isolated(|| {
            let (ready, told) = (Gate::new()?, Gate::new()?);
            let (mut text, write) = pipe()?;
            let child = spawn(|| {
                let asked = ready
                    .pass()
                    .map(|()| done(libc::SYS_ptrace, &[PTRACE_TRACEME]));
                let _ = rustix::io::write(&write, format!("{asked:?}").as_bytes());
                let _ = told.open();
                0
            })?;
            if inside {
                enter(xids().0)?;
            }
            ready.open()?;
            told.pass()?;
            drop(write);
            let mut asked = [0; 256];
            let len = std::io::Read::read(&mut text, &mut asked)?;
            let asked = String::from_utf8_lossy(asked.get(..len).unwrap_or_default()).into_owned();
            let expected: Result<Found> = Ok(if inside { Err(Errno::PERM) } else { Ok(1) });
            // It is not found any more when it would be waited for.
            std::mem::forget(child);
            ensure!(asked == format!("{expected:?}"), "{inside}: {asked}");
            Ok(())
        })?;
    }
    Ok(())
}
