// SPDX-License-Identifier: GPL-2.0
//! System calls on files that no crate wraps.

use crate::unified::syscall;
use anyhow::{Result, ensure};
use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::FromRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A path as C has it.
pub fn c_path(path: &Path) -> CString {
    // A path with a NUL in it names nothing, as the empty one does.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Sends a byte, and a descriptor with it.
pub fn send_fd(socket: impl AsFd, fd: impl AsFd) -> Result<()> {
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    ensure!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let data = [IoSlice::new(b"x")];
    sendmsg(socket, &data, &mut control, SendFlags::empty())?;
    Ok(())
}

/// `truncate(2)`
pub fn truncate(path: &Path, len: i64) -> Result<(), Errno> {
    let path = c_path(path);
    // SAFETY: the path is a C string.
    syscall(unsafe { libc::truncate(path.as_ptr(), len) }.into()).map(drop)
}

/// `open(2)` as a program of 32 bits calls it: O_LARGEFILE is only there if it is asked for.
pub fn open_as_32_bit(path: &Path, flags: i32) -> Result<Result<OwnedFd, Errno>> {
    const OPEN: i32 = 5;
    let path = c_path(path);
    let bytes = path.as_bytes_with_nul();
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let low = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    ensure!(low != libc::MAP_FAILED, "mmap");
    let ret: i32;
    // SAFETY: the mapping is as long as the path, which the call reads. The compiler has a use of
    // its own for rbx; some kernels do not keep r8 to r11.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), low.cast(), bytes.len());
        std::arch::asm!(
            "xchg {path}, rbx",
            "int 0x80",
            "xchg {path}, rbx",
            path = inout(reg) low => _,
            inlateout("eax") OPEN => ret,
            in("ecx") flags,
            in("edx") 0,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
        libc::munmap(low, bytes.len());
    }
    if ret < 0 {
        return Ok(Err(Errno::from_raw_os_error(-ret)));
    }
    // SAFETY: the descriptor is new and ours alone.
    Ok(Ok(unsafe { OwnedFd::from_raw_fd(ret) }))
}

/// The descriptor that a system call has returned.
pub fn new_fd(ret: i64) -> Result<OwnedFd, Errno> {
    let fd = i32::try_from(syscall(ret)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the descriptor is new and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `ioctl(2)`; `arg` is the structure that the request takes.
pub fn ioctl<T>(file: impl AsFd, request: u64, arg: &mut T) -> Result<i64, Errno> {
    // SAFETY: `arg` is valid for the call and as large as the request says.
    syscall(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request as _, &raw mut *arg) }.into())
}

/// A file handle, see `name_to_handle_at(2)`.
#[repr(C)]
pub struct Handle {
    bytes: u32,
    kind: i32,
    handle: [u8; 128],
}

impl Handle {
    /// That of the file at `path`.
    pub fn of(path: &Path) -> Result<Self, Errno> {
        Self::with(path, 0)
    }

    /// One that also says in which directory the file is.
    pub fn connectable(path: &Path) -> Result<Self, Errno> {
        Self::with(path, libc::AT_HANDLE_CONNECTABLE)
    }

    fn with(path: &Path, flags: i32) -> Result<Self, Errno> {
        let path = c_path(path);
        let mut handle = Self {
            bytes: 128,
            kind: 0,
            handle: [0; 128],
        };
        let mut mount = 0;
        // SAFETY: all pointers are valid for the call, and the handle has the size that it says.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                path.as_ptr(),
                &raw mut handle,
                &raw mut mount,
                flags,
            )
        };
        syscall(ret)?;
        Ok(handle)
    }

    /// Opens the file in the file system of `mount`.
    pub fn open(&self, mount: impl AsFd, flags: i32) -> Result<OwnedFd, Errno> {
        // SAFETY: the handle is valid for the call and has the size that it says.
        new_fd(unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                mount.as_fd().as_raw_fd(),
                std::ptr::from_ref(self),
                flags,
            )
        })
    }
}

/// struct fsxattr: inode flags and hints, see `ioctl_xfs_fsgetxattr(2)`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsXattr {
    pub xflags: u32,
    pub extsize: u32,
    pub nextents: u32,
    pub projid: u32,
    pub cowextsize: u32,
    pad: [u8; 8],
}

impl FsXattr {
    const GET: u64 = 0x801c_581f;
    const SET: u64 = 0x401c_5820;

    pub fn get(fd: impl AsFd) -> Result<Self, Errno> {
        let mut value = Self::default();
        ioctl(fd, Self::GET, &mut value)?;
        Ok(value)
    }

    pub fn set(&self, fd: impl AsFd) -> Result<(), Errno> {
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: `self` has the layout of the struct, which the call reads.
        syscall(unsafe { libc::ioctl(fd, Self::SET as _, std::ptr::from_ref(self)) }.into())?;
        Ok(())
    }
}

/// `FS_IOC_GETVERSION`: the generation of an inode.
pub fn generation(fd: impl AsFd) -> Result<u32, Errno> {
    const GETVERSION: u64 = 0x8008_7601;
    let mut value: libc::c_long = 0;
    ioctl(fd, GETVERSION, &mut value)?;
    Ok(value as u32)
}
