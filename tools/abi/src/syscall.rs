// SPDX-License-Identifier: GPL-2.0
//! The system call itself.

use std::ffi::c_void;
use std::ptr;

pub use rustix::io::Errno;

/// What the wrappers return: the kernel's error number, or the answer.
pub type Result<T> = std::result::Result<T, Errno>;

/// The number of `vserver(2)`.
#[cfg(target_arch = "x86_64")]
pub const NR_VSERVER: libc::c_long = 236;
/// The number of `vserver(2)`.
#[cfg(target_arch = "x86")]
pub const NR_VSERVER: libc::c_long = 273;

/// A structure of the ABI that the kernel may read and write as a whole.
///
/// # Safety
///
/// The type is `repr(C)`, every bit pattern is a valid value of it, and pointers
/// in it are only ever null or to memory that outlives the call made with it.
pub(crate) unsafe trait Payload {}

/// Makes the call `cmd` for `id` without data.
pub(crate) fn call(cmd: u32, id: u32) -> Result<u32> {
    // SAFETY: the kernel takes a null pointer as "no data" and touches no memory.
    let ret = unsafe { libc::syscall(NR_VSERVER, cmd, id, ptr::null_mut::<c_void>()) };
    answer(ret)
}

/// Makes the call `cmd` for `id` with `data`, which the kernel reads, writes or both.
pub(crate) fn call_with<T: Payload>(cmd: u32, id: u32, data: &mut T) -> Result<u32> {
    // SAFETY: `data` is exclusively borrowed for the call and has the layout that the header
    // gives the command's structure (asserted in structs.rs), so the kernel stays inside it;
    // by the contract of `Payload` whatever it writes is a valid value.
    let ret = unsafe { libc::syscall(NR_VSERVER, cmd, id, ptr::from_mut(data).cast::<c_void>()) };
    answer(ret)
}

/// Why the call before this failed.
pub(crate) fn last_error() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Translates what `syscall(3)` returns.
fn answer(ret: libc::c_long) -> Result<u32> {
    if ret < 0 {
        return Err(last_error());
    }
    // An answer is an int: an id, a version, feature bits.
    Ok(ret as u32)
}
