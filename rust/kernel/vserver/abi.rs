// SPDX-License-Identifier: GPL-2.0

//! The structures of `vserver(2)`, copied from and to user memory.
//!
//! C header: [`include/uapi/linux/vserver.h`](srctree/include/uapi/linux/vserver.h)

use crate::{
    bindings,
    prelude::*,
    transmute::{AsBytes, FromBytes},
    uaccess::{UserPtr, UserSlice},
    vserver::space::Name,
};

pub use uapi::{
    vcmd_badness_v0, vcmd_ctx_rlimit_mask_v0, vcmd_ctx_rlimit_v0, vcmd_rlimit_stat_v0,
    vcmd_sock_stat_v0, VC_MEMCTRL, VC_RLIMIT,
};
pub use uapi::{
    vcmd_ctx_caps_v0, vcmd_ctx_create, vcmd_ctx_fiattr_v0, vcmd_ctx_flags_v0, vcmd_ctx_iattr_v1,
    vcmd_ctx_kill_v0, vcmd_ctx_migrate, vcmd_ctx_stat_v0, vcmd_pflags_v0, vcmd_prio_bias,
    vcmd_sched_info, vcmd_sched_v3, vcmd_sched_v4, vcmd_sched_v5, vcmd_space_mask_v1,
    vcmd_space_mask_v2, vcmd_unify_v0, vcmd_vhi_name_v0, vcmd_virt_stat_v0, vcmd_vx_info_v0,
    vcmd_wait_exit_v0, VCI_COWBL, VCI_HARDCPU, VCI_IDLETIME, VCI_MEMCG, VCI_PROC_SECURE,
    VCI_SPACES, VCI_TAG_INTERNAL, VCI_TAG_TASK, VCI_VERSION, VC_FLAGS, VC_INODE, VC_PROCALT,
    VC_SCHED, VC_VHOST, VC_VSPACE, VHIN_CONTEXT, VHIN_DOMAINNAME, VHIN_MACHINE, VHIN_NODENAME,
    VHIN_RELEASE, VHIN_SYSNAME, VHIN_VERSION, VXSM_BUCKET_ID, VXSM_CPU_ID, VXSM_FILL_RATE,
    VXSM_FILL_RATE2, VXSM_IDLE_TIME, VXSM_INTERVAL, VXSM_INTERVAL2, VXSM_MSEC, VXSM_PRIO_BIAS,
    VXSM_TOKENS, VXSM_TOKENS_MAX, VXSM_TOKENS_MIN, VX_XID_ANY, VX_XID_DYNAMIC_MIN, VX_XID_HOST,
    VX_XID_MAX, VX_XID_MIN, VX_XID_SELF, VX_XID_STATIC_MAX, VX_XID_WATCH,
};
pub use uapi::{
    vcmd_ctx_dlimit_v0, vcmd_ctx_dlimit_v1, vcmd_ctx_quota_info_v0, vcmd_ctx_quota_v0, VC_DLIMIT,
};

/// Flags of 64 bits, whose type the generator chose by their value.
macro_rules! flags {
    ($($name:ident),* $(,)?) => {
        $(
            /// See the C header.
            pub const $name: u64 = uapi::$name as u64;
        )*
    };
}

flags! {
    CDLIM64_INFINITY, CDLIM64_KEEP, CRLIM_INFINITY, CRLIM_KEEP,
    VXF_INFO_PRIVATE, VXF_ONE_TIME, VXF_PERSISTENT, VXF_REBOOT_KILL, VXF_SCHED_HARD,
    VXF_SCHED_PAUSE, VXF_SCHED_PRIO, VXF_SC_HELPER, VXF_STATE_ADMIN, VXF_STATE_INIT, VXF_STATE_SETUP,
    VXM_SET_INIT, VXM_SET_REAPER,
}

/// No limit, in 32 bits. See the C header.
pub const CDLIM_INFINITY: u32 = uapi::CDLIM_INFINITY as u32;
/// What is set stays, in 32 bits. See the C header.
pub const CDLIM_KEEP: u32 = uapi::CDLIM_KEEP as u32;

/// The category of a command.
pub fn category(cmd: u32) -> u32 {
    (cmd >> 24) & 0x3f
}

/// The commands.
#[allow(missing_docs)]
pub mod cmd {
    pub use uapi::{
        vserver_cmd_VCMD_add_dlimit as ADD_DLIMIT, vserver_cmd_VCMD_get_dlimit as GET_DLIMIT,
        vserver_cmd_VCMD_get_dlimit_v0 as GET_DLIMIT_V0, vserver_cmd_VCMD_rem_dlimit as REM_DLIMIT,
        vserver_cmd_VCMD_set_dlimit as SET_DLIMIT, vserver_cmd_VCMD_set_dlimit_v0 as SET_DLIMIT_V0,
    };
    pub use uapi::{
        vserver_cmd_VCMD_add_quota as ADD_QUOTA, vserver_cmd_VCMD_get_quota as GET_QUOTA,
        vserver_cmd_VCMD_get_quota_info as GET_QUOTA_INFO, vserver_cmd_VCMD_rem_quota as REM_QUOTA,
        vserver_cmd_VCMD_set_quota as SET_QUOTA, vserver_cmd_VCMD_set_quota_info as SET_QUOTA_INFO,
    };
    pub use uapi::{
        vserver_cmd_VCMD_ctx_create as CTX_CREATE, vserver_cmd_VCMD_ctx_create_v0 as CTX_CREATE_V0,
        vserver_cmd_VCMD_ctx_create_v1 as CTX_CREATE_V1, vserver_cmd_VCMD_ctx_kill as CTX_KILL,
        vserver_cmd_VCMD_ctx_migrate as CTX_MIGRATE,
        vserver_cmd_VCMD_ctx_migrate_v0 as CTX_MIGRATE_V0,
        vserver_cmd_VCMD_ctx_migrate_v1 as CTX_MIGRATE_V1, vserver_cmd_VCMD_ctx_stat as CTX_STAT,
        vserver_cmd_VCMD_deunify as DEUNIFY, vserver_cmd_VCMD_enter_space as ENTER_SPACE,
        vserver_cmd_VCMD_enter_space_v0 as ENTER_SPACE_V0,
        vserver_cmd_VCMD_enter_space_v1 as ENTER_SPACE_V1,
        vserver_cmd_VCMD_fget_iattr as FGET_IATTR, vserver_cmd_VCMD_fset_iattr as FSET_IATTR,
        vserver_cmd_VCMD_get_bcaps as GET_BCAPS, vserver_cmd_VCMD_get_ccaps as GET_CCAPS,
        vserver_cmd_VCMD_get_ccaps_v0 as GET_CCAPS_V0, vserver_cmd_VCMD_get_cflags as GET_CFLAGS,
        vserver_cmd_VCMD_get_iattr as GET_IATTR, vserver_cmd_VCMD_get_pflags as GET_PFLAGS,
        vserver_cmd_VCMD_get_prio_bias as GET_PRIO_BIAS, vserver_cmd_VCMD_get_sched as GET_SCHED,
        vserver_cmd_VCMD_get_space_default as GET_SPACE_DEFAULT,
        vserver_cmd_VCMD_get_space_mask as GET_SPACE_MASK, vserver_cmd_VCMD_get_umask as GET_UMASK,
        vserver_cmd_VCMD_get_vci as GET_VCI, vserver_cmd_VCMD_get_version as GET_VERSION,
        vserver_cmd_VCMD_get_vhi_name as GET_VHI_NAME, vserver_cmd_VCMD_sched_info as SCHED_INFO,
        vserver_cmd_VCMD_set_bcaps as SET_BCAPS, vserver_cmd_VCMD_set_ccaps as SET_CCAPS,
        vserver_cmd_VCMD_set_ccaps_v0 as SET_CCAPS_V0, vserver_cmd_VCMD_set_cflags as SET_CFLAGS,
        vserver_cmd_VCMD_set_iattr as SET_IATTR, vserver_cmd_VCMD_set_pflags as SET_PFLAGS,
        vserver_cmd_VCMD_set_prio_bias as SET_PRIO_BIAS, vserver_cmd_VCMD_set_sched as SET_SCHED,
        vserver_cmd_VCMD_set_sched_v3 as SET_SCHED_V3,
        vserver_cmd_VCMD_set_sched_v4 as SET_SCHED_V4, vserver_cmd_VCMD_set_space as SET_SPACE,
        vserver_cmd_VCMD_set_space_v0 as SET_SPACE_V0,
        vserver_cmd_VCMD_set_space_v1 as SET_SPACE_V1, vserver_cmd_VCMD_set_umask as SET_UMASK,
        vserver_cmd_VCMD_set_vhi_name as SET_VHI_NAME, vserver_cmd_VCMD_tag_migrate as TAG_MIGRATE,
        vserver_cmd_VCMD_task_tag as TASK_TAG, vserver_cmd_VCMD_task_xid as TASK_XID,
        vserver_cmd_VCMD_unify as UNIFY, vserver_cmd_VCMD_virt_stat as VIRT_STAT,
        vserver_cmd_VCMD_vx_info as VX_INFO, vserver_cmd_VCMD_wait_exit as WAIT_EXIT,
    };
    pub use uapi::{
        vserver_cmd_VCMD_get_badness as GET_BADNESS, vserver_cmd_VCMD_get_rlimit as GET_RLIMIT,
        vserver_cmd_VCMD_get_rlimit_mask as GET_RLIMIT_MASK,
        vserver_cmd_VCMD_reset_hits as RESET_HITS, vserver_cmd_VCMD_reset_minmax as RESET_MINMAX,
        vserver_cmd_VCMD_rlimit_stat as RLIMIT_STAT, vserver_cmd_VCMD_set_badness as SET_BADNESS,
        vserver_cmd_VCMD_set_rlimit as SET_RLIMIT, vserver_cmd_VCMD_sock_stat as SOCK_STAT,
    };
}

/// Structures that consist of integers only, without padding, of this size.
macro_rules! plain {
    ($($name:ty: $size:literal,)*) => {
        $(
            const _: () = assert!(core::mem::size_of::<$name>() == $size);
            // SAFETY: Integers take any bits.
            unsafe impl FromBytes for $name {}
            // SAFETY: The size above is the sum of the fields: there is no padding.
            unsafe impl AsBytes for $name {}
        )*
    };
}

plain! {
    vcmd_ctx_caps_v0: 24,
    vcmd_ctx_create: 8,
    vcmd_ctx_migrate: 8,
    vcmd_ctx_flags_v0: 16,
    vcmd_ctx_kill_v0: 8,
    vcmd_ctx_stat_v0: 8,
    vcmd_pflags_v0: 8,
    vcmd_prio_bias: 8,
    vcmd_sched_info: 40,
    vcmd_sched_v3: 28,
    vcmd_sched_v4: 36,
    vcmd_sched_v5: 44,
    vcmd_space_mask_v1: 8,
    vcmd_unify_v0: 4,
    vcmd_virt_stat_v0: 48,
    vcmd_vx_info_v0: 8,
    vcmd_wait_exit_v0: 8,
    vcmd_ctx_fiattr_v0: 12,
    vcmd_badness_v0: 8,
    vcmd_ctx_rlimit_mask_v0: 12,
    vcmd_rlimit_stat_v0: 32,
    vcmd_sock_stat_v0: 40,
}

const _: () = assert!(core::mem::size_of::<vcmd_ctx_iattr_v1>() == 24);
const _: () = assert!(core::mem::size_of::<vcmd_vhi_name_v0>() == 72);

const _: () = assert!(core::mem::size_of::<vcmd_ctx_rlimit_v0>() == 32);

/// Where the values of [`vcmd_ctx_rlimit_v0`] are: behind its id, and a gap if they are aligned.
fn rlimit_offset() -> usize {
    if is_compat() {
        core::mem::size_of::<u32>()
    } else {
        core::mem::offset_of!(vcmd_ctx_rlimit_v0, minimum)
    }
}

/// Reads the argument of `get_rlimit` and `set_rlimit`: the id, and minimum, soft and hard limit.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_rlimit(data: UserPtr) -> Result<(u32, [u64; 3])> {
    Ok((read(data)?, read(data.wrapping_byte_add(rlimit_offset()))?))
}

/// Writes the answer of `get_rlimit`; the id stays as it is.
///
/// # Errors
///
/// `EFAULT`.
pub fn write_rlimit(data: UserPtr, values: &[u64; 3]) -> Result {
    write(data.wrapping_byte_add(rlimit_offset()), values)
}

/// Reads a command's structure.
///
/// # Errors
///
/// `EFAULT`.
pub fn read<T: FromBytes>(data: UserPtr) -> Result<T> {
    UserSlice::new(data, core::mem::size_of::<T>())
        .reader()
        .read()
}

/// Writes a command's structure.
///
/// # Errors
///
/// `EFAULT`.
pub fn write<T: AsBytes>(data: UserPtr, value: &T) -> Result {
    UserSlice::new(data, core::mem::size_of::<T>())
        .writer()
        .write(value)
}

/// A pointer and three integers, with padding behind: [`vcmd_ctx_iattr_v1`].
pub struct Iattr {
    /// Where the name is, in user memory.
    pub name: UserPtr,
    /// The integers.
    pub attr: vcmd_ctx_fiattr_v0,
}

/// Whether the caller is a 32-bit program, in whose structures pointers have four bytes.
///
/// On x86 integers of eight bytes are then only aligned to four; structures that this moves a field
/// in are not read as a whole.
fn is_compat() -> bool {
    // SAFETY: Always safe to call in a system call.
    unsafe { bindings::in_compat_syscall() }
}

/// Where the integers of [`vcmd_ctx_iattr_v1`] are: behind the pointer.
fn iattr_offset() -> usize {
    if is_compat() {
        core::mem::size_of::<u32>()
    } else {
        core::mem::offset_of!(vcmd_ctx_iattr_v1, xid)
    }
}

/// Reads a pointer as the caller keeps it.
fn read_pointer(data: UserPtr) -> Result<UserPtr> {
    Ok(UserPtr::from_addr(if is_compat() {
        read::<u32>(data)? as usize
    } else {
        read::<usize>(data)?
    }))
}

/// Reads the argument of `get_iattr` and `set_iattr`.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_iattr(data: UserPtr) -> Result<Iattr> {
    Ok(Iattr {
        name: read_pointer(data)?,
        attr: read(data.wrapping_byte_add(iattr_offset()))?,
    })
}

/// Writes the answer of `get_iattr`; the name stays as it is.
///
/// # Errors
///
/// `EFAULT`.
pub fn write_iattr(data: UserPtr, attr: &vcmd_ctx_fiattr_v0) -> Result {
    write(data.wrapping_byte_add(iattr_offset()), attr)
}

const _: () = assert!(core::mem::size_of::<vcmd_ctx_dlimit_v0>() == 32);
const _: () = assert!(core::mem::size_of::<vcmd_ctx_dlimit_v1>() == 48);
const _: () = assert!(core::mem::size_of::<vcmd_ctx_quota_v0>() == 80);
const _: () = assert!(core::mem::size_of::<vcmd_ctx_quota_info_v0>() == 24);

/// Reads the name that the arguments about disk limits begin with.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_dlimit_name(data: UserPtr) -> Result<UserPtr> {
    read_pointer(data)
}

/// Where the numbers of [`vcmd_ctx_dlimit_v0`], [`vcmd_ctx_dlimit_v1`], [`vcmd_ctx_quota_v0`] and
/// [`vcmd_ctx_quota_info_v0`] are: behind the pointer.
fn dlimit_offset() -> usize {
    if is_compat() {
        core::mem::size_of::<u32>()
    } else {
        core::mem::offset_of!(vcmd_ctx_dlimit_v1, space_used)
    }
}

/// Reads the numbers behind the name.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_dlimit<T: FromBytes>(data: UserPtr) -> Result<T> {
    read(data.wrapping_byte_add(dlimit_offset()))
}

/// Writes the numbers; the name stays as it is.
///
/// # Errors
///
/// `EFAULT`.
pub fn write_dlimit<T: AsBytes>(data: UserPtr, numbers: &T) -> Result {
    write(data.wrapping_byte_add(dlimit_offset()), numbers)
}

/// Where the index of [`vcmd_space_mask_v2`] is.
const SPACE_INDEX_OFFSET: usize = core::mem::offset_of!(vcmd_space_mask_v2, index);

/// Reads the index that version 2 of `set_space` and `enter_space` has behind the mask.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_space_index(data: UserPtr) -> Result<u32> {
    read(data.wrapping_byte_add(SPACE_INDEX_OFFSET))
}

/// Where the name of [`vcmd_vhi_name_v0`] is.
const NAME_OFFSET: usize = core::mem::offset_of!(vcmd_vhi_name_v0, name);

/// Reads the argument of `set_vhi_name`: the field and its 65 bytes.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_name(data: UserPtr) -> Result<(u32, Name)> {
    Ok((read(data)?, read(data.wrapping_byte_add(NAME_OFFSET))?))
}

/// Writes the answer of `get_vhi_name`.
///
/// # Errors
///
/// `EFAULT`.
pub fn write_name(data: UserPtr, name: &Name) -> Result {
    write(data.wrapping_byte_add(NAME_OFFSET), name)
}
