// SPDX-License-Identifier: GPL-2.0
//! What systemd has to know of guests that are units: in which order they are started and stopped.
//!
//! A guest's unit is `vserver@<name>.service`, an instance of one for all. What is another guest's in
//! that is written beside it by a generator, see systemd.generator(7), when systemd reads its units.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{Guest, Store, order};
use crate::error::{Doing, Result};

/// The name under which the command is that generator.
pub const GENERATOR: &str = "vserver-generator";

/// Writes into `dir`, for the unit of each guest that others come before, which these are: in the
/// order of [`order`], so that there are no circles. What is wrong with guests is told to `warn`, and
/// keeps no other from its place.
pub fn write(store: &Store, dir: &Path, warn: &mut dyn FnMut(&str)) -> Result<()> {
    let mut all = BTreeMap::new();
    for (name, guest) in store.all()? {
        // One whose file is wrong may be stopped all the same.
        let guest = guest.unwrap_or_else(|e| {
            warn(&e.to_string());
            Guest::default()
        });
        all.insert(name, guest);
    }
    let names: Vec<String> = all.keys().cloned().collect();
    let order = order(&names, &all);
    // Those of a circle are refused in the same words.
    let refused: BTreeSet<String> = order.refused.values().map(ToString::to_string).collect();
    refused.iter().for_each(|message| warn(message));
    let mut earlier = BTreeSet::new();
    for name in &order.names {
        let lines = all.get(name).and_then(|guest| lines(guest, &earlier));
        earlier.insert(name.as_str());
        let Some(lines) = lines else {
            continue;
        };
        // systemctl says so if this has changed since.
        let source = store.source(name)?;
        let source = format!("SourcePath={}\n", source.path().display());
        let text = format!("# Made by {GENERATOR}\n[Unit]\n{source}{lines}");
        let dir = dir.join(format!("{}.d", unit(name)));
        let doing = || format!("write to {}", dir.display());
        fs::create_dir_all(&dir).doing(doing)?;
        fs::write(dir.join("50-order.conf"), text).doing(doing)?;
    }
    Ok(())
}

/// A guest's unit. Whatever a guest can be called stands in the name of a unit as it is.
fn unit(name: &str) -> String {
    format!("vserver@{name}.service")
}

/// What its unit says of other guests, if any of those `earlier` are to come before it. What it
/// requires is wanted: started otherwise, by the guest's own start, it would belong to no unit, and
/// nobody would stop it after this one.
fn lines(guest: &Guest, earlier: &BTreeSet<&str>) -> Option<String> {
    let units = |key: &str, names: BTreeSet<&String>| {
        let names = names.into_iter().filter(|n| earlier.contains(n.as_str()));
        let units: Vec<String> = names.map(|name| unit(name)).collect();
        (!units.is_empty()).then(|| format!("{key}={}\n", units.join(" ")))
    };
    let wants = units("Wants", guest.requires.iter().collect());
    let after = units("After", guest.requires.iter().chain(&guest.after).collect())?;
    Some(wants.unwrap_or_default() + &after)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written for these guests, by unit, and what is said, both without their directory.
    fn written(files: &[(&str, &str)]) -> (BTreeMap<String, String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let prefix = dir.path().to_str().unwrap();
        let store = Store::below(dir.path().to_owned());
        for (name, text) in files {
            store.save(name, text).unwrap();
        }
        let (units, mut said) = (dir.path().join("units"), Vec::new());
        fs::create_dir(&units).unwrap();
        write(&store, &units, &mut |m| said.push(m.replace(prefix, ""))).unwrap();
        let made = fs::read_dir(&units).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path().join("50-order.conf")).unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, text.replace(prefix, ""))
        });
        (made.collect(), said)
    }

    /// The lines `key` of a guest's unit, by words.
    fn words<'a>(made: &'a BTreeMap<String, String>, guest: &str, key: &str) -> Vec<&'a str> {
        let text = made.get(&format!("vserver@{guest}.service.d"));
        let lines = text.into_iter().flat_map(|text| text.lines());
        let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn what_comes_first_is_known_to_its_unit() {
        let (made, said) = written(&[
            ("web-1.eu", "requires = ['db']\nafter = ['log_x', 'db']"),
            ("db", "after = ['gone']"),
            ("log_x", ""),
        ]);
        assert_eq!(
            made,
            BTreeMap::from([(
                "vserver@web-1.eu.service.d".to_owned(),
                "# Made by vserver-generator\n[Unit]\nSourcePath=/etc/vserver/web-1.eu.toml\n\
                 Wants=vserver@db.service\nAfter=vserver@db.service vserver@log_x.service\n"
                    .to_owned()
            )])
        );
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn what_is_only_after_another_does_not_want_it() {
        let (made, _) = written(&[("web", "after = ['log']"), ("log", "")]);
        assert_eq!(words(&made, "web", "After"), ["vserver@log.service"]);
        assert!(words(&made, "web", "Wants").is_empty());
    }

    #[test]
    fn a_mistake_is_said_and_the_others_have_their_order() {
        let (made, said) = written(&[
            ("web", "requires = ['typo', 'gone']"),
            ("typo", "colour = 'red'\nafter = ['log']"),
            ("log", ""),
            ("app", "requires = ['log']"),
        ]);
        assert_eq!(words(&made, "web", "After"), ["vserver@typo.service"]);
        assert_eq!(words(&made, "app", "After"), ["vserver@log.service"]);
        assert_eq!(made.len(), 2);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("/etc/vserver/typo.toml:1:1: colour: "));
        assert_eq!(said[1], "web requires gone, but there is no such guest");
    }

    #[test]
    fn there_is_no_circle() {
        let (made, said) = written(&[
            ("a", "requires = ['b']"),
            ("b", "after = ['c']"),
            ("c", "requires = ['a', 'self']"),
            ("self", "after = ['self']"),
            ("out", "after = ['b']"),
        ]);
        // As they are stopped by one command.
        assert_eq!(words(&made, "a", "After"), ["vserver@b.service"]);
        assert_eq!(words(&made, "b", "After"), ["vserver@c.service"]);
        assert_eq!(words(&made, "c", "After"), ["vserver@self.service"]);
        assert_eq!(words(&made, "c", "Wants"), ["vserver@self.service"]);
        assert_eq!(words(&made, "out", "After"), ["vserver@b.service"]);
        assert!(words(&made, "self", "After").is_empty());
        let circle = |names| format!("these guests wait for each other: {names}");
        assert_eq!(
            said,
            [
                circle("a after b after c after a"),
                circle("self after self")
            ]
        );
    }

    #[test]
    fn what_can_not_be_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        store.save("web", "after = ['log']").unwrap();
        store.save("log", "").unwrap();
        let file = dir.path().join("etc/vserver/log.toml");
        let error = write(&store, &file, &mut |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("write to /"), "{error}");
    }
}
