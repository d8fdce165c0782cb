// SPDX-License-Identifier: GPL-2.0
//! Unified files in directories of ext4 and f2fs whose names or contents are encrypted, or where
//! `A` and `a` are one name, as tmpfs has them, too. A copy is made in the directory, and so is what
//! a file made there is.

use crate::calls::ioctl;
use crate::harness::{Suite, Test};
use crate::namespace::new_mounts;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, IFlags, Mode, OFlags, XattrFlags, setxattr};
use rustix::io::{Errno, write};
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::path::{Path, PathBuf};

pub const EXT4: Suite = Suite::new("directories-ext4-crypt", "ext4-crypt", TESTS);
pub const F2FS: Suite = Suite::new("directories-f2fs-crypt", "f2fs-crypt", TESTS);
pub const TMPFS: Suite = Suite::new(
    "directories-tmpfs",
    "tmpfs",
    tests![case_is_nothing_in_memory, files_made_in_memory],
);

const TESTS: &[Test] = tests![
    encrypted,
    encrypted_without_the_key,
    files_take_no_policy,
    case_is_nothing,
    encrypted_and_case_is_nothing,
];

const SET_POLICY: u64 = 0x800c_6613;
const GET_POLICY_EX: u64 = 0xc009_6616;
const ADD_KEY: u64 = 0xc050_6617;
const REMOVE_KEY: u64 = 0xc040_6618;
const GET_NONCE: u64 = 0x8010_661b;

const ENCRYPTED: IFlags = IFlags::from_bits_retain(0x800);
const CASEFOLD: IFlags = IFlags::from_bits_retain(0x4000_0000);

/// More than a block.
fn content() -> Vec<u8> {
    b"what nobody is to read\n".repeat(400)
}

/// `struct fscrypt_key_specifier`, by identifier
#[repr(C)]
#[derive(Clone, Copy)]
struct KeyName {
    kind: u32,
    reserved: u32,
    identifier: [u8; 32],
}

/// `struct fscrypt_add_key_arg` with a key
#[repr(C)]
struct AddKey {
    name: KeyName,
    size: u32,
    id: u32,
    flags: u32,
    reserved: [u32; 7],
    raw: [u8; 64],
}

/// `struct fscrypt_remove_key_arg`
#[repr(C)]
struct RemoveKey {
    name: KeyName,
    status: u32,
    reserved: [u32; 5],
}

/// `struct fscrypt_policy_v2`
#[repr(C)]
struct Policy {
    version: u8,
    contents_mode: u8,
    names_mode: u8,
    flags: u8,
    unit: u8,
    reserved: [u8; 3],
    identifier: [u8; 16],
}

/// A key that the file system has for the time being.
struct Key {
    name: KeyName,
}

impl Key {
    /// The same one each time.
    fn add() -> Result<Self> {
        let mut arg = AddKey {
            name: KeyName {
                kind: 2,
                reserved: 0,
                identifier: [0; 32],
            },
            size: 64,
            id: 0,
            flags: 0,
            reserved: [0; 7],
            raw: std::array::from_fn(|i| i as u8),
        };
        ioctl(top()?, ADD_KEY, &mut arg).context("add the key")?;
        Ok(Self { name: arg.name })
    }

    /// Nothing that needs it is in memory any more.
    fn remove(self) -> Result<()> {
        let mut arg = RemoveKey {
            name: self.name,
            status: 0,
            reserved: [0; 5],
        };
        ioctl(top()?, REMOVE_KEY, &mut arg).context("remove the key")?;
        ensure!(arg.status == 0, "the key is in use: {}", arg.status);
        Ok(())
    }

    fn encrypt(&self, dir: &Path) -> Result<()> {
        self.set_policy(dir, 4).context("policy")
    }

    /// Has what is in a directory encrypted, and its names in some mode.
    fn set_policy(&self, dir: &Path, names_mode: u8) -> Result<(), Errno> {
        let mut identifier = [0; 16];
        identifier.copy_from_slice(&self.name.identifier[..16]);
        let mut policy = Policy {
            version: 2,
            contents_mode: 1,
            names_mode,
            flags: 3,
            unit: 0,
            reserved: [0; 3],
            identifier,
        };
        let dir = open(dir, OFlags::RDONLY)?;
        ioctl(dir, SET_POLICY, &mut policy).map(drop)
    }
}

fn top() -> Result<rustix::fd::OwnedFd, Errno> {
    open(&root(), OFlags::RDONLY)
}

/// A new directory.
fn directory(name: &str) -> Result<PathBuf> {
    let dir = root().join(name);
    fs::create_dir(&dir)?;
    Ok(dir)
}

fn fold_case(dir: &Path) -> Result<()> {
    let dir = open(dir, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    rfs::ioctl_setflags(&dir, flags | CASEFOLD).context("casefold")
}

/// The policy by which a file is encrypted.
fn policy(path: &Path) -> Result<Vec<u8>> {
    // struct fscrypt_get_policy_ex_arg: the size, then the policy
    let mut arg = [0u8; 8 + 24];
    arg[0] = 24;
    ioctl(open(path, OFlags::RDONLY)?, GET_POLICY_EX, &mut arg)?;
    Ok(arg.to_vec())
}

/// What makes its key differ from those of other files.
fn nonce(path: &Path) -> Result<[u8; 16]> {
    let mut nonce = [0; 16];
    ioctl(open(path, OFlags::RDONLY)?, GET_NONCE, &mut nonce)?;
    Ok(nonce)
}

/// The copy is a file like any made here, with a key of its own.
fn copy_is_encrypted(pair: &Pair) -> Result<()> {
    let flags = rfs::ioctl_getflags(pair.reader()?)?;
    ensure!(flags.contains(ENCRYPTED), "{flags:?}");
    ensure!(policy(&pair.a)? == policy(&pair.b)?, "another policy");
    ensure!(nonce(&pair.a)? != nonce(&pair.b)?, "the same nonce");
    Ok(())
}

fn encrypted() -> Result<()> {
    let key = Key::add()?;
    key.encrypt(&directory("encrypted")?)?;
    let make = |a: &Path| Ok(fs::write(a, content())?);

    let pair = Pair::with("encrypted/open", make)?;
    let file = open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()?;
    copy_is_encrypted(&pair)?;
    write(&file, b"WHAT")?;
    ensure!(pair.broken()?.content.starts_with(b"WHAT nobody"));

    let pair = Pair::with("encrypted/chmod", make)?;
    rfs::chmod(&pair.a, Mode::from_raw_mode(0o600))?;
    ensure!(pair.broken()?.content == content());
    copy_is_encrypted(&pair)?;

    let pair = Pair::with("encrypted/truncate", make)?;
    open(&pair.a, OFlags::WRONLY | OFlags::TRUNC)?;
    ensure!(pair.broken()?.content.is_empty());
    copy_is_encrypted(&pair)
}

/// Names and content can't be read then, and so not be copied. The file can be removed.
fn encrypted_without_the_key() -> Result<()> {
    let key = Key::add()?;
    let dir = directory("locked")?;
    key.encrypt(&dir)?;
    let pair = Pair::with("locked/pair", |a| Ok(fs::write(a, content())?))?;
    rustix::fs::sync();
    key.remove()?;

    let mut looked_at = 0;
    for inner in fs::read_dir(&dir)? {
        for entry in fs::read_dir(inner?.path())? {
            let path = entry?.path();
            let mode = Mode::from_raw_mode(0o600);
            refused("open", open(&path, OFlags::WRONLY), Errno::NOKEY)?;
            refused("O_TRUNC", open(&path, OFlags::TRUNC), Errno::NOKEY)?;
            refused("chmod", rfs::chmod(&path, mode), Errno::NOKEY)?;
            let none = XattrFlags::empty();
            let set = setxattr(&path, "user.new", b"new", none);
            refused("setxattr", set, Errno::NOKEY)?;
            looked_at += 1;
        }
    }
    ensure!(looked_at == 2, "{looked_at} names");

    let key = Key::add()?;
    pair.intact()?;
    fs::write(&pair.a, b"new")?;
    ensure!(pair.broken()?.content == b"new");
    drop(pair);
    key.remove()
}

/// Nor does a unified one get another than it has from its directory.
fn files_take_no_policy() -> Result<()> {
    let key = Key::add()?;
    let pair = Pair::new("no_policy")?;
    pair.refused("a policy", key.set_policy(&pair.a, 4), Errno::NOTDIR)?;

    key.encrypt(&directory("policy")?)?;
    let pair = Pair::new("policy/pair")?;
    let before = policy(&pair.a)?;
    pair.refused("another", key.set_policy(&pair.a, 9), Errno::EXIST)?;
    ensure!(policy(&pair.a)? == before, "another policy");
    Ok(())
}

/// `A` is the name `a`, which keeps its case.
fn breaks_by_another_case(name: &str, make: fn(&str) -> Result<Pair>) -> Result<()> {
    let upper = |pair: &Pair| pair.dir.join("A");

    let pair = make(&format!("{name}/open"))?;
    open(&upper(&pair), OFlags::WRONLY)?;
    pair.broken_alike()?;
    ensure!(look(&upper(&pair))? == look(&pair.a)?, "two files");

    let pair = make(&format!("{name}/create"))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    open(&upper(&pair), flags)?;
    ensure!(pair.broken()?.content.is_empty());

    let pair = make(&format!("{name}/chmod"))?;
    rfs::chmod(upper(&pair), Mode::from_raw_mode(0o600))?;
    ensure!(pair.broken()?.mode & 0o777 == 0o600);

    // The descriptor was got by one case, the name is looked for by the other.
    let pair = make(&format!("{name}/fchmod"))?;
    let file = open(&upper(&pair), OFlags::RDONLY)?;
    fs::write(&pair.a, b"new")?;
    rfs::fchmod(&file, Mode::from_raw_mode(0o600))?;
    let a = pair.broken()?;
    ensure!(a.mode & 0o777 == 0o600 && a.content == b"new", "{a:?}");

    let pair = make(&format!("{name}/exclusive"))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    pair.refused("O_EXCL", open(&upper(&pair), flags), Errno::EXIST)
}

fn case_is_nothing() -> Result<()> {
    fold_case(&directory("folded")?)?;
    breaks_by_another_case("folded", Pair::new)
}

fn encrypted_and_case_is_nothing() -> Result<()> {
    let key = Key::add()?;
    let dir = directory("both")?;
    key.encrypt(&dir)?;
    fold_case(&dir)?;
    breaks_by_another_case("both", Pair::new)
}

/// Where the file system under test is, one that can have such directories: for this process alone.
fn fold_in_memory() -> Result<()> {
    new_mounts()?;
    let none = MountFlags::empty();
    mount("tmpfs", root(), "tmpfs", none, Some(c"casefold")).context("casefold")?;
    fold_case(&directory("folded")?)
}

/// A file that has come from a directory where case counts, see [`files_made_in_memory`].
fn moved_in(name: &str) -> Result<Pair> {
    let outside = root().join("outside");
    Pair::with(name, |a| {
        fs::write(&outside, CONTENT)?;
        Ok(fs::rename(&outside, a)?)
    })
}

fn case_is_nothing_in_memory() -> Result<()> {
    fold_in_memory()?;
    breaks_by_another_case("folded", moved_in)?;

    // With a flag of its own, and none that its directory hands down.
    let pair = Pair::with("folded/nodump", |a| {
        let outside = root().join("outside");
        fs::write(&outside, CONTENT)?;
        rfs::ioctl_setflags(open(&outside, OFlags::RDONLY)?, IFlags::NODUMP)?;
        Ok(fs::rename(&outside, a)?)
    })?;
    let plain = |path: &Path| -> Result<IFlags> {
        let flags = rfs::ioctl_getflags(open(path, OFlags::RDONLY)?)?;
        Ok(flags - IFlags::IMMUTABLE)
    };
    open(&pair.dir.join("A"), OFlags::WRONLY)?;
    pair.broken_alike()?;
    ensure!(plain(&pair.a)? == IFlags::NODUMP && plain(&pair.b)? == IFlags::NODUMP);
    // So it can be shared again.
    set_flags(&pair.a, UNIFIED, UNIFIED)?;
    Ok(())
}

/// tmpfs hands a flag down to them that a file can't have, and then refuses all others.
fn files_made_in_memory() -> Result<()> {
    fold_in_memory()?;
    let path = root().join("folded/made");
    fs::write(&path, CONTENT)?;
    let file = open(&path, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&file)?;
    let chattr = rfs::ioctl_setflags(&file, flags | IFlags::IMMUTABLE);
    if chattr.is_ok() {
        rfs::ioctl_setflags(&file, flags)?;
    }
    drop(file);
    let set = set_flags(&path, UNIFIED, UNIFIED);
    ensure!(set == chattr, "{set:?}, and {chattr:?} by chattr");
    let now = look(&path)?.flags;
    ensure!(now == if set.is_ok() { UNIFIED } else { 0 }, "{now:#x}");
    // Then it is an ordinary file, still.
    fs::write(root().join("folded/MADE"), b"new")?;
    ensure!(fs::read(&path)? == b"new");
    Ok(())
}
