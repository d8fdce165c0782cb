// SPDX-License-Identifier: GPL-2.0
//! In which order guests are started.

use std::collections::{BTreeMap, BTreeSet};

use super::Guest;
use crate::error::Error;

/// Guests in the order in which they are started; they are stopped in the reverse one.
#[derive(Debug, Default)]
pub struct Order {
    /// Their names, also of those that can't be started.
    pub names: Vec<String>,
    /// Why some of them can't be: there is no such guest, or none that they require, or they wait
    /// for each other.
    pub refused: BTreeMap<String, Error>,
}

/// Puts the guests `wanted`, and those that they require, in order; `all` are all that there are.
pub fn order(wanted: &[String], all: &BTreeMap<String, Guest>) -> Order {
    let (chosen, refused) = closure(wanted, all);
    let mut sorting = Sorting {
        all,
        path: Vec::new(),
        order: Order {
            names: Vec::new(),
            refused,
        },
        chosen: &chosen,
    };
    for name in &chosen {
        sorting.visit(name);
    }
    sorting.order
}

/// The guests `wanted` and all that these require; and which of them miss something.
fn closure(
    wanted: &[String],
    all: &BTreeMap<String, Guest>,
) -> (BTreeSet<String>, BTreeMap<String, Error>) {
    let mut chosen = BTreeSet::new();
    let mut refused = BTreeMap::new();
    let mut open = wanted.to_vec();
    while let Some(name) = open.pop() {
        if !chosen.insert(name.clone()) {
            continue;
        }
        let Some(guest) = all.get(&name) else {
            refused.insert(name.clone(), Error::NoGuest(name));
            continue;
        };
        for required in &guest.requires {
            match all.contains_key(required) {
                true => open.push(required.clone()),
                false => {
                    let message = format!("{name} requires {required}, but there is no such guest");
                    refused.insert(name.clone(), Error::Invalid(message));
                }
            }
        }
    }
    (chosen, refused)
}

struct Sorting<'a> {
    chosen: &'a BTreeSet<String>,
    all: &'a BTreeMap<String, Guest>,
    /// From the guest that was asked for to the one that is looked at.
    path: Vec<String>,
    order: Order,
}

impl Sorting<'_> {
    fn visit(&mut self, name: &str) {
        if self.order.names.iter().any(|n| n == name) || !self.chosen.contains(name) {
            return;
        }
        if let Some(start) = self.path.iter().position(|n| n == name) {
            let members = &self.path[start..];
            let circle = members.join(" after ");
            for member in members {
                let message = format!("these guests wait for each other: {circle} after {name}");
                let refused = self.order.refused.entry(member.clone());
                refused.or_insert(Error::Invalid(message));
            }
            return;
        }
        self.path.push(name.to_owned());
        if let Some(guest) = self.all.get(name) {
            for first in guest.requires.iter().chain(&guest.after) {
                self.visit(first);
            }
        }
        self.path.pop();
        self.order.names.push(name.to_owned());
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

    fn ordered(wanted: &[&str], all: &BTreeMap<String, Guest>) -> Order {
        let wanted: Vec<String> = wanted.iter().map(|&w| w.to_owned()).collect();
        order(&wanted, all)
    }

    /// Who can't be started, and why.
    fn refused(order: &Order) -> Vec<(&str, String)> {
        let refused = order.refused.iter();
        refused.map(|(n, e)| (n.as_str(), e.to_string())).collect()
    }

    #[test]
    fn what_is_required_comes_along_and_first() {
        let all = guests(&[
            ("a", &["c"], &["b"]),
            ("b", &[], &["c"]),
            ("c", &[], &[]),
            ("d", &[], &[]),
        ]);
        assert_eq!(ordered(&["a"], &all).names, ["c", "a"]);
        assert_eq!(ordered(&["a", "b"], &all).names, ["c", "b", "a"]);
        assert_eq!(ordered(&["d", "b"], &all).names, ["b", "d"]);
        assert!(ordered(&["a", "b", "d"], &all).refused.is_empty());
    }

    #[test]
    fn circles_and_strangers_are_named() {
        let all = guests(&[("a", &["b"], &[]), ("b", &[], &["a"]), ("c", &["x"], &[])]);
        let circle = "these guests wait for each other: a after b after a".to_owned();
        assert_eq!(
            refused(&ordered(&["a"], &all)),
            [("a", circle.clone()), ("b", circle)]
        );
        assert!(ordered(&["b"], &all).refused.is_empty());
        assert_eq!(
            refused(&ordered(&["c"], &all)),
            [("c", "c requires x, but there is no such guest".to_owned())]
        );
        let order = ordered(&["x"], &all);
        assert!(matches!(order.refused["x"], Error::NoGuest(_)));
        assert_eq!(order.names, ["x"]);
    }

    #[test]
    fn who_has_nothing_to_do_with_a_mistake_is_not_refused() {
        let all = guests(&[
            ("a", &["b"], &[]),
            ("b", &[], &["a"]),
            ("c", &["x"], &[]),
            ("d", &[], &["a", "c"]),
            ("e", &["d"], &[]),
        ]);
        let order = ordered(&["a", "c", "d", "e", "y"], &all);
        let names: Vec<_> = refused(&order).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["a", "b", "c", "y"]);
        assert_eq!(order.names, ["b", "a", "c", "d", "e", "y"]);
    }

    #[test]
    fn what_is_only_after_another_need_not_exist() {
        let all = guests(&[("a", &[], &["gone"])]);
        assert_eq!(ordered(&["a"], &all).names, ["a"]);
    }
}
