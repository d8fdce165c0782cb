// SPDX-License-Identifier: GPL-2.0
//! As `landlock`, with a security module that knows files by their paths and is also asked about
//! modes and owners: AppArmor. Everybody here is root with all capabilities, so that only his profile
//! refuses anything.
//!
//! The profiles are tests/guest/apparmor.profiles.

use super::landlock::{TRUNCATING, WRITING};
use super::operations::chown;
use super::rights::{compare, here, users_file};
use crate::process::isolated;
use crate::twin::{Op, Twin};
use crate::unified::*;
use anyhow::{Context as _, Result};
use rustix::fs::{self as rfs, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs;

const MODE: Mode = Mode::from_raw_mode(0o640);

/// What else needs the right to write.
const CHANGING: [(&str, Op); 5] = [
    ("chmod", |a| rfs::chmod(a, MODE)),
    ("fchmod", |a| rfs::fchmod(open(a, OFlags::RDONLY)?, MODE)),
    ("chown", |a| chown(a, Some(USER + 3), None)),
    ("chgrp", |a| chown(a, None, Some(USER + 3))),
    ("fchown", |a| {
        rfs::fchown(open(a, OFlags::RDONLY)?, Some(Uid::from_raw(USER)), None)
    }),
];

fn mediated() -> impl Iterator<Item = &'static (&'static str, Op)> {
    TRUNCATING.iter().chain(&WRITING).chain(&CHANGING)
}

fn load_profiles() -> Result<()> {
    let profiles = fs::read("/tests/apparmor.policy")?;
    fs::write("/sys/kernel/security/apparmor/.replace", profiles).context("profiles")
}

/// Only in a process of its own.
fn confine(profile: &str) -> Result<()> {
    let command = format!("changeprofile {profile}");
    fs::write("/proc/self/attr/apparmor/current", &command).context(command)
}

pub(super) fn apparmor_forbids_to_write() -> Result<()> {
    load_profiles()?;
    let twin = Twin::with("apparmor_forbid", users_file)?;
    isolated(|| {
        confine("reader")?;
        for (what, op) in mediated() {
            refused(what, op(&twin.plain()), Errno::ACCESS).context("the plain file")?;
            twin.pair.refused(what, op(&twin.pair.a), Errno::ACCESS)?;
        }
        Ok(())
    })
}

/// Who may write the file, but neither make nor rename any, needs no more for a private copy.
pub(super) fn apparmor_allows_to_write() -> Result<()> {
    load_profiles()?;
    for (what, op) in mediated() {
        let pair = Pair::with("apparmor_allow", users_file)?;
        isolated(|| {
            confine("writer")?;
            let other = pair.dir.join("c");
            let made = open(&other, OFlags::WRONLY | OFlags::CREATE);
            refused("create", made, Errno::ACCESS)?;
            refused("rename", rfs::rename(&pair.a, &other), Errno::ACCESS)?;
            Ok(op(&pair.a)?)
        })
        .and_then(|()| pair.broken())
        .with_context(|| (*what).to_owned())?;
    }
    Ok(())
}

/// AppArmor is not asked about times and attributes: all may change them.
pub(super) fn as_reader_by_apparmor() -> Result<()> {
    load_profiles()?;
    compare("apparmor_reader", users_file, here(|| confine("reader")))
}

pub(super) fn as_writer_by_apparmor() -> Result<()> {
    load_profiles()?;
    compare("apparmor_writer", users_file, here(|| confine("writer")))
}
