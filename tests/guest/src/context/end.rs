// SPDX-License-Identifier: GPL-2.0
//! Init, signals, and how a context ends.

use super::{Guest, XID, proc_file};
use crate::process::{self, Gate, Status, isolated, spawn};
use crate::raw;
use crate::unified::expect;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use vserver_abi as abi;

pub(super) fn init_is_who_clears_state_init() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT)?;
        ensure!(abi::vx_info(XID)?.initpid == 0);
        abi::set_cflags(abi::VX_XID_SELF, 0, abi::VXF_STATE_INIT)?;
        ensure!(abi::vx_info(abi::VX_XID_SELF)?.initpid == std::process::id());
        ensure!(proc_file(XID, "info")?["Init"] == std::process::id().to_string());
        Ok(())
    })
}

pub(super) fn init_takes_all_along() -> Result<()> {
    let guest = Guest::with(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT, || {
        let _ = abi::set_cflags(XID, 0, abi::VXF_STATE_INIT);
        let _orphan = spawn(|| process::sleep_forever());
        process::sleep_forever()
    })?;
    process::eventually("two tasks", || {
        abi::ctx_stat(XID).is_ok_and(|stat| stat.tasks == 2)
    })?;
    guest.child.kill(Signal::KILL)?;
    guest.child.wait()?;
    process::until_ended(XID)
}

pub(super) fn migrate_as_init() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        abi::ctx_migrate(XID, abi::VXM_SET_INIT)?;
        ensure!(abi::vx_info(XID)?.initpid == std::process::id());
        Ok(())
    })?;
    // The init's end was the guest's.
    ensure!(guest.child.wait()? == Status::Killed(libc::SIGKILL));
    Ok(())
}

pub(super) fn ends_with_the_last() -> Result<()> {
    for _ in 0..20 {
        Guest::new(XID, 0)?.end()?;
        // Not a moment later: whoever has seen the process die finds the context gone. (The next
        // round shows that its id is free, too.)
        expect(abi::ctx_stat(XID), Errno::SRCH)?;
        isolated(|| expect(abi::ctx_migrate(XID, 0), Errno::SRCH))?;
    }
    Ok(())
}

/// Nobody waits for a reader whose buffer is never there: neither who exits, nor who waits for the
/// context's end, nor who wants its id.
pub(super) fn reader_holds_up_nobody() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    let reader = spawn(|| match raw::unfilled_page() {
        Ok(page) => {
            let Ok(file) = fs::File::open(format!("/proc/virtual/{XID}/status")) else {
                return 2;
            };
            raw::read_into(&file, page);
            0
        }
        Err(e) => {
            println!("# userfaultfd: {e}");
            1
        }
    })?;
    process::eventually("a read that does not end", || {
        fs::read_to_string(format!("/proc/{}/syscall", reader.id()))
            .is_ok_and(|syscall| syscall.starts_with("0 "))
    })?;
    let waiter = spawn(|| i32::from(abi::wait_exit(XID).is_err()))?;
    process::eventually("a wait for the end", || {
        fs::read_to_string(format!("/proc/{}/syscall", waiter.id()))
            .is_ok_and(|syscall| syscall.starts_with("236 "))
    })?;
    guest.end()?;
    expect(abi::ctx_stat(XID), Errno::SRCH)?;
    ensure!(waiter.wait()? == Status::Exited(0));
    ensure!(!fs::exists(format!("/proc/virtual/{XID}"))?, "its files");
    // The reader has the text of the first one.
    let next = Guest::new(XID, 0)?;
    let syscall = fs::read_to_string(format!("/proc/{}/syscall", reader.id()))?;
    ensure!(syscall.starts_with("0 "), "{syscall}");
    ensure!(proc_file(XID, "status")?["Tasks"] == "1");
    next.end()?;
    reader.kill(Signal::KILL)?;
    ensure!(reader.wait()? == Status::Killed(libc::SIGKILL));
    process::eventually("its files are gone", || {
        fs::exists(format!("/proc/virtual/{XID}")).is_ok_and(|exists| !exists)
    })
}

pub(super) fn persistent_lives_on() -> Result<()> {
    Guest::new(XID, abi::VXF_PERSISTENT)?.end()?;
    ensure!(abi::ctx_stat(XID)?.tasks == 0);
    isolated(|| abi::ctx_migrate(XID, 0).context("enter"))?;
    ensure!(abi::ctx_stat(XID)?.tasks == 0);
    expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::SRCH)?;
    abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
    expect(abi::ctx_stat(XID), Errno::SRCH)?;
    process::eventually("its files are gone", || {
        fs::exists(format!("/proc/virtual/{XID}")).is_ok_and(|exists| !exists)
    })
}

/// The number of an init that has exited may become another process's, whose exit means nothing.
pub(super) fn persistent_forgets_its_init() -> Result<()> {
    let guest = Guest::new(XID, abi::VXF_PERSISTENT)?;
    guest.end()?;
    isolated(|| {
        abi::ctx_migrate(XID, abi::VXM_SET_INIT)?;
        ensure!(abi::vx_info(XID)?.initpid == std::process::id());
        Ok(())
    })?;
    ensure!(abi::vx_info(XID)?.initpid == 0);
    abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
    Ok(())
}

pub(super) fn wait_exit_tells_the_code() -> Result<()> {
    let go = Gate::new()?;
    let guest = Guest::with(XID, 0, || {
        let _ = go.pass();
        std::process::exit(7)
    })?;
    let waiter = spawn(|| match abi::wait_exit(XID) {
        Ok(exit) if exit.exit_code == 7 << 8 => 0,
        other => {
            println!("# {other:?}");
            1
        }
    })?;
    process::eventually("somebody waits", || is_asleep(waiter.id()))?;
    go.open()?;
    ensure!(waiter.wait()? == Status::Exited(0));
    ensure!(guest.child.wait()? == Status::Exited(7));
    Ok(())
}

fn is_asleep(pid: u32) -> bool {
    process::state(pid) == Some('S')
}

pub(super) fn wait_exit_is_interruptible() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    let waiter = spawn(|| i32::from(abi::wait_exit(XID).is_err()))?;
    process::eventually("somebody waits", || is_asleep(waiter.id()))?;
    waiter.kill(Signal::TERM)?;
    ensure!(waiter.wait()? == Status::Killed(libc::SIGTERM));
    guest.end()
}

pub(super) fn kill_whom() -> Result<()> {
    let guest = Guest::with(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT, || {
        let _ = abi::set_cflags(XID, 0, abi::VXF_STATE_INIT);
        let _first = spawn(|| process::sleep_forever());
        let _second = spawn(|| process::sleep_forever());
        process::sleep_forever()
    })?;
    let tasks = |n| move || abi::ctx_stat(XID).is_ok_and(|stat| stat.tasks == n);
    process::eventually("three tasks", tasks(3))?;
    expect(abi::ctx_kill(XID, 0, 65), Errno::INVAL)?;
    expect(abi::ctx_kill(XID, 0, -1), Errno::INVAL)?;
    // Somebody who is not inside.
    expect(
        abi::ctx_kill(XID, std::process::id() as i32, libc::SIGKILL),
        Errno::SRCH,
    )?;
    abi::ctx_kill(XID, 0, 0)?;
    ensure!(tasks(3)());
    // A child that is just being forked counts, but cannot be reached yet.
    process::eventually("init alone", || {
        let _ = abi::ctx_kill(XID, -1, libc::SIGKILL);
        tasks(1)()
    })?;
    abi::ctx_kill(XID, 1, libc::SIGTERM)?;
    ensure!(guest.child.wait()? == Status::Killed(libc::SIGTERM));
    Ok(())
}
