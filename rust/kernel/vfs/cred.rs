// SPDX-License-Identifier: GPL-2.0

//! Acting for the owner of a file.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)

use super::Path;
use crate::{
    bindings, cred::Credential, error::to_result, ffi::c_int, prelude::*, sync::aref::ARef,
};
use core::ptr::NonNull;

/// The kernel's own credentials, with the owner of a file as user and group.
///
/// Every capability in the initial user namespace, whatever the caller may or may not do, but
/// quota is charged to the file's owner, and without `CAP_SYS_RESOURCE`: no limit is overridden, and
/// of reserved blocks the owner gets those that are his, as root does on ext4 and f2fs. Security
/// modules see what they see of kernel threads, but label what is made as the file is labelled;
/// watchers of files see nothing at all.
///
/// # Invariants
///
/// Nobody changes the credentials any more.
pub struct OwnerCred(ARef<Credential>);

impl OwnerCred {
    /// Credentials to act for the owner of the file at `path`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or a security module's.
    pub fn new(path: &Path) -> Result<Self> {
        // SAFETY: `init_task` is always there.
        let cred = unsafe { bindings::prepare_kernel_cred(&raw mut bindings::init_task) };
        let cred = NonNull::new(cred).ok_or(ENOMEM)?;
        // SAFETY: The reference that was just made goes to the `ARef`.
        let owned = unsafe { ARef::from_raw(cred.cast()) };
        let mut cred = cred.as_ptr();
        let inode = path.inode();
        // SAFETY: The credentials are new: nobody else has them yet.
        unsafe {
            (*cred).fsuid = inode.uid();
            (*cred).fsgid = inode.gid();
            bindings::cred_drop_cap(cred, bindings::CAP_SYS_RESOURCE as c_int);
            bindings::vserver_cred_silence(cred);
        }
        // A label may be on no disk, where a mount option gives one to files without: copying the
        // attributes is not enough.
        // SAFETY: As above, and the dentry is valid. Given credentials are changed, not replaced.
        to_result(unsafe { bindings::security_inode_copy_up(path.0.dentry, &mut cred) })?;
        // INVARIANT: Set up above, and from here on shared.
        Ok(Self(owned))
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
