// SPDX-License-Identifier: GPL-2.0

//! What a context looks like from inside, and how `virt_stat` and the file `cvirt` tell it.

use crate::{names, syscall::Call, Ctx};
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::BStr,
    vserver::{
        abi,
        load::{Load, FRACTION},
    },
};

/// `virt_stat`.
///
/// # Errors
///
/// `ESRCH`, `EFAULT`.
pub(crate) fn stat(call: &Call<'_>) -> Result<u32> {
    let ctx = call.find()?;
    let load = ctx.load();
    let census = ctx.census();
    call.write(&abi::vcmd_virt_stat_v0 {
        // Its clock is the machine's.
        offset: 0,
        uptime: ctx.age_ns(),
        nr_threads: ctx.tasks() as u32,
        nr_running: census.running,
        nr_uninterruptible: census.uninterruptible,
        nr_onhold: ctx.hold.waiting() as u32,
        nr_forks: ctx.forks(),
        load: load.averages.map(|average| average as u32),
    })
}

/// The lines of the file `cvirt`. May sleep.
///
/// # Errors
///
/// None: what does not fit is printed again.
pub(crate) fn show(ctx: &Ctx, m: &SeqFile) -> Result {
    seq_print!(m, "BiasUptime:\t{}\n", Seconds(ctx.born_ns()));
    for (key, field) in [
        ("SysName", abi::VHIN_SYSNAME),
        ("NodeName", abi::VHIN_NODENAME),
        ("Release", abi::VHIN_RELEASE),
        ("Version", abi::VHIN_VERSION),
        ("Machine", abi::VHIN_MACHINE),
        ("DomainName", abi::VHIN_DOMAINNAME),
    ] {
        let name = names::get(ctx, field)?;
        seq_print!(m, "{key}:\t{}\n", BStr::from_bytes(names::text(&name)));
    }
    let census = ctx.census();
    seq_print!(m, "nr_threads:\t{}\n", ctx.tasks());
    seq_print!(m, "nr_running:\t{}\n", census.running);
    seq_print!(m, "nr_unintr:\t{}\n", census.uninterruptible);
    seq_print!(m, "nr_onhold:\t{}\n", ctx.hold.waiting());
    let load = ctx.load();
    seq_print!(m, "load_updates:\t{}\n", load.updates);
    seq_print!(m, "loadavg:\t{}\n", Averages(load));
    seq_print!(m, "total_forks:\t{}\n", ctx.forks());
    Ok(())
}

/// Nanoseconds, as seconds with two digits behind the point.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 10_000_000;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Three averages, rounded to two digits behind the point as `/proc/loadavg` does it.
struct Averages(Load);

impl fmt::Display for Averages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ONE: u64 = 1 << FRACTION;
        let Load { averages, .. } = self.0;
        for (i, average) in averages.into_iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            let average = average.saturating_add(ONE / 200);
            let hundredths = (average % ONE) * 100 / ONE;
            write!(f, "{space}{}.{hundredths:02}", average / ONE)?;
        }
        Ok(())
    }
}

#[kunit_tests(vserver_cvirt)]
mod tests {
    use super::*;
    use kernel::str::CString;

    fn is(text: impl fmt::Display, expected: &[u8]) -> Result<bool> {
        Ok(CString::try_from_fmt(fmt!("{text}"))?.to_bytes() == expected)
    }

    #[test]
    fn times() -> Result {
        assert!(is(Seconds(12_050_000_000), b"12.05")?);
        assert!(is(Seconds(9_999_999), b"0.00")?);
        Ok(())
    }

    #[test]
    fn load_is_rounded() -> Result {
        let load = Load {
            averages: [1 << FRACTION, 3 << (FRACTION - 1), 0],
            updates: 1,
        };
        assert!(is(Averages(load), b"1.00 1.50 0.00")?);
        Ok(())
    }
}
