// SPDX-License-Identifier: GPL-2.0
//! Breaks against who forbids changes to the directory.

use super::race::race_until;
use super::shared::{How, Shared};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

/// 23: it becomes append-only or immutable at any moment, and no temporary name stays behind.
pub fn fixed_directory() -> Result<()> {
    let shared = Shared::new("fixed")?;
    race_until(&["done", "PermissionDenied"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let flag = race.pick(&[IFlags::APPEND, IFlags::IMMUTABLE])?;
        let (got, ()) = race.around(
            || how.run(&shared.a),
            || {
                let dir = open(&shared.inner, OFlags::RDONLY)?;
                let flags = ioctl_getflags(&dir)?;
                ioctl_setflags(&dir, flags | flag)?;
                Ok((dir, flags))
            },
            |(dir, flags)| ioctl_setflags(&dir, flags).context("the directory's flags"),
        )?;
        ensure!(matches!(got, Ok(_) | Err(Errno::PERM)), "{how:?}: {got:?}");
        race.count_result(got);
        shared.consistent(&shared.a, how, got)?;
        shared.settled(&["in", "in/a"])
    })
}
