// SPDX-License-Identifier: GPL-2.0
//! What the table tries with files, devices and their attributes.

use super::call;
use crate::calls::c_path;
use crate::unified::syscall;
use rustix::fs::{self as rfs, CWD, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// The memory of some device: what root can read there, and map.
pub fn pci_resource() -> PathBuf {
    let devices = fs::read_dir("/sys/bus/pci/devices").into_iter().flatten();
    devices
        .flatten()
        .flat_map(|device| (0..6).map(move |i| device.path().join(format!("resource{i}"))))
        .find(|path| path.exists())
        .unwrap_or_default()
}

pub fn make_directory(path: &str) -> Result<(), Errno> {
    rfs::mkdir(path, Mode::RWXU)?;
    rfs::rmdir(path)
}

/// A name for a file of this test's own.
fn scratch(name: &str) -> PathBuf {
    Path::new("/mnt/ext4").join(name)
}

fn new_file(name: &str) -> Result<std::os::fd::OwnedFd, Errno> {
    rfs::open(
        scratch(name),
        OFlags::CREATE | OFlags::RDWR,
        Mode::from_raw_mode(0o644),
    )
}

pub fn open(path: impl AsRef<Path>, flags: OFlags) -> Result<(), Errno> {
    rfs::open(path.as_ref(), flags, Mode::from_raw_mode(0o644)).map(drop)
}

pub fn write(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = rfs::open(path, OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(file, bytes).map(drop)
}

pub fn disk() -> String {
    std::env::var("DISK_EXT4").unwrap_or_default()
}

pub fn make_node(kind: FileType) -> Result<(), Errno> {
    let path = scratch("node");
    rfs::mknodat(CWD, &path, kind, Mode::RUSR, rfs::makedev(1, 3))?;
    rfs::unlink(&path)
}

pub fn make_whiteout() -> Result<(), Errno> {
    let path = scratch("whiteout");
    rfs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, 0)?;
    rfs::unlink(&path)
}

pub fn chown() -> Result<(), Errno> {
    let file = new_file("chown")?;
    rfs::fchown(&file, Some(rfs::Uid::from_raw(1)), None)
}

pub fn open_by_handle() -> Result<(), Errno> {
    drop(new_file("handle")?);
    let path = c_path(&scratch("handle"));
    // struct file_handle: length, type, the handle.
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0i32;
    // SAFETY: the name is a C string, the handle has room for the 128 bytes it says.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0,
        )
    })?;
    let root = rfs::open("/mnt/ext4", OFlags::RDONLY, Mode::empty())?;
    let root = std::os::fd::AsRawFd::as_raw_fd(&root).into();
    call(
        libc::SYS_open_by_handle_at,
        [root, handle.as_mut_ptr() as i64, 0, 0],
    )
}

pub fn set_attribute(name: &str) -> Result<(), Errno> {
    let file = new_file("attributes")?;
    rfs::fsetxattr(&file, name, b"x", XattrFlags::empty())
}

/// One that needs no more than setfcap.
pub fn sysfs_attribute() -> Result<(), Errno> {
    const FILE: &str = "/sys/kernel/rcu_expedited";
    const NAME: &str = "security.capability";
    let mut no_capabilities = [0u8; 20];
    no_capabilities[3] = 2;
    rfs::setxattr(FILE, NAME, &no_capabilities, XattrFlags::empty())?;
    rfs::removexattr(FILE, NAME)
}

/// Sets nothing of a quota. That nothing is counted there for a context is no question of power.
pub fn set_quota() -> Result<(), Errno> {
    const SET_QUOTA_OF_USERS: i64 = 0x0080_0008 << 8;
    let quota = [0u64; 9];
    let disk = c_path(Path::new(&disk()));
    call(
        libc::SYS_quotactl,
        [
            SET_QUOTA_OF_USERS,
            disk.as_ptr() as i64,
            1000,
            quota.as_ptr() as i64,
        ],
    )
    .or_else(|e| if e == Errno::SRCH { Ok(()) } else { Err(e) })
}

pub fn make_immutable() -> Result<(), Errno> {
    let file = new_file("immutable")?;
    let old = rfs::ioctl_getflags(&file)?;
    rfs::ioctl_setflags(&file, old | rfs::IFlags::IMMUTABLE)?;
    rfs::ioctl_setflags(&file, old)
}
