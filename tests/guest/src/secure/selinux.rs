// SPDX-License-Identifier: GPL-2.0
//! As `labels`, with SELinux: who may make a file of a label need not be one who may change labels,
//! and a mount can say how its files are labelled, whatever is on the disk.
//!
//! The policy is tests/guest/selinux.conf.

use super::labelling::{Labels, become_label, become_labelled};
use super::rights::{compare, here, users_file};
use crate::harness::Suite;
use crate::process::isolated;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Mode, XattrFlags, chmod, removexattr, setxattr};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// SELinux instead of AppArmor: there can be one of them.
macro_rules! suite {
    ($name:literal, $fs:literal $(, $more:ident)*) => {
        Suite {
            name: $name,
            wants: concat!($fs, " append=security=selinux policy=selinux"),
            tests: tests![
                who_may_write,
                who_may_append,
                who_may_not_open,
                who_may_read,
                who_may_nothing,
                copy_is_labelled,
                label_that_the_policy_does_not_know,
                $($more,)*
            ],
        }
    };
}

pub const EXT4: Suite = suite!("selinux", "ext4", labels_by_the_mount);
pub const XFS: Suite = suite!("selinux-xfs", "xfs", labels_by_the_mount);
pub const BTRFS: Suite = suite!("selinux-btrfs", "btrfs", labels_by_the_mount);
pub const F2FS: Suite = suite!("selinux-f2fs", "f2fs", labels_by_the_mount);
pub const TMPFS: Suite = suite!("selinux-tmpfs", "tmpfs");

const LABEL: &str = "security.selinux";
const OTHER: &str = "system_u:object_r:other_t";
const UNKNOWN: &str = "system_u:object_r:unknown_t";

struct SeLinux;

impl Labels for SeLinux {
    const GUEST: &str = "system_u:object_r:guest_t";
    const WRITER: &str = "system_u:system_r:writer_t";
    const READER: &str = "system_u:system_r:reader_t";
    const STRANGER: &str = "system_u:system_r:stranger_t";

    fn policy() -> Result<()> {
        let dir = Path::new("/run/selinux");
        if fs::read(dir.join("enforce")).is_ok_and(|enforced| enforced == b"1") {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        mount("selinuxfs", dir, "selinuxfs", MountFlags::empty(), None).context("selinuxfs")?;
        let policy = fs::read("/tests/selinux.policy")?;
        // Not in pieces.
        let mut load = OpenOptions::new().write(true).open(dir.join("load"))?;
        ensure!(load.write(&policy).context("load")? == policy.len());
        fs::write(dir.join("enforce"), "1").context("enforce")
    }

    /// As one who may change labels.
    fn set_label(path: &Path, label: &str) -> Result<()> {
        isolated(|| {
            become_label("system_u:system_r:admin_t")?;
            setxattr(path, LABEL, label.as_bytes(), XattrFlags::empty()).context(LABEL)
        })
    }
}

fn on_disk(path: &Path, want: &str) -> Result<()> {
    let label = xattr(path, LABEL)?.context("no label")?;
    let label = label.strip_suffix(b"\0").unwrap_or(&label);
    ensure!(
        label == want.as_bytes(),
        "{:?}",
        String::from_utf8_lossy(label)
    );
    Ok(())
}

fn who_may_write() -> Result<()> {
    SeLinux::who_may_write()
}

/// A guest's file from which nothing is taken away when it is cut.
fn without_privileges(a: &Path) -> Result<()> {
    SeLinux::labelled(a)?;
    chmod(a, Mode::from_raw_mode(0o644))?;
    removexattr(a, "security.capability")?;
    Ok(())
}

/// O_TRUNC takes the right to write, too, which is asked for last.
fn who_may_append() -> Result<()> {
    SeLinux::policy()?;
    let who = here(|| become_labelled("system_u:system_r:appender_t"));
    compare("appender", without_privileges, who)
}

fn who_may_not_open() -> Result<()> {
    SeLinux::policy()?;
    let who = here(|| become_labelled("system_u:system_r:closed_t"));
    compare("closed", without_privileges, who)
}

fn who_may_read() -> Result<()> {
    SeLinux::who_may_read()
}

fn who_may_nothing() -> Result<()> {
    SeLinux::who_may_nothing()
}

fn copy_is_labelled() -> Result<()> {
    SeLinux::policy()?;
    let pair = Pair::with("labelled", SeLinux::labelled)?;
    SeLinux::append(&pair.a)?;
    ensure!(pair.broken()?.content.ends_with(b"more"));
    for path in [&pair.a, &pair.b] {
        on_disk(path, SeLinux::GUEST)?;
        SeLinux::check_label(path)?;
    }
    Ok(())
}

/// It was left by another policy, and counts as none; a modification does not ask for more.
fn label_that_the_policy_does_not_know() -> Result<()> {
    SeLinux::policy()?;
    let pair = Pair::with("unknown", |a| {
        users_file(a)?;
        SeLinux::set_label(a, UNKNOWN)
    })?;
    SeLinux::append(&pair.a)?;
    ensure!(pair.broken()?.content.ends_with(b"more"));
    on_disk(&pair.a, UNKNOWN)
}

/// The file system under test is mounted anew, with these options.
fn remount(device: &str, kind: &str, options: Option<&str>) -> Result<()> {
    let dir = root();
    unmount(&dir, UnmountFlags::empty()).context("umount")?;
    let options = options.map(CString::new).transpose()?;
    mount(device, &dir, kind, MountFlags::empty(), options.as_deref()).context("mount")
}

/// By `context=`: those on the disk do not count then, and stay what they are.
fn labels_by_the_mount() -> Result<()> {
    SeLinux::policy()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let dir = root();
    let (device, kind) = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, at, kind) = (words.next()?, words.next()?, words.next()?);
            (Path::new(at) == dir).then_some((device, kind))
        })
        .next_back()
        .context("not mounted")?;
    let pair = Pair::with("mounted", |a| {
        users_file(a)?;
        SeLinux::set_label(a, OTHER)
    })?;

    remount(device, kind, Some(&format!("context={}", SeLinux::GUEST)))?;
    let done = SeLinux::append(&pair.a).and_then(|()| {
        SeLinux::check_label(&pair.a)?;
        SeLinux::check_label(&pair.b)
    });
    remount(device, kind, None)?;

    done?;
    ensure!(pair.broken()?.content.ends_with(b"more"));
    on_disk(&pair.a, OTHER)?;
    on_disk(&pair.b, OTHER)
}
