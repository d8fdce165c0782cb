// SPDX-License-Identifier: GPL-2.0
//! What system calls on ordinary files cost, to be compared between kernels: in instructions only,
//! nothing else is exact enough.
//!
//! Nothing waits here, so the loops are long and everything in between counts, the timer's
//! interrupts and the journal's thread included. The loop's own instructions are taken off.

use crate::meter::{check_counting, now};
use crate::report::{Report, figure};
use anyhow::{Result, bail, ensure};
use std::ffi::{CStr, CString};
use std::fs;
use std::path::Path;

/// How many values there are of each figure, and of how many calls each.
const REPS: usize = 11;
const CALLS: u64 = 2000;
/// What getdents reads.
const ENTRIES: usize = 30;
/// Any unused context.
const XID: u32 = 4000;

/// Measures on the host or, as `place` says, in a context, on the file systems in $PLAIN_DIRS.
pub fn run(report: &mut Report, place: &str) {
    report.group(&format!("plain {place}"), || {
        check_counting()?;
        match place {
            "host" => {}
            "context" => {
                vserver_abi::ctx_create(XID, 0)?;
            }
            _ => bail!("no place {place}"),
        }
        for (name, dir) in [("ext4", "/mnt/ext4"), ("tmpfs", "/tmp")] {
            Dir::new(&Path::new(dir).join("plain"))?.measure_all(name, place)?;
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

fn check(ret: i64) -> Result<i64> {
    if ret < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(ret)
}

/// open(2) and close(2).
fn open_close(path: &CStr, flags: i32) -> Result<()> {
    // SAFETY: a valid path; the descriptor is ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), flags, 0o644);
        check(fd.into())?;
        check(libc::close(fd).into())?;
    }
    Ok(())
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

    fn measure_all(&self, fs: &str, place: &str) -> Result<()> {
        let Self {
            file,
            other,
            fd,
            listing,
        } = self;
        let empty = repeat(|| Ok(()))?;
        let least = empty.iter().min().copied().unwrap_or_default();
        let show = |what: &str, values: Vec<u64>| {
            // Hundredths of an instruction a call.
            let values: Vec<_> = values
                .iter()
                .map(|v| v.saturating_sub(least) * 100 / CALLS)
                .collect();
            figure(&format!("fs={fs} what={what} place={place}"), &values);
        };
        show("open+close", repeat(|| open_close(file, libc::O_RDONLY))?);
        show("open+close-rw", repeat(|| open_close(file, libc::O_RDWR))?);
        // SAFETY: zeroes are a valid stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        show(
            "stat",
            // SAFETY: valid path and buffer.
            repeat(|| check(unsafe { libc::stat(file.as_ptr(), &mut stat) }.into()).map(drop))?,
        );
        let mut block = [0u8; 4096];
        show(
            "read-4k",
            repeat(|| {
                // SAFETY: as long as the buffer.
                let n = unsafe { libc::pread(*fd, block.as_mut_ptr().cast(), block.len(), 0) };
                check(n as i64).map(drop)
            })?,
        );
        let mut bit = 0;
        show(
            "chmod",
            repeat(|| {
                bit ^= 0o020;
                // SAFETY: a valid path.
                check(unsafe { libc::chmod(file.as_ptr(), 0o644 ^ bit) }.into()).map(drop)
            })?,
        );
        let mut there = false;
        show(
            "rename",
            repeat(|| {
                there = !there;
                let (a, b) = if there { (file, other) } else { (other, file) };
                // SAFETY: valid paths.
                check(unsafe { libc::rename(a.as_ptr(), b.as_ptr()) }.into()).map(drop)
            })?,
        );
        show(
            "create+unlink",
            repeat(|| {
                open_close(other, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?;
                // SAFETY: a valid path.
                check(unsafe { libc::unlink(other.as_ptr()) }.into()).map(drop)
            })?,
        );
        show(
            "link+unlink",
            repeat(|| {
                // SAFETY: valid paths.
                unsafe {
                    check(libc::link(file.as_ptr(), other.as_ptr()).into())?;
                    check(libc::unlink(other.as_ptr()).into()).map(drop)
                }
            })?,
        );
        show(
            "getdents",
            repeat(|| {
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
            })?,
        );
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

/// The instructions of so many calls, several times over; the first round only warms up.
fn repeat(mut call: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    for _ in 0..=REPS {
        let start = now();
        for _ in 0..CALLS {
            std::hint::black_box(&mut call)()?;
        }
        values.push(now() - start);
    }
    Ok(values.split_off(1))
}
