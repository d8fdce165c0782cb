// SPDX-License-Identifier: GPL-2.0
//! fs-verity, which takes its time.

use super::race::race_until;
use super::shared::{How, place};
use crate::matrix::sys::enable_verity;
use crate::unified::*;
use anyhow::{Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;

/// A file is unified or guarded, not both: guarded, no name could get a copy any more.
pub fn verity_at_once() -> Result<()> {
    static CONTENT: [u8; 1 << 20] = [b'v'; 1 << 20];
    let dir = place()?.join("verity");
    let plain = place()?.join("plain");
    fs::write(&plain, CONTENT)?;
    let guarded = enable_verity(&open(&plain, OFlags::RDONLY)?);
    fs::remove_file(&plain)?;
    let (wanted, refusal) = match guarded {
        Ok(_) => (&["unified", "guarded"][..], Errno::PERM),
        // There is nothing to race for, and it stays so.
        Err(e @ (Errno::NOTTY | Errno::OPNOTSUPP)) => (&["unified"][..], e),
        Err(e) => bail!("enable_verity: {e}"),
    };
    race_until(wanted, |race| {
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir)?;
        let (a, b) = (dir.join("a"), dir.join("b"));
        fs::write(&a, CONTENT)?;
        fs::hard_link(&a, &b)?;
        let (guarded, unified) = race.pair(
            || enable_verity(&open(&a, OFlags::RDONLY)?),
            || set_flags(&b, UNIFIED, UNIFIED),
        )?;
        match (guarded, unified) {
            (Err(e), Ok(())) if [Errno::PERM, refusal].contains(&e) => {
                race.count("unified");
                How::Append.run(&a)?;
                ensure!(fs::read(&b)? == CONTENT);
                set_flags(&b, 0, UNIFIED)?;
            }
            (Ok(_), Err(Errno::PERM)) => race.count("guarded"),
            (guarded, unified) => ensure!(false, "{guarded:?}, {unified:?}"),
        }
        Ok(())
    })?;
    Ok(fs::remove_dir_all(&dir)?)
}
