// SPDX-License-Identifier: GPL-2.0
//! io_uring, for one operation at a time.

use crate::calls::{c_path, new_fd};
use io_uring::opcode::{OpenAt, SetXattr};
use io_uring::{IoUring, squeue::Entry, types::Fd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::ffi::CStr;
use std::path::Path;

/// The working directory.
pub const HERE: Fd = Fd(libc::AT_FDCWD);

/// A ring with room for one operation.
pub fn ring() -> Result<IoUring, Errno> {
    IoUring::new(1).map_err(errno)
}

/// Submits an operation to a ring of its own and waits until it is done.
///
/// What the entry has addresses of must live until this returns.
pub fn run(entry: &Entry) -> Result<u64, Errno> {
    run_in(&mut ring()?, entry)
}

/// The same in a ring where nothing is under way.
pub fn run_in(ring: &mut IoUring, entry: &Entry) -> Result<u64, Errno> {
    // SAFETY: as the documentation says.
    unsafe { ring.submission().push(entry) }.map_err(|_| Errno::BUSY)?;
    ring.submit_and_wait(1).map_err(errno)?;
    let result = ring.completion().next().ok_or(Errno::IO)?.result();
    u64::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

/// Opens a file, in the way that `how` gives the operation.
pub fn open(path: &Path, flags: i32, how: fn(Entry) -> Entry) -> Result<OwnedFd, Errno> {
    let path = c_path(path);
    let open = OpenAt::new(HERE, path.as_ptr()).flags(flags);
    let fd = run(&how(open.build()))?;
    new_fd(i64::try_from(fd).map_err(|_| Errno::BADF)?)
}

/// Sets an extended attribute.
pub fn setxattr(path: &Path, name: &CStr, value: &[u8]) -> Result<u64, Errno> {
    let path = c_path(path);
    let len = u32::try_from(value.len()).map_err(|_| Errno::TOOBIG)?;
    let (name, value) = (name.as_ptr(), value.as_ptr().cast());
    run(&SetXattr::new(name, value, path.as_ptr(), len).build())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
