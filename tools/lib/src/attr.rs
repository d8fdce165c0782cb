// SPDX-License-Identifier: GPL-2.0
//! Attributes of files.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, fgetxattr, ioctl_getflags};
use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;
use walkdir::WalkDir;

use crate::error::{Doing, Error, Result, Vserver};
use crate::names::IATTRS;

/// Both attributes of a unified file.
pub const UNIFIED: u32 = abi::IATTR_IUNLINK | abi::IATTR_IMMUTABLE;

/// The extended attribute in which the file system keeps them.
pub(crate) const XATTR: &str = "security.vserver";

/// How attributes of open files are read and changed.
///
/// The kernel's way is [`Kernel`]; tests have another.
pub trait Attributes: Sync {
    /// The attributes of the file.
    fn get(&self, file: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno>;
    /// Makes those attributes that `mask` names equal to `flags`.
    fn set(&self, file: BorrowedFd<'_>, flags: u32, mask: u32) -> Result<(), Errno>;
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

    fn set(&self, _: BorrowedFd<'_>, _: u32, _: u32) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

/// The kernel's way if it has the module and lets us use it, else the other.
pub fn best() -> &'static dyn Attributes {
    match abi::get_version().and_then(|_| abi::task_xid(0)) {
        Ok(_) => &Kernel,
        Err(_) => &Stock,
    }
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
    pub path: PathBuf,
    /// The names of the attributes that are on.
    pub flags: Vec<String>,
    /// The names of those it can have.
    pub supported: Vec<String>,
    /// Its tag.
    pub xid: u32,
}

/// The attributes of `path`; a final symlink is not followed.
pub fn show(path: &Path) -> Result<FileAttrs> {
    let attr = Vserver(abi::get_iattr(path)).doing(|| format!("{}", path.display()))?;
    Ok(FileAttrs {
        path: path.to_owned(),
        flags: IATTRS.words(u64::from(attr.flags & attr.mask)),
        supported: IATTRS.words(u64::from(attr.mask)),
        xid: attr.xid,
    })
}

/// Makes those attributes of `path` that `mask` names equal to `flags`.
///
/// Refuses to make a shared file ordinary: its names would be a hard link between guests.
pub fn change(path: &Path, flags: u32, mask: u32) -> Result<()> {
    if mask & !flags & UNIFIED != 0 && is_shared(path) {
        return Err(Error::Invalid(format!(
            "{}: is shared with other names, all of which would change with it; \
             `vserver deunify` gives it an inode of its own",
            path.display()
        )));
    }
    let attr = abi::CtxFiattr {
        xid: 0,
        flags,
        mask,
    };
    Vserver(abi::set_iattr(path, attr)).doing(|| format!("{}", path.display()))
}

/// Whether a file is unified and has other names.
fn is_shared(path: &Path) -> bool {
    let unified = abi::get_iattr(path).is_ok_and(|attr| attr.flags & UNIFIED == UNIFIED);
    unified && rustix::fs::lstat(path).is_ok_and(|stat| stat.st_nlink > 1)
}

/// The attributes that a comma-separated list names.
pub fn parse(list: &str) -> Result<u32> {
    let bits = IATTRS.bits(list)?;
    u32::try_from(bits).map_err(|_| Error::Invalid(format!("{list}: not file attributes")))
}

/// `path`, with all that is in it if `recursive`; symlinks are not followed and other file
/// systems not entered.
pub fn walk(path: &Path, recursive: bool) -> impl Iterator<Item = Result<PathBuf>> {
    let depth = if recursive { usize::MAX } else { 0 };
    let walk = WalkDir::new(path)
        .max_depth(depth)
        .same_file_system(true)
        .follow_root_links(false);
    let path = path.to_owned();
    walk.into_iter().map(move |entry| match entry {
        Ok(entry) => Ok(entry.into_path()),
        Err(e) => {
            let at = e.path().unwrap_or(&path).to_owned();
            let io = e
                .into_io_error()
                .unwrap_or_else(|| std::io::ErrorKind::Other.into());
            Err(Error::file("read", &at, io))
        }
    })
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

    #[test]
    fn a_walk_names_what_it_cannot_read() {
        let error = walk(Path::new("/nonexistent/x"), true).next().unwrap();
        assert!(error.unwrap_err().to_string().contains("/nonexistent/x"));
    }
}
