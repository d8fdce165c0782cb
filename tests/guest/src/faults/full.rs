// SPDX-License-Identifier: GPL-2.0
//! A full file system: no room at any step of an operation.

use super::case::{self, Case, SIZE, content, rich, short};
use super::ground::Ground;
use crate::process::isolated;
use crate::unified::{Pair, become_user, look, open, refused};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::fs::{self as rfs, FallocateFlags, OFlags, XattrFlags, setxattr};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;

/// All the free space, of which a page at a time can be given back.
pub struct Filler {
    dir: PathBuf,
    pages: usize,
}

impl Filler {
    pub fn new(ground: &Ground, pages: usize) -> Result<Self> {
        let dir = ground.at.join("filler");
        fs::create_dir(&dir)?;
        for i in 0..pages {
            fs::write(dir.join(i.to_string()), vec![b'.'; PAGE])?;
        }
        ground.sync()?;
        let this = Self { dir, pages };
        fill(&this.dir.join("rest"))?;
        ground.sync()?;
        Ok(this)
    }

    /// And no room for metadata.
    pub fn with_metadata(ground: &Ground) -> Result<Self> {
        let this = Self::new(ground, 1)?;
        for round in 0.. {
            let dir = this.dir.join(format!("round{round}"));
            // What was reserved for too much comes back with what is written.
            ground.sync()?;
            if fs::create_dir(&dir).is_err() || fill_with_names(&dir)? == 0 {
                break;
            }
        }
        Ok(this)
    }

    /// One more page is free then.
    pub fn give_back(&mut self, ground: &Ground) -> Result<()> {
        self.pages = self.pages.checked_sub(1).context("never enough")?;
        fs::remove_file(self.dir.join(self.pages.to_string()))?;
        // What a file system has not committed it may not give to others.
        ground.sync()
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A file takes all the space that it can get.
fn fill(path: &Path) -> Result<()> {
    let file = open(path, OFlags::WRONLY | OFlags::CREATE)?;
    let (mut end, mut step) = (0, 64 << 20);
    while step >= 1024 {
        match rfs::fallocate(&file, FallocateFlags::empty(), end, step) {
            Ok(()) => end += step,
            Err(Errno::NOSPC) => step /= 2,
            Err(e) => bail!("fallocate: {e}"),
        }
    }
    Ok(())
}

/// As many empty files with an attribute as there is room for; returns how many.
fn fill_with_names(dir: &Path) -> Result<usize> {
    for i in 0.. {
        let file = dir.join(i.to_string());
        let made = open(&file, OFlags::WRONLY | OFlags::CREATE)
            .and_then(|_| setxattr(&file, "user.x", &[b'.'; 3000], XattrFlags::empty()));
        match made {
            Err(Errno::NOSPC) => return Ok(i),
            made => made?,
        }
    }
    bail!("never full")
}

/// Breaks of every kind.
const BREAKS: [(&str, &Case); 4] = [
    ("open", &case::OPEN),
    ("chmod", &case::CHMOD),
    ("truncate", &case::TRUNCATE),
    ("setxattr", &case::SETXATTR),
];

/// More than any break needs.
pub const PAGES: usize = 80;

/// A file whose copy takes space, where all can be free or not.
pub fn where_space_counts(name: &str) -> Result<(Ground, Pair)> {
    // The file's owner may use what is reserved.
    let ground = Ground::with(match super::kind().as_str() {
        "tmpfs" => "size=2m",
        "ext4" => "resuid=5000",
        _ => "",
    })?
    .copying();
    let pair = ground.pair(name, rich)?;
    Ok((ground, pair))
}

/// With no page free, with one, with two ... until there are enough.
pub fn no_space_at_any_step() -> Result<()> {
    let (ground, pair) = where_space_counts("no_space")?;
    let account = ground.account()?;
    let mut filler = Filler::new(&ground, PAGES)?;
    let mut cases = BREAKS.to_vec();

    for free in 0.. {
        let mut left = Vec::new();
        for (name, case) in cases {
            let checked = match (case.act)(&pair).map(drop) {
                Ok(()) => {
                    ensure!(free > 0, "{name} needed no space");
                    println!("# {name}: enough with {free} pages");
                    (case.done)(&pair).and_then(|()| (case.again)(&pair))
                }
                Err(Errno::NOSPC) => {
                    left.push((name, case));
                    case.failed(&pair)
                }
                Err(e) => bail!("{name} with {free} pages: {e}"),
            };
            checked.map_err(|e| anyhow!("{name} with {free} pages: {}", short(&e)))?;
            ground.sync()?;
        }
        if left.is_empty() {
            break;
        }
        cases = left;
        filler.give_back(&ground)?;
    }
    drop(filler);
    ground.nothing_leaked(&account, SIZE as u64)
}

/// There is no room for metadata, but for what the file system keeps in reserve.
pub fn no_metadata() -> Result<()> {
    let ground = Ground::new()?;
    let pairs = BREAKS
        .iter()
        .map(|(name, case)| Ok((*name, *case, Pair::with(name, rich)?)))
        .collect::<Result<Vec<_>>>()?;
    let filler = Filler::with_metadata(&ground)?;
    let account = ground.account()?;
    for (name, case, pair) in &pairs {
        let got = (case.act)(pair).map(drop);
        println!("# {name}: {got:?}");
        match got {
            Ok(()) => (case.done)(pair).and_then(|()| (case.again)(pair)),
            Err(Errno::NOSPC) => case.failed(pair),
            Err(e) => bail!("{name}: {e}"),
        }
        .map_err(|e| anyhow!("{name}: {}", short(&e)))?;
    }
    ground.nothing_leaked(&account, SIZE as u64)?;
    drop(filler);
    ground.sync()?;
    for (name, case, pair) in &pairs {
        (case.act)(pair).context(*name)?;
        (case.done)(pair).context(*name)?;
    }
    Ok(())
}

/// What is reserved for root is not for copies of the files of others, though root breaks the link.
pub fn reserved_space() -> Result<()> {
    let ground = Ground::new()?;
    let (theirs, roots) = (Pair::with("theirs", rich)?, Pair::new("roots")?);
    let dir = ground.at.join("filler");
    fs::create_dir(&dir)?;
    rfs::chmod(&dir, rfs::Mode::from_raw_mode(0o777))?;
    isolated(|| {
        become_user()?;
        fill(&dir.join("rest"))
    })?;
    ground.sync()?;
    ensure!(ground.free_bytes()? > 1 << 20, "nothing is reserved");
    theirs.refused("open", open(&theirs.a, OFlags::RDWR), Errno::NOSPC)?;
    open(&roots.a, OFlags::RDWR)?;
    roots.broken_alike()?;
    Ok(fs::remove_dir_all(&dir)?)
}

/// The copy is made by a kernel thread for a caller who may not write as much himself: its errors
/// are his all the same.
pub fn no_space_for_a_thread() -> Result<()> {
    let ground = Ground::with(if super::is_tmpfs() { "size=2m" } else { "" })?;
    let pair = Pair::with("thread", |a| Ok(fs::write(a, content(1 << 19))?))?;
    let account = ground.account()?;
    let filler = Filler::new(&ground, 1)?;
    isolated(|| {
        let limit = libc::rlimit {
            rlim_cur: 4096,
            rlim_max: 4096,
        };
        // SAFETY: `limit` is valid for the call.
        ensure!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0);
        refused("open", open(&pair.a, OFlags::RDWR), Errno::NOSPC)
    })?;
    pair.intact()?;
    drop(filler);
    ground.nothing_leaked(&account, 1 << 19)
}

/// Adds links to `b` until the directory's only block is full.
pub fn fill_block(pair: &Pair) -> Result<()> {
    let size = || Ok::<_, anyhow::Error>(fs::metadata(&pair.dir)?.size());
    let block = size()?;
    let mut count = pair.names()?.len();
    // An entry takes 8 bytes and the name's, in words; those that are there, ".", ".." and a checksum
    // are short.
    let mut left = block as usize - (count + 3) * 12;
    while left >= 16 {
        let len = (left - 8).min(240);
        fs::hard_link(&pair.b, pair.dir.join(format!("{count:0len$}")))?;
        left -= 8 + len;
        count += 1;
    }
    ensure!(size()? == block, "{} bytes", size()?);
    Ok(())
}

/// The directory's block is full: the temporary name needs another one, and that comes after
/// everything else.
pub fn no_space_for_the_name() -> Result<()> {
    let ground = Ground::new()?;
    let pair = Pair::with("name", |a| Ok(fs::write(a, content(SIZE))?))?;
    let size = || Ok::<_, anyhow::Error>(fs::metadata(&pair.dir)?.size());
    let block = size()?;
    fill_block(&pair)?;
    let names = pair.names()?;
    let unchanged = || {
        pair.others_unchanged()?;
        ensure!(pair.names()? == names, "names: {:?}", pair.names());
        Ok::<_, anyhow::Error>(())
    };

    let mut filler = Filler::new(&ground, 40)?;
    let mut free = 0;
    loop {
        match open(&pair.a, OFlags::RDWR) {
            Ok(_) => break,
            Err(Errno::NOSPC) => {
                let a = look(&pair.a)?;
                ensure!(a == pair.before, "{free} pages: a is {a:?}");
                unchanged().with_context(|| format!("{free} pages"))?;
            }
            Err(e) => bail!("{free} pages: {e}"),
        }
        filler.give_back(&ground)?;
        free += 1;
    }
    ensure!(free * PAGE >= SIZE, "{free} pages were enough");
    ensure!(size()? > block, "the directory did not grow");
    ensure!(look(&pair.a)?.ino != pair.before.ino, "not broken");
    unchanged()
}

/// Space there is, but no inode.
fn no_inode_on(ground: &Ground) -> Result<()> {
    let pair = Pair::with("no_inode", |a| Ok(fs::write(a, content(SIZE))?))?;
    let dir = ground.at.join("many");
    fs::create_dir(&dir)?;
    let file = |n: usize| dir.join(n.to_string());
    let mut files = 0;
    loop {
        match open(&file(files), OFlags::WRONLY | OFlags::CREATE) {
            Ok(_) => files += 1,
            Err(Errno::NOSPC) => break,
            Err(e) => bail!("create: {e}"),
        }
    }
    ensure!(ground.free_bytes()? > 1 << 20, "no space either");
    pair.refused("open", open(&pair.a, OFlags::RDWR), Errno::NOSPC)?;
    let got = rfs::chmod(&pair.a, rfs::Mode::from_raw_mode(0o600));
    pair.refused("chmod", got, Errno::NOSPC)?;
    fs::remove_file(file(files - 1))?;
    ground.sync()?;
    open(&pair.a, OFlags::RDWR)?;
    pair.broken_alike()?;
    Ok(fs::remove_dir_all(&dir)?)
}

pub fn no_inode() -> Result<()> {
    if super::is_tmpfs() {
        no_inode_on(&Ground::with("nr_inodes=64")?)
    } else {
        no_inode_on(&Ground::small_inodes(262_144)?)
    }
}
