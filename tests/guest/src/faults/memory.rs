// SPDX-License-Identifier: GPL-2.0
//! No memory at any step of an operation: `ENOMEM` and nothing has happened, or it goes on without.

use super::case::{self, Case, at_every_point, link_again, old_or_new, rich};
use super::ground::Ground;
use super::nth::{Fault, Point};
use crate::process::{Status, spawn};
use crate::unified::Pair;
use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

/// Some file systems have other names for it: what keeps ext4 from charging blocks is a lack of
/// quota, and a tmpfs without a new inode is full.
pub fn no_memory_errors() -> &'static [Errno] {
    match super::kind().as_str() {
        "ext4" => &[Errno::NOMEM, Errno::DQUOT],
        "tmpfs" => &[Errno::NOMEM, Errno::NOSPC],
        // Its log says so of whatever it could not write.
        "btrfs" => &[Errno::NOMEM, Errno::IO, Errno::ROFS],
        _ => &[Errno::NOMEM],
    }
}

pub fn no_memory(case: &Case) -> Result<()> {
    let ground = Ground::scrap()?;
    at_every_point(&ground, &Point::Memory, case, no_memory_errors(), || Ok(()))
}

pub fn memory_open() -> Result<()> {
    no_memory(&case::OPEN)
}

pub fn memory_chmod() -> Result<()> {
    no_memory(&case::CHMOD)
}

pub fn memory_truncate() -> Result<()> {
    no_memory(&case::TRUNCATE)
}

pub fn memory_setxattr() -> Result<()> {
    no_memory(&case::SETXATTR)
}

pub fn memory_set_flags() -> Result<()> {
    no_memory(&case::SET_FLAGS)
}

pub fn memory_clear_flags() -> Result<()> {
    no_memory(&case::CLEAR_FLAGS)
}

pub fn memory_last_link() -> Result<()> {
    no_memory(&case::LAST_LINK)
}

const XID: u32 = 310;

/// Inside a context linking is what breaks. Each attempt has a process of its own, as nobody leaves
/// a context to prepare the next.
pub fn memory_link_inside() -> Result<()> {
    let ground = Ground::scrap()?;
    let pair = Pair::with("inside", rich)?;
    let account = ground.account()?;
    let c = pair.dir.join("c");

    for nth in 1.. {
        let child = spawn(|| {
            let linked = || -> Result<_> {
                let fault = Fault::new(&Point::Memory)?;
                abi::ctx_create(XID, 0)?;
                fault.strike(nth, || rustix::fs::link(&pair.a, &c))
            };
            match linked() {
                Ok((Ok(()), struck)) => i32::from(struck),
                Ok((Err(e), true)) if no_memory_errors().contains(&e) => 2,
                Ok((got, struck)) => {
                    println!("# fault {nth}: {got:?}, {struck}");
                    3
                }
                Err(e) => {
                    println!("# fault {nth}: {e:#}");
                    4
                }
            }
        })?;
        let status = child.wait()?;
        ground.heal()?;
        let checked = match status {
            Status::Exited(0 | 1) => {
                fs::remove_file(&c)?;
                pair.broken_alike().map(|()| false)
            }
            // Linking may fail when breaking the link has not.
            Status::Exited(2) => old_or_new(&pair),
            status => bail!("fault {nth}: {status:?}"),
        };
        let old = checked.with_context(|| format!("fault {nth}: {status:?}"))?;
        if !old {
            link_again(&pair)?;
        }
        if status == Status::Exited(0) {
            println!("# {} faults", nth - 1);
            break;
        }
    }
    ground.nothing_leaked(&account, case::SIZE as u64)
}
