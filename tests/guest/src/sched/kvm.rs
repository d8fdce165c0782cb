// SPDX-License-Identifier: GPL-2.0
//! A virtual machine inside a context: what its CPU runs is no process, but the context's.

use super::counter::Counter;
use super::{NEVER, XID, cpu_time, is_a_tenth, rate, share};
use crate::calls::{ioctl, new_fd};
use crate::harness::Skip;
use crate::process;
use crate::suspend::OnlyFreezer;
use crate::unified::syscall;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsFd, AsRawFd as _, OwnedFd};
use rustix::io::Errno;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use vserver_abi as abi;

const CREATE_VM: u64 = 0xae01;
const CREATE_VCPU: u64 = 0xae41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
const RUN: u64 = 0xae80;
const GET_REGS: u64 = 0x8090_ae81;

/// `struct kvm_userspace_memory_region`
#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_phys_addr: u64,
    memory_size: u64,
    userspace_addr: u64,
}

const HARD: u64 = abi::VXF_SCHED_HARD;

const PAGE: usize = 4096;

/// The page where a processor begins, and where in that.
const BOOT_PAGE: u64 = 0xffff_f000;
const BOOT: usize = 0xff0;

/// Counts, in 16-bit code, at address 0: `l: addl $1, 0; adcl $0, 4; jmp l`
const CODE: [u8; 14] = [
    0x66, 0x83, 0x06, 0x00, 0x00, 0x01, // addl
    0x66, 0x83, 0x16, 0x04, 0x00, 0x00, // adcl
    0xeb, 0xf2, // jmp
];

/// A request that takes no argument.
fn request(file: impl AsFd, request: u64) -> Result<i64, Errno> {
    // SAFETY: the calls touch no memory of ours but what a machine was given, and that is its own.
    syscall(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request as _, 0usize) }.into())
}

/// A page with the code, which is never removed.
fn boot_page() -> Result<*mut u8> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, prot, flags, -1, 0) };
    ensure!(page != libc::MAP_FAILED, "mmap");
    let page = page.cast::<u8>();
    // SAFETY: it ends within the page.
    unsafe { std::ptr::copy_nonoverlapping(CODE.as_ptr(), page.add(BOOT), CODE.len()) };
    Ok(page)
}

/// A machine that has the page of `number` as its memory, and the one with the code.
fn machine(kvm: &File, number: &AtomicU64) -> Result<OwnedFd> {
    let machine = new_fd(request(kvm, CREATE_VM)?)?;
    let pages = [(0, number.as_ptr().cast()), (BOOT_PAGE, boot_page()?)];
    for (slot, (guest_phys_addr, page)) in (0..).zip(pages) {
        let mut region = MemoryRegion {
            slot,
            flags: 0,
            guest_phys_addr,
            memory_size: PAGE as u64,
            userspace_addr: page as u64,
        };
        ioctl(&machine, SET_USER_MEMORY_REGION, &mut region).context("memory")?;
    }
    Ok(machine)
}

/// Runs it, while another thread asks for the registers of its CPU again and again.
fn run(kvm: &File, number: &AtomicU64) -> Result<Infallible> {
    let machine = machine(kvm, number)?;
    let cpu = new_fd(request(&machine, CREATE_VCPU)?)?;
    let asked = cpu.try_clone()?;
    std::thread::spawn(move || {
        let mut regs = [0u64; 18];
        while ioctl(&asked, GET_REGS, &mut regs).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    loop {
        let end = request(&cpu, RUN);
        ensure!(end == Err(Errno::INTR), "KVM_RUN: {end:?}");
    }
}

/// The states of the threads of a process.
fn states(pid: u32) -> Result<Vec<char>> {
    let mut states = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(entry?.path().join("stat"))?;
        let (_, rest) = stat.rsplit_once(") ").context("stat")?;
        states.extend(rest.chars().next());
    }
    Ok(states)
}

/// A machine, in a context without a limit, that runs and whose CPU is asked for its registers.
fn running() -> Result<Counter> {
    let kvm = match File::options().read(true).write(true).open("/dev/kvm") {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Skip("no AMD processor that runs virtual machines").into());
        }
        kvm => kvm.context("/dev/kvm")?,
    };
    let guest = Counter::by(XID, 0, None, |number| {
        let Err(e) = run(&kvm, number);
        println!("# {e:#}");
        1
    })?;
    guest.counts_after(|| Ok(()))?;
    until_asked(&guest)?;
    Ok(guest)
}

/// Who asks waits for the mutex of a CPU that does not leave the machine.
fn until_asked(guest: &Counter) -> Result<()> {
    let asks = || states(guest.child.id()).is_ok_and(|states| states.contains(&'D'));
    process::eventually("somebody waits for the CPU's mutex", asks)
}

/// Who runs the machine and who asked its CPU wait for tokens: nobody has its mutex any more. There
/// may be a thread of KVM's besides, which sleeps.
fn until_held(guest: &Counter) -> Result<()> {
    process::eventually("both on hold", || {
        let states = states(guest.child.id()).unwrap_or_default();
        !states.is_empty()
            && states.iter().all(|&state| state == 'S')
            && abi::virt_stat(XID).is_ok_and(|stat| stat.nr_onhold >= 2)
    })
}

fn limit(sched: abi::Sched) -> Result<()> {
    abi::set_sched(XID, sched)?;
    Ok(abi::set_cflags(XID, HARD, HARD)?)
}

fn no_limit() -> Result<()> {
    Ok(abi::set_cflags(XID, 0, HARD)?)
}

/// What it runs is billed, and it waits for tokens like any process: without a lock.
pub fn virtual_cpu_is_held() -> Result<()> {
    let guest = running()?;
    let before = cpu_time(guest.child.id())?;
    share(1).context("the bill")?;
    let ran = cpu_time(guest.child.id())? - before;
    ensure!(ran > 300, "{ran} ms: the machine does not run");
    for _ in 0..5 {
        limit(rate(NEVER.0, NEVER.1))?;
        until_held(&guest)?;
        guest.rests(|| Ok(()))?;
        guest.counts_after(|| Ok(abi::set_sched(XID, rate(50, 50))?))?;
        guest.counts_after(no_limit)?;
        until_asked(&guest)?;
    }
    limit(rate(5, 50))?;
    is_a_tenth(share(3)?)?;
    guest.counts_after(|| Ok(()))
}

/// Neither it nor who asks is in the way of a machine that is to sleep.
pub fn machine_suspends_with_a_virtual_cpu_on_hold() -> Result<()> {
    let guest = running()?;
    let power = OnlyFreezer::new()?;
    for _ in 0..3 {
        limit(rate(NEVER.0, NEVER.1))?;
        until_held(&guest)?;
        guest.rests(|| {
            power.suspend()?;
            until_held(&guest)
        })?;
        guest.counts_after(no_limit)?;
        power.suspend()?;
        until_asked(&guest)?;
    }
    Ok(())
}
