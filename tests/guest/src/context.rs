// SPDX-License-Identifier: GPL-2.0
//! Contexts: creation, inheritance, entering, flags, signals, end, and who may do what.

mod inside;

use crate::harness::Suite;
use crate::process::{self, Child, Gate, Status, isolated, spawn};
use crate::unified::expect;
use crate::{raw, tests};
use anyhow::{Context as _, Result, ensure};
use inside::{lists_nobody_else, semaphores_are_left_outside, status_of_ones_own};
use rustix::io::Errno;
use rustix::process::Signal;
use std::collections::HashMap;
use std::fs;
use vserver_abi as abi;

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

fn create_moves_the_caller_in() -> Result<()> {
    isolated(|| {
        ensure!(create(XID, 0)? == XID);
        ensure!(abi::task_xid(0)? == XID);
        let stat = abi::ctx_stat(XID)?;
        ensure!(stat.tasks == 1, "{stat:?}");
        Ok(())
    })
}

fn children_inherit() -> Result<()> {
    isolated(|| {
        create(XID, 0)?;
        let child = spawn(|| {
            let grandchild = isolated(|| {
                ensure!(abi::task_xid(0)? == XID);
                Ok(())
            });
            i32::from(grandchild.is_err())
        })?;
        ensure!(child.wait()? == Status::Exited(0));
        let thread = std::thread::spawn(|| abi::task_xid(0)).join();
        ensure!(matches!(thread, Ok(Ok(XID))));
        Ok(())
    })
}

fn any_picks_a_dynamic_id() -> Result<()> {
    isolated(|| {
        let xid = create(abi::VX_XID_ANY, 0)?;
        ensure!(
            (abi::VX_XID_DYNAMIC_MIN..=abi::VX_XID_MAX).contains(&xid),
            "{xid}"
        );
        ensure!(abi::task_xid(0)? == xid);
        Ok(())
    })
}

fn create_twice() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| expect(abi::ctx_create(XID, 0), Errno::EXIST))?;
    guest.end()?;
    let guest = Guest::new(XID, abi::VXF_STATE_SETUP)?;
    isolated(|| expect(abi::ctx_create(XID, 0), Errno::BUSY))?;
    guest.end()
}

fn bad_ids() -> Result<()> {
    for xid in [
        0,
        1,
        abi::VX_XID_DYNAMIC_MIN,
        abi::VX_XID_MAX + 1,
        0x1_0000,
        abi::VX_XID_SELF,
    ] {
        isolated(|| expect(abi::ctx_create(xid, 0), Errno::INVAL))
            .with_context(|| xid.to_string())?;
    }
    for xid in [0, 1, 99, abi::VX_XID_MAX, abi::VX_XID_SELF, abi::VX_XID_ANY] {
        expect(abi::ctx_stat(xid), Errno::SRCH)?;
        expect(abi::vx_info(xid), Errno::SRCH)?;
        expect(abi::get_cflags(xid), Errno::SRCH)?;
        expect(abi::wait_exit(xid), Errno::SRCH)?;
        expect(abi::get_sched(xid), Errno::SRCH)?;
    }
    for xid in [0, 99, abi::VX_XID_ANY] {
        isolated(|| expect(abi::ctx_migrate(xid, 0), Errno::SRCH))?;
    }
    Ok(())
}

fn threads_cannot_enter() -> Result<()> {
    isolated(|| {
        let (hold, release) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || release.recv());
        expect(abi::ctx_create(XID, 0), Errno::INVAL)?;
        ensure!(abi::task_xid(0)? == 0);
        drop(hold);
        ensure!(thread.join().is_ok());
        ensure!(!fs::exists(format!("/proc/virtual/{XID}"))?, "debris");
        Ok(())
    })
}

fn nothing_gets_out() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        expect(abi::ctx_create(XID + 2, 0), Errno::PERM)?;
        for xid in [0, 1, XID + 1] {
            expect(abi::ctx_migrate(xid, 0), Errno::PERM)?;
        }
        ensure!(abi::task_xid(0)? == XID);
        Ok(())
    })?;
    other.end()
}

fn enter_from_the_host() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        abi::ctx_migrate(XID, 0)?;
        ensure!(abi::task_xid(0)? == XID);
        ensure!(abi::ctx_stat(XID)?.tasks == 2);
        Ok(())
    })?;
    ensure!(abi::ctx_stat(XID)?.tasks == 1);
    guest.end()
}

fn private_cannot_be_entered() -> Result<()> {
    let guest = Guest::new(XID, abi::VXF_INFO_PRIVATE)?;
    isolated(|| expect(abi::ctx_migrate(XID, 0), Errno::ACCESS))?;
    guest.end()
}

fn spectator() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        ensure!(abi::task_xid(0)? == 1);
        ensure!(abi::ctx_stat(XID)?.tasks == 1);
        ensure!(proc_file(XID, "status")?.contains_key("Tasks"));
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)
    })?;
    guest.end()
}

fn one_time_flags() -> Result<()> {
    let guest = Guest::new(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_ADMIN)?;
    abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
    abi::set_cflags(XID, !abi::VXF_PERSISTENT & !abi::VXF_SCHED_PAUSE, u64::MAX)?;
    let flags = abi::get_cflags(XID)?;
    ensure!(flags & abi::VXF_STATE_SETUP == 0, "set again: {flags:#x}");
    ensure!(
        flags & abi::VXF_STATE_ADMIN != 0 && flags & abi::VXF_SCHED_HARD != 0,
        "{flags:#x}"
    );
    // What is outside the mask stays.
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    ensure!(abi::get_cflags(XID)? == flags & !abi::VXF_SCHED_HARD);
    guest.end()
}

/// Each keeps what is outside the mask, and knows bits that nobody has named yet.
fn words_of_bits() -> Result<()> {
    type Get = fn(u32) -> abi::Result<u64>;
    type Set = fn(u32, u64, u64) -> abi::Result<()>;
    let words: [(&str, Get, Set); 3] = [
        ("BCaps", abi::get_bcaps, abi::set_bcaps),
        ("CCaps", abi::get_ccaps, abi::set_ccaps),
        ("Umask", abi::get_umask, abi::set_umask),
    ];
    let guest = Guest::new(XID, 0)?;
    for (name, get, set) in words {
        set(XID, 0x8000_0000_0000_0f0f, !0)?;
        set(XID, !0, 0xf0)?;
        set(XID, 0, 0x0f)?;
        ensure!(
            get(XID)? == 0x8000_0000_0000_0ff0,
            "{name}: {:#x}",
            get(XID)?
        );
        ensure!(
            proc_file(XID, "status")?[name] == "8000000000000ff0",
            "{name}"
        );
        expect(get(XID + 1), Errno::SRCH)?;
        expect(set(XID + 1, 0, 0), Errno::SRCH)?;
    }
    guest.end()
}

/// Whether this process may change its root, and the name of the host: to what they are.
fn powers() -> (bool, bool) {
    let uname = rustix::system::uname();
    (
        rustix::process::chroot("/").is_ok(),
        rustix::system::sethostname(uname.nodename().to_bytes()).is_ok(),
    )
}

/// A new context has few capabilities as soon as it is set up, whatever its root holds.
fn capabilities_are_bounded() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        ensure!(powers() == (true, true), "in setup: {:?}", powers());
        ensure!(abi::get_bcaps(XID)? & 1 << 21 == 0, "CAP_SYS_ADMIN");
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        ensure!(powers() == (true, false), "{:?}", powers());
        expect(abi::get_bcaps(XID), Errno::PERM)
    })?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        ensure!(powers() == (true, false), "without setup: {:?}", powers());
        Ok(())
    })?;
    ensure!(powers() == (true, true), "the host: {:?}", powers());
    Ok(())
}

/// The bound follows credentials into children, and acts at once on those that are there already.
fn bounds_hold_for_whatever_credentials() -> Result<()> {
    let (go, done) = (Gate::new()?, Gate::new()?);
    let guest = Guest::with(XID, 0, || {
        let check = || -> Result<()> {
            ensure!(powers() == (true, true), "at first");
            done.open()?;
            go.pass()?;
            // One that is forked, and one that has changed its user and back.
            isolated(|| {
                ensure!(powers() == (false, false), "{:?}", powers());
                // SAFETY: these touch no memory.
                unsafe {
                    ensure!(libc::setresuid(-1i32 as u32, 1000, 0) == 0);
                    ensure!(libc::setresuid(-1i32 as u32, 0, 0) == 0);
                }
                ensure!(powers() == (false, false), "again: {:?}", powers());
                Ok(())
            })
        };
        let failed = check();
        if let Err(e) = &failed {
            println!("# {e:#}");
        }
        std::process::exit(i32::from(failed.is_err()));
    })?;
    done.pass()?;
    // All but CAP_SETUID.
    abi::set_bcaps(XID, 1 << 7, !0)?;
    go.open()?;
    ensure!(guest.child.wait()? == Status::Exited(0));
    Ok(())
}

fn init_is_who_clears_state_init() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT)?;
        ensure!(abi::vx_info(XID)?.initpid == 0);
        abi::set_cflags(abi::VX_XID_SELF, 0, abi::VXF_STATE_INIT)?;
        ensure!(abi::vx_info(abi::VX_XID_SELF)?.initpid == std::process::id());
        ensure!(proc_file(XID, "info")?["Init"] == std::process::id().to_string());
        Ok(())
    })
}

fn init_takes_all_along() -> Result<()> {
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
    process::eventually("the end", || abi::ctx_stat(XID) == Err(Errno::SRCH))
}

fn migrate_as_init() -> Result<()> {
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

fn ends_with_the_last() -> Result<()> {
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
fn reader_holds_up_nobody() -> Result<()> {
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

fn persistent_lives_on() -> Result<()> {
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
fn persistent_forgets_its_init() -> Result<()> {
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

fn wait_exit_tells_the_code() -> Result<()> {
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
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") S "))
}

fn wait_exit_is_interruptible() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    let waiter = spawn(|| i32::from(abi::wait_exit(XID).is_err()))?;
    process::eventually("somebody waits", || is_asleep(waiter.id()))?;
    waiter.kill(Signal::TERM)?;
    ensure!(waiter.wait()? == Status::Killed(libc::SIGTERM));
    guest.end()
}

fn kill_whom() -> Result<()> {
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

fn inside_sees_only_its_own() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    let other_pid = other.child.id();
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        expect(abi::ctx_stat(XID + 1), Errno::SRCH)?;
        expect(abi::vx_info(XID + 1), Errno::SRCH)?;
        expect(abi::set_cflags(XID + 1, 0, 0), Errno::SRCH)?;
        expect(abi::ctx_kill(XID + 1, 0, libc::SIGKILL), Errno::SRCH)?;
        expect(abi::task_xid(other_pid), Errno::SRCH)?;
        expect(abi::task_xid(1), Errno::SRCH)
    })?;
    other.end()
}

fn inside_changes_only_in_setup() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::set_vhi_name(abi::VX_XID_SELF, abi::VHIN_CONTEXT, "guest")?;
        let mut sched = abi::get_sched(XID)?;
        sched.mask = abi::VXSM_FILL_RATE;
        abi::set_sched(XID, sched)?;
        abi::set_bcaps(XID, !0, !0)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_bcaps(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_ccaps(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_umask(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_sched(XID, sched), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)?;
        expect(abi::set_vhi_name(XID, abi::VHIN_CONTEXT, "x"), Errno::PERM)?;
        expect(abi::wait_exit(XID), Errno::DEADLK)?;
        ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)? == "guest");
        Ok(())
    })
}

fn unprivileged_may_nothing() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(1000, 1000, 1000) } == 0);
        ensure!(abi::get_version().is_ok() && abi::get_vci().is_ok());
        expect(abi::task_xid(0), Errno::PERM)?;
        expect(abi::ctx_create(XID + 1, 0), Errno::PERM)?;
        expect(abi::ctx_migrate(XID, 0), Errno::PERM)?;
        expect(abi::ctx_stat(XID), Errno::PERM)?;
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)?;
        expect(
            abi::set_iattr(std::path::Path::new("/"), abi::CtxFiattr::default()),
            Errno::PERM,
        )?;
        // The files in /proc are for everybody on the host.
        ensure!(proc_file(XID, "status")?.contains_key("Tasks"));
        Ok(())
    })?;
    guest.end()
}

/// Commands that need a structure.
const WITH_DATA: &[u32] = &[
    abi::VCMD_vx_info,
    abi::VCMD_ctx_stat,
    abi::VCMD_get_cflags,
    abi::VCMD_set_cflags,
    abi::VCMD_ctx_kill,
    abi::VCMD_set_sched,
    abi::VCMD_get_sched,
    abi::VCMD_sched_info,
    abi::VCMD_get_iattr,
    abi::VCMD_set_iattr,
    abi::VCMD_set_vhi_name,
    abi::VCMD_get_vhi_name,
];

fn bad_pointers() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    let flags = abi::get_cflags(XID)?;
    for &cmd in WITH_DATA {
        for data in [
            0,
            1,
            usize::MAX,
            usize::MAX - 4095,
            1 << 47,
            0xffff_8000_0000_0000,
        ] {
            expect(raw::vserver(cmd, XID, data), Errno::FAULT)
                .with_context(|| format!("{cmd:#x} with {data:#x}"))?;
        }
    }
    for cmd in [abi::VCMD_ctx_create, abi::VCMD_ctx_migrate] {
        expect(raw::vserver(cmd, XID + 1, 1), Errno::FAULT)?;
    }
    ensure!(abi::get_cflags(XID)? == flags && abi::ctx_stat(XID)?.tasks == 1);
    expect(abi::ctx_stat(XID + 1), Errno::SRCH)?;
    guest.end()
}

fn unknown_commands() -> Result<()> {
    for cmd in [u32::MAX, 0x3f00_0000, abi::VCMD_ctx_create + 5, 1 << 30] {
        expect(raw::vserver(cmd, XID, 0), Errno::NOSYS).with_context(|| format!("{cmd:#x}"))?;
    }
    Ok(())
}

fn names() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)?.is_empty());
    let long = "n".repeat(64);
    for name in ["web", "", &long] {
        abi::set_vhi_name(XID, abi::VHIN_CONTEXT, name)?;
        ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)? == name);
    }
    expect(abi::get_vhi_name(XID, 99), Errno::INVAL)?;
    expect(abi::set_vhi_name(XID, 99, "x"), Errno::INVAL)?;
    guest.end()
}

fn proc_files() -> Result<()> {
    let info = fs::read_to_string("/proc/virtual/info")?;
    ensure!(
        info.starts_with("VCIVersion:\t0002:0308\nVCISyscall:\t236\nVCIKernel:\t0007"),
        "{info}"
    );
    let guest = Guest::new(XID, abi::VXF_SCHED_HARD)?;
    let status = proc_file(XID, "status")?;
    ensure!(status["Tasks"] == "1", "{status:?}");
    ensure!(
        status["Flags"] == format!("{:016x}", abi::VXF_SCHED_HARD),
        "{status:?}"
    );
    for key in ["UseCnt", "BCaps", "CCaps", "Umask", "Wmask", "Spaces"] {
        ensure!(status.contains_key(key), "{key}");
    }
    let info = proc_file(XID, "info")?;
    ensure!(info["ID"] == XID.to_string() && info["Init"] == "0");
    // A hash of 32 bits; a kernel address has its upper bits set.
    ensure!(info["Info"].starts_with("00000000"), "an address: {info:?}");
    let sched = fs::read_to_string(format!("/proc/virtual/{XID}/sched"))?;
    let cpus = sched
        .lines()
        .filter(|line| line.starts_with("cpu "))
        .count();
    ensure!(cpus >= 2, "{sched}");
    let fields = sched
        .lines()
        .last()
        .map_or(0, |line| line.split(' ').count());
    ensure!(fields == 15, "{fields} fields in {sched}");
    process::eventually("one context", || {
        fs::read_to_string("/proc/virtual/status").is_ok_and(|s| s.starts_with("#CTotal:\t1\n"))
    })?;
    guest.end()
}

fn proc_hides_from_others() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        ensure!(proc_file(XID, "status")?["Tasks"] == "1");
        for name in ["info", "status", "sched"] {
            ensure!(
                fs::read(format!("/proc/virtual/{}/{name}", XID + 1)).is_err(),
                "{name}"
            );
        }
        Ok(())
    })?;
    other.end()
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
