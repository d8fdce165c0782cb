// SPDX-License-Identifier: GPL-2.0

//! Linux-VServer: many isolated system contexts on one kernel.
//!
//! The policy. What it stands on is in the kernel: the hooks and the security module
//! (`security/vserver`), and safe abstractions of them (`kernel::vserver`, `kernel::vfs`,
//! `kernel::proc_fs`).
//!
//! `context` is what a context is, `table` all of them: create, find, enter, end. `xid` says which
//! ids are valid and free, `caps` what those inside can do. `bucket` is the token bucket's
//! arithmetic, which `bucket_test` tests, as `hold_test` the queue behind it, `idle` the rate for idle time, `sched` the scheduler's
//! commands. `cow` breaks the link of a unified file, `cow_stats` counts and traces that, `unify`
//! makes a link, `take_name` is what both end with; `iattr` is about inode attributes. `space` pins
//! namespaces, `names` and `cvirt` are about what a context looks like from inside, `limit` about
//! what it may have and what it sends, `reboot` is what reboot(2) does inside. `process` is about
//! single processes, `syscall` has the commands of vserver(2) and who may call them, `proc` is
//! /proc/virtual.

use kernel::{prelude::*, proc_fs, sync::Arc, uaccess::UserPtr, vfs, vserver};

mod bucket;
mod bucket_test;
mod caps;
mod context;
mod cow;
mod cow_stats;
mod cvirt;
mod debris;
mod dlimit;
mod hold_test;
mod iattr;
mod idle;
mod limit;
mod names;
mod proc;
mod process;
mod reboot;
mod sched;
mod space;
mod syscall;
mod table;
mod take_name;
mod unify;
mod xid;

use context::Context;
use cow_stats::Counters;
use table::Table;

module! {
    type: Module,
    name: "vserver",
    authors: ["Linux-VServer developers"],
    description: "Linux-VServer: system contexts, unified files, token buckets",
    license: "GPL",
}

/// The module's operations and what they work on: the table of contexts, and what was broken of
/// links by anybody.
struct Ops {
    table: Arc<Table>,
    breaks: Arc<Counters>,
}

/// The registration with the built-in part.
type Registration = vserver::Registration<Ops>;

/// A context as the built-in part counts it.
type Ctx = vserver::Context<Ops>;

impl vserver::Operations for Ops {
    type Context = Context;

    fn syscall(reg: &Registration, cmd: u32, id: u32, data: UserPtr) -> Result<u32> {
        syscall::dispatch(reg, cmd, id, data)
    }

    fn break_link(reg: &Registration, path: &mut vfs::Path, keep: i64) -> Result {
        cow_stats::observe(reg, path, |path| cow::break_link(path, keep, 0))
    }

    fn may_break(path: &vfs::Path) -> Result {
        cow::check_breakable(path)
    }

    fn charge(ctx: &Ctx, ns: u64) -> Option<u64> {
        sched::charge(ctx, ns)
    }

    fn hold(ctx: &Ctx, again: bool, ended: impl Fn() -> bool) -> bool {
        ctx.hold.wait(again, ended)
    }

    fn reboot(ctx: &Ctx, cmd: u32) -> Result {
        reboot::reboot(ctx, cmd)
    }

    fn task_exit(reg: &Registration, ctx: &Ctx, exit: vserver::Exit) {
        reg.table.task_exit(ctx, exit);
    }

    fn uts_name(ctx: &Ctx, field: u32) -> Option<vserver::space::Name> {
        names::given(ctx, field)
    }

    fn ended(reg: &Registration, ctx: &Ctx) {
        reboot::ended(ctx);
        reg.table.remove(ctx);
    }
}

/// What lives as long as the module is loaded. Dropped in this order: first no more calls come,
/// then the files go.
#[pin_data]
struct Module {
    #[pin]
    reg: Registration,
    files: proc::RootFiles,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let root = proc_fs::Dir::new(c"virtual", None)?;
            let table = Table::new(root.clone())?;
            let breaks = Arc::new(Counters::new(), GFP_KERNEL)?;
            let files = proc::RootFiles::new(&root, &table, &breaks)?;
            Ok(try_pin_init!(Self {
                reg <- Registration::new(module, Ok::<_, Error>(Ops { table, breaks })),
                files,
            }? Error))
        })
    }
}
