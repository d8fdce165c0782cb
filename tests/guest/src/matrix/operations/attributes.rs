// SPDX-License-Identifier: GPL-2.0
//! Mode, owner and times.

use super::prelude::*;
use rustix::fs::Uid;
use rustix::fs::{self as rfs, AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

pub const TABLE: &[Operation] = &[
    op("chmod", Copy, |s| done(rfs::chmod(s.a(), MODE))),
    op("chmod to the same", Copy, |s| {
        done(rfs::chmod(s.a(), Mode::from_raw_mode(0o6775)))
    }),
    op("fchmod", Copy, |s| done(rfs::fchmod(s.reader()?, MODE))),
    op("fchmod of O_PATH", Same, |s| {
        done(rfs::fchmod(s.handle()?, MODE))
    }),
    op("fchmodat", Copy, |s| {
        let at = AtFlags::empty();
        done(rfs::chmodat(s.directory()?, "a", MODE, at))
    }),
    op("fchmodat2 NOFOLLOW", Copy, |s| {
        sys::fchmodat2(s.directory()?, c"a", libc::AT_SYMLINK_NOFOLLOW)
    }),
    op("fchmodat2 EMPTY_PATH of O_PATH", Copy, |s| {
        sys::fchmodat2(s.handle()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("fchmodat2 EMPTY_PATH of a reader", Copy, |s| {
        sys::fchmodat2(s.reader()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("chown", Copy, |s| chown(s, libc::SYS_chown, 0, 0)),
    op("chown to a stranger", Copy, |s| {
        chown(s, libc::SYS_chown, 77, 78)
    }),
    // This drops set-user-id and capabilities, but for whom it may.
    op("chown to nobody", Copy, |s| {
        chown(s, libc::SYS_chown, u32::MAX, u32::MAX)
    }),
    op("lchown", Copy, |s| chown(s, libc::SYS_lchown, 0, u32::MAX)),
    op("chgrp", Copy, |s| chown(s, libc::SYS_chown, u32::MAX, 0)),
    op("fchown", Copy, |s| {
        done(rfs::fchown(s.reader()?, Some(Uid::ROOT), Some(Gid::ROOT)))
    }),
    op("fchownat", Copy, |s| {
        let at = AtFlags::SYMLINK_NOFOLLOW;
        let dir = s.directory()?;
        done(rfs::chownat(dir, "a", Some(Uid::ROOT), None, at))
    }),
    op("fchownat EMPTY_PATH of O_PATH", Copy, |s| {
        let at = AtFlags::EMPTY_PATH;
        let file = s.handle()?;
        done(rfs::chownat(file, "", None, Some(Gid::ROOT), at))
    }),
    op("utimensat", Copy, |s| {
        done(rfs::utimensat(CWD, s.a(), &THEN, AtFlags::empty()))
    }),
    op("utimensat to now", Copy, |s| times(s, NOW, NOW)),
    op("utimensat, no times given", Copy, |s| {
        sys::call_at(libc::SYS_utimensat, CWD, &sys::c_path(&s.a())?, [0; 4])
    }),
    op("utimensat OMIT access", Copy, |s| times(s, OMIT, FIXED)),
    op("utimensat OMIT modification", Copy, |s| {
        times(s, FIXED, OMIT)
    }),
    op("utimensat OMIT both", Same, |s| times(s, OMIT, OMIT)),
    op("utimensat nonsense", Same, |s| {
        let nonsense = Timespec {
            tv_sec: 1,
            tv_nsec: -1,
        };
        times(s, nonsense, nonsense)
    }),
    op("utimensat EMPTY_PATH of O_PATH", Copy, |s| {
        done(rfs::utimensat(s.handle()?, "", &THEN, AtFlags::EMPTY_PATH))
    }),
    op("futimens", Copy, |s| {
        done(rfs::futimens(s.reader()?, &THEN))
    }),
    op("futimens of O_PATH", Same, |s| {
        done(rfs::futimens(s.handle()?, &THEN))
    }),
    op("utime", Copy, |s| {
        let times = [77i64, 78];
        let address = times.as_ptr() as usize;
        sys::call_path(libc::SYS_utime, &s.a(), [address, 0, 0])
    }),
    op("utimes", Copy, |s| {
        let times = [77i64, 5, 78, 6];
        let address = times.as_ptr() as usize;
        sys::call_path(libc::SYS_utimes, &s.a(), [address, 0, 0])
    }),
    op("futimesat", Copy, |s| {
        let times = [77i64, 5, 78, 6];
        let args = [times.as_ptr() as usize, 0, 0, 0];
        sys::call_at(libc::SYS_futimesat, s.directory()?, c"a", args)
    }),
];

const MODE: Mode = Mode::from_raw_mode(0o4700);

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: UTIME_NOW,
};
const OMIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: UTIME_OMIT,
};
const FIXED: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 5,
};

fn chown(s: &Site, call: libc::c_long, user: u32, group: u32) -> Outcome {
    sys::call_path(call, &s.a(), [user as usize, group as usize, 0])
}

fn times(s: &Site, last_access: Timespec, last_modification: Timespec) -> Outcome {
    let times = Timestamps {
        last_access,
        last_modification,
    };
    done(rfs::utimensat(CWD, s.a(), &times, AtFlags::empty()))
}
