// SPDX-License-Identifier: GPL-2.0
//! How the new tree gets its files: a further name of the same one, or a copy.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::fs::{fstat, linkat, mknodat, readlinkat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::tree::{Below, One, lock};
use crate::copy::{copy_attributes, copy_soon, open_quietly};
use crate::protect;
use crate::temp;
use crate::unify::compare::Key;
use crate::unify::share::Member;
use crate::unify::{Amount, disk_bytes};

impl One<'_> {
    /// Makes both trees share a file, if it can be shared.
    pub(super) fn shared(
        &mut self,
        below: &Below,
        name: &OsStr,
        path: &[u8],
        ino: u64,
    ) -> Result<(), Errno> {
        if self.job.pooled.contains(&ino) && self.link(below, name, ino)? {
            return Ok(());
        }
        let file = open_quietly(&below.from, name)?;
        let stat = fstat(&file)?;
        let key = Key::new(&stat, false);
        if key.size == 0 {
            return self.copied(below, name, path, &file);
        }
        let engine = &self.job.engine;
        let Ok(mut member) = Member::new(engine, 0, file.try_clone().map_err(errno)?, stat, key)
        else {
            return self.copied(below, name, path, &file);
        };
        if member.protect(engine).is_err() {
            return self.copied(below, name, path, &file);
        }
        match temp::link(&file, below.to.as_fd(), name) {
            Ok(()) => {
                self.report.linked += 1;
                Ok(())
            }
            // It has as many names as it can have.
            Err(Errno::MLINK) => {
                member.unprotect(engine);
                self.copied(below, name, path, &file)
            }
            Err(errno) => {
                member.unprotect(engine);
                Err(errno)
            }
        }
    }

    /// Gives a file of the pool a further name; false if it can have none.
    fn link(&mut self, below: &Below, name: &OsStr, ino: u64) -> Result<bool, Errno> {
        match linkat(&below.from, name, &below.to, name, AtFlags::empty()) {
            Err(Errno::MLINK) => return Ok(false),
            linked => linked?,
        }
        // The name may lead elsewhere since it was read.
        if statat(&below.to, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino == ino {
            self.report.linked += 1;
            return Ok(true);
        }
        unlinkat(&below.to, name, AtFlags::empty())?;
        Ok(false)
    }

    pub(super) fn copied(
        &mut self,
        below: &Below,
        name: &OsStr,
        path: &[u8],
        file: &File,
    ) -> Result<(), Errno> {
        let stat = fstat(file)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return self.other(below, name);
        }
        // Two names of one file must not both be copied; those of a unified one are two files.
        let is_linked = stat.st_nlink > 1
            && !protect::parts_names(self.job.engine.attributes, file, stat.st_nlink)?;
        let mut linked = is_linked.then(|| lock(&self.job.linked));
        let known = linked.as_ref().and_then(|linked| linked.get(&stat.st_ino));
        if let Some(first) = known {
            let copy = self.job.open_copy(first)?;
            temp::link(&copy, below.to.as_fd(), name)?;
            self.report.copied.files += 1;
            return Ok(());
        }
        let copy = copy_soon(file, &below.to).map_err(errno)?;
        temp::link(&copy, below.to.as_fd(), name)?;
        self.report.copied.add(Amount {
            files: 1,
            bytes: disk_bytes(&stat),
        });
        if let Some(linked) = &mut linked {
            linked.insert(stat.st_ino, path.into());
        }
        Ok(())
    }

    /// A symbolic link, a device, a pipe or a socket.
    pub(super) fn other(&mut self, below: &Below, name: &OsStr) -> Result<(), Errno> {
        let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Symlink => {
                let target = match readlinkat(&below.from, name, Vec::new()) {
                    // It is none any more.
                    Err(Errno::INVAL) => return Err(Errno::NOENT),
                    target => target?,
                };
                symlinkat(target, &below.to, name)?;
            }
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket => {
                mknodat(&below.to, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?;
            }
            // It has become something else since the directory was read.
            _ => return Err(Errno::NOENT),
        }
        self.report.others += 1;
        copy_attributes(&below.to, name, &stat)
    }
}

pub(super) fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
