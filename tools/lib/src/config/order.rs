// SPDX-License-Identifier: GPL-2.0
//! In which order guests are started.

use std::collections::{BTreeMap, BTreeSet};

use super::Guest;
use crate::error::{Error, Result};

/// Guests in the order in which they are started; they are stopped in the reverse one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order(pub Vec<String>);

/// Puts the guests `wanted`, and those that they require, in order; `all` are all that there are.
pub fn order(wanted: &[String], all: &BTreeMap<String, Guest>) -> Result<Order> {
    let mut sorting = Sorting {
        chosen: closure(wanted, all)?,
        all,
        path: Vec::new(),
        done: Vec::new(),
    };
    for name in sorting.chosen.clone() {
        sorting.visit(&name)?;
    }
    Ok(Order(sorting.done))
}

/// The guests `wanted` and all that these require.
fn closure(wanted: &[String], all: &BTreeMap<String, Guest>) -> Result<BTreeSet<String>> {
    let mut chosen = BTreeSet::new();
    let mut open: Vec<(String, Option<String>)> =
        wanted.iter().map(|name| (name.clone(), None)).collect();
    while let Some((name, by)) = open.pop() {
        let guest = all.get(&name).ok_or_else(|| match by {
            Some(by) => Error::Invalid(format!("{by} requires {name}, but there is no such guest")),
            None => Error::NoGuest(name.clone()),
        })?;
        if chosen.insert(name.clone()) {
            let required = guest.requires.iter().cloned();
            open.extend(required.map(|r| (r, Some(name.clone()))));
        }
    }
    Ok(chosen)
}

struct Sorting<'a> {
    chosen: BTreeSet<String>,
    all: &'a BTreeMap<String, Guest>,
    /// From the guest that was asked for to the one that is looked at.
    path: Vec<String>,
    done: Vec<String>,
}

impl Sorting<'_> {
    fn visit(&mut self, name: &str) -> Result<()> {
        if self.done.iter().any(|n| n == name) || !self.chosen.contains(name) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|n| n == name) {
            let circle = self.path[start..].join(" after ");
            return Err(Error::Invalid(format!(
                "these guests wait for each other: {circle} after {name}"
            )));
        }
        self.path.push(name.to_owned());
        if let Some(guest) = self.all.get(name) {
            for first in guest.requires.iter().chain(&guest.after) {
                self.visit(first)?;
            }
        }
        self.path.pop();
        self.done.push(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests(list: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Guest> {
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect();
        list.iter()
            .map(|(name, requires, after)| {
                let guest = Guest {
                    requires: words(requires),
                    after: words(after),
                    ..Guest::default()
                };
                ((*name).to_owned(), guest)
            })
            .collect()
    }

    fn ordered(wanted: &[&str], all: &BTreeMap<String, Guest>) -> Result<Vec<String>> {
        let wanted: Vec<String> = wanted.iter().map(|&w| w.to_owned()).collect();
        order(&wanted, all).map(|o| o.0)
    }

    #[test]
    fn what_is_required_comes_along_and_first() {
        let all = guests(&[
            ("a", &["c"], &["b"]),
            ("b", &[], &["c"]),
            ("c", &[], &[]),
            ("d", &[], &[]),
        ]);
        assert_eq!(ordered(&["a"], &all).unwrap(), ["c", "a"]);
        assert_eq!(ordered(&["a", "b"], &all).unwrap(), ["c", "b", "a"]);
        assert_eq!(ordered(&["d", "b"], &all).unwrap(), ["b", "d"]);
    }

    #[test]
    fn circles_and_strangers_are_named() {
        let all = guests(&[("a", &["b"], &[]), ("b", &[], &["a"]), ("c", &["x"], &[])]);
        assert_eq!(
            ordered(&["a"], &all).unwrap_err().to_string(),
            "these guests wait for each other: a after b after a"
        );
        assert_eq!(ordered(&["b"], &all).unwrap(), ["b"]);
        let stranger = ordered(&["c"], &all).unwrap_err().to_string();
        assert_eq!(stranger, "c requires x, but there is no such guest");
        assert!(matches!(ordered(&["x"], &all), Err(Error::NoGuest(_))));
    }

    #[test]
    fn what_is_only_after_another_need_not_exist() {
        let all = guests(&[("a", &[], &["gone"])]);
        assert_eq!(ordered(&["a"], &all).unwrap(), ["a"]);
    }
}
