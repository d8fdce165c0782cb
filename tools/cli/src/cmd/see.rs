// SPDX-License-Identifier: GPL-2.0
//! What contexts use: `ps`, `stat`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use vserver::abi;
use vserver::context;
use vserver::usage::{self, Process};

use super::state::{memory, or_dash};
use crate::args::Ps;
use crate::output::{self, bytes, time};

/// `vserver ps`
pub(crate) fn ps(args: &Ps, json: bool) -> anyhow::Result<ExitCode> {
    let wanted = args.context.iter().map(|c| context::resolve(c));
    let wanted = wanted.collect::<vserver::Result<Vec<u32>>>()?;
    let contexts = context::list()?.into_iter().map(|c| (c.xid, c.name));
    let names: BTreeMap<u32, String> = contexts.collect();
    usage::become_spectator()?;
    let mut all = usage::processes()?;
    all.retain(|p| match wanted.is_empty() {
        true => args.all || p.xid > abi::VX_XID_WATCH,
        false => wanted.contains(&p.xid),
    });
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |p: Process| {
        let name = names.get(&p.xid).cloned().unwrap_or_default();
        [
            p.pid.to_string(),
            p.xid.to_string(),
            or_dash(name),
            p.uid.to_string(),
            p.state.to_string(),
            bytes(p.resident_bytes),
            time(p.user_msec + p.sys_msec),
            p.command,
        ]
    };
    output::table(
        [
            ">PID", ">XID", "NAME", ">UID", "S", ">RSS", ">CPU", "COMMAND",
        ],
        all.into_iter().map(row).collect(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// `vserver stat`
pub(crate) fn stat(json: bool) -> anyhow::Result<ExitCode> {
    let all = usage::look()?;
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.into_iter().map(|u| {
        [
            u.xid.to_string(),
            u.processes.to_string(),
            bytes(u.virtual_bytes),
            bytes(u.resident_bytes),
            u.memory
                .map_or_else(|| "-".into(), |m| memory(m.used, m.limit)),
            time(u.user_msec),
            time(u.sys_msec),
            time(u.hold_msec),
            u.uptime_msec.map_or_else(|| "-".into(), time),
            or_dash(u.name),
        ]
    });
    output::table(
        [
            ">XID", ">PROC", ">VSZ", ">RSS", ">MEMORY", ">USER", ">SYS", ">HELD", ">UPTIME", "NAME",
        ],
        rows.collect(),
    )?;
    Ok(ExitCode::SUCCESS)
}
