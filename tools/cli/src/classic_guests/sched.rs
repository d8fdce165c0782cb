// SPDX-License-Identifier: GPL-2.0
//! `vsched`: the token bucket of a context.

use std::process::ExitCode;

use clap::Parser;
use vserver::abi;
use vserver::context;
use vserver::cpu::SchedChange;
use vserver::names::FlagChange;

use super::{Then, Xid};

/// Change the token bucket of a context
#[derive(Debug, Parser)]
#[command(
    name = "vsched",
    version,
    after_help = "Example:\n  vsched --xid web --fill-rate 1 --interval 4 --force"
)]
pub(super) struct Sched {
    #[command(flatten)]
    xid: Xid,
    /// Tokens added in an interval
    #[arg(long)]
    fill_rate: Option<i32>,
    /// The interval, in ticks
    #[arg(long)]
    interval: Option<i32>,
    /// Share of the time in which CPUs would idle: so much in each idle interval
    #[arg(long)]
    fill_rate2: Option<i32>,
    /// The idle interval, in ticks
    #[arg(long)]
    interval2: Option<i32>,
    /// Tokens in the bucket now
    #[arg(long)]
    tokens: Option<i32>,
    /// Tokens that end a hold
    #[arg(long)]
    tokens_min: Option<i32>,
    /// Tokens that can be saved up
    #[arg(long)]
    tokens_max: Option<i32>,
    /// Bias of the priority
    #[arg(long, allow_negative_numbers = true)]
    prio_bias: Option<i32>,
    /// Let the limit act
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    then: Then,
}

pub(super) fn sched(args: &Sched) -> anyhow::Result<ExitCode> {
    let change = SchedChange {
        cpu: None,
        fill_rate: args.fill_rate,
        interval: args.interval,
        idle_fill_rate: args.fill_rate2,
        idle_interval: args.interval2,
        tokens: args.tokens,
        tokens_min: args.tokens_min,
        tokens_max: args.tokens_max,
        prio_bias: args.prio_bias,
    };
    let hard = FlagChange {
        set: if args.force { abi::VXF_SCHED_HARD } else { 0 },
        clear: 0,
    };
    context::change(args.xid.get()?, &change, hard, false)?;
    args.then.run()
}
