// SPDX-License-Identifier: GPL-2.0
//! Contexts: creation, inheritance, entering, flags, signals, end, and who may do what.

mod access;
mod end;
mod inside;
mod making;
mod words;

use crate::harness::Suite;
use crate::process::{self, Child, Gate, Status, spawn};
use crate::unified::expect;
use crate::{raw, tests};
use access::*;
use anyhow::{Context as _, Result, ensure};
use end::*;
use inside::{lists_nobody_else, semaphores_are_left_outside, status_of_ones_own};
use making::*;
use rustix::io::Errno;
use rustix::process::Signal;
use std::collections::HashMap;
use std::fs;
use vserver_abi as abi;
use words::*;

pub const SUITE: Suite = Suite {
    name: "context",
    wants: "timeout=300",
    tests: tests![
        version,
        host_is_zero,
        create_moves_the_caller_in,
        children_inherit,
        any_picks_a_dynamic_id,
        create_twice,
        bad_ids,
        threads_cannot_enter,
        nothing_gets_out,
        enter_from_the_host,
        private_cannot_be_entered,
        spectator,
        one_time_flags,
        words_of_bits,
        capabilities_are_bounded,
        bounds_hold_for_whatever_credentials,
        init_is_who_clears_state_init,
        init_takes_all_along,
        migrate_as_init,
        ends_with_the_last,
        reader_holds_up_nobody,
        persistent_lives_on,
        persistent_forgets_its_init,
        wait_exit_tells_the_code,
        wait_exit_is_interruptible,
        kill_whom,
        inside_sees_only_its_own,
        inside_changes_only_in_setup,
        unprivileged_may_nothing,
        bad_pointers,
        unknown_commands,
        names,
        proc_files,
        proc_hides_from_others,
        lists_nobody_else,
        status_of_ones_own,
        semaphores_are_left_outside,
        module_stays_while_used,
        many_contexts_and_storms,
    ],
};

/// An xid for tests; each has a process of its own but contexts are everybody's.
const XID: u32 = 100;

/// Creates a context that has been set up and may do what its creator may, and enters it.
fn create(xid: u32, flags: u64) -> Result<u32, Errno> {
    let xid = abi::ctx_create(xid, flags | abi::VXF_STATE_SETUP)?;
    abi::set_bcaps(xid, !0, !0)?;
    if flags & abi::VXF_STATE_SETUP == 0 {
        abi::set_cflags(xid, 0, abi::VXF_STATE_SETUP)?;
    }
    Ok(xid)
}

/// A process that sleeps in a new context, which lives as long as it does.
struct Guest {
    child: Child,
}

impl Guest {
    /// Makes one with these flags beside those of a context that is set up.
    fn new(xid: u32, flags: u64) -> Result<Self> {
        Self::with(xid, flags, || process::sleep_forever())
    }

    /// The same with something else to do.
    fn with(xid: u32, flags: u64, body: impl FnOnce()) -> Result<Self> {
        let ready = Gate::new()?;
        let child = spawn(|| {
            if create(xid, flags).is_err() || ready.open().is_err() {
                return 1;
            }
            body();
            0
        })?;
        ready.pass()?;
        ensure!(
            abi::task_xid(child.id())? == xid,
            "the context {xid} was not made"
        );
        Ok(Self { child })
    }

    fn end(self) -> Result<()> {
        self.child.kill(Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }
}

/// `KEY:\tVALUE` lines.
fn proc_file(xid: u32, name: &str) -> Result<HashMap<String, String>> {
    let path = format!("/proc/virtual/{xid}/{name}");
    let text = fs::read_to_string(&path).context(path)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

fn version() -> Result<()> {
    ensure!(abi::get_version()? == 0x0002_0308);
    let features = abi::get_vci()?;
    let wanted = abi::VCI_PROC_SECURE
        | abi::VCI_HARDCPU
        | abi::VCI_IDLETIME
        | abi::VCI_COWBL
        | abi::VCI_SPACES
        | abi::VCI_TAG_INTERNAL
        | abi::VCI_TAG_TASK
        | abi::VCI_MEMCG;
    ensure!(features == wanted, "{features:#x}");
    // Clients pass ids that mean nothing.
    ensure!(raw::vserver(abi::VCMD_get_version, 63, 1)? == 0x0002_0308);
    Ok(())
}

fn host_is_zero() -> Result<()> {
    ensure!(abi::task_xid(0)? == 0);
    ensure!(abi::task_xid(1)? == 0);
    expect(abi::task_xid(0x7fff_fff0), Errno::SRCH)?;
    expect(abi::task_xid(u32::MAX), Errno::SRCH)
}

fn module_stays_while_used() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    // SAFETY: a NUL-terminated name and no flags; it must fail.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_delete_module,
            c"vserver".as_ptr(),
            libc::O_NONBLOCK,
        )
    };
    let errno = std::io::Error::last_os_error().raw_os_error();
    // EBUSY, or EAGAIN, as older tools and newer kernels say it.
    ensure!(
        ret < 0 && (errno == Some(libc::EBUSY) || errno == Some(libc::EAGAIN)),
        "{ret} {errno:?}"
    );
    ensure!(abi::ctx_stat(XID)?.tasks == 1);
    guest.end()
}

/// Many contexts, made and ended in parallel, with forks inside: nothing is left, and the counts
/// are right at the end.
fn many_contexts_and_storms() -> Result<()> {
    let workers = (0..4)
        .map(|w| {
            spawn(move || {
                for i in 0..25 {
                    let xid = 1000 + (w * 25 + i) % 40;
                    let child = spawn(|| {
                        match abi::ctx_create(xid, 0) {
                            Ok(_) => {}
                            Err(Errno::EXIST) => {
                                if !matches!(abi::ctx_migrate(xid, 0), Ok(()) | Err(Errno::SRCH)) {
                                    return 1;
                                }
                            }
                            Err(Errno::BUSY) => return 0,
                            Err(_) => return 1,
                        }
                        let children: Vec<_> = (0..3).map(|_| spawn(|| 0)).collect();
                        i32::from(!children.into_iter().all(|c| {
                            c.and_then(Child::wait)
                                .is_ok_and(|status| status == Status::Exited(0))
                        }))
                    });
                    if !child
                        .and_then(Child::wait)
                        .is_ok_and(|s| s == Status::Exited(0))
                    {
                        return 1;
                    }
                }
                0
            })
        })
        .collect::<Result<Vec<_>>>()?;
    for worker in workers {
        ensure!(worker.wait()? == Status::Exited(0));
    }
    process::eventually("all are gone", || {
        fs::read_to_string("/proc/virtual/status").is_ok_and(|s| s.starts_with("#CTotal:\t0\n"))
    })
}
