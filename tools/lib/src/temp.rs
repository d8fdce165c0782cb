// SPDX-License-Identifier: GPL-2.0
//! Temporary names: gone after a failure, known again after a crash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

const PREFIX: &str = ".vserver-unify.";

/// A name in a directory that is removed when this is dropped.
pub(crate) struct Temp<'a> {
    dir: BorrowedFd<'a>,
    name: String,
    armed: bool,
}

impl<'a> Temp<'a> {
    /// A name nobody uses. Nothing is made yet.
    pub(crate) fn new(dir: BorrowedFd<'a>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}.{n}", process::id());
        Self {
            dir,
            name,
            armed: true,
        }
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'a> {
        self.dir
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Removes the name, and says whether that worked.
    pub(crate) fn remove(mut self) -> Result<(), Errno> {
        self.armed = false;
        unlinkat(self.dir, &self.name, AtFlags::empty())
    }

    /// Gives the name up: it is another's now.
    pub(crate) fn forget(mut self) {
        self.armed = false;
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.armed {
            // If it cannot be removed now, the next run does.
            let _ = unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}

/// Whether this is the name of a temporary file whose process is gone.
pub(crate) fn is_leftover(name: &OsStr) -> bool {
    let Some(rest) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) else {
        return false;
    };
    let pid = rest.split(|b| *b == b'.').next().unwrap_or_default();
    let pid = std::str::from_utf8(pid)
        .ok()
        .and_then(|p| p.parse::<i32>().ok());
    match pid.and_then(Pid::from_raw) {
        Some(pid) if pid.as_raw_nonzero().get().unsigned_abs() == process::id() => false,
        Some(pid) => test_kill_process(pid) == Err(Errno::SRCH),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_left_over() {
        let own = format!("{PREFIX}{}.0", process::id());
        assert!(!is_leftover(OsStr::new(&own)));
        assert!(is_leftover(OsStr::new(".vserver-unify.2147483647.3")));
        for name in [
            ".vserver-unify.",
            ".vserver-unify.x.1",
            "vserver-unify.1.1",
            "bash",
        ] {
            assert!(!is_leftover(OsStr::new(name)), "{name}");
        }
    }
}
