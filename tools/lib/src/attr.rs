// SPDX-License-Identifier: GPL-2.0
//! Attributes of files.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{IFlags, fgetxattr, fstat, ioctl_getflags};
use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;

use crate::error::{Doing, Error, Result, Vserver};
use crate::names::IATTRS;
use crate::protect;
use crate::walk::Entry;

/// Both attributes of a unified file.
pub const UNIFIED: u32 = abi::IATTR_IUNLINK | abi::IATTR_IMMUTABLE;

/// The extended attribute in which the file system keeps them.
pub(crate) const XATTR: &str = "security.vserver";

/// How attributes of open files are read and changed.
///
/// The kernel's way is [`Kernel`]; tests have another. Where nothing else is said, they can't be
/// changed.
pub trait Attributes: Sync {
    /// The attributes of the file.
    fn get(&self, file: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno>;
    /// Makes those attributes that `mask` names equal to `flags`.
    fn set(&self, _file: BorrowedFd<'_>, _flags: u32, _mask: u32) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
    /// Gives the name by which the unified file `old` was opened to the unified file `new`.
    /// `ESTALE`: they are not what they were.
    fn unify(&self, _old: BorrowedFd<'_>, _new: BorrowedFd<'_>) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
    /// Makes an ordinary file of a unified one that has one name; by a copy, if others have it open
    /// who may have had it when it was shared.
    fn release(&self, _file: BorrowedFd<'_>) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

/// The kernel's attributes, by `vserver(2)`.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl Attributes for Kernel {
    fn get(&self, file: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno> {
        abi::fget_iattr(file)
    }

    fn set(&self, file: BorrowedFd<'_>, flags: u32, mask: u32) -> Result<(), Errno> {
        abi::fset_iattr(
            file,
            abi::CtxFiattr {
                xid: 0,
                flags,
                mask,
            },
        )
    }

    fn unify(&self, old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<(), Errno> {
        abi::unify(old, new)
    }

    fn release(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        abi::deunify(file)
    }
}

/// What a kernel without the module can tell: the immutable flag on the disk and the
/// attribute beside it. Nothing can be changed.
#[derive(Clone, Copy, Debug)]
pub struct Stock;

impl Attributes for Stock {
    fn get(&self, file: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno> {
        let mut attr = abi::CtxFiattr {
            xid: 0,
            flags: 0,
            mask: UNIFIED,
        };
        if ioctl_getflags(file).is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE)) {
            attr.flags |= abi::IATTR_IMMUTABLE;
        }
        let mut bytes = [0; size_of::<abi::Xattr>()];
        let read = fgetxattr(file, XATTR, &mut bytes[..]).map(|length| &bytes[..length]);
        let own = read.ok().and_then(abi::Xattr::decode).unwrap_or_default();
        if u32::from(own.flags) & abi::VSERVER_XATTR_IUNLINK != 0 {
            attr.flags |= abi::IATTR_IUNLINK;
        }
        attr.xid = own.xid;
        Ok(attr)
    }
}

/// The kernel's way if it has the module and lets us use it, else the other.
pub fn best() -> &'static dyn Attributes {
    protect::best().attributes()
}

/// Checks that attributes can be changed at all, before many files are tried.
pub fn check_usable() -> Result<()> {
    let doing = || "change attributes of files".to_owned();
    Vserver(abi::get_version()).doing(doing)?;
    match Vserver(abi::task_xid(0)).doing(doing)? {
        0 => Ok(()),
        xid => Err(Error::Invalid(format!(
            "not from inside context {xid}: only the host can change attributes of files"
        ))),
    }
}

/// The attributes of a file, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct FileAttrs {
    /// The file.
    #[serde(serialize_with = "crate::lossy::path")]
    pub path: PathBuf,
    /// The names of the attributes that are on.
    pub flags: Vec<String>,
    /// The names of those it can have.
    pub supported: Vec<String>,
    /// The context that it belongs to, 0 for none; nothing where no tags are kept, and for what is
    /// shared.
    pub xid: Option<u32>,
}

/// The attributes of a file. Other kinds than files and directories have a tag at most.
pub fn show(entry: &Entry) -> Result<FileAttrs> {
    let path = entry.path();
    let file = entry.open().map_err(|e| Error::file("open", path, e))?;
    let attr = match file {
        Some(file) => abi::fget_iattr(file),
        None => abi::get_iattr(entry.anchored()),
    };
    let attr = Vserver(attr).doing(|| format!("{}", path.display()))?;
    Ok(FileAttrs {
        path: path.to_owned(),
        flags: IATTRS.words(u64::from(attr.flags & attr.mask)),
        supported: IATTRS.words(u64::from(attr.mask)),
        xid: (attr.mask & abi::IATTR_TAG != 0).then_some(attr.xid),
    })
}

/// Makes those attributes of a file that `mask` names equal to `flags`.
///
/// Refuses to make a shared file ordinary: its names would be a hard link between guests.
pub fn change(entry: &Entry, flags: u32, mask: u32) -> Result<()> {
    let path = entry.path();
    let file = entry.open().map_err(|e| Error::file("open", path, e))?;
    let doing = || format!("{}", path.display());
    let Some(file) = file else {
        return Vserver(Err(Errno::OPNOTSUPP)).doing(doing);
    };
    let unified = abi::fget_iattr(&file).is_ok_and(|attr| protect::is_unified(&attr));
    if unified && mask & !flags & UNIFIED != 0 {
        if fstat(&file).is_ok_and(|stat| stat.st_nlink > 1) {
            return Err(Error::Invalid(format!(
                "{}: is shared with other names, all of which would change with it; \
                 `vserver deunify` gives it an inode of its own",
                path.display()
            )));
        }
        // Somebody else may have it open from when it was shared.
        if mask & !flags & abi::IATTR_IMMUTABLE != 0 {
            return Vserver(abi::deunify(&file)).doing(doing);
        }
    }
    Vserver(Kernel.set(file.as_fd(), flags, mask)).doing(doing)
}

/// Has a file, of any kind, belong to context `xid`; 0 is none. What is shared belongs to none and is
/// left alone.
pub fn set_tag(entry: &Entry, xid: u32) -> Result<()> {
    let doing = || format!("{}", entry.path().display());
    let at = entry.anchored();
    if Vserver(abi::get_iattr(&at))
        .doing(doing)
        .is_ok_and(|attr| protect::is_unified(&attr))
    {
        return Ok(());
    }
    let attr = abi::CtxFiattr {
        xid,
        flags: 0,
        mask: abi::IATTR_TAG,
    };
    Vserver(abi::set_iattr(at, attr)).doing(doing)
}

/// The attributes that a comma-separated list names.
pub fn parse(list: &str) -> Result<u32> {
    let bits = IATTRS.bits(list)?;
    u32::try_from(bits).map_err(|_| Error::Invalid(format!("{list}: not file attributes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_attributes() {
        assert_eq!(parse("iunlink,immutable").unwrap(), UNIFIED);
        assert_eq!(UNIFIED, 0x60000);
        assert!(parse("sticky").is_err());
    }
}
