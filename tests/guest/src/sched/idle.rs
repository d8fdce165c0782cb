// SPDX-License-Identifier: GPL-2.0
//! Idle time: who is on hold runs where a CPU has nothing else to do.

use super::cgroup::Cgroup;
use super::cpus::{SecondCpu, bind};
use super::{NEVER, XID, first, rate, set_policy, spinners, state, used, used_by};
use crate::process::{self, Child, spawn};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::Read as _;
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

/// One on the first CPU in a context of its own.
fn guest_does(xid: u32, sched: abi::Sched, what: fn() -> !) -> Result<Child> {
    first(xid, abi::VXF_SCHED_HARD, Some(sched), || {
        let _ = process::stay_on_one_cpu();
        what()
    })
}

/// A spinner.
fn rival(xid: u32, sched: abi::Sched) -> Result<Child> {
    guest_does(xid, sched, process::spin)
}

/// Is in the kernel nearly all of the time.
fn read_on() -> ! {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let _ = fs::File::open("/dev/zero").and_then(|mut zero| zero.read_exact(&mut buffer));
    }
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

/// A process of the host that gets only what nobody else wants of the first CPU.
fn idler_does(what: fn() -> !) -> Result<Child> {
    spawn(|| {
        let _ = process::stay_on_one_cpu();
        if set_policy(None, libc::SCHED_IDLE, 0).is_err() {
            return 1;
        }
        what()
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

/// How long a CPU was idle since it came, in milliseconds.
fn idled(cpu: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().find(|line| line.starts_with(cpu));
    let mut fields = line.context("cpu")?.split(' ').skip(4).take(2);
    fields.try_fold(0, |sum, ticks| Ok(sum + ticks.parse::<u64>()? * 10))
}

/// What part contexts get of the time that nobody else wants of the first CPU.
fn share_of_idle(xids: &[u32]) -> Result<f64> {
    let [used, idle] = more(2, || {
        let used = xids.iter().map(|&xid| Ok(used_by(xid)?.0));
        Ok([used.sum::<Result<u64>>()?, idled("cpu0 ")?])
    })?;
    Ok(used as f64 / (used + idle).max(1) as f64)
}

/// Looks at a ratio of what is used more and more, until it is within the bounds: what takes time
/// from one of them now and then has less and less weight.
fn settles<const N: usize>(
    what: &str,
    bounds: std::ops::Range<f64>,
    f: impl Fn() -> Result<[u64; N]>,
    ratio: impl Fn(&[u64; N]) -> f64,
) -> Result<()> {
    let before = f()?;
    let mut ms = [0; N];
    for _ in 0..15 {
        std::thread::sleep(Duration::from_secs(2));
        let now = f()?;
        ms = std::array::from_fn(|i| now[i] - before[i]);
        if bounds.contains(&ratio(&ms)) {
            return Ok(());
        }
    }
    bail!("{what}: {:.3} of {ms:?} is not in {bounds:?}", ratio(&ms))
}

/// Alone on the machine it gets nearly all of a CPU, and pays nothing for it.
pub fn idle_time_for_one() -> Result<()> {
    let _guest = rival(XID, with_idle(NEVER, (1, 4)))?;
    process::eventually("on idle time", || used().is_ok_and(|used| used.0 > 50))?;
    let (tokens, before) = (abi::get_sched(XID)?.tokens, shown(XID)?.0);
    let share = share_of_idle(&[XID])?;
    ensure!(share > 0.7, "{share:.3} of a CPU that nobody else wants");
    let (after, (idle, letters)) = (abi::get_sched(XID)?, shown(XID)?);
    ensure!(
        (after.fill_rate[1], after.interval[1]) == (1, 4),
        "{after:?}"
    );
    ensure!(letters == "HI", "{letters}");
    // Between a grant and the next it can be anybody's.
    let paid = i64::from(tokens - after.tokens);
    ensure!(
        after.tokens <= 0 && paid * 4 < (idle - before) as i64,
        "{paid} tokens for {idle} - {before} ticks of idle time"
    );
    Ok(())
}

/// What it has of tokens it gets besides.
pub fn tokens_come_as_ever() -> Result<()> {
    let guest = rival(XID, with_idle((25, 100), (1, 4)))?;
    let host = on_host(0, 0)?;
    std::thread::sleep(Duration::from_millis(500));
    settles(
        "beside somebody of the host",
        0.15..0.35,
        || Ok([used()?.0, ran_and_waited(host.id())?.0]),
        |ms| ms[0] as f64 / (ms[0] + ms[1]).max(1) as f64,
    )?;
    drop(host);
    let share = share_of_idle(&[XID])?;
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
    settles("3 to 1", 2.4..3.7, both, ratio)?;
    let share = share_of_idle(&[XID, XID + 1])?;
    ensure!(share > 0.7, "{share:.3} of a CPU that nobody else wants");

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
    settles("1 to 1", 0.75..1.35, both, ratio)
}

/// Neither who runs all the time nor who comes and goes notices, whatever the guest does: to take a CPU
/// from it takes about as long as from a process of the policy that is made for this.
pub fn nobody_waits_for_idle_time() -> Result<()> {
    for what in [process::spin as fn() -> !, read_on] {
        for (run_ms, pause_ms) in [(0, 0), (5, 5)] {
            let host = on_host(run_ms, pause_ms)?;
            let look = || {
                let (ran, waited) = ran_and_waited(host.id())?;
                Ok([ran, waited, used().unwrap_or_default().0])
            };
            let idler = idler_does(what)?;
            std::thread::sleep(Duration::from_millis(500));
            let [_, usual, _] = more(3, look)?;
            drop(idler);
            let _guest = guest_does(XID, with_idle(NEVER, (1, 1)), what)?;
            std::thread::sleep(Duration::from_millis(500));
            let [ran, waited, guest] = more(3, look)?;
            ensure!(
                waited < 2 * usual + ran / 4,
                "it ran {ran} ms and waited {waited} ms instead of {usual} ms, for {guest} ms"
            );
            if pause_ms == 0 {
                ensure!(guest * 8 < ran, "{guest} ms of idle time beside {ran} ms");
            } else {
                ensure!(guest * 4 > ran, "{guest} ms in the pauses of {ran} ms");
            }
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
        bind(host, &[0, 1])?;
    }
    let ran = |host: &Child| Ok::<_, anyhow::Error>(ran_and_waited(host.id())?.0);
    let look = || Ok([used()?.0, ran(&hosts[0])?, ran(&hosts[1])?]);
    process::eventually("the CPUs are the host's", || {
        more(1, look).is_ok_and(|[guest, a, b]| guest * 5 < a + b)
    })
}

/// It gets time.
fn runs() -> Result<()> {
    let before = used()?.0;
    process::eventually("it runs", || used().is_ok_and(|used| used.0 > before + 50))
}

/// It gets none, once what was under way has ended.
fn rests() -> Result<()> {
    process::eventually("it rests", || {
        let before = used().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(300));
        used().is_ok_and(|used| used.0 <= before.0 + 4)
    })
}

/// Each change takes effect at once, on who is on hold as on who is on idle time.
pub fn idle_time_comes_and_goes() -> Result<()> {
    let claim = with_idle(NEVER, (1, 4));
    let kept = abi::Sched {
        mask: claim.mask & !abi::VXSM_IDLE_TIME,
        ..claim
    };
    let _guest = rival(XID, kept)?;
    rests()?;
    ensure!(shown(XID)? == (0, "H-".to_owned()), "{:?}", shown(XID)?);
    let only = |mask| abi::Sched { mask, ..claim };
    abi::set_sched(XID, only(abi::VXSM_IDLE_TIME))?;
    runs()?;
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    rests()?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    runs()?;
    abi::set_sched(XID, with_idle(NEVER, (0, 4)))?;
    rests()?;
    let (idle, letters) = shown(XID)?;
    ensure!(idle > 0 && letters == "H-", "{idle} {letters}");
    abi::set_sched(XID, claim)?;
    runs()?;
    abi::set_sched(XID, only(abi::VXSM_FILL_RATE2))?;
    rests()
}

pub fn realtime_has_no_idle_time() -> Result<()> {
    let child = super::held(abi::VXF_SCHED_HARD)?;
    set_policy(Some(child.pid()), libc::SCHED_FIFO, 10)?;
    abi::set_sched(XID, with_idle(NEVER, (1, 4)))?;
    rests()?;
    set_policy(Some(child.pid()), libc::SCHED_OTHER, 0)?;
    runs()
}

/// The hooks are off and on again while somebody of the host is on the CPU where idle time was.
pub fn idle_time_of_old_is_nobodys() -> Result<()> {
    let _guest = rival(XID, with_idle(NEVER, (1, 4)))?;
    for _ in 0..5 {
        runs()?;
        abi::set_sched(XID, with_idle(NEVER, (0, 4)))?;
        let host = on_host(0, 0)?;
        let has_run = |ms| move |host: &Child| ran_and_waited(host.id()).is_ok_and(|t| t.0 > ms);
        process::eventually("the host runs", || has_run(20)(&host))?;
        abi::set_sched(XID, with_idle(NEVER, (1, 4)))?;
        let sleeper = on_host(1, 1)?;
        process::eventually("another is woken there", || has_run(20)(&sleeper))?;
    }
    Ok(())
}

/// The line goes on without one that cannot move, and without a CPU.
pub fn idle_time_meets_freezer_and_hotplug() -> Result<()> {
    let cgroup = Cgroup::new("idle")?;
    let guest = spinners(3, abi::VXF_SCHED_HARD, Some(with_idle(NEVER, (1, 4))))?;
    cgroup.add(&guest[0])?;
    cgroup.write("cgroup.freeze", "1")?;
    // A frozen one stops no others.
    runs()?;
    for _ in 0..2 {
        let cpu = SecondCpu::take_away()?;
        let away = runs();
        drop(cpu);
        away?;
        bind(&guest[1], &[1])?;
        let before = ran_and_waited(guest[1].id())?.0;
        process::eventually("it runs on the CPU that came back", || {
            ran_and_waited(guest[1].id()).is_ok_and(|(ran, _)| ran > before + 50)
        })?;
    }
    cgroup.write("cgroup.freeze", "0")?;
    process::eventually("the frozen one runs", || {
        ran_and_waited(guest[0].id()).is_ok_and(|(ran, _)| ran > 100)
    })
}

/// A hundred contexts wait that can't run on the CPU that idles, as theirs is busy. The look for
/// somebody who can does not end before it has found the last.
pub fn idle_time_for_the_last_of_many() -> Result<()> {
    let _busy = on_host(0, 0)?;
    let mut guests = Vec::new();
    for i in 1..=100 {
        guests.push(rival(XID + i, with_idle(NEVER, (1, 1)))?);
    }
    process::eventually("all wait", || {
        guests.iter().all(|guest| state(guest.id()) == Some('S'))
    })?;
    // Its price is the highest, so it soon had more than the others.
    let _last = first(
        XID,
        abi::VXF_SCHED_HARD,
        Some(with_idle(NEVER, (1, 1000))),
        || {
            let mut there = rustix::thread::CpuSet::new();
            there.set(1);
            let _ = rustix::thread::sched_setaffinity(None, &there);
            process::spin()
        },
    )?;
    settles(
        "of a CPU that nobody else wants",
        0.7..1.1,
        || {
            let used = (1..=100).map(|i| Ok(used_by(XID + i)?.0));
            let others = used.sum::<Result<u64>>()?;
            Ok([used_by(XID)?.0, idled("cpu1 ")?, others])
        },
        |ms| ms[0] as f64 / (ms[0] + ms[1]).max(1) as f64,
    )
}
