// SPDX-License-Identifier: GPL-2.0

//! Limits and what is counted: `get_rlimit` and its like, `sock_stat`, the OOM killer's bias.
//!
//! The hard limit is what hooks refuse to exceed. The soft one is a mark that nothing acts on, and
//! a minimum that would be kept for a context there is none. What is not counted as it is given,
//! but summed up from the processes when somebody asks, has no limit here: the memory cgroup of
//! the context limits that.

use crate::{syscall::Call, Ctx};
use kernel::{
    fmt,
    prelude::*,
    vserver::{
        abi::{self, cmd},
        limit::{id, Limit, Traffic, COUNTED, FAMILIES},
        Word,
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`]; `EINVAL`: no such thing, family or limit.
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::GET_RLIMIT => {
            let ctx = call.find()?;
            let (id, _) = abi::read_rlimit(call.data)?;
            let limit = ctx.limit(id)?;
            abi::write_rlimit(call.data, &[MINIMUM, limit.soft, limit.hard])?;
            Ok(0)
        }
        cmd::SET_RLIMIT => {
            let ctx = call.changeable()?;
            let (id, values) = abi::read_rlimit(call.data)?;
            let old = ctx.limit(id)?;
            let (soft, hard) = changed(&old, values)?;
            if (soft, hard) != (old.soft, old.hard) {
                ctx.set_limit(id, soft, hard)?;
            }
            Ok(0)
        }
        cmd::RLIMIT_STAT => {
            let ctx = call.find()?;
            let arg: abi::vcmd_rlimit_stat_v0 = call.read()?;
            let limit = ctx.limit(arg.id)?;
            call.write(&abi::vcmd_rlimit_stat_v0 {
                id: arg.id,
                hits: limit.hits,
                value: limit.value,
                minimum: limit.min,
                maximum: limit.max,
            })
        }
        cmd::RESET_HITS => {
            call.changeable()?.reset_hits();
            Ok(0)
        }
        cmd::RESET_MINMAX => {
            call.changeable()?.reset_minmax();
            Ok(0)
        }
        cmd::SOCK_STAT => {
            let ctx = call.find()?;
            let arg: abi::vcmd_sock_stat_v0 = call.read()?;
            if arg.field >= FAMILIES {
                return Err(EINVAL);
            }
            let traffic = ctx.traffic(arg.field);
            call.write(&abi::vcmd_sock_stat_v0 {
                field: arg.field,
                // The interface counts calls in 32 bits.
                count: traffic.count.map(|n| n as u32),
                total: traffic.bytes,
            })
        }
        cmd::GET_BADNESS => {
            let bias = call.find()?.get(Word::Badness) as i64;
            call.write(&abi::vcmd_badness_v0 { bias })
        }
        cmd::SET_BADNESS => {
            let ctx = call.changeable()?;
            let arg: abi::vcmd_badness_v0 = call.read()?;
            if !(-MAX_BIAS..=MAX_BIAS).contains(&arg.bias) {
                return Err(EINVAL);
            }
            let table = &call.reg.table;
            table.set_word(&ctx, Word::Badness, arg.bias as u64, !0);
            Ok(0)
        }
        _ => Err(ENOSYS),
    }
}

/// `get_rlimit_mask`: which limits can be set.
pub(crate) const MASK: abi::vcmd_ctx_rlimit_mask_v0 = abi::vcmd_ctx_rlimit_mask_v0 {
    minimum: 0,
    softlimit: COUNTED,
    maximum: COUNTED,
};

/// The minimum of everything.
const MINIMUM: u64 = 0;

/// The largest bias of the OOM killer, in the units of `oom_score_adj`.
const MAX_BIAS: i64 = 1000;

/// The soft and the hard limit, which were as in `old`, changed as `[minimum, soft, hard]` say.
///
/// # Errors
///
/// `EINVAL`: they ask for a minimum.
fn changed(old: &Limit, [minimum, soft, hard]: [u64; 3]) -> Result<(u64, u64)> {
    let new = |value, old| {
        if value == abi::CRLIM_KEEP {
            old
        } else {
            value
        }
    };
    if new(minimum, MINIMUM) != MINIMUM {
        return Err(EINVAL);
    }
    Ok((new(soft, old.soft), new(hard, old.hard)))
}

/// The lines of `limit` in /proc/virtual.
const LINES: [(&str, u32); 15] = [
    ("PROC", id::TASKS),
    ("VM", id::VM),
    ("VML", id::LOCKED),
    ("RSS", id::RSS),
    ("ANON", id::ANON),
    ("RMAP", id::MAPPED),
    ("FILES", id::FILES),
    ("OFD", id::DESCRIPTORS),
    ("LOCKS", id::LOCKS),
    ("SOCK", id::SOCKETS),
    ("MSGQ", id::QUEUES),
    ("SHM", id::SHARED),
    ("SEMA", id::ARRAYS),
    ("SEMS", id::SEMAPHORES),
    ("DENT", id::DENTRIES),
];

/// The file `limit` of a context.
pub(crate) struct LimitFile([Limit; LINES.len()]);

impl LimitFile {
    /// What it says now.
    pub(crate) fn new(ctx: &Ctx) -> Self {
        Self(ctx.limits(LINES.map(|(_, id)| id)))
    }
}

/// A number, -1 if it is no limit.
fn or_none(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(-1)
}

impl fmt::Display for LimitFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limit\t current\t     min/max\t\t    soft/hard\t\thits\n")?;
        for ((name, _), l) in LINES.iter().zip(&self.0) {
            let (soft, hard) = (or_none(l.soft), or_none(l.hard));
            write!(f, "{name}:\t{:8}\t{:8}/{:8}", l.value, l.min, l.max)?;
            writeln!(f, "\t{soft:8}/{hard:8}\t{:6}", l.hits)?;
        }
        Ok(())
    }
}

/// The lines of `cacct`, in the order of the families' numbers.
const FAMILY_NAMES: [&str; FAMILIES as usize] =
    ["UNSPEC", "UNIX", "INET", "INET6", "PACKET", "OTHER"];

/// The file `cacct` of a context.
pub(crate) struct TrafficFile([Traffic; FAMILIES as usize]);

impl TrafficFile {
    /// What it says now.
    pub(crate) fn new(ctx: &Ctx) -> Self {
        Self(core::array::from_fn(|family| ctx.traffic(family as u32)))
    }
}

impl fmt::Display for TrafficFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Type\t    recv #/bytes\t\t    send #/bytes\t\t    fail #/bytes\n")?;
        for (name, traffic) in FAMILY_NAMES.iter().zip(&self.0) {
            write!(f, "{name}:")?;
            for (count, bytes) in traffic.count.iter().zip(&traffic.bytes) {
                write!(f, "\t{count:10}/{bytes:<10}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

#[kunit_tests(vserver_limit)]
mod tests {
    use super::*;
    use kernel::str::CString;

    const OLD: Limit = Limit {
        value: 3,
        min: 1,
        max: 7,
        soft: 10,
        hard: abi::CRLIM_INFINITY,
        hits: 2,
    };

    #[test]
    fn what_is_kept_stays() {
        let keep = abi::CRLIM_KEEP;
        assert_eq!(changed(&OLD, [keep; 3]), Ok((10, abi::CRLIM_INFINITY)));
        assert_eq!(changed(&OLD, [0, keep, 5]), Ok((10, 5)));
        assert_eq!(changed(&OLD, [keep, 0, 5]), Ok((0, 5)));
    }

    #[test]
    fn a_minimum_is_kept_for_nobody() {
        let keep = abi::CRLIM_KEEP;
        assert_eq!(changed(&OLD, [1, keep, keep]), Err(EINVAL));
        assert_eq!(changed(&OLD, [!0, keep, keep]), Err(EINVAL));
    }

    #[test]
    fn limit_lines() -> Result {
        let text = CString::try_from_fmt(fmt!("{}", LimitFile([OLD; LINES.len()])))?;
        let mut lines = text.to_bytes().split(|&b| b == b'\n');
        assert!(
            lines.next()
                == Some(b"Limit\t current\t     min/max\t\t    soft/hard\t\thits".as_slice())
        );
        assert!(
            lines.next()
                == Some(
                    b"PROC:\t       3\t       1/       7\t      10/      -1\t     2".as_slice()
                )
        );
        assert!(lines.count() == LINES.len());
        Ok(())
    }

    #[test]
    fn traffic_lines() -> Result {
        let traffic = Traffic {
            count: [1, 20, 0],
            bytes: [5, 6, 0],
        };
        let text = CString::try_from_fmt(fmt!("{}", TrafficFile([traffic; FAMILIES as usize])))?;
        let line = text.to_bytes().split(|&b| b == b'\n').nth(2);
        assert!(
            line == Some(
                b"UNIX:\t         1/5         \t        20/6         \t         0/0         "
                    .as_slice()
            )
        );
        Ok(())
    }
}
