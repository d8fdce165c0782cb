// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that change and end contexts.

use clap::Args;
use vserver::signal;

use super::One;
use super::limits::Limits;

/// Arguments of `vserver set`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver set web --cpu 50%
  vserver set web --cpu none
  vserver set web --memory 1G --swap 0
  vserver set web --oom-bias 300           (killed sooner when memory runs out)
  vserver set web --processes 200 --files 5000 --sockets unlimited
  vserver set web --flag +sched_pause      (hold all its processes)
  vserver set web --flag -persistent       (let it end with its last process)")]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) one: One,
    /// Its new name; guests have the name of their file
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// Arguments of `vserver kill`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver kill web                     (TERM to all its processes)
  vserver kill web --init --signal INT
  vserver kill 100 --signal KILL")]
pub(crate) struct Kill {
    #[command(flatten)]
    pub(crate) one: One,
    /// The signal: TERM, SIGTERM or 15
    #[arg(long, short, default_value = "TERM", value_parser = signal::parse)]
    pub(crate) signal: i32,
    /// To all processes (the default)
    #[arg(long, group = "target")]
    pub(crate) all: bool,
    /// To the context's init alone
    #[arg(long, group = "target")]
    pub(crate) init: bool,
    /// To all but its init
    #[arg(long, group = "target")]
    pub(crate) others: bool,
    /// To one process of it
    #[arg(long, group = "target", value_name = "PID", value_parser = clap::value_parser!(i32).range(2..))]
    pub(crate) pid: Option<i32>,
}

/// Arguments of `vserver wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vserver kill web; vserver wait web --timeout 10 || vserver kill web --signal KILL")]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) one: One,
    /// Give up after so many seconds, with exit status 124
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}
