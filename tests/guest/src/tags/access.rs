// SPDX-License-Identifier: GPL-2.0
//! What those inside a context may do to their own files, to nobody's and to another's.

use super::{OTHER, OWN, fresh, inside, set_tag};
use crate::calls::{FsXattr, Handle, c_path, truncate};
use crate::harness::Body;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A file of each kind that belongs to the context in question, in a directory that is nobody's.
struct Files {
    file: PathBuf,
    dir: PathBuf,
    link: PathBuf,
    socket: PathBuf,
    /// What does not belong to it: an ordinary file, and a name that is free.
    plain: PathBuf,
    free: PathBuf,
}

impl Files {
    fn new(name: &str, xid: u32) -> Result<Self> {
        let top = fresh(name)?;
        let files = Self {
            file: top.join("file"),
            dir: top.join("dir"),
            link: top.join("link"),
            socket: top.join("socket"),
            plain: top.join("plain"),
            free: top.join("free"),
        };
        fs::write(&files.file, "content")?;
        rfs::chmod(&files.file, MODE)?;
        rfs::setxattr(&files.file, "user.one", b"1", XattrFlags::empty())?;
        fs::create_dir(&files.dir)?;
        std::os::unix::fs::symlink("plain", &files.link)?;
        let _listener = std::os::unix::net::UnixListener::bind(&files.socket)?;
        fs::write(&files.plain, "plain")?;
        for path in [&files.file, &files.dir, &files.link, &files.socket] {
            set_tag(path, xid).with_context(|| path.display().to_string())?;
        }
        Ok(files)
    }
}

type Done = Result<(), Errno>;

/// One thing that is done.
pub(super) struct Row {
    /// What becomes of it with another's file.
    other: Done,
    action: fn(&Files) -> Done,
}

/// Whose the files are, and who acts where that is not those in [`OWN`].
const VARIANTS: &[&str] = &["own", "nobody", "other", "watch", "host"];

impl Body for Row {
    fn run(&self, variant: &str) -> Result<String> {
        let (who, whose) = match variant {
            "own" => (OWN, OWN),
            "nobody" => (OWN, 0),
            "watch" => (vserver_abi::VX_XID_WATCH, OTHER),
            "host" => (vserver_abi::VX_XID_HOST, OTHER),
            _ => (OWN, OTHER),
        };
        let files = Files::new("access", whose)?;
        let expected = if variant == "other" {
            self.other
        } else {
            Ok(())
        };
        inside(who, || {
            let done = (self.action)(&files);
            ensure!(done == expected, "{done:?} instead of {expected:?}");
            Ok(())
        })?;
        Ok(String::new())
    }
}

macro_rules! rows {
    ($($name:literal, $other:expr, $action:expr;)*) => {
        &[$(crate::harness::Test {
            name: $name,
            variants: VARIANTS,
            body: &Row { other: $other, action: $action },
        }),*]
    };
}

const NO: Done = Err(Errno::ACCESS);
const MODE: Mode = Mode::from_raw_mode(0o700);

fn io<T>(result: std::io::Result<T>) -> Done {
    match result {
        Ok(_) => Ok(()),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    }
}

fn opened(path: &Path, flags: OFlags) -> Done {
    open(path, flags).map(drop)
}

/// By a descriptor that names the file and cannot read it.
fn in_proc(path: &Path, flags: OFlags) -> Done {
    let fd = open(path, OFlags::PATH)?;
    let name = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&fd));
    opened(Path::new(&name), flags)
}

/// An ACL of three entries: u::rwx, g::rwx, o::rwx.
fn acl() -> Vec<u8> {
    let mut acl = 2u32.to_le_bytes().to_vec();
    for tag in [1u16, 4, 0x20] {
        acl.extend(tag.to_le_bytes());
        acl.extend(7u16.to_le_bytes());
        acl.extend(u32::MAX.to_le_bytes());
    }
    acl
}

const FILE_GETATTR: libc::c_long = 468;
const FILE_SETATTR: libc::c_long = 469;

/// By name: there is no descriptor that was opened before. What is set is what a new file has.
fn file_attr(files: &Files, call: libc::c_long) -> Done {
    let mut attr = [0u64; 3];
    let path = c_path(&files.file);
    // SAFETY: the structure is as large as is said, the path a C string.
    let ret = unsafe {
        libc::syscall(
            call,
            libc::AT_FDCWD,
            path.as_ptr(),
            attr.as_mut_ptr(),
            size_of_val(&attr),
            0,
        )
    };
    syscall(ret).map(drop)
}

/// One that the file need not have.
fn attribute(files: &Files, name: &str) -> Done {
    match rfs::getxattr(&files.file, name, &mut [0; 64][..]) {
        Err(Errno::NODATA) => Ok(()),
        got => got.map(drop),
    }
}

/// It may be, and is no program.
fn execute(files: &Files) -> Done {
    let path = c_path(&files.file);
    let argv = [path.as_ptr(), std::ptr::null()];
    // SAFETY: both lists end with a null pointer, and have C strings before.
    let done =
        syscall(unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), argv[1..].as_ptr()) }.into());
    match done {
        Err(Errno::NOEXEC) => Ok(()),
        done => done.map(drop),
    }
}

fn by_handle(files: &Files) -> Done {
    let mount = open(files.file.parent().unwrap_or(&files.file), OFlags::RDONLY)?;
    Handle::of(&files.file)?
        .open(&mount, libc::O_RDONLY)
        .map(drop)
}

fn fsxattr(files: &Files) -> Done {
    let fd = open(&files.file, OFlags::RDONLY)?;
    FsXattr::get(&fd)?.set(&fd)
}

pub(super) const ROWS: &[crate::harness::Test] = rows! {
    "stat", Ok(()), |f| rfs::lstat(&f.file).map(drop);
    "stat a directory", Ok(()), |f| rfs::lstat(&f.dir).map(drop);
    "statfs", Ok(()), |f| rfs::statfs(&f.file).map(drop);
    "read the directory it is in", Ok(()), |f| io(fs::read_dir(f.file.parent().unwrap_or(&f.file)));
    "access", NO, |f| rfs::access(&f.file, rfs::Access::READ_OK);
    "open to read", NO, |f| opened(&f.file, OFlags::RDONLY);
    "open to write", NO, |f| opened(&f.file, OFlags::WRONLY);
    "open to append", NO, |f| opened(&f.file, OFlags::WRONLY | OFlags::APPEND);
    "open with O_TRUNC", NO, |f| opened(&f.file, OFlags::RDONLY | OFlags::TRUNC);
    "open with O_CREAT", NO, |f| opened(&f.file, OFlags::RDONLY | OFlags::CREATE);
    "open by /proc", NO, |f| in_proc(&f.file, OFlags::RDWR);
    "open by handle", NO, by_handle;
    "truncate", NO, |f| truncate(&f.file, 3);
    "execve", NO, execute;
    "execute", NO, |f| rfs::access(&f.dir, rfs::Access::EXEC_OK);
    "connect to a socket", NO, |f| match io(UnixStream::connect(&f.socket)) {
        Err(Errno::CONNREFUSED) => Ok(()), // nobody listens any more
        done => done,
    };
    "read a directory", NO, |f| io(fs::read_dir(&f.dir));
    "look up in a directory", NO, |f| match rfs::lstat(f.dir.join("none")) {
        Err(Errno::NOENT) => Ok(()),
        found => found.map(drop),
    };
    "make a file in a directory", NO, |f| io(fs::write(f.dir.join("new"), "x"));
    "make a directory in a directory", NO, |f| rfs::mkdir(f.dir.join("new"), MODE);
    "open with O_TMPFILE", NO, |f| opened(&f.dir, OFlags::RDWR | OFlags::TMPFILE);
    "chdir", NO, |f| io(std::env::set_current_dir(&f.dir));
    "readlink", NO, |f| rfs::readlink(&f.link, Vec::new()).map(drop);
    "follow a symlink", NO, |f| opened(&f.link, OFlags::RDONLY);
    "chmod", NO, |f| rfs::chmod(&f.file, MODE);
    "chown", NO, |f| rfs::chown(&f.file, Some(Uid::ROOT), Some(Gid::ROOT));
    "chown a symlink", NO, |f| {
        rfs::chownat(CWD, &f.link, Some(Uid::ROOT), None, AtFlags::SYMLINK_NOFOLLOW)
    };
    "utimes", NO, |f| set_times(&f.file, rfs::Timespec { tv_sec: 5, tv_nsec: 0 });
    "set an attribute", NO, |f| rfs::setxattr(&f.file, "user.new", b"x", XattrFlags::empty());
    "set one that needs no permission", NO, |f| {
        rfs::setxattr(&f.file, "trusted.new", b"x", XattrFlags::empty())
    };
    "remove an attribute", NO, |f| rfs::removexattr(&f.file, "user.one");
    "set an ACL", NO, |f| {
        rfs::setxattr(&f.file, "system.posix_acl_access", &acl(), XattrFlags::empty())
    };
    "remove an ACL", NO, |f| match rfs::removexattr(&f.file, "system.posix_acl_access") {
        Err(Errno::NODATA) => Ok(()),
        done => done,
    };
    "get an attribute", NO, |f| attribute(f, "user.one");
    "get one of security.*", NO, |f| attribute(f, "security.capability");
    "get one of trusted.*", NO, |f| attribute(f, "trusted.one");
    "get an ACL", NO, |f| attribute(f, "system.posix_acl_access");
    "list attributes", NO, |f| rfs::listxattr(&f.file, &mut [0; 4096][..]).map(drop);
    "file_getattr", NO, |f| file_attr(f, FILE_GETATTR);
    "file_setattr", NO, |f| file_attr(f, FILE_SETATTR);
    "FS_IOC_FSSETXATTR", NO, fsxattr;
    "unlink", NO, |f| rfs::unlink(&f.file);
    "unlink a symlink", NO, |f| rfs::unlink(&f.link);
    "rmdir", NO, |f| rfs::rmdir(&f.dir);
    "rename", NO, |f| rfs::rename(&f.file, &f.free);
    "rename a directory", NO, |f| rfs::rename(&f.dir, &f.free);
    "rename over it", NO, |f| rfs::rename(&f.plain, &f.file);
    "exchange", NO, |f| {
        rfs::renameat_with(CWD, &f.plain, CWD, &f.file, RenameFlags::EXCHANGE)
    };
    "link", NO, |f| rfs::link(&f.file, &f.free);
};
