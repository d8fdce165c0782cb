// SPDX-License-Identifier: GPL-2.0

//! The scheduler's commands: `set_sched`, `get_sched`, `sched_info`, and those of the priority bias.
//!
//! Times are ticks outside and nanoseconds inside. A context has one bucket for all CPUs, so a
//! command for one CPU means it as well.

use crate::{
    bucket::{Mode, Settings, LEVEL_MAX},
    context::Sched,
    idle::IdleRate,
    syscall::Call,
    Ctx,
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed,
    vserver::{
        self,
        abi::{self, cmd},
        idle::Hooks,
        wait::now_ns,
        TICK_NS,
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::SET_SCHED_V3 => {
            let ctx = call.changeable()?;
            set(&ctx, &from_v3(call.read()?))
        }
        cmd::SET_SCHED_V4 => {
            let ctx = call.changeable()?;
            set(&ctx, &from_v4(call.read()?))
        }
        cmd::SET_SCHED => set(&*call.changeable()?, &call.read()?),
        cmd::GET_SCHED => call.write(&get(&*call.find()?, &call.read()?)?),
        cmd::SET_PRIO_BIAS => set(&*call.changeable()?, &from_bias(call.read()?)),
        cmd::GET_PRIO_BIAS => {
            let ctx = call.find()?;
            let arg: abi::vcmd_prio_bias = call.read()?;
            let prio_bias = get(&ctx, &from_bias(arg))?.prio_bias;
            call.write(&abi::vcmd_prio_bias { prio_bias, ..arg })
        }
        cmd::SCHED_INFO => call.write(&info(&*call.find()?, &call.read()?)?),
        _ => Err(ENOSYS),
    }
}

const NS_PER_MS: i64 = 1_000_000;

/// How far the administrator's part of the priority goes, and all of it, in nice levels.
const PRIO_BIAS_MAX: i32 = 20;

/// Tasks of `ctx` ran for `ns` nanoseconds, see [`vserver::Operations::charge`].
pub(crate) fn charge(ctx: &Ctx, ns: u64) -> Option<u64> {
    let bucket = ctx.bucket();
    // While all is well, who is only asked doesn't look at the clock.
    if ns > 0 || bucket.is_closed() {
        if bucket.charge(now_ns(), ns) {
            return None;
        }
        weigh(ctx);
    }
    Some(bucket.left())
}

/// Brings the bucket up to date: what CPUs have collected is charged.
pub(crate) fn settle(ctx: &Ctx) {
    ctx.bucket().charge(now_ns(), ctx.take_owed());
}

/// Says what of the bucket acts. The table is locked.
pub(crate) fn set_mode(ctx: &Ctx, mode: Mode) {
    settle(ctx);
    ctx.bucket().set_mode(now_ns(), mode);
    weigh(ctx);
    claim(ctx, &ctx.sched.lock());
    ctx.hold.release();
}

/// Lets those on hold have the idle time that is theirs.
fn claim(ctx: &Ctx, sched: &Sched) {
    ctx.set_idle_price(if ctx.bucket().holds_for_tokens() {
        sched.idle.price()
    } else {
        0
    });
}

/// Lets those inside be weighed by how full the bucket is: a full one gains as many nice levels as
/// an empty one loses.
fn weigh(ctx: &Ctx) {
    let level = ctx.bucket().level().map_or(0, |level| {
        let bias = LEVEL_MAX / 2 - level;
        bias.saturating_add(ctx.prio_bias.load(Relaxed))
    });
    ctx.set_prio_bias(level.clamp(-PRIO_BIAS_MAX, PRIO_BIAS_MAX));
}

/// Ticks as nanoseconds.
fn from_ticks(ticks: i32) -> i64 {
    i64::from(ticks).saturating_mul(TICK_NS)
}

/// Nanoseconds as whole ticks, as far as they fit.
pub(crate) fn to_ticks(ns: i64) -> i32 {
    let ticks = ns.checked_div(TICK_NS).unwrap_or(0);
    ticks.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Nanoseconds of use as whole ticks.
pub(crate) fn use_ticks(ns: u64) -> u64 {
    ns / TICK_NS as u64
}

/// What version 4 of `set_sched` asks for, which knows one rate.
fn from_v4(arg: abi::vcmd_sched_v4) -> abi::vcmd_sched_v5 {
    abi::vcmd_sched_v5 {
        mask: arg.mask & !(abi::VXSM_FILL_RATE2 | abi::VXSM_INTERVAL2 | abi::VXSM_IDLE_TIME),
        cpu_id: arg.cpu_id,
        bucket_id: arg.bucket_id,
        fill_rate: [arg.fill_rate, 0],
        interval: [arg.interval, 0],
        tokens: arg.tokens,
        tokens_min: arg.tokens_min,
        tokens_max: arg.tokens_max,
        prio_bias: arg.prio_bias,
    }
}

/// What version 3 asks for, which knows one CPU, too.
fn from_v3(arg: abi::vcmd_sched_v3) -> abi::vcmd_sched_v5 {
    from_v4(abi::vcmd_sched_v4 {
        mask: arg.mask & !(abi::VXSM_CPU_ID | abi::VXSM_BUCKET_ID),
        fill_rate: arg.fill_rate,
        interval: arg.interval,
        tokens: arg.tokens,
        tokens_min: arg.tokens_min,
        tokens_max: arg.tokens_max,
        prio_bias: arg.prio_bias,
        cpu_id: 0,
        bucket_id: 0,
    })
}

/// What `set_prio_bias` asks for.
fn from_bias(arg: abi::vcmd_prio_bias) -> abi::vcmd_sched_v5 {
    abi::vcmd_sched_v5 {
        mask: abi::VXSM_PRIO_BIAS | abi::VXSM_CPU_ID,
        cpu_id: arg.cpu_id,
        prio_bias: arg.prio_bias,
        ..Default::default()
    }
}

/// The settings `old`, changed as `arg` asks.
///
/// # Errors
///
/// `EINVAL`: what comes out makes no sense.
fn changed(old: Settings, arg: &abi::vcmd_sched_v5) -> Result<Settings> {
    let given = |bit: u32| arg.mask & bit != 0;
    let [fill, _] = arg.fill_rate;
    let [interval, _] = arg.interval;
    let mut new = old;
    if given(abi::VXSM_FILL_RATE) {
        new.fill = from_ticks(fill);
    }
    if given(abi::VXSM_INTERVAL) {
        new.interval = interval_ns(interval, given(abi::VXSM_MSEC));
    }
    if given(abi::VXSM_TOKENS_MIN) {
        new.min = from_ticks(arg.tokens_min);
    }
    if given(abi::VXSM_TOKENS_MAX) {
        new.max = from_ticks(arg.tokens_max);
    }
    new.check()?;
    Ok(new)
}

/// The rate for idle time `old`, changed as `arg` asks: it acts if idle_time came with it.
///
/// # Errors
///
/// `EINVAL`: what comes out makes no sense.
fn changed_idle(old: IdleRate, arg: &abi::vcmd_sched_v5) -> Result<IdleRate> {
    let given = |bits: u32| arg.mask & bits != 0;
    let [_, fill] = arg.fill_rate;
    let [_, interval] = arg.interval;
    let mut new = old;
    if given(abi::VXSM_FILL_RATE2) {
        new.fill = from_ticks(fill);
    }
    if given(abi::VXSM_INTERVAL2) {
        new.interval = interval_ns(interval, given(abi::VXSM_MSEC));
    }
    if given(abi::VXSM_FILL_RATE2 | abi::VXSM_INTERVAL2 | abi::VXSM_IDLE_TIME) {
        new.acts = given(abi::VXSM_IDLE_TIME);
    }
    new.check()?;
    Ok(new)
}

fn interval_ns(interval: i32, msec: bool) -> i64 {
    if msec {
        i64::from(interval).saturating_mul(NS_PER_MS)
    } else {
        from_ticks(interval)
    }
}

/// Refuses a CPU or a bucket that there is not.
fn check_ids(cpu: Option<i32>, bucket: Option<i32>) -> Result {
    if let Some(cpu) = cpu {
        if u32::try_from(cpu).map_or(true, |cpu| cpu >= vserver::nr_cpus()) {
            return Err(EINVAL);
        }
    }
    match bucket {
        None | Some(0) => Ok(()),
        Some(_) => Err(EINVAL),
    }
}

/// `set_sched`: changes what the mask names.
///
/// # Errors
///
/// `EINVAL`, and nothing has changed.
fn set(ctx: &Ctx, arg: &abi::vcmd_sched_v5) -> Result<u32> {
    let given = |bit: u32| arg.mask & bit != 0;
    check_ids(
        given(abi::VXSM_CPU_ID).then_some(arg.cpu_id),
        given(abi::VXSM_BUCKET_ID).then_some(arg.bucket_id),
    )?;

    let mut sched = ctx.sched.lock();
    let settings = changed(ctx.bucket().settings(), arg)?;
    sched.idle = changed_idle(sched.idle, arg)?;
    if given(abi::VXSM_PRIO_BIAS) {
        let bias = arg.prio_bias.clamp(-PRIO_BIAS_MAX, PRIO_BIAS_MAX);
        ctx.prio_bias.store(bias, Relaxed);
    }
    let tokens = given(abi::VXSM_TOKENS).then_some(from_ticks(arg.tokens));
    settle(ctx);
    ctx.bucket().configure(now_ns(), settings, tokens);
    weigh(ctx);
    if sched.idle.is_claim() && sched.idle_hooks.is_none() {
        sched.idle_hooks = Some(Hooks::on());
    }
    claim(ctx, &sched);
    if !sched.idle.is_claim() {
        sched.idle_hooks = None;
    }
    drop(sched);
    ctx.hold.release();
    Ok(0)
}

/// `get_sched`: the settings and the tokens there are.
///
/// # Errors
///
/// `EINVAL`: no such CPU or bucket.
fn get(ctx: &Ctx, arg: &abi::vcmd_sched_v5) -> Result<abi::vcmd_sched_v5> {
    let given = |bit: u32| arg.mask & bit != 0;
    check_ids(
        given(abi::VXSM_CPU_ID).then_some(arg.cpu_id),
        given(abi::VXSM_BUCKET_ID).then_some(arg.bucket_id),
    )?;
    settle(ctx);
    let sched = ctx.sched.lock();
    let settings = ctx.bucket().settings();
    let interval = |ns: i64| {
        if given(abi::VXSM_MSEC) {
            ns.checked_div(NS_PER_MS)
                .and_then(|ms| i32::try_from(ms).ok())
                .unwrap_or(i32::MAX)
        } else {
            to_ticks(ns)
        }
    };
    Ok(abi::vcmd_sched_v5 {
        fill_rate: [to_ticks(settings.fill), to_ticks(sched.idle.fill)],
        interval: [interval(settings.interval), interval(sched.idle.interval)],
        tokens: to_ticks(ctx.bucket().tokens(now_ns())),
        tokens_min: to_ticks(settings.min),
        tokens_max: to_ticks(settings.max),
        prio_bias: ctx.prio_bias.load(Relaxed),
        ..*arg
    })
}

/// `sched_info`: what the context used of a CPU.
///
/// # Errors
///
/// `EINVAL`: no such CPU or bucket; clients count up to it.
fn info(ctx: &Ctx, arg: &abi::vcmd_sched_info) -> Result<abi::vcmd_sched_info> {
    check_ids(Some(arg.cpu_id), Some(arg.bucket_id))?;
    let used = ctx.cpu_use(arg.cpu_id as u32);
    let msec = |ns: u64| ns / NS_PER_MS as u64;
    Ok(abi::vcmd_sched_info {
        user_msec: msec(used.user),
        sys_msec: msec(used.sys),
        hold_msec: msec(used.hold),
        token_usec: (TICK_NS / 1000) as u32,
        vavavoom: ctx.prio_bias(),
        ..*arg
    })
}

#[kunit_tests(vserver_sched)]
mod tests {
    use super::*;

    fn arg(mask: u32) -> abi::vcmd_sched_v5 {
        abi::vcmd_sched_v5 {
            mask,
            fill_rate: [3, 9],
            interval: [40, 9],
            tokens_min: 5,
            tokens_max: 50,
            ..Default::default()
        }
    }

    #[test]
    fn ticks_round_down_and_saturate() {
        assert_eq!(to_ticks(from_ticks(7)), 7);
        assert_eq!(to_ticks(TICK_NS - 1), 0);
        assert_eq!(to_ticks(i64::MAX), i32::MAX);
        assert_eq!(to_ticks(-TICK_NS), -1);
    }

    #[test]
    fn only_what_the_mask_names_changes() -> Result {
        let new = changed(Settings::DEFAULT, &arg(abi::VXSM_FILL_RATE))?;
        assert_eq!(new.fill, 3 * TICK_NS);
        assert_eq!(new.interval, Settings::DEFAULT.interval);
        assert_eq!(new.max, Settings::DEFAULT.max);
        Ok(())
    }

    #[test]
    fn milliseconds() -> Result {
        let mask = abi::VXSM_INTERVAL | abi::VXSM_MSEC;
        assert_eq!(
            changed(Settings::DEFAULT, &arg(mask))?.interval,
            40 * NS_PER_MS
        );
        Ok(())
    }

    #[test]
    fn nonsense_is_refused() {
        let mut bad = arg(abi::VXSM_INTERVAL);
        bad.interval = [0, 0];
        assert_eq!(changed(Settings::DEFAULT, &bad).err(), Some(EINVAL));
        bad.interval = [-1, 0];
        assert_eq!(changed(Settings::DEFAULT, &bad).err(), Some(EINVAL));
        let mut bad = arg(abi::VXSM_TOKENS_MIN);
        bad.tokens_min = i32::MAX;
        assert_eq!(changed(Settings::DEFAULT, &bad).err(), Some(EINVAL));
    }

    #[test]
    fn idle_time_acts_when_it_is_asked_for() -> Result {
        let rates = abi::VXSM_FILL_RATE2 | abi::VXSM_INTERVAL2;
        let kept = changed_idle(IdleRate::DEFAULT, &arg(rates))?;
        assert_eq!((kept.fill, kept.interval), (9 * TICK_NS, 9 * TICK_NS));
        assert!(!kept.acts);
        let acts = changed_idle(kept, &arg(abi::VXSM_IDLE_TIME))?;
        assert!(acts.acts && acts.fill == kept.fill);
        assert!(changed_idle(acts, &arg(abi::VXSM_TOKENS_MAX))?.acts);
        assert!(!changed_idle(acts, &arg(abi::VXSM_FILL_RATE2))?.acts);
        Ok(())
    }

    #[test]
    fn older_versions() {
        let mut old = abi::vcmd_sched_v3 {
            mask: !0,
            fill_rate: 1,
            interval: 2,
            tokens: 3,
            tokens_min: 4,
            tokens_max: 5,
            prio_bias: 6,
        };
        let new = from_v3(old);
        assert_eq!(new.fill_rate, [1, 0]);
        assert_eq!(new.interval, [2, 0]);
        assert_eq!([new.tokens, new.tokens_min, new.tokens_max], [3, 4, 5]);
        assert_eq!(new.prio_bias, 6);
        let unknown = abi::VXSM_FILL_RATE2
            | abi::VXSM_INTERVAL2
            | abi::VXSM_IDLE_TIME
            | abi::VXSM_CPU_ID
            | abi::VXSM_BUCKET_ID;
        assert_eq!(new.mask, !unknown);
        old.mask = 0;
        assert_eq!(from_v3(old).mask, 0);
    }

    #[test]
    fn ids() {
        assert!(check_ids(None, None).is_ok());
        assert!(check_ids(Some(0), Some(0)).is_ok());
        assert!(check_ids(Some(-1), None).is_err());
        assert!(check_ids(Some(i32::MAX), None).is_err());
        assert!(check_ids(None, Some(1)).is_err());
    }
}
