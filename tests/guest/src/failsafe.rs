// SPDX-License-Identifier: GPL-2.0
//! Fail-safe: protection is never the module's job alone.
//!
//! One set of disks goes through four boots. Our kernel with the module unifies the files of four
//! guests. Our kernel without the module, and then an unpatched one of Debian, find them immutable
//! and nothing that is tried changes a bit; the tool gives a guest its own files there all the same
//! and cleans up after a crash. Our kernel with the module then finds all of it right.
//!
//! ```text
//!         1: vserver      2: bare            3: debian               4: vserver
//! web1    unified         untouchable        untouchable, repaired   breaks links
//! web2    unified         deunify            its own                 its own
//! web3    unified                            deunify                 its own
//! web4    unified         as it was          as it was               as it was
//! ```

mod attempts;
mod tree;

use crate::harness::Suite;
use crate::tests;
use crate::unified::{UNIFIED, USER, look, open};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, IFlags, Mode, OFlags, Uid, XattrFlags, setxattr};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tree::{Seen, Tree};
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "failsafe",
    wants: "ext4 xfs btrfs f2fs kernels=vserver,bare,debian,vserver",
    tests: tests![ext4, xfs, btrfs, f2fs],
};

const GUESTS: [&str; 4] = ["web1", "web2", "web3", "web4"];

fn ext4() -> Result<()> {
    boot(Path::new("/mnt/ext4"))
}

fn xfs() -> Result<()> {
    boot(Path::new("/mnt/xfs"))
}

fn btrfs() -> Result<()> {
    boot(Path::new("/mnt/btrfs"))
}

fn f2fs() -> Result<()> {
    boot(Path::new("/mnt/f2fs"))
}

/// This boot's part.
fn boot(root: &Path) -> Result<()> {
    let var = |name| std::env::var(name).unwrap_or_default();
    match (var("BOOT").as_str(), var("KERNEL").as_str()) {
        ("1", "vserver") => unify(root),
        ("2", "bare") => {
            without_the_module()?;
            untouchable(root)?;
            come_apart(root, "web2")?;
            left_by_a_crash(root, "web1")?;
            cleaned_up(root, "web1")?;
            save(root)
        }
        ("3", "debian") => {
            unpatched()?;
            untouchable(root)?;
            come_apart(root, "web3")?;
            left_by_a_crash(root, "web1")?;
            cleaned_up(root, "web1")?;
            save(root)?;
            left_by_a_crash(root, "web4")
        }
        ("4", "vserver") => {
            cleaned_up(root, "web4")?;
            if root.ends_with("ext4") {
                module_gone_for_a_while(root)?;
            }
            all_is_right(root)
        }
        boot => bail!("what is to be done in {boot:?}?"),
    }
}

// ---------------------------------------------------------------- the files

/// Makes the files of a guest, each of another kind.
fn fill(dir: &Path) -> Result<()> {
    fs::create_dir(dir)?;
    for (name, content) in [
        ("plain", b"what all share\n".to_vec()),
        ("setuid", b"owner and set-user-id".to_vec()),
        ("capability", b"file capability".to_vec()),
        ("acl", b"access control list".to_vec()),
        ("attributes", b"extended attributes".to_vec()),
        ("big", (0..70_000u32).map(|n| (n % 251) as u8).collect()),
        // These lose their other names, and are the last ones when they are made ordinary.
        ("only-web2", b"last name".to_vec()),
        ("only-web3", b"another last name".to_vec()),
    ] {
        fs::write(dir.join(name), content)?;
    }
    let file = |name| dir.join(name);
    let none = XattrFlags::empty();
    let owner = Some(Uid::from_raw(USER));
    rfs::chownat(CWD, file("setuid"), owner, None, AtFlags::empty())?;
    rfs::chmod(file("setuid"), Mode::from_raw_mode(0o4755))?;
    setxattr(
        file("capability"),
        "security.capability",
        attempts::CAPABILITY,
        none,
    )?;
    setxattr(file("acl"), attempts::ACL_NAME, &attempts::acl(), none)?;
    setxattr(file("attributes"), "user.u", b"user", none)?;
    setxattr(file("attributes"), "trusted.t", b"trusted", none)?;
    let sparse = File::create(file("sparse"))?;
    rustix::io::pwrite(&sparse, &[b'm'; 9000], 64 << 10)?;
    Ok(sparse.set_len(256 << 10)?)
}

/// Runs the tool and returns what it prints.
fn vserver(args: &[&str], paths: &[PathBuf]) -> Result<String> {
    let output = Command::new("vserver").args(args).args(paths).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "vserver {args:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

fn guests(root: &Path) -> Vec<PathBuf> {
    GUESTS.iter().map(|guest| root.join(guest)).collect()
}

/// For the next boot to find all as it is now.
fn save(root: &Path) -> Result<()> {
    Tree::of(root, GUESTS)?.save(&root.join("saved"))
}

// ---------------------------------------------------------------- boot by boot

fn unify(root: &Path) -> Result<()> {
    for guest in guests(root) {
        fill(&guest)?;
    }
    vserver(&["unify", "--no-default-excludes"], &guests(root))?;
    for guest in GUESTS {
        for file in ["only-web2", "only-web3"] {
            if !file.ends_with(guest) {
                fs::remove_file(root.join(guest).join(file))?;
            }
        }
    }
    // Sizes on disk and extents are what they stay.
    rfs::sync();
    let tree = Tree::of(root, GUESTS)?;
    for (path, seen) in &tree.0 {
        let names = if path.to_string_lossy().contains("only") {
            1
        } else {
            4
        };
        ensure!(
            seen.is_unified() && seen.links == names,
            "{path:?}: {seen:?}"
        );
    }
    tree.save(&root.join("saved"))
}

fn without_the_module() -> Result<()> {
    let got = abi::get_version();
    ensure!(got == Err(abi::Errno::NOSYS), "vserver(2): {got:?}");
    let lsm = fs::read_to_string("/sys/kernel/security/lsm")?;
    ensure!(lsm.contains("vserver"), "another kernel: {lsm}");
    Ok(())
}

fn unpatched() -> Result<()> {
    let release = fs::read_to_string("/proc/version")?;
    let lsm = fs::read_to_string("/sys/kernel/security/lsm")?;
    let ours = lsm.contains("vserver");
    ensure!(release.contains("Debian") && !ours, "{release}: {lsm}");
    Ok(())
}

/// Nothing that is tried with the files changes any.
fn untouchable(root: &Path) -> Result<()> {
    let saved = root.join("saved");
    Tree::of(root, GUESTS)?
        .is_as_saved(&saved)
        .context("since the last boot")?;
    for (path, seen) in Tree::of(root, GUESTS)?.0 {
        // One name of each inode.
        if seen.is_unified() && (seen.links == 1 || path.starts_with(root.join("web1"))) {
            attempts::all_refused(&path)?;
        }
    }
    Tree::of(root, GUESTS)?.is_as_saved(&saved)
}

/// A guest gets files of its own; those of the others stay as they are.
fn come_apart(root: &Path, guest: &str) -> Result<()> {
    let before = Tree::of(root, GUESTS)?;
    vserver(&["deunify", "-R"], &[root.join(guest)])?;
    let after = Tree::of(root, GUESTS)?;
    ensure!(before.0.keys().eq(after.0.keys()), "other names: {after:?}");
    for (path, was) in &before.0 {
        let now = after.get(path)?;
        if path.starts_with(root.join(guest)) {
            ordinary(path, was, now)?;
        } else if was.is_unified() {
            let in_guest = |(p, seen): &(&PathBuf, &Seen)| {
                p.starts_with(root.join(guest)) && seen.ino == was.ino
            };
            let want = Seen {
                links: was.links - before.0.iter().filter(in_guest).count() as u64,
                ctime: now.ctime,
                ..was.clone()
            };
            ensure!(*now == want, "{path:?}: is {now:?}, should be {want:?}");
        } else {
            ensure!(now == was, "{path:?}: is {now:?}, should be {was:?}");
        }
    }
    Ok(())
}

/// The file is its guest's own, and a write stays in it.
fn ordinary(path: &Path, was: &Seen, now: &Seen) -> Result<()> {
    // On our kernel nobody but the module can remove the attribute from an inode; f2fs can't write
    // to one that was immutable.
    let bare = std::env::var("KERNEL").is_ok_and(|kernel| kernel == "bare");
    let in_place = was.links == 1 && !bare && !path.starts_with("/mnt/f2fs");
    ensure!(
        (now.ino == was.ino) == in_place,
        "{path:?}: {was:?}, {now:?}"
    );
    was.made_ordinary(now)
        .with_context(|| path.display().to_string())?;
    drop(open(path, OFlags::RDWR)?);
    Ok(())
}

/// What a crash leaves at its worst: the moment in which the names of a shared file were to be
/// exchanged without the module, and copies on their way.
fn left_by_a_crash(root: &Path, guest: &str) -> Result<()> {
    let dir = root.join(guest);
    let plain = File::open(dir.join("plain"))?;
    let flags = rfs::ioctl_getflags(&plain)?;
    rfs::ioctl_setflags(&plain, flags - IFlags::IMMUTABLE)?;
    // Names of another boot: a process of that number may live.
    rfs::link(
        dir.join("plain"),
        dir.join(".vserver-unify.00000000.1.0.1.0"),
    )?;
    for temporary in [
        |ino: u64, generation: u32| format!(".vserver-unify.00000000.1.1.{ino:x}.{generation:x}"),
        |ino, generation| format!(".vserver-cow-{ino:016x}-{generation:08x}-0badcafe"),
    ] {
        let copy = dir.join("copy");
        fs::write(&copy, "the copy of a file, as far as it came")?;
        let (ino, generation) = (
            fs::metadata(&copy)?.ino(),
            abi::generation(File::open(&copy)?)?,
        );
        fs::rename(&copy, dir.join(temporary(ino, generation)))?;
    }
    // Not what their names say, and so somebody's own.
    fs::write(dir.join(FOREIGN[0]), "mine")?;
    fs::write(dir.join(FOREIGN[1]), "mine, too")?;
    Ok(())
}

const FOREIGN: [&str; 2] = [
    ".vserver-cow-00000000000000ff-00000001-deadbeef",
    ".vserver-unify.00000000.1.7.ff.1",
];

fn cleaned_up(root: &Path, guest: &str) -> Result<()> {
    let dir = root.join(guest);
    let before = Tree::of(root, [guest])?;
    // Not web3, whose file with one name the next kernel is to make ordinary.
    let trees = ["web1", "web2", "web4"].map(|guest| root.join(guest));
    let found = vserver(&["cleanup", "--dry-run", "--json"], &trees)?;
    ensure!(
        Tree::of(root, [guest])? == before,
        "a dry run changes nothing"
    );
    let cleaned = vserver(&["cleanup", "--json"], &trees)?;
    let count = |what: &str| cleaned.matches(&format!("\"what\": \"{what}\"")).count();
    ensure!(
        (count("copy"), count("link"), count("foreign")) == (2, 1, 2),
        "found {found}, cleaned {cleaned}"
    );
    let after = Tree::of(root, [guest])?;
    let left: Vec<_> = after
        .0
        .keys()
        .filter(|p| p.to_string_lossy().contains("/."))
        .collect();
    ensure!(left.len() == 2, "{left:?}");
    for name in FOREIGN {
        ensure!(fs::read(dir.join(name))?.starts_with(b"mine"), "{name}");
        fs::remove_file(dir.join(name))?;
    }
    let plain = after.get(&dir.join("plain"))?;
    ensure!(plain.is_unified(), "not protected again: {plain:?}");
    Ok(())
}

/// What the kernel has seen of a file while the module was there does not count without it.
fn module_gone_for_a_while(root: &Path) -> Result<()> {
    let plain = root.join("web1/plain");
    ensure!(look(&plain)?.flags == UNIFIED);
    run("rmmod", "vserver")?;
    without_the_module()?;
    let refused = attempts::all_refused(&plain);
    run("insmod", "/vserver.ko")?;
    refused
}

fn run(program: &str, argument: &str) -> Result<()> {
    let status = Command::new(program).arg(argument).status()?;
    ensure!(status.success(), "{program} {argument}: {status}");
    Ok(())
}

/// Back under our kernel with the module.
fn all_is_right(root: &Path) -> Result<()> {
    let tree = Tree::of(root, GUESTS)?;
    for guest in ["web2", "web3"] {
        for (path, seen) in Tree::of(root, [guest])?.0 {
            fs::write(&path, b"new")?;
            let now = Seen::at(&path)?;
            ensure!(now.ino == seen.ino, "{path:?}: not its own");
        }
    }
    for name in [
        "plain",
        "setuid",
        "capability",
        "acl",
        "attributes",
        "big",
        "sparse",
    ] {
        let (one, four) = (root.join("web1").join(name), root.join("web4").join(name));
        let was = tree.get(&four)?;
        ensure!(tree.get(&one)?.ino == was.ino, "{name}: not shared");
        ensure!(look(&four)?.flags == UNIFIED, "{name}: not unified");
        fs::write(&one, b"new")?;
        let now = Seen::at(&four)?;
        ensure!(Seen::at(&one)?.ino != was.ino, "{name}: not broken");
        let want = Seen {
            links: 1,
            ctime: now.ctime,
            ..was.clone()
        };
        ensure!(now == want, "{name}: is {now:?}, should be {want:?}");
    }
    Ok(())
}
