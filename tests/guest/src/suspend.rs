// SPDX-License-Identifier: GPL-2.0
//! A machine that is to sleep, and goes no further than to stop all processes.

use anyhow::{Context as _, Result};
use std::fs;

/// How far a suspend goes, and for how long, as long as this is there.
pub struct OnlyFreezer;

impl OnlyFreezer {
    const LEVEL: &str = "/sys/power/pm_test";
    const SECONDS: &str = "/sys/module/suspend/parameters/pm_test_delay";
    const SYNC: &str = "/sys/power/sync_on_suspend";

    pub fn new() -> Result<Self> {
        let this = Self;
        fs::write(Self::LEVEL, "freezer").context("pm_test")?;
        fs::write(Self::SECONDS, "1").context("pm_test_delay")?;
        fs::write(Self::SYNC, "0").context("sync_on_suspend")?;
        Ok(this)
    }

    /// Stops everybody but the caller, and lets them go on a second later. It fails if somebody could
    /// not be stopped.
    pub fn suspend(&self) -> Result<()> {
        fs::write("/sys/power/state", "freeze").context("suspend")
    }
}

impl Drop for OnlyFreezer {
    fn drop(&mut self) {
        let _ = fs::write(Self::LEVEL, "none");
        let _ = fs::write(Self::SECONDS, "5");
        let _ = fs::write(Self::SYNC, "1");
    }
}
