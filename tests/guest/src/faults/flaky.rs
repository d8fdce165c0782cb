// SPDX-License-Identifier: GPL-2.0
//! A disk that fails on demand.

use crate::dm::{Device, size};
use anyhow::Result;
use std::ops::Deref;
use std::path::Path;

/// What is to happen to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Good,
    /// Reading is an error.
    NoReads,
    /// Writing is an error.
    NoWrites,
    Dead,
}

/// A device over a real one, whose target is changed while it is in use.
pub struct Flaky {
    device: Device,
    below: String,
    size: u64,
}

impl Flaky {
    /// Over the block device `below`, which is good for now.
    pub fn new(below: &str) -> Result<Self> {
        let this = Self {
            device: Device::new("faults")?,
            below: below.to_owned(),
            size: size(Path::new(below))?,
        };
        this.become_(Disk::Good)?;
        Ok(this)
    }

    pub fn become_(&self, disk: Disk) -> Result<()> {
        let below = &self.below;
        let (target, params) = match disk {
            Disk::Good => ("linear", format!("{below} 0")),
            Disk::NoReads => ("flakey", format!("{below} 0 0 1 1 error_reads")),
            Disk::NoWrites => ("flakey", format!("{below} 0 0 1 1 error_writes")),
            Disk::Dead => ("error", String::new()),
        };
        self.device.become_(self.size, target, &params)
    }
}

impl Deref for Flaky {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        // Whoever is waiting for a suspended device is let go by this.
        let _ = self.become_(Disk::Good);
    }
}
