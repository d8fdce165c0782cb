// SPDX-License-Identifier: GPL-2.0
//! A storm of breaks whose every write is logged, and what is on the disk if the power fails at
//! any flush.
//!
//! The log is replayed on an image in memory. At each stop a copy of the image is mounted, which
//! recovers the journal, and looked at; then the file system's own checker looks. Marks in the log
//! say what had been begun and what had been made durable by then. Every other stop is made with a
//! random part of the writes behind it that no flush had followed yet: those may be on the disk too,
//! in any order.
//!
//! There is a stop at every flush on ext4, xfs and btrfs, and at some on other kinds of disks. `STOPS`
//! says how many there are on each, `SEED` which parts are taken.

use super::check::{self, Count, Known};
use super::cuts;
use super::fast_commit::ext4_fast_break;
use super::files::{NUMBERS, Tree, expected};
use super::image::Image;
use super::log::{self, Entry};
use super::log_writes::LogWrites;
use super::storm::{Random, make_durable};
use super::ways::{WAYS, Way, fsync};
use crate::harness::Suite;
use crate::process::{self, Status, spawn};
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const SUITE: Suite = Suite {
    name: "replay",
    wants: "ext4 ext4-fast xfs xfs-plain btrfs f2fs raw:512 timeout=3600 fsck=yes env=STOPS env=SEED",
    tests: tests![
        ext4,
        ext4_fast_break,
        ext4_fast,
        xfs,
        xfs_plain,
        btrfs,
        f2fs
    ],
};

/// How many processes break links, each in files of its own.
const WORKERS: u64 = 3;
/// How many stops there are, if the environment does not say.
const EVERY: usize = usize::MAX;
const SOME: usize = 30;
/// How long a process that makes things durable waits at least. Each time is a stop.
const PAUSE: Duration = Duration::from_millis(30);
/// How often in a row a stop moves on: each of the processes may have one commit under way.
const MOVES: u32 = WORKERS as u32 + 1;
const LOOP: &str = "/dev/loop0";
const COPY: &str = "/tmp/copy";

fn ext4() -> Result<()> {
    replay("ext4", true, EVERY)
}

/// With a journal that knows single files, as that of btrfs does. There is no cache that mixes up its
/// blocks, which it does not expect ([`Copy::is_halfway`]), and no checker ([`Copy::fsck`]).
fn ext4_fast() -> Result<()> {
    replay("ext4-fast", false, SOME)
}

fn xfs() -> Result<()> {
    replay("xfs", true, EVERY)
}

fn xfs_plain() -> Result<()> {
    replay("xfs-plain", true, SOME)
}

fn btrfs() -> Result<()> {
    replay("btrfs", true, EVERY)
}

fn f2fs() -> Result<()> {
    replay("f2fs", true, SOME)
}

fn number(name: &str) -> Result<Option<u64>> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().context(name.to_owned()))
        .transpose()
}

pub(super) fn disk(kind: &str) -> Result<PathBuf> {
    let name = format!("DISK_{}", kind.to_uppercase().replace('-', "_"));
    Ok(std::env::var_os(&name).context(name)?.into())
}

/// With `cache`, the disk has a volatile one: a part of what was written since the last flush is there.
fn replay(kind: &str, cache: bool, stops: usize) -> Result<()> {
    // The suite's own limit is enough.
    process::alarm(0);
    let (disk, raw) = (disk(kind)?, disk("raw")?);
    let tree = Tree::new(Path::new("/mnt").join(kind));
    cuts::make(kind, &tree)?;
    tree.originals()?;
    unmount(&tree.root, UnmountFlags::empty())?;

    let image = Image::of(&disk, Path::new("/tmp/image"))?;
    let logged = LogWrites::new(&disk, &raw)?;
    mount_at(kind, &logged.path, &tree.root)?;
    let done = storm(&tree, &logged);
    unmount(&tree.root, UnmountFlags::empty())?;
    done?;
    logged.remove()?;

    let entries = log::read(&raw)?;
    let copy = Copy::new(kind, &disk)?;
    let mut random = Random::new(number("SEED")?.unwrap_or(1));
    let history = History {
        entries,
        log: File::open(&raw)?,
    };
    let stops = number("STOPS")?.map_or(stops, |n| n as usize);
    ensure!(stops > 0, "STOPS: at least one");
    history.replay(&image, &copy, cache.then_some(&mut random), stops)
}

/// Breaks every link once, and makes some whole again. Before each stands a mark in the log; and
/// another after it, if it was made durable.
fn storm(tree: &Tree, log: &LogWrites) -> Result<()> {
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        workers.push(spawn(|| match work(tree, log, worker) {
            Ok(()) => 0,
            Err(e) => {
                println!("# {e:#}");
                1
            }
        })?);
    }
    let mut random = Random::new(WORKERS);
    let _durable = spawn(|| {
        loop {
            std::thread::sleep(PAUSE);
            if make_durable(tree, &mut random).is_err() {
                return 1;
            }
        }
    })?;
    for worker in workers {
        ensure!(worker.wait()? == Status::Exited(0), "a worker failed");
    }
    Ok(())
}

fn work(tree: &Tree, log: &LogWrites, worker: u64) -> Result<()> {
    let mut random = Random::new(worker);
    for n in (worker..NUMBERS).step_by(WORKERS as usize) {
        for way in WAYS.iter().filter(|way| way.numbers().contains(&n)) {
            let what = format!("{}/{n}", way.name());
            let mut then = |mark: &str| -> Result<()> {
                if random.below(3) == 0 {
                    fsync(&way.path(tree, n))?;
                    log.settle()?;
                    log.mark(&format!("{mark}:{what}"))?;
                }
                Ok(())
            };
            log.mark(&format!("{BEGIN}:{what}"))?;
            way.apply(&way.path(tree, n), &expected(n))
                .with_context(|| what.clone())?;
            then(DONE)?;
            if is_restored(n) {
                log.mark(&format!("{BEGIN}:{what}"))?;
                tree.restore(*way, n).with_context(|| what.clone())?;
                then(RESTORED)?;
            }
        }
    }
    Ok(())
}

/// Whether the link is made whole again after the break.
fn is_restored(n: u64) -> bool {
    n % 4 == 3
}

/// What marks in the log say of a file: that something begins, and what of it was made durable.
const BEGIN: &str = "begin";
const DONE: &str = "done";
const RESTORED: &str = "restored";

/// What was written, in the order in which it became durable.
struct History {
    entries: Vec<Entry>,
    log: File,
}

/// What the marks up to some place in the log say of files.
#[derive(Default)]
struct Marks(BTreeMap<String, Known>);

impl Marks {
    fn note(&mut self, entry: &Entry) {
        let Entry::Mark(text) = entry else { return };
        let Some((mark, what)) = text.split_once(':') else {
            return;
        };
        let known = match mark {
            DONE => Known::Durable,
            RESTORED => Known::Original,
            _ => Known::Nothing,
        };
        self.0.insert(what.into(), known);
    }

    fn known(&self, way: Way, n: u64) -> Known {
        let what = format!("{}/{n}", way.name());
        self.0.get(&what).copied().unwrap_or(Known::Original)
    }
}

impl History {
    /// Stops at so many flushes, as far as there are.
    fn replay(
        &self,
        image: &Image,
        copy: &Copy,
        mut cache: Option<&mut Random>,
        stops: usize,
    ) -> Result<()> {
        let flushes = self.flushes();
        ensure!(flushes.len() > 1, "no flushes in the log");
        let stops = stops.min(flushes.len());
        let mut chosen: BTreeSet<usize> = (0..stops)
            .map(|i| i * (flushes.len() - 1) / (stops - 1).max(1))
            .collect();
        let mut moved = 0;

        let mut marks = Marks::default();
        let mut sum = Count::default();
        let mut at = 0;
        for (i, &flush) in flushes.iter().enumerate() {
            let behind = flushes.get(i + 1).copied().unwrap_or(self.entries.len());
            for entry in &self.entries[at..=flush] {
                image.replay(entry, &self.log)?;
                marks.note(entry);
            }
            at = flush + 1;
            if !chosen.remove(&i) {
                continue;
            }

            copy.image.become_copy_of(image)?;
            // Until the next flush had ended, the disk was in this state; and the machine so far.
            for entry in &self.entries[at..behind] {
                marks.note(entry);
                if i % 2 == 1 && cache.as_mut().is_some_and(|random| random.below(2) == 0) {
                    copy.image.replay(entry, &self.log)?;
                }
            }
            let count = match copy.check(|way, n| marks.known(way, n)) {
                Err(e) if copy.is_halfway(&e) && moved < MOVES && i + 1 < flushes.len() => {
                    chosen.insert(i + 1);
                    moved += 1;
                    continue;
                }
                checked => checked.with_context(|| format!("at flush {i} of {}", flushes.len()))?,
            };
            moved = 0;
            if count.bad > 0 {
                println!("# that was at flush {i} of {}", flushes.len());
            }
            sum.add(&count);
        }
        println!(
            "# {}: {stops} of {} flushes: {sum}",
            copy.kind,
            flushes.len()
        );
        ensure!(sum.bad == 0, "{} names are bad", sum.bad);
        ensure!(sum.original > 0 && sum.done > 0, "the storm had no middle");
        Ok(())
    }

    /// The entries at which something has been made durable that was not before.
    fn flushes(&self) -> Vec<usize> {
        let mut news = false;
        let mut found = Vec::new();
        for (i, entry) in self.entries.iter().enumerate() {
            news |= match entry {
                Entry::Write { len, .. } => *len > 0,
                Entry::Discard { .. } => true,
                Entry::Mark(_) => false,
            };
            if news && entry.is_durable() {
                found.push(i);
                news = false;
            }
        }
        found
    }
}

/// The copy of the image that is mounted, and its loop device.
struct Copy {
    kind: String,
    image: Image,
    tree: Tree,
}

impl Copy {
    fn new(kind: &str, disk: &Path) -> Result<Self> {
        let copy = Self {
            kind: kind.into(),
            image: Image::new(Path::new(COPY), crate::dm::size(disk)?)?,
            tree: Tree::new("/mnt/replay"),
        };
        fs::create_dir_all(&copy.tree.root)?;
        let status = Command::new("losetup").args([LOOP, COPY]).status()?;
        ensure!(status.success(), "losetup: {status}");
        Ok(copy)
    }

    /// Whether that is a state in which a crash leaves the file system, whoever wrote to it. A stop
    /// in it moves on to the next flush.
    ///
    /// The recovery of ext4's fast commits fails, and with it the mount, if a later block of them has
    /// got to the disk and an earlier one has not. xfs replaces an attribute outside the inode in
    /// several transactions, as chmod does with an ACL: the old value and the new one are there then,
    /// one of them marked as incomplete. Nobody but the checker sees that.
    fn is_halfway(&self, e: &anyhow::Error) -> bool {
        match fs_type(&self.kind) {
            "ext4" => self.kind == "ext4-fast" && e.downcast_ref() == Some(&Errno::UCLEAN),
            "xfs" => e.to_string().contains("is INCOMPLETE"),
            _ => false,
        }
    }

    /// Mounts it, and looks at every name. If a break has left debris, the next one takes it away.
    /// What a crash leaves to the next mount, such as inodes without a name, has been done when the
    /// file system's checker looks.
    fn check(&self, known: impl Fn(Way, u64) -> Known) -> Result<Count> {
        mount_at(&self.kind, Path::new(LOOP), &self.tree.root)?;
        let found = check::names(&self.tree, known).and_then(|count| {
            if count.debris > 0 {
                for way in WAYS {
                    check::sweeps(&self.tree, *way)?;
                }
            }
            Ok(count)
        });
        unmount(&self.tree.root, UnmountFlags::empty())?;
        let count = found?;
        self.fsck()?;
        Ok(count)
    }

    /// The file system's own checker looks at it.
    ///
    /// Not at what the recovery of ext4's fast commits leaves: it forgets the block of a file's
    /// attributes when it counts the blocks (ext4_ext_replay_set_iblocks()), and may leave an inode
    /// without a name. A program that makes a file without a name, links it and renames it over another
    /// finds the same.
    fn fsck(&self) -> Result<()> {
        if self.kind == "ext4-fast" {
            return Ok(());
        }
        let checker = format!("check-{}", fs_type(&self.kind));
        let done = Command::new(&checker).arg(COPY).output().context(checker)?;
        ensure!(
            done.status.success(),
            "the file system is damaged: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", LOOP]).status();
    }
}

pub(super) fn mount_at(kind: &str, device: &Path, root: &Path) -> Result<()> {
    mount(device, root, fs_type(kind), MountFlags::empty(), None)
        .with_context(|| format!("{} can't be mounted", device.display()))
}

/// The file system of a kind.
fn fs_type(kind: &str) -> &str {
    kind.split('-').next().unwrap_or(kind)
}
