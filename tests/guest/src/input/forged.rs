// SPDX-License-Identifier: GPL-2.0
//! Values of the attribute that this kernel did not write.
//!
//! No call sets them. So a file system without checksums gets another attribute, whose name is
//! then changed on the disk.

use super::kinds::all_is_refused;
use crate::calls::c_path;
use crate::kernel_log::{log_end, logged};
use crate::module;
use crate::process::isolated;
use crate::sample;
use crate::tags::{enter, set_tag};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, IFlags, OFlags, XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CStr;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vserver_abi as abi;

/// As long as the attribute's own, and nowhere else on the disk.
const NAME: &str = "security.xserver";
const ON_DISK: [&[u8; 7]; 2] = [b"xserver", b"vserver"];

/// A disk that lets itself be forged; mounted as long as this lives.
struct Disk {
    device: PathBuf,
    dir: &'static Path,
}

impl Disk {
    fn new() -> Result<Self> {
        let device = std::env::var_os("DISK_RAW").context("DISK_RAW")?.into();
        let dir = Path::new("/mnt/forged");
        let disk = Self { device, dir };
        let made = Command::new("mke2fs")
            .args(["-I", "256", "-b", "4096"])
            .arg(&disk.device)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "mke2fs: {made}");
        fs::create_dir_all(dir)?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<()> {
        self.mount_with(c"usrquota")
    }

    fn mount_with(&self, options: &CStr) -> Result<()> {
        let mounted = mount(
            &self.device,
            self.dir,
            "ext4",
            MountFlags::empty(),
            Some(options),
        );
        mounted.context("mount")
    }

    /// Has the file system keep its users' quota in that file.
    fn quota_on(&self, file: &Path) -> Result<(), Errno> {
        const QFMT_VFS_V1: i32 = 4;
        self.quotactl(libc::Q_QUOTAON, QFMT_VFS_V1, file)
    }

    fn quota_off(&self) -> Result<(), Errno> {
        self.quotactl(libc::Q_QUOTAOFF, 0, Path::new(""))
    }

    fn quotactl(&self, command: i32, id: i32, file: &Path) -> Result<(), Errno> {
        let command = libc::QCMD(command, libc::USRQUOTA);
        let (device, file) = (c_path(&self.device), c_path(file));
        let (device, file) = (device.as_ptr(), file.as_ptr().cast_mut());
        // SAFETY: both paths are C strings that live until it returns.
        syscall(unsafe { libc::quotactl(command, device, id, file) }.into()).map(drop)
    }

    fn forge(&self) -> Result<()> {
        self.give_name()?;
        self.mount()
    }

    /// Gives the attribute the name that counts, wherever it is. The disk is not mounted then.
    fn give_name(&self) -> Result<()> {
        unmount(self.dir, UnmountFlags::empty())?;
        let mut disk = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.device)?;
        let content = fs::read(&self.device)?;
        let mut found = 0;
        for (at, bytes) in content.windows(ON_DISK[0].len()).enumerate() {
            if bytes == ON_DISK[0] {
                disk.seek(SeekFrom::Start(at as u64))?;
                disk.write_all(ON_DISK[1])?;
                found += 1;
            }
        }
        disk.sync_all()?;
        ensure!(found > 0, "the attribute is not on the disk");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.dir, UnmountFlags::DETACH);
    }
}

fn make_immutable(path: &Path) -> Result<()> {
    set_too(path, IFlags::IMMUTABLE)
}

/// As chattr(1) does it.
fn set_too(path: &Path, more: IFlags) -> Result<()> {
    let fd = open(path, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&fd)?;
    Ok(rfs::ioctl_setflags(&fd, flags | more)?)
}

/// A file under two names, with `value` to become the attribute's.
fn file(dir: &Path, value: &[u8], immutable: bool) -> Result<(PathBuf, PathBuf)> {
    fs::create_dir(dir)?;
    let (a, b) = (dir.join("a"), dir.join("b"));
    fs::write(&a, CONTENT)?;
    fs::hard_link(&a, &b)?;
    setxattr(&a, NAME, value, XattrFlags::empty())?;
    if immutable {
        make_immutable(&a)?;
    }
    Ok((a, b))
}

/// What this version did not write it does not obey: the file is merely immutable, until somebody
/// entitled says otherwise.
pub(super) fn forged_values() -> Result<()> {
    let long = [&[1, 1, 0, 0, 0, 0, 0, 0][..], &[0; 1000]].concat();
    let values: [(&str, &[u8]); 12] = [
        ("empty", &[]),
        ("one byte", &[1]),
        ("a byte too short", &[1, 1, 0, 0, 0, 0, 0]),
        ("a byte too long", &[1, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("much too long", &long),
        ("version 0", &[0, 1, 0, 0, 0, 0, 0, 0]),
        ("version 2", &[2, 1, 0, 0, 0, 0, 0, 0]),
        ("version 255", &[255, 1, 0, 0, 0, 0, 0, 0]),
        ("an unknown flag", &[1, 0x81, 0, 0, 0, 0, 0, 0]),
        ("all flags", &[1, 0xff, 0, 0, 0, 0, 0, 0]),
        ("reserved bits", &[1, 1, 1, 0, 0, 0, 0, 0]),
        ("reserved bytes", &[1, 1, 0, 0x80, 0, 0, 0, 0]),
    ];
    let disk = Disk::new()?;
    for (what, value) in values {
        file(&disk.dir.join(what), value, true)?;
    }
    disk.forge()?;
    for (what, value) in values {
        let dir = disk.dir.join(what);
        is_merely_immutable(&dir, value).context(what)?;
        can_be_repaired(&dir).context(what)?;
    }
    Ok(())
}

fn is_merely_immutable(dir: &Path, value: &[u8]) -> Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    let found = xattr(&a, "security.vserver")?;
    ensure!(found.as_deref() == Some(value), "not forged: {found:?}");
    let before = look(&a)?;
    ensure!(before.flags == abi::IATTR_IMMUTABLE, "{before:?}");
    all_is_refused(&a, &dir.join("c"))?;
    ensure!(look(&a)? == before && look(&b)? == before);
    Ok(())
}

/// By the call that says what the file is, in one direction and the other.
fn can_be_repaired(dir: &Path) -> Result<()> {
    let (a, b) = (dir.join("a"), dir.join("b"));
    set_flags(&a, UNIFIED, UNIFIED)?;
    fs::write(&a, b"mine")?;
    ensure!(look(&a)?.flags == 0 && look(&b)?.flags == UNIFIED);
    ensure!(fs::read(&b)? == CONTENT);
    set_flags(&b, 0, UNIFIED)?;
    ensure!(xattr(&b, "security.vserver")?.is_none());
    Ok(fs::write(&b, b"ordinary")?)
}

/// A valid value counts where the file is immutable, and nowhere else.
pub(super) fn valid_values() -> Result<()> {
    const IUNLINK: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 0];
    const OF_CONTEXT: &[u8] = &[1, 1, 0, 0, 7, 0, 0, 0];
    const BARRIER: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 0];
    let disk = Disk::new()?;
    let dir = |name: &str| disk.dir.join(name);
    let (a, b) = file(&dir("unified"), OF_CONTEXT, true)?;
    let (plain, other) = file(&dir("plain"), IUNLINK, false)?;
    file(&dir("barrier"), BARRIER, true)?;
    disk.forge()?;

    let before = look(&b)?;
    ensure!(before.flags == UNIFIED, "{before:?}");
    fs::write(&a, b"mine")?;
    ensure!(look(&b)? == before && look(&a)?.flags == 0);
    ensure!(xattr(&a, "security.vserver")?.is_none(), "the copy has it");

    fs::write(&plain, b"both")?;
    ensure!(fs::read(&other)? == b"both", "an ordinary file was copied");
    // What the administrator makes immutable is not unified by what was left behind.
    make_immutable(&plain)?;
    ensure!(look(&plain)?.flags == abi::IATTR_IMMUTABLE);
    all_is_refused(&plain, &dir("plain").join("c"))?;

    let barrier = dir("barrier").join("a");
    all_is_refused(&barrier, &dir("barrier").join("c"))
}

/// Where this kernel is not, a unified file can be made append-only, too: then it stays as it is.
pub(super) fn append_only_on_top() -> Result<()> {
    let disk = Disk::new()?;
    let dir = disk.dir.join("both");
    let (a, _) = file(&dir, &[1, 1, 0, 0, 0, 0, 0, 0], false)?;
    set_too(&a, IFlags::IMMUTABLE | IFlags::APPEND)?;
    disk.forge()?;
    let before = look(&a)?;
    ensure!(before.flags == UNIFIED, "{before:?}");
    all_is_refused(&a, &dir.join("c"))?;
    let append = open(&a, OFlags::WRONLY | OFlags::APPEND);
    refused("append", append, Errno::PERM)?;
    ensure!(look(&a)? == before);
    // It is unified as soon as the administrator has taken that back.
    set_flags(&a, 0, UNIFIED)?;
    let fd = open(&a, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&fd)?;
    rfs::ioctl_setflags(&fd, flags & !IFlags::APPEND)?;
    set_flags(&a, UNIFIED, UNIFIED)?;
    fs::write(&a, b"mine")?;
    ensure!(fs::read(dir.join("b"))? == CONTENT);
    Ok(())
}

/// Where there are tags, a file with a value that counts for nothing is nobody's, and that is said
/// once for a mount.
pub(super) fn damaged_tags() -> Result<()> {
    const OWN: u32 = 321;
    const OTHER: [u8; 8] = [1, 0, 0, 0, 0x42, 1, 0, 0];
    let [mut version, mut flags, mut xid] = [OTHER; 3];
    (version[0], flags[1]) = (2, 0x80);
    xid[4..].copy_from_slice(&u32::MAX.to_le_bytes());
    let values: [(&str, &[u8]); 5] = [
        ("short", &OTHER[..7]),
        ("long", &[1, 0, 0, 0, 0x42, 1, 0, 0, 0]),
        ("version", &version),
        ("flags", &flags),
        ("xid", &xid),
    ];
    let disk = Disk::new()?;
    let path = |what: &str| disk.dir.join(what).join("a");
    for (what, value) in values.into_iter().chain([("whole", &OTHER[..])]) {
        file(&disk.dir.join(what), value, false)?;
    }
    disk.give_name()?;
    let log = log_end()?;
    disk.mount_with(c"tag")?;

    let whole = path("whole");
    isolated(|| {
        enter(OWN)?;
        for (what, _) in values {
            fs::write(path(what), what).with_context(|| format!("{what}, inside"))?;
        }
        refused("another's", open(&whole, OFlags::RDONLY), Errno::ACCESS)
    })?;
    for (what, value) in values {
        let a = path(what);
        ensure!(abi::get_iattr(&a)?.xid == 0, "{what} has a tag");
        let kept = xattr(&a, "security.vserver")?;
        ensure!(kept.as_deref() == Some(value), "{what}: {kept:?}");
        set_tag(&a, OWN).with_context(|| format!("{what}, set_iattr"))?;
        ensure!(abi::get_iattr(&a)?.xid == OWN, "{what} has no tag");
    }
    let said = logged(&log, &["attribute not valid"])?;
    ensure!(said.len() == 1, "said: {said:?}");
    Ok(())
}

/// The flag of files on a directory.
pub(super) fn forged_directory() -> Result<()> {
    let disk = Disk::new()?;
    let dir = disk.dir.join("dir");
    fs::create_dir(&dir)?;
    setxattr(&dir, NAME, &[1, 1, 0, 0, 0, 0, 0, 0], XattrFlags::empty())?;
    make_immutable(&dir)?;
    disk.forge()?;
    ensure!(xattr(&dir, "security.vserver")?.is_some());
    let mode = rfs::Mode::RWXU;
    refused("mkdir", rfs::mkdir(dir.join("x"), mode), Errno::PERM)?;
    refused("chmod", rfs::chmod(&dir, mode), Errno::PERM)?;
    refused("rmdir", rfs::rmdir(&dir), Errno::PERM)?;
    refused("rename", rfs::rename(&dir, disk.dir.join("y")), Errno::PERM)
}

/// 19: a quota file is written without being opened, and loses its immutable flag.
pub(super) fn quota_file() -> Result<()> {
    let disk = Disk::new()?;
    let (a, b) = (disk.dir.join("a"), disk.dir.join("b"));
    fs::write(&a, CONTENT)?;
    // It is no quota file, but may be written.
    refused("a plain file", disk.quota_on(&a), Errno::INVAL)?;
    fs::hard_link(&a, &b)?;
    set_flags(&a, UNIFIED, UNIFIED)?;
    let before = look(&a)?;
    refused("a unified file", disk.quota_on(&a), Errno::PERM)?;
    module::remove_soon()?;
    let without = disk.quota_on(&a);
    module::insert()?;
    refused("without the module", without, Errno::PERM)?;
    ensure!(look(&a)? == before && look(&b)? == before);
    Ok(())
}

/// One that is in use is immutable, and yet is written to.
pub(super) fn active_quota_file() -> Result<()> {
    let disk = Disk::new()?;
    let a = disk.dir.join("a");
    fs::write(&a, sample::quota_file())?;
    disk.quota_on(&a).context("quotaon")?;
    let flags = [UNIFIED, abi::IATTR_IUNLINK].map(|flags| set_flags(&a, flags, UNIFIED));
    let is = abi::get_iattr(&a)?.flags;
    disk.quota_off().context("quotaoff")?;
    for got in flags {
        refused("set_iattr", got, Errno::PERM)?;
    }
    ensure!(is == abi::IATTR_IMMUTABLE, "flags {is:#x}");
    set_flags(&a, UNIFIED, UNIFIED).context("when it is not in use any more")
}
