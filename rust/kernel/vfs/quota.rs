// SPDX-License-Identifier: GPL-2.0

//! What users and groups in a context have of a file system, and may have.
//!
//! C header: [`include/linux/vserver.h`](srctree/include/linux/vserver.h)

use super::Path;
use crate::{
    bindings,
    error::{to_result, Result},
};

/// How much somebody has of something, and may have. To set it, each may be `CDLIM64_KEEP`.
#[derive(Clone, Copy)]
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

/// A user or a group.
#[derive(Clone, Copy)]
pub struct Quota {
    /// `USRQUOTA` or `GRPQUOTA`.
    pub kind: u32,
    /// Its id in the initial user namespace; to set it, all bits are each that there is.
    pub id: u32,
    /// In bytes.
    pub space: Amount,
    /// How many.
    pub inodes: Amount,
}

/// All users, or all groups. To set it, each but the kind may be `CDLIM_KEEP`.
#[derive(Clone, Copy)]
pub struct QuotaInfo {
    /// `USRQUOTA` or `GRPQUOTA`.
    pub kind: u32,
    /// `CQUOTA_ENFORCED`, `CQUOTA_COUNTED`.
    pub flags: u32,
    /// For how many seconds one may have more space than the soft limit.
    pub space_grace: u32,
    /// For how many seconds one may have more inodes.
    pub inodes_grace: u32,
}

impl From<Amount> for bindings::vserver_quota_amount {
    fn from(amount: Amount) -> Self {
        Self {
            used: amount.used,
            soft: amount.soft,
            hard: amount.hard,
            until: amount.until,
        }
    }
}

impl From<bindings::vserver_quota_amount> for Amount {
    fn from(amount: bindings::vserver_quota_amount) -> Self {
        Self {
            used: amount.used,
            soft: amount.soft,
            hard: amount.hard,
            until: amount.until,
        }
    }
}

impl Path {
    /// Begins to count what users and groups in the context `xid` have of the path's file system.
    ///
    /// # Errors
    ///
    /// `ESRCH`: what the context has is not counted. `EEXIST`: that is done already. `ENOMEM`.
    pub fn add_quota(&self, xid: u32) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_quota_begin(&self.0, xid) })
    }

    /// Ends that, and forgets their limits.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted.
    pub fn remove_quota(&self, xid: u32) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_quota_end(&self.0, xid) })
    }

    /// Who comes first, from an id on, of those who have something or a limit.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is nobody. `ESRCH`: it is not counted. `EINVAL`: there is no such kind.
    pub fn quota(&self, xid: u32, kind: u32, id: u32) -> Result<Quota> {
        let mut state = bindings::vserver_quota_state {
            type_: kind,
            id,
            ..Default::default()
        };
        // SAFETY: By the type invariant; `state` is where the answer goes.
        to_result(unsafe { bindings::vserver_quota_get(&self.0, xid, &mut state) })?;
        Ok(Quota {
            kind: state.type_,
            id: state.id,
            space: state.space.into(),
            inodes: state.inodes.into(),
        })
    }

    /// Changes what is counted of one of them, or of all, and the limits. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted. `EINVAL`: there is no such kind; too much; a limit of all.
    /// `ENOSPC`: too many have limits. `ENOMEM`.
    pub fn set_quota(&self, xid: u32, quota: &Quota) -> Result {
        let state = bindings::vserver_quota_state {
            type_: quota.kind,
            id: quota.id,
            space: quota.space.into(),
            inodes: quota.inodes.into(),
        };
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_quota_set(&self.0, xid, &state) })
    }

    /// What holds for all users, or groups.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted. `EINVAL`: there is no such kind.
    pub fn quota_info(&self, xid: u32, kind: u32) -> Result<QuotaInfo> {
        let mut info = bindings::vserver_quota_info {
            type_: kind,
            ..Default::default()
        };
        // SAFETY: By the type invariant; `info` is where the answer goes.
        to_result(unsafe { bindings::vserver_quota_get_info(&self.0, xid, &mut info) })?;
        Ok(QuotaInfo {
            kind: info.type_,
            flags: info.flags,
            space_grace: info.space_grace,
            inodes_grace: info.inodes_grace,
        })
    }

    /// Changes it.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted. `EINVAL`: there is no such kind, or no such flag.
    pub fn set_quota_info(&self, xid: u32, info: &QuotaInfo) -> Result {
        let info = bindings::vserver_quota_info {
            type_: info.kind,
            flags: info.flags,
            space_grace: info.space_grace,
            inodes_grace: info.inodes_grace,
        };
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_quota_set_info(&self.0, xid, &info) })
    }
}
