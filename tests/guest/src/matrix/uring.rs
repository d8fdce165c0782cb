// SPDX-License-Identifier: GPL-2.0
//! As much of io_uring as it takes to have one operation done.

use super::sys::{self, Outcome};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::io::Errno;

/// `struct io_uring_sqe`, of which the operations here need these fields.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Entry {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    pub offset: u64,
    pub address: u64,
    pub len: u32,
    pub op_flags: u32,
    pub user_data: u64,
    pub index: u32,
    pub file_index: i32,
    pub address3: u64,
    pub pad: u64,
}

const _: () = assert!(size_of::<Entry>() == 64);

pub const FALLOCATE: u8 = 17;
pub const OPENAT: u8 = 18;
pub const WRITE: u8 = 23;
pub const OPENAT2: u8 = 28;
pub const RENAMEAT: u8 = 35;
pub const UNLINKAT: u8 = 36;
pub const LINKAT: u8 = 39;
pub const FSETXATTR: u8 = 41;
pub const SETXATTR: u8 = 42;
pub const FTRUNCATE: u8 = 55;

/// `struct io_sqring_offsets`
#[repr(C)]
#[derive(Default)]
struct Submission {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: [u32; 3],
}

/// `struct io_cqring_offsets`
#[repr(C)]
#[derive(Default)]
struct Completion {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    overflow: u32,
    entries_at: u32,
    reserved: [u32; 4],
}

/// `struct io_uring_params`
#[repr(C)]
#[derive(Default)]
struct Parameters {
    submissions: u32,
    completions: u32,
    flags: u32,
    thread: [u32; 2],
    features: u32,
    workers: u32,
    reserved: [u32; 3],
    submission: Submission,
    completion: Completion,
}

const RING: usize = 4096;
const ENTRIES_AT: i64 = 0x1000_0000;
const GET_EVENTS: usize = 1;

/// Submits one operation to a ring of its own and waits until it is done.
///
/// What the entry has addresses of must live until this returns.
pub fn run(entry: Entry) -> Outcome {
    run_after(|_| Ok(entry))
}

/// The same with an entry that is made when there is a ring.
pub fn run_after(prepare: impl FnOnce(&OwnedFd) -> Result<Entry, Errno>) -> Outcome {
    let mut parameters = Parameters::default();
    let address = &raw mut parameters as usize;
    let ring = sys::call(libc::SYS_io_uring_setup, [1, address, 0, 0, 0, 0])?;
    let ring = sys::owned(ring)?;
    let queues = Shared::map(&ring, 0)?;
    let entries = Shared::map(&ring, ENTRIES_AT)?;

    let (submission, completion) = (&parameters.submission, &parameters.completion);
    entries.put(0, prepare(&ring)?)?;
    queues.put(submission.array, 0u32)?;
    queues.put(submission.tail, 1u32)?;
    // A system call is a barrier for what was stored before it.
    let enter = [ring.as_raw_fd() as usize, 1, 1, GET_EVENTS, 0, 0];
    sys::call(libc::SYS_io_uring_enter, enter)?;
    if queues.get(completion.tail)? != 1 {
        return Err(Errno::IO);
    }
    // The result follows the eight bytes of user data.
    match queues.get(completion.entries_at + 8)? as i32 {
        done @ 0.. => Ok(done as u64),
        error => Err(Errno::from_raw_os_error(-error)),
    }
}

/// A page that the kernel shares.
struct Shared(*mut u8);

impl Shared {
    fn map(ring: &OwnedFd, offset: i64) -> Result<Self, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let (flags, ring) = (libc::MAP_SHARED | libc::MAP_POPULATE, ring.as_raw_fd());
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), RING, protection, flags, ring, offset) };
        if at == libc::MAP_FAILED {
            return Err(sys::last_error());
        }
        Ok(Self(at.cast()))
    }

    fn at<T>(&self, offset: u32) -> Result<*mut T, Errno> {
        let offset = offset as usize;
        if offset + size_of::<T>() > RING || offset % align_of::<T>() != 0 {
            return Err(Errno::IO);
        }
        // SAFETY: it is in the mapping.
        Ok(unsafe { self.0.add(offset) }.cast())
    }

    fn put<T>(&self, offset: u32, value: T) -> Result<(), Errno> {
        // SAFETY: `at` checks the place; the kernel may look at it at any time.
        unsafe { self.at::<T>(offset)?.write_volatile(value) };
        Ok(())
    }

    fn get(&self, offset: u32) -> Result<u32, Errno> {
        // SAFETY: `at` checks the place; the kernel may change it at any time.
        Ok(unsafe { self.at::<u32>(offset)?.read_volatile() })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nothing refers into the mapping.
        unsafe { libc::munmap(self.0.cast(), RING) };
    }
}
