// SPDX-License-Identifier: GPL-2.0
//! `vserver-stat`, `vps`: what each context uses, and its processes.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use vserver::context;
use vserver::usage::{self, Process};

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
    context::list()?;
    usage::become_spectator()?;
    let all = usage::usage(&usage::processes()?)?;
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

/// List the processes of all contexts
#[derive(Debug, Parser)]
#[command(
    name = "vps",
    version,
    after_help = "Options of ps(1) are not needed: it shows all, with their contexts."
)]
pub(super) struct Ps {
    /// Options of ps(1), which are left unheard
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    options: Vec<OsString>,
}

pub(super) fn ps(_: &Ps) -> anyhow::Result<ExitCode> {
    context::list()?;
    usage::become_spectator()?;
    let row = |p: Process| {
        [
            p.pid.to_string(),
            p.xid.to_string(),
            p.uid.to_string(),
            p.state.to_string(),
            time(p.user_msec + p.sys_msec),
            p.command,
        ]
    };
    let rows = usage::processes()?.into_iter().map(row).collect();
    output::table([">PID", ">CONTEXT", ">UID", "S", ">TIME", "CMD"], rows)?;
    Ok(ExitCode::SUCCESS)
}
