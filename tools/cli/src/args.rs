// SPDX-License-Identifier: GPL-2.0
//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use rustix::thread::UnshareFlags;
use vserver::cpu::{CpuLimit, SchedChange};
use vserver::guest::{Caps, namespaces};
use vserver::names::FlagChange;
use vserver::signal;

/// Arguments of `vserver wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vserver kill web && vserver wait web --timeout 10 || vserver kill web --signal KILL")]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) one: One,
    /// Give up after so many seconds, with exit status 124
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text}: say KEY=VALUE")),
    }
}
