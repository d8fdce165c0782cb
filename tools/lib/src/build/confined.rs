// SPDX-License-Identifier: GPL-2.0
//! Files of a tree, whose symlinks may point anywhere: they do not lead out of it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::exit;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2, readlinkat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, chdir, chroot, waitpid};
use vserver_abi::process::{Fork, fork};

use super::style_of;
use crate::config::Style;
use crate::error::{Doing, Error, Result};

/// How many symlinks an init may be behind.
const LINKS: usize = 8;

/// The status of a process that found the file system full.
const FULL: i32 = 2;

fn open_root(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(root, flags, Mode::empty()).doing(|| format!("open {}", root.display()))
}

/// Replaces the content of a file of the tree.
pub(super) fn write(root: &Path, name: &str, text: &str) -> Result<()> {
    let doing = || format!("write /{name} of the guest");
    let dir = open_root(root)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = openat2(&dir, name, flags, mode, ResolveFlags::IN_ROOT).doing(doing)?;
    File::from(file).write_all(text.as_bytes()).doing(doing)
}

/// What init of its own the tree has.
pub(super) fn own_init(root: &Path) -> Result<Style> {
    let dir = open_root(root)?;
    let mut path = PathBuf::from("sbin/init");
    for _ in 0..LINKS {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat2(&dir, &path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        let file = match found {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(style_of(None)),
            Err(errno) => return Err(errno).doing(|| "look for the guest's init".into()),
        };
        let Ok(link) = readlinkat(&file, "", Vec::new()) else {
            break;
        };
        let target = PathBuf::from(link.to_string_lossy().into_owned());
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Ok(style_of(Some(&path)))
}

/// Does something in a process of its own whose root is this directory: no name that it looks up
/// leads out. The process must have one thread.
pub(super) fn inside(root: &Path, work: impl FnOnce() -> Result<u64>) -> Result<u64> {
    let doing = || format!("work in {}", root.display());
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    match fork().doing(doing)? {
        Fork::Child => {
            drop(reader);
            let outcome = chroot(root)
                .and_then(|()| chdir("/"))
                .doing(doing)
                .and_then(|()| work());
            let mut report = File::from(writer);
            let (status, text) = match outcome {
                Ok(count) => (0, count.to_string()),
                Err(e) if e.is_full() => (FULL, e.to_string()),
                Err(e) => (1, e.to_string()),
            };
            // Nobody is left to tell if this fails.
            let _ = report.write_all(text.as_bytes());
            exit(status)
        }
        Fork::Parent(pid) => {
            drop(writer);
            let mut text = String::new();
            let read = File::from(reader).read_to_string(&mut text);
            let ended = waitpid(Some(pid), WaitOptions::empty()).doing(doing)?;
            read.doing(doing)?;
            let status = ended.and_then(|(_, status)| status.exit_status());
            match (status, text.parse()) {
                (Some(0), Ok(count)) => Ok(count),
                (Some(FULL), _) => Err(Error::Full(text)),
                (Some(_), _) => Err(Error::Invalid(text)),
                (None, _) => Err(Error::Invalid(format!("{}: it was killed", doing()))),
            }
        }
    }
}
