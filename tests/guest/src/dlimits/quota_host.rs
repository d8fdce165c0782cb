// SPDX-License-Identifier: GPL-2.0
//! What the host says and learns of the quotas in a context, to keep them when a mount ends.

use super::quota::{LIMITS, Quota, USERS, get, inodes, owners_equal_a_scan, set, turn, with_quota};
use super::{OWN, on};
use crate::harness::Test;
use crate::tags::inside;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use vserver_abi::{self as abi, Amount, Owner, QuotaInfo};

pub(super) const TESTS: &[Test] = tests![
    limits_of_those_inside,
    time_begins_if_limits_hold,
    time_goes_on,
    limits_come_to_an_end,
    no_noquota,
];

fn add(dir: &Path, name: &str) -> Result<(), Option<i32>> {
    fs::write(dir.join(name), "").map_err(|e| e.raw_os_error())
}

fn make(dir: &Path, names: &[&str]) -> Result<()> {
    inside(OWN, || {
        become_user()?;
        for name in names {
            ensure!(add(dir, name) == Ok(()), "{name}");
        }
        Ok(())
    })
}

fn is_refused(dir: &Path, name: &str) -> Result<()> {
    inside(OWN, || {
        become_user()?;
        let made = add(dir, name);
        ensure!(made == Err(Some(libc::EDQUOT)), "{made:?}");
        Ok(())
    })
}

fn of_user(dir: &Path) -> Result<abi::Quota> {
    let (owner, quota) = abi::get_quota(OWN, dir, Owner::User(USER))?;
    ensure!(owner == Owner::User(USER), "{owner:?}");
    Ok(quota)
}

/// Above a soft limit of 2 inodes.
fn above(name: &str, holds: bool) -> Result<std::path::PathBuf> {
    let dir = with_quota(name)?;
    let soft = Quota {
        inodes_soft: 2,
        valid: LIMITS,
        ..Quota::default()
    };
    inside(OWN, || {
        set(&dir, USERS, USER, soft)?;
        if holds {
            turn(&dir, USERS, true)?;
        }
        Ok(())
    })?;
    make(&dir, &["1", "2", "3"])?;
    Ok(dir)
}

/// What was set inside is read, and set where it was forgotten.
fn limits_of_those_inside() -> Result<()> {
    let dir = with_quota("read")?;
    inside(OWN, || {
        set(&dir, USERS, USER, inodes(3))?;
        Ok(turn(&dir, USERS, true)?)
    })?;
    make(&dir, &["1", "2"])?;
    let info = abi::get_quota_info(OWN, &dir, Owner::USERS)?;
    ensure!(info.flags == abi::CQUOTA_ENFORCED, "{info:?}");
    let groups = abi::get_quota_info(OWN, &dir, Owner::GROUPS)?;
    ensure!(groups.flags == 0, "{groups:?}");
    let quota = of_user(&dir)?;
    ensure!(
        (quota.inodes.hard, quota.inodes.used) == (3, 2),
        "{quota:?}"
    );
    let after = abi::get_quota(OWN, &dir, Owner::User(USER + 1));
    ensure!(after.is_err_and(|e| e == Errno::NOENT));

    abi::rem_quota(OWN, &dir)?;
    abi::add_quota(OWN, &dir)?;
    let groups = abi::Quota {
        space: Amount::used(quota.space.used),
        ..quota
    };
    abi::set_quota(OWN, &dir, Owner::User(USER), &quota)?;
    abi::set_quota(OWN, &dir, Owner::Group(USER), &groups)?;
    abi::set_quota_info(OWN, &dir, Owner::USERS, &info)?;
    owners_equal_a_scan(&dir)?;
    make(&dir, &["3"])?;
    is_refused(&dir, "4")?;
    let off = QuotaInfo {
        flags: abi::CQUOTA_COUNTED,
        ..QuotaInfo::KEEP
    };
    abi::set_quota_info(OWN, &dir, Owner::USERS, &off)?;
    make(&dir, &["4"])
}

fn time_begins_if_limits_hold() -> Result<()> {
    let dir = above("begins", false)?;
    ensure!(of_user(&dir)?.inodes.until == 0);
    inside(OWN, || Ok(turn(&dir, USERS, true)?))?;
    make(&dir, &["4"])?;
    ensure!(of_user(&dir)?.inodes.until > 1);
    Ok(())
}

/// Also when it is counted anew who has what.
fn time_goes_on() -> Result<()> {
    let dir = above("goes-on", true)?;
    let begun = of_user(&dir)?;
    ensure!(begun.inodes.until > 1, "{begun:?}");
    let past = abi::Quota {
        inodes: Amount {
            until: 1,
            ..Amount::KEEP
        },
        space: Amount::KEEP,
    };
    abi::set_quota(OWN, &dir, Owner::User(USER), &past)?;
    abi::set_quota(OWN, &dir, Owner::USERS, &abi::Quota::used(0, 0))?;
    let nothing = of_user(&dir)?;
    ensure!(
        (nothing.inodes.used, nothing.inodes.until) == (0, 0),
        "{nothing:?}"
    );
    inside(OWN, || {
        ensure!(get(&dir, USERS, USER)?.inodes_time == 0);
        Ok(())
    })?;
    let used = abi::Quota::used(begun.space.used, begun.inodes.used);
    abi::set_quota(OWN, &dir, Owner::User(USER), &used)?;
    ensure!(of_user(&dir)?.inodes.until == 1);
    is_refused(&dir, "4")?;
    owners_equal_a_scan(&dir)?;
    Ok(())
}

/// They cost memory of the kernel, whoever it is charged to. It takes a while, and no part of a file
/// system.
fn limits_come_to_an_end() -> Result<()> {
    const MOST: u32 = 65536;
    if !on("tmpfs") {
        return Ok(());
    }
    let dir = with_quota("end")?;
    let limit = |id, hard| {
        let space = Amount {
            hard,
            ..Amount::KEEP
        };
        let inodes = Amount::KEEP;
        abi::set_quota(OWN, &dir, Owner::User(id), &abi::Quota { space, inodes })
    };
    for id in 0..MOST {
        limit(id * 64, 1).with_context(|| format!("{id}"))?;
    }
    refused("one more", limit(MOST * 64, 1), Errno::NOSPC)?;
    // Those that there are change, and who has none can have something.
    limit(64, 2)?;
    limit(MOST * 64, 0)?;
    make(&dir, &["1"])?;
    limit(64, 0)?;
    limit(MOST * 64, 1)?;
    inside(OWN, || {
        let another = set(&dir, USERS, 64, inodes(1));
        refused("inside", another, Errno::NOSPC)
    })?;
    // Each of them is gone.
    abi::rem_quota(OWN, &dir)?;
    abi::add_quota(OWN, &dir)?;
    Ok(limit(64, 1)?)
}

/// Programs about quota look for that among the options of xfs.
fn no_noquota() -> Result<()> {
    if !on("xfs") {
        return Ok(());
    }
    let dir = with_quota("mounts")?;
    let says = || -> Result<bool> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = format!(" {} ", root().display());
        let line = mounts.lines().find(|line| line.contains(&root));
        Ok(line.context("a line")?.contains("noquota"))
    };
    ensure!(says()?, "the host");
    inside(OWN, || {
        ensure!(!says()?, "inside");
        Ok(())
    })?;
    abi::rem_quota(OWN, &dir)?;
    inside(OWN, || {
        ensure!(says()?, "without");
        Ok(())
    })
}
