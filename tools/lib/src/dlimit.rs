// SPDX-License-Identifier: GPL-2.0
//! Disk limits: how much of a file system the files of a context may take.
//!
//! The kernel counts from the moment on when a limit is added. What a context has by then is added up
//! here; so is what each user and group inside has, if that is to be counted (see [`quota`]). An unmount
//! writes down what the context has for the next mount; after a crash it is added up again.

mod scan;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;

use crate::error::{Doing, Error, Result, Vserver};
use crate::limits::Most;
use crate::mount_table::mounts;
use crate::quota::{self, Difference, Kept, Quotas};

use scan::{Sums, scan};

/// What a context has of a file system, and may have.
#[derive(Clone, Debug, Serialize)]
pub struct Disk {
    /// The context.
    pub xid: u32,
    /// Space that its files take, KiB.
    pub space_used: u64,
    /// The most that they may take, KiB.
    pub space_total: Option<u64>,
    /// How many inodes it has.
    pub inodes_used: u64,
    /// The most that it may have.
    pub inodes_total: Option<u64>,
    /// Percent of both that are root's alone.
    pub reserved: u32,
    /// What is known of what is used.
    pub usage: Usage,
    /// What its users and groups have, and may have; nothing if that is not counted.
    pub quota: Option<Quotas>,
}

/// Where it comes from what a context is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// It was added up since the file system was mounted.
    Counted,
    /// It was added up before, and written down when the file system was unmounted.
    Kept,
    /// Nobody has added up what there was when the limit was added.
    Unknown,
}

impl Usage {
    const fn is_known(self) -> bool {
        !matches!(self, Self::Unknown)
    }

    const fn of(flags: u32) -> Self {
        if flags & abi::CDLIM_COUNTED == 0 {
            Self::Unknown
        } else if flags & abi::CDLIM_KEPT == 0 {
            Self::Counted
        } else {
            Self::Kept
        }
    }
}

/// The most space, in KiB: `100`, `100K`, `3M`, `10G`, `1T`, `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space(pub Most);

impl FromStr for Space {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let units = [('K', 0), ('M', 10), ('G', 20), ('T', 30)];
        let (number, shift) = units
            .iter()
            .find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
            .unwrap_or((text, 0));
        let most = match number.parse() {
            Ok(Most::Unlimited) if number == text => Some(Most::Unlimited),
            Ok(Most::Number(n)) => n.checked_mul(1 << shift).map(Most::Number),
            _ => None,
        };
        most.map(Self).ok_or_else(|| {
            Error::Invalid(format!(
                "{text}: not a size; say KiB, or a number with M, G or T behind, or unlimited"
            ))
        })
    }
}

/// A share in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

impl FromStr for Percent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let percent = text.parse().ok().filter(|n| *n <= 100);
        percent
            .map(Self)
            .ok_or_else(|| Error::Invalid(format!("{text}: not in 0 to 100")))
    }
}

/// What to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The most space.
    pub space: Option<Space>,
    /// The most inodes.
    pub inodes: Option<Most>,
    /// What is root's alone.
    pub reserved: Option<Percent>,
    /// Whether what users and groups inside have is counted, so that they can have quotas.
    pub quota: Option<bool>,
}

impl Change {
    /// All of it for a context that is new: what is not limited is unlimited.
    fn of_new(self) -> Self {
        Self {
            space: self.space.or(Some(Space(Most::Unlimited))),
            inodes: self.inodes.or(Some(Most::Unlimited)),
            reserved: self.reserved.or(Some(Percent(0))),
            quota: self.quota.or(Some(false)),
        }
    }
}

/// What a scan finds of a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// KiB, rounded up.
    pub space: u64,
    /// Inodes.
    pub inodes: u64,
}

fn called<T>(done: Result<T, Errno>, xid: u32, path: &Path) -> Result<T> {
    match done {
        // It need not exist, so it is not the context that is missing.
        Err(Errno::SRCH) => Err(Error::Invalid(format!(
            "{}: context {xid} has no disk limit there",
            path.display()
        ))),
        done => Vserver(done).doing(|| format!("disk limit of {xid} on {}", path.display())),
    }
}

/// What is counted for a context on the file system of `path`.
pub fn show(xid: u32, path: &Path) -> Result<Disk> {
    let limit = called(abi::get_dlimit(xid, path), xid, path)?;
    let finite = |n| (n != abi::CDLIM64_INFINITY).then_some(n);
    Ok(Disk {
        xid,
        space_used: limit.space_used,
        space_total: finite(limit.space_total),
        inodes_used: limit.inodes_used,
        inodes_total: finite(limit.inodes_total),
        reserved: limit.reserved,
        usage: Usage::of(limit.flags),
        quota: quota::show(xid, path)?,
    })
}

/// Changes a limit on the file system of `path`; where there is none, adds it. What the context, or
/// its users, have already is added up if that is not known, telling how many files were looked at.
/// Nobody may change files of the context meanwhile.
///
/// If quotas of users begin, their limits are those that were `kept`.
pub fn set(
    xid: u32,
    path: &Path,
    change: Change,
    kept: impl FnOnce() -> Result<Kept>,
    looked_at: &mut dyn FnMut(u64),
) -> Result<()> {
    let setting = Setting::begin(xid, path, change, kept)?;
    match setting.is_known() {
        true => setting.finish(None),
        false => set_all(path, &[setting], looked_at)?.into_iter().collect(),
    }
}

/// A limit that is being set: the kernel counts what changes from now on, and waits to be told what
/// there was if that is not known.
pub(crate) struct Setting {
    xid: u32,
    path: PathBuf,
    limit: abi::Dlimit,
    /// What was known before.
    usage: Option<Usage>,
    /// The limits of users whose quotas begin.
    kept: Option<Kept>,
}

impl Setting {
    /// Begins as [`set`] does.
    fn begin(
        xid: u32,
        path: &Path,
        change: Change,
        kept: impl FnOnce() -> Result<Kept>,
    ) -> Result<Self> {
        // What can't be read keeps anything from being changed.
        let kept = match quotas_begin(xid, path, change)? {
            true => Some(kept()?),
            false => None,
        };
        let limit = abi::Dlimit {
            space_total: change.space.map_or(abi::CDLIM64_KEEP, |s| s.0.to_abi()),
            inodes_total: change.inodes.map_or(abi::CDLIM64_KEEP, Most::to_abi),
            reserved: change.reserved.map_or(abi::CDLIM_KEEP, |p| p.0),
            ..abi::Dlimit::KEEP
        };
        let begun = Self {
            xid,
            path: path.to_owned(),
            limit,
            usage: usage(xid, path)?,
            kept,
        };
        if begun.usage.is_none() {
            called(abi::add_dlimit(xid, path), xid, path)?;
        }
        let quotas = match (&begun.kept, change.quota) {
            (Some(_), _) => quota::begin(xid, path),
            (None, Some(false)) => quota::end(xid, path),
            (None, _) => Ok(()),
        };
        quotas.inspect_err(|_| begun.undo())?;
        Ok(begun)
    }

    /// The same for a context that begins anew: what is not limited is unlimited.
    pub(crate) fn anew(
        xid: u32,
        path: &Path,
        change: Change,
        kept: impl FnOnce() -> Result<Kept>,
    ) -> Result<Self> {
        Self::begin(xid, path, change.of_new(), kept)
    }

    /// Nothing has to be added up.
    fn is_known(&self) -> bool {
        self.usage.is_some_and(Usage::is_known) && self.kept.is_none()
    }

    /// Half of it is worse than nothing. What is reported is why it is not counted.
    fn undo(&self) {
        if self.usage.is_none() {
            let _ = abi::rem_dlimit(self.xid, &self.path);
        } else if self.kept.is_some() {
            let _ = abi::rem_quota(self.xid, &self.path);
        }
    }

    /// Says what there was, if that was not known, and what there may be.
    fn finish(&self, sums: Option<&Sums>) -> Result<()> {
        let (xid, path, mut limit) = (self.xid, &self.path, self.limit);
        if let Some(sums) = sums {
            if !self.usage.is_some_and(Usage::is_known) {
                let found = sums.found();
                limit.space_used = found.space;
                limit.inodes_used = found.inodes;
            }
            if let Some(kept) = &self.kept {
                quota::say(xid, path, &sums.owners, kept)?;
            }
        }
        called(abi::set_dlimit(xid, path, &limit), xid, path)
    }
}

/// What is known of what a context has; nothing if it has no limit.
fn usage(xid: u32, path: &Path) -> Result<Option<Usage>> {
    match abi::get_dlimit(xid, path) {
        Err(Errno::SRCH) => Ok(None),
        there => called(there, xid, path).map(|limit| Some(Usage::of(limit.flags))),
    }
}

/// Whether users begin to have quotas by a change.
fn quotas_begin(xid: u32, path: &Path, change: Change) -> Result<bool> {
    let counted = quota::is_counted(xid, path)?;
    Ok(matches!(
        (change.quota, counted),
        (Some(true), None) | (Some(true) | None, Some(false))
    ))
}

/// Gives a context that begins anew what is configured for it: what is not limited is unlimited,
/// whatever limit was left on the file system of `path`. Else as [`set`].
pub(crate) fn begin(
    xid: u32,
    path: &Path,
    change: Option<Change>,
    kept: impl FnOnce() -> Result<Kept>,
    looked_at: &mut dyn FnMut(u64),
) -> Result<()> {
    // Where nothing is limited nothing need be counted.
    let change = match (change, abi::get_dlimit(xid, path)) {
        (None, Err(_)) => return Ok(()),
        (None, Ok(limit)) if !Usage::of(limit.flags).is_known() => return forget(xid, path),
        (change, _) => change.unwrap_or_default(),
    };
    set(xid, path, change.of_new(), kept, looked_at)
}

/// Whether nothing has to be added up when a context begins anew.
pub(crate) fn is_known(xid: u32, path: &Path, change: Change) -> Result<bool> {
    let known = usage(xid, path)?.is_some_and(Usage::is_known);
    Ok(known && !quotas_begin(xid, path, change.of_new())?)
}

/// Sets limits on the file system of `path`, adding up what all these contexts have by one look at it,
/// and says of each what became of it. Where that fails, what was begun for it is undone.
pub(crate) fn set_all(
    path: &Path,
    settings: &[Setting],
    looked_at: &mut dyn FnMut(u64),
) -> Result<Vec<Result<()>>> {
    let xids: Vec<_> = settings.iter().map(|one| one.xid).collect();
    let sums = scan(&xids, path, looked_at);
    let sums = sums.inspect_err(|_| settings.iter().for_each(Setting::undo))?;
    let finish = |one: &Setting| {
        let done = one.finish(sums.get(&one.xid));
        done.inspect_err(|_| one.undo())
    };
    Ok(settings.iter().map(finish).collect())
}

/// A comparison of what is counted with what there is.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What there is.
    pub found: Found,
    /// What is counted.
    pub counted: Disk,
    /// The users and groups of whom something else is counted.
    pub owners: Vec<Difference>,
    /// Nothing else is counted than there is.
    pub same: bool,
}

/// Adds up what there is, telling how many files were looked at, and compares.
pub fn check(xid: u32, path: &Path, looked_at: &mut dyn FnMut(u64)) -> Result<Check> {
    let mut sums = scan(&[xid], path, looked_at)?;
    let sums = sums.remove(&xid).unwrap_or_default();
    let found = sums.found();
    let counted = show(xid, path)?;
    let quotas = counted.quota.as_ref();
    let owners = quotas.map_or_else(Vec::new, |quotas| quota::differences(&sums.owners, quotas));
    Ok(Check {
        found,
        same: counted.has(found) && owners.is_empty(),
        counted,
        owners,
    })
}

impl Disk {
    fn has(&self, found: Found) -> bool {
        (self.space_used, self.inodes_used) == (found.space, found.inodes)
    }
}

/// Has counted what was found, where it is something else.
pub fn mend(xid: u32, path: &Path, check: &Check) -> Result<()> {
    quota::mend(xid, path, &check.owners)?;
    if check.counted.has(check.found) && check.counted.usage != Usage::Unknown {
        return Ok(());
    }
    let limit = abi::Dlimit {
        space_used: check.found.space,
        inodes_used: check.found.inodes,
        ..abi::Dlimit::KEEP
    };
    called(abi::set_dlimit(xid, path, &limit), xid, path)
}

/// Forgets a limit.
pub fn remove(xid: u32, path: &Path) -> Result<()> {
    called(abi::rem_dlimit(xid, path), xid, path)
}

/// Forgets a limit, if there is one. Without the module there is none.
pub(crate) fn forget(xid: u32, path: &Path) -> Result<()> {
    match abi::rem_dlimit(xid, path) {
        Err(Errno::SRCH | Errno::NOSYS) => Ok(()),
        removed => called(removed, xid, path),
    }
}

/// Where all of the file system of `path` can be seen.
pub(crate) fn whole(path: &Path) -> Result<PathBuf> {
    let mount_of = |path: &Path| {
        let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)?;
        Ok::<u64, Errno>(stat.stx_mnt_id)
    };
    let mounts = mounts()?;
    let id = mount_of(path).map_err(|e| Error::file("look at", path, e))?;
    let device = mounts.iter().find(|m| m.id == id).map(|m| &m.device);
    let top = mounts
        .iter()
        .filter(|m| Some(&m.device) == device && m.root == Path::new("/"))
        // One that is mounted over does not lead there.
        .find(|m| mount_of(&m.point) == Ok(m.id));
    top.map(|m| m.point.clone()).ok_or_else(|| {
        Error::Invalid(format!(
            "{}: only a part of its file system is mounted, and files elsewhere count, too",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let kib = |text: &str| match text.parse::<Space>() {
            Ok(Space(Most::Number(n))) => Some(n),
            _ => None,
        };
        assert_eq!(kib("100"), Some(100));
        assert_eq!(kib("100K"), Some(100));
        assert_eq!(kib("3M"), Some(3 << 10));
        assert_eq!(kib("10G"), Some(10 << 20));
        assert_eq!(kib("1T"), Some(1 << 30));
        assert_eq!(
            "unlimited".parse::<Space>().unwrap(),
            Space(Most::Unlimited)
        );
        for bad in [
            "",
            "G",
            "1X",
            "-1",
            "99999999999999999T",
            "1.5G",
            "unlimitedG",
        ] {
            assert!(bad.parse::<Space>().is_err(), "{bad}");
        }
        assert_eq!("5".parse::<Percent>().unwrap(), Percent(5));
        assert!("101".parse::<Percent>().is_err());
    }

    #[test]
    fn what_is_used_is_known_or_not() {
        assert_eq!(Usage::of(0), Usage::Unknown);
        assert_eq!(Usage::of(abi::CDLIM_KEPT), Usage::Unknown);
        assert_eq!(Usage::of(abi::CDLIM_COUNTED), Usage::Counted);
        let both = abi::CDLIM_COUNTED | abi::CDLIM_KEPT;
        assert_eq!(Usage::of(both), Usage::Kept);
    }

    #[test]
    fn what_is_not_limited_is_unlimited() {
        let given = Change {
            inodes: Some(Most::Number(5)),
            ..Change::default()
        };
        let new = Change {
            space: Some(Space(Most::Unlimited)),
            inodes: Some(Most::Number(5)),
            reserved: Some(Percent(0)),
            quota: Some(false),
        };
        assert_eq!(given.of_new(), new);
    }

    #[test]
    fn a_file_leads_to_its_whole_file_system() {
        assert_eq!(
            whole(Path::new("/proc/self/status")).unwrap(),
            Path::new("/proc")
        );
        assert!(whole(Path::new("/nonexistent")).is_err());
    }
}
