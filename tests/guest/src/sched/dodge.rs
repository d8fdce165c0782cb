// SPDX-License-Identifier: GPL-2.0
//! Ways to run that a limit which looks only now and then would not see.

use super::{XID, first, is_a_tenth, rate, share};
use anyhow::{Result, ensure};
use vserver_abi as abi;

/// A tenth of a CPU for a process that does `body` again and again.
fn gets_a_tenth(mut body: impl FnMut(u32)) -> Result<()> {
    let _guest = first(XID, abi::VXF_SCHED_HARD, Some(rate(5, 50)), || {
        for round in 0.. {
            body(round);
        }
        0
    })?;
    is_a_tenth(share(3)?)
}

/// Runs for about so many microseconds.
fn run(us: u128) {
    let start = std::time::Instant::now();
    while start.elapsed().as_micros() < us {
        std::hint::spin_loop();
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    run(100);
}

/// Each signal lets it out to be handled, and no further.
pub fn signals_gain_nothing() -> Result<()> {
    gets_a_tenth(|round| {
        if round == 0 {
            let every_ms = libc::timeval {
                tv_sec: 0,
                tv_usec: 1000,
            };
            let timer = libc::itimerval {
                it_interval: every_ms,
                it_value: every_ms,
            };
            // SAFETY: the handler touches nothing, `timer` is valid.
            unsafe {
                libc::signal(libc::SIGALRM, on_signal as *const () as libc::sighandler_t);
                libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
            }
        }
        run(1000);
    })
}

pub fn short_lives_gain_nothing() -> Result<()> {
    gets_a_tenth(|_| {
        // SAFETY: the child only runs for a while; there are no other threads.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                run(500);
                libc::_exit(0);
            }
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    })
}

/// Off the CPU whenever a tick is to come.
pub fn short_sleeps_gain_nothing() -> Result<()> {
    gets_a_tenth(|_| {
        run(900);
        std::thread::sleep(std::time::Duration::from_micros(50));
    })
}

pub fn moves_gain_nothing() -> Result<()> {
    gets_a_tenth(|round| {
        let mut cpus = rustix::thread::CpuSet::new();
        cpus.set(round as usize % 2);
        let _ = rustix::thread::sched_setaffinity(None, &cpus);
        run(300);
    })
}

/// What CPUs have collected shows in the tokens at once.
pub fn slices_are_in_the_books() -> Result<()> {
    let sched = abi::Sched {
        tokens: 1_000_000,
        tokens_max: 1_000_000,
        ..rate(0, 1000)
    };
    let child = first(XID, abi::VXF_SCHED_HARD, Some(sched), || {
        for round in 0..200 {
            let mut cpus = rustix::thread::CpuSet::new();
            cpus.set(round % 2);
            let _ = rustix::thread::sched_setaffinity(None, &cpus);
            run(1_500);
        }
        super::process::sleep_forever()
    })?;
    super::process::eventually("it sleeps", || {
        super::state(child.id()) == Some('S')
            && abi::get_sched(XID).is_ok_and(|s| s.tokens < 999_930)
    })?;
    let tick_ns = u64::from(abi::sched_info(XID, 0)?.token_usec) * 1000;
    let spent = 1_000_000 - abi::get_sched(XID)?.tokens;
    let (used, _) = super::used()?;
    let spent_ms = spent as u64 * tick_ns / 1_000_000;
    // What it used before the limit acted is not in it; both are rounded.
    let slack = 2 * tick_ns / 1_000_000 + 2;
    ensure!(
        spent_ms <= used + slack && used <= spent_ms + 30,
        "{spent_ms} ms taken out, {used} ms used"
    );
    Ok(())
}
