// SPDX-License-Identifier: GPL-2.0
//! What is wrong with a guest's configuration beyond single values.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use vserver_abi as abi;

use super::store::{Source, Store, check_name};
use super::{Guest, Mount, Style, order, read};
use crate::error::{Error, Result};
use crate::guest::bind_options;

/// Something wrong with what a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key: `mount[2].target`.
    pub key: &'static str,
    /// The place in the list, from 1, if the key is of a list of tables.
    pub number: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self {
            key,
            number: None,
            message: message.into(),
        }
    }
}

/// What is wrong with a guest, whatever else there is.
pub(super) fn alone(guest: &Guest) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |key, message: &str| found.push(Problem::new(key, message));
    let absolute = |path: &Path| path.is_absolute();
    if guest.root.as_deref().is_some_and(|root| !absolute(root)) {
        add("root", "a path begins with /");
    }
    if guest.root.as_deref() == Some(Path::new("/")) {
        add("root", "that is the host's own root");
    }
    if guest.init.style == Style::Command && guest.init.command.is_empty() {
        add("init.style", "which command? give init.command");
    }
    for (key, list) in [("after", &guest.after), ("requires", &guest.requires)] {
        for name in list {
            if let Err(e) = check_name(name) {
                add(key, &e.to_string());
            }
        }
    }
    let set = guest.flags().set;
    if set & (abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT | abi::VXF_STATE_ADMIN) != 0 {
        add("flags", "the state flags are the start's own business");
    }
    if set & abi::VXF_SCHED_PAUSE != 0 {
        add(
            "flags",
            "sched_pause would hold the start; set it when the guest runs",
        );
    }
    let s = &guest.scheduler;
    if s.interval.is_some_and(|n| n <= 0) || s.idle_interval.is_some_and(|n| n <= 0) {
        add("scheduler.interval", "an interval has at least one tick");
    }
    if s.fill_rate.is_some_and(|n| n < 0) || s.idle_fill_rate.is_some_and(|n| n < 0) {
        add("scheduler.fill_rate", "a rate is not negative");
    }
    for (number, mount) in (1..).zip(&guest.mounts) {
        let odd = |c: Component<'_>| matches!(c, Component::ParentDir);
        let message = match &mount.target {
            target if !absolute(target) => "a path in the guest begins with /",
            target if target == Path::new("/") => "the guest's root is given by root",
            target if target.components().any(odd) => "a target has no ..",
            _ => "",
        };
        let mut add = |key, message: String| {
            found.push(Problem {
                number: Some(number),
                ..Problem::new(key, message)
            });
        };
        if !message.is_empty() {
            add("mount.target", message.to_owned());
        }
        if let Some(message) = odd_option(mount) {
            add("mount.options", message);
        }
    }
    found
}

/// What is wrong with the options of a bind mount. Those of others their file system knows.
fn odd_option(mount: &Mount) -> Option<String> {
    let known: Vec<&str> = bind_options().collect();
    let mut options = mount.options.iter().filter(|_| mount.kind == "bind");
    let odd = options.find(|option| !known.contains(&option.as_str()))?;
    let said = read::no_such("option of a bind mount", odd, &known);
    Some(format!("{odd}: {said}"))
}

/// The first thing wrong, as an error about the file.
pub(super) fn refuse(guest: Guest, path: &Path, text: Option<&str>) -> Result<Guest> {
    match alone(&guest).into_iter().next() {
        Some(problem) => Err(located(&problem, path, text)),
        None => Ok(guest),
    }
}

fn located(problem: &Problem, path: &Path, text: Option<&str>) -> Error {
    let at = text.and_then(|text| read::find(text, problem.key, problem.number));
    let (line, column) = at.unwrap_or((1, 1));
    Error::Config {
        file: path.to_owned(),
        line,
        column,
        key: Some(match (problem.number, problem.key.split_once('.')) {
            (Some(number), Some((table, key))) => format!("{table}[{number}].{key}"),
            _ => problem.key.to_owned(),
        }),
        message: problem.message.clone(),
    }
}

/// Everything wrong with the guests `names`, each as an error; all others are looked at as far as
/// they matter to these.
pub fn together(store: &Store, names: &[String]) -> Result<Vec<Error>> {
    let mut errors = Vec::new();
    let (mut good, mut all) = (BTreeMap::new(), BTreeMap::new());
    for (name, guest) in store.all()? {
        // One whose file is wrong is there, too.
        all.insert(name.clone(), guest.as_ref().cloned().unwrap_or_default());
        match guest {
            Ok(guest) => {
                good.insert(name, guest);
            }
            Err(e) if names.contains(&name) => errors.push(e),
            Err(_) => {}
        }
    }
    for name in names {
        let Some(guest) = good.get(name) else {
            if !store.names()?.contains(name) {
                errors.push(Error::NoGuest(name.clone()));
            }
            continue;
        };
        let source = store.source(name)?;
        let text = match &source {
            Source::File(path) => std::fs::read_to_string(path).ok(),
            Source::Legacy(_) => None,
        };
        let mut problems = Vec::new();
        if let Some(xid) = guest.xid.as_deref() {
            let same = |other: &Guest| other.xid.as_deref() == Some(xid);
            if let Some((other, _)) = good.iter().find(|(n, g)| *n != name && same(g)) {
                let message = format!("{} is the id of guest {other}, too", xid.0);
                problems.push(Problem::new("xid", message));
            }
        }
        let root = store.root(name, guest);
        if !root.is_dir() {
            let message = format!("{}: no such directory", root.display());
            problems.push(Problem::new("root", message));
        }
        let refused = order(std::slice::from_ref(name), &all).refused;
        problems.extend(
            refused
                .values()
                .map(|e| Problem::new("requires", e.to_string()))
                .take(1),
        );
        let located = |p: &Problem| located(p, source.path(), text.as_deref());
        errors.extend(problems.iter().map(located));
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_contradicts_itself_is_located() {
        let said = |text: &str| {
            let error = read::parse(text, Path::new("w.toml")).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            said("xid = 5\n[init]\nstyle = \"command\"\n"),
            "w.toml:3:1: init.style: which command? give init.command"
        );
        assert_eq!(
            said("[[mount]]\nsource='a'\ntarget='/a'\n[[mount]]\nsource='b'\ntarget='/a/../..'"),
            "w.toml:6:1: mount[2].target: a target has no .."
        );
        let mount = |rest: &str| {
            let first = "[[mount]]\nsource='a'\ntarget='/a'\n";
            format!("{first}[[mount]]\nsource='b'\ntarget='/b'\n{rest}\n")
        };
        assert_eq!(
            said(&mount("options = ['nosuid', 'readonly']")),
            "w.toml:7:1: mount[2].options: readonly: no such option of a bind mount; did you mean ro?"
        );
        assert_eq!(
            said(&mount("options = ['=']")),
            "w.toml:7:1: mount[2].options: =: no such option of a bind mount; there are ro, nosuid, \
             nodev, noexec, noatime, bind, rbind, defaults, rw, suid, dev, exec, relatime"
        );
        let good = |text: &str| read::parse(text, Path::new("w.toml")).is_ok();
        assert!(good(&mount("options = ['ro', 'rbind', 'defaults']")));
        // What the file system makes of it.
        assert!(good(&mount("type = 'tmpfs'\noptions = ['size=16m']")));
        assert_eq!(said("root = 'x'"), "w.toml:1:1: root: a path begins with /");
    }

    #[test]
    fn guests_are_checked_against_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        store.save("a", "xid = 7\nrequires = ['b']").unwrap();
        store.save("b", "requires = ['a']\nxid = 7").unwrap();
        store.save("c", "requires = ['x', 'd']").unwrap();
        store.save("d", "colour = 'red'").unwrap();
        fs::create_dir_all(dir.path().join("vservers/a")).unwrap();
        let names: Vec<String> = ["a", "c", "nobody"].map(str::to_owned).into();
        let said: Vec<String> = together(&store, &names)
            .unwrap()
            .iter()
            .map(|e| e.to_string().replace(dir.path().to_str().unwrap(), ""))
            .collect();
        assert_eq!(
            said,
            [
                "/etc/vserver/a.toml:1:1: xid: 7 is the id of guest b, too",
                "/etc/vserver/a.toml:2:1: requires: these guests wait for each other: a after b \
                 after a",
                &format!(
                    "/etc/vserver/c.toml:1:1: root: {}: no such directory",
                    "/vservers/c"
                ),
                "/etc/vserver/c.toml:1:1: requires: c requires x, but there is no such guest",
                "nobody: no such guest (vserver list shows those there are)",
            ]
        );
    }
}
