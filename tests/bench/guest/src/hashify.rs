// SPDX-License-Identifier: GPL-2.0
//! Equal files of real trees: our command against others that find them, each on a disk of its own.
//!
//! Below each disk are `trees/NAME`, built one by one, and `peers`, a tree with the other commands.

use crate::meter::Meter;
use crate::peak;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The commands; each is told to make hard links of what is equal below `/mnt`.
const PEERS: [(&str, &str); 4] = [
    (
        "fclones",
        "fclones -q group /mnt >/groups && fclones -q link </groups",
    ),
    ("jdupes", "jdupes -q -r -L /mnt"),
    (
        "rdfind",
        "rdfind -makehardlinks true -makeresultsfile false /mnt",
    ),
    ("hardlink", "hardlink -q -t -y memcmp /mnt"),
];

/// Measures `tool` on the disk at `disk`; `cache` is cold or warm.
pub fn run(report: &mut Report, disk: &str, tool: &str, cache: &str) {
    report.group(&format!("hashify {tool} {cache}"), || {
        let bench = Bench::new(disk, cache)?;
        match PEERS.iter().find(|(name, _)| *name == tool) {
            Some((_, command)) => bench.peer(tool, command),
            None => bench.ours(),
        }
    });
}

struct Bench {
    disk: PathBuf,
    trees: Vec<PathBuf>,
    cache: String,
    meter: Meter,
}

/// What a command took.
struct Cost {
    units: u64,
    /// Most memory that one of its processes had, in bytes.
    memory: u64,
}

impl Bench {
    fn new(disk: &str, cache: &str) -> Result<Self> {
        let disk = PathBuf::from(disk);
        let mut trees = Vec::new();
        for entry in fs::read_dir(disk.join("trees"))? {
            trees.push(entry?.path());
        }
        trees.sort();
        ensure!(trees.len() > 1, "{trees:?}");
        Ok(Self {
            disk,
            trees,
            cache: cache.to_owned(),
            meter: Meter::new()?,
        })
    }

    fn figure(&self, what: &str, who: &str, value: u64) {
        let (count, cache) = (self.trees.len(), &self.cache);
        figure(
            &format!("what={what} trees={count} cache={cache} who={who}"),
            &[value],
        );
    }

    /// Measures a command that shall save space, and says what it saved.
    fn saving(&self, who: &str, command: &mut Command) -> Result<()> {
        self.prepare()?;
        let before = self.used()?;
        let cost = self.cost(command)?;
        self.figure("run", who, cost.units);
        self.figure("memory", who, cost.memory);
        self.figure("saved", who, before.saturating_sub(self.used()?));
        Ok(())
    }

    fn peer(&self, who: &str, command: &str) -> Result<()> {
        let root = self.disk.join("peers");
        let (inside, proc) = (root.join("mnt"), root.join("proc"));
        mount_bind(self.disk.join("trees"), &inside)?;
        mount("proc", &proc, "proc", MountFlags::empty(), None)?;
        let done = self.saving(who, &mut in_tree(&root, command));
        unmount(proc, UnmountFlags::empty())?;
        unmount(inside, UnmountFlags::empty())?;
        done
    }

    fn ours(&self) -> Result<()> {
        let known = Known::of(&self.trees)?;
        let hashify = || {
            let mut command = vserver();
            command.args(["hashify", "--no-default-excludes"]);
            command.args(&self.trees);
            command
        };
        self.saving("ours", &mut hashify())?;
        self.figure("files", "ours", known.files);
        let again = self.cost(&mut hashify())?;
        self.figure("again", "ours", again.units);
        self.figure("memory-again", "ours", again.memory);
        // What it takes without any files.
        let empty = self.disk.join("empty");
        fs::create_dir(&empty)?;
        let mut nothing = vserver();
        nothing
            .args(["hashify", "--pool"])
            .arg(self.disk.join("none"))
            .arg(empty);
        self.figure("nothing", "ours", self.cost(&mut nothing)?.memory);
        let after = Known::of(&self.trees)?;
        self.figure("disk", "ours", after.bytes);
        self.figure("disk", "one-and-differing", known.first + known.differing);
        let (one, all) = (self.cached(&self.trees[..1])?, self.cached(&self.trees)?);
        self.figure("cache", "ours", all);
        self.figure("cache", "one-and-differing", one + known.differing);
        self.clone()
    }

    fn clone(&self) -> Result<()> {
        let root = self.disk.join("peers");
        let inside = root.join("mnt");
        self.prepare()?;
        let mut clone = vserver();
        clone
            .arg("clone")
            .args([&self.trees[0], &self.disk.join("trees/clone")]);
        self.figure("clone", "ours", self.cost(&mut clone)?.units);
        mount_bind(self.disk.join("trees"), &inside)?;
        let name = self.trees[0].file_name().and_then(|name| name.to_str());
        let name = name.context("a tree without a name")?;
        let copy = format!("cp -a /mnt/{} /mnt/copy && sync -f /mnt/copy", name);
        self.prepare()?;
        let cost = self.cost(&mut in_tree(&root, &copy));
        unmount(inside, UnmountFlags::empty())?;
        self.figure("clone", "cp", cost?.units);
        Ok(())
    }

    /// Empties the page cache, and fills it again with the trees if it is to be warm.
    fn prepare(&self) -> Result<()> {
        drop_caches()?;
        match self.cache.as_str() {
            "warm" => self.trees.iter().try_for_each(|tree| read_all(tree)),
            _ => Ok(()),
        }
    }

    fn cost(&self, command: &mut Command) -> Result<Cost> {
        let mut memory = 0;
        let units = self.meter.measure(|| {
            memory = peak::of(command)?;
            Ok(())
        })?;
        Ok(Cost { units, memory })
    }

    /// What the file system holds, in bytes.
    fn used(&self) -> Result<u64> {
        rustix::fs::sync();
        let stat = rustix::fs::statvfs(&self.disk)?;
        Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
    }

    /// What the page cache holds when all files of some trees have been read.
    fn cached(&self, trees: &[PathBuf]) -> Result<u64> {
        drop_caches()?;
        let before = meminfo("Cached:")?;
        trees.iter().try_for_each(|tree| read_all(tree))?;
        Ok(meminfo("Cached:")?.saturating_sub(before))
    }
}

/// A command of the shell in a tree.
fn in_tree(root: &Path, command: &str) -> Command {
    let mut shell = peak::command(root);
    shell.args(["/bin/sh", "-c", command]);
    shell
}

/// Our command.
fn vserver() -> Command {
    let mut command = peak::command(Path::new("/"));
    command.arg("vserver");
    command
}

fn drop_caches() -> Result<()> {
    rustix::fs::sync();
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

fn meminfo(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line
        .and_then(|line| line.trim().split(' ').next())
        .context("meminfo")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// All regular files of a tree.
fn files(tree: &Path, mut take: impl FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let mut dirs = vec![tree.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                dirs.push(entry.path());
            } else if meta.is_file() {
                take(&entry.path(), &meta)?;
            }
        }
    }
    Ok(())
}

fn read_all(tree: &Path) -> Result<()> {
    files(tree, |path, _| {
        std::io::sink().write_all(&fs::read(path)?)?;
        Ok(())
    })
}

/// What there is in trees, found out without looking at what was shared.
struct Known {
    files: u64,
    /// What all inodes take.
    bytes: u64,
    /// What those of the first tree take.
    first: u64,
    /// What those of the others take that are equal to none of the first, each content once.
    differing: u64,
}

impl Known {
    fn of(trees: &[PathBuf]) -> Result<Self> {
        let (mut inodes, mut contents) = (HashSet::new(), HashMap::new());
        let mut known = Self {
            files: 0,
            bytes: 0,
            first: 0,
            differing: 0,
        };
        for (nth, tree) in trees.iter().enumerate() {
            files(tree, |path, meta| {
                known.files += 1;
                let bytes = meta.blocks() * 512;
                if inodes.insert(meta.ino()) {
                    known.bytes += bytes;
                    known.first += if nth == 0 { bytes } else { 0 };
                }
                let mut hasher = DefaultHasher::new();
                (fs::read(path)?, meta.mode(), meta.uid(), meta.gid()).hash(&mut hasher);
                if contents.insert(hasher.finish(), ()).is_none() && nth > 0 {
                    known.differing += bytes;
                }
                Ok(())
            })?;
        }
        Ok(known)
    }
}
