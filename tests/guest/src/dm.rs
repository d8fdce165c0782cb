// SPDX-License-Identifier: GPL-2.0
//! Devices of the device mapper, made of one target.

use crate::unified::syscall;
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const SECTOR: u64 = 512;

/// Numbers of the commands.
const CREATE: u32 = 3;
const REMOVE: u32 = 4;
const SUSPEND: u32 = 6;
const LOAD: u32 = 9;
const MESSAGE: u32 = 14;

const SUSPEND_FLAG: u32 = 1 << 1;
/// The file system is not frozen: it has to see the change as it comes.
const SKIP_LOCKFS: u32 = 1 << 10;

/// struct dm_ioctl: its size, and where its fields are.
const HEADER: usize = 312;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const DEV: usize = 40;
const NAME: usize = 48;

/// A device. Removed when dropped.
pub struct Device {
    control: File,
    name: &'static str,
    minor: u32,
}

impl Device {
    /// A device without a target yet.
    pub fn new(name: &'static str) -> Result<Self> {
        let control = File::options()
            .read(true)
            .write(true)
            .open("/dev/mapper/control")
            .context("/dev/mapper/control")?;
        let mut device = Self {
            control,
            name,
            minor: 0,
        };
        device.minor = device.command(CREATE, 0, 0, &[])?;
        Ok(device)
    }

    /// Its name in `/dev` and `/sys/block`.
    pub fn name(&self) -> String {
        format!("dm-{}", self.minor)
    }

    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(self.name())
    }

    /// From now on it is this target, of so many bytes.
    pub fn become_(&self, size: u64, target: &str, params: &str) -> Result<()> {
        let mut spec = vec![0; 40];
        spec[8..16].copy_from_slice(&(size / SECTOR).to_ne_bytes());
        spec[24..24 + target.len()].copy_from_slice(target.as_bytes());
        spec.extend(params.bytes().chain([0]));
        // The size of each target is a multiple of eight.
        spec.resize(spec.len().next_multiple_of(8), 0);
        self.command(LOAD, 0, 1, &spec)
            .with_context(|| format!("{target} {params}"))?;
        self.command(SUSPEND, SKIP_LOCKFS, 0, &[])?;
        Ok(())
    }

    /// From now on requests wait.
    pub fn suspend(&self) -> Result<()> {
        self.command(SUSPEND, SUSPEND_FLAG | SKIP_LOCKFS, 0, &[])?;
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        self.command(SUSPEND, 0, 0, &[])?;
        Ok(())
    }

    /// Says something to the target.
    pub fn tell(&self, text: &str) -> Result<()> {
        let mut message = vec![0; 8];
        message.extend(text.bytes().chain([0]));
        self.command(MESSAGE, 0, 0, &message)?;
        Ok(())
    }

    /// What the target had to write is written then.
    pub fn remove(self) -> Result<()> {
        self.command(REMOVE, 0, 0, &[])?;
        std::mem::forget(self);
        Ok(())
    }

    /// Gives the device's minor number.
    fn command(&self, number: u32, flags: u32, targets: u32, data: &[u8]) -> Result<u32> {
        let mut buffer = vec![0u8; HEADER];
        let mut field = |at: usize, value: u32| {
            buffer[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        };
        field(0, 4);
        field(DATA_SIZE, u32::try_from(HEADER + data.len())?);
        field(DATA_START, HEADER as u32);
        field(TARGET_COUNT, targets);
        field(FLAGS, flags);
        buffer[NAME..NAME + self.name.len()].copy_from_slice(self.name.as_bytes());
        buffer.extend(data);

        /// _IOWR(0xfd, 0, struct dm_ioctl)
        const IOCTL: u32 = 0xc000_fd00 | (HEADER as u32) << 16;
        // SAFETY: the buffer has the layout of struct dm_ioctl and says how long it is.
        let ret = unsafe {
            libc::ioctl(
                self.control.as_raw_fd(),
                (IOCTL | number) as libc::Ioctl,
                buffer.as_mut_ptr(),
            )
        };
        syscall(ret.into()).with_context(|| format!("device mapper {number}"))?;
        let mut dev = [0; 8];
        dev.copy_from_slice(&buffer[DEV..DEV + 8]);
        Ok(libc::minor(u64::from_ne_bytes(dev)))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.command(REMOVE, 0, 0, &[]);
    }
}

/// The size of a disk in bytes.
pub fn size(disk: &Path) -> Result<u64> {
    let name = disk.file_name().context("no disk")?;
    let path = Path::new("/sys/class/block").join(name).join("size");
    let sectors: u64 = fs::read_to_string(path)?.trim().parse()?;
    ensure!(sectors > 0, "{} is empty", disk.display());
    Ok(sectors * SECTOR)
}
