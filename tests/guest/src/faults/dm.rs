// SPDX-License-Identifier: GPL-2.0
//! A disk that fails on demand: a device-mapper device over a real one, whose table is changed
//! while it is in use.

use crate::unified::syscall;
use anyhow::{Context as _, Result};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

/// What is to happen to requests.
#[derive(Clone, Copy, Debug)]
pub enum Disk {
    Good,
    /// Reading is an error.
    NoReads,
    /// Writing is an error.
    NoWrites,
    Dead,
}

/// `struct dm_ioctl`, with one `struct dm_target_spec` and its parameters behind it.
#[repr(C)]
struct Request {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
    sector_start: u64,
    length: u64,
    status: i32,
    next: u32,
    target: [u8; 16],
    params: [u8; 128],
}

const HEADER: u32 = 312;
const _: () = assert!(std::mem::offset_of!(Request, sector_start) == HEADER as usize);
const _: () = assert!(std::mem::offset_of!(Request, params) == HEADER as usize + 40);

const CREATE: u64 = 3;
const REMOVE: u64 = 4;
const SUSPEND: u64 = 6;
const LOAD: u64 = 9;

const SUSPEND_FLAG: u32 = 1 << 1;
/// The file system is not frozen: it has to see the change as it comes.
const SKIP_LOCKFS: u32 = 1 << 10;

/// The device; removed when dropped.
pub struct Flaky {
    control: File,
    below: String,
    sectors: u64,
    /// The number behind `dm-`.
    minor: u64,
}

impl Flaky {
    /// Over the block device `below`, which is good for now.
    pub fn new(below: &str) -> Result<Self> {
        let name = below.strip_prefix("/dev/").context("no device")?;
        let size = fs::read_to_string(format!("/sys/class/block/{name}/size"))?;
        let mut this = Self {
            control: File::options()
                .read(true)
                .write(true)
                .open("/dev/mapper/control")?,
            below: below.to_owned(),
            sectors: size.trim().parse()?,
            minor: 0,
        };
        let created = this.ioctl(CREATE, |_| ()).context("dm create")?;
        this.minor = (created.dev & 0xff) | (created.dev >> 12 & 0xfff_ff00);
        this.become_(Disk::Good)?;
        Ok(this)
    }

    /// Its name in `/dev` and `/sys/block`.
    pub fn name(&self) -> String {
        format!("dm-{}", self.minor)
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from("/dev").join(self.name())
    }

    pub fn become_(&self, disk: Disk) -> Result<()> {
        let below = &self.below;
        let (target, params) = match disk {
            Disk::Good => ("linear", format!("{below} 0")),
            Disk::NoReads => ("flakey", format!("{below} 0 0 1 1 error_reads")),
            Disk::NoWrites => ("flakey", format!("{below} 0 0 1 1 error_writes")),
            Disk::Dead => ("error", String::new()),
        };
        self.ioctl(LOAD, |r| {
            r.target_count = 1;
            r.length = self.sectors;
            put(&mut r.target, target);
            put(&mut r.params, &params);
        })
        .with_context(|| format!("dm load {target} {params}"))?;
        self.ioctl(SUSPEND, |r| r.flags = SKIP_LOCKFS)
            .context("dm resume")?;
        Ok(())
    }

    /// From now on requests wait.
    pub fn suspend(&self) -> Result<()> {
        self.ioctl(SUSPEND, |r| r.flags = SUSPEND_FLAG | SKIP_LOCKFS)
            .context("dm suspend")?;
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        self.ioctl(SUSPEND, |_| ()).context("dm resume")?;
        Ok(())
    }

    fn ioctl(&self, number: u64, fill: impl FnOnce(&mut Request)) -> Result<Request, Errno> {
        let size = size_of::<Request>();
        let mut request = Request {
            version: [4, 0, 0],
            data_size: size as u32,
            data_start: HEADER,
            target_count: 0,
            open_count: 0,
            flags: 0,
            event_nr: 0,
            padding: 0,
            dev: 0,
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
            sector_start: 0,
            length: 0,
            status: 0,
            next: 0,
            target: [0; 16],
            params: [0; 128],
        };
        put(&mut request.name, "faults");
        fill(&mut request);
        // _IOWR(0xfd, number, struct dm_ioctl)
        let code = 0xc000_0000 | u64::from(HEADER) << 16 | 0xfd << 8 | number;
        // SAFETY: the request says how large it is, and outlives the call.
        syscall(
            unsafe { libc::ioctl(self.control.as_raw_fd(), code as _, &raw mut request) }.into(),
        )?;
        Ok(request)
    }
}

/// A C string into a field of zeroes.
fn put(field: &mut [u8], text: &str) {
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        // Whoever is waiting for a suspended device is let go by this.
        let _ = self.become_(Disk::Good);
        let _ = self.ioctl(REMOVE, |_| ());
    }
}
