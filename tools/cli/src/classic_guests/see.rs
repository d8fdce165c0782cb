// SPDX-License-Identifier: GPL-2.0
//! `vserver-stat`: what each context uses.

use std::process::ExitCode;

use clap::Parser;
use vserver::usage;

use crate::output::{self, bytes, time};

/// Show what each context uses
#[derive(Debug, Parser)]
#[command(
    name = "vserver-stat",
    version,
    after_help = "The same as vserver stat."
)]
pub(super) struct Stat {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn stat(args: &Stat) -> anyhow::Result<ExitCode> {
    let all = usage::look()?;
    if args.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.into_iter().map(|u| {
        [
            u.xid.to_string(),
            u.processes.to_string(),
            bytes(u.virtual_bytes),
            bytes(u.resident_bytes),
            time(u.user_msec),
            time(u.sys_msec),
            u.uptime_msec.map_or_else(|| "-".into(), time),
            u.name,
        ]
    });
    let heads = [
        "CTX",
        ">PROC",
        ">VSZ",
        ">RSS",
        ">userTIME",
        ">sysTIME",
        ">UPTIME",
        "NAME",
    ];
    output::table(heads, rows.collect())?;
    Ok(ExitCode::SUCCESS)
}
