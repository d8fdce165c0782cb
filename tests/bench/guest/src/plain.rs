// SPDX-License-Identifier: GPL-2.0
//! What system calls on ordinary files cost, to be compared between kernels: in instructions only,
//! nothing else is exact enough.
//!
//! Each call is counted alone, and the median taken: that is its own path through the kernel to the
//! instruction, without the interrupts and the other tasks that now and then come in between.

use crate::meter::{check_counting, now};
use crate::report::{Report, figure};
use anyhow::{Result, bail, ensure};
use std::ffi::{CStr, CString};
use std::fs;
use std::path::Path;

/// How many values there are of each figure, and of how many calls each is the median.
const REPS: usize = 11;
const CALLS: usize = 101;
/// What getdents reads.
const ENTRIES: usize = 30;
/// Any unused context.
const XID: u32 = 4000;

/// Measures on the host or, as `place` says, in a context, which the process then stays in.
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
        let show = |what: &str, values: Vec<u64>| {
            let values: Vec<_> = values.iter().zip(&empty).map(|(v, e)| v - e).collect();
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
        show(
            "2-chmod",
            repeat(|| {
                for mode in [0o600, 0o644] {
                    // SAFETY: a valid path.
                    check(unsafe { libc::chmod(file.as_ptr(), mode) }.into())?;
                }
                Ok(())
            })?,
        );
        show(
            "2-rename",
            repeat(|| {
                for (a, b) in [(file, other), (other, file)] {
                    // SAFETY: valid paths.
                    check(unsafe { libc::rename(a.as_ptr(), b.as_ptr()) }.into())?;
                }
                Ok(())
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
        // ext4 sorts by a hash with a seed that each file system has of its own.
        if fs != "ext4" {
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

/// The instructions of a call, several times over; the first time only warms up.
fn repeat(mut call: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    for _ in 0..=REPS {
        let mut calls = [0; CALLS];
        for cost in &mut calls {
            let start = now();
            call()?;
            *cost = now() - start;
        }
        calls.sort_unstable();
        values.push(calls[CALLS / 2]);
    }
    Ok(values.split_off(1))
}
