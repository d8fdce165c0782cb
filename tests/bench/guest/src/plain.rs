// SPDX-License-Identifier: GPL-2.0
//! What system calls on ordinary files cost.

use crate::calls::{Calls, check, open_close};
use crate::report::Report;
use anyhow::{Result, ensure};
use std::ffi::CString;
use std::fs;
use std::path::Path;

/// What getdents reads.
const ENTRIES: usize = 30;

/// Counts on the host or in a context, see [`Calls::at`].
pub fn run(report: &mut Report, place: &str) {
    report.group(&format!("plain {place}"), || {
        let calls = Calls::at(place)?;
        for (name, dir) in [("ext4", "/mnt/ext4"), ("tmpfs", "/tmp")] {
            Dir::new(&Path::new(dir).join("plain"))?.count_all(name, &calls)?;
        }
        Ok(())
    });
}

/// A directory with a file.
struct Dir {
    file: CString,
    other: CString,
    fd: i32,
    listing: i32,
}

fn c_path(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}

impl Dir {
    fn new(dir: &Path) -> Result<Self> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir(dir)?;
        for n in 0..ENTRIES {
            fs::write(dir.join(format!("entry{n:02}")), b"")?;
        }
        let file = dir.join("file");
        fs::write(&file, [1; 4096])?;
        let (file, other, dir) = (c_path(&file)?, c_path(&dir.join("other"))?, c_path(dir)?);
        // SAFETY: valid paths.
        let (fd, listing) = unsafe {
            (
                libc::open(file.as_ptr(), libc::O_RDONLY),
                libc::open(dir.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY),
            )
        };
        ensure!(fd >= 0 && listing >= 0, "open");
        Ok(Self {
            file,
            other,
            fd,
            listing,
        })
    }

    fn count_all(&self, fs: &str, calls: &Calls<'_>) -> Result<()> {
        let Self {
            file,
            other,
            fd,
            listing,
        } = self;
        let label = |what: &str| format!("fs={fs} what={what}");
        calls.count(&label("open+close"), || open_close(file, libc::O_RDONLY))?;
        calls.count(&label("open+close-rw"), || open_close(file, libc::O_RDWR))?;
        // SAFETY: zeroes are a valid stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        calls.count(
            &label("stat"),
            // SAFETY: valid path and buffer.
            || check(unsafe { libc::stat(file.as_ptr(), &mut stat) }.into()).map(drop),
        )?;
        let mut block = [0u8; 4096];
        calls.count(&label("read-4k"), || {
            // SAFETY: as long as the buffer.
            let n = unsafe { libc::pread(*fd, block.as_mut_ptr().cast(), block.len(), 0) };
            check(n as i64).map(drop)
        })?;
        calls.count(&label("2-chmod"), || {
            for mode in [0o600, 0o644] {
                // SAFETY: a valid path.
                check(unsafe { libc::chmod(file.as_ptr(), mode) }.into())?;
            }
            Ok(())
        })?;
        calls.count(&label("2-rename"), || {
            for (a, b) in [(file, other), (other, file)] {
                // SAFETY: valid paths.
                check(unsafe { libc::rename(a.as_ptr(), b.as_ptr()) }.into())?;
            }
            Ok(())
        })?;
        let create = || open_close(other, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL);
        let unlink = || {
            // SAFETY: a valid path.
            check(unsafe { libc::unlink(other.as_ptr()) }.into()).map(drop)
        };
        calls.count_after(&label("unlink"), create, unlink)?;
        create()?;
        calls.count_after(&label("create"), unlink, create)?;
        unlink()?;
        calls.count(&label("link+unlink"), || {
            // SAFETY: valid paths.
            unsafe {
                check(libc::link(file.as_ptr(), other.as_ptr()).into())?;
                check(libc::unlink(other.as_ptr()).into()).map(drop)
            }
        })?;
        // ext4 sorts by a hash with a seed that each file system has of its own.
        if fs != "ext4" {
            calls.count(&label("getdents"), || {
                // SAFETY: as long as the buffer.
                unsafe {
                    check(libc::lseek(*listing, 0, libc::SEEK_SET))?;
                    let n = libc::syscall(
                        libc::SYS_getdents64,
                        *listing,
                        block.as_mut_ptr(),
                        block.len(),
                    );
                    ensure!(check(n)? > 0, "an empty directory");
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: our own descriptors.
        unsafe {
            libc::close(self.fd);
            libc::close(self.listing);
        }
    }
}
