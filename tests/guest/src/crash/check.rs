// SPDX-License-Identifier: GPL-2.0
//! What is looked at after a crash.

use super::files::{FILES, NEW, NUMBERS, Tree, differences, expected, is_single, look};
use super::ways::{State, WAYS, Way};
use crate::unified::{Look, UNIFIED};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// How the name of a break's temporary file begins.
const TEMPORARY: &[u8] = b".vserver-cow-";

/// What was known of a name when the machine lost its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nobody had begun to break it, or it was whole again, and that was made durable.
    Original,
    /// Anything may have been going on.
    Nothing,
    /// It was broken, and that was made durable.
    Durable,
}

/// How many names were found in which state.
#[derive(Default)]
pub struct Count {
    pub original: u32,
    pub private: u32,
    pub done: u32,
    /// Temporary names that a break left behind.
    pub debris: u32,
    /// Neither the old nor the new file.
    pub bad: u32,
}

impl Count {
    pub fn add(&mut self, other: &Count) {
        self.original += other.original;
        self.private += other.private;
        self.done += other.done;
        self.debris += other.debris;
        self.bad += other.bad;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            original,
            private,
            done,
            debris,
            bad,
        } = self;
        write!(
            f,
            "{original} original, {private} private, {done} done, {debris} debris, {bad} bad"
        )
    }
}

/// Counts the names that hold the original or a whole private file, and the temporary names that
/// hold whole files; tells what is bad about the others.
pub fn names(tree: &Tree, known: impl Fn(Way, u64) -> Known) -> Result<Count> {
    let mut originals = tree.originals()?;
    originals.extend((FILES..NUMBERS).map(expected));
    let mut count = Count::default();
    for way in WAYS {
        for n in 0..NUMBERS {
            let path = way.path(tree, n);
            let original = &originals[n as usize];
            if let Err(e) = name(*way, n, &path, original, known(*way, n), &mut count) {
                println!("# {}: {e:#}", path.display());
                count.bad += 1;
            }
        }
        for path in debris(&way.dir(tree))? {
            count.debris += 1;
            if let Err(e) = whole_copy(*way, &originals, &path) {
                println!("# {}: {e:#}", path.display());
                count.bad += 1;
            }
        }
    }
    Ok(count)
}

fn name(
    way: Way,
    n: u64,
    path: &Path,
    original: &Look,
    known: Known,
    count: &mut Count,
) -> Result<()> {
    let mut is = look(path)?;
    if way.is_original(n, original, &is) {
        ensure!(known != Known::Durable, "is the original again");
        is.ino = original.ino;
        ensure!(is == *original, "{}", differences(original, &is));
        count.original += 1;
        return Ok(());
    }
    ensure!(known != Known::Original, "nobody broke the link");
    ensure!(fs::metadata(path)?.nlink() == 1, "the copy has more names");
    // It was about to be unified; or, if single, was private before the journal said so, or had not
    // lost its attribute yet.
    let unified = is.flags & UNIFIED;
    let halfway = known != Known::Durable && (way.overwrites() || unified == abi::IATTR_IUNLINK);
    if !is_single(n) || halfway {
        is.flags &= !UNIFIED;
    }
    match way.judge(n, original, &is)? {
        State::Done => count.done += 1,
        State::Private if known == Known::Durable => bail!("what was durable has gone"),
        State::Private => count.private += 1,
    }
    Ok(())
}

/// The temporary names in a directory; a name that nobody made is an error.
pub fn debris(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(TEMPORARY) {
            found.push(dir.join(&name));
        } else if !bytes.starts_with(NEW.as_bytes()) {
            let number = name.to_str().and_then(|name| name.parse().ok());
            ensure!(
                number.is_some_and(|n: u64| n < NUMBERS),
                "a file {} in {}",
                name.to_string_lossy(),
                dir.display()
            );
        }
    }
    Ok(found)
}

/// A break in a directory, the first there since the file system was mounted, leaves no temporary
/// name there: its own is not seen, and those that a crash has left go.
pub fn sweeps(tree: &Tree, way: Way) -> Result<()> {
    let n = FILES - 1;
    if !tree.is_original(way, n)? {
        tree.restore(way, n)?;
    }
    fs::OpenOptions::new().write(true).open(way.path(tree, n))?;
    ensure!(!tree.is_original(way, n)?, "the link is not broken");
    tree.restore(way, n)?;
    let left = debris(&way.dir(tree))?;
    ensure!(left.is_empty(), "still there: {left:?}");
    Ok(())
}

/// A temporary name leads to some original, or to a whole copy of one: mostly to one that nobody has
/// changed yet. But the rename may be lost where a later change of the file itself is not.
fn whole_copy(way: Way, originals: &[Look], path: &Path) -> Result<()> {
    let mut is = look(path)?;
    if originals.iter().any(|original| original.ino == is.ino) {
        return Ok(());
    }
    // It was about to be unified.
    is.flags &= !UNIFIED;
    let mut why = anyhow::anyhow!("no originals");
    for (n, original) in originals.iter().enumerate() {
        match way.judge(n as u64, original, &is) {
            Ok(_) => return Ok(()),
            // The one whose attributes it has says best what is wrong.
            Err(e) if is.owner.0 % 100 == original.owner.0 % 100 => why = e,
            Err(_) => (),
        }
    }
    Err(why)
}
