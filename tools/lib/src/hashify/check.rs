// SPDX-License-Identifier: GPL-2.0
//! Whether the pool's files are what their names say.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::fstat;
use rustix::io::Errno;
use serde::Serialize;

use super::key::{self, Hash};
use super::pool::Pool;
use super::{Options, Run, scan, trees};
use crate::attr::Attributes;
use crate::error::{Error, Result};
use crate::protect;
use crate::unify::Progress;
use crate::unify::compare::Key;
use crate::xattr::xattrs;

/// A damaged file of the pool.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// Its name in the pool.
    #[serde(serialize_with = "crate::lossy::path")]
    pub entry: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The files in the trees that are this one.
    #[serde(serialize_with = "crate::lossy::paths")]
    pub files: Vec<PathBuf>,
}

/// Reads all files of the pools of these trees; gives how many they are, and the damaged ones.
pub fn check(
    paths: &[PathBuf],
    pool: Option<&std::path::Path>,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<(u64, Vec<Damage>)> {
    let options = Options {
        dry_run: true,
        ..Options::default()
    };
    let (mut count, mut all) = (0, Vec::new());
    for place in trees::open(paths, pool, false)? {
        let entries = place.pool.entries()?;
        count += entries.len() as u64;
        progress.planned(entries.len() as u64);
        let damaged: Vec<(u64, Damage)> = entries
            .par_iter()
            .filter_map(|(hash, ino)| {
                let what = entry(&place.pool, hash, attributes);
                progress.done(1);
                Some((
                    *ino,
                    Damage {
                        entry: place.pool.path_of(hash),
                        what: what?,
                        files: Vec::new(),
                    },
                ))
            })
            .collect();
        if damaged.is_empty() {
            continue;
        }
        // Whose files they are takes a walk.
        let run = Run::new(&options, attributes, progress, &place);
        let found = scan::scan(&run);
        let none = |(ino, _): &(u64, Damage)| (*ino, Vec::new());
        let mut names: HashMap<u64, Vec<PathBuf>> = damaged.iter().map(none).collect();
        for at in found.files.sorted() {
            let ino = found.files.record(at).ino;
            let in_tree = run.index(found.files.tree(at)).is_some();
            if let (true, Some(names)) = (in_tree, names.get_mut(&ino)) {
                names.push(run.path(&found.files, at));
            }
        }
        all.extend(damaged.into_iter().map(|(ino, damage)| Damage {
            files: names.remove(&ino).unwrap_or_default(),
            ..damage
        }));
    }
    Ok((count, all))
}

/// What is wrong with an entry, if anything.
fn entry(pool: &Pool, hash: &Hash, attributes: &dyn Attributes) -> Option<String> {
    match look(pool, hash, attributes) {
        // Somebody has collected it.
        Ok(None) | Err(Error::Io { .. }) if pool.stat(hash).err() == Some(Errno::NOENT) => None,
        Ok(what) => what.map(str::to_owned),
        Err(e) => Some(e.to_string()),
    }
}

fn look(pool: &Pool, hash: &Hash, attributes: &dyn Attributes) -> Result<Option<&'static str>> {
    let failed = |doing| move |e: Errno| Error::file(doing, &pool.path_of(hash), e);
    let file = pool.entry(hash).map_err(failed("open"))?;
    let stat = fstat(&file).map_err(failed("look at"))?;
    let attr = attributes
        .get(file.as_fd())
        .map_err(failed("read the attributes of"))?;
    let xattrs = xattrs(&file).map_err(failed("read the extended attributes of"))?;
    // Files of a run that keeps times have them in their name, too.
    for keep_times in [false, true] {
        let key = Key::new(&stat, keep_times);
        let have = key::of_file(&key, &xattrs, &file, &stat, &mut Vec::new());
        let have = have.map_err(|e| Error::file("read", &pool.path_of(hash), e))?;
        if have.as_ref() == Some(hash) {
            return Ok(match protect::is_unified(&attr) {
                true => None,
                false => Some("is not protected: vserver hashify"),
            });
        }
    }
    Ok(Some("is not what it was when it got its name"))
}
