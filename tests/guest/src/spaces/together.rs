// SPDX-License-Identifier: GPL-2.0
//! Several who put something into one set at once.

use super::{Guest, IPC, MNT, UTS, XID, status};
use crate::process::{Gate, Status, spawn};
use anyhow::{Result, ensure};
use rustix::thread::UnshareFlags;
use vserver_abi as abi;

const ROUNDS: u32 = 100;
const KINDS: [u64; 3] = [MNT, UTS, IPC];

/// What each of them put there is held in the end.
pub(super) fn pinned_at_once() -> Result<()> {
    for round in 0..ROUNDS {
        let guest = Guest::new(UnshareFlags::NEWCGROUP, 0)?;
        let start = Gate::new()?;
        let mut all = Vec::new();
        for kind in KINDS {
            all.push(spawn(|| {
                let done = start.pass().is_ok() && abi::set_space(XID, kind, 0).is_ok();
                i32::from(!done)
            })?);
        }
        for _ in KINDS {
            start.open()?;
        }
        for one in all {
            ensure!(one.wait()? == Status::Exited(0));
        }
        let held = UTS | IPC | MNT | u64::from(UnshareFlags::NEWCGROUP.bits());
        let shown = status(XID, "Spaces")?;
        ensure!(shown == format!("{held:08x}"), "{shown}, round {round}");
        guest.end()?;
    }
    Ok(())
}
