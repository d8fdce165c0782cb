// SPDX-License-Identifier: GPL-2.0
//! Private copies of files: content with its holes, owner, mode, times, extended attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, IFlags, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
    chmodat, chownat, fchmod, fchown, fremovexattr, fsetxattr, fstat, fsync, futimens,
    ioctl_ficlone, ioctl_getflags, ioctl_setflags, openat, seek, utimensat,
};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::xattr::xattrs;

/// How often an entry of a tree that is copied is looked at again, if somebody puts others in its
/// place.
pub(crate) const TRIES: usize = 10;

/// Whether a name can't be opened as what it was a moment ago, because it leads elsewhere now.
pub(crate) fn has_changed(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO
    )
}

/// Opens a file to read it, whatever it is: without following a symlink, waiting for a pipe's
/// other end, or leaving a trace in its access time where that can be avoided.
pub(crate) fn open_quietly(dir: impl AsFd, name: &OsStr) -> Result<File, Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match openat(&dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only owners may ask for that.
        Err(Errno::PERM) => openat(&dir, name, flags, Mode::empty()),
        opened => opened,
    };
    opened.map(File::from)
}

/// Copies `from` to a file in `dir` that has no name yet, so that an interruption leaves nothing;
/// on the disk when this returns.
pub(crate) fn copy(from: &File, dir: impl AsFd) -> io::Result<File> {
    let copy = nameless(dir)?;
    copy_content(from, &copy)?;
    fsync(&copy)?;
    Ok(copy)
}

/// The same of a file to which others may write meanwhile, and on the disk when the file system is
/// synced.
pub(crate) fn copy_soon(from: &File, dir: impl AsFd) -> io::Result<File> {
    let copy = nameless(dir)?;
    copy_what_there_is(from, &copy)?;
    Ok(copy)
}

fn nameless(dir: impl AsFd) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(File::from(openat(
        dir,
        ".",
        flags,
        Mode::RUSR | Mode::WUSR,
    )?))
}

/// Makes the new file `copy` what `from` is, which has to stand still.
fn copy_content(from: &File, copy: &File) -> io::Result<()> {
    let stat = fstat(from)?;
    let size = stat.st_size.unsigned_abs();
    match start(from, copy, size)? {
        end if end < size => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => copy_metadata(from, copy, &stat),
    }
}

/// Makes the new file `copy` what `from` is. If that becomes shorter meanwhile, so does the copy.
pub(crate) fn copy_what_there_is(from: &File, copy: &File) -> io::Result<()> {
    let stat = fstat(from)?;
    let size = stat.st_size.unsigned_abs();
    let end = start(from, copy, size)?;
    if end < size {
        copy.set_len(end)?;
    }
    copy_metadata(from, copy, &stat)
}

/// Copies flags and data; returns where the data ended, before `size` if the file has become shorter.
fn start(from: &File, copy: &File, size: u64) -> io::Result<u64> {
    copy_flags(from, copy)?;
    match ioctl_ficlone(copy, from) {
        Ok(()) => Ok(size),
        Err(_) => copy_data(from, copy, size),
    }
}

/// Gives the copy the inode flags of the file, instead of those that its directory hands down.
/// Before it has data: some can't be changed later.
fn copy_flags(from: &File, to: &File) -> io::Result<()> {
    const COPIED: IFlags = IFlags::SECURE_REMOVAL
        .union(IFlags::UNRM)
        .union(IFlags::COMPRESSED)
        .union(IFlags::SYNC)
        .union(IFlags::NODUMP)
        .union(IFlags::NOATIME)
        .union(IFlags::NOTAIL)
        .union(IFlags::NOCOW);
    let (Ok(from), Ok(have)) = (ioctl_getflags(from), ioctl_getflags(to)) else {
        return Ok(());
    };
    let want = (have - COPIED) | (from & COPIED);
    match want == have {
        true => Ok(()),
        false => Ok(ioctl_setflags(to, want)?),
    }
}

/// Copies the extents that hold data; what is between them stays a hole. Returns where the file ended,
/// if that was before `size`.
fn copy_data(mut from: &File, mut to: &File, size: u64) -> io::Result<u64> {
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        let start = match seek(from, rustix::fs::SeekFrom::Data(at)) {
            // Only a hole is left, or nothing.
            Err(Errno::NXIO) => return Ok(size.min(from.metadata()?.len())),
            Err(Errno::INVAL) => at,
            start => start?,
        };
        let end = match seek(from, rustix::fs::SeekFrom::Hole(start)) {
            Err(Errno::INVAL) => size,
            end => end?,
        };
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        let copied = io::copy(&mut from.take(end - start), &mut to)?;
        if copied != end - start {
            return Ok(start + copied);
        }
        at = end;
    }
    Ok(size)
}

/// In the order in which nothing undoes what came before: a change of owner takes setuid bits
/// and capabilities away, an ACL changes the mode, and everything the times.
pub(crate) fn copy_metadata(from: &File, to: &File, stat: &Stat) -> io::Result<()> {
    fchown(
        to,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )?;
    let attributes = xattrs(from)?;
    // What the directory hands down: a default ACL.
    for (name, _) in xattrs(to)? {
        if name.starts_with(b"system.") && attributes.iter().all(|(n, _)| *n != name) {
            fremovexattr(to, &*name)?;
        }
    }
    for (name, value) in attributes {
        fsetxattr(to, &*name, &value, XattrFlags::empty())?;
    }
    fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    Ok(futimens(to, &times(stat))?)
}

/// Gives what was just made, if need be by its name alone, owner, mode and times.
pub(crate) fn copy_attributes(
    dir: &OwnedFd,
    name: impl Arg + Copy,
    stat: &Stat,
) -> Result<(), Errno> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(dir, name, Some(user), Some(group), nofollow)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        let mode = Mode::from_raw_mode(stat.st_mode);
        chmodat(dir, name, mode, AtFlags::empty())?;
    }
    utimensat(dir, name, &times(stat), nofollow)
}

/// The times of a file of which `stat` tells.
fn times(stat: &Stat) -> Timestamps {
    let time = |sec, nsec: u64| Timespec {
        tv_sec: sec,
        tv_nsec: i64::try_from(nsec).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::temp::Temp;

    #[test]
    fn a_copy_has_all_that_the_file_has() {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        let path = dir.path().join("f");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.write_all(b"begin").unwrap();
        file.write_all_at(b"end", 1 << 20).unwrap();
        file.set_len((1 << 20) + 500_000).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 42))
            .unwrap();
        let copied = copy(&file, &fd).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let temp = Temp::new(fd.as_fd(), &copied).unwrap();
        let copied = copied.metadata().unwrap();
        let (old, new) = (
            fs::read(&path).unwrap(),
            fs::read(dir.path().join(temp.name())).unwrap(),
        );
        assert!(old == new);
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(copied.mode(), meta.mode());
        assert_eq!(
            (copied.mtime(), copied.mtime_nsec()),
            (meta.mtime(), meta.mtime_nsec())
        );
        assert!(copied.blocks() * 512 < 1 << 20, "the holes were filled");
    }

    /// As a log does that somebody truncates.
    #[test]
    fn a_file_may_become_shorter_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let create = |name: &str| {
            let path = dir.path().join(name);
            let mut file = File::options();
            file.read(true).write(true).create_new(true);
            file.open(path).unwrap()
        };
        let from = create("log");
        from.write_all_at(b"0123456789", 0).unwrap();
        // It had more when it was looked at.
        assert_eq!(copy_data(&from, &create("copy"), 100_000).unwrap(), 10);
        from.set_len(0).unwrap();
        assert_eq!(copy_data(&from, &create("none"), 100_000).unwrap(), 0);
        // A hole at its end is none of that.
        from.set_len(100_000).unwrap();
        assert_eq!(copy_data(&from, &create("hole"), 100_000).unwrap(), 100_000);
    }
}
