// SPDX-License-Identifier: GPL-2.0
//! What `set_sched` makes of settings that make no sense, or hardly any.

use super::counter::Counter;
use super::{NEVER, XID, cpu_time, held, rate, spinners, state, until_held, used, used_at_rest};
use crate::process::{self, Status};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use vserver_abi as abi;

/// What is refused, and what of it changes nothing else that is asked for in the same call.
pub fn bad_settings() -> Result<()> {
    let _guest = spinners(1, 0, Some(rate(3, 40)))?;
    let before = abi::get_sched(XID)?;
    let bad = [
        abi::Sched {
            mask: abi::VXSM_INTERVAL,
            interval: [0, 0],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_INTERVAL,
            interval: [-5, 0],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_INTERVAL | abi::VXSM_MSEC,
            interval: [i32::MIN, 0],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_FILL_RATE,
            fill_rate: [-1, 0],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_FILL_RATE2,
            fill_rate: [1, -1],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_INTERVAL2,
            interval: [1, 0],
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_TOKENS_MIN,
            tokens_min: i32::MAX,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_TOKENS_MIN,
            tokens_min: -1,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_TOKENS_MAX,
            tokens_max: 0,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_TOKENS_MAX,
            tokens_max: -1,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_TOKENS_MIN | abi::VXSM_TOKENS_MAX,
            tokens_min: 8,
            tokens_max: 7,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_CPU_ID,
            cpu_id: -1,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_CPU_ID,
            cpu_id: 99_999,
            ..before
        },
        abi::Sched {
            mask: abi::VXSM_BUCKET_ID,
            bucket_id: 1,
            ..before
        },
    ];
    for sched in bad {
        let with_more = abi::Sched {
            mask: sched.mask | abi::VXSM_PRIO_BIAS,
            prio_bias: 7,
            ..sched
        };
        for sched in [sched, with_more] {
            ensure!(abi::set_sched(XID, sched) == Err(Errno::INVAL), "{sched:?}");
        }
    }
    let after = abi::get_sched(XID)?;
    ensure!(after.fill_rate == before.fill_rate && after.interval == before.interval);
    ensure!(after.tokens_max == before.tokens_max && after.tokens_min == before.tokens_min);
    ensure!(after.prio_bias == before.prio_bias);
    Ok(())
}

/// The largest numbers there are, and what is cut to fit.
pub fn limits_of_settings() -> Result<()> {
    let _guest = spinners(1, 0, None)?;
    const MAX: i32 = i32::MAX;
    let all = abi::VXSM_FILL_RATE
        | abi::VXSM_INTERVAL
        | abi::VXSM_FILL_RATE2
        | abi::VXSM_INTERVAL2
        | abi::VXSM_TOKENS
        | abi::VXSM_TOKENS_MIN
        | abi::VXSM_TOKENS_MAX
        | abi::VXSM_PRIO_BIAS;
    let most = abi::Sched {
        mask: all,
        fill_rate: [MAX; 2],
        interval: [MAX; 2],
        tokens: MAX,
        tokens_min: MAX,
        tokens_max: MAX,
        prio_bias: MAX,
        ..abi::Sched::default()
    };
    abi::set_sched(XID, most)?;
    let got = abi::get_sched(XID)?;
    ensure!(
        got.fill_rate == [MAX; 2] && got.interval == [MAX; 2],
        "{got:?}"
    );
    ensure!(
        [got.tokens, got.tokens_min, got.tokens_max] == [MAX; 3],
        "{got:?}"
    );
    ensure!(got.prio_bias == 20, "{got:?}");
    // More than fits spills, and what is missing is debt.
    for (tokens, expected) in [(200, 100), (i32::MIN, i32::MIN)] {
        let sched = abi::Sched {
            mask: abi::VXSM_TOKENS
                | abi::VXSM_TOKENS_MIN
                | abi::VXSM_TOKENS_MAX
                | abi::VXSM_PRIO_BIAS,
            tokens,
            tokens_min: 0,
            tokens_max: 100,
            prio_bias: i32::MIN,
            ..most
        };
        abi::set_sched(XID, sched)?;
        let got = abi::get_sched(XID)?;
        ensure!(got.tokens == expected && got.prio_bias == -20, "{got:?}");
    }
    Ok(())
}

/// Clients send masks with all bits set.
pub fn unknown_bits() -> Result<()> {
    let _guest = spinners(1, 0, Some(rate(3, 40)))?;
    let known = abi::VXSM_FILL_RATE
        | abi::VXSM_INTERVAL
        | abi::VXSM_FILL_RATE2
        | abi::VXSM_INTERVAL2
        | abi::VXSM_TOKENS
        | abi::VXSM_TOKENS_MIN
        | abi::VXSM_TOKENS_MAX
        | abi::VXSM_PRIO_BIAS
        | abi::VXSM_CPU_ID
        | abi::VXSM_BUCKET_ID
        | abi::VXSM_MSEC;
    let sched = abi::Sched {
        mask: !known,
        fill_rate: [9, 9],
        interval: [0, 0],
        tokens_max: -1,
        cpu_id: -1,
        bucket_id: -1,
        ..abi::Sched::default()
    };
    abi::set_sched(XID, sched)?;
    let got = abi::get_sched(XID)?;
    ensure!(
        got.fill_rate[0] == 3 && got.interval[0] == 40 && got.tokens_max == 3,
        "{got:?}"
    );
    Ok(())
}

/// Nothing comes in: held until something changes, and killable.
pub fn never_filled() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    let before = used_at_rest()?;
    std::thread::sleep(Duration::from_millis(500));
    ensure!(used()?.0 == before, "it ran");
    abi::set_sched(
        XID,
        abi::Sched {
            mask: abi::VXSM_TOKENS,
            tokens: 2,
            ..rate(0, 1000)
        },
    )?;
    process::eventually("its tokens are used up", || {
        used().is_ok_and(|now| now.0 > before) && state(child.id()) == Some('S')
    })?;
    child.kill(Signal::KILL)?;
    ensure!(child.wait()? == Status::Killed(libc::SIGKILL));
    Ok(())
}

/// A rate that nobody can use up is no limit.
pub fn more_than_all_cpus() -> Result<()> {
    let guest = spinners(2, abi::VXF_SCHED_HARD, Some(rate(1_000_000, 100)))?;
    process::eventually("filled", || abi::get_sched(XID).is_ok_and(|s| s.tokens > 0))?;
    // The time that they were held until then counts when they run again.
    for child in &guest {
        let then = cpu_time(child.id())?;
        process::eventually("it runs", || {
            cpu_time(child.id()).is_ok_and(|now| now > then + 20)
        })?;
    }
    let before = used()?;
    process::eventually("a second of CPU time", || {
        used().is_ok_and(|now| now.0 > before.0 + 1000)
    })?;
    ensure!(used()?.1 == before.1, "held");
    Ok(())
}

/// Of most of a long interval nothing is left that many short ones could be made of.
pub fn change_neither_loses_nor_grants() -> Result<()> {
    let guest = spinners(1, 0, None)?;
    // Nobody takes anything out.
    guest[0].kill(Signal::STOP)?;
    process::eventually("stopped", || state(guest[0].id()) == Some('T'))?;
    let with = |fill, interval| abi::Sched {
        mask: abi::VXSM_FILL_RATE
            | abi::VXSM_INTERVAL
            | abi::VXSM_TOKENS_MIN
            | abi::VXSM_TOKENS_MAX,
        tokens_max: 1_000_000,
        ..rate(fill, interval)
    };
    let empty = abi::Sched {
        mask: abi::VXSM_TOKENS,
        ..rate(1, 1)
    };
    abi::set_sched(XID, with(1000, 100_000_000))?;
    abi::set_sched(XID, empty)?;
    std::thread::sleep(Duration::from_millis(500));
    abi::set_sched(XID, with(1000, 1_000))?;
    let got = abi::get_sched(XID)?.tokens;
    ensure!((0..1000).contains(&got), "{got} ticks from nowhere");
    Ok(())
}

/// A rate that is set again and again in other numbers is the same rate: each change pays what was
/// earned until then, and no more.
pub fn changes_of_a_rate_pay_to_the_day() -> Result<()> {
    let guest = spinners(1, 0, None)?;
    guest[0].kill(Signal::STOP)?;
    process::eventually("stopped", || state(guest[0].id()) == Some('T'))?;
    let tenth = |interval| abi::Sched {
        mask: abi::VXSM_FILL_RATE | abi::VXSM_INTERVAL | abi::VXSM_TOKENS_MAX,
        fill_rate: [interval / 10, 0],
        interval: [interval, 0],
        tokens_max: 1_000_000,
        ..abi::Sched::default()
    };
    let set = |sched| {
        let before = Instant::now();
        abi::set_sched(XID, sched).map(|()| (before, Instant::now()))
    };
    let long = tenth(1_000_000);
    let start = set(abi::Sched {
        mask: long.mask | abi::VXSM_TOKENS,
        tokens: 0,
        ..long
    })?;
    for i in 0..500 {
        std::thread::sleep(Duration::from_millis(2));
        abi::set_sched(XID, tenth([10, 100, 1_000, 1_000_000][i % 4]))?;
    }
    // Nothing comes in while it is looked at.
    let end = set(abi::Sched {
        fill_rate: [0, 0],
        ..tenth(1_000)
    })?;
    let tick = Duration::from_micros(u64::from(abi::sched_info(XID, 0)?.token_usec));
    let earned = |time: Duration| (time.as_nanos() / tick.as_nanos() / 10) as i32;
    let (least, most) = (earned(end.0 - start.1), earned(end.1 - start.0));
    let got = abi::get_sched(XID)?.tokens;
    ensure!(
        (least - 1..=most + 1).contains(&got),
        "{got} ticks instead of {least} to {most}"
    );
    Ok(())
}

/// What CPUs have collected and not yet charged survives every change of the settings.
pub fn changes_while_many_run() -> Result<()> {
    const TOKENS: i32 = 1_000_000;
    let full = abi::Sched {
        tokens: TOKENS,
        tokens_max: TOKENS,
        ..rate(NEVER.0, NEVER.1)
    };
    let flags = abi::VXF_SCHED_HARD | abi::VXF_SCHED_PAUSE;
    let guest = spinners(4, flags, Some(full))?;
    until_held(&guest)?;
    // In ticks that are there, and in milliseconds that were billed.
    let books = || -> Result<(i32, u64)> { Ok((abi::get_sched(XID)?.tokens, used()?.0)) };
    let start = books()?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    let change = abi::Sched {
        mask: abi::VXSM_FILL_RATE
            | abi::VXSM_INTERVAL
            | abi::VXSM_TOKENS_MIN
            | abi::VXSM_TOKENS_MAX
            | abi::VXSM_PRIO_BIAS,
        fill_rate: [0, 0],
        ..abi::Sched::default()
    };
    for i in 0..300 {
        let sched = abi::Sched {
            interval: [1 + i, 0],
            tokens_min: i,
            tokens_max: TOKENS + i,
            prio_bias: i % 20,
            ..change
        };
        abi::set_sched(XID, sched)?;
        // Each of the flags has the books brought up to date, too.
        abi::set_cflags(
            XID,
            abi::VXF_SCHED_PRIO * u64::from(i % 2 == 0),
            abi::VXF_SCHED_PRIO,
        )?;
        std::thread::sleep(Duration::from_micros(500));
    }
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    until_held(&guest)?;
    let tick_us = u64::from(abi::sched_info(XID, 0)?.token_usec);
    // Both are rounded, and who is to wait may still be on the way there.
    process::eventually("the books agree", || {
        books().is_ok_and(|(tokens, billed)| {
            let spent = (start.0 - tokens) as u64 * tick_us / 1000;
            spent > 0 && spent.abs_diff(billed - start.1) <= 4 + 2 * tick_us / 1000
        })
    })
}

/// Not the tokens alone release: so does a bucket that asks for fewer of them. One that asks for more
/// holds nobody who runs.
pub fn a_change_can_be_what_releases() -> Result<()> {
    let guest = Counter::start(XID, abi::VXF_SCHED_HARD, Some(rate(NEVER.0, NEVER.1)))?;
    guest.until_held()?;
    let with = |mask, tokens_min| abi::Sched {
        mask: mask | abi::VXSM_TOKENS_MIN,
        tokens: 100_000,
        tokens_min,
        tokens_max: 200_000,
        ..abi::Sched::default()
    };
    let set = |sched| -> Result<()> { Ok(abi::set_sched(XID, sched)?) };
    // Too few to be let go.
    guest.rests(|| set(with(abi::VXSM_TOKENS | abi::VXSM_TOKENS_MAX, 150_000)))?;
    guest.counts_after(|| set(with(0, 50_000)))?;
    set(with(0, 200_000))?;
    guest.counts_after(|| Ok(()))?;
    ensure!(abi::virt_stat(XID)?.nr_onhold == 0, "on hold with tokens");
    // The most that it can have makes no debt and pays none.
    let debt = abi::Sched {
        tokens: -1000,
        ..with(abi::VXSM_TOKENS, 1)
    };
    set(debt)?;
    guest.until_held()?;
    let before = abi::get_sched(XID)?.tokens;
    guest.rests(|| {
        for tokens_max in [2, i32::MAX] {
            set(abi::Sched {
                mask: abi::VXSM_TOKENS_MAX,
                tokens_max,
                ..abi::Sched::default()
            })?;
        }
        Ok(())
    })?;
    let after = abi::get_sched(XID)?.tokens;
    ensure!(
        after <= before && before <= -1000,
        "{before} ticks, then {after}"
    );
    Ok(())
}
