// SPDX-License-Identifier: GPL-2.0
//! Who gets the orphans of a context.

use super::{XID, enter_as_init, getpid, getppid};
use crate::process::{self, Child, Gate, Status, isolated, spawn, until_ended};
use crate::unified::refused;
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::io::Read as _;
use vserver_abi as abi;

fn becomes_subreaper() -> Result<()> {
    // SAFETY: the call takes numbers.
    let ret = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    ensure!(ret == 0);
    Ok(())
}

/// Has a grandchild that loses its parent, and gives the number of the one that it finds then,
/// seen by itself. It exits after that.
fn who_gets_an_orphan() -> Result<i32> {
    let (mut read, write) = process::pipe()?;
    let parent = spawn(|| {
        let old = getpid();
        let orphan = spawn(|| {
            let found = process::eventually("another parent", || getppid() != old);
            let text = format!("{}", if found.is_ok() { getppid() } else { -1 });
            i32::from(rustix::io::write(&write, text.as_bytes()).is_err())
        });
        match orphan {
            // Without waiting for it.
            Ok(orphan) => {
                std::mem::forget(orphan);
                0
            }
            Err(_) => 1,
        }
    })?;
    drop(write);
    ensure!(parent.wait()? == Status::Exited(0));
    let mut text = String::new();
    read.read_to_string(&mut text)?;
    Ok(text.parse()?)
}

/// Waits for any child.
fn reap() -> Result<Pid, Errno> {
    loop {
        match rustix::process::wait(rustix::process::WaitOptions::empty()) {
            Ok(Some((pid, _))) => return Ok(pid),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

pub(super) fn orphans_go_to_init() -> Result<()> {
    isolated(|| {
        enter_as_init()?;
        ensure!(who_gets_an_orphan()? == getpid());
        reap()?;
        refused("another", reap(), Errno::CHILD)?;
        // From deeper down.
        let init = getpid();
        let child = spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid == init)))?;
        ensure!(child.wait()? == Status::Exited(0));
        reap()?;
        refused("another", reap(), Errno::CHILD)
    })
}

pub(super) fn orphans_go_to_a_subreaper_inside() -> Result<()> {
    isolated(|| {
        enter_as_init()?;
        let child = spawn(|| {
            let is_right = becomes_subreaper().is_ok()
                && who_gets_an_orphan().is_ok_and(|pid| pid == getpid())
                && reap().is_ok();
            i32::from(!is_right)
        })?;
        ensure!(child.wait()? == Status::Exited(0));
        refused("another", reap(), Errno::CHILD)
    })
}

pub(super) fn orphans_do_not_go_outside() -> Result<()> {
    isolated(|| {
        becomes_subreaper()?;
        let child = spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid != getppid())))?;
        ensure!(child.wait()? == Status::Exited(1), "the host's orphan");
        reap()?;
        // With an init, which has a parent outside itself, and without.
        for init in [true, false] {
            let outside = getpid();
            let child = spawn(|| {
                let entered = match init {
                    true => enter_as_init(),
                    false => abi::ctx_create(XID, 0).map(drop).map_err(Into::into),
                };
                let child = entered.and_then(|()| {
                    spawn(|| i32::from(!who_gets_an_orphan().is_ok_and(|pid| pid != outside)))
                });
                let status = child.and_then(Child::wait);
                i32::from(!status.is_ok_and(|status| status == Status::Exited(0)))
            })?;
            ensure!(child.wait()? == Status::Exited(0), "init: {init}");
            refused("its orphan", reap(), Errno::CHILD)?;
            until_ended(XID)?;
        }
        Ok(())
    })
}

/// Who enters may leave a child outside: the context's init does not become its parent.
pub(super) fn orphans_outside_stay_outside() -> Result<()> {
    isolated(|| {
        let ready = Gate::new()?;
        let init = spawn(|| {
            if enter_as_init().and_then(|()| ready.open()).is_err() {
                return 1;
            }
            process::sleep_forever()
        })?;
        ready.pass()?;
        ensure!(abi::vx_info(XID)?.initpid == init.id(), "no init");
        let (read, write) = process::pipe()?;
        let father = spawn(|| {
            let father = getpid();
            let orphan = spawn(|| {
                // 0 is a parent whom it does not see.
                let found = process::eventually("another", || ![0, father].contains(&getppid()));
                let pid = if found.is_ok() { getppid() } else { 0 };
                i32::from(rustix::io::write(&write, &pid.to_ne_bytes()).is_err())
            });
            // Without waiting for it.
            std::mem::forget(orphan);
            i32::from(abi::ctx_migrate(XID, 0).is_err())
        })?;
        ensure!(father.wait()? == Status::Exited(0), "it does not enter");
        let mut pid = [0; 4];
        (&read).read_exact(&mut pid)?;
        ensure!(i32::from_ne_bytes(pid) == 1, "{}", i32::from_ne_bytes(pid));
        Ok(())
    })?;
    until_ended(XID)
}

/// The init is no parent of its own ancestors' children, one of which it is.
pub(super) fn orphans_of_inits_ancestors() -> Result<()> {
    let (asked, told) = (Gate::new()?, Gate::new()?);
    let (mut read, write) = process::pipe()?;
    let father = spawn(|| {
        let flags = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT;
        if abi::ctx_create(XID, flags).is_err() {
            return 1;
        }
        let father = getpid();
        let init = spawn(|| {
            let check = || -> Result<String> {
                abi::set_cflags(XID, 0, abi::VXF_STATE_INIT)?;
                told.open()?;
                asked.pass()?;
                process::eventually("another parent", || getppid() != father)?;
                ensure!(getppid() != getpid(), "a circle");
                ensure!(who_gets_an_orphan()? == getpid(), "no reaper");
                Ok(String::from("right"))
            };
            let text = check().unwrap_or_else(|e| format!("{e:#}"));
            i32::from(rustix::io::write(&write, text.as_bytes()).is_err())
        });
        let sibling = spawn(|| process::sleep_forever());
        let done = told.pass();
        std::mem::forget((init, sibling));
        i32::from(done.is_err())
    })?;
    drop(write);
    ensure!(father.wait()? == Status::Exited(0));
    asked.open()?;
    let mut text = [0; 64];
    let n = read.read(&mut text)?;
    ensure!(
        &text[..n] == b"right",
        "{}",
        String::from_utf8_lossy(&text[..n])
    );
    until_ended(XID)
}

pub(super) fn orphans_go_to_the_reaper() -> Result<()> {
    isolated(|| {
        let (ask, reaper_is_there) = (Gate::new()?, Gate::new()?);
        let (mut read, write) = process::pipe()?;
        let init = spawn(|| {
            let check = || -> Result<()> {
                enter_as_init()?;
                for _ in 0..2 {
                    reaper_is_there.open()?;
                    ask.pass()?;
                    let pid = who_gets_an_orphan()?;
                    rustix::io::write(&write, &pid.to_ne_bytes())?;
                }
                Ok(())
            };
            i32::from(check().is_err())
        })?;
        let mut parent = || -> Result<i32> {
            let mut pid = [0; 4];
            ask.open()?;
            read.read_exact(&mut pid)?;
            Ok(i32::from_ne_bytes(pid))
        };
        reaper_is_there.pass()?;
        let ready = Gate::new()?;
        let reaper = spawn(|| {
            if abi::ctx_migrate(XID, abi::VXM_SET_REAPER).is_err() || ready.open().is_err() {
                return 1;
            }
            process::sleep_forever()
        })?;
        ready.pass()?;
        ensure!(parent()? == reaper.id() as i32);
        ensure!(abi::vx_info(XID)?.initpid == init.id(), "it is no init");
        reaper_is_there.pass()?;
        reaper.kill(Signal::KILL)?;
        reaper.wait()?;
        ensure!(parent()? == init.id() as i32);
        ensure!(init.wait()? == Status::Exited(0));
        // The second orphan may be on its way out.
        until_ended(XID)
    })
}
