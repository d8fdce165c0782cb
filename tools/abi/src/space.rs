// SPDX-License-Identifier: GPL-2.0
//! Namespaces that a context holds, and what it looks like from inside.

use crate::header::{
    VCMD_enter_space, VCMD_get_space_default, VCMD_get_space_mask, VCMD_set_space, VCMD_virt_stat,
};
use crate::structs::{Space, SpaceMask, VirtStat};
use crate::syscall::{Result, call_with};

/// In a mask of namespaces (`CLONE_NEW*`): root and working directory.
pub const SPACE_DIRS: u64 = libc::CLONE_FS as u64;

/// Has context `xid` hold what of the caller `mask` names, in its set `index`; for 0, the default.
pub fn set_space(xid: u32, mask: u64, index: u32) -> Result<()> {
    call_with(VCMD_set_space, xid, &mut Space { mask, index }).map(drop)
}

/// Moves the caller into what `mask` names of set `index` of context `xid`; for 0, into all.
pub fn enter_space(xid: u32, mask: u64, index: u32) -> Result<()> {
    call_with(VCMD_enter_space, xid, &mut Space { mask, index }).map(drop)
}

/// What a context can hold.
pub fn get_space_mask() -> Result<u64> {
    let mut data = SpaceMask::default();
    call_with(VCMD_get_space_mask, 0, &mut data)?;
    Ok(data.mask)
}

/// What a guest is to have of its own, if nobody says otherwise.
pub fn get_space_default() -> Result<u64> {
    let mut data = SpaceMask::default();
    call_with(VCMD_get_space_default, 0, &mut data)?;
    Ok(data.mask)
}

/// What context `xid` looks like from inside.
pub fn virt_stat(xid: u32) -> Result<VirtStat> {
    let mut data = VirtStat::default();
    call_with(VCMD_virt_stat, xid, &mut data)?;
    Ok(data)
}
