// SPDX-License-Identifier: GPL-2.0
//! Breaks against the end of the breaker.

use super::mounts::new_mount_namespace;
use super::race::{Order, race_until};
use super::shared::{How, Shared, differ};
use crate::process::{Gate, Status, spawn};
use crate::unified::*;
use anyhow::{Result, bail, ensure};
use rustix::mount::mount_bind;
use rustix::process::Signal;
use std::time::Instant;

/// SIGKILL at any moment leaves the old file or a new one, whole, and nothing else. Half of those
/// killed take the only mount of the path with them.
pub fn kill() -> Result<()> {
    let shared = Shared::new("kill")?;
    race_until(&["nothing", "done"], |race| {
        shared.renew()?;
        let how = race.pick(How::ALL)?;
        let moment = race.moment();
        let alone = race.below(2) == 0;
        let (ready, go) = (Gate::new()?, Gate::new()?);
        let child = spawn(|| {
            let prepare = || -> Result<()> {
                if alone {
                    new_mount_namespace()?;
                    mount_bind(&shared.inner, &shared.inner)?;
                }
                ready.open()?;
                go.pass()
            };
            match prepare() {
                Ok(()) => i32::from(how.run(&shared.a).is_err()),
                Err(_) => 2,
            }
        })?;
        ready.pass()?;
        let start = Instant::now();
        if race.order() != Order::After {
            go.open()?;
        }
        if matches!(race.order(), Order::Any | Order::Inside) {
            std::thread::sleep(moment);
        }
        if race.order() != Order::Before {
            // It may have exited.
            let _ = child.kill(Signal::KILL);
        }
        let killed = match child.wait()? {
            Status::Exited(0) => false,
            Status::Killed(_) => true,
            status => bail!("{how:?}: {status:?}"),
        };
        if !killed {
            race.took(start.elapsed());
        }
        let now = look(&shared.a)?;
        let copied = Look {
            ino: now.ino,
            flags: 0,
            ..shared.before.clone()
        };
        // write(2) to any file sets the time, then looks for signals, then copies the bytes.
        let touched = Look {
            mtime: now.mtime,
            ..copied.clone()
        };
        let outcome = if now == shared.before {
            "nothing"
        } else if now == copied {
            "copied"
        } else if how == How::Append && now == touched && now.mtime > shared.before.mtime {
            "touched"
        } else {
            let done = how.applied(&shared.before, &now);
            ensure!(
                now == done && now.ino != shared.before.ino,
                "{how:?}: {}",
                differ(&now, &done)
            );
            "done"
        };
        ensure!(killed || outcome == "done", "{how:?}: {outcome}");
        race.count(outcome);
        shared.settled(&["in", "in/a"])
    })
}
