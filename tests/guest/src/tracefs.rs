// SPDX-License-Identifier: GPL-2.0
//! An event of the kernel's, traced in a buffer of its own.

use anyhow::{Context as _, Result, ensure};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const INSTANCES: &str = "/sys/kernel/tracing/instances";

/// What an event says: `key=value` each.
pub type Fields = HashMap<String, String>;

/// A buffer in which one event is recorded; gone when dropped.
pub struct Tracer {
    dir: PathBuf,
    enable: PathBuf,
    event: &'static str,
}

impl Tracer {
    pub fn new(system: &str, event: &'static str) -> Result<Self> {
        let dir = Path::new(INSTANCES).join(format!("{event}-{}", std::process::id()));
        fs::create_dir(&dir).context("an instance in tracefs")?;
        let enable = dir.join("events").join(system).join(event).join("enable");
        let tracer = Self { dir, enable, event };
        fs::write(&tracer.enable, "1").with_context(|| format!("no event {event}"))?;
        Ok(tracer)
    }

    /// What was recorded since the last call.
    pub fn take(&self) -> Result<Vec<Fields>> {
        let trace = self.dir.join("trace");
        let text = fs::read_to_string(&trace)?;
        fs::write(&trace, "")?;
        let mut events = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, says) = line
                .split_once(&format!(": {}: ", self.event))
                .with_context(|| format!("what is {line:?}?"))?;
            let fields: Fields = says
                .split(' ')
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            ensure!(fields.len() == says.split(' ').count(), "{says:?}");
            events.push(fields);
        }
        Ok(events)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = fs::write(&self.enable, "0");
        let _ = fs::remove_dir(&self.dir);
    }
}
