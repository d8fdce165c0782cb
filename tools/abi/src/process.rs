// SPDX-License-Identifier: GPL-2.0
//! What the tools and the tests need of processes and no safe crate offers.

use std::sync::atomic::AtomicU64;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::syscall::{Errno, Result, last_error};

/// The two sides of a [`fork`].
#[derive(Debug)]
pub enum Fork {
    /// This is the new process.
    Child,
    /// This is the old process, the new one has this id.
    Parent(Pid),
}

/// Fails with `EINVAL` if the process has more than one thread.
fn check_single_threaded() -> Result<()> {
    // SAFETY: in a process with one thread this flag does nothing, with more the call fails.
    unsafe {
        rustix::thread::unshare_unsafe(UnshareFlags::from_bits_retain(libc::CLONE_THREAD as u32))
    }
}

/// Makes a copy of this process, which must have one thread only (else `EINVAL`).
pub fn fork() -> Result<Fork> {
    check_single_threaded()?;
    // SAFETY: no other thread exists whose locks or half-done work the child could inherit.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid if pid > 0 => Pid::from_raw(pid).map(Fork::Parent).ok_or(Errno::IO),
        _ => Err(last_error()),
    }
}

/// A number, 0 at first, that this process and the children it makes from now on have in common. It
/// has a page of its own, and is never freed. Fails with `ENOMEM` if there is no memory for that.
pub fn shared_number() -> Result<&'static AtomicU64> {
    // SAFETY: a new mapping, which is never removed.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<AtomicU64>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(last_error());
    }
    // SAFETY: zeroed, aligned, and only ever used as this.
    Ok(unsafe { &*page.cast() })
}

/// Moves this process, which must have one thread only, into new namespaces.
pub fn unshare(namespaces: UnshareFlags) -> Result<()> {
    check_single_threaded()?;
    // SAFETY: no other thread exists that could share file descriptors or the working
    // directory with this one and be surprised.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// Nothing but standard input, output and error gets to the next program: a directory of the
/// host's would be a way out of a guest.
pub fn close_others_on_exec() -> Result<()> {
    // SAFETY: this sets a flag of descriptors and closes none.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match ret {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Signals that would end the process are held back from this thread until this is dropped.
#[derive(Debug)]
pub struct SignalsHeld {
    old: libc::sigset_t,
}

/// Holds back all signals that can be: for a few steps of which all are done, or none.
pub fn hold_signals() -> Result<SignalsHeld> {
    let mut all = std::mem::MaybeUninit::uninit();
    let mut old = std::mem::MaybeUninit::uninit();
    // SAFETY: both sets are valid for the calls: the first is filled before it is read.
    let ret = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), old.as_mut_ptr())
    };
    if ret != 0 {
        return Err(Errno::from_raw_os_error(ret));
    }
    // SAFETY: the call has succeeded, and so has filled it.
    let old = unsafe { old.assume_init() };
    Ok(SignalsHeld { old })
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        // SAFETY: the set is the one that the kernel gave. It can't fail with a valid `how`.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.old, std::ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this thread would get a SIGTERM.
    fn term_is_blocked() -> bool {
        let mut now = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: without a new set the call only fills the old one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), now.as_mut_ptr());
            libc::sigismember(now.as_ptr(), libc::SIGTERM) == 1
        }
    }

    #[test]
    fn signals_are_held_and_let_go() {
        assert!(!term_is_blocked());
        let outer = hold_signals().unwrap();
        let inner = hold_signals().unwrap();
        drop(inner);
        assert!(term_is_blocked(), "the outer one still holds them");
        drop(outer);
        assert!(!term_is_blocked());
    }
}
