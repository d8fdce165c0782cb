// SPDX-License-Identifier: GPL-2.0
//! Several guests: started in the order of what they need, stopped in the reverse one.

use std::collections::BTreeMap;

use super::{Status, Stopped, disks, start_if_down, status, stop};
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
/// requires a guest that is not there, that could not be started or that waits for it is not
/// started; the others are. Those in `names` are started by `start`, the others by
/// [`start_if_down`].
///
/// When the first of those on a file system comes of which it is not known what it has, as their limits
/// need, that is added up for it and for all that come later; of one that is left alone when it is
/// started. `looked_at` is told meanwhile how many files were looked at, and `counted`, after each such
/// look, which guests were counted.
pub fn start_all(
    store: &Store,
    names: &[String],
    mut start: impl FnMut(&str) -> Result<Started>,
    looked_at: &mut dyn FnMut(u64),
    mut counted: impl FnMut(&[String]),
    mut said: impl FnMut(&str, &Started),
) -> Result<Vec<(String, Started)>> {
    let all = configured(store)?;
    let mut results: Vec<(String, Started)> = Vec::new();
    let Order {
        names: sorted,
        mut refused,
    } = order(names, &all);
    let mut together = true;
    for (nth, name) in sorted.iter().enumerate() {
        let requires = all.get(name).map(|g| g.requires.as_slice());
        let refused_now = refused.remove(name);
        let refused_now = refused_now.or_else(|| missing(requires.unwrap_or_default(), &results));
        if refused_now.is_none() && together {
            let is_next = |name: &&String| !refused.contains_key(*name);
            let others: Vec<_> = sorted.iter().skip(nth + 1).filter(is_next).collect();
            match disks::count(store, name, &others, looked_at) {
                Ok(nobody) if nobody.is_empty() => (),
                Ok(them) => counted(&them),
                // Each finds out for itself.
                Err(_) => together = false,
            }
        }
        let may_start = || refused_now.map_or(Ok(()), |e| Err(e.at_step(name, "requirements")));
        let outcome = match names.contains(name) {
            true => may_start().and_then(|()| start(name)),
            false => start_if_down(store, name, may_start, looked_at),
        };
        let outcome = outcome.unwrap_or_else(Started::Failed);
        said(name, &outcome);
        results.push((name.clone(), outcome));
    }
    Ok(results)
}

/// What is required of what could not be started.
fn missing(requires: &[String], results: &[(String, Started)]) -> Option<Error> {
    let failed = |name: &String| {
        let same = |(n, s): &(String, Started)| n == name && matches!(s, Started::Failed(_));
        results.iter().any(same)
    };
    let missing = requires.iter().find(|r| failed(r))?;
    let message = format!("{missing}, which it requires, was not started");
    Some(Error::Invalid(message))
}

/// The guests that are to be started when the host boots, and don't run.
pub fn to_start(store: &Store) -> Result<Vec<String>> {
    let all = status::status(store)?.into_iter();
    let all = all.filter(Status::is_to_start);
    Ok(all.map(|s| s.name).collect())
}

/// All configured guests that run; without the module none does.
pub fn to_stop(store: &Store) -> Result<Vec<String>> {
    let all = status::overview(store)?.all.into_iter();
    let running = all.filter(|s| s.configured && s.runs());
    Ok(running.map(|s| s.name).collect())
}

/// Stops guests, those that need others before these, all of them whatever becomes of one. What
/// goes wrong meanwhile is told to `warn`, with the name.
pub fn stop_all(
    store: &Store,
    names: &[String],
    mut warn: impl FnMut(&str, &str),
    mut said: impl FnMut(&str, &Result<Stopped>),
) -> Result<Vec<(String, Result<Stopped>)>> {
    let mut results = Vec::new();
    for name in stop_order(names, &configured(store)?) {
        let stopped = stop(store, &name, &mut |message| warn(&name, message));
        said(&name, &stopped);
        results.push((name, stopped));
    }
    Ok(results)
}

/// In which order these are stopped, whatever else is wrong with what they require.
fn stop_order(names: &[String], all: &BTreeMap<String, Guest>) -> Vec<String> {
    let mut ordered = order(names, all).names;
    ordered.retain(|name| names.contains(name));
    ordered.reverse();
    ordered
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
    use crate::guest::Lock;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn who_requires_a_guest_that_failed_is_not_started() {
        let failed = Started::Failed(Error::Invalid("x".into()));
        let results = [("a".to_owned(), failed), ("b".to_owned(), Started::Now(5))];
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let error = missing(&words(&["b", "a"]), &results).unwrap();
        assert!(error.to_string().starts_with("a, which it requires"));
        assert!(missing(&words(&["b", "c"]), &results).is_none());
    }

    #[test]
    fn who_is_at_work_on_what_is_required_is_waited_for() {
        if vserver_abi::get_version().is_ok() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        store.save("app", "requires = ['db']").unwrap();
        store.save("db", "").unwrap();
        let at_work = Lock::take(&store, "db").unwrap();
        let app = || {
            let start = |_: &str| Ok(Started::Now(5));
            start_all(
                &store,
                &["app".to_owned()],
                start,
                &mut |_| (),
                |_| (),
                |_, _| (),
            )
            .unwrap()
        };
        let results = thread::scope(|scope| {
            let started = scope.spawn(app);
            thread::sleep(Duration::from_millis(100));
            drop(at_work);
            started.join().unwrap()
        });
        // Without the module it does not get further than to look whether that runs.
        let (name, outcome) = &results[0];
        assert_eq!(name, "db");
        let busy = matches!(outcome, Started::Failed(Error::Busy(_)));
        assert!(!busy, "{outcome:?}");
    }

    #[test]
    fn who_requires_another_is_stopped_before_it() {
        let requires = |list: &[&str]| Guest {
            requires: list.iter().map(|&w| w.to_owned()).collect(),
            ..Guest::default()
        };
        let all = [
            ("app", requires(&["base"])),
            ("base", requires(&["deep"])),
            ("deep", requires(&["gone"])),
        ];
        let all = all.map(|(name, guest)| (name.to_owned(), guest)).into();
        let names = ["deep", "100", "app"].map(str::to_owned);
        assert_eq!(stop_order(&names, &all), ["app", "deep", "100"]);
    }

    #[test]
    fn a_mistake_in_one_guest_keeps_no_other_down() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        for (name, text) in [
            ("circle", "requires = ['other']"),
            ("other", "requires = ['circle']"),
            ("lost", "requires = ['gone']"),
            ("on", "requires = ['lost']"),
            ("good", "after = ['circle', 'lost', 'gone']"),
        ] {
            store.save(name, text).unwrap();
        }
        let names = ["circle", "other", "lost", "on", "nobody", "good"].map(str::to_owned);
        let start = |_: &str| Ok(Started::Now(5));
        let results = start_all(&store, &names, start, &mut |_| (), |_| (), |_, _| ()).unwrap();
        let said: BTreeMap<_, _> = results
            .iter()
            .map(|(name, started)| match started {
                Started::Failed(e) => (name.as_str(), e.to_string()),
                _ => (name.as_str(), "started".to_owned()),
            })
            .collect();
        let circle = "these guests wait for each other: circle after other after circle";
        assert_eq!(
            said,
            BTreeMap::from([
                (
                    "circle",
                    format!("circle: start failed at requirements: {circle}")
                ),
                ("good", "started".into()),
                (
                    "lost",
                    "lost: start failed at requirements: lost requires gone, but there is no such \
                     guest"
                        .into()
                ),
                (
                    "nobody",
                    "nobody: no such guest (vserver list shows those there are)".into()
                ),
                (
                    "on",
                    "on: start failed at requirements: lost, which it requires, was not started"
                        .into()
                ),
                (
                    "other",
                    format!("other: start failed at requirements: {circle}")
                ),
            ])
        );
    }
}
