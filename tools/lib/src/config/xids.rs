// SPDX-License-Identifier: GPL-2.0
//! The ids of contexts that were assigned to guests: a file with a line `ID NAME` each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use vserver_abi as abi;

use super::store::write_whole;
use crate::error::{Doing, Error, Result};

/// The first id that is assigned; those below are for who gives them by hand.
const FIRST: u32 = 1000;

/// The id of guest `name`, a new one not in `taken` if it has none yet.
pub(super) fn assign(path: &Path, name: &str, taken: &BTreeSet<u32>) -> Result<u32> {
    let _alone = lock(path)?;
    let mut ids = read(path)?;
    if let Some((xid, _)) = ids.iter().find(|(_, n)| *n == name) {
        if !taken.contains(xid) {
            return Ok(*xid);
        }
    }
    ids.retain(|_, n| n != name);
    let free =
        (FIRST..=abi::VX_XID_STATIC_MAX).find(|x| !taken.contains(x) && !ids.contains_key(x));
    let xid = free.ok_or_else(|| Error::Invalid("no id is free for another guest".into()))?;
    ids.insert(xid, name.to_owned());
    write(path, &ids)?;
    Ok(xid)
}

/// The id of guest `name`, if one was assigned to it.
pub(super) fn assigned(path: &Path, name: &str) -> Result<Option<u32>> {
    let ids = read(path)?;
    Ok(ids.iter().find(|(_, n)| *n == name).map(|(xid, _)| *xid))
}

/// Forgets the id of guest `name`.
pub(super) fn forget(path: &Path, name: &str) -> Result<()> {
    let _alone = lock(path)?;
    let mut ids = read(path)?;
    let before = ids.len();
    ids.retain(|_, n| n != name);
    match ids.len() == before {
        true => Ok(()),
        false => write(path, &ids),
    }
}

/// One at a time: the directory is locked, since the file itself is replaced.
fn lock(path: &Path) -> Result<File> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let doing = || format!("lock {}", dir.display());
    fs::create_dir_all(dir).doing(doing)?;
    let file = File::open(dir).doing(doing)?;
    flock(&file, FlockOperation::LockExclusive).doing(doing)?;
    Ok(file)
}

fn read(path: &Path) -> Result<BTreeMap<u32, String>> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text.doing(|| format!("read {}", path.display()))?,
    };
    (1..)
        .zip(text.lines())
        .map(|(line, words)| {
            let parsed = words
                .split_once(' ')
                .and_then(|(xid, name)| Some((xid.parse::<u32>().ok()?, name.trim().to_owned())));
            parsed.ok_or_else(|| Error::Config {
                file: path.to_owned(),
                line,
                column: 1,
                key: None,
                message: "not an id and a name".into(),
            })
        })
        .collect()
}

fn write(path: &Path, ids: &BTreeMap<u32, String>) -> Result<()> {
    let lines = ids.iter().map(|(xid, name)| format!("{xid} {name}\n"));
    write_whole(path, &lines.collect::<String>())
}
