// SPDX-License-Identifier: GPL-2.0
//! `vsched`: the token bucket of a context.

use std::process::ExitCode;

use clap::Parser;
use vserver::abi;
use vserver::context;
use vserver::cpu::SchedChange;
use vserver::error::{Error, Result};

use super::dir::Dir;
use super::{Then, Xid};

/// Change the token bucket of a context
#[derive(Debug, Parser)]
#[command(
    name = "vsched",
    version,
    after_help = "\
A context has one bucket, for all CPUs. The limit acts if the flag sched_hard is on: vattribute.

Examples:
  vsched --xid web --fill-rate 1 --interval 4
  vsched --xid web --dir /etc/vservers/web/sched --missingok"
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
    #[arg(long, alias = "tokens_min")]
    tokens_min: Option<i32>,
    /// Tokens that can be saved up
    #[arg(long, alias = "tokens_max")]
    tokens_max: Option<i32>,
    /// Bias of the priority
    #[arg(
        long,
        aliases = ["prio_bias", "priority-bias", "priority_bias"],
        allow_negative_numbers = true
    )]
    prio_bias: Option<i32>,
    /// One of the CPUs there are: it has the same bucket
    #[arg(long)]
    cpu_id: Option<i32>,
    /// The bucket: there is only 0
    #[arg(long)]
    bucket_id: Option<i32>,
    /// Let the idle rate act, also if it does not change
    #[arg(long)]
    idle_time: bool,
    /// Let it act at once: so it does in any case
    #[arg(long)]
    _force: bool,
    #[command(flatten)]
    dir: Dir,
    #[command(flatten)]
    then: Then,
}

impl Sched {
    /// The values that are given and those in the directory, which win.
    fn values(&self) -> Result<abi::Sched> {
        let there = self.dir.is_there()?;
        let value = |name: &str, given: Option<i32>| match there {
            true => Ok(self.dir.value(name, number)?.or(given)),
            false => Ok(given),
        };
        let bias = value("prio-bias", self.prio_bias)?;
        let change = SchedChange {
            cpu: None,
            fill_rate: value("fill-rate", self.fill_rate)?,
            interval: value("interval", self.interval)?,
            idle_fill_rate: value("fill-rate2", self.fill_rate2)?,
            idle_interval: value("interval2", self.interval2)?,
            tokens: value("tokens", self.tokens)?,
            tokens_min: value("tokens-min", self.tokens_min)?,
            tokens_max: value("tokens-max", self.tokens_max)?,
            prio_bias: value("priority-bias", bias)?,
        };
        let mut values = change.to_abi(false).unwrap_or_default();
        for (id, bit, place) in [
            (
                value("cpu-id", self.cpu_id)?,
                abi::VXSM_CPU_ID,
                &mut values.cpu_id,
            ),
            (
                value("bucket-id", self.bucket_id)?,
                abi::VXSM_BUCKET_ID,
                &mut values.bucket_id,
            ),
        ] {
            if let Some(id) = id {
                *place = id;
                values.mask |= bit;
            }
        }
        if self.idle_time || there && self.dir.text("idle-time")?.is_some() {
            values.mask |= abi::VXSM_IDLE_TIME;
        }
        Ok(values)
    }
}

fn number(text: &str) -> Result<i32> {
    let number = text.parse();
    number.map_err(|_| Error::Invalid(format!("{text}: not a number")))
}

pub(super) fn sched(args: &Sched) -> anyhow::Result<ExitCode> {
    let values = args.values()?;
    if values.mask != 0 {
        context::set_sched(args.xid.get()?, values)?;
    }
    args.then.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(words: &[&str]) -> abi::Sched {
        let sched = Sched::try_parse_from([&["vsched"], words].concat());
        sched.unwrap_or_else(|e| panic!("{e}")).values().unwrap()
    }

    #[test]
    fn options_of_old_are_taken() {
        let said = values(&["--ctx", "7", "--tokens_min", "5", "--priority-bias", "-3"]);
        assert_eq!((said.tokens_min, said.prio_bias), (5, -3));
        assert_eq!(said.mask, abi::VXSM_TOKENS_MIN | abi::VXSM_PRIO_BIAS);
        let said = values(&["--cpu-id", "1", "--bucket-id", "0", "--idle-time"]);
        assert_eq!((said.cpu_id, said.bucket_id), (1, 0));
        let ids = abi::VXSM_CPU_ID | abi::VXSM_BUCKET_ID;
        assert_eq!(said.mask, ids | abi::VXSM_IDLE_TIME);
        assert_eq!(values(&["--force", "sh"]).mask, 0);
    }

    #[test]
    fn a_directory_has_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        for (name, text) in [
            ("fill-rate", "1\n"),
            ("priority-bias", "-2"),
            ("idle-time", ""),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let said = values(&["--fill-rate", "7", "--interval", "4", "--dir", path]);
        assert_eq!((said.fill_rate[0], said.interval[0]), (1, 4));
        assert_eq!(said.prio_bias, -2);
        assert_ne!(said.mask & abi::VXSM_IDLE_TIME, 0);
        assert_eq!(values(&["--dir", "/nonexistent", "--missingok"]).mask, 0);
        std::fs::write(dir.path().join("interval"), "x").unwrap();
        let sched = Sched::parse_from(["vsched", "--dir", path]);
        let error = sched.values().unwrap_err().to_string();
        assert_eq!(error, "interval: x: not a number");
    }
}
