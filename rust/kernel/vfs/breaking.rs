// SPDX-License-Identifier: GPL-2.0

//! Whose turn it is to break a link.
//!
//! C header: [`include/linux/vserver_cow.h`](srctree/include/linux/vserver_cow.h)

use super::{Inode, Path};
use crate::{
    bindings,
    error::{from_err_ptr, to_result, Result},
    prelude::ENOMEM,
};
use core::{marker::PhantomData, ptr::NonNull};

impl Path {
    /// Becomes the only one who breaks the link of this name.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a fatal signal came first. `ENOMEM`.
    pub fn begin_renewal(&self) -> Result<Renewal<'_>> {
        // SAFETY: By the type invariant.
        let renewal = from_err_ptr(unsafe { bindings::vserver_renewal_begin(self.0.dentry) })?;
        // INVARIANT: Begun just now.
        Ok(Renewal(NonNull::new(renewal).ok_or(ENOMEM)?, PhantomData))
    }
}

impl Inode {
    /// Whether this directory is to be searched for what a crash left behind: once while its inode
    /// is in memory.
    pub fn begin_sweep(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_sweep_begin(self.as_ptr()) }
    }

    /// Has this directory searched again at the next break in it.
    pub fn sweep_again(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_sweep_again(self.as_ptr()) };
    }

    /// Keeps this unified inode unified, or becomes the one who may change that: who is `alone`
    /// waits for all others, and they for him; those who only copy it don't wait for each other.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a fatal signal came first. `EPERM`: it can't be a unified one.
    pub fn begin_breaking(&self, alone: bool) -> Result<Breaking<'_>> {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_breaking_begin(self.as_ptr(), alone) })?;
        // INVARIANT: Begun just now.
        Ok(Breaking { inode: self, alone })
    }

    /// Becomes alone with this unified inode, if nobody has to be waited for.
    pub fn try_breaking(&self) -> Option<Breaking<'_>> {
        // SAFETY: By the type invariant.
        let begun = unsafe { bindings::vserver_breaking_try(self.as_ptr()) };
        // Not `then_some()`: what has not begun must not end.
        // INVARIANT: Begun just now.
        begun.then(|| Breaking {
            inode: self,
            alone: true,
        })
    }
}

/// The inode stays unified while this lives, but for what its owner does who is alone with it.
///
/// # Invariants
///
/// `vserver_breaking_begin()` succeeded for the inode, and for `alone`.
pub struct Breaking<'a> {
    inode: &'a Inode,
    alone: bool,
}

impl Breaking<'_> {
    /// Whether nobody else breaks links to the inode, or gives it names.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

impl Drop for Breaking<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; begun in the same way.
        unsafe { bindings::vserver_breaking_end(self.inode.as_ptr(), self.alone) };
    }
}

/// Nobody else breaks the link of the name while this lives.
///
/// # Invariants
///
/// Came from `vserver_renewal_begin()` for the name of the path, which is valid for `'a`.
pub struct Renewal<'a>(NonNull<bindings::vserver_renewal>, PhantomData<&'a Path>);

impl Drop for Renewal<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_renewal_end(self.0.as_ptr()) };
    }
}
