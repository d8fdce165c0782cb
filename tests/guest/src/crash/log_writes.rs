// SPDX-License-Identifier: GPL-2.0
//! The device mapper's target that logs every write to a disk.

use crate::dm::{Device, size};
use anyhow::Result;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A disk whose writes are logged on another.
pub struct LogWrites {
    device: Device,
    pub path: PathBuf,
}

impl LogWrites {
    pub fn new(disk: &Path, log: &Path) -> Result<Self> {
        let device = Device::new("crash-log")?;
        let params = format!("{} {}", disk.display(), log.display());
        device.become_(size(disk)?, "log-writes", &params)?;
        let path = device.path();
        Ok(Self { device, path })
    }

    /// Waits for the flushes that are under way. What was written before one of them began is in
    /// the log where it ends, and another one that begins later may end before: then what this has
    /// made durable seems to be lost.
    pub fn settle(&self) -> Result<()> {
        let lock = File::open(&self.path)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        self.device.suspend()?;
        self.device.resume()
    }

    /// Notes in the log that the machine was so far: a word.
    pub fn mark(&self, text: &str) -> Result<()> {
        self.device.tell(&format!("mark {text}"))
    }

    /// All that was logged is on the log's disk then.
    pub fn remove(self) -> Result<()> {
        self.device.remove()
    }
}
