// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that show what contexts use.

use clap::{Args, ValueEnum};

/// Arguments of `vserver top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver top
  vserver top --delay 5 --sort memory")]
pub(crate) struct Top {
    /// Seconds between two looks
    #[arg(long, short, default_value_t = 2.0, value_name = "SECONDS", value_parser = delay)]
    pub(crate) delay: f64,
    /// What they are sorted by
    #[arg(long, short, value_enum, default_value_t = Column::Cpu)]
    pub(crate) sort: Column,
}

/// Arguments of `vserver list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver list
  vserver list --disk
  vserver list --json

DISK is what a guest's tree takes for itself, without unified files, as it was when last looked at;
how long ago that was stands behind it.")]
pub(crate) struct List {
    /// Look at the disk now: this walks the trees of all guests
    #[arg(long)]
    pub(crate) disk: bool,
}

/// A column of `vserver top`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    /// CPU time since the last look
    Cpu,
    /// What is in memory
    Memory,
    /// What their trees take of the disk for themselves
    Disk,
    /// Processes
    Processes,
    /// Time on hold since the last look
    Hold,
    /// Tokens in the bucket
    Tokens,
    /// The name
    Name,
    /// The id
    Xid,
}

fn delay(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text}: say seconds, from 0.1 to 3600")),
    }
}

/// Arguments of `vserver ps`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver ps
  vserver ps web db
  vserver ps --all --json")]
pub(crate) struct Ps {
    /// The host's processes, too
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Those of these contexts only
    #[arg(value_name = "XID|NAME")]
    pub(crate) context: Vec<String>,
}
