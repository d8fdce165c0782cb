// SPDX-License-Identifier: GPL-2.0
//! What is on the disk when it dies.

use super::case::content;
use super::flaky::Disk;
use super::ground::Ground;
use crate::unified::{UNIFIED, look, open, root, set_flags};
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use std::fs;
use vserver_abi as abi;

/// A name that was given to an equal file, and made durable, leads to all that this has: also if
/// the file was unified before with other content.
pub fn unified_with_what_is_new() -> Result<()> {
    let ground = Ground::new()?;
    let dir = root().join("durable");
    fs::create_dir(&dir)?;
    ground.sync()?;
    let (old, new) = (dir.join("old"), dir.join("new"));
    for (round, len) in [70_000, 80_000].into_iter().enumerate() {
        let bytes = content(len);
        for path in [&old, &new] {
            if round > 0 {
                abi::deunify(open(path, OFlags::RDONLY)?)?;
            }
            fs::write(path, &bytes)?;
            set_flags(path, UNIFIED, UNIFIED)?;
        }
        abi::unify(open(&old, OFlags::RDONLY)?, open(&new, OFlags::RDONLY)?)?;
        rfs::fsync(open(&dir, OFlags::RDONLY)?)?;
        ground.become_(Disk::Dead)?;
        let _ = ground.sync();
        ground.mount_again()?;
        for path in [&old, &new] {
            let is = look(path)?;
            ensure!(
                is.content == bytes,
                "{}: {} bytes",
                path.display(),
                is.content.len()
            );
        }
        // As two files.
        fs::remove_file(&old)?;
        fs::copy(&new, &old)?;
        set_flags(&old, UNIFIED, UNIFIED)?;
        ground.sync()?;
    }
    Ok(())
}
