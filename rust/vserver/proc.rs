// SPDX-License-Identifier: GPL-2.0

//! `/proc/virtual`: the state of the module and of each context.
//!
//! Nothing here takes the table's lock but `/proc/virtual/status`, which is not removed before
//! the module goes: removing a file waits for its readers.

use crate::{
    sched::{to_ticks, use_ticks},
    syscall,
    table::Table,
    Ctx,
};
use kernel::{
    prelude::*,
    proc_fs::{Dir, File, Show},
    seq_file::SeqFile,
    seq_print,
    str::CString,
    sync::{aref::ARef, Arc},
    vserver::{self, abi, wait::now_ns, CpuUse},
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
    pub(crate) fn new(root: &Arc<Dir>, table: &Arc<Table>) -> Result<Self> {
        Ok(Self {
            _info: File::new(c"info", root, RootInfo)?,
            _status: File::new(c"status", root, RootStatus(table.clone()))?,
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

struct RootStatus(Arc<Table>);

impl Show for RootStatus {
    fn show(&self, m: &SeqFile) -> Result {
        let count = self.0.count();
        seq_print!(m, "#CTotal:\t{count}\n#CActive:\t{count}\n");
        // Contexts keep no namespaces of their own.
        seq_print!(m, "#NSProxy:\t0\t0 0 0 0\n");
        Ok(())
    }
}

/// The directory of a context and its files.
pub(crate) struct ContextFiles {
    _info: File<Info>,
    _status: File<Status>,
    _sched: File<Sched>,
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
        // Hashed by the kernel: a name for the object, not an address.
        seq_print!(m, "Info:\t{:p}\n", ctx);
        seq_print!(m, "Init:\t{}\n", ctx.init());
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
        // A context bounds no capabilities, gives none, and keeps no namespaces.
        seq_print!(m, "BCaps:\t{:016x}\n", vserver::ALL_CAPABILITIES);
        seq_print!(m, "CCaps:\t{0:016x}\nUmask:\t{0:016x}\nWmask:\t{0:016x}\n", 0);
        seq_print!(m, "Spaces:\t{:08x}\n", 0);
        Ok(())
    }
}

struct Sched(ARef<Ctx>);

impl Show for Sched {
    fn show(&self, m: &SeqFile) -> Result {
        let ctx = &*self.0;
        visible(ctx)?;
        let (idle, prio_bias) = {
            let sched = ctx.sched.lock();
            (sched.idle, sched.prio_bias)
        };
        let s = ctx.bucket().settings();
        let (fill, interval) = (to_ticks(s.fill), to_ticks(s.interval));
        let (fill2, interval2) = (to_ticks(idle.0), to_ticks(idle.1));
        let (min, max) = (to_ticks(s.min), to_ticks(s.max));
        let tokens = to_ticks(ctx.bucket().tokens(now_ns()));
        let state = if ctx.bucket().is_closed() { 'H' } else { 'R' };
        let filled = to_ticks(ctx.bucket().filled());

        seq_print!(m, "FillRate:\t{fill:8},{fill2}\n");
        seq_print!(m, "Interval:\t{interval:8},{interval2}\n");
        seq_print!(m, "TokensMin:\t{min:8}\nTokensMax:\t{max:8}\n");
        seq_print!(m, "PrioBias:\t{prio_bias:8}\n");
        for cpu in 0..vserver::nr_cpus() {
            let CpuUse { user, sys, hold } = ctx.cpu_use(cpu);
            let (user, sys, hold) = (use_ticks(user), use_ticks(sys), use_ticks(hold));
            seq_print!(
                m,
                "cpu {cpu}: {user} {sys} {hold} {filled} 0 {state}- {tokens} {min} {max} \
                 {fill}/{interval} {fill2}/{interval2} {prio_bias} {prio_bias}\n"
            );
        }
        Ok(())
    }
}
