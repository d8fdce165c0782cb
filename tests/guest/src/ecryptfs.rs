// SPDX-License-Identifier: GPL-2.0
//! ecryptfs over unified files. It opens for writing what is only looked up, so it gets at none of
//! them; unless the file system below was read-only then.

use crate::calls::{generation, ioctl};
use crate::harness::Suite;
use crate::process::isolated;
use crate::stacked::mount_point;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use std::fs;
use std::path::Path;

/// On a file system where the generation of an inode can be set: one without checksums of metadata.
pub const SUITE: Suite = Suite::new(
    "ecryptfs-ext4-ext3",
    "ext4-ext3",
    tests![not_even_looked_at, opened_while_read_only],
);

/// Lays it over a directory, so that files which are not encrypted are shown as they are.
fn lay(lower: &Path, dir: &Path) -> Result<()> {
    add_key()?;
    let options = c"ecryptfs_sig=0123456789abcdef,ecryptfs_key_bytes=16,ecryptfs_passthrough";
    mount(lower, dir, "ecryptfs", MountFlags::empty(), options).context("ecryptfs")
}

/// The key that it asks for, and then uses for nothing.
fn add_key() -> Result<()> {
    const PROCESS_KEYRING: libc::c_long = -2;
    // struct ecryptfs_auth_tok: version 0.4, a password
    let mut token = [0u8; 740];
    token[0] = 4;
    // SAFETY: the names are C strings, and the payload is as long as is said.
    let added = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            c"0123456789abcdef".as_ptr(),
            token.as_ptr(),
            token.len(),
            PROCESS_KEYRING,
        )
    };
    syscall(added).context("add_key")?;
    Ok(())
}

/// What has failed leaves nothing behind: the file system below can be unmounted, too.
fn not_even_looked_at() -> Result<()> {
    let below = root().join("below");
    fs::create_dir(&below)?;
    fs::write(below.join("plain"), CONTENT)?;
    let pair = Pair::new("below/pair")?;
    isolated(|| {
        let dir = mount_point("ecryptfs")?;
        lay(&below, &dir)?;
        ensure!(fs::read(dir.join("plain"))? == CONTENT, "a plain file");
        for name in ["pair/a", "pair/b", "pair/a"] {
            let path = dir.join(name);
            refused("stat", rfs::stat(&path), Errno::PERM)?;
            refused("open", open(&path, OFlags::RDONLY), Errno::PERM)?;
            refused("O_TRUNC", open(&path, OFlags::TRUNC), Errno::PERM)?;
            let mode = Mode::from_raw_mode(0o600);
            refused("chmod", rfs::chmod(&path, mode), Errno::PERM)?;
            refused("unlink", rfs::unlink(&path), Errno::PERM)?;
        }
        Ok(unmount(&dir, UnmountFlags::empty())?)
    })?;
    pair.intact()
}

/// It can be written to since, and the descriptor below is one for reading.
fn opened_while_read_only() -> Result<()> {
    let pair = Pair::new("read_only")?;
    let before = generation(pair.reader()?)?;
    let changed = change(&pair.a)?;
    isolated(|| {
        let dir = mount_point("ecryptfs")?;
        mount_remount(root(), MountFlags::RDONLY, "").context("read-only")?;
        lay(&pair.dir, &dir)?;
        let held = open(&dir.join("a"), OFlags::RDONLY)?;
        mount_remount(root(), MountFlags::empty(), "").context("writable")?;
        ensure!(generation(&held)? == before, "another file's");
        const SETVERSION: u64 = 0x4008_7602;
        let mut value = libc::c_long::from(before) + 1;
        let set = ioctl(&held, SETVERSION, &mut value);
        refused("set the generation", set, Errno::PERM)
    })?;
    ensure!(generation(pair.reader()?)? == before, "the generation");
    ensure!(change(&pair.a)? == changed, "the time of the last change");
    pair.intact()
}
