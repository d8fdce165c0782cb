// SPDX-License-Identifier: GPL-2.0
//! The system call under calls that make no sense, from everybody at once, while contexts come and
//! go and the module with them. What is asserted: nobody hangs, nothing is left, and (by the guest
//! runner) the kernel has nothing to say.
//!
//! FUZZ=n makes n calls instead of a hundred thousand, FUZZ_SEED=s the same ones again as far as
//! one processor can tell.

use crate::harness::Suite;
use crate::illusion::{kib, lines};
use crate::module::{insert, remove};
use crate::process::{Child, Status, eventually, spawn};
use crate::unified::open;
use crate::{raw, tests};
use anyhow::{Context as _, Result, ensure};
use rustix::fd::AsRawFd as _;
use rustix::fs::OFlags;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "fuzz",
    // The module's own tests would run each time that it comes.
    wants: "cpus=4 timeout=1700 alone=yes append=kunit.enable=0 env=FUZZ env=FUZZ_SEED",
    tests: tests![calls, module_comes_and_goes],
};

/// All at once; as many processors as the machine has.
const WORKERS: u64 = 4;
/// What a process calls before another one takes over.
const CALLS_EACH: u64 = 100;
/// How long it may take for them; a context may hold or pause it, and then it is killed.
const PATIENCE: Duration = Duration::from_millis(600);
/// By how much the kernel's memory may differ, in KiB: much less than a hundred contexts or processes.
const SLACK: u64 = 1024;
/// How often the module goes.
const TIMES: u32 = 100;

/// The contexts that are fought for.
const XIDS: [u32; 4] = [401, 402, 403, 404];

/// Numbers at which something changes.
const WORDS: &[u64] = &[
    0,
    1,
    2,
    3,
    0x20,
    100,
    401,
    0x1_0000,
    0x0002_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    1 << 32,
    7 << 32,
    1 << 38,
    u64::MAX - 1,
    u64::MAX,
];

/// A xorshift generator: the calls of a seed are always the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T], default: T) -> T {
        let i = self.below(of.len() as u64) as usize;
        of.get(i).copied().unwrap_or(default)
    }

    fn word(&mut self) -> u64 {
        match self.one_in(3) {
            true => self.next(),
            false => self.pick(WORDS, 0),
        }
    }
}

fn setting(name: &str, default: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(default), |n| n.parse().context(name.to_owned()))
}

/// The first seed of this run, printed so that it can be run again.
fn seed() -> Result<u64> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_nanos() as u64;
    let seed = setting("FUZZ_SEED", now)? | 1;
    println!("# FUZZ_SEED={seed}");
    Ok(seed)
}

/// Memory for arguments, with nothing behind it.
struct Arena {
    end: usize,
    path: usize,
}

impl Arena {
    const SIZE: usize = 4096;

    fn new(path: &'static std::ffi::CStr) -> Result<Self> {
        // SAFETY: mappings of this process's own, at addresses that the kernel chooses; the second
        // page is given back and never touched.
        let start = unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                2 * Self::SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            ensure!(start != libc::MAP_FAILED, "mmap");
            let behind = start.byte_add(Self::SIZE);
            ensure!(libc::munmap(behind, Self::SIZE) == 0, "munmap");
            start
        };
        Ok(Self {
            end: start as usize + Self::SIZE,
            path: path.as_ptr() as usize,
        })
    }

    /// An address for a structure: mostly one with room behind it, full of random words.
    fn argument(&self, random: &mut Random) -> usize {
        match random.below(12) {
            0 => 0,
            1 => random.word() as usize,
            2 => self.end - random.below(16) as usize,
            n => {
                let size = 8 * (1 + random.below(12)) as usize;
                let start = self.end - size;
                for offset in (0..size).step_by(8) {
                    let word = match offset == 0 && n == 3 {
                        true => self.path as u64,
                        false => random.word(),
                    };
                    // SAFETY: inside the page, which nothing else refers to.
                    unsafe { ((start + offset) as *mut u64).write(word) };
                }
                start
            }
        }
    }
}

/// Calls, from one process, which may be anybody and may end up anywhere.
fn caller(seed: u64) -> Result<()> {
    let mut random = Random(seed);
    // Whoever waits for an end is to be done with it.
    // SAFETY: the handler does nothing; action and timer are valid, zeroes an empty mask.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as *const () as libc::sighandler_t;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: 5000,
        };
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
    }
    // What it opens is all that a descriptor may name.
    let file = open(Path::new("/tmp/fuzz/file"), OFlags::RDONLY)?;
    let arena = Arena::new(c"/tmp/fuzz/file")?;
    match random.below(8) {
        0 => {
            // SAFETY: this touches no memory.
            unsafe { libc::setresuid(1000, 1000, 1000) };
        }
        1..4 => {
            let _ = abi::ctx_create(random.pick(&XIDS, 0), random.word() & !abi::VXF_SCHED_PAUSE);
        }
        _ => {}
    }
    for _ in 0..CALLS_EACH {
        // Version and number are changed now and then.
        let mut cmd = random.pick(abi::COMMANDS, 0);
        if random.one_in(8) {
            cmd ^= 1 << random.below(32);
        }
        let id = match random.below(6) {
            0 => random.word() as u32,
            1 => abi::VX_XID_SELF,
            2 => file.as_raw_fd() as u32,
            _ => random.pick(&XIDS, 0),
        };
        // A descriptor that the test itself needs is nobody's to change.
        let id = match cmd {
            abi::VCMD_fset_iattr | abi::VCMD_unify | abi::VCMD_deunify => file.as_raw_fd() as u32,
            _ => id,
        };
        let _ = raw::vserver(cmd, id, arena.argument(&mut random));
        if random.one_in(20) {
            // Somebody to inherit, to be killed and to be the last.
            let _ = spawn(|| 0).and_then(Child::wait);
        }
    }
    Ok(())
}

extern "C" fn on_alarm(_: libc::c_int) {}

/// Waits for a caller; kills it if it takes too long.
fn finish(child: Child) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if has_ended(&child) {
            break;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let _ = child.kill(Signal::KILL);
    let status = child.wait()?;
    ensure!(
        // Others kill it too, by ctx_kill, with any signal.
        !matches!(status, Status::Exited(1 | 101)),
        "a caller: {status:?}"
    );
    Ok(())
}

/// Whether it is only waited for.
fn has_ended(child: &Child) -> bool {
    // SAFETY: all zeroes are a valid siginfo_t, which the kernel fills.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, child.id(), &mut info, flags) == 0 && info.si_pid() != 0
    }
}

/// While there is this file, no new callers are started; with the other one, none any more.
const REST: &str = "/tmp/fuzz/rest";
const STOP: &str = "/tmp/fuzz/stop";

fn is_there(file: &str) -> bool {
    fs::exists(file).unwrap_or(true)
}

/// Callers one after the other, until there were `calls` calls.
fn work(seed: u64, calls: u64) -> Result<()> {
    let mut random = Random(seed);
    for _ in 0..calls.div_ceil(CALLS_EACH) {
        while is_there(REST) && !is_there(STOP) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_there(STOP) {
            break;
        }
        let seed = random.next() | 1;
        finish(spawn(|| match caller(seed) {
            Ok(()) => 0,
            Err(e) => {
                println!("# {e:#}");
                1
            }
        })?)?;
    }
    Ok(())
}

fn start_workers(seed: u64, calls: u64) -> Result<Vec<Child>> {
    fs::create_dir_all("/tmp/fuzz")?;
    let _ = fs::remove_file(STOP);
    fs::write("/tmp/fuzz/file", b"file")?;
    (0..WORKERS)
        .map(|i| {
            spawn(move || match work(seed + 2 * i, calls / WORKERS) {
                Ok(()) => 0,
                Err(e) => {
                    println!("# worker {i}: {e:#}");
                    1
                }
            })
        })
        .collect()
}

/// Ends every context there is, whatever it was made to be.
fn end_all() -> bool {
    let Ok(entries) = fs::read_dir("/proc/virtual") else {
        return true;
    };
    let mut none = true;
    for entry in entries.flatten() {
        if let Ok(xid) = entry.file_name().to_string_lossy().parse() {
            none = false;
            let _ = abi::set_cflags(xid, 0, abi::VXF_PERSISTENT);
            let _ = abi::ctx_kill(xid, 0, libc::SIGKILL);
        }
    }
    none
}

/// What the kernel has of its own memory, in KiB, when it has given back what it can.
fn kernel_memory() -> Result<u64> {
    fs::write("/proc/sys/vm/drop_caches", "3")?;
    for cache in fs::read_dir("/sys/kernel/slab")? {
        // Some are gone by now.
        let _ = fs::write(cache?.path().join("shrink"), "1");
    }
    let all = lines("/proc/meminfo")?;
    Ok(kib(&all, "SUnreclaim")? + kib(&all, "Percpu")? + kib(&all, "KernelStack")?)
}

fn calls() -> Result<()> {
    // Longer than a test may take otherwise: the suite's own time is the limit.
    crate::process::alarm(800);
    let calls = setting("FUZZ", 100_000)?;
    let seed = seed()?;
    // The first half makes what is made once.
    let mut kib = [0; 2];
    for (half, kib) in kib.iter_mut().enumerate() {
        for worker in start_workers(seed + half as u64 * 2 * WORKERS, calls / 2)? {
            ensure!(worker.wait()? == Status::Exited(0), "a worker");
        }
        eventually("all contexts end", end_all)?;
        eventually("none is counted", || {
            fs::read_to_string("/proc/virtual/status").is_ok_and(|s| s.starts_with("#CTotal:\t0\n"))
        })?;
        // Not if a reference to anything of the module's were left.
        eventually("nobody needs the module", || remove().is_ok())?;
        *kib = kernel_memory()?;
        insert()?;
    }
    println!("# {kib:?} KiB of the kernel's after half of the calls and after all");
    ensure!(kib[1] < kib[0] + SLACK, "memory is left");
    Ok(())
}

/// While the last callers are still at it, and some meet a kernel without the call.
fn module_comes_and_goes() -> Result<()> {
    crate::process::alarm(800);
    let workers = start_workers(seed()?, u64::MAX / 2)?;
    let mut done = Ok(());
    for time in 0..TIMES {
        fs::write(REST, b"")?;
        done = eventually("the module is not needed for a moment", || {
            remove().is_ok() || (end_all() && remove().is_ok())
        });
        fs::remove_file(REST)?;
        done = done
            .and_then(|()| insert())
            .with_context(|| format!("time {time}"));
        if done.is_err() {
            break;
        }
    }
    fs::write(STOP, b"")?;
    for worker in workers {
        ensure!(worker.wait()? == Status::Exited(0), "a worker");
    }
    done?;
    eventually("all contexts end", end_all)
}
