// SPDX-License-Identifier: GPL-2.0
//! Configured guests: `start`, `stop`, `restart`, `status`, `list`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};
use vserver::config::Store;
use vserver::disk;
use vserver::error::{Error, Result};
use vserver::guest::{self, Overview, Started, Status, Stopped};

use super::state::{limit, memory, or_dash, taken};
use crate::args::{Guests, List, SomeGuests, Start, Stop};
use crate::exit;
use crate::notify;
use crate::output::{self, line, time};
use crate::progress::Counter;

/// `vserver start`
pub(crate) fn start(args: Start, json: bool) -> anyhow::Result<ExitCode> {
    guest::seal()?;
    let store = Store::system();
    if args.foreground {
        return start_and_watch(&store, &args.guest, json);
    }
    if args.all {
        return start_to_start(&store, json);
    }
    start_all_of(&store, &args.guest, json)
}

/// Starts the guests with autostart. Another command may do so with some of them, as systemd does for
/// one that is also a unit of its own.
fn start_to_start(store: &Store, json: bool) -> anyhow::Result<ExitCode> {
    let counter = Counter::default();
    let names = guest::to_start(store)?;
    let start = |name: &str| guest::start_if_down(store, name, || Ok(()), &mut |n| counter.at(n));
    start_these(store, &names, start, &counter, json)
}

/// Starts guests, each with a process that watches it.
fn start_all_of(store: &Store, names: &[String], json: bool) -> anyhow::Result<ExitCode> {
    let counter = Counter::default();
    let start = |name: &str| guest::start(store, name, &mut |n| counter.at(n)).map(Started::Now);
    start_these(store, names, start, &counter, json)
}

/// Starts a guest, unless it runs, tells systemd if that waits for it, and stays until the guest is
/// down.
fn start_and_watch(store: &Store, names: &[String], json: bool) -> anyhow::Result<ExitCode> {
    if names.len() > 1 {
        return Err(Error::Invalid("--foreground is for one guest".into()).into());
    }
    let (mut watched, counter) = (None, Counter::default());
    let here = |name: &str| {
        let watch = watched.insert(guest::start_here(store, name, &mut |n| counter.at(n))?);
        Ok(match watch.is_own() {
            true => Started::Now(watch.xid()),
            false => Started::Before(watch.xid()),
        })
    };
    let code = start_these(store, names, here, &counter, json)?;
    let Some(watch) = watched else {
        return Ok(code);
    };
    notify::ready()?;
    watch.until_down(store)?;
    Ok(ExitCode::SUCCESS)
}

fn start_these(
    store: &Store,
    names: &[String],
    how: impl FnMut(&str) -> Result<Started>,
    counter: &Counter,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let tell_of_files = |whose: &str, they_have: &str| {
        let files = counter.clear();
        if files > 0 && !json {
            // Who does not read it, has not asked for it.
            let _ = line(format_args!(
                "{whose}: what {they_have} of the disk was not known: {files} files looked at"
            ));
        }
    };
    let counted = |names: &[String]| match names {
        [_, _, _, _, ..] => tell_of_files(&format!("{} guests", names.len()), "they have"),
        [_, _, ..] => tell_of_files(&names.join(", "), "they have"),
        _ => tell_of_files(&names.join(""), "it has"),
    };
    let said = |name: &str, started: &Started| {
        tell_of_files(name, "it has");
        match started {
            Started::Failed(e) => eprintln!("vserver: {e}"),
            Started::Now(xid) if !json => {
                let _ = line(format_args!("{name}: started, context {xid}"));
            }
            Started::Before(xid) if !json && names.iter().any(|n| n == name) => {
                let _ = line(format_args!("{name}: runs already, context {xid}"));
            }
            _ => {}
        }
    };
    let results = guest::start_all(store, names, how, &mut |n| counter.at(n), counted, said)?;
    if json {
        let all = results.iter().map(|(name, started)| match started {
            Started::Now(xid) => json!({ "name": name, "xid": xid, "started": true }),
            Started::Before(xid) => json!({ "name": name, "xid": xid, "started": false }),
            Started::Failed(e) => json!({ "name": name, "error": e.to_string() }),
        });
        output::json(&all.collect::<Vec<Value>>())?;
    }
    let failed = results.iter().find_map(|(_, started)| match started {
        Started::Failed(e) => Some(exit::of(e)),
        _ => None,
    });
    Ok(failed.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// `vserver stop`
pub(crate) fn stop(args: Stop, json: bool) -> anyhow::Result<ExitCode> {
    guest::seal()?;
    let store = Store::system();
    let names = match args.all {
        true => guest::to_stop(&store)?,
        false => args.guest,
    };
    let mut warnings = Warnings::new();
    let results = guest::stop_all(
        &store,
        &names,
        |name, message| warn(&mut warnings, name, message),
        |name, stopped| tell(name, stopped, json),
    )?;
    if json {
        let all = results.iter().map(|(name, stopped)| {
            let warnings = warnings.get(name).map_or(&[][..], Vec::as_slice);
            match stopped {
                Ok(how) => json!({ "name": name, "stopped": how, "warnings": warnings }),
                Err(e) => json!({ "name": name, "error": e.to_string(), "warnings": warnings }),
            }
        });
        output::json(&all.collect::<Vec<Value>>())?;
    }
    let failed = results
        .iter()
        .find_map(|(_, stopped)| stopped.as_ref().err());
    Ok(failed.map_or(ExitCode::SUCCESS, |e| ExitCode::from(exit::of(e))))
}

/// What went wrong while guests were stopped, by their names.
type Warnings = BTreeMap<String, Vec<String>>;

fn warn(warnings: &mut Warnings, name: &str, message: &str) {
    eprintln!("vserver: {message}");
    let of_guest = warnings.entry(name.to_owned()).or_default();
    of_guest.push(message.to_owned());
}

/// Says how a guest was stopped.
fn tell(name: &str, stopped: &Result<Stopped>, json: bool) {
    let how = match stopped {
        Ok(Stopped::NotRunning) => "does not run",
        Ok(Stopped::ByInit) => "stopped",
        Ok(Stopped::ByTerm) => "stopped by SIGTERM: its init took too long",
        Ok(Stopped::ByKill) => "stopped by SIGKILL: its processes took too long",
        Err(e) => return eprintln!("vserver: {e}"),
    };
    if !json {
        // As above.
        let _ = line(format_args!("{name}: {how}"));
    }
}

/// `vserver restart`
pub(crate) fn restart(args: SomeGuests, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    // What would not start again is not stopped.
    for name in &args.guest {
        store.load(name)?;
    }
    guest::seal()?;
    let stopped = guest::stop_all(
        &store,
        &args.guest,
        |_, message| eprintln!("vserver: {message}"),
        |name, stopped| {
            if !matches!(stopped, Ok(Stopped::NotRunning)) {
                tell(name, stopped, json);
            }
        },
    )?;
    if let Some(e) = stopped.into_iter().find_map(|(_, stopped)| stopped.err()) {
        // It is said already.
        return Ok(ExitCode::from(exit::of(&e)));
    }
    start_all_of(&store, &args.guest, json)
}

/// How it is with all contexts and guests; says so if the module is missing.
fn statuses(store: &Store) -> Result<Vec<Status>> {
    let Overview { all, no_module } = guest::overview(store)?;
    if let Some(e) = no_module {
        eprintln!("vserver: {e}; until then no guest runs");
    }
    Ok(all)
}

/// `vserver status`
pub(crate) fn status(args: Guests, json: bool) -> anyhow::Result<ExitCode> {
    let mut all = statuses(&Store::system())?;
    if args.guest.is_empty() {
        all.retain(|s| s.configured);
    } else {
        if let Some(unknown) = args
            .guest
            .iter()
            .find(|n| all.iter().all(|s| s.name != **n))
        {
            return Err(Error::NoGuest(unknown.clone()).into());
        }
        all.retain(|s| args.guest.contains(&s.name));
    }
    match json {
        true => output::json(&all)?,
        false => all.iter().try_for_each(print_status)?,
    }
    Ok(match all.iter().all(Status::runs) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::NOT_RUNNING),
    })
}

fn print_status(s: &Status) -> anyhow::Result<()> {
    match (&s.context, s.xid) {
        (Some(c), Some(xid)) => line(format_args!(
            "{}: {} as context {}{}, {} tasks, init {}, CPU {}{}",
            s.name,
            s.state,
            xid,
            s.uptime_msec
                .map_or_else(String::new, |ms| format!(" for {}", time(ms))),
            c.tasks,
            c.init,
            time(c.cpu_msec),
            c.memory.map_or_else(String::new, |m| format!(
                ", memory {}",
                memory(m.used, m.limit)
            )),
        ))?,
        _ => line(format_args!("{}: stopped", s.name))?,
    }
    match &s.error {
        Some(e) => line(format_args!("  {e}")),
        None => Ok(()),
    }
}

/// `vserver list`
pub(crate) fn list(args: &List, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    if args.disk {
        for name in store.names()? {
            // What is wrong with one is no reason not to list the others.
            if let Err(e) = disk::measure(&store, &name) {
                eprintln!("vserver: {name}: {e}");
            }
        }
    }
    let all = statuses(&store)?;
    if json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.into_iter().map(|s| {
        let c = s.context.as_ref();
        let column = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            column(s.xid.map(|xid| xid.to_string())),
            or_dash(s.name.clone()),
            s.state.to_owned(),
            column(c.map(|c| c.tasks.to_string())),
            column(c.map(|c| limit(c.cpu_limit))),
            column(c.map(|c| time(c.cpu_msec))),
            column(c.map(|c| time(c.hold_msec))),
            column(c.and_then(|c| Some(memory(c.memory?.used, c.memory?.limit)))),
            column(s.disk.map(taken)),
        ]
    });
    output::table(
        [
            ">XID",
            "NAME",
            "STATE",
            ">TASKS",
            ">CPU LIMIT",
            ">CPU USED",
            ">HELD",
            ">MEMORY",
            ">DISK",
        ],
        rows.collect(),
    )?;
    Ok(ExitCode::SUCCESS)
}
