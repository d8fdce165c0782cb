// SPDX-License-Identifier: GPL-2.0
//! What users and groups in a context have of a file system, and may have.

use rustix::path::Arg;

use crate::dlimit::with_base;
use crate::header::{
    CDLIM_KEEP, CDLIM64_KEEP, VCMD_add_quota, VCMD_get_quota, VCMD_get_quota_info, VCMD_rem_quota,
    VCMD_set_quota, VCMD_set_quota_info,
};
use crate::structs::{QuotaData, QuotaInfoData};
use crate::syscall::{Result, call_with};

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A user.
    User(u32),
    /// A group.
    Group(u32),
}

impl Owner {
    /// Each user that there is.
    pub const USERS: Self = Self::User(u32::MAX);
    /// Each group.
    pub const GROUPS: Self = Self::Group(u32::MAX);

    /// `USRQUOTA` or `GRPQUOTA`, and the id.
    const fn parts(self) -> (u32, u32) {
        match self {
            Self::User(id) => (0, id),
            Self::Group(id) => (1, id),
        }
    }

    /// The same kind with another id.
    const fn with_id(self, id: u32) -> Self {
        match self {
            Self::User(_) => Self::User(id),
            Self::Group(_) => Self::Group(id),
        }
    }
}

/// How much an owner has of something, and may have. To set it, each may be `CDLIM64_KEEP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes, or inodes.
    pub used: u64,
    /// More than that only for a time; 0 is no limit.
    pub soft: u64,
    /// The most; 0 is no limit.
    pub hard: u64,
    /// When that time is over, in seconds since 1970; 0 if it has not begun.
    pub until: u64,
}

impl Amount {
    /// To set it changes nothing.
    pub const KEEP: Self = Self {
        used: CDLIM64_KEEP,
        soft: CDLIM64_KEEP,
        hard: CDLIM64_KEEP,
        until: CDLIM64_KEEP,
    };

    /// To set it changes only what is used.
    pub const fn used(used: u64) -> Self {
        Self { used, ..Self::KEEP }
    }
}

/// What an owner has, and may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// In bytes.
    pub space: Amount,
    /// How many.
    pub inodes: Amount,
}

impl Quota {
    /// To set it changes only what is used.
    pub const fn used(bytes: u64, inodes: u64) -> Self {
        Self {
            space: Amount::used(bytes),
            inodes: Amount::used(inodes),
        }
    }
}

/// What holds for all owners of a kind. To set it, each may be `CDLIM_KEEP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaInfo {
    /// `CQUOTA_ENFORCED`, `CQUOTA_COUNTED`.
    pub flags: u32,
    /// For how many seconds one may have more space than the soft limit.
    pub space_grace: u32,
    /// For how many seconds one may have more inodes.
    pub inodes_grace: u32,
}

impl QuotaInfo {
    /// To set it changes nothing.
    pub const KEEP: Self = Self {
        flags: CDLIM_KEEP,
        space_grace: CDLIM_KEEP,
        inodes_grace: CDLIM_KEEP,
    };
}

/// Begins to count what users and groups in context `xid` have of the file system of `path`, from
/// nothing; what the context has is counted already.
pub fn add_quota(xid: u32, path: impl Arg) -> Result<()> {
    with_base(VCMD_add_quota, xid, path)
}

/// Ends that, and forgets their limits.
pub fn rem_quota(xid: u32, path: impl Arg) -> Result<()> {
    with_base(VCMD_rem_quota, xid, path)
}

/// Changes what one of them has, or may have; of all, [`Owner::USERS`] or [`Owner::GROUPS`], only
/// what is used.
pub fn set_quota(xid: u32, path: impl Arg, owner: Owner, quota: &Quota) -> Result<()> {
    with_quota(VCMD_set_quota, xid, path, owner, quota).map(drop)
}

/// The first from an owner on who has something or a limit. `ENOENT`: there is none.
pub fn get_quota(xid: u32, path: impl Arg, from: Owner) -> Result<(Owner, Quota)> {
    with_quota(VCMD_get_quota, xid, path, from, &Quota::default())
}

/// Changes what holds for all owners that are of the kind of one.
pub fn set_quota_info(xid: u32, path: impl Arg, kind: Owner, info: &QuotaInfo) -> Result<()> {
    with_info(VCMD_set_quota_info, xid, path, kind, info).map(drop)
}

/// What holds for all owners that are of the kind of one.
pub fn get_quota_info(xid: u32, path: impl Arg, kind: Owner) -> Result<QuotaInfo> {
    with_info(VCMD_get_quota_info, xid, path, kind, &QuotaInfo::default())
}

fn with_quota(
    command: u32,
    xid: u32,
    path: impl Arg,
    owner: Owner,
    quota: &Quota,
) -> Result<(Owner, Quota)> {
    let (kind, id) = owner.parts();
    path.into_with_c_str(|path| {
        let mut data = QuotaData {
            name: path.as_ptr(),
            kind,
            id,
            space_used: quota.space.used,
            space_soft: quota.space.soft,
            space_hard: quota.space.hard,
            space_until: quota.space.until,
            inodes_used: quota.inodes.used,
            inodes_soft: quota.inodes.soft,
            inodes_hard: quota.inodes.hard,
            inodes_until: quota.inodes.until,
        };
        call_with(command, xid, &mut data)?;
        let space = Amount {
            used: data.space_used,
            soft: data.space_soft,
            hard: data.space_hard,
            until: data.space_until,
        };
        let inodes = Amount {
            used: data.inodes_used,
            soft: data.inodes_soft,
            hard: data.inodes_hard,
            until: data.inodes_until,
        };
        Ok((owner.with_id(data.id), Quota { space, inodes }))
    })
}

fn with_info(
    command: u32,
    xid: u32,
    path: impl Arg,
    kind: Owner,
    info: &QuotaInfo,
) -> Result<QuotaInfo> {
    path.into_with_c_str(|path| {
        let mut data = QuotaInfoData {
            name: path.as_ptr(),
            kind: kind.parts().0,
            flags: info.flags,
            space_grace: info.space_grace,
            inodes_grace: info.inodes_grace,
        };
        call_with(command, xid, &mut data)?;
        Ok(QuotaInfo {
            flags: data.flags,
            space_grace: data.space_grace,
            inodes_grace: data.inodes_grace,
        })
    })
}
