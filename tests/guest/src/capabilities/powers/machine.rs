// SPDX-License-Identifier: GPL-2.0
//! What the table tries with the next kernel, the clock and the log.

use super::call;
use crate::unified::syscall;
use rustix::io::Errno;

pub const KEXEC_ON_CRASH: i64 = 1;
pub const KEXEC_FILE_UNLOAD: i64 = 1;
pub const KEXEC_FILE_ON_CRASH: i64 = 2;

/// Loads a kernel from no file, or unloads one.
pub fn kexec_file(flags: i64) -> Result<(), Errno> {
    let line = c"";
    // SAFETY: the line has the one byte that is said.
    syscall(unsafe { libc::syscall(libc::SYS_kexec_file_load, -1, -1, 1, line.as_ptr(), flags) })
        .map(drop)
}

/// Sets the clock to what it shows.
pub fn set_clock() -> Result<(), Errno> {
    let mut time = [0i64; 2];
    call(libc::SYS_clock_gettime, [0, time.as_mut_ptr() as i64, 0, 0])?;
    call(libc::SYS_clock_settime, [0, time.as_ptr() as i64, 0, 0])
}

/// Sets the clock's status to what it is.
pub fn adjust_time() -> Result<(), Errno> {
    const ADJ_STATUS: u64 = 0x10;
    // struct timex: 208 bytes, what to change first.
    let mut timex = [0u64; 26];
    call(libc::SYS_adjtimex, [timex.as_mut_ptr() as i64, 0, 0, 0])?;
    timex[0] = ADJ_STATUS;
    call(libc::SYS_adjtimex, [timex.as_mut_ptr() as i64, 0, 0, 0])
}

pub fn syslog(action: i64) -> Result<(), Errno> {
    let mut buffer = [0u8; 256];
    let buffer = buffer.as_mut_ptr() as i64;
    call(libc::SYS_syslog, [action, buffer, 256, 0])
}
