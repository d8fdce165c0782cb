// SPDX-License-Identifier: GPL-2.0
//! Files that io_uring opens: at once or by one of its workers, to a descriptor or to a file of the
//! ring alone.

use super::prelude::*;
use crate::uring::{self, HERE};
use io_uring::opcode::{OpenAt, OpenAt2, Write};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed, OpenHow};
use rustix::fs::ResolveFlags;
use std::ffi::CStr;

pub const TABLE: &[Operation] = &[
    op("io_uring openat", Copy, |s| {
        openat(s, libc::O_WRONLY, |open| open)
    }),
    op("io_uring openat O_TRUNC", Copy, |s| {
        openat(s, libc::O_RDWR | libc::O_TRUNC, |open| open)
    }),
    op("io_uring openat2", Copy, |s| openat2(s, |open| open)),
    op("io_uring openat by a worker", Copy, |s| {
        openat(s, libc::O_WRONLY, by_worker)
    }),
    op("io_uring openat O_TRUNC by a worker", Copy, |s| {
        openat(s, libc::O_RDWR | libc::O_TRUNC, by_worker)
    }),
    op("io_uring openat2 by a worker", Copy, |s| {
        openat2(s, by_worker)
    }),
    op("io_uring openat, a file of the ring", Copy, |s| {
        let path = sys::c_path(&s.a())?;
        let slot = DestinationSlot::try_from_slot_target(0).map_err(|_| Errno::INVAL)?;
        let mut ring = uring::ring()?;
        ring.submitter()
            .register_files_sparse(1)
            .map_err(|e| sys::errno(&e))?;
        let open = OpenAt::new(HERE, path.as_ptr()).flags(libc::O_WRONLY);
        uring::run_in(&mut ring, &open.file_index(Some(slot)).build())?;
        uring::run_in(&mut ring, &Write::new(Fixed(0), b"new".as_ptr(), 3).build())
    }),
];

fn by_worker(entry: Entry) -> Entry {
    entry.flags(Flags::ASYNC)
}

fn openat(s: &Site, flags: i32, how: fn(Entry) -> Entry) -> Outcome {
    write(&uring::open(&s.a(), flags, how)?, how)
}

fn openat2(s: &Site, how: fn(Entry) -> Entry) -> Outcome {
    const NAME: &CStr = c"a";
    let beneath = OpenHow::new()
        .flags(libc::O_RDWR as u64)
        .resolve(ResolveFlags::BENEATH.bits());
    let dir = s.directory()?;
    let open = OpenAt2::new(Fd(dir.as_raw_fd()), NAME.as_ptr(), &raw const beneath);
    write(&sys::owned(uring::run(&how(open.build()))?)?, how)
}

/// Writes to the file that has been opened, in the same way.
fn write(file: &OwnedFd, how: fn(Entry) -> Entry) -> Outcome {
    let write = Write::new(Fd(file.as_raw_fd()), b"new".as_ptr(), 3);
    uring::run(&how(write.build()))
}
