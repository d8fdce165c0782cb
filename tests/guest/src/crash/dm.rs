// SPDX-License-Identifier: GPL-2.0
//! The device mapper's target that logs every write to a disk.

use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const NAME: &[u8] = b"crash-log";
const SECTOR: u64 = 512;

/// Numbers of the commands.
const CREATE: u32 = 3;
const REMOVE: u32 = 4;
const RESUME: u32 = 6;
const LOAD: u32 = 9;
const MESSAGE: u32 = 14;

/// struct dm_ioctl: its size, and where its fields are.
const HEADER: usize = 312;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const DEV: usize = 40;
const NAME_AT: usize = 48;

/// A disk whose writes are logged on another. Removed when dropped.
pub struct LogWrites {
    control: File,
    pub path: PathBuf,
}

impl LogWrites {
    pub fn new(disk: &Path, log: &Path) -> Result<Self> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/mapper/control")
            .context("/dev/mapper/control")?;
        let minor = command(&control, CREATE, 0, &[])?;
        let device = Self {
            control,
            path: format!("/dev/dm-{minor}").into(),
        };

        let sectors = size(disk)? / SECTOR;
        let mut target = vec![0; 40];
        target[8..16].copy_from_slice(&sectors.to_ne_bytes());
        target[24..34].copy_from_slice(b"log-writes");
        target.extend(format!("{} {}\0", disk.display(), log.display()).into_bytes());
        // The size of each target is a multiple of eight.
        target.resize(target.len().next_multiple_of(8), 0);
        command(&device.control, LOAD, 1, &target)?;
        command(&device.control, RESUME, 0, &[])?;
        Ok(device)
    }

    /// Notes in the log that the machine was so far: a word.
    pub fn mark(&self, text: &str) -> Result<()> {
        let mut message = vec![0; 8];
        message.extend(format!("mark {text}\0").into_bytes());
        command(&self.control, MESSAGE, 0, &message)?;
        Ok(())
    }

    /// All that was logged is on the log's disk then.
    pub fn remove(self) -> Result<()> {
        command(&self.control, REMOVE, 0, &[])?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for LogWrites {
    fn drop(&mut self) {
        let _ = command(&self.control, REMOVE, 0, &[]);
    }
}

/// Gives the device's minor number.
fn command(control: &File, number: u32, targets: u32, data: &[u8]) -> Result<u32> {
    let mut buffer = vec![0u8; HEADER];
    let mut field = |at: usize, value: u32| {
        buffer[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    };
    field(0, 4);
    field(DATA_SIZE, u32::try_from(HEADER + data.len())?);
    field(DATA_START, HEADER as u32);
    field(TARGET_COUNT, targets);
    buffer[NAME_AT..NAME_AT + NAME.len()].copy_from_slice(NAME);
    buffer.extend(data);

    /// _IOWR(0xfd, 0, struct dm_ioctl)
    const IOCTL: u32 = 0xc000_fd00 | (HEADER as u32) << 16;
    // SAFETY: the buffer has the layout of struct dm_ioctl and says how long it is.
    let ret = unsafe {
        libc::ioctl(
            control.as_raw_fd(),
            (IOCTL | number) as libc::Ioctl,
            buffer.as_mut_ptr(),
        )
    };
    crate::unified::syscall(ret.into()).with_context(|| format!("device mapper {number}"))?;
    let mut dev = [0; 8];
    dev.copy_from_slice(&buffer[DEV..DEV + 8]);
    Ok(libc::minor(u64::from_ne_bytes(dev)))
}

/// The size of a disk in bytes.
pub fn size(disk: &Path) -> Result<u64> {
    let name = disk.file_name().context("no disk")?;
    let path = Path::new("/sys/class/block").join(name).join("size");
    let sectors: u64 = fs::read_to_string(path)?.trim().parse()?;
    ensure!(sectors > 0, "{} is empty", disk.display());
    Ok(sectors * SECTOR)
}
