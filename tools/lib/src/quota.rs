// SPDX-License-Identifier: GPL-2.0
//! Quotas: what each user and group of a context has of a file system, and may have.
//!
//! The kernel has them as long as the file system is mounted. What is kept in a file is what a guest
//! is to find again afterwards: limits, times, and whether they hold; what is used is added up anew.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use vserver_abi::{self as abi, Owner};

use crate::error::{Doing, Result, Vserver};

pub use kept::{Kept, Saved, of_context, save};
pub(crate) use kept::{forget, load, save_locked};

/// What users and groups of a context have and may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quotas {
    /// What there was when it began has been added up: else a scan was interrupted, and the next one
    /// begins anew.
    pub counted: bool,
    /// The users.
    pub users: Kind,
    /// The groups.
    pub groups: Kind,
}

/// Of all users, or of all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Their limits hold.
    pub enforced: bool,
    /// How long a soft limit of space may be exceeded, seconds.
    pub bytes_grace_sec: u32,
    /// The same of inodes.
    pub inodes_grace_sec: u32,
    /// Each who has something, or a limit.
    pub owners: Vec<Has>,
}

/// What one of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Has {
    /// The id.
    pub id: u32,
    /// Space.
    pub bytes: Amount,
    /// Inodes.
    pub inodes: Amount,
}

/// How much of a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// What there is.
    pub used: u64,
    /// What there may be.
    #[serde(flatten)]
    pub limit: Limit,
}

/// How much of a thing there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What may be exceeded for a time; 0: no limit.
    pub soft: u64,
    /// The most; 0: no limit.
    pub hard: u64,
    /// When the time above the soft limit ends, seconds since 1970; 0: it is not exceeded.
    pub until: u64,
}

/// What belongs to an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Space.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// What a scan finds of each user and group.
pub type Owners = BTreeMap<Owner, Sum>;

/// An owner of whom something else is counted than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `user` or `group`.
    pub kind: &'static str,
    /// The id.
    pub id: u32,
    /// What there is.
    pub found: Sum,
    /// What is counted.
    pub counted: Sum,
    #[serde(skip)]
    owner: Owner,
}

/// What is counted for the users and groups of a context on the file system of `path`; `None` if
/// nothing is.
pub fn show(xid: u32, path: &Path) -> Result<Option<Quotas>> {
    let Some((users, groups)) = infos(xid, path)? else {
        return Ok(None);
    };
    Ok(Some(Quotas {
        counted: whole(&users, &groups),
        users: kind(xid, path, Owner::User, &users)?,
        groups: kind(xid, path, Owner::Group, &groups)?,
    }))
}

/// Whether it is counted what users and groups have, and all that there was before is added up.
pub(crate) fn is_counted(xid: u32, path: &Path) -> Result<Option<bool>> {
    Ok(infos(xid, path)?.map(|(users, groups)| whole(&users, &groups)))
}

fn whole(users: &abi::QuotaInfo, groups: &abi::QuotaInfo) -> bool {
    users.flags & groups.flags & abi::CQUOTA_COUNTED != 0
}

/// Begins to count, from nothing.
pub(crate) fn begin(xid: u32, path: &Path) -> Result<()> {
    end(xid, path)?;
    called(abi::add_quota(xid, path), xid, path)
}

/// Ends it, if it has begun.
pub(crate) fn end(xid: u32, path: &Path) -> Result<()> {
    match abi::rem_quota(xid, path) {
        Err(Errno::SRCH) => Ok(()),
        done => called(done, xid, path),
    }
}

/// Has counted what there is, and gives back what was kept. Only then it counts as whole.
pub(crate) fn say(xid: u32, path: &Path, owners: &Owners, kept: &Kept) -> Result<()> {
    let of_all = |more: u32| {
        let kinds = [(Owner::USERS, &kept.users), (Owner::GROUPS, &kept.groups)];
        kinds.into_iter().try_for_each(|(all, rules)| {
            let enforced = match rules.enforced {
                true => abi::CQUOTA_ENFORCED,
                false => 0,
            };
            let info = abi::QuotaInfo {
                flags: enforced | more,
                space_grace: rules.bytes_grace_sec.unwrap_or(abi::CDLIM_KEEP),
                inodes_grace: rules.inodes_grace_sec.unwrap_or(abi::CDLIM_KEEP),
            };
            called(abi::set_quota_info(xid, path, all, &info), xid, path)
        })
    };
    // A time that begins by what is said does so if limits hold, and lasts as long as it has to.
    of_all(0)?;
    for (owner, quota) in &first(owners, kept) {
        called(abi::set_quota(xid, path, *owner, quota), xid, path)?;
    }
    of_all(abi::CQUOTA_COUNTED)
}

/// What each is to have who has something, or had a limit.
fn first(owners: &Owners, kept: &Kept) -> BTreeMap<Owner, abi::Quota> {
    let (users, groups) = (&kept.users.limits, &kept.groups.limits);
    let users = users.iter().map(|(id, l)| (Owner::User(*id), l));
    let groups = groups.iter().map(|(id, l)| (Owner::Group(*id), l));
    let limits: BTreeMap<_, _> = users.chain(groups).collect();
    let all: BTreeSet<_> = owners.keys().chain(limits.keys()).copied().collect();
    let quota = |owner| {
        let sum = owners.get(&owner).copied().unwrap_or_default();
        let limits = limits.get(&owner).copied().copied().unwrap_or_default();
        let quota = abi::Quota {
            space: limits.bytes.with(sum.bytes),
            inodes: limits.inodes.with(sum.inodes),
        };
        (owner, quota)
    };
    all.into_iter().map(quota).collect()
}

/// Of whom something else is counted than was found.
pub fn differences(found: &Owners, counted: &Quotas) -> Vec<Difference> {
    let (users, groups) = (&counted.users.owners, &counted.groups.owners);
    let users = users.iter().map(|has| (Owner::User(has.id), has));
    let groups = groups.iter().map(|has| (Owner::Group(has.id), has));
    let counted: Owners = users
        .chain(groups)
        .map(|(owner, has)| {
            let (bytes, inodes) = (has.bytes.used, has.inodes.used);
            (owner, Sum { bytes, inodes })
        })
        .collect();
    let all: BTreeSet<_> = found.keys().chain(counted.keys()).copied().collect();
    let sum = |of: &Owners, owner| of.get(&owner).copied().unwrap_or_default();
    all.into_iter()
        .map(|owner| {
            let (kind, id) = match owner {
                Owner::User(id) => ("user", id),
                Owner::Group(id) => ("group", id),
            };
            Difference {
                kind,
                id,
                found: sum(found, owner),
                counted: sum(&counted, owner),
                owner,
            }
        })
        .filter(|d| d.found != d.counted)
        .collect()
}

/// Has counted for these what was found. Limits stay, and so do times that run.
pub(crate) fn mend(xid: u32, path: &Path, differences: &[Difference]) -> Result<()> {
    differences.iter().try_for_each(|d| {
        let quota = abi::Quota::used(d.found.bytes, d.found.inodes);
        called(abi::set_quota(xid, path, d.owner, &quota), xid, path)
    })
}

fn called<T>(done: Result<T, Errno>, xid: u32, path: &Path) -> Result<T> {
    Vserver(done).doing(|| format!("quotas of {xid} on {}", path.display()))
}

/// What holds for all users, and for all groups; nothing if nothing is counted.
fn infos(xid: u32, path: &Path) -> Result<Option<(abi::QuotaInfo, abi::QuotaInfo)>> {
    let info = |all| match abi::get_quota_info(xid, path, all) {
        Err(Errno::SRCH) => Ok(None),
        info => called(info, xid, path).map(Some),
    };
    Ok(info(Owner::USERS)?.zip(info(Owner::GROUPS)?))
}

fn kind(
    xid: u32,
    path: &Path,
    owner: impl Fn(u32) -> Owner,
    info: &abi::QuotaInfo,
) -> Result<Kind> {
    let (mut owners, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let (found, quota) = match abi::get_quota(xid, path, owner(from)) {
            Err(Errno::NOENT) => break,
            found => called(found, xid, path)?,
        };
        let (Owner::User(id) | Owner::Group(id)) = found;
        owners.push(Has::of(id, &quota));
        // One with all bits is no id.
        next = id.checked_add(1).filter(|next| *next < u32::MAX);
    }
    Ok(Kind {
        enforced: info.flags & abi::CQUOTA_ENFORCED != 0,
        bytes_grace_sec: info.space_grace,
        inodes_grace_sec: info.inodes_grace,
        owners,
    })
}

impl Has {
    fn of(id: u32, quota: &abi::Quota) -> Self {
        Self {
            id,
            bytes: Amount::of(quota.space),
            inodes: Amount::of(quota.inodes),
        }
    }
}

impl Amount {
    fn of(amount: abi::Amount) -> Self {
        let abi::Amount {
            used,
            soft,
            hard,
            until,
        } = amount;
        Self {
            used,
            limit: Limit { soft, hard, until },
        }
    }
}

impl Limit {
    /// The limit of who has so much. A time that did not run begins if it has to: after a crash more may
    /// be there than was known.
    fn with(self, used: u64) -> abi::Amount {
        abi::Amount {
            used,
            soft: self.soft,
            hard: self.hard,
            until: match self.until {
                0 => abi::CDLIM64_KEEP,
                until => until,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::kept::Limits;
    use super::*;

    const fn sum(bytes: u64, inodes: u64) -> Sum {
        Sum { bytes, inodes }
    }

    #[test]
    fn what_was_kept_comes_back_with_what_is_found() {
        let found = Owners::from([
            (Owner::User(0), sum(4096, 1)),
            (Owner::User(1000), sum(8192, 2)),
            (Owner::Group(1000), sum(8192, 2)),
        ]);
        let mut kept = Kept::default();
        let limits = |soft, hard, until| Limits {
            bytes: Limit { soft, hard, until },
            inodes: Limit::default(),
        };
        kept.users
            .limits
            .insert(1000, limits(10, 20, 1_800_000_000));
        // One who has nothing now.
        kept.users.limits.insert(1001, limits(0, 5, 0));
        let first = first(&found, &kept);
        let owners: Vec<_> = first.keys().copied().collect();
        assert_eq!(
            owners,
            [
                Owner::User(0),
                Owner::User(1000),
                Owner::User(1001),
                Owner::Group(1000)
            ]
        );
        let ann = first[&Owner::User(1000)];
        assert_eq!((ann.space.used, ann.inodes.used), (8192, 2));
        assert_eq!((ann.space.soft, ann.space.hard), (10, 20));
        assert_eq!(ann.space.until, 1_800_000_000);
        assert_eq!(ann.inodes.until, abi::CDLIM64_KEEP, "it begins if need be");
        let other = first[&Owner::User(1001)];
        assert_eq!((other.space.used, other.space.hard), (0, 5));
        assert_eq!(first[&Owner::Group(1000)].space.hard, 0);
    }

    #[test]
    fn each_owner_is_compared() {
        let has = |id, bytes, inodes| {
            let used = |used| abi::Amount {
                used,
                ..abi::Amount::default()
            };
            let quota = abi::Quota {
                space: used(bytes),
                inodes: used(inodes),
            };
            Has::of(id, &quota)
        };
        let mut counted = Quotas::default();
        counted.users.owners = vec![has(0, 4096, 1), has(1000, 4096, 2), has(1002, 0, 0)];
        counted.groups.owners = vec![has(7, 4096, 1)];
        let found = Owners::from([
            (Owner::User(0), sum(4096, 1)),
            (Owner::User(1000), sum(8192, 2)),
            (Owner::User(1001), sum(0, 1)),
        ]);
        let different = differences(&found, &counted);
        let ids: Vec<_> = different.iter().map(|d| (d.kind, d.id)).collect();
        assert_eq!(ids, [("user", 1000), ("user", 1001), ("group", 7)]);
        assert_eq!(different[0].found, sum(8192, 2));
        assert_eq!(different[0].counted, sum(4096, 2));
        assert_eq!(different[2].found, Sum::default());
    }
}
