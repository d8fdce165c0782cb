// SPDX-License-Identifier: GPL-2.0
//! The structures of the commands, asserted to be laid out as the header has them.

use std::ffi::c_char;
use std::mem::{offset_of, size_of};

use crate::header;
use crate::syscall::Payload;

/// Answer of `vx_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VxInfo {
    /// The context's id.
    pub xid: u32,
    /// The pid of its init, 0 if it has none.
    pub initpid: u32,
}

/// Answer of `ctx_stat`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtxStat {
    /// References to the context.
    pub usecnt: u32,
    /// Tasks in it.
    pub tasks: u32,
}

/// Data of `ctx_create`.
#[repr(C)]
pub(crate) struct CtxCreate {
    pub(crate) flagword: u64,
}

/// Data of `ctx_migrate`.
#[repr(C)]
pub(crate) struct CtxMigrate {
    pub(crate) flagword: u64,
}

/// Data of `get_cflags` and `set_cflags`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct CtxFlags {
    pub(crate) flagword: u64,
    pub(crate) mask: u64,
}

/// Data of `get_bcaps` and `set_bcaps`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Bcaps {
    pub(crate) bcaps: u64,
    pub(crate) bmask: u64,
}

/// Data of `get_ccaps` and `set_ccaps`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Ccaps {
    pub(crate) ccaps: u64,
    pub(crate) cmask: u64,
}

/// Data of `get_umask` and `set_umask`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Umask {
    pub(crate) umask: u64,
    pub(crate) mask: u64,
}

/// Data of `ctx_kill`.
#[repr(C)]
pub(crate) struct CtxKill {
    pub(crate) pid: i32,
    pub(crate) sig: i32,
}

/// Answer of `wait_exit`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitExit {
    /// What the context asked of `reboot(2)`, 0 if nothing.
    pub reboot_cmd: i32,
    /// How its init ended, as `wait(2)` puts it.
    pub exit_code: i32,
}

/// Data of `set_sched` and `get_sched`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sched {
    /// Which of the values are meant: `VXSM_*`.
    pub mask: u32,
    /// The processor, with `VXSM_CPU_ID`.
    pub cpu_id: i32,
    /// The bucket, with `VXSM_BUCKET_ID`.
    pub bucket_id: i32,
    /// Tokens added per interval: in real time, in idle time.
    pub fill_rate: [i32; 2],
    /// The interval in ticks: in real time, in idle time.
    pub interval: [i32; 2],
    /// Tokens in the bucket.
    pub tokens: i32,
    /// Tokens needed to leave the hold.
    pub tokens_min: i32,
    /// Tokens the bucket can take.
    pub tokens_max: i32,
    /// Bias of the priority.
    pub prio_bias: i32,
}

/// Answer of `sched_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedInfo {
    /// The processor asked for.
    pub cpu_id: i32,
    /// The bucket asked for.
    pub bucket_id: i32,
    /// Time in user mode on it, ms.
    pub user_msec: u64,
    /// Time in the kernel on it, ms.
    pub sys_msec: u64,
    /// Time on hold on it, ms.
    pub hold_msec: u64,
    /// The length of a tick, which is a token's worth, in microseconds.
    pub token_usec: u32,
    /// The priority bonus from the fill level.
    pub vavavoom: i32,
}

/// Data of `get_rlimit` and `set_rlimit`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rlimit {
    /// Of what: `RLIMIT_*` or `VLIMIT_*`.
    pub id: u32,
    /// What would be kept for the context.
    pub minimum: u64,
    /// A mark for who watches.
    pub softlimit: u64,
    /// The most it can have.
    pub maximum: u64,
}

/// Answer of `get_rlimit_mask`: bits by number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RlimitMask {
    /// Minimums that can be set.
    pub minimum: u32,
    /// Soft limits that can be set.
    pub softlimit: u32,
    /// Hard limits that can be set.
    pub maximum: u32,
}

/// Answer of `rlimit_stat`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RlimitStat {
    /// Of what.
    pub id: u32,
    /// How often more was refused.
    pub hits: u32,
    /// How much it has.
    pub value: u64,
    /// The least it had.
    pub minimum: u64,
    /// The most it had.
    pub maximum: u64,
}

/// Answer of `sock_stat`: received, sent, failed to be sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SockStat {
    /// The family.
    pub field: u32,
    /// Calls.
    pub count: [u32; 3],
    /// Bytes.
    pub total: [u64; 3],
}

/// Data of `get_badness` and `set_badness`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Badness {
    pub(crate) bias: i64,
}

/// Data of `get_iattr` and `set_iattr`.
#[repr(C)]
pub(crate) struct CtxIattr {
    pub(crate) name: *const c_char,
    pub(crate) xid: u32,
    pub(crate) flags: u32,
    pub(crate) mask: u32,
}

/// Data of `fget_iattr` and `fset_iattr`; what `get_iattr` and `set_iattr` say, too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtxFiattr {
    /// The inode's tag.
    pub xid: u32,
    /// The flags that are on: `IATTR_*`.
    pub flags: u32,
    /// The flags that this inode can have, or that shall change.
    pub mask: u32,
}

/// Data of `add_dlimit` and `rem_dlimit`.
#[repr(C)]
pub(crate) struct DlimitBase {
    pub(crate) name: *const c_char,
    pub(crate) flags: u32,
}

/// Data of `get_dlimit` and `set_dlimit`.
#[repr(C)]
pub(crate) struct DlimitData {
    pub(crate) name: *const c_char,
    pub(crate) space_used: u64,
    pub(crate) space_total: u64,
    pub(crate) inodes_used: u64,
    pub(crate) inodes_total: u64,
    pub(crate) reserved: u32,
    pub(crate) flags: u32,
}

/// Data of `get_quota` and `set_quota`.
#[repr(C)]
pub(crate) struct QuotaData {
    pub(crate) name: *const c_char,
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) space_used: u64,
    pub(crate) space_soft: u64,
    pub(crate) space_hard: u64,
    pub(crate) space_until: u64,
    pub(crate) inodes_used: u64,
    pub(crate) inodes_soft: u64,
    pub(crate) inodes_hard: u64,
    pub(crate) inodes_until: u64,
}

/// Data of `get_quota_info` and `set_quota_info`.
#[repr(C)]
pub(crate) struct QuotaInfoData {
    pub(crate) name: *const c_char,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) space_grace: u32,
    pub(crate) inodes_grace: u32,
}

/// Data of `unify`.
#[repr(C)]
pub(crate) struct Unify {
    pub(crate) fd: i32,
}

/// Answer of `get_space_mask` and `get_space_default`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct SpaceMask {
    pub(crate) mask: u64,
}

/// Data of `set_space` and `enter_space`.
#[repr(C)]
pub(crate) struct Space {
    pub(crate) mask: u64,
    pub(crate) index: u32,
}

/// Answer of `virt_stat`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtStat {
    /// How far its clock is ahead of the machine's, nanoseconds.
    pub offset: u64,
    /// How long it has been there, nanoseconds.
    pub uptime: u64,
    /// How many tasks it has.
    pub nr_threads: u32,
    /// Tasks that run, or could.
    pub nr_running: u32,
    /// Tasks that wait uninterruptibly.
    pub nr_uninterruptible: u32,
    /// Tasks that wait for tokens.
    pub nr_onhold: u32,
    /// Tasks that were born in it.
    pub nr_forks: u32,
    /// Load over 1, 5 and 15 minutes, 11 bits of fraction.
    pub load: [u32; 3],
}

/// Data of `get_vhi_name` and `set_vhi_name`.
#[repr(C)]
pub(crate) struct VhiName {
    pub(crate) field: u32,
    pub(crate) name: [u8; 65],
}

/// The extended attribute `security.vserver`, little endian.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xattr {
    /// `VSERVER_XATTR_VERSION`.
    pub version: u8,
    /// `VSERVER_XATTR_*`.
    pub flags: u8,
    /// Zero.
    pub reserved: u16,
    /// The tag.
    pub xid: u32,
}

impl Xattr {
    /// Decodes the attribute's bytes; `None` if they are of no version this tool knows.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let &[version, flags, r0, r1, x0, x1, x2, x3] = bytes else {
            return None;
        };
        (u32::from(version) == header::VSERVER_XATTR_VERSION).then(|| Self {
            version,
            flags,
            reserved: u16::from_le_bytes([r0, r1]),
            xid: u32::from_le_bytes([x0, x1, x2, x3]),
        })
    }
}

/// The size of the field that a projection leads to.
const fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Asserts that each structure has the size, the offsets and the field sizes of the header.
macro_rules! for_each_struct {
    ($($rust:ident = $c:ident { $($field:ident),* $(,)? })*) => {
        $(const _: () = {
            use header::layout::$c as layout;
            assert!(size_of::<$rust>() == layout::SIZE);
            $(
                assert!(offset_of!($rust, $field) == layout::$field.0);
                assert!(field_size(|s: &$rust| &s.$field) == layout::$field.1);
            )*
        };)*
    };
}
include!("layout.rs");

/// Vouches for structures that the kernel reads and writes.
macro_rules! payload {
    ($($rust:ident),*) => {
        // SAFETY: `repr(C)`, made of integers and arrays of them only, so that every bit
        // pattern is a value; no pointers.
        $(unsafe impl Payload for $rust {})*
    };
}
payload!(
    VxInfo, CtxStat, CtxCreate, CtxMigrate, CtxFlags, CtxKill, WaitExit, Sched, SchedInfo
);
payload!(CtxFiattr, Unify, VhiName, Bcaps, Ccaps, Umask);
payload!(Rlimit, RlimitMask, RlimitStat, SockStat, Badness);
payload!(SpaceMask, Space, VirtStat);

// SAFETY: `repr(C)`, integers and one pointer that may hold any bits as nothing here follows it;
// inode.rs makes it point to a C string borrowed for longer than the call.
unsafe impl Payload for CtxIattr {}
// SAFETY: see there; so do those that make this.
unsafe impl Payload for DlimitBase {}
// SAFETY: see there; so do those that make this.
unsafe impl Payload for DlimitData {}
// SAFETY: see there; so does quota.rs.
unsafe impl Payload for QuotaData {}
// SAFETY: see there; so does quota.rs.
unsafe impl Payload for QuotaInfoData {}
