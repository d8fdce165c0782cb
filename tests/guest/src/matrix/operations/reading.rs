// SPDX-License-Identifier: GPL-2.0
//! What reads, asks or watches: nobody gets a copy of it. What access(2) says is what open(2) then
//! does, which other lines of the matrix show.

use super::prelude::*;
use rustix::fs::{self as rfs, Access, AtFlags};

pub const TABLE: &[Operation] = &[
    op("open O_RDONLY and read", Same, |s| {
        let content = std::fs::read(s.a()).map_err(|e| sys::errno(&e))?;
        Ok(content.iter().map(|&byte| u64::from(byte)).sum())
    }),
    op("open O_PATH", Same, |s| done(s.handle())),
    op("stat", Same, |s| Ok(rfs::stat(s.a())?.st_size as u64)),
    op("statx", Same, |s| {
        let mask = rfs::StatxFlags::ALL;
        let stat = rfs::statx(CWD, s.a(), AtFlags::empty(), mask)?;
        Ok(stat.stx_size)
    }),
    op("readlink /proc/self/fd", Same, |s| {
        let file = s.reader()?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let target = std::fs::read_link(link).map_err(|e| sys::errno(&e))?;
        Ok(u64::from(target == s.a()))
    }),
    op("access R_OK|X_OK", Same, |s| {
        done(rfs::access(s.a(), Access::READ_OK | Access::EXEC_OK))
    }),
    op("access W_OK", Same, |s| {
        done(rfs::access(s.a(), Access::WRITE_OK))
    }),
    op("faccessat2 W_OK", Same, |s| {
        let at = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        done(rfs::accessat(s.directory()?, "a", Access::WRITE_OK, at))
    }),
    op("faccessat2 W_OK of O_PATH", Same, |s| {
        let args = [libc::W_OK as usize, libc::AT_EMPTY_PATH as usize, 0, 0];
        sys::call_at(libc::SYS_faccessat2, s.handle()?, c"", args)
    }),
    op("access W_OK on a read-only mount", Same, |s| {
        super::devices::mount_read_only(s)?;
        done(rfs::access(s.a(), Access::WRITE_OK))
    }),
    op("getxattr", Same, |s| {
        let mut value = [0; 64];
        Ok(rfs::getxattr(s.a(), "user.old", &mut value[..])? as u64)
    }),
    op("file_getattr", Same, |s| {
        let mut attr = sys::FileAttr::default();
        let args = [&raw mut attr as usize, size_of::<sys::FileAttr>(), 0, 0];
        sys::call_at(sys::FILE_GETATTR, s.directory()?, c"a", args)
    }),
    op("name_to_handle_at", Same, |s| done(sys::Handle::of(&s.a()))),
    op("fsync by a reader", Same, |s| done(rfs::fsync(s.reader()?))),
    op("fadvise", Same, |s| {
        let advice = rfs::Advice::DontNeed;
        done(rfs::fadvise(s.reader()?, 0, None, advice))
    }),
    op("flock", Same, |s| {
        let exclusive = rfs::FlockOperation::NonBlockingLockExclusive;
        done(rfs::flock(s.reader()?, exclusive))
    }),
    op("read lease", Same, |s| lease(s, libc::F_RDLCK)),
    op("inotify watch", Same, |s| {
        use rfs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let group = init(CreateFlags::empty())?;
        done(add_watch(group, s.a(), WatchFlags::ALL_EVENTS))
    }),
];

fn lease(s: &Site, kind: i32) -> Outcome {
    let file = s.reader()?;
    let args = [
        sys::fd(&file),
        libc::F_SETLEASE as usize,
        kind as usize,
        0,
        0,
        0,
    ];
    sys::call(libc::SYS_fcntl, args)
}
