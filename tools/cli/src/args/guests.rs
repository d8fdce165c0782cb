// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that start and stop guests.

use clap::Args;

/// Arguments of `vserver start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver start web
  vserver start --all")]
pub(crate) struct Start {
    /// All guests that are to be started at boot (autostart)
    #[arg(long)]
    pub(crate) all: bool,
    /// The guests' names
    #[arg(
        value_name = "NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) guest: Vec<String>,
}

/// Arguments of `vserver stop`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver stop web
  vserver stop --all

How long each of these steps takes at most, and what tells the init, is configured: [stop].")]
pub(crate) struct Stop {
    /// All guests that run
    #[arg(long)]
    pub(crate) all: bool,
    /// The guests' names; also contexts that have no configuration
    #[arg(
        value_name = "NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) guest: Vec<String>,
}
