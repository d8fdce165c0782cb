// SPDX-License-Identifier: GPL-2.0
//! Changing and ending contexts: `set`, `kill`, `wait`.

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use vserver::abi::WaitExit;
use vserver::cgroup;
use vserver::config::Store;
use vserver::context::{self, Target};
use vserver::guest;
use vserver::limits;
use vserver::signal::exit_status;

use crate::args::{Kill, Set, Wait};
use crate::output;

/// The exit status of a wait that took too long, that of timeout(1).
const TIMED_OUT: u8 = 124;

/// `vserver set`
pub(crate) fn set(args: &Set, json: bool) -> anyhow::Result<ExitCode> {
    let (sched, flags) = (args.limits.sched(), args.limits.flags());
    let (things, memory) = (args.limits.things(), args.limits.memory());
    let oom_bias = args.limits.oom_bias();
    if args.name.is_none()
        && sched.to_abi(false).is_none()
        && sched.cpu.is_none()
        && flags.mask() == 0
        && things.is_empty()
        && memory.is_empty()
        && oom_bias.is_none()
    {
        bail!(
            "nothing to set: give --cpu, --flag, --name or another limit, see vserver set --help"
        );
    }
    let xid = context::resolve(&args.one.context)?;
    if let Some(name) = &args.name {
        guest::rename(&Store::system(), xid, name)?;
    }
    limits::change(xid, &things)?;
    cgroup::change(xid, &memory)?;
    if let Some(bias) = oom_bias {
        context::set_oom_bias(xid, bias)?;
    }
    context::change(xid, &sched, flags, false)?;
    if json {
        output::json(&json!({ "xid": xid }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `vserver kill`
pub(crate) fn kill(args: &Kill, json: bool) -> anyhow::Result<ExitCode> {
    let target = match args {
        Kill { pid: Some(pid), .. } => Target::Pid(*pid),
        Kill { init: true, .. } => Target::Init,
        Kill { others: true, .. } => Target::AllButInit,
        _ => Target::All,
    };
    let xid = context::resolve(&args.one.context)?;
    context::kill(xid, target, args.signal)?;
    if json {
        output::json(&json!({ "xid": xid, "signal": args.signal }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `vserver wait`
pub(crate) fn wait(args: &Wait, json: bool) -> anyhow::Result<ExitCode> {
    let xid = context::resolve(&args.one.context)?;
    let ended = match args.timeout {
        None => context::wait(xid)?,
        Some(seconds) => match wait_for(xid, Duration::from_secs(seconds))? {
            Some(ended) => ended,
            None => {
                eprintln!("vserver: context {xid} is still there after {seconds} s");
                return Ok(ExitCode::from(TIMED_OUT));
            }
        },
    };
    let status = exit_status(ended.exit_code);
    match json {
        true => output::json(&json!({
            "xid": xid,
            "exit_status": status,
            "reboot_cmd": ended.reboot_cmd,
        }))?,
        false => output::line(status)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits no longer than `limit`; the thread that goes on waiting ends with this process.
pub(crate) fn wait_for(xid: u32, limit: Duration) -> anyhow::Result<Option<WaitExit>> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(context::wait(xid)));
    match receiver.recv_timeout(limit) {
        Ok(ended) => Ok(Some(ended?)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => bail!("the wait for context {xid} broke off"),
    }
}
