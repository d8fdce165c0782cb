// SPDX-License-Identifier: GPL-2.0
//! What is shared with whom, what that saves, and what broke since.

use std::path::PathBuf;

use serde::Serialize;

use super::files::{POOL, Ref};
use super::group;
use super::{Options, Run, scan, trees};
use crate::attr::Attributes;
use crate::error::Result;
use crate::unify::report::Amount;
use crate::unify::{Progress, disk_bytes};

/// Above so many trees they are not compared each with each.
const MOST_PAIRED: usize = 100;

/// The state of a pool.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Where it is.
    #[serde(serialize_with = "crate::lossy::path")]
    pub pool: PathBuf,
    /// Its entries, with what they take on disk.
    pub entries: Amount,
    /// Those of them to which no file leads any more: `gc` removes them.
    pub lone: Amount,
    /// What the files of the trees would take more if none were shared.
    pub saved: u64,
    /// The trees.
    pub trees: Vec<TreeStatus>,
}

/// What a tree shares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TreeStatus {
    /// The tree.
    #[serde(serialize_with = "crate::lossy::path")]
    pub tree: PathBuf,
    /// When it was hashified, in seconds since 1970.
    pub hashified: Option<u64>,
    /// Files that are in the pool.
    pub shared: Amount,
    /// Files of its own.
    pub own: Amount,
    /// With which other tree it shares how much.
    pub with: Vec<With>,
    /// Files that were shared when it was hashified last, and have been changed or replaced since.
    #[serde(serialize_with = "crate::lossy::paths")]
    pub broken: Vec<PathBuf>,
}

/// What a tree shares with another.
#[derive(Clone, Debug, Serialize)]
pub struct With {
    /// The other tree.
    #[serde(serialize_with = "crate::lossy::path")]
    pub tree: PathBuf,
    /// Files of the one that are in the other, too.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Looks at the trees and their pools. Nothing is changed.
pub fn status(
    paths: &[PathBuf],
    pool: Option<&std::path::Path>,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Vec<Status>> {
    let options = Options {
        dry_run: true,
        ..Options::default()
    };
    let places = trees::open(paths, pool, false)?;
    Ok(places
        .iter()
        .map(|place| look(&Run::new(&options, attributes, progress, place)))
        .collect())
}

fn look(run: &Run<'_>) -> Status {
    let found = scan::scan(run);
    let files = &found.files;
    let mut status = Status {
        pool: run.pool.path.clone(),
        entries: Amount::default(),
        lone: Amount::default(),
        saved: 0,
        trees: Vec::new(),
    };
    for (tree, state) in run.trees.iter().zip(&run.states) {
        status.trees.push(TreeStatus {
            tree: tree.path.clone(),
            hashified: (state.time > 0).then_some(state.time),
            ..TreeStatus::default()
        });
    }
    let mut pairs = vec![Amount::default(); run.trees.len() * run.trees.len()];
    let sorted = files.sorted();
    for node in group::nodes(files, &sorted) {
        let bytes = files.record(node[0]).size.next_multiple_of(4096);
        let amount = Amount { files: 1, bytes };
        let in_pool = files.tree(node[0]) == POOL;
        let names: Vec<(usize, Ref)> = node
            .iter()
            .filter_map(|at| Some((run.index(files.tree(*at))?, *at)))
            .collect();
        if in_pool {
            status.entries.add(amount);
            status.saved += bytes * (names.len() as u64).saturating_sub(1);
        }
        for (index, at) in &names {
            let tree = &mut status.trees[*index];
            match in_pool {
                true => tree.shared.add(amount),
                false => tree.own.add(amount),
            }
            let path = files.path(*at);
            let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
            if !in_pool && run.states[*index].was_shared(bytes) {
                tree.broken.push(path);
            }
        }
        if in_pool && run.trees.len() <= MOST_PAIRED {
            pair(&names, run.trees.len(), amount, &mut pairs);
        }
    }
    for at in &found.lone {
        if let Some(stat) = files
            .name(*at)
            .try_into()
            .ok()
            .and_then(|hash| run.pool.stat(&hash).ok())
        {
            status.lone.add(Amount {
                files: 1,
                bytes: disk_bytes(&stat),
            });
        }
    }
    for (index, tree) in status.trees.iter_mut().enumerate() {
        tree.broken.sort_unstable();
        let row = pairs.iter().skip(index * run.trees.len());
        tree.with = run
            .trees
            .iter()
            .zip(row)
            .filter(|(_, amount)| amount.files > 0)
            .map(|(other, amount)| With {
                tree: other.path.clone(),
                amount: *amount,
            })
            .collect();
    }
    status
}

/// Adds an inode to what each tree shares with each other. Names of one tree come one after another.
fn pair<T>(names: &[(usize, T)], trees: usize, amount: Amount, pairs: &mut [Amount]) {
    let counted: Vec<(usize, u64)> = names
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(|of_one| (of_one[0].0, of_one.len() as u64))
        .collect();
    for (one, names) in &counted {
        let amount = Amount {
            files: amount.files * names,
            bytes: amount.bytes * names,
        };
        for (other, _) in counted.iter().filter(|(other, _)| other != one) {
            pairs[one * trees + other].add(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each tree has the inode under as many names: going through all pairs of names would take
    /// minutes.
    #[test]
    fn an_inode_with_many_names_is_soon_counted() {
        let (trees, each) = (MOST_PAIRED, 2000);
        let names: Vec<_> = (0..trees * each).map(|name| (name / each, ())).collect();
        let amount = Amount {
            files: 1,
            bytes: 4096,
        };
        let mut pairs = vec![Amount::default(); trees * trees];
        let begin = std::time::Instant::now();
        pair(&names[..3 * each - 1], trees, amount, &mut pairs);
        pair(&names, trees, amount, &mut pairs);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        let of = |one: usize, other: usize| pairs[one * trees + other];
        let count = |files: usize| Amount {
            files: files as u64,
            bytes: files as u64 * 4096,
        };
        assert_eq!(of(0, 0), Amount::default());
        assert_eq!(of(0, 2), count(2 * each));
        assert_eq!(of(2, 0), count(2 * each - 1), "one name less at first");
        assert_eq!(of(99, 98), count(each));
    }
}
