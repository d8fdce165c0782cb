// SPDX-License-Identifier: GPL-2.0
//! Configured guests, and the contexts in which they run.

use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;

use crate::cgroup::Memory;
use crate::config::{Guest, Store};
use crate::context::{self, Summary};
use crate::cpu::Rate;
use crate::disk::{self, Disk};
use crate::error::{Doing, Error, Result, Vserver};

/// How it is with a guest, or with a context that is none.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name; empty for a context without one.
    pub name: String,
    /// The id that its context has, or would have; `None` if that is not known yet.
    pub xid: Option<u32>,
    /// The context's state, or `stopped`.
    pub state: &'static str,
    /// There is a configuration of it.
    pub configured: bool,
    /// It is started by `start --all`.
    pub autostart: bool,
    /// What is wrong with its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when the context has been there, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_msec: Option<u64>,
    /// What its tree takes, if somebody has looked.
    pub disk: Option<Disk>,
    /// The context, if there is one.
    #[serde(flatten)]
    pub context: Option<Running>,
}

/// A context of a guest.
#[derive(Clone, Debug, Serialize)]
pub struct Running {
    /// How many tasks are in it.
    pub tasks: i64,
    /// The pid of its init, 0 if it has none.
    pub init: u32,
    /// The names of the flags that are on.
    pub flags: Vec<String>,
    /// The CPU limit, if one acts.
    pub cpu_limit: Option<Rate>,
    /// CPU time used, milliseconds.
    pub cpu_msec: u64,
    /// Time its tasks were held because the bucket was empty, milliseconds.
    pub hold_msec: u64,
    /// Its memory, if it has a cgroup that counts it.
    pub memory: Option<Memory>,
}

impl Status {
    /// Whether there is a context of it.
    pub fn runs(&self) -> bool {
        self.context.is_some()
    }

    /// Whether `start --all` has to do with it. What a file that is wrong says of that is not
    /// known, so that it has: the mistake is to be told.
    pub(super) fn is_to_start(&self) -> bool {
        !self.runs() && (self.autostart || self.error.is_some())
    }

    fn of(context: Summary) -> Self {
        let uptime = abi::virt_stat(context.xid).ok();
        Self {
            name: context.name,
            xid: Some(context.xid),
            state: context.state,
            configured: false,
            autostart: false,
            error: None,
            uptime_msec: uptime.map(|s| s.uptime / 1_000_000),
            disk: None,
            context: Some(Running {
                tasks: context.tasks,
                init: context.init,
                flags: context.flags,
                cpu_limit: context.cpu_limit,
                cpu_msec: context.cpu_msec,
                hold_msec: context.hold_msec,
                memory: context.memory,
            }),
        }
    }
}

/// How it is with all guests and contexts.
#[derive(Debug)]
pub struct Overview {
    /// All contexts, and then the guests that don't run.
    pub all: Vec<Status>,
    /// There is no module, and so no context: the error that says so.
    pub no_module: Option<Error>,
}

/// Looks at all contexts and guests. Without the module no guest runs.
pub fn overview(store: &Store) -> Result<Overview> {
    let (contexts, no_module) = match context::list() {
        Err(e) if e.errno() == Some(Errno::NOSYS) => (Vec::new(), Some(e)),
        contexts => (contexts?, None),
    };
    let all = with_guests(store, contexts)?;
    Ok(Overview { all, no_module })
}

/// All contexts, and then the guests that don't run.
pub(super) fn status(store: &Store) -> Result<Vec<Status>> {
    with_guests(store, context::list()?)
}

fn with_guests(store: &Store, contexts: Vec<Summary>) -> Result<Vec<Status>> {
    let mut all: Vec<Status> = contexts.into_iter().map(Status::of).collect();
    for (name, guest) in store.all()? {
        add(&mut all, name, guest);
    }
    for status in all.iter_mut().filter(|s| s.configured) {
        status.disk = disk::known(store, &status.name);
    }
    Ok(all)
}

fn add(all: &mut Vec<Status>, name: String, guest: Result<Guest>) {
    let (autostart, xid, error) = match guest {
        Ok(guest) => (guest.autostart, guest.xid.map(|x| x.0), None),
        Err(e) => (false, None, Some(e.to_string())),
    };
    match all.iter_mut().find(|s| s.name == name) {
        Some(running) => {
            running.configured = true;
            running.autostart = autostart;
            running.error = error;
        }
        None => all.push(Status {
            name,
            xid,
            state: "stopped",
            configured: true,
            autostart,
            error,
            uptime_msec: None,
            disk: None,
            context: None,
        }),
    }
}

/// Whether there is a context with this id.
pub(super) fn exists(xid: u32) -> Result<bool> {
    match abi::vx_info(xid) {
        Ok(_) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        answer => Vserver(answer)
            .doing(|| format!("look at context {xid}"))
            .map(|_| true),
    }
}

/// Whether a guest runs. Without the module none does.
pub fn runs(name: &str) -> Result<bool> {
    or_no_module(context_of(name).map(|found| found.is_some()))
}

/// Whether a context has this id, whatever its name is. Without the module none does.
pub fn is_taken(xid: u32) -> Result<bool> {
    or_no_module(exists(xid))
}

fn or_no_module(found: Result<bool>) -> Result<bool> {
    match found {
        Err(e) if e.errno() == Some(Errno::NOSYS) => Ok(false),
        found => found,
    }
}

/// Gives a context another name. A guest keeps the name of its file: by that it is found.
pub fn rename(store: &Store, xid: u32, name: &str) -> Result<()> {
    context::check_name(name)?;
    if let Some(guest) = guest_of(store, xid)? {
        return Err(Error::Invalid(format!(
            "context {xid} is guest {guest}, which has its name of its file: stop it, and rename \
             that and its tree"
        )));
    }
    check_free(store, name)?;
    context::set_name(xid, name)
}

/// Checks that no configured guest has this name. A context by hand that had it would be taken for
/// the guest: be shown, entered and stopped in its place, and keep it from being started.
pub fn check_free(store: &Store, name: &str) -> Result<()> {
    match store.source(name) {
        Ok(source) => Err(Error::Busy(format!(
            "{name}: it is the name of a guest, {}: choose another one",
            source.path().display()
        ))),
        // What can't name a guest can name a context.
        Err(Error::NoGuest(_) | Error::Invalid(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The context in which a guest runs, if it does.
pub(super) fn context_of(name: &str) -> Result<Option<u32>> {
    match context::resolve(name) {
        Ok(xid) => Ok(Some(xid)),
        Err(Error::NoContext(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The configured guest whose context this is, if it is one's.
pub(super) fn guest_of(store: &Store, xid: u32) -> Result<Option<String>> {
    let name = context::uts_name(xid, abi::VHIN_CONTEXT)?;
    match store.source(&name) {
        Ok(_) => Ok(Some(name)),
        // What can't name a guest can name a context.
        Err(Error::NoGuest(_) | Error::Invalid(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_that_do_not_run_are_listed_too() {
        let mut all = Vec::new();
        add(&mut all, "web".into(), Ok(Guest::default()));
        add(&mut all, "db".into(), Err(Error::Invalid("bad".into())));
        let states: Vec<_> = all.iter().map(|s| (s.state, s.error.as_deref())).collect();
        assert_eq!(states, [("stopped", None), ("stopped", Some("bad"))]);
        add(&mut all, "web".into(), Ok(Guest::default()));
        assert_eq!(all.len(), 2, "one line a name");
    }

    #[test]
    fn a_file_that_is_wrong_is_not_passed_over_in_silence() {
        let mut all = Vec::new();
        let autostart = Guest {
            autostart: true,
            ..Guest::default()
        };
        add(&mut all, "a".into(), Ok(autostart));
        add(&mut all, "b".into(), Ok(Guest::default()));
        add(&mut all, "c".into(), Err(Error::Invalid("bad".into())));
        let to_start: Vec<_> = all.iter().map(Status::is_to_start).collect();
        assert_eq!(to_start, [true, false, true]);
    }
}
