// SPDX-License-Identifier: GPL-2.0
//! What processes do all the time: start a program, get a signal, open a file, take turns.

use crate::calls::{Calls, check, open_close};
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use std::ffi::{CStr, c_char};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr::null;

const FILE: &CStr = c"/tmp/tasks";
const PROGRAM: &CStr = c"/bin/busybox";
const ARGUMENTS: [*const c_char; 2] = [c"true".as_ptr(), null()];
const ENVIRONMENT: [*const c_char; 1] = [null()];

/// Counts on the host or in a context, see [`Calls::at`].
pub fn run(report: &mut Report, place: &str) {
    report.group(&format!("tasks {place}"), || {
        let calls = Calls::at(place)?;
        calls.count("what=fork+exit", || in_child(|| 0))?;
        calls.count("what=fork+exec", || in_child(exec))?;

        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, on_signal as *const () as libc::sighandler_t) };
        // SAFETY: this touches no memory.
        let own = unsafe { libc::getpid() };
        calls.count("what=signal", || {
            // SAFETY: there is a handler, which has run when the call returns.
            check(unsafe { libc::kill(own, libc::SIGUSR1) }.into()).map(drop)
        })?;

        fs::write(FILE.to_str()?, b"")?;
        calls.count("what=open+close", || open_close(FILE, libc::O_RDONLY))?;

        let partner = Partner::start()?;
        calls.count("what=2-switch", || partner.turn())
    });
}

/// What passes where CPU time is billed, and what doesn't.
pub fn costs(report: &mut Report, place: &str) {
    report.group(&format!("costs {place}"), || {
        let calls = Calls::at(place)?;
        calls.count("what=getpid", || {
            // SAFETY: this touches no memory.
            check(unsafe { libc::syscall(libc::SYS_getpid) }).map(drop)
        })?;
        calls.count("what=fork+exit", || in_child(|| 0))?;
        let partner = Partner::start()?;
        calls.count("what=2-switch", || partner.turn())
    });
}

/// Starts this program anew, at the addresses that every kernel gives it: where it lies decides
/// how many page tables a fork copies.
pub fn at_fixed_addresses() -> Result<()> {
    const ALL: libc::c_ulong = 0xffff_ffff;
    // SAFETY: this touches no memory.
    let old = check(unsafe { libc::personality(ALL) }.into())?;
    let fixed = i64::from(libc::ADDR_NO_RANDOMIZE);
    if old & fixed != 0 {
        return Ok(());
    }
    // SAFETY: as above.
    check(unsafe { libc::personality((old | fixed) as libc::c_ulong) }.into())?;
    let error = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("/proc/self/exe")
}

extern "C" fn on_signal(_: libc::c_int) {}

/// Waits for a child that exits with what `body` returns, which is to be 0.
fn in_child(body: fn() -> i32) -> Result<()> {
    let mut status = 0;
    // SAFETY: there is one thread, `body` touches nothing that the parent has, and `status` is
    // where the answer goes.
    unsafe {
        match check(libc::fork().into())? {
            0 => libc::_exit(body()),
            pid => check(libc::waitpid(pid as libc::pid_t, &mut status, 0).into())?,
        };
    }
    ensure!(status == 0, "a child ended with {status:#x}");
    Ok(())
}

fn exec() -> i32 {
    // SAFETY: C strings in arrays that end with a null pointer.
    unsafe { libc::execve(PROGRAM.as_ptr(), ARGUMENTS.as_ptr(), ENVIRONMENT.as_ptr()) }
}

/// A process that sends back each byte it gets.
struct Partner {
    pid: libc::pid_t,
    /// The ends of two pipes.
    to: i32,
    from: i32,
}

impl Partner {
    fn start() -> Result<Self> {
        let (mut there, mut back) = ([0; 2], [0; 2]);
        // SAFETY: room for two descriptors each; the child touches nothing but these and its stack.
        unsafe {
            check(libc::pipe(there.as_mut_ptr()).into())?;
            check(libc::pipe(back.as_mut_ptr()).into())?;
            let pid = check(libc::fork().into())? as libc::pid_t;
            if pid == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                while pass(there[0], |byte| libc::write(back[1], byte.cast(), 1)) {}
                libc::_exit(0);
            }
            Ok(Self {
                pid,
                to: there[1],
                from: back[0],
            })
        }
    }

    /// Gives it the processor and waits until it comes back.
    fn turn(&self) -> Result<()> {
        // SAFETY: a byte to write.
        check(unsafe { libc::write(self.to, b"x".as_ptr().cast(), 1) } as i64)?;
        ensure!(pass(self.from, |_| 1), "the partner has gone");
        Ok(())
    }
}

/// Reads a byte and gives it to `f`, which returns how many it took.
fn pass(from: i32, f: impl FnOnce(*const u8) -> isize) -> bool {
    let mut byte = 0u8;
    // SAFETY: room for a byte.
    let got = unsafe { libc::read(from, (&raw mut byte).cast(), 1) };
    got == 1 && f(&raw const byte) == 1
}

impl Drop for Partner {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}
