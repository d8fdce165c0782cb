// SPDX-License-Identifier: GPL-2.0
//! `vserver hashify`, `unhashify` and `clone` with the kernel: what is shared, what breaks, and what
//! is left when something goes wrong. The engine has tests of its own that need no kernel.

mod bad;
mod sharing;

use crate::harness::Suite;
use crate::tests;
use anyhow::{Context as _, Result, bail, ensure};
use bad::*;
use sharing::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const SUITE: Suite = Suite {
    name: "hashify",
    wants: "ext4 xfs tmpfs timeout=400",
    tests: tests![
        equal_files_share,
        guests_modify_their_own,
        names_need_not_be_text,
        clone_is_made_by_links,
        pool_is_collected,
        unhashify_gives_all_back,
        trees_one_after_another,
        large_attributes,
        kills,
        kills_of_unhashify,
        kills_of_clone,
        full_inode,
        damaged_pool,
        full_disk,
        no_room_for_copies,
        no_room_for_a_guest,
        read_only,
        another_run,
        busy_files,
    ],
};

const EXT4: &str = "/mnt/ext4";
const XFS: &str = "/mnt/xfs";
const TMPFS: &str = "/mnt/tmpfs";

/// Guests' trees in a directory of their own, with a pool beside them.
struct Trees {
    dir: PathBuf,
}

impl Trees {
    /// Trees `a` and `b` that have some files in common, and some not.
    fn new(fs: &str, name: &str) -> Result<Self> {
        let dir = Path::new(fs).join(name);
        let trees = Self { dir };
        for tree in ["a", "b"] {
            trees.write(tree, "usr/bin/tool", &[7; 300_000])?;
            trees.write(tree, "usr/lib/small", b"equal in both")?;
            trees.write(tree, "usr/own", format!("of {tree}").as_bytes())?;
            trees.write(tree, "etc/conf", b"configuration")?;
        }
        Ok(trees)
    }

    fn path(&self, tree: &str, file: &str) -> PathBuf {
        self.dir.join(tree).join(file)
    }

    fn write(&self, tree: &str, file: &str, content: &[u8]) -> Result<()> {
        let path = self.path(tree, file);
        fs::create_dir_all(path.parent().context("no directory")?)?;
        Ok(fs::write(path, content)?)
    }

    fn ino(&self, tree: &str, file: &str) -> Result<u64> {
        Ok(fs::symlink_metadata(self.path(tree, file))?.ino())
    }

    fn same(&self, one: &str, other: &str, file: &str) -> Result<bool> {
        Ok(self.ino(one, file)? == self.ino(other, file)?)
    }

    /// Hashifies a and b; gives what it says.
    fn hashify(&self) -> Result<String> {
        self.vserver(&["hashify", "--json"], &["a", "b"], 0)
    }

    /// The command with these trees, which has to end with a status.
    fn vserver(&self, args: &[&str], trees: &[&str], status: i32) -> Result<String> {
        let paths = trees.iter().map(|tree| self.dir.join(tree));
        vserver(args, paths, status)
    }

    /// The files in the pool.
    fn pool(&self) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for dir in fs::read_dir(self.dir.join(".hash"))? {
            let dir = dir?.path();
            if dir.file_name().is_some_and(|name| name.len() == 2) {
                for entry in fs::read_dir(dir)? {
                    all.push(entry?.path());
                }
            }
        }
        Ok(all)
    }

    /// All regular files with their content.
    fn contents(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let (mut found, mut dirs) = (BTreeMap::new(), vec![self.dir.clone()]);
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if entry.file_name() == ".hash" {
                    continue;
                } else if kind.is_dir() {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    found.insert(entry.path(), fs::read(entry.path())?);
                }
            }
        }
        Ok(found)
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        // The next test wants the room.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Runs the command, which has to end with a status; what it said, its complaints after the rest.
fn vserver(args: &[&str], paths: impl IntoIterator<Item = PathBuf>, status: i32) -> Result<String> {
    finish(Command::new("vserver").args(args).args(paths), status)
}

/// Runs it.
fn finish(command: &mut Command, status: i32) -> Result<String> {
    let output = command.output()?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(status) {
        bail!("{command:?}: {}, not {status}: {said}", output.status);
    }
    Ok(said)
}

/// What a run says of a thing, by the name that JSON has for it.
fn number(said: &str, path: &[&str]) -> Result<u64> {
    let mut rest = said;
    for name in path {
        let name = format!("\"{name}\":");
        let at = rest
            .find(&name)
            .with_context(|| format!("no {name} in {said}"))?;
        rest = &rest[at + name.len()..];
    }
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .with_context(|| format!("{path:?} in {said}"))
}

fn says(said: &str, words: &str) -> Result<()> {
    ensure!(said.contains(words), "it does not say {words:?}: {said}");
    Ok(())
}
