// SPDX-License-Identifier: GPL-2.0
//! The workers of vhost, which run in the kernel for the process that owns the device: they are its
//! threads, in its context.

use super::{NEVER, XID, cpu_time, first, rate, runs, used};
use crate::calls::ioctl;
use crate::process::{self, Child, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::io::{self, Errno};
use std::fs::{self, File};
use std::io::Read as _;
use std::time::Duration;
use vserver_abi as abi;

const SET_OWNER: u64 = 0xaf01;
const SET_VRING_KICK: u64 = 0x4008_af20;
const SET_FORK_FROM_OWNER: u64 = 0x4001_af84;
const GET_FORK_FROM_OWNER: u64 = 0x8001_af85;

/// What its worker is to be
const KTHREAD: u8 = 0;
const TASK: u8 = 1;

/// `struct vhost_vring_file`
#[repr(C)]
struct VringFile {
    index: u32,
    fd: i32,
}

/// A new one, without an owner.
pub(super) fn device() -> Result<File> {
    let both = File::options()
        .read(true)
        .write(true)
        .open("/dev/vhost-net");
    both.context("/dev/vhost-net")
}

fn ask_for(device: &File, mut mode: u8) -> Result<(), Errno> {
    ioctl(device, SET_FORK_FROM_OWNER, &mut mode).map(|_| ())
}

fn mode(device: &File) -> Result<u8, Errno> {
    let mut mode = 0xff;
    ioctl(device, GET_FORK_FROM_OWNER, &mut mode)?;
    Ok(mode)
}

/// Becomes the owner of a device, whose worker looks for work at each kick.
fn own(device: &File, kick: &OwnedFd) -> Result<()> {
    ensure!(ask_for(device, KTHREAD) == Err(Errno::PERM), "a kthread");
    ioctl(device, SET_OWNER, &mut 0u64).context("SET_OWNER")?;
    ensure!(mode(device)? == TASK, "the worker is a kthread");
    let mut file = VringFile {
        index: 0,
        fd: kick.as_raw_fd(),
    };
    ioctl(device, SET_VRING_KICK, &mut file).context("SET_VRING_KICK")?;
    Ok(())
}

/// A process that sleeps, and the worker of a device, which looks for work at each kick. Those inside
/// open no devices: they are given one.
pub(super) fn with_worker(
    sched: abi::Sched,
    device: &File,
    kick: &OwnedFd,
) -> Result<(Child, u32)> {
    let (mut read, write) = process::pipe()?;
    let child = first(XID, abi::VXF_SCHED_HARD, Some(sched), || {
        let owned = own(device, kick);
        let text = owned.map_or_else(|e| format!("{e:#}"), |()| "fine".to_owned());
        let _ = io::write(&write, text.as_bytes());
        process::sleep_forever()
    })?;
    let mut text = [0; 100];
    let n = read.read(&mut text)?;
    let text = String::from_utf8_lossy(&text[..n]);
    ensure!(text == "fine", "{text}");
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/task", child.id()))? {
        threads.push(entry?.file_name().to_string_lossy().parse::<u32>()?);
    }
    let worker = threads.into_iter().find(|&thread| thread != child.id());
    Ok((child, worker.context("no worker")?))
}

/// A process of the host that kicks again and again.
pub(super) fn kicker(kick: &OwnedFd) -> Result<Child> {
    spawn(|| {
        while io::write(kick, &1u64.to_ne_bytes()).is_ok() {}
        1
    })
}

/// Nobody inside has the kernel do work that is billed to nobody, whatever the device was told.
pub fn vhost_worker_is_in_the_context() -> Result<()> {
    for asked in [TASK, KTHREAD] {
        let (device, kick) = (device()?, eventfd(0, EventfdFlags::empty())?);
        ask_for(&device, asked)?;
        ensure!(mode(&device)? == asked, "the host can't choose");
        let (child, worker) = with_worker(rate(50, 50), &device, &kick)?;
        let comm = fs::read_to_string(format!("/proc/{}/task/{worker}/comm", child.id()))?;
        ensure!(comm.starts_with("vhost-"), "{comm}");
        ensure!(abi::task_xid(worker)? == XID);
    }
    Ok(())
}

/// What a worker runs is the context's, and it waits for tokens like all others. There is little to do
/// at a kick, so a worker that is not held still uses some milliseconds in a second.
pub fn vhost_worker_is_held() -> Result<()> {
    let kick = eventfd(0, EventfdFlags::empty())?;
    let (child, _) = with_worker(rate(50, 50), &device()?, &kick)?;
    let _kicker = kicker(&kick)?;
    let own = cpu_time(child.id())?;
    runs()?;
    ensure!(cpu_time(child.id())? <= own + 1, "it is not the worker");

    abi::set_sched(XID, rate(NEVER.0, NEVER.1))?;
    process::eventually("it waits", || {
        let before = used().unwrap_or_default().0;
        std::thread::sleep(Duration::from_secs(1));
        used().is_ok_and(|now| now.0 == before)
    })?;
    abi::set_sched(XID, rate(50, 50))?;
    runs()
}
