// SPDX-License-Identifier: GPL-2.0
//! Programs into contexts: `run` and `enter`.

use std::io;
use std::process::ExitCode;

use serde_json::json;
use vserver::abi;
use vserver::build::Brief;
use vserver::config::Store;
use vserver::context;
use vserver::error::{Error, Result};
use vserver::guest::{self, Apart, Caps, NewContext};
use vserver::names::FlagChange;

use super::build::Bar;
use crate::args::{Enter, Program, Run};
use crate::output;

/// The exit status if the context could not be made or entered.
const FAILED: u8 = 125;
/// The exit status if the command is there but cannot be run.
const CANNOT_RUN: u8 = 126;
/// The exit status if there is no such command.
const NOT_FOUND: u8 = 127;

/// `vserver run`
pub(crate) fn run(args: Run, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(Err(e)) = args
        .name
        .as_ref()
        .map(|n| guest::check_free(&Store::system(), n))
    {
        return Ok(failure(&e));
    }
    let program = program(args.program);
    let persistent = FlagChange {
        set: if args.persistent {
            abi::VXF_PERSISTENT
        } else {
            0
        },
        clear: 0,
    };
    let guest = args.root.is_some() || args.clone.is_some();
    let new = NewContext {
        xid: args.xid,
        name: args.name,
        namespaces: args
            .namespaces
            .unwrap_or_else(|| guest::default_namespaces(guest)),
        hostname: args.hostname,
        sched: args.limits.sched(),
        limits: args.limits.things(),
        memory: args.limits.memory(),
        oom_bias: args.limits.oom_bias(),
        flags: persistent.and(args.limits.flags()),
        caps: args.caps.unwrap_or_else(|| Caps::usual(guest)),
        root: args.root,
        ..NewContext::default()
    };
    if let Err(e) = guest::seal() {
        return Ok(failure(&e));
    }
    if let Some(name) = args.clone {
        return Ok(run_in_clone(&name, new, &program).unwrap_or_else(|e| failure(&e)));
    }
    if !args.detach {
        return Ok(failure(&guest::run(&new, &program, |_| Ok(()))));
    }
    let xid = match guest::detach(&new, &program, args.log.as_deref()) {
        Ok(xid) => xid,
        Err(e) => return Ok(failure(&e)),
    };
    match json {
        true => output::json(&json!({ "xid": xid }))?,
        false => output::line(xid)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs it in a clone of a guest's tree, which is removed then. What goes wrong with that is said; the
/// status is the program's.
fn run_in_clone(guest: &str, mut new: NewContext, program: &guest::Program) -> Result<ExitCode> {
    let store = Store::system();
    new.root = Some(Brief::path(&store, guest)?);
    let mut run = Apart::new(&new, program, |e| i32::from(say(e)))?;
    let bar = Bar::new();
    let tree = Brief::new(&store, guest, &bar);
    bar.clear();
    let tree = tree?;
    let status = run.run();
    if let Err(e) = run.clear().and_then(|()| tree.remove()) {
        eprintln!("vserver: {e}; vserver cleanup removes what is left of the clone");
    }
    Ok(ExitCode::from(u8::try_from(status?).unwrap_or(FAILED)))
}

/// `vserver enter`
pub(crate) fn enter(args: Enter) -> anyhow::Result<ExitCode> {
    if let Err(e) = guest::seal() {
        return Ok(failure(&e));
    }
    let program = program(args.program);
    let error = match context::resolve(&args.one.context) {
        Ok(xid) => {
            let what = guest::Enter {
                xid,
                root: args.root,
                caps: args.caps,
            };
            guest::enter(&what, &program)
        }
        Err(e) => e,
    };
    Ok(failure(&error))
}

fn program(args: Program) -> guest::Program {
    guest::Program {
        argv: args.argv,
        env: args
            .env
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect(),
        workdir: args.workdir,
    }
}

/// Says what went wrong, and the exit status for it.
fn failure(error: &Error) -> ExitCode {
    ExitCode::from(say(error))
}

fn say(error: &Error) -> u8 {
    eprintln!("vserver: {error}");
    match error {
        Error::Exec { cause, .. } if cause.kind() == io::ErrorKind::NotFound => NOT_FOUND,
        Error::Exec { .. } => CANNOT_RUN,
        _ => FAILED,
    }
}
