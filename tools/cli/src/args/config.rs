// SPDX-License-Identifier: GPL-2.0
//! Arguments of `vserver config`.

use clap::{Args, Subcommand};

/// Look at the configuration of guests.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the files of guests, and whether they fit together
    #[command(after_help = "\
Examples:
  vserver config check
  vserver config check web db

Exit status: 0 if all is well, 6 if something is wrong.")]
    Check(Guests),
    /// Show a guest's configuration
    #[command(after_help = "\
Examples:
  vserver config show web
  vserver config show web --json")]
    Show(Guest),
    /// Turn a directory /etc/vservers/NAME of the old tools into a file
    ///
    /// The file goes to /etc/vserver/NAME.toml. The directory stays; it is not looked at any more
    /// once there is a file. What has no counterpart is named.
    #[command(after_help = "\
Examples:
  vserver config convert --dry-run web
  vserver config convert web db")]
    Convert(Convert),
}

/// A guest.
#[derive(Debug, Args)]
pub(crate) struct Guest {
    /// The guest's name
    #[arg(value_name = "NAME")]
    pub(crate) guest: String,
}

/// Some guests, or all.
#[derive(Debug, Args)]
pub(crate) struct Guests {
    /// The guests' names [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) guest: Vec<String>,
}

/// One guest or more.
#[derive(Debug, Args)]
pub(crate) struct SomeGuests {
    /// The guests' names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) guest: Vec<String>,
}

/// Arguments of `vserver config convert`.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// Print the file instead of writing it
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The guests' names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) guest: Vec<String>,
}

/// Arguments of `vserver generate`.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Print the other names of the command, a line each
    #[arg(long)]
    pub(crate) names: bool,
    /// Where manual pages (man1, man5) and completions go
    #[arg(value_name = "DIR", required_unless_present = "names")]
    pub(crate) dir: Option<std::path::PathBuf>,
}
