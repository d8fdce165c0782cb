// SPDX-License-Identifier: GPL-2.0

//! Namespaces, root and working directory that are held without a process.
//!
//! C source: [`security/vserver/space.c`](srctree/security/vserver/space.c)

use crate::{bindings, error::to_result, prelude::*, proc_fs, seq_file::SeqFile};
use core::ptr::NonNull;

/// How long a name may be, with the NUL at its end.
pub const NAME_SIZE: usize = bindings::__NEW_UTS_LEN as usize + 1;

/// A name, NUL terminated.
pub type Name = [u8; NAME_SIZE];

/// The names of a system, as `uname(2)` orders them.
#[derive(Clone, Copy)]
pub struct Names(pub [Name; 6]);

/// Root and working directory.
pub const FS: u64 = bindings::CLONE_FS as u64;

/// The mount namespace.
pub const MNT: u64 = bindings::CLONE_NEWNS as u64;

/// The UTS namespace.
pub const UTS: u64 = bindings::CLONE_NEWUTS as u64;

/// The IPC namespace.
pub const IPC: u64 = bindings::CLONE_NEWIPC as u64;

/// What a space can hold on this kernel: `CLONE_NEW*` flags, and `CLONE_FS` for the directories.
pub fn supported() -> u64 {
    // SAFETY: Always safe to call.
    unsafe { bindings::vserver_space_mask() }
}

/// What a task was in once. It never changes. Dropping it may sleep: mounts go with their last
/// namespace.
///
/// # Invariants
///
/// `raw` was made by `vserver_space_make` and is freed only by `Drop`.
pub struct Space {
    raw: NonNull<bindings::vserver_space>,
}

// SAFETY: A space is constant, and what it refers to has reference counts and locks of its own.
unsafe impl Send for Space {}
// SAFETY: As above.
unsafe impl Sync for Space {}

impl Space {
    /// Holds those things that the caller is in that `mask` names, and what `old` has of others.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing of that name. `ENOMEM`.
    pub fn of_caller(mask: u64, old: Option<&Self>) -> Result<Self> {
        if mask & !supported() != 0 {
            return Err(EINVAL);
        }
        let old = old.map_or(core::ptr::null_mut(), |old| old.raw.as_ptr());
        // SAFETY: `old` is null or, by the type invariants, a space.
        let raw = unsafe { bindings::vserver_space_make(old, mask) };
        // INVARIANT: Made just now.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
        })
    }

    /// What it holds.
    pub fn mask(&self) -> u64 {
        // SAFETY: By the type invariants it is a space.
        unsafe { bindings::vserver_space_held(self.raw.as_ptr()) }
    }

    /// Moves the caller into what `mask` names of it. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it does not hold all of that, or the caller shares with others what would change.
    /// What `setns(2)` fails with. Nothing has changed then.
    pub fn enter(&self, mask: u64) -> Result {
        // SAFETY: By the type invariants it is a space.
        to_result(unsafe { bindings::vserver_space_enter(self.raw.as_ptr(), mask) })
    }

    /// Prints what it is, then a line for each namespace.
    pub fn print(&self, m: &SeqFile) {
        // SAFETY: `m` is a valid `seq_file` that this thread prints to; by the type invariants
        // the other is a space.
        unsafe { bindings::vserver_space_show(proc_fs::seq_file(m), self.raw.as_ptr()) };
    }

    /// Changes host and domain name in its UTS namespace, if it has one that is not the host's.
    /// May sleep.
    pub fn set_names(&self, node: Option<&Name>, domain: Option<&Name>) {
        let raw = |name: Option<&Name>| name.map_or(core::ptr::null(), |name| name.as_ptr().cast());
        // SAFETY: By the type invariants it is a space; each name is null or has the length that
        // is copied.
        unsafe {
            bindings::vserver_space_set_names(self.raw.as_ptr(), raw(node), raw(domain));
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is a space, and nobody else frees it.
        unsafe { bindings::vserver_space_free(self.raw.as_ptr()) };
    }
}

/// The names in the UTS namespace of `space`, or else those in the caller's inside, in the host's
/// outside; and whether that is not the host's. May sleep.
pub fn names(space: Option<&Space>) -> (Names, bool) {
    let mut names = bindings::new_utsname::default();
    let space = space.map_or(core::ptr::null_mut(), |space| space.raw.as_ptr());
    // SAFETY: `space` is null or, by the type invariants, a space; `names` is where the answer
    // goes.
    let own = unsafe { bindings::vserver_space_names(space, &mut names) };
    let fields = [
        names.sysname,
        names.nodename,
        names.release,
        names.version,
        names.machine,
        names.domainname,
    ];
    (Names(fields), own)
}
