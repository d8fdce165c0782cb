// SPDX-License-Identifier: GPL-2.0
//! Where faults are injected: the suite's file system on a disk that fails on demand, and an
//! account of what it has free.

use super::flaky::{Disk, Flaky};
use crate::process::eventually;
use crate::unified::{Pair, drop_caches, open, root};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The file system, mounted where [`root`] says; what was mounted there is not any more.
pub struct Ground {
    /// What was made: a file system, or one and how, after a dash.
    kind: String,
    options: CString,
    source: PathBuf,
    pub at: PathBuf,
    /// None of tmpfs.
    disk: Option<Flaky>,
    /// See [`Self::copying`].
    copying: bool,
}

impl Ground {
    pub fn new() -> Result<Self> {
        Self::with("")
    }

    /// With these mount options.
    pub fn with(options: &str) -> Result<Self> {
        let at = root();
        let kind = at.file_name().context("no kind")?.to_string_lossy();
        let disk = std::env::var(format!("DISK_{}", kind.to_uppercase().replace('-', "_"))).ok();
        Self::on(disk.as_deref(), &kind, options)
    }

    /// One that nobody looks at afterwards. ext4 for its part is not always consistent when an
    /// allocation or a request failed: quota is not what is in use, and the superblock says so.
    pub fn scrap() -> Result<Self> {
        let Ok(scrap) = std::env::var("DISK_RAW_2") else {
            return Self::new();
        };
        copy_disk(&std::env::var("DISK_EXT4")?, &scrap)?;
        Self::on(Some(&scrap), "ext4", "")
    }

    /// On the suite's raw disk: an ext4 with inodes of 128 bytes, blocks of 1024, no journal and an
    /// inode for every `ratio` bytes.
    pub fn small_inodes(ratio: u32) -> Result<Self> {
        let device = std::env::var("DISK_RAW")?;
        let ratio = ratio.to_string();
        let done = std::process::Command::new("mke2fs")
            .args(["-F", "-b", "1024", "-I", "128", "-m", "0", "-i", &ratio])
            .arg(&device)
            .stdout(std::process::Stdio::null())
            .status()?;
        ensure!(done.success(), "mke2fs: {done}");
        Self::on(Some(&device), "ext4", "")
    }

    fn on(device: Option<&str>, kind: &str, options: &str) -> Result<Self> {
        let at = Path::new("/mnt").join(kind);
        let _ = unmount(&at, UnmountFlags::empty());
        fs::create_dir_all(&at)?;
        let disk = device.map(Flaky::new).transpose()?;
        let this = Self {
            kind: kind.to_owned(),
            options: CString::new(options)?,
            source: disk
                .as_ref()
                .map_or_else(|| "none".into(), |disk| disk.path()),
            at,
            disk,
            copying: false,
        };
        this.mount()?;
        Ok(this)
    }

    /// With files of which a break has to copy the content, though this may be a file system where
    /// it otherwise shares that, if it has any such files.
    pub fn copying(mut self) -> Self {
        self.copying = true;
        self
    }

    /// A unified file on it.
    pub fn pair(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<Pair> {
        match self.copying {
            true => Pair::unshared(name, make),
            false => Pair::with(name, make),
        }
    }

    fn mount(&self) -> Result<()> {
        let options = self.options.as_c_str();
        mount(
            &self.source,
            &self.at,
            self.fs(),
            MountFlags::empty(),
            options,
        )
        .with_context(|| format!("mount {} {options:?}", self.fs()))
    }

    pub fn fs(&self) -> &str {
        self.kind.split('-').next().unwrap_or_default()
    }

    /// Are blocks shared by a copy and its original?
    pub fn reflinks(&self) -> bool {
        match &*self.kind {
            "xfs" => true,
            "btrfs" => !self.copying,
            _ => false,
        }
    }

    pub fn disk(&self) -> Result<&Flaky> {
        self.disk.as_ref().context("no disk")
    }

    pub fn become_(&self, disk: Disk) -> Result<()> {
        self.disk()?.become_(disk)
    }

    /// Nothing of it is in memory then; nor what the disk did not take.
    pub fn mount_again(&self) -> Result<()> {
        self.become_(Disk::Good)?;
        unmount(&self.at, UnmountFlags::empty()).context("umount")?;
        self.mount()
    }

    /// A file system may give up when it meets an error: then it is mounted again. Whether it had.
    pub fn heal(&self) -> Result<bool> {
        if self.disk.is_none() {
            return Ok(false);
        }
        let probe = self.at.join("probe");
        let works = fs::write(&probe, "x").is_ok() && fs::remove_file(&probe).is_ok();
        if !works {
            self.mount_again()?;
        }
        Ok(!works)
    }

    /// Everything is on the disk.
    pub fn sync(&self) -> Result<()> {
        let sync = || rfs::syncfs(open(&self.at, OFlags::RDONLY)?);
        match sync() {
            // An error of before is told once.
            Err(Errno::IO) => sync(),
            got => got,
        }
        .context("syncfs")
    }

    /// And nothing of it in memory.
    pub fn forget(&self) -> Result<()> {
        self.sync()?;
        drop_caches()
    }

    /// What is in use.
    pub fn account(&self) -> Result<Account> {
        self.sync()?;
        let stat = rfs::statvfs(&self.at)?;
        Ok(Account {
            inodes: stat.f_files - stat.f_ffree,
            bytes: (stat.f_blocks - stat.f_bfree) * stat.f_frsize,
        })
    }

    pub fn free_bytes(&self) -> Result<u64> {
        let stat = rfs::statvfs(&self.at)?;
        Ok(stat.f_bfree * stat.f_frsize)
    }

    /// Nothing was leaked since. What goes may be given back a moment later. The metadata of a file
    /// system may grow, by less than one copy of `file` bytes.
    pub fn nothing_leaked(&self, before: &Account, file: u64) -> Result<()> {
        let mut now = self.account()?;
        let ok = eventually("all is given back", || {
            if let Ok(account) = self.account() {
                now = account;
            }
            now.inodes <= before.inodes && now.bytes < before.bytes + file
        });
        ok.with_context(|| format!("in use were {before:?}, are {now:?}"))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk {
            let _ = disk.become_(Disk::Good);
        }
        let _ = unmount(&self.at, UnmountFlags::empty());
    }
}

/// A disk that is all zeroes becomes what the other is; one that was used already stays.
fn copy_disk(from: &str, to: &str) -> Result<()> {
    let _ = unmount(root(), UnmountFlags::empty());
    let (from, to) = (
        File::open(from)?,
        File::options().read(true).write(true).open(to)?,
    );
    let mut chunk = vec![0; 1 << 16];
    let mut at = 0;
    to.read_exact_at(&mut chunk, 0)?;
    if chunk.iter().any(|byte| *byte != 0) {
        return Ok(());
    }
    loop {
        let len = from.read_at(&mut chunk, at)?;
        let data = chunk.get(..len).unwrap_or_default();
        if data.is_empty() {
            return Ok(to.sync_all()?);
        }
        if data.iter().any(|byte| *byte != 0) {
            to.write_all_at(data, at)?;
        }
        at += len as u64;
    }
}

#[derive(Debug)]
pub struct Account {
    inodes: u64,
    bytes: u64,
}
