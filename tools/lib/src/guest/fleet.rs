// SPDX-License-Identifier: GPL-2.0
//! Several guests: started in the order of what they need, stopped in the reverse one.

use std::collections::BTreeMap;

use super::{Stopped, status, stop};
use crate::config::{Guest, Order, Store, order};
use crate::error::{Error, Result};

/// What became of a guest that was to be started.
#[derive(Debug)]
pub enum Started {
    /// It runs now, as this context.
    Now(u32),
    /// It ran before, as this context.
    Before(u32),
    /// It was not started.
    Failed(Error),
}

/// Starts guests and what they require, in order, and says of each what became of it. One that
/// requires a guest that could not be started is not started. Only of those in `names` it is an
/// error that they run already; these are started by `start`. How many files were looked at for the
/// limit of another on the disk is told meanwhile.
pub fn start_all(
    store: &Store,
    names: &[String],
    mut start: impl FnMut(&str) -> Result<u32>,
    looked_at: &mut dyn FnMut(u64),
    mut said: impl FnMut(&str, &Started),
) -> Result<Vec<(String, Started)>> {
    let all = configured(store)?;
    let mut results: Vec<(String, Started)> = Vec::new();
    for name in order(names, &all)?.0 {
        let requires = all.get(&name).map(|g| g.requires.as_slice());
        let outcome = match missing(requires.unwrap_or_default(), &results) {
            Some(missing) => Started::Failed(Error::Start {
                guest: name.clone(),
                step: "requirements".into(),
                cause: format!("{missing}, which it requires, was not started"),
            }),
            None if names.contains(&name) => {
                start(&name).map_or_else(Started::Failed, Started::Now)
            }
            None => required(store, &name, looked_at),
        };
        said(&name, &outcome);
        results.push((name, outcome));
    }
    Ok(results)
}

fn required(store: &Store, name: &str, looked_at: &mut dyn FnMut(u64)) -> Started {
    match status::context_of(name) {
        Ok(Some(xid)) => Started::Before(xid),
        Ok(None) => super::start(store, name, looked_at).map_or_else(Started::Failed, Started::Now),
        Err(e) => Started::Failed(e),
    }
}

/// What is required of what could not be started.
fn missing<'a>(requires: &'a [String], results: &[(String, Started)]) -> Option<&'a str> {
    let failed = |name: &String| {
        let same = |(n, s): &(String, Started)| n == name && matches!(s, Started::Failed(_));
        results.iter().any(same)
    };
    requires.iter().find(|r| failed(r)).map(String::as_str)
}

/// The guests that are to be started when the host boots, and don't run.
pub fn to_start(store: &Store) -> Result<Vec<String>> {
    let all = status::status(store)?.into_iter();
    Ok(all
        .filter(|s| s.autostart && !s.runs())
        .map(|s| s.name)
        .collect())
}

/// All configured guests that run, in the order in which they are to be stopped.
pub fn to_stop(store: &Store) -> Result<Vec<String>> {
    let running = status::status(store)?.into_iter();
    let running: Vec<String> = running
        .filter(|s| s.configured && s.runs())
        .map(|s| s.name)
        .collect();
    let Order(mut names) = order(&running, &configured(store)?)?;
    names.retain(|name| running.contains(name));
    names.reverse();
    Ok(names)
}

/// Stops guests in this order, all of them whatever becomes of one.
pub fn stop_all(
    store: &Store,
    names: &[String],
    mut said: impl FnMut(&str, &Result<Stopped>),
) -> Vec<(String, Result<Stopped>)> {
    let mut results = Vec::new();
    for name in names {
        let stopped = stop(store, name);
        said(name, &stopped);
        results.push((name.clone(), stopped));
    }
    results
}

/// All that are configured; of one with a mistake it shows when it is started.
fn configured(store: &Store) -> Result<BTreeMap<String, Guest>> {
    let all = store.all()?.into_iter();
    Ok(all
        .map(|(n, guest)| (n, guest.unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_requires_a_guest_that_failed_is_not_started() {
        let failed = Started::Failed(Error::Invalid("x".into()));
        let results = [("a".to_owned(), failed), ("b".to_owned(), Started::Now(5))];
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&words(&["b", "a"]), &results), Some("a"));
        assert_eq!(missing(&words(&["b", "c"]), &results), None);
    }
}
