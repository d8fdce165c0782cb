// SPDX-License-Identifier: GPL-2.0
//! What single file systems offer beside system calls: handles of xfs, which name an inode and no
//! name; what f2fs and btrfs do to a file that is open for reading.

use super::prelude::*;

pub const TABLE: &[Operation] = &[
    op("xfs: open by handle O_WRONLY", Refused(Errno::PERM), |s| {
        done(open_by_handle(s, libc::O_WRONLY))
    }),
    op("xfs: open by handle O_RDONLY", Same, |s| {
        done(open_by_handle(s, libc::O_RDONLY))
    }),
    op("xfs: fchmod by handle", Refused(Errno::PERM), |s| {
        let file = open_by_handle(s, libc::O_RDONLY)?;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        done(rustix::fs::fchmod(file, mode))
    }),
    op("xfs: set attribute by handle", Refused(Errno::PERM), |s| {
        attribute_by_handle(s, ATTR_OP_SET)
    }),
    op(
        "xfs: remove attribute by handle",
        Refused(Errno::PERM),
        |s| attribute_by_handle(s, ATTR_OP_REMOVE),
    ),
    // It looks neither at the descriptor's mode nor at the flag immutable.
    on("f2fs: pin", Refused(Errno::PERM), Vec::new, |s| {
        sys::ioctl(s.reader()?, sys::F2FS_IOC_SET_PIN_FILE, &mut 1u32)
    }),
    op("f2fs: priority of I/O", Refused(Errno::PERM), |s| {
        sys::ioctl(s.reader()?, sys::F2FS_IOC_IO_PRIO, &mut 1u32)
    }),
    op("f2fs: defragment by a reader", Refused(Errno::PERM), |s| {
        sys::ioctl(s.reader()?, sys::F2FS_IOC_DEFRAGMENT, &mut [0u64, 1 << 20])
    }),
    // Root may: it is the same content elsewhere.
    op(
        "btrfs: defragment by a reader",
        Untouched(Errno::PERM),
        |s| sys::ioctl_number(s.reader()?, BTRFS_IOC_DEFRAG, 0),
    ),
    op(
        "btrfs: defragment a range by a reader",
        Untouched(Errno::PERM),
        |s| {
            // struct btrfs_ioctl_defrag_range_args: start, length, flags; the rest has defaults
            let mut range = [0u64, u64::MAX, 0, 0, 0, 0];
            sys::ioctl(s.reader()?, BTRFS_IOC_DEFRAG_RANGE, &mut range)
        },
    ),
];

const BTRFS_IOC_DEFRAG: u64 = 0x5000_9402;
const BTRFS_IOC_DEFRAG_RANGE: u64 = 0x4030_9410;
const XFS_IOC_PATH_TO_HANDLE: u64 = 0xc038_5869;
const XFS_IOC_OPEN_BY_HANDLE: u64 = 0xc038_586b;
const XFS_IOC_ATTRMULTI_BY_HANDLE: u64 = 0x4048_587b;
const ATTR_OP_SET: u32 = 2;
const ATTR_OP_REMOVE: u32 = 3;

/// `struct xfs_fsop_handlereq`
#[repr(C)]
struct HandleRequest {
    fd: u32,
    path: usize,
    flags: u32,
    handle: usize,
    len: u32,
    out: usize,
    out_len: usize,
}

/// `struct xfs_fsop_attrmulti_handlereq`
#[repr(C)]
struct AttributeRequest {
    request: HandleRequest,
    count: u32,
    operations: usize,
}

/// `struct xfs_attr_multiop`
#[repr(C)]
struct AttributeOperation {
    code: u32,
    error: i32,
    name: usize,
    value: usize,
    len: u32,
    flags: u32,
}

/// What xfs calls a file.
struct Handle {
    bytes: [u8; 64],
    len: u32,
}

impl Handle {
    fn of(s: &Site) -> Result<Self, Errno> {
        let path = sys::c_path(&s.a())?;
        let mut handle = Self {
            bytes: [0; 64],
            len: 64,
        };
        let mut request = HandleRequest {
            fd: 0,
            path: path.as_ptr() as usize,
            flags: 0,
            handle: 0,
            len: 0,
            out: handle.bytes.as_mut_ptr() as usize,
            out_len: &raw mut handle.len as usize,
        };
        sys::ioctl(s.directory()?, XFS_IOC_PATH_TO_HANDLE, &mut request)?;
        Ok(handle)
    }

    /// A request that refers to it.
    fn request(&self, flags: i32) -> HandleRequest {
        HandleRequest {
            fd: 0,
            path: 0,
            flags: flags as u32,
            handle: self.bytes.as_ptr() as usize,
            len: self.len,
            out: 0,
            out_len: 0,
        }
    }
}

fn open_by_handle(s: &Site, flags: i32) -> Result<OwnedFd, Errno> {
    let handle = Handle::of(s)?;
    let mut request = handle.request(flags);
    sys::owned(sys::ioctl(
        s.directory()?,
        XFS_IOC_OPEN_BY_HANDLE,
        &mut request,
    )?)
}

fn attribute_by_handle(s: &Site, code: u32) -> Outcome {
    let handle = Handle::of(s)?;
    let mut operation = AttributeOperation {
        code,
        error: 0,
        name: c"old".as_ptr() as usize,
        value: b"new".as_ptr() as usize,
        len: 3,
        flags: 0,
    };
    let mut request = AttributeRequest {
        request: handle.request(0),
        count: 1,
        operations: &raw mut operation as usize,
    };
    sys::ioctl(s.directory()?, XFS_IOC_ATTRMULTI_BY_HANDLE, &mut request)?;
    match operation.error {
        0 => DONE,
        error => Err(Errno::from_raw_os_error(error.abs())),
    }
}
