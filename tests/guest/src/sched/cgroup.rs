// SPDX-License-Identifier: GPL-2.0
//! Cgroups, and what their controllers say.

use crate::process::Child;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";

/// A cgroup.
pub(super) struct Cgroup {
    dir: PathBuf,
    /// When it is dropped.
    is_removed: bool,
}

impl Cgroup {
    /// One that is removed when it is dropped.
    pub(super) fn new(name: &str) -> Result<Self> {
        Self::made(name, true)
    }

    /// One that stays, and may have been there before.
    pub(super) fn shared(name: &str) -> Result<Self> {
        Self::made(name, false)
    }

    fn made(name: &str, is_removed: bool) -> Result<Self> {
        let dir = root()?.join(name);
        let mut maker = fs::DirBuilder::new();
        maker
            .recursive(!is_removed)
            .create(&dir)
            .context("cgroup")?;
        Ok(Self { dir, is_removed })
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.dir.join(file), text).with_context(|| format!("{file}: {text}"))
    }

    pub(super) fn add(&self, child: &Child) -> Result<()> {
        self.write("cgroup.procs", &child.id().to_string())
    }

    /// A number of its `cpu.stat`.
    pub(super) fn stat(&self, name: &str) -> Result<u64> {
        let text = fs::read_to_string(self.dir.join("cpu.stat"))?;
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        Ok(line.context("cpu.stat")?.trim().parse()?)
    }

    /// What those inside ran, in milliseconds.
    pub(super) fn used(&self) -> Result<u64> {
        Ok(self.stat("usage_usec")? / 1000)
    }

    /// Whether it says of itself that it is frozen.
    pub(super) fn is_frozen(&self) -> bool {
        fs::read_to_string(self.dir.join("cgroup.events"))
            .is_ok_and(|text| text.contains("frozen 1"))
    }
}

fn root() -> Result<PathBuf> {
    let root = PathBuf::from(ROOT);
    let _ = fs::create_dir_all(&root);
    if !root.join("cgroup.procs").exists() {
        rustix::mount::mount(
            "cgroup2",
            ROOT,
            "cgroup2",
            rustix::mount::MountFlags::empty(),
            None,
        )?;
    }
    Ok(root)
}

/// Lets all cgroups below the root have the cpu controller, from now on.
pub(super) fn with_quotas() -> Result<()> {
    fs::write(root()?.join("cgroup.subtree_control"), "+cpu").context("+cpu")
}

/// As long as it is there all cgroups below the root are sets of CPUs, too.
pub(super) struct Cpusets(PathBuf);

impl Cpusets {
    pub(super) fn new() -> Result<Self> {
        let control = root()?.join("cgroup.subtree_control");
        fs::write(&control, "+cpuset").context("+cpuset")?;
        Ok(Self(control))
    }
}

impl Drop for Cpusets {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, "-cpuset");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.is_removed {
            remove(&self.dir);
        }
    }
}

/// Removes a cgroup; those inside may still be on their way out.
fn remove(dir: &Path) {
    for _ in 0..100 {
        if fs::remove_dir(dir).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A cgroup of the first version, for its freezer: whom that holds does not even die.
pub(super) struct OldFreezer;

impl OldFreezer {
    const MOUNT: &str = "/tmp/sched-freezer";
    const DIR: &str = "/tmp/sched-freezer/held";

    pub(super) fn new() -> Result<Self> {
        fs::create_dir_all(Self::MOUNT)?;
        rustix::mount::mount(
            "freezer",
            Self::MOUNT,
            "cgroup",
            rustix::mount::MountFlags::empty(),
            Some(c"freezer"),
        )
        .context("freezer")?;
        let this = Self;
        fs::create_dir(Self::DIR).context("cgroup")?;
        Ok(this)
    }

    pub(super) fn add(&self, child: &Child) -> Result<()> {
        let file = Path::new(Self::DIR).join("cgroup.procs");
        fs::write(file, child.id().to_string()).context("cgroup.procs")
    }

    pub(super) fn set(&self, state: &str) -> Result<()> {
        let file = Path::new(Self::DIR).join("freezer.state");
        fs::write(file, state).context("freezer.state")
    }

    /// Whether there is its root and nothing else.
    fn is_empty() -> bool {
        let text = fs::read_to_string("/proc/cgroups").unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("freezer"));
        line.and_then(|l| l.split_whitespace().nth(1)) == Some("1")
    }

    /// Whether it says of itself that it is `state`.
    pub(super) fn is(&self, state: &str) -> bool {
        let file = Path::new(Self::DIR).join("freezer.state");
        fs::read_to_string(file).is_ok_and(|text| text.trim() == state)
    }
}

impl Drop for OldFreezer {
    fn drop(&mut self) {
        let _ = self.set("THAWED");
        let procs = |dir: &str| Path::new(dir).join("cgroup.procs");
        for pid in fs::read_to_string(procs(Self::DIR))
            .unwrap_or_default()
            .lines()
        {
            let _ = fs::write(procs(Self::MOUNT), pid);
        }
        remove(Path::new(Self::DIR));
        // Unmounted with a cgroup that is not quite gone, the hierarchy would live on.
        for _ in 0..100 {
            if Self::is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = rustix::mount::unmount(Self::MOUNT, rustix::mount::UnmountFlags::DETACH);
    }
}
