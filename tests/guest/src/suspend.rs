// SPDX-License-Identifier: GPL-2.0
//! A machine that is to sleep, and goes no further than to stop all processes.

use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// How far a suspend goes, and for how long, as long as this is there.
pub struct OnlyFreezer;

impl OnlyFreezer {
    const LEVEL: &str = "/sys/power/pm_test";
    const SECONDS: &str = "/sys/module/suspend/parameters/pm_test_delay";
    const TIMEOUT: &str = "/sys/power/pm_freeze_timeout";
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

    /// The same; who can't be stopped in that time, can't be.
    pub fn suspend_within(&self, time: Duration) -> Result<()> {
        let usual = fs::read(Self::TIMEOUT)?;
        fs::write(Self::TIMEOUT, time.as_millis().to_string())?;
        let done = self.suspend();
        fs::write(Self::TIMEOUT, usual)?;
        done
    }
}

impl Drop for OnlyFreezer {
    fn drop(&mut self) {
        let _ = fs::write(Self::LEVEL, "none");
        let _ = fs::write(Self::SECONDS, "5");
        let _ = fs::write(Self::SYNC, "1");
    }
}
