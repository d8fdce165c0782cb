// SPDX-License-Identifier: GPL-2.0
//! Contexts that exist: find, look at, change, signal, wait for.

use std::collections::BTreeMap;

use rustix::thread::{CapabilitySet, UnshareFlags};
use serde::Serialize;
use vserver_abi as abi;

use crate::breaks::Breaks;
use crate::cgroup::{self, Memory};
use crate::cpu::{Rate, SchedChange};
use crate::error::{Doing, Error, Result, Vserver};
use crate::limits::{self, Limit};
use crate::names::{CCAPS, CFLAGS, FlagChange};
use crate::proc;

/// A line of `vserver list`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The id.
    pub xid: u32,
    /// The name, empty if it has none or the caller may not know.
    pub name: String,
    /// How many tasks are in it.
    pub tasks: i64,
    /// The pid of its init, 0 if it has none.
    pub init: u32,
    /// What state it is in: `running`, `setup`, `paused`, `empty`.
    pub state: &'static str,
    /// The names of the flags that are on.
    pub flags: Vec<String>,
    /// The CPU limit, if one acts.
    pub cpu_limit: Option<Rate>,
    /// CPU time used, milliseconds.
    pub cpu_msec: u64,
    /// Time its tasks were held because the bucket was empty, milliseconds.
    pub hold_msec: u64,
    /// Its memory, if it has a cgroup that counts it.
    pub memory: Option<Memory>,
}

/// Everything about a context.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// What `list` shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// The values of its token bucket.
    pub sched: Option<Bucket>,
    /// Links of unified files that it has broken; `None` if the kernel does not count them.
    pub breaks: Option<Breaks>,
    /// Use of each CPU.
    pub cpus: Vec<CpuUse>,
    /// What it has of things, and may have.
    pub limits: Vec<Limit>,
    /// What it may, by names; nothing where the caller may not know.
    pub may: Option<May>,
    /// What is added to the `oom_score_adj` of its processes, if the caller may know.
    pub oom_bias: Option<i64>,
    /// The files of `/proc/virtual/<xid>`.
    pub proc: BTreeMap<String, String>,
}

/// The values of a token bucket, in ticks.
#[derive(Clone, Debug, Serialize)]
pub struct Bucket {
    /// Rate in real time.
    pub rate: Rate,
    /// Rate when the CPU would idle.
    pub idle_rate: Rate,
    /// Tokens now.
    pub tokens: i32,
    /// Tokens that end a hold.
    pub tokens_min: i32,
    /// Tokens it can save up.
    pub tokens_max: i32,
    /// Bias of the priority.
    pub prio_bias: i32,
}

/// What a context used of a CPU.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuUse {
    /// The CPU.
    pub cpu: i32,
    /// In user mode, milliseconds.
    pub user_msec: u64,
    /// In the kernel, milliseconds.
    pub sys_msec: u64,
    /// On hold, milliseconds.
    pub hold_msec: u64,
    /// The length of a tick, microseconds.
    pub token_usec: u32,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All processes.
    All,
    /// The context's init.
    Init,
    /// All but its init.
    AllButInit,
    /// One process.
    Pid(i32),
}

/// The id behind a number or a name.
pub fn resolve(who: &str) -> Result<u32> {
    if let Ok(xid) = who.parse::<u32>() {
        if xid == abi::VX_XID_WATCH {
            // The spectator is always there, and no context to look at.
            return Ok(xid);
        }
        Vserver(abi::vx_info(xid))
            .doing(|| format!("context {xid}"))
            .map_err(|e| match e.errno() {
                Some(rustix::io::Errno::SRCH) => Error::NoContext(who.to_owned()),
                _ => e,
            })?;
        return Ok(xid);
    }
    for xid in proc::xids()? {
        match abi::get_vhi_name(xid, abi::VHIN_CONTEXT) {
            Ok(name) if name == who => return Ok(xid),
            // It may just have ended.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(errno) => {
                return Vserver(Err(errno)).doing(|| format!("the name of context {xid}"));
            }
        }
    }
    Err(Error::NoContext(who.to_owned()))
}

/// All contexts.
pub fn list() -> Result<Vec<Summary>> {
    let mut all = Vec::new();
    for xid in proc::xids()? {
        all.extend(summary(xid)?);
    }
    Ok(all)
}

/// Everything about context `xid`.
pub fn show(xid: u32) -> Result<Details> {
    let summary = summary(xid)?.ok_or_else(|| Error::NoContext(xid.to_string()))?;
    let sched = abi::get_sched(xid).ok().map(|s| Bucket {
        rate: Rate {
            fill_rate: s.fill_rate[0],
            interval: s.interval[0],
        },
        idle_rate: Rate {
            fill_rate: s.fill_rate[1],
            interval: s.interval[1],
        },
        tokens: s.tokens,
        tokens_min: s.tokens_min,
        tokens_max: s.tokens_max,
        prio_bias: s.prio_bias,
    });
    let cow = proc::context_file(xid, "cow")?.unwrap_or_default();
    Ok(Details {
        summary,
        sched,
        breaks: Breaks::read(&proc::fields(&cow), ""),
        cpus: cpu_use(xid),
        limits: limits::get(xid),
        may: bits(xid).ok().map(May::from),
        oom_bias: abi::get_badness(xid).ok(),
        proc: proc::context_files(xid)?,
    })
}

/// What there is to say in a line about `xid`; `None` if it is gone.
fn summary(xid: u32) -> Result<Option<Summary>> {
    let (Some(status), Some(info)) = (
        proc::context_file(xid, "status")?,
        proc::context_file(xid, "info")?,
    ) else {
        return Ok(None);
    };
    let status = proc::fields(&status);
    let tasks = proc::number(&status, "Tasks").unwrap_or(0);
    let flags = proc::bits(&status, "Flags").unwrap_or(0);
    let init = proc::number(&proc::fields(&info), "Init").unwrap_or(0);
    let cpus = cpu_use(xid);
    Ok(Some(Summary {
        xid,
        name: abi::get_vhi_name(xid, abi::VHIN_CONTEXT).unwrap_or_default(),
        tasks,
        init: u32::try_from(init).unwrap_or(0),
        state: state(flags, tasks),
        flags: CFLAGS.words(flags),
        cpu_limit: match flags & abi::VXF_SCHED_HARD {
            0 => None,
            _ => rate(xid)?,
        },
        cpu_msec: cpus.iter().map(|c| c.user_msec + c.sys_msec).sum(),
        hold_msec: cpus.iter().map(|c| c.hold_msec).sum(),
        memory: cgroup::memory(xid),
    }))
}

/// A context's state in a word.
fn state(flags: u64, tasks: i64) -> &'static str {
    if flags & abi::VXF_STATE_SETUP != 0 {
        "setup"
    } else if flags & abi::VXF_SCHED_PAUSE != 0 {
        "paused"
    } else if tasks == 0 {
        "empty"
    } else {
        "running"
    }
}

/// The rate of a context's bucket, from the file that anybody may read.
fn rate(xid: u32) -> Result<Option<Rate>> {
    let Some(text) = proc::context_file(xid, "sched")? else {
        return Ok(None);
    };
    let fields = proc::fields(&text);
    let values = proc::pair(&fields, "FillRate").zip(proc::pair(&fields, "Interval"));
    Ok(values.map(|((fill_rate, _), (interval, _))| Rate {
        fill_rate,
        interval,
    }))
}

/// What `xid` used of each CPU; empty where the caller may not know.
fn cpu_use(xid: u32) -> Vec<CpuUse> {
    (0..)
        .map_while(|cpu| {
            let info = abi::sched_info(xid, cpu).ok()?;
            Some(CpuUse {
                cpu,
                user_msec: info.user_msec,
                sys_msec: info.sys_msec,
                hold_msec: info.hold_msec,
                token_usec: info.token_usec,
            })
        })
        .collect()
}

/// Changes limits and flags of context `xid`; a bucket that is `new` starts without a burst.
pub fn change(xid: u32, sched: &SchedChange, flags: FlagChange, new: bool) -> Result<()> {
    if let Some(values) = sched.to_abi(new) {
        set_sched(xid, values)?;
    }
    let hard = match sched.hard() {
        Some(true) => FlagChange {
            set: abi::VXF_SCHED_HARD,
            clear: 0,
        },
        Some(false) => FlagChange {
            set: 0,
            clear: abi::VXF_SCHED_HARD,
        },
        None => FlagChange::default(),
    };
    let flags = hard.and(flags);
    if flags.mask() != 0 {
        Vserver(abi::set_cflags(xid, flags.set, flags.mask()))
            .doing(|| format!("set the flags of context {xid}"))?;
    }
    Ok(())
}

/// Changes those values of context `xid`'s bucket that the mask in `values` names.
pub fn set_sched(xid: u32, values: abi::Sched) -> Result<()> {
    Vserver(abi::set_sched(xid, values)).doing(|| format!("set the limits of context {xid}"))
}

/// Gives context `xid` a name.
pub fn set_name(xid: u32, name: &str) -> Result<()> {
    Vserver(abi::set_vhi_name(xid, abi::VHIN_CONTEXT, name))
        .doing(|| format!("name context {xid} {name}"))
}

/// Gives context `xid` a name that `uname(2)` says inside, by its number (`VHIN_*`).
pub fn set_uts_name(xid: u32, field: u32, name: &str) -> Result<()> {
    Vserver(abi::set_vhi_name(xid, field, name))
        .doing(|| format!("give context {xid} the name {name}"))
}

/// The name that context `xid` has in a field (`VHIN_*`).
pub fn uts_name(xid: u32, field: u32) -> Result<String> {
    Vserver(abi::get_vhi_name(xid, field)).doing(|| format!("the names of context {xid}"))
}

/// Has `bias` added to the `oom_score_adj` of the processes of context `xid`: -1000 to 1000.
pub fn set_oom_bias(xid: u32, bias: i64) -> Result<()> {
    Vserver(abi::set_badness(xid, bias)).doing(|| format!("set the OOM bias of context {xid}"))
}

/// Changes those context capabilities of context `xid` that are in `mask`.
pub fn set_ccaps(xid: u32, ccaps: u64, mask: u64) -> Result<()> {
    Vserver(abi::set_ccaps(xid, ccaps, mask))
        .doing(|| format!("set the context capabilities of context {xid}"))
}

/// Changes those of the capabilities that bound those in context `xid` that are in `mask`, bit by
/// number.
pub fn set_bcaps(xid: u32, bcaps: u64, mask: u64) -> Result<()> {
    Vserver(abi::set_bcaps(xid, bcaps, mask))
        .doing(|| format!("set the capabilities of context {xid}"))
}

/// Changes those of the namespaces (`CLONE_NEW*`) that may be made in context `xid` that are in
/// `mask`.
pub fn set_umask(xid: u32, umask: u64, mask: u64) -> Result<()> {
    Vserver(abi::set_umask(xid, umask, mask))
        .doing(|| format!("set the namespaces that context {xid} may make"))
}

/// What a context is and may, as bits.
#[derive(Clone, Copy, Debug)]
pub struct Bits {
    /// The flags: `VXF_*`.
    pub flags: u64,
    /// The capabilities that bound those in it, bit by number.
    pub bcaps: u64,
    /// The context capabilities: `VXC_*`.
    pub ccaps: u64,
    /// The namespaces that may be made in it: `CLONE_NEW*`.
    pub umask: u64,
}

/// What a context may, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct May {
    /// The capabilities that bound those in it: `net_raw`.
    pub capabilities: Vec<String>,
    /// The context capabilities: `secure_mount`.
    pub context_capabilities: Vec<String>,
    /// The namespaces that may be made in it: `newuts`.
    pub namespaces: Vec<String>,
}

impl From<Bits> for May {
    fn from(bits: Bits) -> Self {
        let capabilities = CapabilitySet::from_bits_retain(bits.bcaps);
        let namespaces = UnshareFlags::from_bits_retain(u32::try_from(bits.umask).unwrap_or(0));
        let lower = |name: &str| name.to_ascii_lowercase();
        Self {
            capabilities: capabilities.iter_names().map(|(n, _)| lower(n)).collect(),
            context_capabilities: CCAPS.words(bits.ccaps),
            namespaces: namespaces.iter_names().map(|(n, _)| lower(n)).collect(),
        }
    }
}

/// What context `xid` is and may.
pub fn bits(xid: u32) -> Result<Bits> {
    let doing = || format!("look at context {xid}");
    Ok(Bits {
        flags: Vserver(abi::get_cflags(xid)).doing(doing)?,
        bcaps: Vserver(abi::get_bcaps(xid)).doing(doing)?,
        ccaps: Vserver(abi::get_ccaps(xid)).doing(doing)?,
        umask: Vserver(abi::get_umask(xid)).doing(doing)?,
    })
}

/// The context that process `pid` is in, 0 for the host.
pub fn of_process(pid: u32) -> Result<u32> {
    match abi::task_xid(pid) {
        // It is not the context that is missing.
        Err(rustix::io::Errno::SRCH) => Err(Error::Invalid(format!("{pid}: no such process"))),
        xid => Vserver(xid).doing(|| format!("look at process {pid}")),
    }
}

/// Checks that `name` can name a context.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |why| Err(Error::Invalid(format!("--name {name}: {why}")));
    if name.is_empty() || name.len() > 64 {
        return bad("a name has 1 to 64 bytes");
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return bad("a name is not a number, or it would be taken for an id");
    }
    if name.chars().any(char::is_control) {
        return bad("a name has no control characters");
    }
    Ok(())
}

/// Sends `signal` to processes of context `xid`.
pub fn kill(xid: u32, target: Target, signal: i32) -> Result<()> {
    let pid = match target {
        Target::All => 0,
        Target::Init => 1,
        Target::AllButInit => -1,
        Target::Pid(pid) => pid,
    };
    let sent = abi::ctx_kill(xid, pid, signal);
    // It need not be the context that is missing.
    if sent == Err(rustix::io::Errno::SRCH) && abi::vx_info(xid).is_ok() {
        return Err(Error::Invalid(nobody(xid, target)));
    }
    Vserver(sent).doing(|| format!("send signal {signal} in context {xid}"))
}

/// Says that there is nobody to get a signal.
fn nobody(xid: u32, target: Target) -> String {
    match target {
        Target::All => format!("context {xid} has no processes"),
        Target::Init => format!("context {xid} has no init"),
        Target::AllButInit => format!("context {xid} has no processes but its init"),
        Target::Pid(pid) => format!("context {xid} has no process {pid}"),
    }
}

/// Waits until context `xid` is gone and returns its exit status.
pub fn wait(xid: u32) -> Result<abi::WaitExit> {
    loop {
        match abi::wait_exit(xid) {
            Err(rustix::io::Errno::INTR) => {}
            answer => return Vserver(answer).doing(|| format!("wait for context {xid}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_an_order() {
        assert_eq!(
            state(abi::VXF_STATE_SETUP | abi::VXF_SCHED_PAUSE, 1),
            "setup"
        );
        assert_eq!(state(abi::VXF_SCHED_PAUSE, 1), "paused");
        assert_eq!(state(abi::VXF_PERSISTENT, 0), "empty");
        assert_eq!(state(abi::VXF_STATE_ADMIN, 3), "running");
    }

    #[test]
    fn what_it_may_has_names() {
        let may = May::from(Bits {
            flags: 0,
            bcaps: (CapabilitySet::NET_RAW | CapabilitySet::KILL).bits(),
            ccaps: abi::VXC_SECURE_MOUNT,
            umask: u64::from(UnshareFlags::NEWUTS.bits()),
        });
        assert_eq!(may.capabilities, ["kill", "net_raw"]);
        assert_eq!(may.context_capabilities, ["secure_mount"]);
        assert_eq!(may.namespaces, ["newuts"]);
    }

    #[test]
    fn who_is_missing_is_named() {
        assert_eq!(nobody(7, Target::Init), "context 7 has no init");
        assert_eq!(nobody(7, Target::Pid(20)), "context 7 has no process 20");
    }

    #[test]
    fn names_are_not_numbers() {
        assert!(check_name("web").is_ok());
        assert!(check_name("web-2").is_ok());
        for name in ["", "17", "a\nb", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
