// SPDX-License-Identifier: GPL-2.0
//! What guests shall be like: a TOML file each, `/etc/vserver/<name>.toml`.
//!
//! [`Guest`] is such a file, [`read`](mod@read) understands one and says what is wrong with it,
//! [`store`] finds all there are, [`legacy`] reads the directories that the old tools used, [`units`]
//! tells systemd of their order.

pub mod check;
pub mod legacy;
mod order;
pub mod read;
pub mod store;
mod text;
pub mod units;
mod xids;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};
use vserver_abi as abi;

pub use order::{Order, order};
pub use store::Store;
pub use text::{Badness, Ccap, Kind, Namespace, Signal, Text, Time, UtsName, Xid};

use crate::cgroup::{self, Bytes};
use crate::cpu::{CpuLimit, SchedChange};
use crate::dlimit;
use crate::error::{Error, Result};
use crate::guest::{Caps, default_namespaces};
use crate::limits::{self, Changes, Most};
use crate::names::FlagChange;

/// How long a guest's init has to end it.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long its processes have from SIGTERM to SIGKILL.
const KILL_AFTER: Duration = Duration::from_secs(10);

/// A guest's file. What it does not say is as [`Guest::default`] has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guest {
    /// A line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The root directory; `/vservers/<name>` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// The context's id; assigned, and always the same, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xid: Option<Text<Xid>>,
    /// Started by `start --all`, that is when the host boots.
    #[serde(skip_serializing_if = "is_default")]
    pub autostart: bool,
    /// Guests that are started before this one, and stopped after it, if they are at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Guests without which this one is not started: they are started before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// What it was built of.
    #[serde(skip_serializing_if = "is_default")]
    pub build: Build,
    /// What is started.
    #[serde(skip_serializing_if = "is_default")]
    pub init: Init,
    /// How it is stopped.
    #[serde(skip_serializing_if = "is_default")]
    pub stop: Stop,
    /// What `uname(2)` says inside.
    #[serde(skip_serializing_if = "is_default")]
    pub names: Names,
    /// Namespaces.
    #[serde(skip_serializing_if = "is_default")]
    pub spaces: Spaces,
    /// Capabilities.
    #[serde(skip_serializing_if = "is_default")]
    pub capabilities: Capabilities,
    /// The context's flags: `virt_uptime`, or `-virt_uptime` to switch one off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Text<FlagChange>>,
    /// How much it may have.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// How much of the disk.
    #[serde(skip_serializing_if = "is_default")]
    pub disk: Disk,
    /// CPU time.
    #[serde(skip_serializing_if = "is_default")]
    pub scheduler: Scheduler,
    /// What it shares with others.
    #[serde(skip_serializing_if = "is_default")]
    pub hashify: Hashify,
    /// What is mounted in it, in this order, beside what every guest gets.
    #[serde(rename = "mount", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}

/// What a guest is built of: one of suite, tar, oci, clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// A suite of Debian.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Where its packages come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// More packages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Which packages without being named: minbase, as debootstrap(8) has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// An archive of a root directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tar: Option<PathBuf>,
    /// An archive with an image of a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci: Option<PathBuf>,
    /// Another guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone: Option<String>,
}

/// What is started in a guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Init {
    /// What the guest's first process is.
    pub style: Style,
    /// The command and its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its environment, beside the usual.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The directory it starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<PathBuf>,
    /// Where its output goes; `/var/log/vserver/<name>.log` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

/// What a guest's first process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// A small init of ours, that starts the command, if there is one, and reaps orphans.
    #[default]
    Small,
    /// The command itself.
    Command,
    /// The guest's own sysvinit, or another that understands `telinit 0`.
    Sysv,
    /// The guest's own systemd.
    Systemd,
}

/// How a guest is stopped: its init is told, then all processes, then they are killed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// A command to run inside, instead of what the init style has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A signal for its init, instead of what the init style has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Text<Signal>>,
    /// How long its init has: 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Text<Time>>,
    /// How long the processes then have from SIGTERM to SIGKILL: 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_after: Option<Text<Time>>,
}

/// What `uname(2)` says inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// The host name; the guest's name if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Text<UtsName>>,
    /// The NIS domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<Text<UtsName>>,
    /// The kernel's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysname: Option<Text<UtsName>>,
    /// The kernel's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Text<UtsName>>,
    /// The kernel's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text<UtsName>>,
    /// The kind of machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Text<UtsName>>,
}

/// Namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spaces {
    /// Those of its own: mnt, uts, ipc, for systemd also cgroup, if there is no list; mnt is always
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Vec<Text<Namespace>>>,
    /// Those that may be made inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_make: Vec<Text<Kind>>,
}

/// Capabilities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// Linux's: `all`, `none`, a list, or changes of what guests have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Text<Caps>>,
    /// The context's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Text<Ccap>>,
}

/// How much a guest may have: a number, or `"unlimited"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<Text<Most>>,
    /// Open files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Text<Most>>,
    /// Descriptors, however many there are of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<Text<Most>>,
    /// Sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<Text<Most>>,
    /// File locks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks: Option<Text<Most>>,
    /// Bytes that message queues may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_queues: Option<Text<Most>>,
    /// Pages of shared memory of System V IPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<Text<Most>>,
    /// Arrays of semaphores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semaphore_arrays: Option<Text<Most>>,
    /// Semaphores in all arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semaphores: Option<Text<Most>>,
    /// Pages of address space of all processes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space: Option<Text<Most>>,
    /// Pages of memory that they lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_memory: Option<Text<Most>>,
    /// Memory: `512M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Text<Bytes>>,
    /// Swap, beside that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Text<Bytes>>,
    /// What is added to the `oom_score_adj` of its processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_bias: Option<Text<Badness>>,
}

/// How much of the file system that its root is on a guest's files may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Space: `"10G"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<Text<dlimit::Space>>,
    /// Inodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inodes: Option<Text<Most>>,
    /// Percent of both that are root's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Text<dlimit::Percent>>,
    /// Its users and groups can have quotas there.
    #[serde(skip_serializing_if = "is_default")]
    pub quota: bool,
}

/// CPU time: the token bucket, in ticks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduler {
    /// `25%`, `150%`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Text<CpuLimit>>,
    /// Tokens added per interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_rate: Option<i32>,
    /// The interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<i32>,
    /// Tokens added per idle interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_fill_rate: Option<i32>,
    /// The idle interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_interval: Option<i32>,
    /// Tokens at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i32>,
    /// Tokens that end a hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_min: Option<i32>,
    /// Tokens that can be saved up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_max: Option<i32>,
    /// Bias of the priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prio_bias: Option<i32>,
}

/// What a guest shares with others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hashify {
    /// Patterns of files that are its own, before the built-in ones: see [`Excludes`](crate::exclude::Excludes).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Something that is mounted in a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// A directory or file of the host, a device, or whatever the kind of file system takes.
    pub source: String,
    /// The directory in the guest.
    pub target: PathBuf,
    /// The kind of file system, or `bind`.
    #[serde(rename = "type", default = "bind")]
    pub kind: String,
    /// Options, as fstab(5) has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

fn bind() -> String {
    "bind".to_owned()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Guest {
    /// The namespaces that it gets. systemd wants cgroups of its own.
    pub fn namespaces(&self) -> UnshareFlags {
        let usual = match self.init.style {
            Style::Systemd => default_namespaces(true) | UnshareFlags::NEWCGROUP,
            _ => default_namespaces(true),
        };
        let own = self.spaces.own.as_ref();
        own.map_or(usual, |list| {
            list.iter().fold(UnshareFlags::NEWNS, |all, n| all | n.0)
        })
    }

    /// The kinds of namespaces that may be made inside.
    pub fn may_make(&self) -> u64 {
        let kinds = self.spaces.may_make.iter();
        u64::from(kinds.fold(UnshareFlags::empty(), |all, k| all | k.0).bits())
    }

    /// The capabilities that its processes may have.
    pub fn caps(&self) -> Caps {
        let given = self.capabilities.linux.as_deref();
        given.copied().unwrap_or_else(Caps::guest)
    }

    /// Its context capabilities.
    pub fn ccaps(&self) -> u64 {
        let quota = match self.disk.quota {
            true => abi::VXC_QUOTA_CTL,
            false => 0,
        };
        self.capabilities
            .context
            .iter()
            .fold(quota, |all, cap| all | cap.0)
    }

    /// Its flags. What is an init wants to be process 1, and a limit of memory is seen inside.
    pub fn flags(&self) -> FlagChange {
        let init = match self.init.style {
            Style::Command => 0,
            _ => abi::VXF_INFO_INIT,
        };
        let first = FlagChange {
            set: init | abi::VXF_VIRT_MEM,
            clear: 0,
        };
        self.flags.iter().fold(first, |all, flag| all.and(**flag))
    }

    /// Its limits on things.
    pub fn things(&self) -> Changes {
        let l = &self.limits;
        [
            (limits::PROCESSES, &l.processes),
            (limits::FILES, &l.files),
            (limits::DESCRIPTORS, &l.descriptors),
            (limits::SOCKETS, &l.sockets),
            (limits::LOCKS, &l.locks),
            (limits::QUEUES, &l.message_queues),
            (limits::SHARED, &l.shared_memory),
            (limits::ARRAYS, &l.semaphore_arrays),
            (limits::SEMAPHORES, &l.semaphores),
            (limits::ADDRESS_SPACE, &l.address_space),
            (limits::LOCKED, &l.locked_memory),
        ]
        .into_iter()
        .filter_map(|(thing, most)| Some((thing, **most.as_ref()?)))
        .collect()
    }

    /// Its limits on the disk, if it has any.
    pub fn disk(&self) -> Option<dlimit::Change> {
        let d = &self.disk;
        (!is_default(d)).then(|| dlimit::Change {
            space: d.space.as_deref().copied(),
            inodes: d.inodes.as_deref().copied(),
            reserved: d.reserved.as_deref().copied(),
            quota: Some(d.quota),
        })
    }

    /// Its limits of memory.
    pub fn memory(&self) -> cgroup::Limits {
        cgroup::Limits {
            memory: self.limits.memory.as_deref().copied(),
            swap: self.limits.swap.as_deref().copied(),
        }
    }

    /// Its CPU time.
    pub fn sched(&self) -> SchedChange {
        let s = &self.scheduler;
        SchedChange {
            cpu: s.cpu.as_deref().copied(),
            fill_rate: s.fill_rate,
            interval: s.interval,
            idle_fill_rate: s.idle_fill_rate,
            idle_interval: s.idle_interval,
            tokens: s.tokens,
            tokens_min: s.tokens_min,
            tokens_max: s.tokens_max,
            prio_bias: s.prio_bias,
        }
    }

    /// The names that the kernel is told, by their numbers.
    pub fn uts_names(&self) -> Vec<(u32, String)> {
        let n = &self.names;
        [
            (abi::VHIN_DOMAINNAME, &n.domainname),
            (abi::VHIN_SYSNAME, &n.sysname),
            (abi::VHIN_RELEASE, &n.release),
            (abi::VHIN_VERSION, &n.version),
            (abi::VHIN_MACHINE, &n.machine),
        ]
        .into_iter()
        .filter_map(|(field, name)| Some((field, name.as_ref()?.0.clone())))
        .collect()
    }

    /// How long its init has to end it.
    pub fn stop_timeout(&self) -> Duration {
        self.stop.timeout.as_ref().map_or(STOP_TIMEOUT, |t| t.0)
    }

    /// How long its processes have from SIGTERM to SIGKILL.
    pub fn kill_after(&self) -> Duration {
        self.stop.kill_after.as_ref().map_or(KILL_AFTER, |t| t.0)
    }

    /// The file's text.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Invalid(format!("write the configuration: {e}")))
    }
}
