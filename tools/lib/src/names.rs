// SPDX-License-Identifier: GPL-2.0
//! The names of bits: context flags, features, file attributes.

use std::str::FromStr;

use vserver_abi as abi;

use crate::error::Error;

/// A set of named bits.
#[derive(Debug)]
pub struct Names {
    /// What a bit of the set is, for messages: "flag".
    what: &'static str,
    bits: &'static [(&'static str, u64)],
}

/// Context flags.
pub static CFLAGS: Names = Names {
    what: "context flag",
    bits: &[
        ("info_sched", abi::VXF_INFO_SCHED),
        ("info_nproc", abi::VXF_INFO_NPROC),
        ("info_private", abi::VXF_INFO_PRIVATE),
        ("info_init", abi::VXF_INFO_INIT),
        ("info_hide", abi::VXF_INFO_HIDE),
        ("info_ulimit", abi::VXF_INFO_ULIMIT),
        ("info_nspace", abi::VXF_INFO_NSPACE),
        ("sched_hard", abi::VXF_SCHED_HARD),
        ("sched_prio", abi::VXF_SCHED_PRIO),
        ("sched_pause", abi::VXF_SCHED_PAUSE),
        ("virt_mem", abi::VXF_VIRT_MEM),
        ("virt_uptime", abi::VXF_VIRT_UPTIME),
        ("virt_cpu", abi::VXF_VIRT_CPU),
        ("virt_load", abi::VXF_VIRT_LOAD),
        ("virt_time", abi::VXF_VIRT_TIME),
        ("hide_mount", abi::VXF_HIDE_MOUNT),
        ("hide_vinfo", abi::VXF_HIDE_VINFO),
        ("state_setup", abi::VXF_STATE_SETUP),
        ("state_init", abi::VXF_STATE_INIT),
        ("state_admin", abi::VXF_STATE_ADMIN),
        ("sc_helper", abi::VXF_SC_HELPER),
        ("reboot_kill", abi::VXF_REBOOT_KILL),
        ("persistent", abi::VXF_PERSISTENT),
        ("fork_rss", abi::VXF_FORK_RSS),
        ("prolific", abi::VXF_PROLIFIC),
        ("igneg_nice", abi::VXF_IGNEG_NICE),
    ],
};

/// Context capabilities.
pub static CCAPS: Names = Names {
    what: "context capability",
    bits: &[
        ("set_utsname", abi::VXC_SET_UTSNAME),
        ("set_rlimit", abi::VXC_SET_RLIMIT),
        ("fs_security", abi::VXC_FS_SECURITY),
        ("fs_trusted", abi::VXC_FS_TRUSTED),
        ("tiocsti", abi::VXC_TIOCSTI),
        ("syslog", abi::VXC_SYSLOG),
        ("oom_adjust", abi::VXC_OOM_ADJUST),
        ("audit_control", abi::VXC_AUDIT_CONTROL),
        ("secure_mount", abi::VXC_SECURE_MOUNT),
        ("secure_remount", abi::VXC_SECURE_REMOUNT),
        ("binary_mount", abi::VXC_BINARY_MOUNT),
        ("quota_ctl", abi::VXC_QUOTA_CTL),
        ("admin_mapper", abi::VXC_ADMIN_MAPPER),
        ("admin_cloop", abi::VXC_ADMIN_CLOOP),
        ("kthread", abi::VXC_KTHREAD),
        ("namespace", abi::VXC_NAMESPACE),
    ],
};

/// Features of the kernel's interface.
pub static FEATURES: Names = Names {
    what: "feature",
    bits: &[
        ("no_dynamic_ids", abi::VCI_NO_DYNAMIC as u64),
        ("secure_proc", 1 << 4),
        ("hard_cpu", abi::VCI_HARDCPU as u64),
        ("idle_limit", 1 << 6),
        ("idle_time", abi::VCI_IDLETIME as u64),
        ("cow_link_breaking", abi::VCI_COWBL as u64),
        ("full_cow_link_breaking", abi::VCI_FULLCOWBL as u64),
        ("spaces", abi::VCI_SPACES as u64),
        ("network_v2", abi::VCI_NETV2 as u64),
        ("memory_cgroup", abi::VCI_MEMCG as u64),
        ("debug", abi::VCI_DEBUG as u64),
        ("history", 1 << 20),
        ("tags", abi::VCI_TAG_INTERNAL as u64),
        ("per_process_tag", abi::VCI_TAG_TASK as u64),
    ],
};

/// Attributes of files.
pub static IATTRS: Names = Names {
    what: "file attribute",
    bits: &[
        ("barrier", abi::IATTR_BARRIER as u64),
        ("iunlink", abi::IATTR_IUNLINK as u64),
        ("immutable", abi::IATTR_IMMUTABLE as u64),
        ("cow", abi::IATTR_COW as u64),
        ("admin", abi::IATTR_ADMIN as u64),
        ("watch", abi::IATTR_WATCH as u64),
        ("hide", abi::IATTR_HIDE as u64),
        ("tag", abi::IATTR_TAG as u64),
    ],
};

impl Names {
    /// The bit called `name`; `-` is as good as `_`.
    pub fn bit(&self, name: &str) -> Result<u64, Error> {
        let wanted = name.to_ascii_lowercase().replace('-', "_");
        self.bits
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|&(_, bit)| bit)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "{name}: no such {}; there are {}",
                    self.what,
                    self.all()
                ))
            })
    }

    /// The bits called by a comma-separated list of names.
    pub fn bits(&self, names: &str) -> Result<u64, Error> {
        names
            .split(',')
            .map(str::trim)
            .try_fold(0, |bits, name| Ok(bits | self.bit(name)?))
    }

    /// The names of the bits that are on, lowest first; `bit N` where there is no name.
    pub fn words(&self, bits: u64) -> Vec<String> {
        (0..u64::BITS)
            .filter(|n| bits & (1 << n) != 0)
            .map(|n| {
                let name = self.bits.iter().find(|(_, bit)| *bit == 1 << n);
                name.map_or_else(|| format!("bit {n}"), |(name, _)| (*name).to_owned())
            })
            .collect()
    }

    /// All names, for messages.
    pub fn all(&self) -> String {
        let names: Vec<_> = self.bits.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// Bits to be switched on and off: context flags, capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagChange {
    /// Those to switch on.
    pub set: u64,
    /// Those to switch off.
    pub clear: u64,
}

impl FlagChange {
    /// Both changes, the later one winning.
    pub fn and(self, later: Self) -> Self {
        Self {
            set: (self.set & !later.clear) | later.set,
            clear: (self.clear & !later.set) | later.clear,
        }
    }

    /// The bits that change at all.
    pub fn mask(self) -> u64 {
        self.set | self.clear
    }

    /// A comma-separated list of names, whose bits `bit` knows: `x` and `+x` switch on, `-x`, `~x`
    /// and `!x` off.
    pub fn parse(list: &str, bit: impl Fn(&str) -> Result<u64, Error>) -> Result<Self, Error> {
        list.split(',')
            .map(str::trim)
            .try_fold(Self::default(), |all, item| {
                let (off, name) = match item.as_bytes().first() {
                    Some(b'-' | b'~' | b'!') => (true, &item[1..]),
                    Some(b'+') => (false, &item[1..]),
                    _ => (false, item),
                };
                let bit = bit(name)?;
                Ok(all.and(match off {
                    true => Self { set: 0, clear: bit },
                    false => Self { set: bit, clear: 0 },
                }))
            })
    }
}

impl FromStr for FlagChange {
    type Err = Error;

    /// Context flags, see [`FlagChange::parse`].
    fn from_str(list: &str) -> Result<Self, Error> {
        Self::parse(list, |name| CFLAGS.bit(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        assert_eq!(CFLAGS.bit("sched-hard").unwrap(), 1 << 8);
        assert_eq!(CFLAGS.words(1 << 8 | 1 << 38), ["sched_hard", "persistent"]);
        assert_eq!(CFLAGS.words(1 << 63), ["bit 63"]);
        assert_eq!(IATTRS.bits("iunlink, immutable").unwrap(), 0x60000);
        assert!(
            CFLAGS
                .bit("nonsense")
                .unwrap_err()
                .to_string()
                .contains("sched_hard")
        );
    }

    #[test]
    fn later_changes_win() {
        let change: FlagChange = "persistent,+sched_hard,-persistent".parse().unwrap();
        assert_eq!(change.set, abi::VXF_SCHED_HARD);
        assert_eq!(change.clear, abi::VXF_PERSISTENT);
        assert_eq!(change.mask(), change.set | change.clear);
        for off in ["-persistent", "~persistent", "!persistent"] {
            let change: FlagChange = off.parse().unwrap();
            assert_eq!((change.set, change.clear), (0, abi::VXF_PERSISTENT));
        }
    }
}
