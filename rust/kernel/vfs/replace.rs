// SPDX-License-Identifier: GPL-2.0

//! A locked directory, in which one file takes the name of another.
//!
//! C headers: [`include/linux/namei.h`](srctree/include/linux/namei.h),
//! [`include/linux/filelock.h`](srctree/include/linux/filelock.h)

use super::{nop_idmap, Inode, Path, WriteAccess};
use crate::{
    bindings,
    error::{from_err_ptr, to_result, Result},
    prelude::*,
    types::Opaque,
};
use core::{marker::PhantomData, ptr::NonNull};

/// A name in a directory, with or without a file.
///
/// # Invariants
///
/// The value owns a reference.
pub struct Dentry(NonNull<bindings::dentry>);

impl Dentry {
    /// The inode behind the name, if there is one.
    pub fn inode(&self) -> Option<&Inode> {
        // SAFETY: By the type invariant. The reference keeps a positive dentry positive, from others;
        // who removes the name by [`LockedDir::unlink`] gives it up.
        let inode = unsafe { core::ptr::read_volatile(&raw const (*self.0.as_ptr()).d_inode) };
        // SAFETY: As above: the dentry holds the inode.
        (!inode.is_null()).then(|| unsafe { Inode::from_raw(inode) })
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::dput(self.0.as_ptr()) };
    }
}

impl Path {
    /// Looks up the name that this has, or had when it went: the file that is there at this moment. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is none, or its directory has gone. Else those of the file system.
    pub fn lookup_again(&self) -> Result<Dentry> {
        let dir = self.parent();
        let name = Opaque::<bindings::name_snapshot>::uninit();

        // SAFETY: The path holds the dentry. `name`, which is not moved, is filled before it is used,
        // and holds what it points to until it is released.
        let dentry = unsafe {
            bindings::take_dentry_name_snapshot(name.get(), self.0.dentry);
            let found = bindings::lookup_noperm_positive_unlocked(
                &raw mut (*name.get()).name,
                dir.0.dentry,
            );
            bindings::release_dentry_name_snapshot(name.get());
            from_err_ptr(found)?
        };
        // INVARIANT: A lookup gives a reference.
        NonNull::new(dentry).map(Dentry).ok_or(ENOENT)
    }
}

/// A lease that somebody has to give back before an operation can be done.
///
/// # Invariants
///
/// Zeroed, or filled by the operation that failed, with a reference to the inode.
pub struct Delegation(Opaque<bindings::delegated_inode>);

impl Delegation {
    /// None yet.
    pub fn new() -> Self {
        // INVARIANT: All zeroes.
        Self(Opaque::zeroed())
    }

    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::is_delegated(self.0.get()) }
    }

    /// Waits until the lease is given back, if there is one. No lock may be held.
    ///
    /// Returns false if there was none.
    ///
    /// # Errors
    ///
    /// A signal came first.
    pub fn wait(&mut self) -> Result<bool> {
        if !self.is_some() {
            return Ok(false);
        }
        // SAFETY: By the type invariant.
        // INVARIANT: This drops the reference and leaves zeroes.
        to_result(unsafe { bindings::break_deleg_wait(self.0.get()) })?;
        Ok(true)
    }
}

impl Default for Delegation {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        // Not waited for: the directory may be locked.
        // SAFETY: By the type invariant: null, or a reference that the value owns.
        unsafe { bindings::delegated_inode_put(self.0.get()) };
    }
}

/// A directory whose lock is held, as long as this lives.
///
/// # Invariants
///
/// `dir` is a directory and the value holds its lock, exclusively.
pub struct LockedDir<'a> {
    dir: &'a Path,
    _write: PhantomData<&'a WriteAccess>,
}

impl<'a> LockedDir<'a> {
    /// Locks `dir`. No lock may be held.
    ///
    /// # Errors
    ///
    /// `ENOTDIR`, and `EINVAL`: the write access is another mount's.
    pub fn lock(dir: &'a Path, write: &'a WriteAccess) -> Result<Self> {
        write.check(dir)?;
        if !dir.is_dir() {
            return Err(ENOTDIR);
        }
        // SAFETY: The path holds the inode.
        unsafe { bindings::inode_lock_parent(dir.inode().as_ptr()) };
        // INVARIANT: A directory, as looked at above, and locked just now.
        Ok(Self {
            dir,
            _write: PhantomData,
        })
    }

    /// The directory's inode.
    pub fn inode(&self) -> &Inode {
        self.dir.inode()
    }

    /// Whether this is the directory of the name that `path` has, or had when it went.
    pub fn is_parent_of(&self, path: &Path) -> bool {
        // SAFETY: The path holds the dentry.
        unsafe { self.is_parent(path.0.dentry) }
    }

    /// # Safety
    ///
    /// There is a reference to `dentry`.
    unsafe fn is_parent(&self, dentry: *mut bindings::dentry) -> bool {
        // SAFETY: The caller's promise. The parent of a dentry changes only under the parent's
        // lock: if it is this directory, it stays so.
        unsafe { core::ptr::read_volatile(&raw const (*dentry).d_parent) == self.dir.0.dentry }
    }

    /// # Errors
    ///
    /// `ESTALE`: the name is not of this directory.
    fn check(&self, name: &Dentry) -> Result {
        // SAFETY: By the type invariant.
        if unsafe { self.is_parent(name.0.as_ptr()) } {
            Ok(())
        } else {
            Err(ESTALE)
        }
    }

    /// Looks up the name that `path` has in this directory, or had when it went.
    ///
    /// # Errors
    ///
    /// `ESTALE`: it is the name of another directory. Else those of the file system.
    pub fn lookup_name_of(&self, path: &Path) -> Result<Dentry> {
        if !self.is_parent_of(path) {
            return Err(ESTALE);
        }
        // SAFETY: The name changes only under the lock of the parent, which is held.
        let mut name = unsafe { (*path.0.dentry).__bindgen_anon_1.d_name };
        // SAFETY: The directory is locked; `name` is valid as said.
        unsafe { self.lookup_qstr(&mut name) }
    }

    /// Looks up `name`.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` and those of the file system.
    pub fn lookup(&self, name: &[u8]) -> Result<Dentry> {
        let mut qstr = bindings::qstr::default();
        qstr.__bindgen_anon_1.__bindgen_anon_1 = bindings::qstr__bindgen_ty_1__bindgen_ty_1 {
            hash: 0,
            len: u32::try_from(name.len())?,
        };
        qstr.name = name.as_ptr();
        // SAFETY: The directory is locked; `name` lives until the call returns.
        unsafe { self.lookup_qstr(&mut qstr) }
    }

    /// # Safety
    ///
    /// `name` points to as many bytes as it says, which stay.
    unsafe fn lookup_qstr(&self, name: &mut bindings::qstr) -> Result<Dentry> {
        // SAFETY: By the type invariant `dir` is a locked directory; `name` by the caller.
        let dentry = from_err_ptr(unsafe { bindings::lookup_noperm(name, self.dir.0.dentry) })?;
        // INVARIANT: A lookup gives a reference.
        NonNull::new(dentry).map(Dentry).ok_or(ENOENT)
    }

    /// The path of a name in this directory.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it has no file. `ESTALE`: it is the name of another directory.
    pub fn path(&self, dentry: Dentry) -> Result<Path> {
        self.check(&dentry)?;
        dentry.inode().ok_or(ENOENT)?;
        // SAFETY: `dir` holds the mount.
        let mnt = unsafe { bindings::mntget(self.dir.0.mnt) };
        let dentry = core::mem::ManuallyDrop::new(dentry);
        // INVARIANT: Both references are now the path's; the dentry is positive.
        Ok(Path(bindings::path {
            mnt,
            dentry: dentry.0.as_ptr(),
        }))
    }

    /// Keeps everybody from mounting on the name of `path`: a rename would detach what other
    /// namespaces have there.
    ///
    /// # Errors
    ///
    /// `ESTALE`: it is not in this directory. `EBUSY`: something is mounted on it.
    pub fn deny_mount<'b>(&'b self, path: &'b Path) -> Result<MountDenied<'b>> {
        if !self.is_parent_of(path) {
            return Err(ESTALE);
        }
        // SAFETY: The path holds the dentry, whose directory is locked.
        if unsafe { bindings::vserver_deny_mount(path.0.dentry) } {
            // INVARIANT: The directory stays locked while it is borrowed.
            Ok(MountDenied(path))
        } else {
            Err(EBUSY)
        }
    }

    /// Gives a file a further name, or its first.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the name has a file, `ESTALE` if it is another directory's, and those of
    /// `link(2)`. If `delegation`, which must be none before, is then filled, waiting for it may
    /// help.
    pub fn link(&self, file: &Path, name: &Dentry, delegation: &mut Delegation) -> Result {
        self.check(name)?;
        // SAFETY: All are valid by their types' invariants; the directory is the name's parent and
        // locked.
        to_result(unsafe {
            bindings::vfs_link(
                file.0.dentry,
                nop_idmap(),
                self.inode().as_ptr(),
                name.0.as_ptr(),
                delegation.0.get(),
            )
        })
    }

    /// Lets the file `from` take the name of `path`, whose file loses it.
    ///
    /// # Errors
    ///
    /// `ESTALE`: one of the names is not in this directory, or that of `path` has gone. Else those
    /// of `rename(2)`. If `delegation`, which must be none before, is then filled, waiting for it
    /// may help.
    pub fn rename_over(&self, from: &Dentry, path: &Path, delegation: &mut Delegation) -> Result {
        self.check(from)?;
        if !self.is_parent_of(path) || path.is_unhashed() {
            return Err(ESTALE);
        }
        let mut rd = bindings::renamedata {
            mnt_idmap: nop_idmap(),
            old_parent: self.dir.0.dentry,
            old_dentry: from.0.as_ptr(),
            new_parent: self.dir.0.dentry,
            new_dentry: path.0.dentry,
            delegated_inode: delegation.0.get(),
            flags: 0,
        };
        // SAFETY: All are valid by their types' invariants; the parent of both is this directory,
        // which is locked, as looked at above.
        to_result(unsafe { bindings::vfs_rename(&mut rd) })
    }

    /// Removes a name.
    ///
    /// # Errors
    ///
    /// `ESTALE`: it is another directory's. Else those of `unlink(2)`. If `delegation`, which must
    /// be none before, is then filled, waiting for it may help.
    // By value: a dentry with no other reference is a negative one then.
    pub fn unlink(&self, name: Dentry, delegation: &mut Delegation) -> Result {
        self.check(&name)?;
        // SAFETY: All are valid by their types' invariants; the directory is the name's parent and
        // locked.
        to_result(unsafe {
            bindings::vfs_unlink(
                nop_idmap(),
                self.inode().as_ptr(),
                name.0.as_ptr(),
                delegation.0.get(),
            )
        })
    }
}

/// Nobody mounts on a name while this lives.
///
/// # Invariants
///
/// `vserver_deny_mount()` succeeded for the dentry of the path, whose directory is still locked.
pub struct MountDenied<'a>(&'a Path);

impl Drop for MountDenied<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_allow_mount(self.0 .0.dentry) };
    }
}

impl Drop for LockedDir<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::inode_unlock(self.dir.inode().as_ptr()) };
    }
}
