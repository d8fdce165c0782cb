// SPDX-License-Identifier: GPL-2.0
//! What the kernel itself does with a file: swap, loop devices, quota, accounting, mounts, programs.

use super::prelude::*;
use crate::matrix::place;
use crate::sample::{quota_file, swap_area};
use rustix::fs::{Mode, chmod};
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use std::ffi::CString;
use std::process::{Command, Stdio};

pub const TABLE: &[Operation] = &[
    // Swap goes to blocks that nobody shares.
    on("swapon", MayCopyBut(Errno::INVAL), swap_area, |s| {
        let path = sys::c_path(&s.a())?;
        let path = path.as_ptr() as usize;
        sys::call(libc::SYS_swapon, [path, 0, 0, 0, 0, 0])?;
        sys::call(libc::SYS_swapoff, [path, 0, 0, 0, 0, 0])
    }),
    op("loop device", CopyFirst, |s| {
        let file = s.writer()?;
        let device = Loop::new()?;
        sys::ioctl_number(&device.file, LOOP_SET_FD, sys::fd(&file))?;
        let wrote = rustix::io::pwrite(&device.file, &[b'l'; 512], 512);
        let synced = rustix::fs::fsync(&device.file);
        sys::ioctl_number(&device.file, LOOP_CLR_FD, 0)?;
        synced?;
        Ok(wrote? as u64)
    }),
    op("loop device, of a reader", Same, |s| loop_of_reader(s, 0)),
    op("loop device, read-only", Same, |s| {
        loop_of_reader(s, LO_FLAGS_READ_ONLY)
    }),
    // Where quota is kept in hidden files, the one that is given is not touched.
    on("quotaon", Untouched(Errno::PERM), quota_file, |s| {
        let top = crate::unified::root();
        let _ = mount_remount(&top, MountFlags::empty(), c"usrquota");
        let device = CString::new(device_of(&top)).map_err(|_| Errno::INVAL)?;
        let file = sys::c_path(&s.a())?;
        let (device, file) = (device.as_ptr() as usize, file.as_ptr() as usize);
        let (on, off) = (Q_QUOTAON << 8, Q_QUOTAOFF << 8);
        let args = [on, device, QFMT_VFS_V1, file, 0, 0];
        sys::call(libc::SYS_quotactl, args)?;
        sys::call(libc::SYS_quotactl, [off, device, 0, 0, 0, 0])
    }),
    // What it writes is never the same.
    op("acct", Copy, |s| {
        let size = s.size()? as usize;
        sys::account_to(&s.a())?;
        sys::call_path(libc::SYS_truncate, &s.a(), [size, 0, 0])
    }),
    op("chmod on a read-only mount", Same, |s| {
        mount_read_only(s)?;
        done(chmod(s.a(), Mode::from_raw_mode(0o600)))
    }),
    op("open on a read-only mount", Same, |s| {
        mount_read_only(s)?;
        done(s.writer())
    }),
    op("open, mount writable again", Copy, |s| {
        mount_read_only(s)?;
        mount_remount(&s.dir, MountFlags::BIND, c"")?;
        done(s.writer())
    }),
    op("a single file that is mounted", Refused(Errno::BUSY), |s| {
        place::own_mounts()?;
        mount_bind(s.a(), s.x())?;
        done(site::open(&s.x(), libc::O_WRONLY))
    }),
    op("execve", Same, execute),
    op("execve with a writer", CopyFirst, |s| {
        let _writer = s.writer()?;
        execute(s)
    }),
    op("execve after a write", CopyFirst, |s| {
        rustix::io::pwrite(s.writer()?, b"#!", 0)?;
        execute(s)
    }),
];

const LOOP_SET_FD: u64 = 0x4c00;
const LOOP_CLR_FD: u64 = 0x4c01;
const LOOP_CONFIGURE: u64 = 0x4c0a;
const LOOP_CTL_GET_FREE: u64 = 0x4c82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const Q_QUOTAON: usize = 0x80_0002;
const Q_QUOTAOFF: usize = 0x80_0003;
const QFMT_VFS_V1: usize = 4;

/// What is mounted there.
fn device_of(mount: &std::path::Path) -> String {
    let kind = mount.file_name().unwrap_or_default().to_string_lossy();
    let variable = format!("DISK_{}", kind.to_uppercase().replace('-', "_"));
    std::env::var(variable).unwrap_or_else(|_| "none".to_owned())
}

/// A free loop device.
struct Loop {
    file: OwnedFd,
}

impl Loop {
    fn new() -> Result<Self, Errno> {
        let control = site::open("/dev/loop-control".as_ref(), libc::O_RDWR)?;
        let number = sys::ioctl_number(control, LOOP_CTL_GET_FREE, 0)?;
        let path = format!("/dev/loop{number}");
        let file = site::open(path.as_ref(), libc::O_RDWR)?;
        Ok(Self { file })
    }
}

/// The sum of what is read through a device, if that can't be written to.
fn loop_of_reader(s: &Site, flags: u32) -> Outcome {
    let file = s.reader()?;
    let device = Loop::new()?;
    // struct loop_config: the descriptor, the block size, struct loop_info64 with its flags
    let mut config = [0u32; 76];
    config[0] = file.as_raw_fd() as u32;
    config[15] = flags;
    sys::ioctl(&device.file, LOOP_CONFIGURE, &mut config)?;
    let mut block = [0; 512];
    let read = rustix::io::pread(&device.file, &mut block[..], 0);
    let wrote = rustix::io::pwrite(&device.file, &[b'l'; 512], 0);
    let synced = rustix::fs::fsync(&device.file);
    sys::ioctl_number(&device.file, LOOP_CLR_FD, 0)?;
    read?;
    if wrote.is_ok() && synced.is_ok() {
        return Ok(0);
    }
    Ok(block.iter().map(|&byte| u64::from(byte)).sum())
}

/// The site's directory, for this process alone.
pub fn mount_read_only(s: &Site) -> Outcome {
    place::own_mounts()?;
    mount_bind(&s.dir, &s.dir)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    done(mount_remount(&s.dir, flags, c""))
}

fn execute(s: &Site) -> Outcome {
    let status = Command::new(s.a()).stdin(Stdio::null()).status();
    let status = status.map_err(|e| sys::errno(&e))?;
    Ok(status.code().unwrap_or(255) as u64)
}
