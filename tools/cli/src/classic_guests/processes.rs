// SPDX-License-Identifier: GPL-2.0
//! `vkill`, `vwait`: signals to the processes of a context, and their end.

use std::process::ExitCode;

use clap::Parser;
use vserver::context::{self, Target};
use vserver::signal;

use crate::output::line;

/// Send a signal to processes of a context
#[derive(Debug, Parser)]
#[command(
    name = "vkill",
    version,
    after_help = "Examples:\n  vkill --xid web -s KILL\n  vkill --xid web -s HUP -- 1 3415"
)]
pub(super) struct Kill {
    /// The context's id or name
    #[arg(long, short = 'c', value_name = "XID|NAME")]
    xid: String,
    /// The signal
    #[arg(short, default_value = "TERM", value_parser = signal::parse)]
    pub(super) s: i32,
    /// The processes; 1 is the context's init [default: all]
    #[arg(value_name = "PID")]
    pub(super) pid: Vec<i32>,
}

pub(super) fn kill(args: &Kill) -> anyhow::Result<ExitCode> {
    let xid = context::resolve(&args.xid)?;
    if args.pid.is_empty() {
        context::kill(xid, Target::All, args.s)?;
    }
    for pid in &args.pid {
        let target = match pid {
            1 => Target::Init,
            pid => Target::Pid(*pid),
        };
        context::kill(xid, target, args.s)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Wait until a context is gone
#[derive(Debug, Parser)]
#[command(name = "vwait", version, after_help = "Example:\n  vwait web")]
pub(super) struct Wait {
    /// The context's id or name
    #[arg(value_name = "XID|NAME")]
    xid: String,
}

pub(super) fn wait(args: &Wait) -> anyhow::Result<ExitCode> {
    let ended = context::wait(context::resolve(&args.xid)?)?;
    line(signal::exit_status(ended.exit_code))?;
    Ok(ExitCode::SUCCESS)
}
