// SPDX-License-Identifier: GPL-2.0
//! What all security modules have in common that label files: by its label somebody may write one,
//! only read it, or nothing.

use super::rights::{compare, here, users_file};
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// A security module, and the labels of the policy that it gets.
pub(super) trait Labels {
    /// Of a guest's files.
    const GUEST: &'static str;
    /// Of processes that may write those.
    const WRITER: &'static str;
    /// Of processes that may read them, and no more.
    const READER: &'static str;
    /// Of processes that may do nothing to them.
    const STRANGER: &'static str;

    /// Sees to it that the policy is in force.
    fn policy() -> Result<()>;

    /// Gives a file this label.
    fn set_label(path: &Path, label: &str) -> Result<()>;

    /// Makes a user's file that is a guest's.
    fn labelled(a: &Path) -> Result<()> {
        users_file(a)?;
        Self::set_label(a, Self::GUEST)
    }

    /// Appends as one who may.
    fn append(path: &Path) -> Result<()> {
        isolated(|| {
            become_labelled(Self::WRITER)?;
            let mut file = OpenOptions::new().append(true).open(path)?;
            Ok(file.write_all(b"more")?)
        })
    }

    /// The file has the label of a guest's, not just its attribute: it decides who may read.
    fn check_label(path: &Path) -> Result<()> {
        isolated(|| {
            become_labelled(Self::READER)?;
            open(path, OFlags::RDONLY).context("as reader")?;
            Ok(())
        })?;
        isolated(|| {
            become_labelled(Self::STRANGER)?;
            refused("as stranger", open(path, OFlags::RDONLY), Errno::ACCESS)
        })
    }

    fn who_may_write() -> Result<()> {
        compare_labelled::<Self>("writer", || become_labelled(Self::WRITER))
    }

    fn who_may_read() -> Result<()> {
        compare_labelled::<Self>("reader", || become_labelled(Self::READER))
    }

    fn who_may_nothing() -> Result<()> {
        compare_labelled::<Self>("stranger", || become_labelled(Self::STRANGER))
    }
}

/// Tries everything on a guest's files.
fn compare_labelled<L: Labels + ?Sized>(name: &str, become_them: fn() -> Result<()>) -> Result<()> {
    L::policy()?;
    compare(name, L::labelled, here(become_them))
}

/// Becomes one with this label. Only in a process of its own.
pub(super) fn become_label(label: &str) -> Result<()> {
    fs::write("/proc/self/attr/current", label).context("attr/current")
}

/// Becomes the file's owner, as a process with this label.
pub(super) fn become_labelled(label: &str) -> Result<()> {
    become_label(label)?;
    become_user()
}
