// SPDX-License-Identifier: GPL-2.0
//! What the kernel has said.

use anyhow::Result;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::fs;

/// The end of the kernel's log, of which what comes later is read.
pub fn log_end() -> Result<fs::File> {
    use std::io::{Seek as _, SeekFrom};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let mut log = fs::File::from(open("/dev/kmsg", flags, Mode::empty())?);
    log.seek(SeekFrom::End(0))?;
    Ok(log)
}

/// All of the kernel's log that is still there.
pub fn log_whole() -> Result<fs::File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    Ok(open("/dev/kmsg", flags, Mode::empty())?.into())
}

/// What has come, as far as it speaks of this.
pub fn logged(log: &fs::File, what: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    loop {
        let mut record = [0; 8192];
        match rustix::io::read(log, &mut record) {
            Ok(n) => {
                let text = String::from_utf8_lossy(record.get(..n).unwrap_or_default());
                if what.iter().any(|what| text.contains(what)) {
                    found.push(text.into_owned());
                }
            }
            Err(Errno::AGAIN) => return Ok(found),
            // Some were overwritten.
            Err(Errno::PIPE) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
