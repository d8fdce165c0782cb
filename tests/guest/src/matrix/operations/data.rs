// SPDX-License-Identifier: GPL-2.0
//! Content that gets into a file: by writes, from other files, through mappings.

use super::prelude::*;
use crate::matrix::sys::Mapping;
use crate::process;
use crate::uring;
use io_uring::{opcode::Write, types::Fd};
use rustix::fs as rfs;
use rustix::io::{pwrite, write};
use rustix::process::{WaitOptions, waitpid};

pub const TABLE: &[Operation] = &[
    op("write", CopyFirst, |s| done(write(s.writer()?, b"new"))),
    op("write at the end", CopyFirst, |s| {
        let file = s.open(libc::O_WRONLY | libc::O_APPEND)?;
        done(write(file, b"new"))
    }),
    op("write far behind the end", CopyFirst, |s| {
        done(pwrite(s.writer()?, b"new", 100_000))
    }),
    op("write by a reader", Same, |s| {
        done(write(s.reader()?, b"new"))
    }),
    op("write to O_PATH", Same, |s| {
        done(write(s.handle()?, b"new"))
    }),
    op("direct write", CopyFirst, |s| {
        let file = s.open(libc::O_RDWR | libc::O_DIRECT)?;
        let blocks = Blocks([b'd'; 4096]);
        pwrite(&file, &blocks.0, 4096).map(|len| len as u64)
    }),
    op("io_uring write", CopyFirst, |s| {
        let file = s.writer()?;
        uring::run(&Write::new(Fd(file.as_raw_fd()), b"new".as_ptr(), 3).build())
    }),
    op("FICLONE", CopyFirst, |s| {
        done(rfs::ioctl_ficlone(s.writer()?, reader(&s.x())?))
    }),
    op("FICLONE by a reader", Same, |s| {
        done(rfs::ioctl_ficlone(s.reader()?, reader(&s.x())?))
    }),
    op("FICLONERANGE", CopyFirst, |s| {
        let from = reader(&s.x())?;
        let mut range = [sys::fd(&from) as u64, 0, 4096, 4096];
        sys::ioctl(s.writer()?, sys::FICLONERANGE, &mut range)
    }),
    op("FIDEDUPERANGE", CopyFirst, |s| {
        let equal = equal(s)?;
        sys::dedupe(&equal, &s.writer()?, 4096)
    }),
    // The file system lets whoever may write the file do this by a reader.
    op("FIDEDUPERANGE by a reader", Refused(Errno::PERM), |s| {
        let equal = equal(s)?;
        sys::dedupe(&equal, &s.reader()?, 4096)
    }),
    op("FICLONE from it", Same, |s| {
        let to = site::open(&s.x(), libc::O_RDWR)?;
        done(rfs::ioctl_ficlone(to, s.reader()?))
    }),
    op("FIDEDUPERANGE from it", Same, |s| {
        let equal = equal(s)?;
        sys::dedupe(&s.reader()?, &equal, 4096)
    }),
    op("copy_file_range from it", Same, |s| {
        let to = site::open(&s.x(), libc::O_RDWR)?;
        done(rfs::copy_file_range(s.reader()?, None, to, None, 5000))
    }),
    op("copy_file_range", CopyFirst, |s| {
        let len = rfs::copy_file_range(reader(&s.x())?, None, s.writer()?, None, 5000)?;
        Ok(len as u64)
    }),
    op("copy_file_range to a reader", Same, |s| {
        done(rfs::copy_file_range(
            reader(&s.x())?,
            None,
            s.reader()?,
            None,
            9,
        ))
    }),
    op("sendfile", CopyFirst, |s| {
        Ok(rfs::sendfile(s.writer()?, reader(&s.x())?, None, 5000)? as u64)
    }),
    op("sendfile to a reader", Same, |s| {
        done(rfs::sendfile(s.reader()?, reader(&s.x())?, None, 9))
    }),
    op("splice", CopyFirst, |s| splice(&s.writer()?)),
    op("splice to a reader", Same, |s| splice(&s.reader()?)),
    op("mmap MAP_SHARED and store", CopyFirst, |s| {
        let map = Mapping::new(s.writer()?, READ_WRITE, libc::MAP_SHARED)?;
        map.store(b"new");
        map.sync()
    }),
    op("mmap, mprotect and store", CopyFirst, |s| {
        let map = Mapping::new(s.writer()?, libc::PROT_READ, libc::MAP_SHARED)?;
        map.protect(READ_WRITE)?;
        map.store(b"new");
        map.sync()
    }),
    op("mmap to write by a reader", Same, |s| {
        done(Mapping::new(s.reader()?, READ_WRITE, libc::MAP_SHARED))
    }),
    op("mprotect of a reader's mapping", Same, |s| {
        let map = Mapping::new(s.reader()?, libc::PROT_READ, libc::MAP_SHARED)?;
        map.protect(READ_WRITE)
    }),
    op("madvise of a reader's mapping", Same, |s| {
        let map = Mapping::new(s.reader()?, libc::PROT_READ, libc::MAP_SHARED)?;
        map.advise(libc::MADV_REMOVE)
    }),
    op("ptrace, shared mapping", Same, |s| {
        poke(s, libc::MAP_SHARED)
    }),
    op("ptrace, private mapping", Same, |s| {
        poke(s, libc::MAP_PRIVATE)
    }),
    op("mmap MAP_PRIVATE and store", Same, |s| {
        let map = Mapping::new(s.reader()?, READ_WRITE, libc::MAP_PRIVATE)?;
        map.store(b"new");
        DONE
    }),
];

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// What direct I/O takes.
#[repr(align(4096))]
struct Blocks([u8; 4096]);

fn reader(path: &std::path::Path) -> Result<OwnedFd, Errno> {
    site::open(path, libc::O_RDONLY)
}

/// Another file of the same content.
fn equal(s: &Site) -> Result<OwnedFd, Errno> {
    let equal = s.path("equal");
    let content = std::fs::read(s.a()).map_err(|e| sys::errno(&e))?;
    std::fs::write(&equal, content).map_err(|e| sys::errno(&e))?;
    site::open(&equal, libc::O_RDWR)
}

fn splice(to: &OwnedFd) -> Outcome {
    let (read, end) = rustix::pipe::pipe()?;
    write(&end, b"new")?;
    let flags = rustix::pipe::SpliceFlags::empty();
    Ok(rustix::pipe::splice(read, None, to, None, 3, flags)? as u64)
}

/// Has a debugger write to a mapping that may only be read.
fn poke(s: &Site, flags: i32) -> Outcome {
    let map = Mapping::new(s.reader()?, libc::PROT_READ, flags)?;
    let traced = process::spawn(|| process::sleep_forever()).map_err(|_| Errno::AGAIN)?;
    let (pid, address) = (traced.id() as usize, map.address());
    let ptrace = |request: u32, address, data| {
        let args = [request as usize, pid, address, data, 0, 0];
        sys::call(libc::SYS_ptrace, args)
    };
    ptrace(libc::PTRACE_SEIZE, 0, 0)?;
    ptrace(libc::PTRACE_INTERRUPT, 0, 0)?;
    waitpid(Some(traced.pid()), WaitOptions::UNTRACED)?;
    ptrace(
        libc::PTRACE_POKEDATA,
        address,
        usize::from_ne_bytes(*b"new data"),
    )
}
