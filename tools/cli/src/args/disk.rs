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
  vserver disk set 101 /vservers --space 10G --inodes 500000")]
pub(crate) enum Disk {
    /// Set or change a limit
    ///
    /// Where there is none yet, or after a crash, what the context has already is added up first: the
    /// guest must not run then.
    Set(DiskSet),
    /// Show what is used, and the limit
    Show(DiskOne),
    /// Add up what there is, and say whether that is what is counted
    Check(DiskCheck),
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

/// Arguments of `vserver disk check`.
#[derive(Debug, Args)]
pub(crate) struct DiskCheck {
    #[command(flatten)]
    pub(crate) one: DiskOne,
    /// Count what is found, for users and groups too: the guest must not run then
    #[arg(long)]
    pub(crate) mend: bool,
}
