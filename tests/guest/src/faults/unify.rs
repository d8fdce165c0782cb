// SPDX-License-Identifier: GPL-2.0
//! A name is given to an equal file, and something fails: every name leads where it did, or the one
//! where it was to lead.

use super::case::{self, Case, link_again, rich, sweep};
use super::flaky::Disk;
use super::full::{Filler, fill_block};
use super::ground::Ground;
use super::memory::no_memory;
use super::quota::{self, Kind};
use super::requests::{BROKEN_DISK, failing_requests, strikes};
use crate::process::{eventually, spawn};
use crate::unified::{Pair, UNIFIED, look, open, refused, set_flags, set_times};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, OFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use vserver_abi as abi;

/// The inode of the third name, `c`, that was made last; each test has a process of its own.
static THIRD: AtomicU64 = AtomicU64::new(0);

/// Makes a unified file `c` beside the pair, equal to it if `make` made that too.
fn add_third(pair: &Pair, make: fn(&Path) -> Result<()>) -> Result<()> {
    let c = pair.dir.join("c");
    if fs::exists(&c)? {
        fs::remove_file(&c)?;
    }
    make(&c)?;
    let (tv_sec, tv_nsec) = pair.before.mtime;
    set_times(&c, Timespec { tv_sec, tv_nsec })?;
    set_flags(&c, UNIFIED, UNIFIED)?;
    THIRD.store(fs::metadata(&c)?.ino(), Ordering::Relaxed);
    durable(pair)?;
    apart(pair)
}

/// A file system that gives up because of the fault does not go back behind this.
fn durable(pair: &Pair) -> Result<()> {
    Ok(rfs::syncfs(open(&pair.dir, OFlags::RDONLY)?)?)
}

/// `a`, `b` and `c` lead to these inodes, which are alike in all else, and so do no other names.
fn lead_to(pair: &Pair, inodes: [u64; 3]) -> Result<()> {
    pair.has_names(&["a", "b", "c"])?;
    for (name, ino) in ["a", "b", "c"].into_iter().zip(inodes) {
        let path = pair.dir.join(name);
        let (is, links) = (look(&path)?, fs::metadata(&path)?.nlink());
        let mut want = pair.before.clone();
        want.ino = ino;
        ensure!(is == want, "{name} is {is:?}, should be {want:?}");
        let names = inodes.iter().filter(|other| **other == ino).count();
        ensure!(links == names as u64, "{name}: {links} links");
    }
    Ok(())
}

fn apart(pair: &Pair) -> Result<()> {
    let (two, one) = (pair.before.ino, THIRD.load(Ordering::Relaxed));
    lead_to(pair, [two, two, one])
}

/// Gives the name `old` to the file `new`. What had the name is freed when it is closed, which is
/// not for a fault to strike.
fn unify(pair: &Pair, old: &str, new: &str) -> Result<Option<OwnedFd>, Errno> {
    let [old, new] = [old, new].map(|name| open(&pair.dir.join(name), OFlags::RDONLY));
    let old = old?;
    abi::unify(&old, new?)?;
    Ok(Some(old))
}

/// The only name of a file goes to one that has two.
const LAST_NAME: Case = Case {
    prepare: |pair| add_third(pair, rich),
    act: |pair| unify(pair, "c", "a"),
    done: |pair| lead_to(pair, [pair.before.ino; 3]),
    intact: apart,
    half: case::never,
    again: |pair| add_third(pair, rich),
};

/// One of two names goes to a file that has one.
const SECOND_NAME: Case = Case {
    act: |pair| unify(pair, "a", "c"),
    done: |pair| {
        let (two, one) = (pair.before.ino, THIRD.load(Ordering::Relaxed));
        lead_to(pair, [one, two, one])
    },
    again: |pair| {
        link_again(pair)?;
        durable(pair)
    },
    ..LAST_NAME
};

const CASES: [(&str, &Case); 2] = [("second name", &SECOND_NAME), ("last name", &LAST_NAME)];

pub fn memory_unify_last_name() -> Result<()> {
    no_memory(&LAST_NAME)
}

pub fn memory_unify_second_name() -> Result<()> {
    no_memory(&SECOND_NAME)
}

pub fn requests_unify() -> Result<()> {
    failing_requests(&LAST_NAME)
}

/// What is to be changed is in memory. When the disk is back, the name leads to one file or the
/// other.
pub fn unify_on_a_dead_disk() -> Result<()> {
    for (what, case) in CASES {
        for disk in [Disk::NoReads, Disk::NoWrites, Disk::Dead] {
            let ground = Ground::scrap()?;
            let pair = Pair::with("unify_dead", rich)?;
            (case.prepare)(&pair)?;
            ground.forget()?;
            for name in ["a", "b", "c"] {
                abi::get_iattr(pair.dir.join(name))?;
            }
            ground.become_(disk)?;
            match (case.act)(&pair).map(drop) {
                Ok(()) => (),
                Err(e) if BROKEN_DISK.contains(&e) => (),
                Err(e) => bail!("{what}, {disk:?}: {e}"),
            }
            strikes(&ground, disk, &pair.b)?;
            ground.mount_again()?;
            sweep(&pair)?;
            finish(case, &pair).with_context(|| format!("{what}, {disk:?}"))?;
        }
    }
    Ok(())
}

/// It has been done; or nothing has happened, and then it can be done now.
fn finish(case: &Case, pair: &Pair) -> Result<()> {
    if (case.done)(pair).is_ok() {
        return Ok(());
    }
    (case.intact)(pair)?;
    (case.act)(pair)?;
    (case.done)(pair)
}

/// No file gets any longer, but the file system may want to have something in reserve.
pub fn unify_on_a_full_disk() -> Result<()> {
    where_nothing_is_left(|ground| Filler::new(ground, 1))
}

pub fn unify_without_metadata() -> Result<()> {
    where_nothing_is_left(Filler::with_metadata)
}

fn where_nothing_is_left(fill: fn(&Ground) -> Result<Filler>) -> Result<()> {
    let ground = Ground::with(if super::is_tmpfs() { "size=2m" } else { "" })?;
    for (what, case) in CASES {
        let pair = Pair::with("unify_full", rich)?;
        (case.prepare)(&pair)?;
        let filler = fill(&ground)?;
        let account = ground.account()?;
        match (case.act)(&pair).map(drop) {
            Ok(()) => (case.done)(&pair),
            Err(Errno::NOSPC) if !super::is_tmpfs() => (case.intact)(&pair),
            Err(e) => bail!("{e}"),
        }
        .context(what)?;
        ground.nothing_leaked(&account, 1)?;
        drop(filler);
        ground.sync()?;
        finish(case, &pair).context(what)?;
    }
    Ok(())
}

/// The directory's block is full, and there is no other for the temporary name: because of `lack`,
/// until `give` has given something back.
fn needs_a_block(pair: &Pair, lack: Errno, mut give: impl FnMut() -> Result<()>) -> Result<()> {
    let size = || Ok::<_, anyhow::Error>(fs::metadata(&pair.dir)?.size());
    let (block, names) = (size()?, pair.names()?);
    let third = look(&pair.dir.join("c"))?;
    let mut tries = 0;
    while let Err(e) = (LAST_NAME.act)(pair) {
        refused("unify", Err::<(), _>(e), lack)?;
        ensure!(pair.names()? == names, "names: {:?}", pair.names());
        ensure!(look(&pair.dir.join("c"))? == third, "c has changed");
        pair.others_unchanged()?;
        ensure!(tries < 100, "never enough");
        tries += 1;
        give()?;
    }
    ensure!(tries > 0 && size()? > block, "it needed no block");
    ensure!(pair.names()? == names, "names: {:?}", pair.names());
    ensure!(look(&pair.dir.join("c"))? == pair.before, "not unified");
    pair.others_unchanged()
}

pub fn unify_without_space_for_the_name() -> Result<()> {
    // The file's owner may use what is reserved, too.
    let ground = Ground::with("resuid=5000")?;
    let pair = Pair::with("unify_name", rich)?;
    (LAST_NAME.prepare)(&pair)?;
    fill_block(&pair)?;
    let mut filler = Filler::new(&ground, 40)?;
    needs_a_block(&pair, Errno::NOSPC, || filler.give_back(&ground))
}

/// It is the directory that gets longer, and its owner who has no more quota.
pub fn unify_without_quota_for_the_name() -> Result<()> {
    let ground = Ground::with(quota::options())?;
    let pair = Pair::with("unify_name", quota::owned)?;
    add_third(&pair, quota::owned)?;
    quota::owned(&pair.dir)?;
    fill_block(&pair)?;
    quota::limit_to_use(&ground, Kind::User)?;
    needs_a_block(&pair, Errno::DQUOT, || quota::no_limit(&ground, Kind::User))
}

/// Nobody gets more than he has, so that it is done at the limit; and he has less afterwards.
fn at_the_limit(kind: Kind) -> Result<()> {
    let ground = Ground::with(quota::options())?;
    let pair = quota::pair(kind, true)?;
    add_third(&pair, quota::owned)?;
    let before = quota::limit_to_use(&ground, kind)?;
    (LAST_NAME.act)(&pair)?;
    (LAST_NAME.done)(&pair)?;
    let mut now = before.clone();
    let ok = eventually("it is given back", || {
        if let Ok(quota) = quota::of(&ground, kind) {
            now = quota;
        }
        now.inodes + 1 == before.inodes && now.bytes + case::SIZE as u64 <= before.bytes
    });
    ok.with_context(|| format!("{before:?}, now {now:?}"))?;
    quota::no_limit(&ground, kind)
}

pub fn unify_at_the_limit_of_the_user() -> Result<()> {
    at_the_limit(Kind::User)
}

pub fn unify_at_the_limit_of_the_group() -> Result<()> {
    at_the_limit(Kind::Group)
}

pub fn unify_at_the_limit_of_the_project() -> Result<()> {
    at_the_limit(Kind::Project)
}

/// A subvolume over its limit may not even get another name.
pub fn unify_over_the_limit_of_the_subvolume() -> Result<()> {
    let ground = Ground::new()?;
    let pair = Pair::with("unify_quota", rich)?;
    add_third(&pair, rich)?;
    quota::limit_subvolume(&ground)?;
    for (what, case) in CASES {
        refused(what, (case.act)(&pair), Errno::DQUOT)?;
        (case.intact)(&pair).context(what)?;
    }
    quota::unlimit_subvolume(&ground)?;
    finish(&LAST_NAME, &pair)
}

/// A tmpfs counts a name as an inode.
pub fn unify_without_inodes() -> Result<()> {
    let ground = Ground::with("nr_inodes=64")?;
    let pair = Pair::with("unify_inode", rich)?;
    add_third(&pair, rich)?;
    let dir = ground.at.join("many");
    fs::create_dir(&dir)?;
    let mut files = 0;
    while fs::write(dir.join(files.to_string()), b"").is_ok() {
        files += 1;
    }
    for (what, case) in CASES {
        refused(what, (case.act)(&pair), Errno::NOSPC)?;
        (case.intact)(&pair).context(what)?;
    }
    fs::remove_dir_all(&dir)?;
    finish(&LAST_NAME, &pair)
}

pub fn unify_killed_at_any_moment() -> Result<()> {
    const ROUNDS: u32 = 8;
    let ground = Ground::new()?;
    for (what, case) in CASES {
        let pair = Pair::with("unify_killed", rich)?;
        (case.prepare)(&pair)?;
        let account = ground.account()?;
        let unifier = || spawn(|| i32::from((case.act)(&pair).is_err()));
        let start = Instant::now();
        unifier()?.wait()?;
        let whole = start.elapsed();
        (case.done)(&pair)?;
        (case.again)(&pair)?;
        for round in 0..ROUNDS {
            let child = unifier()?;
            std::thread::sleep(whole * round / ROUNDS);
            child.kill(Signal::KILL)?;
            let status = child.wait()?;
            finish(case, &pair).with_context(|| format!("{what}, round {round}: {status:?}"))?;
            (case.again)(&pair)?;
        }
        ground.nothing_leaked(&account, case::SIZE as u64)?;
    }
    Ok(())
}
