// SPDX-License-Identifier: GPL-2.0
//! Unpacking archives, layers of images too, over the root directory of this process.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, chmodat, chownat, mknodat,
    utimensat,
};
use rustix::io::Errno;
use rustix::process::umask;
use tar::{Archive, Entry, EntryType};

use crate::error::{self, Error, Result};

/// How the keys begin by which the pax format describes a sparse file.
const SPARSE: &[u8] = b"GNU.sparse.";

/// A file of a layer that says that a file of the layers below is gone,
const WHITEOUT: &[u8] = b".wh.";
/// or all those in the directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Unpacks an archive over `/`; returns how many devices were left out. With `layer`, whiteouts
/// take away what is there.
pub(super) fn unpack(from: impl Read, layer: bool) -> Result<u64> {
    // Of directories above a file that the archive does not have. This process does nothing else.
    umask(Mode::WGRP | Mode::WOTH);
    let mut archive = Archive::new(Watched { from, ended: false });
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(true);
    archive.set_overwrite(true);
    let mut unpacking = Unpacking::default();
    for entry in archive.entries().map_err(broken)? {
        unpacking.entry(entry.map_err(broken)?, layer)?;
    }
    let mut rest = archive.into_inner();
    // The reader takes what ends between two files for whole. One of the two blocks of zeros that stand
    // at an archive's end is enough: all files come before it.
    if rest.ended {
        return Err(Error::Invalid(
            "its end is missing: it was cut off, or is no archive of tar".into(),
        ));
    }
    // What it was packed by has a sum at its end.
    io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
    if unpacking.seen.is_empty() {
        return Err(Error::Invalid("there is nothing in the archive".into()));
    }
    // Now that nothing changes them any more.
    for (path, time) in unpacking.directories.iter().rev() {
        set_time(path, *time).map_err(|e| Error::file("set the time of", path, e))?;
    }
    Ok(unpacking.left_out)
}

fn broken(e: io::Error) -> Error {
    Error::Invalid(format!("not an archive of tar, or a broken one: {e}"))
}

/// Knows whether all has been read.
struct Watched<R> {
    from: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.ended |= n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

#[derive(Default)]
struct Unpacking {
    /// What this archive had; what it did not have is of layers below.
    seen: BTreeSet<PathBuf>,
    /// The directories and their times.
    directories: Vec<(PathBuf, u64)>,
    left_out: u64,
}

impl Unpacking {
    fn entry(&mut self, mut entry: Entry<'_, impl Read>, layer: bool) -> Result<()> {
        let name = entry.path().map_err(broken)?.into_owned();
        let Some(path) = inside(&name) else {
            return Err(Error::Invalid(format!("{}: it leads out", name.display())));
        };
        if let (true, Some(file)) = (layer, path.file_name().map(OsStr::as_bytes)) {
            let parent = path.parent().unwrap_or(Path::new("/"));
            if file == OPAQUE {
                return self.clear(parent);
            }
            if let Some(gone) = file.strip_prefix(WHITEOUT) {
                return remove(&parent.join(OsStr::from_bytes(gone)));
            }
        }
        let failed = |e: io::Error| {
            let (text, full) = why(&e);
            let text = format!("{}: {text}", name.display());
            match full {
                true => Error::Full(text),
                false => Error::Invalid(text),
            }
        };
        refuse_sparse(&mut entry).map_err(failed)?;
        self.seen.insert(path.clone());
        let kind = entry.header().entry_type();
        if path == Path::new("/") {
            self.directories
                .push((path, entry.header().mtime().unwrap_or(0)));
            return set_root(&entry).map_err(failed);
        }
        let is_dir = fs::symlink_metadata(&path).map(|m| m.is_dir());
        if is_dir.is_ok_and(|is_dir| is_dir != (kind == EntryType::Directory)) {
            remove(&path)?;
        }
        match kind {
            EntryType::Char | EntryType::Block => self.left_out += 1,
            EntryType::Fifo => make_fifo(&entry, &path).map_err(failed)?,
            EntryType::Directory => {
                self.directories
                    .push((path, entry.header().mtime().unwrap_or(0)));
                entry.unpack_in("/").map_err(failed)?;
            }
            _ => {
                entry.unpack_in("/").map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes what layers below have in the directory.
    fn clear(&self, dir: &Path) -> Result<()> {
        let failed = |e| Error::file("read", dir, e);
        let entries = match fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let ours = |seen: &PathBuf| seen.starts_with(&path);
            if !self.seen.iter().any(ours) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// What the error says, and what those say that it comes from; and whether a full file system is that.
fn why(error: &io::Error) -> (String, bool) {
    let is_full = |e: &io::Error| Errno::from_io_error(e).is_some_and(error::is_full);
    let (mut all, mut full) = (error.to_string(), is_full(error));
    let mut cause = error.source();
    while let Some(e) = cause {
        all.push_str(&format!(": {e}"));
        full |= e.downcast_ref().is_some_and(is_full);
        cause = e.source();
    }
    (all, full)
}

/// The name as a path from `/`; none if it leads out of it.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::from("/");
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

/// Fails if the content is packed in a way of which the reader knows nothing: it would be taken for the
/// file's own, under another name.
fn refuse_sparse(entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else {
        return Ok(());
    };
    for extension in extensions {
        if extension?.key_bytes().starts_with(SPARSE) {
            return Err(io::Error::other(
                "a sparse file of the pax format: make the archive with tar --format=gnu, or \
                 without -S",
            ));
        }
    }
    Ok(())
}

/// Gives the root directory, which is there already, the owner and mode that the archive has for it.
fn set_root(entry: &Entry<'_, impl Read>) -> io::Result<()> {
    let header = entry.header();
    if header.entry_type() != EntryType::Directory {
        return Err(io::Error::other("the root is no directory"));
    }
    let (root, mode) = (Path::new("/"), Mode::from_raw_mode(header.mode()?));
    set_owner(entry, root)?;
    Ok(chmodat(CWD, root, mode, AtFlags::empty())?)
}

fn set_owner(entry: &Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
    let header = entry.header();
    let id = |id: io::Result<u64>| id.map(|id| u32::try_from(id).unwrap_or(0));
    let (user, group) = (id(header.uid())?, id(header.gid())?);
    Ok(chownat(
        CWD,
        path,
        Some(Uid::from_raw(user)),
        Some(Gid::from_raw(group)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn make_fifo(entry: &Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
    let header = entry.header();
    let mode = Mode::from_raw_mode(header.mode()?);
    mknodat(CWD, path, FileType::Fifo, mode, 0)?;
    set_owner(entry, path)?;
    chmodat(CWD, path, mode, AtFlags::empty())?;
    set_time(path, header.mtime()?)
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(0),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the crate that unpacks says what it was doing.
    #[derive(Debug, thiserror::Error)]
    #[error("failed to unpack `/f`")]
    struct Unpacking(#[source] io::Error);

    #[test]
    fn a_full_disk_is_known_through_what_was_being_done() {
        let cause = io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        let text = cause.to_string();
        let outer = io::Error::other(Unpacking(cause));
        let (said, full) = why(&outer);
        assert!(full && said.contains(&text), "{said}");
        assert!(!why(&io::Error::other("broken")).1);
    }

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside(Path::new("./usr/bin")), Some("/usr/bin".into()));
        assert_eq!(inside(Path::new("/etc")), Some("/etc".into()));
        assert_eq!(inside(Path::new("a/../../b")), None);
    }
}
