// SPDX-License-Identifier: GPL-2.0
//! What something costs: the instructions that the machine executed for it, or the time it took.
//!
//! QEMU's `-icount shift=0` lets the guest's clock, and with it the processor's time stamp counter,
//! advance by one for each instruction. On a machine of one CPU that counts whatever runs: the
//! caller, kernel threads that work for it, interrupts. Waiting for a disk must not count, as how
//! long it takes is the host's affair. So the CPU never idles: while nobody else wants it, a
//! process of the lowest priority counts, and what it has executed is taken off.

use anyhow::{Context as _, Result, ensure};
use std::arch::asm;
use std::arch::x86_64::_rdtsc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use vserver_abi::process::{Fork, fork, shared_number};

/// A way to measure.
pub enum Meter {
    Instructions(Filler),
    Nanoseconds,
}

impl Meter {
    /// The one that $BENCH_UNIT names.
    pub fn new() -> Result<Self> {
        match std::env::var("BENCH_UNIT").as_deref() {
            Ok("ns") => Ok(Self::Nanoseconds),
            _ => {
                check_counting()?;
                Ok(Self::Instructions(Filler::start()?))
            }
        }
    }

    /// What `f` costs.
    pub fn measure(&self, f: impl FnOnce() -> Result<()>) -> Result<u64> {
        match self {
            Self::Instructions(filler) => {
                let (start, idle) = (now(), filler.executed());
                f()?;
                let (end, idle_end) = (now(), filler.executed());
                let busy = (end - start).checked_sub(idle_end - idle);
                busy.context("more was executed in idle time than altogether")
            }
            Self::Nanoseconds => {
                let start = Instant::now();
                f()?;
                Ok(u64::try_from(start.elapsed().as_nanos())?)
            }
        }
    }
}

/// Instructions executed since the machine was started.
pub fn now() -> u64 {
    // SAFETY: any x86-64 processor has it.
    unsafe { _rdtsc() }
}

/// Fails if the time stamp counter counts anything but the instructions of a single CPU.
pub fn check_counting() -> Result<()> {
    const ROUNDS: u64 = 10_000;
    ensure!(
        std::thread::available_parallelism()?.get() == 1,
        "instructions can be counted on one CPU only"
    );
    let mut least = u64::MAX;
    for _ in 0..20 {
        let start = now();
        // SAFETY: counts a register down.
        unsafe { asm!("2:", "dec {0}", "jnz 2b", inout(reg) ROUNDS => _, options(nomem, nostack)) };
        least = least.min(now() - start);
    }
    ensure!(
        (2 * ROUNDS..2 * ROUNDS + 100).contains(&least),
        "{} instructions count as {least}: not under -icount shift=0?",
        2 * ROUNDS
    );
    Ok(())
}

/// The process that counts in idle time.
pub struct Filler {
    pid: libc::pid_t,
    counter: &'static AtomicU64,
}

impl Filler {
    fn start() -> Result<Self> {
        let counter = shared_number()?;
        match fork()? {
            Fork::Parent(pid) => Ok(Self {
                pid: pid.as_raw_nonzero().get(),
                counter,
            }),
            Fork::Child => {
                let param = libc::sched_param { sched_priority: 0 };
                // SAFETY: `param` is valid; the others touch no memory.
                let idle = unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::sched_setscheduler(0, libc::SCHED_IDLE, &param) == 0
                };
                if idle {
                    count(counter);
                }
                std::process::exit(1)
            }
        }
    }

    /// How many instructions it has executed.
    fn executed(&self) -> u64 {
        2 * self.counter.load(Ordering::Relaxed)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// Two instructions a round.
fn count(counter: &AtomicU64) -> ! {
    // SAFETY: only this process writes the counter, and it is read as a whole.
    unsafe {
        asm!("2:", "inc qword ptr [{0}]", "jmp 2b", in(reg) counter.as_ptr(), options(noreturn, nostack))
    }
}
