// SPDX-License-Identifier: GPL-2.0
//! Lets the first, the second, the third ... allocation or disk request of an operation fail.
//!
//! The kernel counts down `/proc/thread-self/fail-nth` at each point that can fail and fails where
//! it reaches zero; what is allocated with `__GFP_NOFAIL` is no such point. An operation after
//! which the count is not zero had fewer of them.

use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What fails.
pub enum Point<'a> {
    /// Slab objects and pages, also those that could be waited for.
    Memory,
    /// Requests to a block device that this task makes itself.
    Requests(&'a str),
}

/// The fault, ready. Afterwards everything works as usual.
pub struct Fault {
    file: File,
    device: Option<String>,
}

fn debugfs(name: &str, value: &str) -> Result<()> {
    let path = Path::new("/sys/kernel/debug").join(name);
    fs::write(&path, value).with_context(|| path.display().to_string())
}

fn counter() -> Result<File> {
    let mut options = File::options();
    let file = options.read(true).write(true);
    Ok(file.open("/proc/thread-self/fail-nth")?)
}

impl Fault {
    pub fn new(point: &Point<'_>) -> Result<Self> {
        for what in ["failslab", "fail_page_alloc", "fail_make_request"] {
            debugfs(&format!("{what}/verbose"), "0")?;
        }
        let device = match point {
            Point::Memory => None,
            Point::Requests(device) => Some((*device).to_owned()),
        };
        let memory = device.is_none();
        let no = if memory { "N" } else { "Y" };
        for name in [
            "failslab/ignore-gfp-wait",
            // No cache is marked.
            "failslab/cache-filter",
            "fail_page_alloc/ignore-gfp-wait",
            "fail_page_alloc/ignore-gfp-highmem",
        ] {
            debugfs(name, no)?;
        }
        debugfs("fail_page_alloc/min-order", if memory { "0" } else { "32" })?;
        let this = Self {
            file: counter()?,
            device,
        };
        this.mark("1")?;
        Ok(this)
    }

    /// The same in another thread, while this one is there.
    pub fn of_thread(&self) -> Result<Self> {
        Ok(Self {
            file: counter()?,
            device: None,
        })
    }

    fn mark(&self, value: &str) -> Result<()> {
        if let Some(device) = &self.device {
            fs::write(format!("/sys/block/{device}/make-it-fail"), value)?;
        }
        Ok(())
    }

    /// Does `f`, and says whether something was made to fail.
    pub fn strike<T>(&self, nth: u32, f: impl FnOnce() -> T) -> Result<(T, bool)> {
        let mut left = [0; 16];
        self.file.write_all_at(nth.to_string().as_bytes(), 0)?;
        let got = f();
        let len = self.file.read_at(&mut left, 0);
        // Whatever is left must not hit the test itself.
        self.file.write_all_at(b"0", 0)?;
        let left = left.get(..len?).unwrap_or_default();
        Ok((got, left == b"0\n"))
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.mark("0");
    }
}
