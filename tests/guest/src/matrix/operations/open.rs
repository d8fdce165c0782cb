// SPDX-License-Identifier: GPL-2.0
//! Every way to open a file for writing.

use super::prelude::*;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};

pub const TABLE: &[Operation] = &[
    op("open O_WRONLY", Copy, |s| opened(s, libc::O_WRONLY)),
    op("open O_RDWR", Copy, |s| opened(s, libc::O_RDWR)),
    // For ioctl() alone, but it takes the right to write.
    op("open O_ACCMODE", Copy, |s| opened(s, libc::O_ACCMODE)),
    op("open O_APPEND", Copy, |s| {
        opened(s, libc::O_WRONLY | libc::O_APPEND)
    }),
    op("open O_WRONLY|O_TRUNC", Copy, |s| {
        opened(s, libc::O_WRONLY | libc::O_TRUNC)
    }),
    op("open O_RDONLY|O_TRUNC", Copy, |s| {
        opened(s, libc::O_RDONLY | libc::O_TRUNC)
    }),
    op("open O_CREAT", Copy, |s| {
        opened(s, libc::O_WRONLY | libc::O_CREAT)
    }),
    op("open O_CREAT|O_TRUNC", Copy, |s| {
        opened(s, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC)
    }),
    op("open O_CREAT|O_EXCL", Same, |s| {
        opened(s, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)
    }),
    op("open O_CREAT to read", Same, |s| {
        opened(s, libc::O_RDONLY | libc::O_CREAT)
    }),
    op("open O_NOFOLLOW", Copy, |s| {
        opened(s, libc::O_RDWR | libc::O_NOFOLLOW)
    }),
    op("open O_DIRECTORY", Same, |s| {
        opened(s, libc::O_RDWR | libc::O_DIRECTORY)
    }),
    op("open O_SYNC", Copy, |s| {
        opened(s, libc::O_WRONLY | libc::O_SYNC)
    }),
    op("open O_DIRECT", Copy, |s| {
        opened(s, libc::O_RDWR | libc::O_DIRECT)
    }),
    op("creat", Copy, |s| {
        sys::owned(sys::call_path(libc::SYS_creat, &s.a(), [0o644, 0, 0])?)?;
        DONE
    }),
    op("O_TMPFILE, linkat over it", Same, |s| {
        let file = site::open(&s.dir, libc::O_TMPFILE | libc::O_WRONLY)?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = rustix::fs::AtFlags::SYMLINK_FOLLOW;
        done(rustix::fs::linkat(CWD, link, CWD, s.a(), follow))
    }),
    op("open by a symlink", Copy, |s| {
        rustix::fs::symlink("a", s.path("l"))?;
        done(site::open(&s.path("l"), libc::O_WRONLY))
    }),
    op("openat", Copy, |s| {
        let mode = Mode::from_raw_mode(0);
        done(openat(s.directory()?, "a", OFlags::RDWR, mode))
    }),
    op("openat O_EMPTYPATH of O_PATH", Copy, |s| {
        let flags = libc::O_WRONLY | O_EMPTYPATH;
        let args = [flags as usize, 0, 0, 0];
        sys::owned(sys::call_at(libc::SYS_openat, s.handle()?, c"", args)?)?;
        DONE
    }),
    op("openat O_EMPTYPATH of a reader", Copy, |s| {
        let flags = libc::O_WRONLY | libc::O_TRUNC | O_EMPTYPATH;
        let args = [flags as usize, 0, 0, 0];
        sys::owned(sys::call_at(libc::SYS_openat, s.reader()?, c"", args)?)?;
        DONE
    }),
    op("openat2", Copy, |s| resolved(s, ResolveFlags::empty())),
    op("openat2 BENEATH", Copy, |s| {
        resolved(s, ResolveFlags::BENEATH)
    }),
    op("openat2 IN_ROOT", Copy, |s| {
        resolved(s, ResolveFlags::IN_ROOT)
    }),
    op("openat2 NO_XDEV", Copy, |s| {
        resolved(s, ResolveFlags::NO_XDEV)
    }),
    op("openat2 NO_SYMLINKS", Copy, |s| {
        resolved(s, ResolveFlags::NO_SYMLINKS)
    }),
    op("openat2 NO_MAGICLINKS", Copy, |s| {
        resolved(s, ResolveFlags::NO_MAGICLINKS)
    }),
    // Who asks for no waiting gets none, and no copy.
    op("openat2 CACHED", Refused(Errno::AGAIN), |s| {
        resolved(s, ResolveFlags::CACHED)
    }),
    op("openat2 CACHED, then without", Copy, |s| {
        match resolved(s, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => resolved(s, ResolveFlags::empty()),
            other => other,
        }
    }),
    op("/proc/self/fd of O_PATH", Copy, |s| {
        reopen(&s.handle()?, libc::O_WRONLY)
    }),
    op("/proc/self/fd of a reader", Copy, |s| {
        reopen(&s.reader()?, libc::O_WRONLY | libc::O_APPEND)
    }),
    op("/proc/self/fd O_TRUNC", Copy, |s| {
        reopen(&s.reader()?, libc::O_RDONLY | libc::O_TRUNC)
    }),
    op("/proc/self/map_files", MayCopy, |s| {
        let map = sys::Mapping::new(s.reader()?, libc::PROT_READ, libc::MAP_SHARED)?;
        let (start, end) = (map.address(), map.address() + 4096);
        let link = format!("/proc/self/map_files/{start:x}-{end:x}");
        done(site::open(link.as_ref(), libc::O_WRONLY))
    }),
];

/// Allows an empty path; not in libc yet.
const O_EMPTYPATH: i32 = 1 << 26;

fn opened(s: &Site, flags: i32) -> Outcome {
    done(s.open(flags))
}

fn resolved(s: &Site, resolve: ResolveFlags) -> Outcome {
    let (dir, mode) = (s.directory()?, Mode::empty());
    done(openat2(dir, "a", OFlags::WRONLY, mode, resolve))
}

/// Opens what a descriptor is of once more.
pub fn reopen(file: &OwnedFd, flags: i32) -> Outcome {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    done(site::open(link.as_ref(), flags))
}
