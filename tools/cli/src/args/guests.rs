// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that start and stop guests.

use clap::Args;

/// Arguments of `vserver start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver start web
  vserver start --all

A process stays behind that watches the guest: it starts it again if it calls reboot(2) for that,
as reboot does inside. One that halts or is stopped stays down.")]
pub(crate) struct Start {
    /// All guests that are to be started at boot (autostart)
    #[arg(long)]
    pub(crate) all: bool,
    /// Stay and watch the guest, for a supervisor such as systemd; end when it is down. It may run
    /// already
    #[arg(long, conflicts_with = "all")]
    pub(crate) foreground: bool,
    /// The guests' names; one with --foreground
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
  vserver stop 100

How long each of these steps takes at most, and what tells the init, is configured: [stop]. Of
several, those that require others are stopped before these.")]
pub(crate) struct Stop {
    /// All guests that run
    #[arg(long)]
    pub(crate) all: bool,
    /// The guests' names; also contexts that have no configuration, by name or id
    #[arg(
        value_name = "NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) guest: Vec<String>,
}
