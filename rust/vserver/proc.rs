// SPDX-License-Identifier: GPL-2.0

//! `/proc/virtual`: the state of the module and of each context.
//!
//! Nothing here takes the table's lock but `/proc/virtual/status`, which is not removed before
//! the module goes: removing a file waits for who is just opening it.

use crate::{
    bucket::Settings,
    cow_stats::Counters,
    cvirt,
    idle::IdleRate,
    limit::{LimitFile, TrafficFile},
    sched::{self, to_ticks, use_ticks},
    space::{self, Totals},
    syscall,
    table::Table,
    Ctx,
};
use kernel::{
    fmt,
    prelude::*,
    proc_fs::{Dir, File, Show},
    seq_file::SeqFile,
    seq_print,
    str::CString,
    sync::{aref::ARef, atomic::Relaxed, Arc},
    vfs::dlimit::show_dlimits,
    vserver::{self, abi, wait::now_ns, CpuUse, Word, TICK_NS},
};

/// The files in `/proc/virtual` itself.
pub(crate) struct RootFiles {
    _info: File<RootInfo>,
    _status: File<RootStatus>,
}

impl RootFiles {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(root: &Arc<Dir>, table: &Arc<Table>, breaks: &Arc<Counters>) -> Result<Self> {
        Ok(Self {
            _info: File::new(c"info", root, RootInfo)?,
            _status: File::new(
                c"status",
                root,
                RootStatus {
                    table: table.clone(),
                    breaks: breaks.clone(),
                },
            )?,
        })
    }
}

struct RootInfo;

impl Show for RootInfo {
    fn show(&self, m: &SeqFile) -> Result {
        let [high, low] = [abi::VCI_VERSION >> 16, abi::VCI_VERSION & 0xffff];
        seq_print!(m, "VCIVersion:\t{high:04x}:{low:04x}\n");
        seq_print!(m, "VCISyscall:\t{}\n", vserver::SYSCALL);
        seq_print!(m, "VCIKernel:\t{:08x}\n", vserver::KERNEL_VERSION);
        Ok(())
    }
}

struct RootStatus {
    table: Arc<Table>,
    breaks: Arc<Counters>,
}

impl Show for RootStatus {
    fn show(&self, m: &SeqFile) -> Result {
        let mut held = Totals::default();
        if syscall::is_inside() {
            // All that there is for the caller.
            let own = self.table.get(vserver::current_xid())?;
            held.add(&own);
            held.print(m, 1);
            seq_print!(m, "{}", own.breaks.lines("Cow"));
        } else {
            self.table.for_each(|ctx| held.add(ctx));
            held.print(m, self.table.count());
            seq_print!(m, "{}", self.breaks.lines("Cow"));
        }
        Ok(())
    }
}

/// The directory of a context and its files.
pub(crate) struct ContextFiles {
    _info: File<Info>,
    _status: File<Status>,
    _sched: File<Sched>,
    _cow: File<Cow>,
    _limit: File<Limits>,
    _dlimit: File<Dlimits>,
    _cacct: File<Cacct>,
    _cvirt: File<Cvirt>,
    _nsproxy: File<NsProxy>,
}

impl ContextFiles {
    /// Makes them. They keep the context until they are dropped.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(root: &Arc<Dir>, ctx: &ARef<Ctx>) -> Result<Self> {
        let name = CString::try_from_fmt(fmt!("{}", ctx.xid()))?;
        let dir = Dir::new(&name, Some(root))?;
        Ok(Self {
            _info: File::new(c"info", &dir, Info(ctx.clone()))?,
            _status: File::new(c"status", &dir, Status(ctx.clone()))?,
            _sched: File::new(c"sched", &dir, Sched(ctx.clone()))?,
            _cow: File::new(c"cow", &dir, Cow(ctx.clone()))?,
            _limit: File::new(c"limit", &dir, Limits(ctx.clone()))?,
            _dlimit: File::new(c"dlimit", &dir, Dlimits(ctx.clone()))?,
            _cacct: File::new(c"cacct", &dir, Cacct(ctx.clone()))?,
            _cvirt: File::new(c"cvirt", &dir, Cvirt(ctx.clone()))?,
            _nsproxy: File::new(c"nsproxy", &dir, NsProxy(ctx.clone()))?,
        })
    }
}

/// Refuses a reader inside another context.
fn visible(ctx: &Ctx) -> Result {
    if syscall::sees(ctx.xid()) {
        Ok(())
    } else {
        Err(ENOENT)
    }
}

struct Info(ARef<Ctx>);

impl Show for Info {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        seq_print!(m, "ID:\t{}\n", ctx.xid());
        seq_print!(m, "Info:\t");
        ctx.print_id(m);
        seq_print!(m, "\nInit:\t{}\n", ctx.shown_init());
        Ok(())
    }
}

struct Status(ARef<Ctx>);

impl Show for Status {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        seq_print!(m, "UseCnt:\t{}\nTasks:\t{}\n", ctx.usage(), ctx.tasks());
        seq_print!(m, "Flags:\t{:016x}\n", ctx.flags());
        for (key, word) in [
            ("BCaps", Word::Bcaps),
            ("CCaps", Word::Ccaps),
            ("Umask", Word::Umask),
        ] {
            seq_print!(m, "{key}:\t{:016x}\n", ctx.get(word));
        }
        seq_print!(m, "Wmask:\t{:016x}\n", 0);
        let spaces = space::get(ctx, 0).map_or(0, |space| space.mask());
        seq_print!(m, "Spaces:\t{spaces:08x}\n");
        Ok(())
    }
}

struct Sched(ARef<Ctx>);

impl Show for Sched {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        sched::settle(ctx);
        // The settings of one moment.
        let sched = ctx.sched.lock();
        let idle = sched.idle;
        let bucket = ctx.bucket();
        let view = SchedView {
            settings: bucket.settings(),
            idle,
            prio_bias: ctx.prio_bias.load(Relaxed),
            vavavoom: ctx.prio_bias(),
            tokens: bucket.tokens(now_ns()),
            filled: bucket.filled(),
            held: bucket.is_closed(),
            claims: bucket.holds_for_tokens() && idle.is_claim(),
        };
        drop(sched);
        seq_print!(m, "{view}");
        for cpu in 0..vserver::nr_cpus() {
            seq_print!(m, "{}", CpuLine(cpu, ctx.cpu_use(cpu), &view));
        }
        Ok(())
    }
}

struct Cow(ARef<Ctx>);

impl Show for Cow {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        seq_print!(m, "{}", ctx.breaks.lines(""));
        Ok(())
    }
}

struct Limits(ARef<Ctx>);

impl Show for Limits {
    fn show(&self, m: &SeqFile) -> Result {
        visible(&self.0)?;
        seq_print!(m, "{}", LimitFile::new(&self.0));
        Ok(())
    }
}

struct Dlimits(ARef<Ctx>);

impl Show for Dlimits {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        seq_print!(m, "Device\tspace\tmax\tinodes\tmax\treserved\n");
        show_dlimits(m, ctx.xid());
        Ok(())
    }
}

struct Cacct(ARef<Ctx>);

impl Show for Cacct {
    fn show(&self, m: &SeqFile) -> Result {
        visible(&self.0)?;
        seq_print!(m, "{}", TrafficFile::new(&self.0));
        Ok(())
    }
}

struct Cvirt(ARef<Ctx>);

impl Show for Cvirt {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        cvirt::show(ctx, m)
    }
}

struct NsProxy(ARef<Ctx>);

impl Show for NsProxy {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        for index in 0..2 {
            if let Some(space) = space::get(ctx, index) {
                seq_print!(m, "NSProxy:\t{index} ");
                space.print(m);
            }
        }
        Ok(())
    }
}

/// What `sched` says of the context, in nanoseconds; prints its head.
struct SchedView {
    settings: Settings,
    idle: IdleRate,
    prio_bias: i32,
    vavavoom: i32,
    tokens: i64,
    filled: i64,
    held: bool,
    claims: bool,
}

impl fmt::Display for SchedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.settings;
        writeln!(
            f,
            "FillRate:\t{:8},{}",
            to_ticks(s.fill),
            to_ticks(self.idle.fill)
        )?;
        writeln!(
            f,
            "Interval:\t{:8},{}",
            to_ticks(s.interval),
            to_ticks(self.idle.interval)
        )?;
        writeln!(f, "TokensMin:\t{:8}", to_ticks(s.min))?;
        writeln!(f, "TokensMax:\t{:8}", to_ticks(s.max))?;
        writeln!(f, "PrioBias:\t{:8}", self.prio_bias)
    }
}

/// The line of a CPU.
struct CpuLine<'a>(u32, CpuUse, &'a SchedView);

impl fmt::Display for CpuLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuLine(cpu, used, v) = self;
        let s = &v.settings;
        let state = if v.held { 'H' } else { 'R' };
        let idle = if v.claims { 'I' } else { '-' };
        write!(
            f,
            "cpu {cpu}: {} {} ",
            use_ticks(used.user),
            use_ticks(used.sys)
        )?;
        write!(
            f,
            "{} {} {} {state}{idle} ",
            use_ticks(used.hold),
            to_ticks(v.filled),
            use_ticks(used.idle)
        )?;
        write!(
            f,
            "{} {} {} ",
            to_ticks(v.tokens),
            to_ticks(s.min),
            to_ticks(s.max)
        )?;
        write!(f, "{}/{} ", to_ticks(s.fill), to_ticks(s.interval))?;
        write!(
            f,
            "{}/{} ",
            to_ticks(v.idle.fill),
            to_ticks(v.idle.interval)
        )?;
        writeln!(f, "{} {}", v.prio_bias, v.vavavoom)
    }
}

#[kunit_tests(vserver_proc)]
mod tests {
    use super::*;

    fn view() -> SchedView {
        SchedView {
            settings: Settings {
                fill: 25 * TICK_NS,
                interval: 100 * TICK_NS,
                min: 12 * TICK_NS,
                max: 125 * TICK_NS,
            },
            idle: IdleRate::DEFAULT,
            prio_bias: -2,
            vavavoom: 3,
            tokens: -3 * TICK_NS - 1,
            filled: 700 * TICK_NS,
            held: true,
            claims: false,
        }
    }

    fn is(text: impl fmt::Display, expected: &[u8]) -> Result<bool> {
        Ok(CString::try_from_fmt(fmt!("{text}"))?.to_bytes() == expected)
    }

    #[test]
    fn sched_head() -> Result {
        assert!(is(
            view(),
            b"FillRate:\t      25,0\nInterval:\t     100,4\nTokensMin:\t      12\n\
              TokensMax:\t     125\nPrioBias:\t      -2\n"
        )?);
        Ok(())
    }

    #[test]
    fn sched_cpu_line() -> Result {
        let view = view();
        let used = CpuUse {
            user: 7 * TICK_NS as u64,
            sys: 2 * TICK_NS as u64 - 1,
            hold: 9 * TICK_NS as u64,
            idle: 5 * TICK_NS as u64,
        };
        assert!(is(
            CpuLine(1, used, &view),
            b"cpu 1: 7 1 9 700 5 H- -3 12 125 25/100 0/4 -2 3\n"
        )?);
        let idle = IdleRate {
            fill: 2 * TICK_NS,
            acts: true,
            ..view.idle
        };
        assert!(is(
            CpuLine(
                1,
                used,
                &SchedView {
                    idle,
                    claims: true,
                    ..view
                }
            ),
            b"cpu 1: 7 1 9 700 5 HI -3 12 125 25/100 2/4 -2 3\n"
        )?);
        Ok(())
    }
}
