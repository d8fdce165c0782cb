// SPDX-License-Identifier: GPL-2.0
//! Writers in flight against whoever makes the file unified.

use super::flags::raced_again;
use super::race::{Race, race_until};
use super::shared::place;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, pwrite};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

const BLOCK: usize = 65536;

/// What direct I/O can take its data from.
#[repr(align(4096))]
struct Block([u8; BLOCK]);

/// How it is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Calls,
    Direct,
    Mapping,
    /// Direct I/O that goes on when its descriptor is closed.
    Submitted,
}

/// An open writer.
enum Writer {
    Fd(OwnedFd),
    Mapping(Mapping),
    Submitted(OwnedFd, Queue),
}

impl Writer {
    fn open(kind: Kind, path: &Path) -> Result<Self> {
        let direct = match kind {
            Kind::Direct | Kind::Submitted => OFlags::DIRECT,
            _ => OFlags::empty(),
        };
        let fd = open(path, OFlags::RDWR | direct)?;
        Ok(match kind {
            Kind::Calls | Kind::Direct => Self::Fd(fd),
            Kind::Mapping => Self::Mapping(Mapping::new(&fd)?),
            Kind::Submitted => Self::Submitted(fd, Queue::new()?),
        })
    }

    fn write(&self, block: &Block) -> Result<()> {
        match self {
            Self::Fd(fd) => ensure!(pwrite(fd, &block.0, 0)? == BLOCK, "a short write"),
            Self::Mapping(mapping) => mapping.write(block),
            Self::Submitted(fd, queue) => queue.submit(fd, block)?,
        }
        Ok(())
    }

    /// Closes the descriptor first and then waits for what is still under way.
    fn close(self) {
        if let Self::Submitted(fd, queue) = self {
            drop(fd);
            drop(queue);
        }
    }
}

/// A shared mapping of a file's first block.
struct Mapping(*mut u8);

impl Mapping {
    fn new(fd: &OwnedFd) -> Result<Self> {
        // SAFETY: a new mapping.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        ensure!(map != libc::MAP_FAILED, "mmap");
        Ok(Self(map.cast()))
    }

    fn write(&self, block: &Block) {
        // SAFETY: the mapping has as many bytes, and nobody has a reference to it.
        unsafe { std::ptr::copy_nonoverlapping(block.0.as_ptr(), self.0, BLOCK) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping from above.
        unsafe { libc::munmap(self.0.cast(), BLOCK) };
    }
}

/// Of asynchronous I/O.
struct Queue(u64);

/// How many can be under way.
const DEPTH: u32 = 32;

impl Queue {
    fn new() -> Result<Self> {
        let mut context = 0u64;
        // SAFETY: `context` is where the answer goes.
        syscall(unsafe { libc::syscall(libc::SYS_io_setup, DEPTH, &raw mut context) })
            .context("io_setup")?;
        Ok(Self(context))
    }

    /// Begins to write the block, which lives as long as the queue.
    fn submit(&self, fd: &OwnedFd, block: &Block) -> Result<()> {
        const PWRITE: u64 = 1;
        // struct iocb: data, key, opcode and descriptor, buffer, length, offset, nothing more
        let request = [
            0,
            0,
            PWRITE | (fd.as_raw_fd() as u64) << 32,
            block.0.as_ptr() as u64,
            BLOCK as u64,
            0,
            0,
            0,
        ];
        let requests = [request.as_ptr()];
        // SAFETY: one valid request; its block outlives it, as the queue waits for it.
        let ret = unsafe { libc::syscall(libc::SYS_io_submit, self.0, 1, requests.as_ptr()) };
        match syscall(ret) {
            // As many are under way as there may be.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(e).context("io_submit"),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this waits for all that has been submitted.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.0) };
    }
}

/// How far the writer is.
const OPEN: u8 = 1;
const CLOSING: u8 = 2;

/// 3, 18: while anybody can write the flags can't be set, and from then on nobody writes: what he
/// has begun before has ended.
pub fn writers_in_flight() -> Result<()> {
    let dir = place()?.join("in-flight");
    fs::create_dir_all(&dir)?;
    let (path, other) = (dir.join("file"), dir.join("other"));
    let mut kinds = vec![Kind::Calls, Kind::Mapping];
    // tmpfs has no direct I/O of its own.
    if !dir.starts_with("/mnt/tmpfs") {
        kinds.extend([Kind::Direct, Kind::Submitted]);
    }
    let wanted: Vec<_> = kinds
        .iter()
        .flat_map(|kind| [outcome(*kind, true), outcome(*kind, false)])
        .collect();
    let done = race_until(&wanted, |race| {
        let mut each = kinds.iter();
        each.try_for_each(|kind| round(race, *kind, &path, &other))
    });
    fs::remove_dir_all(&dir)?;
    done
}

fn outcome(kind: Kind, copied: bool) -> String {
    format!("{kind:?} {}", if copied { "copied" } else { "done before" })
}

fn round(race: &mut Race, kind: Kind, path: &PathBuf, other: &PathBuf) -> Result<()> {
    for name in [path, other] {
        if name.exists() {
            fs::remove_file(name)?;
        }
    }
    fs::write(path, [b'a'; BLOCK])?;
    fs::hard_link(path, other)?;
    let blocks = [b'b', b'c'].map(|letter| Box::new(Block([letter; BLOCK])));
    let phase = AtomicU8::new(0);
    let (written, seen) = race.pair(
        || -> Result<()> {
            let writer = Writer::open(kind, path)?;
            phase.store(OPEN, Ordering::SeqCst);
            for block in blocks.iter().cycle().take(8) {
                writer.write(block)?;
            }
            phase.store(CLOSING, Ordering::SeqCst);
            writer.close();
            Ok(())
        },
        || -> Result<(bool, Vec<u8>)> {
            loop {
                let before = phase.load(Ordering::SeqCst);
                match set_flags(other, UNIFIED, UNIFIED) {
                    Err(Errno::TXTBSY) => std::thread::yield_now(),
                    Err(e) => return Err(e).context("set_iattr"),
                    Ok(()) => {
                        let busy = before == OPEN && phase.load(Ordering::SeqCst) == OPEN;
                        return Ok((busy, fs::read(other)?));
                    }
                }
            }
        },
    )?;
    let (busy, seen) = seen?;
    match written {
        Ok(()) => {}
        Err(e) if e.downcast_ref().copied().is_some_and(raced_again) => race.count("refused"),
        Err(e) => return Err(e).with_context(|| format!("{kind:?}")),
    }
    ensure!(!busy, "{kind:?}: unified while it was open for writing");
    ensure!(
        fs::read(other)? == seen,
        "{kind:?}: it changed while unified"
    );
    let copied = look(path)?.ino != look(other)?.ino;
    race.count(outcome(kind, copied));
    Ok(())
}
