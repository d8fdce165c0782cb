// SPDX-License-Identifier: GPL-2.0

//! What a copy has of the original beside its content.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/xattr.h`](srctree/include/linux/xattr.h),
//! [`include/linux/posix_acl.h`](srctree/include/linux/posix_acl.h)

use super::{check, copy::Unnamed, nop_idmap, Inode, Path, WriteAccess};
use crate::{
    bindings,
    error::{from_err_ptr, to_result, Result},
    ffi::c_int,
    prelude::*,
    str::CStr,
};

impl Unnamed {
    /// Gives the file the owner and group of `from` rather than the group that the directory hands
    /// down. Before there is content: that counts against their quota. To be run as [`OwnerCred`].
    ///
    /// # Errors
    ///
    /// `EINVAL`: the write access is another mount's. Else those of the file system.
    pub fn copy_owner(&self, from: &Path, write: &WriteAccess) -> Result {
        write.check(self.path())?;
        let (original, copy) = (from.inode(), self.inode());

        if copy.uid().val == original.uid().val && copy.gid().val == original.gid().val {
            return Ok(());
        }
        let mut attr = bindings::iattr {
            ia_valid: bindings::ATTR_UID | bindings::ATTR_GID | bindings::ATTR_CTIME,
            ..Default::default()
        };
        attr.__bindgen_anon_1.ia_uid = original.uid();
        attr.__bindgen_anon_2.ia_gid = original.gid();
        self.notify_change(&mut attr)
    }

    /// Gives the file the inode flags of `from` rather than those that the directory hands down,
    /// and its project id if `project`. Before there is content: some flags say how it is stored.
    ///
    /// Returns whether the project ids still differ.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the write access is another mount's. Else those of the file system.
    pub fn copy_fsflags(&self, from: &Path, project: bool, write: &WriteAccess) -> Result<bool> {
        write.check(self.path())?;
        // SAFETY: Both dentries are valid, and there is write access to the copy's mount.
        let ret =
            unsafe { bindings::vserver_copy_fsflags(from.0.dentry, self.path().0.dentry, project) };
        check(ret.into()).map(|differ| differ != 0)
    }

    /// Gives the file the mode, times, ACLs and extended attributes of `from`, in the order in which
    /// none undoes another. After [`Self::copy_owner`] and all content, which would take privileges
    /// away. To be run as [`OwnerCred`].
    ///
    /// A file that has not the whole content was modified just now. Mode and times are written
    /// down when the file is linked.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the write access is another mount's. Else those of the file system.
    pub fn copy_metadata(&self, from: &Path, write: &WriteAccess) -> Result {
        write.check(self.path())?;
        let (original, copy) = (from.inode(), self.inode());

        // Before what may depend on the mode.
        let whole = copy.size() == original.size();
        // SAFETY: Both inodes are valid, and nobody else sees the copy yet.
        unsafe { bindings::vserver_copy_mode(copy.as_ptr(), original.as_ptr(), whole) };
        self.copy_acl(original)?;
        self.copy_xattrs(from)
    }

    fn notify_change(&self, attr: &mut bindings::iattr) -> Result {
        self.inode().locked(|| {
            // SAFETY: The dentry is valid, its inode locked; nobody can have a lease on a file
            // without a name.
            to_result(unsafe {
                bindings::notify_change(
                    nop_idmap(),
                    self.path().0.dentry,
                    attr,
                    core::ptr::null_mut(),
                )
            })
        })
    }

    /// The access ACL, or none where the directory's default has given one.
    fn copy_acl(&self, original: &Inode) -> Result {
        // SAFETY: The inode is valid.
        if !unsafe { bindings::inode_is_posixacl(original.as_ptr()) } {
            return Ok(());
        }
        let kind = bindings::ACL_TYPE_ACCESS as c_int;
        let (acl, own) = (Acl::get(original, kind)?, Acl::get(self.inode(), kind)?);
        if acl.0.is_null() && own.0.is_null() {
            return Ok(());
        }
        self.inode().locked(|| {
            // SAFETY: The dentry is valid, its inode locked, the ACL null or valid.
            to_result(unsafe {
                bindings::set_posix_acl(nop_idmap(), self.path().0.dentry, kind, acl.0)
            })
        })
    }

    fn copy_xattrs(&self, from: &Path) -> Result {
        let list = list_xattrs(from)?;
        let mut value = KVVec::new();

        for name in list.split_inclusive(|c| *c == 0) {
            let name = CStr::from_bytes_with_nul(name).map_err(|_| EIO)?;
            if is_skipped(name.to_bytes()) {
                continue;
            }
            if get_xattr(from, name, &mut value)? {
                self.set_xattr(from, name, &value)?;
            }
        }
        if cfg!(CONFIG_IMA_APPRAISE) {
            self.drop_hash(from)?;
        }
        let inode = self.inode().as_ptr();
        self.inode().locked(|| {
            // Our own writing has noted that there is nothing for a write to strip.
            // SAFETY: The inode is valid and locked.
            unsafe { bindings::inode_set_flags(inode, 0, bindings::S_NOSEC) };
        });
        Ok(())
    }

    /// Removes the hash that integrity appraisal gave the file when it was closed, if the original has
    /// none: it would vouch for what nobody has appraised. Nor was the file, so there is no verdict to
    /// be forgotten.
    fn drop_hash(&self, from: &Path) -> Result {
        let name = c"security.ima";
        let mut value = KVVec::new();

        if get_xattr(from, name, &mut value)? || !get_xattr(self.path(), name, &mut value)? {
            return Ok(());
        }
        let dentry = self.path().0.dentry;
        self.inode().locked(|| {
            // SAFETY: The dentry is valid, its inode locked; the name is a constant.
            to_result(unsafe {
                bindings::__vfs_removexattr(nop_idmap(), dentry, name.as_char_ptr())
            })?;
            // SAFETY: As above.
            unsafe { bindings::security_inode_post_removexattr(dentry, name.as_char_ptr()) };
            Ok(())
        })
    }

    fn set_xattr(&self, from: &Path, name: &CStr, value: &[u8]) -> Result {
        if name.to_bytes_with_nul() == bindings::XATTR_NAME_CAPS {
            // The value belongs to the user namespace that it names, not to that of the kernel.
            return self.set_on_disk(name, value);
        }
        // SAFETY: The dentry is valid, and the name outlives the call.
        let filter = to_result(unsafe {
            bindings::security_inode_copy_up_xattr(from.0.dentry, name.as_char_ptr())
        });
        match filter {
            Err(e) if e.to_errno() == -(bindings::ECANCELED as c_int) => {
                return self.set_label(from, name, value);
            }
            Err(e) if e != EOPNOTSUPP => return Err(e),
            _ => {}
        }
        // SAFETY: The dentry is valid; `name` and `value` outlive the call.
        to_result(unsafe {
            bindings::vfs_setxattr(
                nop_idmap(),
                self.path().0.dentry,
                name.as_char_ptr(),
                value.as_ptr().cast(),
                value.len(),
                0,
            )
        })
    }

    /// Gives the file this label, if the security module has not done so when it was made.
    ///
    /// The module is told rather than asked: the kernel, too, may be one who must not change labels,
    /// and where the mount says how its files are labelled nobody may change what is on the disk.
    fn set_label(&self, from: &Path, name: &CStr, value: &[u8]) -> Result {
        let mut has = KVVec::new();
        if get_xattr(self.path(), name, &mut has)? && *has == *value {
            return Ok(());
        }
        self.set_on_disk(name, value)?;
        let len = u32::try_from(value.len())?;
        let inode = self.inode();
        inode.locked(|| {
            // SAFETY: Both inodes are valid, this one locked; no module changes the value.
            to_result(unsafe {
                bindings::vserver_tell_label(
                    inode.as_ptr(),
                    from.inode().as_ptr(),
                    value.as_ptr().cast_mut().cast(),
                    len,
                )
            })
        })
    }

    /// Sets an attribute to what it is on the disk of the original, past the security modules.
    fn set_on_disk(&self, name: &CStr, value: &[u8]) -> Result {
        let inode = self.inode();
        inode.locked(|| {
            // SAFETY: The dentry is valid, its inode locked; `name` and `value` outlive the call.
            to_result(unsafe {
                bindings::__vfs_setxattr(
                    nop_idmap(),
                    self.path().0.dentry,
                    inode.as_ptr(),
                    name.as_char_ptr(),
                    value.as_ptr().cast(),
                    value.len(),
                    0,
                )
            })
        })
    }

    /// Remembers that the file is a copy of `of`. Before it gets a name.
    pub fn mark_copy_of(&self, of: &Inode) {
        // SAFETY: Both inodes are valid, and nobody else sees this one yet.
        unsafe { bindings::vserver_mark_copy(self.inode().as_ptr(), of.as_ptr()) };
    }
}

/// An ACL.
///
/// # Invariants
///
/// Null, or a reference that the value owns.
struct Acl(*mut bindings::posix_acl);

impl Acl {
    fn get(inode: &Inode, kind: c_int) -> Result<Self> {
        // SAFETY: The inode is valid.
        // INVARIANT: The answer is null, an error, or a reference.
        from_err_ptr(unsafe { bindings::get_inode_acl(inode.as_ptr(), kind) }).map(Self)
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::posix_acl_release(self.0) };
    }
}

/// What belongs to the original alone, or is copied otherwise.
fn is_skipped(name: &[u8]) -> bool {
    matches!(
        name,
        b"security.vserver"
            | b"security.evm"
            | b"system.posix_acl_access"
            | b"system.posix_acl_default"
    )
}

/// Where C code may write; null if there is no room, by which it knows that only the size is asked
/// for.
fn room(buffer: &mut KVVec<u8>) -> *mut u8 {
    if buffer.is_empty() {
        core::ptr::null_mut()
    } else {
        buffer.as_mut_ptr()
    }
}

/// The names of all extended attributes, each with its NUL.
fn list_xattrs(path: &Path) -> Result<KVVec<u8>> {
    let mut list = KVVec::new();
    loop {
        let len = list.len();
        // SAFETY: The dentry is valid; the list has room for `len` bytes.
        let size =
            check(
                unsafe { bindings::vfs_listxattr(path.0.dentry, room(&mut list).cast(), len) }
                    as i64,
            );
        match size {
            Ok(size) => {
                let size = usize::try_from(size)?;
                if size <= len {
                    list.truncate(size);
                    return Ok(list);
                }
                list.resize(size, 0, GFP_KERNEL)?;
            }
            Err(e) if e == EOPNOTSUPP => return Ok(KVVec::new()),
            // Somebody added one since it was asked for the size.
            Err(e) if e == ERANGE => list.clear(),
            Err(e) => return Err(e),
        }
    }
}

/// Reads an extended attribute; false if it has gone.
fn get_xattr(path: &Path, name: &CStr, value: &mut KVVec<u8>) -> Result<bool> {
    value.clear();
    loop {
        let len = value.len();
        // SAFETY: The path is valid; `value` has room for `len` bytes.
        let size = check(unsafe {
            bindings::__vfs_getxattr(
                path.0.dentry,
                path.inode().as_ptr(),
                name.as_char_ptr(),
                room(value).cast(),
                len,
            )
        } as i64);
        match size {
            Ok(size) => {
                let size = usize::try_from(size)?;
                if size <= len {
                    value.truncate(size);
                    return Ok(true);
                }
                value.resize(size, 0, GFP_KERNEL)?;
            }
            Err(e) if e == ENODATA => return Ok(false),
            Err(e) if e == ERANGE => value.clear(),
            Err(e) => return Err(e),
        }
    }
}
