// SPDX-License-Identifier: GPL-2.0

//! Paths and inodes, and what a file needs to be replaced by a copy of itself.
//!
//! - [`Path`], [`Inode`], [`WriteAccess`]: what a caller has at hand
//! - [`breaking`]: whose turn it is to break a link
//! - [`cred::OwnerCred`]: to act for a file's owner
//! - [`readdir`]: the names in a directory
//! - [`copy`]: an unnamed file, its content, and (in `metadata`) all else it is to have
//! - [`dlimit`]: how much of a file system a context may take; [`quota`]: its users and groups
//! - [`replace`]: a locked directory, in which the copy gets the name
//!
//! Ids are raw: a mount's id mapping plays no part in what is copied.
//!
//! Everything here is for process context and may sleep, unless said otherwise. Order of what may
//! be held at a time: [`breaking::Renewal`], then [`breaking::Breaking`], then [`WriteAccess`], then
//! [`replace::LockedDir`], then the inode's lock, which no caller sees. Of two
//! [`breaking::Breaking`] the one with the lower address comes first.
//!
//! C headers: [`include/linux/path.h`](srctree/include/linux/path.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/vserver_cow.h`](srctree/include/linux/vserver_cow.h)

use crate::{
    bindings,
    error::{code::EINVAL, to_result, Error, Result},
    ffi::c_int,
    fs::LocalFile,
    types::Opaque,
    uaccess::UserPtr,
};
use core::ptr::NonNull;

pub mod breaking;
pub mod copy;
pub mod cred;
pub mod dlimit;
mod metadata;
pub mod quota;
pub mod readdir;
pub mod replace;

/// The id mapping that maps nothing.
fn nop_idmap() -> *mut bindings::mnt_idmap {
    &raw mut bindings::nop_mnt_idmap
}

/// A size, position or count, or a negative errno.
fn check(ret: i64) -> Result<i64> {
    if ret < 0 {
        Err(Error::from_errno(c_int::try_from(ret)?))
    } else {
        Ok(ret)
    }
}

/// A file in the name space: a mount and a name in its file system.
///
/// # Invariants
///
/// Both pointers are valid and owned: the value has a reference to each. The dentry is positive,
/// and the reference keeps it so.
#[repr(transparent)]
pub struct Path(bindings::path);

// SAFETY: References to mounts and dentries belong to no thread.
unsafe impl Send for Path {}

impl Path {
    /// Borrows a path from C code, which owns the references before and after.
    ///
    /// Another path may be assigned to it: the old references are then dropped, and C code owns
    /// the new ones.
    ///
    /// # Safety
    ///
    /// `path` holds references to a mount and to a positive dentry, and nobody else uses it for
    /// the duration of `'a`.
    pub unsafe fn from_raw_mut<'a>(path: *mut bindings::path) -> &'a mut Path {
        // SAFETY: The caller's promise; the representation is the same.
        unsafe { &mut *path.cast() }
    }

    /// Borrows a path from C code, to look at it.
    ///
    /// # Safety
    ///
    /// `path` holds references to a mount and to a positive dentry for the duration of `'a`, and
    /// nobody changes it.
    pub unsafe fn from_raw<'a>(path: *const bindings::path) -> &'a Path {
        // SAFETY: The caller's promise; the representation is the same.
        unsafe { &*path.cast() }
    }

    /// Looks up a path that the caller names, following no symbolic link at its end.
    ///
    /// # Errors
    ///
    /// Those of path lookup, and `EFAULT`.
    pub fn lookup_user(name: UserPtr) -> Result<Path> {
        let mut path = bindings::path::default();
        // SAFETY: A user pointer may have any value; `path` is where the answer goes.
        to_result(unsafe {
            bindings::user_path_at(bindings::AT_FDCWD, name.as_const_ptr().cast(), 0, &mut path)
        })?;
        // INVARIANT: A successful lookup gives both references, and a positive dentry.
        Ok(Path(path))
    }

    /// The file behind one of the caller's descriptors.
    ///
    /// # Errors
    ///
    /// `EBADF`, also for descriptors that were opened with `O_PATH`.
    pub fn from_fd(fd: u32) -> Result<Path> {
        Ok(Self::of_file(&*LocalFile::fget(fd)?))
    }

    /// The path by which a file was opened.
    pub fn of_file(file: &LocalFile) -> Path {
        // SAFETY: The path of an open file does not change, and holds references, as the type
        // asks; `file` lives until after the clone.
        let path: &Path = unsafe { &*(&raw const (*file.as_ptr()).__bindgen_anon_1.f_path).cast() };
        path.clone()
    }

    /// The inode that the path names.
    pub fn inode(&self) -> &Inode {
        // SAFETY: By the type invariant the dentry is positive, and stays so while it is borrowed.
        unsafe { Inode::from_raw((*self.0.dentry).d_inode) }
    }

    /// The directory that holds the name now; another one if the name moves.
    ///
    /// The root of a file system is its own parent.
    pub fn parent(&self) -> Path {
        // SAFETY: By the type invariant both pointers are valid; the calls give new references.
        // INVARIANT: A parent is a directory, so positive.
        unsafe {
            Path(bindings::path {
                mnt: bindings::mntget(self.0.mnt),
                dentry: bindings::dget_parent(self.0.dentry),
            })
        }
    }

    /// Whether this is the root of its mount, such as a single file that is mounted over another:
    /// the name it has there is not the mount's to give.
    pub fn is_mount_root(&self) -> bool {
        // SAFETY: By the type invariant; the root of a mount does not change.
        unsafe { (*self.0.mnt).mnt_root == self.0.dentry }
    }

    /// Whether names can be looked up in it: it is a directory.
    fn is_dir(&self) -> bool {
        // SAFETY: By the type invariant; a positive dentry keeps its type.
        unsafe { bindings::d_can_lookup(self.0.dentry) }
    }

    /// Whether a mount stands on the name, in any mount namespace.
    pub fn is_mountpoint(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::d_mountpoint(self.0.dentry) }
    }

    /// Whether the dentry has no name in a directory, as one got by a file handle.
    pub fn is_disconnected(&self) -> bool {
        // SAFETY: By the type invariant. The value may be outdated at once, as a name may be
        // found at any time; reading a pointer that changes meanwhile gives the old or the new.
        unsafe { core::ptr::read_volatile(&raw const (*self.0.dentry).d_parent) == self.0.dentry }
    }

    /// Whether the name has gone: removed, or another file has replaced it.
    pub fn is_unhashed(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::d_unhashed(self.0.dentry) != 0 }
    }

    /// Whether the path lies under the caller's root.
    pub fn is_reachable(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_reachable(&self.0) }
    }

    /// Gets write access to the mount and keeps the file system from being frozen.
    ///
    /// # Errors
    ///
    /// `EROFS`.
    pub fn want_write(&self) -> Result<WriteAccess> {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::mnt_want_write(self.0.mnt) })?;
        // SAFETY: By the type invariant `mnt` is valid, so not null.
        // INVARIANT: Write access was got above; `mntget` gives the reference.
        Ok(WriteAccess(unsafe {
            NonNull::new_unchecked(bindings::mntget(self.0.mnt))
        }))
    }

    /// The flags and the context id of the inode, as `vserver(2)` gives them.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn iattr(&self) -> Result<Iattr> {
        let mut attr = Iattr::default();
        // SAFETY: By the type invariant; the others are where the answers go.
        to_result(unsafe {
            bindings::vserver_iattr_get(
                self.0.dentry,
                &mut attr.xid,
                &mut attr.flags,
                &mut attr.mask,
            )
        })?;
        Ok(attr)
    }

    /// Changes those flags of the inode that are in the mask.
    ///
    /// # Errors
    ///
    /// See `vserver_iattr_set()`.
    pub fn set_iattr(&self, attr: &Iattr) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_iattr_set(&self.0, attr.xid, attr.flags, attr.mask) })
    }

    /// Whether [`clear_last`](Self::clear_last) would make a unified file an ordinary one now, for a
    /// caller who does not have it open. May sleep.
    pub fn may_clear_last(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_may_clear_last(&self.0) }
    }

    /// Makes a unified file an ordinary one, if this is its last name and nobody else has it open
    /// or is about to. The caller itself has it open for reading `readers` times.
    ///
    /// Returns false if that is not so.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the write access is another mount's. Else those of the file system.
    pub fn clear_last(&self, write: &WriteAccess, readers: u8) -> Result<bool> {
        write.check(self)?;
        // SAFETY: By the type invariant, and there is write access to the mount.
        match to_result(unsafe { bindings::vserver_clear_last(&self.0, readers.into()) }) {
            Ok(()) => Ok(true),
            Err(e) if e.to_errno() == -(bindings::EMLINK as c_int) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Clone for Path {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant.
        unsafe { bindings::path_get(&self.0) };
        // INVARIANT: The references were got just now.
        Path(bindings::path { ..self.0 })
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns the references.
        unsafe { bindings::path_put(&self.0) };
    }
}

/// The attributes of an inode that `vserver(2)` knows.
#[derive(Clone, Copy, Default)]
pub struct Iattr {
    /// The context it belongs to.
    pub xid: u32,
    /// `IATTR_*`
    pub flags: u32,
    /// Which of them can be, or are to be set.
    pub mask: u32,
}

/// Write access to a mount, as long as this lives.
///
/// # Invariants
///
/// The value owns one write access to the mount, and a reference to it.
pub struct WriteAccess(NonNull<bindings::vfsmount>);

impl WriteAccess {
    /// # Errors
    ///
    /// `EINVAL`: this is not write access to the mount of `path`.
    fn check(&self, path: &Path) -> Result {
        if path.0.mnt == self.0.as_ptr() {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            bindings::mnt_drop_write(self.0.as_ptr());
            bindings::mntput(self.0.as_ptr());
        }
    }
}

/// An inode, borrowed from whoever has a reference to it.
///
/// What is read here without the inode's lock may change at once.
///
/// # Invariants
///
/// A reference to it exists as long as it is borrowed.
#[repr(transparent)]
pub struct Inode(Opaque<bindings::inode>);

// SAFETY: Inodes belong to no thread, and all that is done here is locked by C code or a read of
// a word that may be outdated.
unsafe impl Sync for Inode {}

impl Inode {
    /// # Safety
    ///
    /// There is a reference to `inode` for the duration of `'a`.
    unsafe fn from_raw<'a>(inode: *mut bindings::inode) -> &'a Inode {
        // SAFETY: The caller's promise; the representation is the same.
        unsafe { &*inode.cast() }
    }

    fn as_ptr(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// Reads a field that others may change.
    fn read<T: Copy>(&self, field: impl FnOnce(*mut bindings::inode) -> *const T) -> T {
        // SAFETY: By the type invariant the inode is there, and so its field. A concurrent write
        // of a word gives the old or the new value.
        unsafe { core::ptr::read_volatile(field(self.as_ptr())) }
    }

    fn flag(&self, flag: u32) -> bool {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_flags }) & flag != 0
    }

    /// Whether the file is shared copy-on-write.
    pub fn is_unified(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::__vserver_unified(self.as_ptr()) }
    }

    /// Whether this inode has got a name of the unified `of` when a link to that was broken or
    /// made, or is a copy of what has. The caller breaks one to `of`, or makes one.
    pub fn stands_for(&self, of: &Inode) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_stands_for(self.as_ptr(), of.as_ptr()) }
    }

    /// Remembers that `by` has got a name of this unified inode: a copy, or another one, but then
    /// the caller is alone with this.
    pub fn mark_replaced(&self, by: &Inode) {
        // SAFETY: By the type invariant.
        unsafe { bindings::vserver_mark_replaced(self.as_ptr(), by.as_ptr()) };
    }

    /// Whether both are one.
    pub fn is_same(&self, other: &Inode) -> bool {
        self.as_ptr() == other.as_ptr()
    }

    /// This and another one in the order in which both are locked.
    pub fn in_order<'a>(&'a self, other: &'a Inode) -> (&'a Inode, &'a Inode) {
        if self.as_ptr() < other.as_ptr() {
            (self, other)
        } else {
            (other, self)
        }
    }

    /// Whether both are of one file system.
    pub fn shares_disk(&self, other: &Inode) -> bool {
        // SAFETY: By the type invariant the inodes are there; the superblock of one never changes.
        unsafe { (*self.as_ptr()).i_sb == (*other.as_ptr()).i_sb }
    }

    /// Whether names can be added but not removed, or nothing can be changed at all.
    pub fn is_fixed(&self) -> bool {
        self.flag(bindings::S_APPEND | bindings::S_IMMUTABLE)
    }

    /// Whether the file is protected by fs-verity.
    pub fn is_verity(&self) -> bool {
        self.flag(bindings::S_VERITY)
    }

    /// The number of the inode in its file system.
    pub fn ino(&self) -> u64 {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_ino })
    }

    /// The generation, which tells inodes apart that had the same number one after the other.
    pub fn generation(&self) -> u32 {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_generation })
    }

    /// The size of a block, a power of two.
    fn block_size(&self) -> i64 {
        // SAFETY: The closure only computes an address within the inode.
        let bits = self.read(|i| unsafe { &raw const (*i).i_blkbits });
        1i64.checked_shl(bits.into()).unwrap_or(1)
    }

    /// Whether this is a regular file.
    pub fn is_regular(&self) -> bool {
        u32::from(self.mode()) & bindings::S_IFMT == bindings::S_IFREG
    }

    /// The size of the file.
    pub fn size(&self) -> i64 {
        // SAFETY: By the type invariant.
        unsafe { bindings::i_size_read(self.as_ptr()) }
    }

    /// How many names the inode has.
    pub fn nlink(&self) -> u32 {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).__bindgen_anon_1.i_nlink })
    }

    fn uid(&self) -> bindings::kuid_t {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_uid })
    }

    fn gid(&self) -> bindings::kgid_t {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_gid })
    }

    fn mode(&self) -> bindings::umode_t {
        // SAFETY: The closure only computes an address within the inode.
        self.read(|i| unsafe { &raw const (*i).i_mode })
    }

    /// Runs `f` with the inode locked.
    fn locked<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: By the type invariant; callers hold no inode's lock but a directory's.
        unsafe { bindings::inode_lock(self.as_ptr()) };
        let ret = f();
        // SAFETY: Locked above.
        unsafe { bindings::inode_unlock(self.as_ptr()) };
        ret
    }
}
