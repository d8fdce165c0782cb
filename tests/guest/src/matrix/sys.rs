// SPDX-License-Identifier: GPL-2.0
//! System calls that rustix has no wrapper for, and structures that they take.

use crate::calls::{self, new_fd};
pub use crate::calls::{FsXattr, Handle};
use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What an operation came to: a number that means something to it, or an error.
pub type Outcome = Result<u64, Errno>;

/// A successful operation with nothing to say.
pub const DONE: Outcome = Ok(0);

pub const FCHMODAT2: libc::c_long = 452;
pub const SETXATTRAT: libc::c_long = 463;
pub const REMOVEXATTRAT: libc::c_long = 466;
pub const FILE_GETATTR: libc::c_long = 468;
pub const FILE_SETATTR: libc::c_long = 469;

pub const FS_IOC_SETVERSION: u64 = 0x4008_7602;
pub const FS_IOC_FSGETXATTR: u64 = 0x801c_581f;
pub const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;
pub const FS_IOC_ENABLE_VERITY: u64 = 0x4080_6685;
pub const FS_IOC_SET_ENCRYPTION_POLICY: u64 = 0x800c_6613;
pub const FICLONERANGE: u64 = 0x4020_940d;
pub const FIDEDUPERANGE: u64 = 0xc018_9436;
pub const F2FS_IOC_SET_PIN_FILE: u64 = 0x4004_f50d;
pub const F2FS_IOC_IO_PRIO: u64 = 0x4004_f51b;
pub const F2FS_IOC_DEFRAGMENT: u64 = 0xc010_f508;

pub const XFLAG_NODUMP: u32 = 0x80;

pub fn last_error() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

pub fn outcome(ret: i64) -> Outcome {
    u64::try_from(ret).map_err(|_| last_error())
}

/// An error of the standard library as an errno.
pub fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

pub fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}

/// Any system call. The callers pass numbers, and addresses of what lives until it returns and is
/// as large as the call takes it to be.
pub fn call(number: libc::c_long, args: [usize; 6]) -> Outcome {
    let [a, b, c, d, e, f] = args;
    // SAFETY: as the documentation says.
    outcome(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// A call that takes a path and then numbers.
pub fn call_path(number: libc::c_long, path: &Path, rest: [usize; 3]) -> Outcome {
    let path = c_path(path)?;
    call(
        number,
        [path.as_ptr() as usize, rest[0], rest[1], rest[2], 0, 0],
    )
}

/// A call that takes a directory's descriptor, a path in it and then numbers or addresses.
pub fn call_at(number: libc::c_long, dir: impl AsFd, path: &CStr, rest: [usize; 4]) -> Outcome {
    let [a, b, c, d] = rest;
    call(number, [fd(&dir), path.as_ptr() as usize, a, b, c, d])
}

/// A descriptor's number, good as long as it is open.
pub fn fd(file: &impl AsFd) -> usize {
    file.as_fd().as_raw_fd() as usize
}

/// `arg` is the structure that the request takes.
pub fn ioctl<T>(file: impl AsFd, request: u64, arg: &mut T) -> Outcome {
    calls::ioctl(file, request, arg).map(|value| value as u64)
}

/// Has the file system guard the content with SHA-256 from now on.
pub fn enable_verity(file: &OwnedFd) -> Outcome {
    let block = rustix::fs::fstat(file)?.st_blksize as u32;
    // struct fsverity_enable_arg: version, SHA-256, block size
    let mut arg = [0u32; 32];
    arg[..3].copy_from_slice(&[1, 1, block]);
    ioctl(file, FS_IOC_ENABLE_VERITY, &mut arg)
}

/// A request that takes a number.
pub fn ioctl_number(file: impl AsFd, request: u64, arg: usize) -> Outcome {
    // SAFETY: no memory is passed.
    outcome(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request as _, arg) }.into())
}

/// A descriptor that a system call has returned.
pub fn owned(fd: u64) -> Result<OwnedFd, Errno> {
    new_fd(i64::try_from(fd).map_err(|_| Errno::BADF)?)
}

/// `struct xattr_args`
#[repr(C)]
pub struct XattrArgs {
    pub value: u64,
    pub size: u32,
    pub flags: u32,
}

/// `struct file_attr`
#[repr(C)]
#[derive(Default)]
pub struct FileAttr {
    pub xflags: u64,
    pub extsize: u32,
    pub nextents: u32,
    pub projid: u32,
    pub cowextsize: u32,
}

pub fn fchmodat2(dir: impl AsFd, path: &CStr, flags: i32) -> Outcome {
    let args = [0o4711, flags as usize, 0, 0];
    call_at(FCHMODAT2, dir, path, args)
}

/// Gives it the attribute `user.new`.
pub fn setxattrat(dir: impl AsFd, path: &CStr, flags: i32) -> Outcome {
    let mut args = XattrArgs {
        value: b"new".as_ptr() as u64,
        size: 3,
        flags: 0,
    };
    let name = c"user.new".as_ptr() as usize;
    let address = &raw mut args as usize;
    call(
        SETXATTRAT,
        [
            fd(&dir),
            path.as_ptr() as usize,
            flags as usize,
            name,
            address,
            size_of::<XattrArgs>(),
        ],
    )
}

/// Takes the attribute `user.old` from it.
pub fn removexattrat(dir: impl AsFd, path: &CStr, flags: i32) -> Outcome {
    let name = c"user.old".as_ptr() as usize;
    call_at(REMOVEXATTRAT, dir, path, [flags as usize, name, 0, 0])
}

/// Sets its flag nodump.
pub fn file_setattr(dir: impl AsFd, path: &CStr, flags: i32) -> Outcome {
    let mut attr = FileAttr {
        xflags: XFLAG_NODUMP.into(),
        ..FileAttr::default()
    };
    let address = &raw mut attr as usize;
    let args = [address, size_of::<FileAttr>(), flags as usize, 0];
    call_at(FILE_SETATTR, dir, path, args)
}

/// Lets a file share its first `len` bytes with an equal one.
pub fn dedupe(from: impl AsFd, to: impl AsFd, len: u64) -> Outcome {
    // struct file_dedupe_range: offset, length, one destination; then its descriptor and offset,
    // and for the answer the number of bytes and a status
    let mut range = [0, len, 1, fd(&to) as u64, 0, 0, 0];
    ioctl(from, FIDEDUPERANGE, &mut range)?;
    match range[6] as i32 {
        error @ ..0 => Err(Errno::from_raw_os_error(-error)),
        _ => Ok(range[5]),
    }
}

/// Has the ends of processes written to a file, for a moment.
pub fn account_to(path: &Path) -> Outcome {
    call_path(libc::SYS_acct, path, [0; 3])?;
    call(libc::SYS_acct, [0; 6])
}

/// A shared mapping of a file's first page.
pub struct Mapping(*mut libc::c_void);

const PAGE: usize = 4096;

impl Mapping {
    pub fn new(file: impl AsFd, protection: i32, flags: i32) -> Result<Self, Errno> {
        let file = file.as_fd().as_raw_fd();
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, file, 0) };
        if at == libc::MAP_FAILED {
            return Err(last_error());
        }
        Ok(Self(at))
    }

    pub fn address(&self) -> usize {
        self.0 as usize
    }

    /// Writes its first bytes. The mapping was made for that, of a file that has as many.
    pub fn store(&self, bytes: &[u8]) {
        let len = bytes.len().min(PAGE);
        // SAFETY: the mapping is this long, and nothing refers into it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.cast(), len) };
    }

    pub fn protect(&self, protection: i32) -> Outcome {
        // SAFETY: nothing refers into the mapping.
        outcome(unsafe { libc::mprotect(self.0, PAGE, protection) }.into())
    }

    pub fn advise(&self, advice: i32) -> Outcome {
        // SAFETY: nothing refers into the mapping.
        outcome(unsafe { libc::madvise(self.0, PAGE, advice) }.into())
    }

    pub fn sync(&self) -> Outcome {
        // SAFETY: nothing refers into the mapping.
        outcome(unsafe { libc::msync(self.0, PAGE, libc::MS_SYNC) }.into())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers into the mapping.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}
