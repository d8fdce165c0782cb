// SPDX-License-Identifier: GPL-2.0
//! Breaks against the module's coming and going: with it they are done, without it the file is
//! immutable, and there is nothing in between.

use super::leases::{Hold, Sigio};
use super::race::race_until;
use super::shared::{How, Shared};
use crate::module::{insert, remove, remove_soon};
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fd::AsFd as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use std::time::Duration;
use vserver_abi as abi;

const XID: u32 = 330;
const PATIENCE: Duration = Duration::from_secs(20);

/// It goes at any moment of a break, but never under its feet. Each name is then broken, or what it
/// was, and stays so.
pub fn module_removal() -> Result<()> {
    let shared = Shared::new("module")?;
    let names = [shared.a.clone(), shared.inner.join("c")];
    race_until(&["done", "PermissionDenied"], |race| {
        shared.renew()?;
        for name in names.iter().skip(1) {
            fs::hard_link(&shared.b, name)?;
        }
        let how = race.pick(How::ALL)?;
        let outcomes = race.many(names.len() + 1, |i| match names.get(i) {
            Some(name) => Ok(how.run(name)),
            None => remove_soon().map(|()| Ok(0)),
        })?;
        let immutable = names
            .iter()
            .zip(&outcomes)
            .try_for_each(|(name, got)| match got {
                Ok(Err(Errno::PERM)) => immutable(name),
                _ => Ok(()),
            });
        insert()?;
        immutable?;
        let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
        for (name, got) in names.iter().zip(outcomes) {
            race.count_result(got);
            ensure!(matches!(got, Ok(_) | Err(Errno::PERM)), "{how:?}: {got:?}");
            shared.consistent(name, how, got)?;
        }
        shared.settled(&["in", "in/a", "in/c"])
    })
}

/// What a unified file is without the module.
fn immutable(path: &Path) -> Result<()> {
    refused("chmod", How::Mode.run(path), Errno::PERM)?;
    refused("unlink", rustix::fs::unlink(path), Errno::PERM)
}

/// While a context exists the module stays.
pub fn module_with_a_context() -> Result<()> {
    let shared = Shared::new("context")?;
    isolated(|| {
        // Root inside could not ask otherwise.
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        refused("rmmod", remove(), Errno::AGAIN)?;
        How::Append.run(&shared.a).context("inside")?;
        Ok(())
    })?;
    shared.modified(&shared.a, How::Append)?;
    remove_soon()?;
    insert()?;
    shared.settled(&["in", "in/a"])
}

/// So it does while a break waits for somebody's delegation.
pub fn module_with_a_break() -> Result<()> {
    let shared = Shared::new("waiting")?;
    let sigio = Sigio::block();
    let dir = open(&shared.inner, OFlags::RDONLY)?;
    Hold::Delegation.take(dir.as_fd())?;
    let (got, tried) = std::thread::scope(|scope| {
        let breaker = scope.spawn(|| How::Append.run(&shared.a));
        let tried = match sigio.comes(PATIENCE) {
            true => refused("rmmod", remove(), Errno::AGAIN),
            false => Err(anyhow!("the break does not wait")),
        };
        let released = Hold::Delegation.give_back(dir.as_fd());
        (breaker.join(), tried.and(released.context("release")))
    });
    tried?;
    got.map_err(|_| anyhow!("panic"))??;
    shared.modified(&shared.a, How::Append)?;
    shared.settled(&["in", "in/a"])
}
