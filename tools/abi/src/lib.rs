// SPDX-License-Identifier: GPL-2.0
//! The user-space interface of Linux-VServer: `vserver(2)`.
//!
//! Constants come from `include/uapi/linux/vserver.h` when the crate is built;
//! the structures are written here and asserted to have the header's layout.
//! Around them are thin safe wrappers, one function a command, that return the
//! kernel's error number. All `unsafe` code of the tools is in this crate.

mod context;
mod dlimit;
mod inode;
mod limits;
pub mod mount;
pub mod process;
mod quota;
mod sched;
mod space;
mod structs;
mod syscall;

/// The header's constants under its names, generated.
#[expect(
    non_upper_case_globals,
    reason = "commands are lower case in the header"
)]
mod header {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

pub use context::{
    ctx_create, ctx_kill, ctx_migrate, ctx_stat, get_bcaps, get_ccaps, get_cflags, get_umask,
    get_vci, get_version, get_vhi_name, set_bcaps, set_ccaps, set_cflags, set_umask, set_vhi_name,
    tag_migrate, task_tag, task_xid, vx_info, wait_exit,
};
pub use dlimit::{Dlimit, add_dlimit, get_dlimit, rem_dlimit, set_dlimit};
pub use header::*;
pub use inode::{deunify, fget_iattr, fset_iattr, generation, get_iattr, set_iattr, unify};
pub use limits::{
    get_badness, get_rlimit, get_rlimit_mask, reset_hits, reset_minmax, rlimit_stat, set_badness,
    set_hard_limit, set_rlimit, sock_stat,
};
pub use quota::{
    Amount, Owner, Quota, QuotaInfo, add_quota, get_quota, get_quota_info, rem_quota, set_quota,
    set_quota_info,
};
pub use sched::{get_sched, sched_info, set_sched};
pub use space::{SPACE_DIRS, enter_space, get_space_default, get_space_mask, set_space, virt_stat};
pub use structs::{
    CtxFiattr, CtxStat, Rlimit, RlimitMask, RlimitStat, Sched, SchedInfo, SockStat, VirtStat,
    VxInfo, WaitExit, Xattr,
};
pub use syscall::{Errno, NR_VSERVER, Result};
