// SPDX-License-Identifier: GPL-2.0
//! The Linux capabilities that processes of a guest have.

use std::str::FromStr;

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use vserver_abi as abi;

use crate::error::{Doing, Error, Result};

/// The context capabilities, by the capability that they stand for where the context has not got that.
const STANDS_FOR: [(u64, CapabilitySet); 4] = [
    (
        abi::VXC_SET_UTSNAME
            | abi::VXC_FS_SECURITY
            | abi::VXC_FS_TRUSTED
            | abi::VXC_TIOCSTI
            | abi::VXC_SECURE_MOUNT
            | abi::VXC_SECURE_REMOUNT
            | abi::VXC_QUOTA_CTL
            | abi::VXC_NAMESPACE,
        CapabilitySet::SYS_ADMIN,
    ),
    (
        abi::VXC_SET_RLIMIT | abi::VXC_OOM_ADJUST,
        CapabilitySet::SYS_RESOURCE,
    ),
    (abi::VXC_SYSLOG, CapabilitySet::SYSLOG),
    (abi::VXC_AUDIT_CONTROL, CapabilitySet::AUDIT_CONTROL),
];

/// A set of capabilities; no process of the context gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps(CapabilitySet);

impl Caps {
    /// All there are: nothing is taken away.
    pub fn all() -> Self {
        Self(CapabilitySet::from_bits_retain(u64::MAX))
    }

    /// What a distribution's services need and what does not lead out of a guest.
    pub fn guest() -> Self {
        Self(
            CapabilitySet::CHOWN
                | CapabilitySet::DAC_OVERRIDE
                | CapabilitySet::FOWNER
                | CapabilitySet::FSETID
                | CapabilitySet::KILL
                | CapabilitySet::SETGID
                | CapabilitySet::SETUID
                | CapabilitySet::SETPCAP
                | CapabilitySet::SETFCAP
                | CapabilitySet::NET_BIND_SERVICE
                | CapabilitySet::IPC_OWNER
                | CapabilitySet::SYS_CHROOT
                | CapabilitySet::SYS_PTRACE
                | CapabilitySet::SYS_BOOT
                | CapabilitySet::LEASE,
        )
    }

    /// What a context's processes have if nobody says otherwise.
    pub fn usual(guest: bool) -> Self {
        if guest { Self::guest() } else { Self::all() }
    }

    /// The set with these bits, as `/proc/<pid>/status` prints them.
    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let bits = u64::from_str_radix(hex, 16).ok()?;
        Some(Self(CapabilitySet::from_bits_retain(bits)))
    }

    /// The set, bit by number.
    pub fn bits(self) -> u64 {
        self.0.bits()
    }

    /// The same with what the credentials of processes must have for these context capabilities to give
    /// them something. The context bounds that: it is no more than they are for.
    pub(super) fn with(self, ccaps: u64) -> Self {
        let wanted = STANDS_FOR.iter().filter(|(these, _)| these & ccaps != 0);
        Self(wanted.fold(self.0, |all, (_, cap)| all | *cap))
    }

    /// Takes all other capabilities from this process, for good.
    pub(super) fn apply(self) -> Result<()> {
        let what = || "drop capabilities".to_owned();
        let all = CapabilitySet::all();
        if self.0.contains(all) {
            return Ok(());
        }
        for cap in all.difference(self.0).iter() {
            match remove_capability_from_bounding_set(cap) {
                // A kernel older than the capability.
                Err(rustix::io::Errno::INVAL) => {}
                done => done.doing(what)?,
            }
        }
        let kept = self.0 & all;
        clear_ambient_capability_set().doing(what)?;
        let has = rustix::thread::capabilities(None).doing(what)?;
        let sets = CapabilitySets {
            effective: has.effective & kept,
            permitted: has.permitted & kept,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).doing(what)
    }
}

impl FromStr for Caps {
    type Err = Error;

    /// `all`, `none`, a list of names, or changes of a guest's usual set: `+net_raw,-lease`.
    fn from_str(list: &str) -> Result<Self> {
        match list {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self(CapabilitySet::empty())),
            _ => {}
        }
        let mut set = match list.starts_with(['+', '-']) {
            true => Self::guest().0,
            false => CapabilitySet::empty(),
        };
        for item in list.split(',') {
            let name = item.trim_start_matches(['+', '-']).to_ascii_uppercase();
            let name = name.strip_prefix("CAP_").unwrap_or(&name);
            let cap = CapabilitySet::from_name(name).ok_or_else(|| {
                Error::Invalid(format!(
                    "{item}: no such capability; they are named as in capabilities(7): net_raw, \
                     sys_nice, ...; all and none are sets"
                ))
            })?;
            set.set(cap, !item.starts_with('-'));
        }
        Ok(Self(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_by_name() {
        let caps: Caps = "chown,CAP_KILL".parse().unwrap();
        assert_eq!(caps.0, CapabilitySet::CHOWN | CapabilitySet::KILL);
        let caps: Caps = "+net_raw,-lease".parse().unwrap();
        assert!(
            caps.0
                .contains(CapabilitySet::NET_RAW | CapabilitySet::CHOWN)
        );
        assert!(!caps.0.contains(CapabilitySet::LEASE));
        assert!("fly".parse::<Caps>().is_err());
    }

    #[test]
    fn who_is_given_a_power_has_what_it_wants() {
        let guest = Caps::guest();
        assert_eq!(guest.with(0), guest);
        let with = |ccaps| guest.with(ccaps).0.difference(guest.0);
        assert_eq!(with(abi::VXC_QUOTA_CTL), CapabilitySet::SYS_ADMIN);
        assert_eq!(with(abi::VXC_OOM_ADJUST), CapabilitySet::SYS_RESOURCE);
        let both = abi::VXC_SYSLOG | abi::VXC_AUDIT_CONTROL;
        let caps = CapabilitySet::SYSLOG | CapabilitySet::AUDIT_CONTROL;
        assert_eq!(with(both), caps);
    }

    #[test]
    fn a_guest_cannot_do_what_breaks_isolation() {
        let danger = CapabilitySet::SYS_ADMIN
            | CapabilitySet::LINUX_IMMUTABLE
            | CapabilitySet::SYS_MODULE
            | CapabilitySet::SYS_RAWIO
            | CapabilitySet::MKNOD
            | CapabilitySet::DAC_READ_SEARCH;
        assert!((Caps::guest().0 & danger).is_empty());
    }
}
