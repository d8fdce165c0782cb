// SPDX-License-Identifier: GPL-2.0
//! What the kernel says of a file, by whichever call.

use rustix::fs::{Stat, Statx, makedev};

use super::key;

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// When it was modified last, in seconds and nanoseconds,
    pub(super) modified: (i64, u64),
    /// and when anything of it was changed.
    changed: (i64, u64),
    /// How many names it has.
    pub(super) names: u64,
    /// What it takes on the disk, in bytes.
    pub(super) disk: u64,
}

impl Facts {
    /// By what a run knows a file again that an earlier one has read. Device numbers change when the
    /// machine boots; what is remembered lies in the pool, on the file system of the files themselves.
    pub(super) fn ident(&self) -> u64 {
        let time = |seconds: i64| u64::from_ne_bytes(seconds.to_ne_bytes());
        key::of_numbers(&[
            self.ino,
            self.size,
            time(self.modified.0),
            self.modified.1,
            time(self.changed.0),
            self.changed.1,
        ])
    }
}

impl From<&Stat> for Facts {
    fn from(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            names: stat.st_nlink,
            disk: crate::unify::disk_bytes(stat),
        }
    }
}

impl From<&Statx> for Facts {
    fn from(stat: &Statx) -> Self {
        Self {
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            size: stat.stx_size,
            mode: stat.stx_mode.into(),
            owner: (stat.stx_uid, stat.stx_gid),
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()),
            names: stat.stx_nlink.into(),
            disk: stat.stx_blocks * 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{AtFlags, Mode, StatxFlags, Timespec, Timestamps};
    use rustix::fs::{fchmod, fstat, futimens, statx};

    use super::*;

    #[test]
    fn files_are_known_again_after_a_boot() {
        let stat = fstat(tempfile::tempfile().unwrap()).unwrap();
        let (mut booted, mut changed) = (stat, stat);
        booted.st_dev += 1;
        changed.st_ctime_nsec += 1;
        let ident = |stat: &Stat| Facts::from(stat).ident();
        assert_eq!(ident(&stat), ident(&booted));
        assert_ne!(ident(&stat), ident(&changed));
    }

    /// What the scan saw by the one call is known again by the other.
    #[test]
    fn both_calls_say_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        file.sync_all().unwrap();
        fchmod(&file, Mode::from_raw_mode(0o4751)).unwrap();
        let time = Timespec {
            tv_sec: -5,
            tv_nsec: 999_999_999,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        futimens(&file, &times).unwrap();
        let facts = Facts::from(&fstat(&file).unwrap());
        let other = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS);
        assert_eq!(facts, Facts::from(&other.unwrap()));
        assert_eq!((facts.mode, facts.size), (0o104_751, 10_000));
        assert_eq!(facts.modified, (-5, 999_999_999));
    }
}
