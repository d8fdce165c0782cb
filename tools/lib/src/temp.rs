// SPDX-License-Identifier: GPL-2.0
//! Temporary names: gone after a failure, known again after a crash.
//!
//! `.vserver-unify.BOOT.PID.N.INODE.GENERATION` is a private copy on its way into the place of a
//! shared file: the name says which inode it was made for, so that what somebody else puts there is
//! not taken for it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, CWD, fstat, linkat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use vserver_abi as abi;

const PREFIX: &str = ".vserver-unify.";

/// Tells this boot from others, after which process ids begin anew.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().take(8).collect()
});

/// A name in a directory that is removed when this is dropped.
pub(crate) struct Temp<'a> {
    dir: BorrowedFd<'a>,
    name: String,
    armed: bool,
}

impl<'a> Temp<'a> {
    /// A name nobody uses for `copy`, a file without one, which has it when this returns.
    pub(crate) fn new(dir: BorrowedFd<'a>, copy: &File) -> Result<Self, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let (boot, pid, (ino, generation)) = (&*BOOT, process::id(), identity(copy)?);
        let name = format!("{PREFIX}{boot}.{pid}.{n}.{ino:x}.{generation:x}");
        link(copy, dir, &name)?;
        Ok(Self {
            dir,
            name,
            armed: true,
        })
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
        match unlinkat(self.dir, &self.name, AtFlags::empty()) {
            // Somebody has cleaned up.
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    /// Gives the name up: it is another's now.
    pub(crate) fn forget(mut self) {
        self.armed = false;
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.armed {
            // If it cannot be removed now, `vserver cleanup` does.
            let _ = unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}

/// Gives an open file a further name.
pub(crate) fn link(file: &File, dir: BorrowedFd<'_>, name: impl AsRef<OsStr>) -> Result<(), Errno> {
    let name = name.as_ref();
    match linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
        // That way needs a capability; this way needs /proc. Or a directory is missing.
        Err(Errno::NOENT) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW)
        }
        linked => linked,
    }
}

/// Number and generation of an open file's inode.
pub(crate) fn identity(file: &File) -> Result<(u64, u32), Errno> {
    let generation = match abi::generation(file) {
        Err(Errno::NOTTY) => 0,
        generation => generation?,
    };
    Ok((fstat(file)?.st_ino, generation))
}

/// What a temporary name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The process that made it is still there.
    pub(crate) in_use: bool,
    /// Number and generation of the inode that was to have another name.
    pub(crate) inode: (u64, u32),
}

/// Takes a temporary name apart; `None` if it is another name.
pub(crate) fn parse(name: &OsStr) -> Option<Parsed> {
    let mut words = name.to_str()?.strip_prefix(PREFIX)?.split('.');
    let boot = words.next()?;
    let pid = words.next()?.parse().ok().filter(|pid: &i32| *pid > 0)?;
    let pid = Pid::from_raw(pid)?;
    words.next()?.parse::<u64>().ok()?;
    let ino = u64::from_str_radix(words.next()?, 16).ok()?;
    let generation = u32::from_str_radix(words.next()?, 16).ok()?;
    if words.next().is_some() {
        return None;
    }
    let in_use = boot == *BOOT && test_kill_process(pid) != Err(Errno::SRCH);
    Some(Parsed {
        in_use,
        inode: (ino, generation),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str) -> Option<Parsed> {
        parse(OsStr::new(name))
    }

    #[test]
    fn names_of_dead_processes_are_left_over() {
        let (own, boot) = (process::id(), &*BOOT);
        let in_use = |name: &str| parsed(name).unwrap().in_use;
        assert!(in_use(&format!("{PREFIX}{boot}.{own}.0.1.1")));
        assert!(!in_use(&format!("{PREFIX}{boot}.2147483647.3.1.1")));
        assert!(
            !in_use(&format!("{PREFIX}00000000.{own}.0.1.1")),
            "another boot's"
        );
        assert!(
            !in_use(&format!("{PREFIX}.{own}.0.1.1")),
            "a boot without /proc"
        );
    }

    #[test]
    fn names_of_copies_say_of_which() {
        let name = format!("{PREFIX}0.2147483647.3.1f.abcd");
        assert_eq!(parsed(&name).unwrap().inode, (0x1f, 0xabcd));
    }

    #[test]
    fn other_names_are_none_of_ours() {
        for name in [
            ".vserver-unify.",
            ".vserver-unify.0.x.1.2.3",
            ".vserver-unify.0.0.1.2.3",
            ".vserver-unify.0.-1.1.2.3",
            ".vserver-unify.0.1.1",
            ".vserver-unify.0.1.1.2",
            ".vserver-unify.0.1.1.x.2",
            ".vserver-unify.0.1.1.2.3.4",
            ".vserver-cow-1",
            "vserver-unify.0.1.1.2.3",
            "bash",
        ] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }

    #[test]
    fn a_copy_gets_a_name_that_is_its_own() {
        use rustix::fs::{Mode, OFlags, openat};
        use std::os::fd::AsFd;
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        let copy = openat(&fd, ".", OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR).unwrap();
        let copy = File::from(copy);
        let temp = Temp::new(fd.as_fd(), &copy).unwrap();
        assert!(dir.path().join(temp.name()).exists());
        let inode = parsed(temp.name()).unwrap().inode;
        assert_eq!(inode, identity(&copy).unwrap());
        drop(temp);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
