// SPDX-License-Identifier: GPL-2.0
//! What there is: `show`, `info`.

use std::process::ExitCode;

use vserver::breaks::Breaks;
use vserver::context::{self, Details};
use vserver::cpu::Rate;
use vserver::disk::Disk;
use vserver::info::{self, Info};
use vserver::limits::Limit;

use crate::args::One;
use crate::output::{self, line};

/// `vserver show`
pub(crate) fn show(args: &One, json: bool) -> anyhow::Result<ExitCode> {
    let details = context::show(context::resolve(&args.context)?)?;
    match json {
        true => output::json(&details)?,
        false => print_details(&details)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_details(d: &Details) -> anyhow::Result<()> {
    let s = &d.summary;
    line(format_args!("xid:        {}", s.xid))?;
    line(format_args!("name:       {}", or_dash(s.name.clone())))?;
    line(format_args!("state:      {}", s.state))?;
    line(format_args!("tasks:      {}", s.tasks))?;
    line(format_args!("init:       {}", s.init))?;
    line(format_args!("flags:      {}", or_dash(s.flags.join(" "))))?;
    line(format_args!("CPU limit:  {}", limit(s.cpu_limit)))?;
    line(format_args!("CPU used:   {}", output::time(s.cpu_msec)))?;
    line(format_args!("held:       {}", output::time(s.hold_msec)))?;
    if let Some(m) = s.memory {
        line(format_args!("memory:     {}", memory(m.used, m.limit)))?;
        line(format_args!(
            "  swap:     {}",
            memory(m.swap_used, m.swap_limit)
        ))?;
        line(format_args!("  killed:   {} for want of it", m.oom_kills))?;
    }
    if let Some(bias) = d.oom_bias {
        line(format_args!("OOM bias:   {bias:+}"))?;
    }
    if let Some(may) = &d.may {
        let words = |words: &[String]| or_dash(words.join(" "));
        line(format_args!("may:        {}", words(&may.capabilities)))?;
        line(format_args!(
            "  context:  {}",
            words(&may.context_capabilities)
        ))?;
        line(format_args!("  make:     {}", words(&may.namespaces)))?;
    }
    if let Some(b) = &d.sched {
        let Rate {
            fill_rate,
            interval,
        } = b.rate;
        line(format_args!(
            "bucket:     {fill_rate} per {interval} ticks ({})",
            b.rate
        ))?;
        if b.idle_rate.interval > 0 {
            let Rate {
                fill_rate,
                interval,
            } = b.idle_rate;
            line(format_args!(
                "  idle:     {fill_rate} per {interval} ticks ({})",
                b.idle_rate
            ))?;
        }
        line(format_args!(
            "  tokens:   {} (min {}, max {})",
            b.tokens, b.tokens_min, b.tokens_max
        ))?;
        line(format_args!("  priority: {:+}", b.prio_bias))?;
    }
    if let Some(b) = d.breaks {
        line(format_args!("links:      {}", breaks(b)))?;
    }
    for c in &d.cpus {
        line(format_args!(
            "cpu {}:      user {}, system {}, held {}",
            c.cpu,
            output::time(c.user_msec),
            output::time(c.sys_msec),
            output::time(c.hold_msec)
        ))?;
    }
    for l in &d.limits {
        line(format_args!(
            "{:<18} {}",
            format!("{}:", l.name.replace('_', " ")),
            has(l)
        ))?;
    }
    for (name, text) in &d.proc {
        line(format_args!("\n/proc/virtual/{}/{name}", s.xid))?;
        for row in text.lines() {
            line(format_args!("  {row}"))?;
        }
    }
    Ok(())
}

/// `vserver info`
pub(crate) fn info(json: bool) -> anyhow::Result<ExitCode> {
    let info = info::get()?;
    match json {
        true => output::json(&info)?,
        false => print_info(&info)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_info(i: &Info) -> anyhow::Result<()> {
    line(format_args!(
        "version:   {} ({:#010x})",
        i.version, i.vci_version
    ))?;
    line(format_args!(
        "features:  {} ({:#010x})",
        or_dash(i.features.join(" ")),
        i.vci
    ))?;
    line(format_args!("contexts:  {}", count(i.contexts)))?;
    if let Some(b) = i.breaks {
        line(format_args!("links:     {}", breaks(b)))?;
    }
    line(format_args!("caller in: {}", context_name(i.xid)))
}

fn context_name(xid: u32) -> String {
    match xid {
        0 => "the host (context 0)".to_owned(),
        1 => "the spectator (context 1)".to_owned(),
        xid => format!("context {xid}"),
    }
}

/// What has come of modifications of unified files.
fn breaks(b: Breaks) -> String {
    format!(
        "{} broken by reflink, {} by copy, {} in place, {} failed",
        b.clone, b.copy, b.clear, b.fail
    )
}

/// What a context has of a thing, and may have.
fn has(l: &Limit) -> String {
    let limit = match l.hard {
        Some(hard) => format!(" of {hard}"),
        None => String::new(),
    };
    let hits = match l.hits {
        0 => String::new(),
        hits => format!(", {hits} times refused"),
    };
    format!("{}{limit} (at most {}){hits}", l.current, l.max)
}

/// How much of what there may be.
pub(super) fn memory(used: u64, limit: Option<u64>) -> String {
    let used = output::bytes(used);
    limit.map_or(used.clone(), |limit| {
        format!("{used} of {}", output::bytes(limit))
    })
}

/// What a tree takes for itself, and since when that is known if it is a while.
pub(super) fn taken(disk: Disk) -> String {
    let own = output::bytes(disk.own_bytes);
    let age = match disk.age_sec {
        0..60 => return own,
        60..3600 => format!("{}m", disk.age_sec / 60),
        3600..86_400 => format!("{}h", disk.age_sec / 3600),
        _ => format!("{}d", disk.age_sec / 86_400),
    };
    format!("{own} ({age})")
}

fn count(n: Option<i64>) -> String {
    n.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

pub(super) fn limit(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string())
}

pub(super) fn or_dash(text: String) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_figures_say_so() {
        let at = |age_sec| {
            taken(Disk {
                own_bytes: 4096,
                shared_bytes: 0,
                age_sec,
            })
        };
        assert_eq!(at(59), "4.0 KiB");
        assert_eq!(at(125), "4.0 KiB (2m)");
        assert_eq!(at(7200), "4.0 KiB (2h)");
        assert_eq!(at(90_000), "4.0 KiB (1d)");
    }
}
