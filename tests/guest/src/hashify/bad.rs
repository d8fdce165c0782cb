// SPDX-License-Identifier: GPL-2.0
//! What goes wrong: it is said, nothing is lost, and the next run goes on.

use super::*;
use crate::namespace::new_mounts;
use crate::process::{self, isolated};
use crate::unified::{UNIFIED, look};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

/// Runs that are killed, of each command.
const KILLS: u32 = 12;

/// Trees `a` and `b` with this many equal files more.
fn many_files(name: &str, files: usize) -> Result<Trees> {
    let trees = Trees::new(EXT4, name)?;
    for tree in ["a", "b"] {
        for n in 0..files {
            let content = format!("content of file {n} ").repeat(50 + n * 7);
            trees.write(tree, &nth_file(n), content.as_bytes())?;
        }
    }
    Ok(trees)
}

fn nth_file(n: usize) -> String {
    format!("usr/share/{n}")
}

/// Runs a command with trees for some time and kills it, every other time by a signal that it may
/// handle first; it ends by that all the same. Whether it was killed.
fn kill(trees: &Trees, args: &[&str], of: &[&str], nth: u32, time: Duration) -> Result<bool> {
    let mut child = Command::new("vserver")
        .args(args)
        .args(of.iter().map(|tree| trees.dir.join(tree)))
        .stdout(std::process::Stdio::null())
        .spawn()?;
    sleep(time + Duration::from_millis(1));
    match nth % 2 {
        0 => child.kill()?,
        _ => kill_process(Pid::from_child(&child), Signal::TERM)?,
    }
    Ok(child.wait()?.code().is_none())
}

/// How long such a run takes, in steps of which the last is in its middle or later.
fn step(run: impl FnOnce() -> Result<String>) -> Result<Duration> {
    let begin = std::time::Instant::now();
    run()?;
    Ok(begin.elapsed() / (KILLS / 3))
}

/// At any moment every file is whole; what is left over goes with the next run.
pub(super) fn kills() -> Result<()> {
    const FILES: usize = 150;
    for verb in ["hashify", "unify"] {
        let trees = many_files("kills", FILES)?;
        let before = trees.contents()?;
        let step = step(|| trees.vserver(&[verb, "--dry-run"], &["a", "b"], 0))?;
        let mut killed = 0;
        for nth in 0..KILLS {
            killed += u32::from(kill(&trees, &[verb], &["a", "b"], nth, step * nth)?);
            ensure!(trees.contents()? == before, "{verb}: after kill {nth}");
        }
        ensure!(killed > 0, "every run was done before it was killed");
        trees.vserver(&[verb], &["a", "b"], 0)?;
        ensure!(trees.contents()? == before);
        for n in 0..FILES {
            ensure!(trees.same("a", "b", &nth_file(n))?, "{verb}: file {n}");
        }
        no_left_overs(&trees)?;
    }
    Ok(())
}

fn no_left_overs(trees: &Trees) -> Result<()> {
    let said = vserver(&["cleanup"], [trees.dir.clone()], 0)?;
    says(&said, " 0 left-overs")
}

/// At any moment every file is whole, and what is shared is protected; when it is done none is.
pub(super) fn kills_of_unhashify() -> Result<()> {
    const FILES: usize = 40;
    let trees = many_files("kills_of_unhashify", FILES)?;
    let before = trees.contents()?;
    trees.hashify()?;
    let step = step(|| trees.vserver(&["unhashify"], &["a", "b"], 0))?;
    let mut killed = 0;
    for nth in 0..KILLS / 2 {
        trees.hashify()?;
        killed += u32::from(kill(&trees, &["unhashify"], &["a", "b"], nth, step * nth)?);
        ensure!(trees.contents()? == before, "after kill {nth}");
        for n in 0..FILES {
            for tree in ["a", "b"] {
                let path = trees.path(tree, &nth_file(n));
                let (flags, links) = (look(&path)?.flags, fs::metadata(&path)?.nlink());
                // The last one shortly after the pool's name has gone.
                ensure!(
                    flags == UNIFIED || (flags == 0 && links == 1),
                    "{nth}: {tree}/{n} has {links} names and flags {flags:#x}"
                );
            }
        }
    }
    ensure!(killed > 0, "every run was done before it was killed");
    trees.vserver(&["unhashify"], &["a", "b"], 0)?;
    ensure!(trees.contents()? == before);
    for n in 0..FILES {
        for tree in ["a", "b"] {
            let path = trees.path(tree, &nth_file(n));
            let (flags, links) = (look(&path)?.flags, fs::metadata(&path)?.nlink());
            ensure!((flags, links) == (0, 1), "{tree}/{n}: {flags:#x}, {links}");
        }
    }
    no_left_overs(&trees)
}

/// There is all of the clone, or none; what is left under its temporary name goes with the next one.
pub(super) fn kills_of_clone() -> Result<()> {
    const FILES: usize = 80;
    let trees = many_files("kills_of_clone", FILES)?;
    trees.hashify()?;
    let (clone, temporary) = (trees.dir.join("c"), trees.dir.join(".c.cloning"));
    let step = step(|| trees.vserver(&["clone"], &["a", "c"], 0))?;
    let whole = trees.contents()?;
    let mut killed = 0;
    for nth in 0..KILLS / 2 {
        fs::remove_dir_all(&clone)?;
        let none = trees.contents()?;
        killed += u32::from(kill(&trees, &["clone"], &["a", "c"], nth, step * nth)?);
        let mut now = trees.contents()?;
        now.retain(|path, _| !path.starts_with(&temporary));
        ensure!(
            now == *if clone.exists() { &whole } else { &none },
            "after kill {nth}"
        );
        if !clone.exists() {
            trees.vserver(&["clone"], &["a", "c"], 0)?;
        }
        ensure!(!temporary.exists(), "kill {nth} has left something");
        ensure!(trees.contents()? == whole, "after clone {nth}");
    }
    ensure!(killed > 0, "every run was done before it was killed");
    no_left_overs(&trees)
}

/// ext4 gives an inode 65000 names at most.
pub(super) fn full_inode() -> Result<()> {
    // So many names take long on a slow machine: the suite's own limit is enough.
    process::alarm(0);
    let trees = Trees::new(EXT4, "full_inode")?;
    trees.hashify()?;
    let full = trees.ino("a", "usr/lib/small")?;
    let many = trees.dir.join("many");
    fs::create_dir(&many)?;
    for n in 3..65_000 {
        fs::hard_link(trees.path("a", "usr/lib/small"), many.join(n.to_string()))
            .with_context(|| format!("name {n}"))?;
    }
    trees.write("c", "x", b"equal in both")?;
    trees.write("d", "y", b"equal in both")?;
    trees.vserver(&["hashify"], &["a", "b", "c", "d"], 0)?;
    ensure!(trees.ino("a", "usr/lib/small")? == full);
    let next = trees.ino("c", "x")?;
    ensure!(
        next != full && trees.ino("d", "y")? == next,
        "another takes its place"
    );
    ensure!(look(&trees.path("c", "x"))?.flags == UNIFIED);
    ensure!(trees.pool()?.len() == 2);
    fs::remove_dir_all(many)?;
    Ok(())
}

/// A file of the pool that is not what its name says.
pub(super) fn damaged_pool() -> Result<()> {
    let trees = Trees::new(XFS, "damaged")?;
    trees.hashify()?;
    let pool = trees.pool()?;
    let [one, other] = pool.as_slice() else {
        bail!("{pool:?}")
    };
    fs::rename(one, other)?;
    let said = trees.vserver(&["hashify", "--check"], &["a", "b"], 10)?;
    says(&said, "1 damaged")?;
    says(&said, &other.display().to_string())?;
    // A run finds it, too, or makes what is missing new; all files stay what they are.
    let before = trees.contents()?;
    trees.hashify()?;
    ensure!(trees.contents()? == before);
    Ok(())
}

/// No room for the pool, then none for what goes into it.
pub(super) fn full_disk() -> Result<()> {
    for pool in [false, true] {
        let trees = Trees::new(EXT4, "full_disk")?;
        if pool {
            fs::create_dir(trees.dir.join(".hash"))?;
        }
        let before = trees.contents()?;
        let filler = Path::new(EXT4).join("filler");
        fill(&filler)?;
        let said = trees.vserver(&["hashify"], &["a", "b"], 11);
        fs::remove_file(filler)?;
        let said = said?;
        says(&said, "No space left")?;
        says(&said, if pool { "run this again" } else { ".hash" })?;
        ensure!(trees.contents()? == before, "{said}");
        let said = trees.hashify()?;
        ensure!(number(&said, &["shared", "files"])? == 2, "{said}");
        ensure!(trees.contents()? == before);
    }
    Ok(())
}

/// Half-way through a clone, or when what is shared is to be copied, there is no room left.
pub(super) fn no_room_for_copies() -> Result<()> {
    let trees = Trees::new(EXT4, "no_room")?;
    // It is a guest's own.
    trees.write("a", "etc/large", &[9; 1_000_000])?;
    trees.hashify()?;
    let before = trees.contents()?;
    let full = Full::but_for(LITTLE)?;
    let said = trees.vserver(&["clone"], &["a", "c"], 11)?;
    says(&said, "No space left")?;
    let left = [".c.cloning", "c"].map(|name| trees.dir.join(name).exists());
    ensure!(left == [false; 2], "it has left something: {said}");
    ensure!(trees.contents()? == before, "cloned: {said}");
    let said = trees.vserver(&["unhashify"], &["b"], 11)?;
    says(&said, "No space left")?;
    says(&said, "run this again")?;
    ensure!(trees.contents()? == before, "unhashified: {said}");
    let shared = trees.path("a", "usr/bin/tool");
    ensure!(trees.same("a", "b", "usr/bin/tool")? && look(&shared)?.flags == UNIFIED);
    drop(full);
    // What is shared yet is remembered, so that it is seen to break.
    trees.write("b", "usr/bin/tool", b"its own")?;
    let said = trees.vserver(&["hashify", "--status", "--verbose"], &["b"], 0)?;
    says(&said, "/usr/bin/tool")?;
    trees.vserver(&["clone"], &["a", "c"], 0)?;
    ensure!(trees.same("a", "c", "usr/bin/tool")?);
    ensure!(fs::read(trees.path("c", "etc/large"))? == [9; 1_000_000]);
    trees.vserver(&["unhashify"], &["c"], 0)?;
    ensure!(!trees.same("a", "c", "usr/bin/tool")?);
    Ok(())
}

/// The same of a guest that is built as a clone, by links.
pub(super) fn no_room_for_a_guest() -> Result<()> {
    let trees = Trees::new(EXT4, "no_room_guest")?;
    let web = "vservers/web";
    trees.write(web, "usr/bin/tool", &[7; 300_000])?;
    trees.write(web, "etc/large", &[9; 1_000_000])?;
    trees.write("etc/vserver", "web.toml", b"")?;
    let run = |args: &[&str], status| {
        let mut command = Command::new("vserver");
        finish(command.env("VSERVER_PREFIX", &trees.dir).args(args), status)
    };
    let path = trees.dir.join(web);
    let path = path.to_str().context("a path")?;
    run(&["hashify", "--unique", path], 0)?;
    let full = Full::but_for(LITTLE)?;
    let said = run(&["build", "new", "--clone", "web"], 11)?;
    says(&said, "No space left")?;
    drop(full);
    let mut names = Vec::new();
    for entry in fs::read_dir(trees.dir.join("vservers"))? {
        names.push(entry?.file_name());
    }
    names.sort();
    ensure!(names == [".hash", "web"], "{names:?}: {said}");
    ensure!(!trees.path("etc/vserver", "new.toml").exists());
    run(&["build", "new", "--clone", "web"], 0)?;
    ensure!(trees.same(web, "vservers/new", "usr/bin/tool")?);
    ensure!(fs::read(trees.path("vservers/new", "etc/large"))? == [9; 1_000_000]);
    Ok(())
}

/// Room for directories and small files, but for no large one.
const LITTLE: u64 = 128 << 10;

/// A disk with so little room, as long as this lives.
struct Full(PathBuf);

impl Full {
    fn but_for(room: u64) -> Result<Self> {
        let full = Self(Path::new(EXT4).join("filler"));
        fill(&full.0)?;
        let file = File::options().write(true).open(&full.0)?;
        file.set_len(file.metadata()?.len().saturating_sub(room))?;
        // What it gives up can be had when that is on the disk.
        file.sync_all()?;
        Ok(full)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // The other tests want the room.
        let _ = fs::remove_file(&self.0);
        rustix::fs::sync();
    }
}

/// Takes all the room that there is.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let mut size = 64 << 20;
    while size >= 4096 {
        let at = file.metadata()?.len();
        if fallocate(&file, FallocateFlags::empty(), at, size).is_err() {
            size /= 2;
        }
    }
    file.seek(std::io::SeekFrom::End(0))?;
    while file
        .write_all(&[1; 4096])
        .and_then(|()| file.sync_data())
        .is_ok()
    {}
    Ok(())
}

pub(super) fn read_only() -> Result<()> {
    let trees = Trees::new(EXT4, "read_only")?;
    trees.hashify()?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&trees.dir, &trees.dir)?;
        mount_remount(&trees.dir, MountFlags::BIND | MountFlags::RDONLY, "")?;
        for args in [
            &["hashify"][..],
            &["hashify", "--gc"],
            &["unhashify"],
            &["unify"],
        ] {
            let said = trees.vserver(args, &["a", "b"], 8)?;
            says(&said, "read-only")?;
        }
        let said = trees.vserver(&["clone"], &["a", "c"], 8)?;
        says(&said, "read-only")?;
        trees
            .vserver(&["hashify", "--dry-run"], &["a", "b"], 0)
            .map(drop)
    })?;
    // Nothing is undone if it can't be everywhere.
    isolated(|| {
        new_mounts()?;
        let b = trees.dir.join("b");
        mount_bind(&b, &b)?;
        mount_remount(&b, MountFlags::BIND | MountFlags::RDONLY, "")?;
        let said = trees.vserver(&["unhashify"], &["a", "b"], 8)?;
        says(&said, "read-only")?;
        ensure!(trees.same("a", "b", "usr/bin/tool")?);
        Ok(())
    })
}

pub(super) fn another_run() -> Result<()> {
    let trees = Trees::new(EXT4, "another")?;
    // Left by one that is gone: no lock.
    fs::write("/run/vserver-unify.lock", "1\n")?;
    trees.hashify()?;
    let mut lock = File::options()
        .read(true)
        .write(true)
        .open("/run/vserver-unify.lock")?;
    flock(&lock, FlockOperation::LockExclusive)?;
    write!(lock, "{:<20}", std::process::id())?;
    for args in [&["hashify"][..], &["hashify", "--gc"], &["unhashify"]] {
        let said = trees.vserver(args, &["a", "b"], 5)?;
        says(&said, &format!("(process {})", std::process::id()))?;
    }
    drop(lock);
    trees.hashify().map(drop)
}

/// What somebody writes to is left, and shared when he has done.
pub(super) fn busy_files() -> Result<()> {
    for fs in [EXT4, XFS, TMPFS] {
        let trees = Trees::new(fs, "busy")?;
        let mut writer = File::options()
            .write(true)
            .open(trees.path("a", "usr/lib/small"))?;
        let said = trees.hashify()?;
        ensure!(number(&said, &["busy", "files"])? == 1, "{fs}: {said}");
        ensure!(!trees.same("a", "b", "usr/lib/small")? && trees.same("a", "b", "usr/bin/tool")?);
        writer.write_all(b"still whole!!")?;
        ensure!(fs::read(trees.path("b", "usr/lib/small"))? == b"equal in both");
        drop(writer);
        trees.write("a", "usr/lib/small", b"equal in both")?;
        trees.hashify()?;
        ensure!(trees.same("a", "b", "usr/lib/small")?, "{fs}");
    }
    Ok(())
}
