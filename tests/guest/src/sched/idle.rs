// SPDX-License-Identifier: GPL-2.0
//! Idle time: who is on hold runs where a CPU has nothing else to do.

use super::{NEVER, XID, first, rate, spinners, state, used, used_by};
use crate::process::{self, Child, spawn};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::time::Duration;
use vserver_abi as abi;

/// A bucket, and the rate for idle time.
fn with_idle(bucket: (i32, i32), idle: (i32, i32)) -> abi::Sched {
    let mut sched = rate(bucket.0, bucket.1);
    sched.mask |= abi::VXSM_FILL_RATE2 | abi::VXSM_INTERVAL2 | abi::VXSM_IDLE_TIME;
    sched.fill_rate[1] = idle.0;
    sched.interval[1] = idle.1;
    sched
}

/// A spinner on the first CPU in a context of its own.
fn rival(xid: u32, sched: abi::Sched) -> Result<Child> {
    first(xid, abi::VXF_SCHED_HARD, Some(sched), || {
        let _ = process::stay_on_one_cpu();
        process::spin()
    })
}

/// Processes of the host that run on the first CPU, in turns of so many milliseconds if there is a
/// pause between them.
fn on_host(run_ms: u64, pause_ms: u64) -> Result<Child> {
    spawn(|| {
        let _ = process::stay_on_one_cpu();
        if pause_ms == 0 {
            process::spin();
        }
        loop {
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(run_ms) {
                std::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
    })
}

/// How long a process ran, and waited for others to run, in milliseconds.
fn ran_and_waited(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let mut fields = text.split(' ').map(|ns| ns.trim().parse::<u64>());
    let mut next = || Ok::<_, anyhow::Error>(fields.next().context("schedstat")?? / 1_000_000);
    Ok((next()?, next()?))
}

/// What `f` says more after `seconds`.
fn more<const N: usize>(seconds: u64, f: impl Fn() -> Result<[u64; N]>) -> Result<[u64; N]> {
    let before = f()?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = f()?;
    Ok(std::array::from_fn(|i| after[i] - before[i]))
}

/// Idle time of all CPUs, in ticks, and the letters that tell of a hold and of a claim.
fn shown(xid: u32) -> Result<(u64, String)> {
    let text = fs::read_to_string(format!("/proc/virtual/{xid}/sched"))?;
    let (mut sum, mut letters) = (0, String::new());
    for line in text.lines().filter(|line| line.starts_with("cpu ")) {
        let fields: Vec<_> = line.split(' ').collect();
        ensure!(fields.len() == 15, "{line}");
        sum += fields[6].parse::<u64>()?;
        letters = fields[7].to_owned();
    }
    Ok((sum, letters))
}

/// Alone on the machine it gets nearly all of a CPU, and pays nothing for it.
pub fn idle_time_for_one() -> Result<()> {
    let _guest = rival(XID, with_idle(NEVER, (1, 4)))?;
    process::eventually("on idle time", || used().is_ok_and(|used| used.0 > 50))?;
    let tokens = abi::get_sched(XID)?.tokens;
    let share = super::share(2)?;
    ensure!(share > 0.7, "{share:.3} of a CPU that nobody else wants");
    let after = abi::get_sched(XID)?;
    ensure!(
        (after.fill_rate[1], after.interval[1]) == (1, 4),
        "{after:?}"
    );
    ensure!(
        after.tokens <= 0 && after.tokens > tokens - 25,
        "{tokens} tokens, then {}",
        after.tokens
    );
    let tick_us = u64::from(abi::sched_info(XID, 0)?.token_usec);
    let (idle, letters) = shown(XID)?;
    ensure!(letters == "HI", "{letters}");
    ensure!(idle * tick_us > 1_000_000, "{idle} ticks of idle time");
    Ok(())
}

/// What it has of tokens it gets besides.
pub fn tokens_come_as_ever() -> Result<()> {
    let guest = rival(XID, with_idle((25, 100), (1, 4)))?;
    let host = on_host(0, 0)?;
    std::thread::sleep(Duration::from_millis(500));
    let [guest_ms, host_ms] = more(4, || Ok([used()?.0, ran_and_waited(host.id())?.0]))?;
    let share = guest_ms as f64 / (guest_ms + host_ms) as f64;
    ensure!(
        (0.15..0.35).contains(&share),
        "{share:.3} of a CPU instead of 0.25, beside somebody of the host"
    );
    drop(host);
    let share = super::share(2)?;
    ensure!(share > 0.7, "{share:.3} of a CPU that nobody else wants");
    ensure!(state(guest.id()).is_some());
    Ok(())
}

pub fn idle_time_is_shared_by_the_rates() -> Result<()> {
    let _guests = [
        rival(XID, with_idle(NEVER, (3, 4)))?,
        rival(XID + 1, with_idle(NEVER, (1, 4)))?,
    ];
    let both = || Ok([used_by(XID)?.0, used_by(XID + 1)?.0]);
    let ratio = |ms: &[u64; 2]| ms[0] as f64 / ms[1].max(1) as f64;
    std::thread::sleep(Duration::from_millis(500));
    let ms = more(4, both)?;
    ensure!((2.4..3.7).contains(&ratio(&ms)), "3 to 1 became {ms:?}");
    ensure!(ms[0] + ms[1] > 2500, "{ms:?} ms of four seconds");

    // A second process makes the share of a context no greater.
    let _more = super::inside(
        XID + 1,
        || abi::ctx_migrate(XID + 1, 0),
        || {
            let _ = process::stay_on_one_cpu();
            process::spin()
        },
    )?;
    abi::set_sched(XID + 1, with_idle(NEVER, (3, 4)))?;
    std::thread::sleep(Duration::from_millis(500));
    let ms = more(4, both)?;
    ensure!((0.75..1.35).contains(&ratio(&ms)), "1 to 1 became {ms:?}");
    Ok(())
}

/// Neither who runs all the time nor who comes and goes notices.
pub fn nobody_waits_for_idle_time() -> Result<()> {
    let _guest = rival(XID, with_idle(NEVER, (1, 1)))?;
    for (run_ms, pause_ms) in [(0, 0), (5, 5)] {
        let host = on_host(run_ms, pause_ms)?;
        std::thread::sleep(Duration::from_millis(500));
        let [ran, waited, guest] = more(3, || {
            let (ran, waited) = ran_and_waited(host.id())?;
            Ok([ran, waited, used()?.0])
        })?;
        ensure!(
            waited * 8 < ran,
            "it ran {ran} ms and waited {waited} ms for a guest that ran {guest} ms"
        );
        if pause_ms == 0 {
            ensure!(guest * 8 < ran, "{guest} ms of idle time beside {ran} ms");
        } else {
            ensure!(guest * 4 > ran, "{guest} ms in the pauses of {ran} ms");
        }
    }
    Ok(())
}

/// A CPU on idle time is an idle one for those who look for a place: two of the host get two CPUs.
pub fn idle_time_leaves_cpus_to_others() -> Result<()> {
    let _guest = spinners(2, abi::VXF_SCHED_HARD, Some(with_idle(NEVER, (1, 1))))?;
    process::eventually("on idle time", || used().is_ok_and(|used| used.0 > 50))?;
    let hosts = [on_host(0, 0)?, on_host(0, 0)?];
    for host in &hosts {
        // It has found its own place by then.
        process::eventually("it runs", || {
            ran_and_waited(host.id()).is_ok_and(|(ran, _)| ran > 50)
        })?;
        let mut cpus = rustix::thread::CpuSet::new();
        cpus.set(0);
        cpus.set(1);
        rustix::thread::sched_setaffinity(Some(host.pid()), &cpus)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let [guest, a, b] = more(3, || {
        let ran = |host: &Child| Ok::<_, anyhow::Error>(ran_and_waited(host.id())?.0);
        Ok([used()?.0, ran(&hosts[0])?, ran(&hosts[1])?])
    })?;
    ensure!(
        guest * 5 < a + b,
        "{guest} ms of idle time beside {a} ms and {b} ms"
    );
    Ok(())
}

/// Whether the context gets any time in a while.
fn runs() -> Result<bool> {
    // What was under way may end.
    std::thread::sleep(Duration::from_millis(200));
    let before = used()?.0;
    std::thread::sleep(Duration::from_millis(500));
    Ok(used()?.0 > before + 50)
}

/// Each change takes effect at once, on who is on hold as on who is on idle time.
pub fn idle_time_comes_and_goes() -> Result<()> {
    let claim = with_idle(NEVER, (1, 4));
    let kept = abi::Sched {
        mask: claim.mask & !abi::VXSM_IDLE_TIME,
        ..claim
    };
    let _guest = rival(XID, kept)?;
    ensure!(!runs()?, "it runs though idle time was not asked for");
    ensure!(shown(XID)? == (0, "H-".to_owned()), "{:?}", shown(XID)?);
    let only = |mask| abi::Sched { mask, ..claim };
    abi::set_sched(XID, only(abi::VXSM_IDLE_TIME))?;
    ensure!(runs()?, "no idle time");
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    ensure!(!runs()?, "it runs in a pause");
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    ensure!(runs()?, "no idle time after the pause");
    abi::set_sched(XID, with_idle(NEVER, (0, 4)))?;
    ensure!(!runs()?, "it runs without a rate");
    let (idle, letters) = shown(XID)?;
    ensure!(idle > 0 && letters == "H-", "{idle} {letters}");
    abi::set_sched(XID, claim)?;
    ensure!(runs()?, "no idle time");
    abi::set_sched(XID, only(abi::VXSM_FILL_RATE2))?;
    ensure!(!runs()?, "it runs though idle time was not asked for");
    Ok(())
}

pub fn realtime_has_no_idle_time() -> Result<()> {
    let child = super::held(abi::VXF_SCHED_HARD)?;
    let param = libc::sched_param { sched_priority: 10 };
    let pid = child.pid().as_raw_nonzero().get();
    // SAFETY: `param` is valid for the call.
    ensure!(unsafe { libc::sched_setscheduler(pid, libc::SCHED_FIFO, &param) } == 0);
    abi::set_sched(XID, with_idle(NEVER, (1, 4)))?;
    ensure!(!runs()?, "a FIFO task on idle time");
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: as above.
    ensure!(unsafe { libc::sched_setscheduler(pid, libc::SCHED_OTHER, &param) } == 0);
    ensure!(runs()?, "no idle time for an ordinary one");
    Ok(())
}

/// The line goes on without one that cannot move, and without a CPU.
pub fn idle_time_meets_freezer_and_hotplug() -> Result<()> {
    let cgroup = super::locks::Cgroup::new("idle")?;
    let guest = spinners(3, abi::VXF_SCHED_HARD, Some(with_idle(NEVER, (1, 4))))?;
    cgroup.add(&guest[0])?;
    cgroup.write("cgroup.freeze", "1")?;
    ensure!(runs()?, "a frozen one stops the others");
    let online = "/sys/devices/system/cpu/cpu1/online";
    for _ in 0..2 {
        fs::write(online, "0").context("cpu1")?;
        let away = runs();
        fs::write(online, "1").context("cpu1")?;
        ensure!(away?, "no idle time with one CPU");
        ensure!(runs()?, "no idle time with two");
    }
    cgroup.write("cgroup.freeze", "0")?;
    process::eventually("the frozen one runs", || {
        ran_and_waited(guest[0].id()).is_ok_and(|(ran, _)| ran > 100)
    })
}
