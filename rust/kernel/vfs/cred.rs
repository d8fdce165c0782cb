// SPDX-License-Identifier: GPL-2.0

//! Acting for the owner of a file.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)

use super::Inode;
use crate::{bindings, cred::Credential, ffi::c_int, prelude::*, sync::aref::ARef};
use core::ptr::NonNull;

/// The kernel's own credentials, with the owner of a file as user and group.
///
/// Every capability in the initial user namespace, whatever the caller may or may not do, but
/// quota is charged to the file's owner, and without `CAP_SYS_RESOURCE`: neither limits nor
/// reserved blocks are overridden. Security modules see what they see of kernel threads, and
/// watchers of files nothing at all.
///
/// # Invariants
///
/// Nobody changes the credentials any more.
pub struct OwnerCred(ARef<Credential>);

impl OwnerCred {
    /// Credentials to act for the owner of `inode`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(inode: &Inode) -> Result<Self> {
        // SAFETY: `init_task` is always there.
        let cred = unsafe { bindings::prepare_kernel_cred(&raw mut bindings::init_task) };
        let cred = NonNull::new(cred).ok_or(ENOMEM)?;
        // SAFETY: The credentials are new: nobody else has them yet.
        unsafe {
            (*cred.as_ptr()).fsuid = inode.uid();
            (*cred.as_ptr()).fsgid = inode.gid();
            bindings::cred_drop_cap(cred.as_ptr(), bindings::CAP_SYS_RESOURCE as c_int);
            bindings::vserver_cred_silence(cred.as_ptr());
        }
        // SAFETY: The reference that was just made goes to the `ARef`.
        // INVARIANT: Set up above, and from here on shared.
        Ok(Self(unsafe { ARef::from_raw(cred.cast()) }))
    }

    pub(super) fn as_ptr(&self) -> *const bindings::cred {
        self.0.as_ptr()
    }

    /// Runs `f` in the current task with these credentials. Audit sees nothing of it.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let mut acting = bindings::vserver_acting::default();

        // SAFETY: `self` outlives the call of `f`, so the task never has credentials that are
        // gone. Nothing unwinds in the kernel, and `f` can't return to user mode.
        unsafe { bindings::vserver_act_begin(&mut acting, self.as_ptr()) };
        let ret = f();
        // SAFETY: Begun above, by the same task.
        unsafe { bindings::vserver_act_end(&acting) };
        ret
    }
}
