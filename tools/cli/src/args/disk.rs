// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands about disk limits.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vserver::dlimit::{Percent, Space};
use vserver::limits::Most;

/// How much of a file system the files of a context may take.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
The file system has to be mounted with the option tag. A limit, and what is counted, survives a clean
unmount; after a crash it is gone. That of a guest is in its configuration, and set when it is started.

Example:
  vserver disk set 101 /vservers --space 10G --inodes 500000
  vserver disk show 101 /vservers --owners")]
pub(crate) enum Disk {
    /// Set or change a limit
    ///
    /// Where there is none yet, or after a crash, what the context has already is added up first: the
    /// guest must not run then.
    Set(DiskSet),
    /// Show what is used, and the limit
    Show(DiskShow),
    /// Add up what there is, and say whether that is what is counted
    ///
    /// What each user and group has is compared, too, if it is counted. The status is 1 if something
    /// else is counted, and is not mended.
    Check(DiskCheck),
    /// Write down the quotas of users in guests, so that they last over an unmount or a crash
    ///
    /// Only what has changed is written: limits, times, and whether they hold. vserver stop does so for
    /// its guest, and vserver-disk-save.timer every few minutes for all.
    Save(DiskSave),
    /// Forget a limit
    Remove(DiskOne),
}

/// A context and a file system.
#[derive(Debug, Args)]
pub(crate) struct DiskOne {
    /// The context's id; it need not run
    pub(crate) xid: u32,
    /// A file of the file system
    pub(crate) path: PathBuf,
}

/// Arguments of `vserver disk set`.
#[derive(Debug, Args)]
pub(crate) struct DiskSet {
    #[command(flatten)]
    pub(crate) one: DiskOne,
    /// The most space: KiB, or with M, G or T behind; or unlimited
    #[arg(long)]
    pub(crate) space: Option<Space>,
    /// The most inodes, or unlimited
    #[arg(long)]
    pub(crate) inodes: Option<Most>,
    /// Percent of both that are for root alone
    #[arg(long)]
    pub(crate) reserved: Option<Percent>,
    /// Whether users and groups inside can have quotas; what they have is added up first
    #[arg(long, value_name = "true|false")]
    pub(crate) quota: Option<bool>,
}

/// Arguments of `vserver disk show`.
#[derive(Debug, Args)]
pub(crate) struct DiskShow {
    #[command(flatten)]
    pub(crate) one: DiskOne,
    /// Show each user and group, too, if quotas are counted; JSON always has them
    #[arg(long)]
    pub(crate) owners: bool,
}

/// Arguments of `vserver disk save`.
#[derive(Debug, Args)]
pub(crate) struct DiskSave {
    /// Guests; all if none is named
    pub(crate) guest: Vec<String>,
}

/// Arguments of `vserver disk check`.
#[derive(Debug, Args)]
pub(crate) struct DiskCheck {
    #[command(flatten)]
    pub(crate) one: DiskOne,
    /// Count what is found where it is something else, for users and groups too: the guest must not
    /// run then. Limits and running times stay
    #[arg(long)]
    pub(crate) mend: bool,
}
