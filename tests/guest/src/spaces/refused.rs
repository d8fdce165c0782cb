// SPDX-License-Identifier: GPL-2.0
//! Who may set spaces and enter them, and what is refused.

use super::{Guest, IPC, MNT, UTS, XID, become_nobody, own, status};
use crate::process::isolated;
use crate::raw;
use crate::unified::expect;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use vserver_abi as abi;

/// The administrator gives a context what he is in.
pub fn of_the_host() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS, 0)?;
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWIPC)?;
        abi::set_space(XID, IPC, 0)?;
        let given = own("ipc")?;
        isolated(|| {
            abi::process::unshare(UnshareFlags::NEWIPC)?;
            abi::enter_space(XID, 0, 0)?;
            ensure!(own("ipc")? == given && own("uts")? == guest.namespace("uts")?);
            Ok(())
        })
    })?;
    guest.end()
}

pub fn refusals() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS, 0)?;
    let uts = own("uts")?;
    for (mask, index) in [
        (UTS, 2),
        (UTS, u32::MAX),
        (1, 0),
        (u64::MAX, 0),
        (1 << 40, 0),
    ] {
        expect(abi::set_space(XID, mask, index), Errno::INVAL)
            .with_context(|| format!("set {mask:#x} {index}"))?;
        expect(abi::enter_space(XID, mask, index), Errno::INVAL)
            .with_context(|| format!("enter {mask:#x} {index}"))?;
    }
    expect(abi::enter_space(XID, MNT, 0), Errno::INVAL)?;
    expect(abi::enter_space(XID, 0, 1), Errno::INVAL)?;
    for xid in [0, 1, XID + 1, abi::VX_XID_SELF] {
        expect(abi::set_space(xid, UTS, 0), Errno::SRCH)?;
        expect(abi::enter_space(xid, UTS, 0), Errno::SRCH)?;
    }
    for cmd in [
        abi::VCMD_set_space,
        abi::VCMD_set_space_v1,
        abi::VCMD_enter_space,
        abi::VCMD_enter_space_v1,
        abi::VCMD_get_space_mask,
        abi::VCMD_get_space_default,
    ] {
        for data in [1, usize::MAX, 1 << 47] {
            expect(raw::vserver(cmd, XID, data), Errno::FAULT)
                .with_context(|| format!("{cmd:#x} {data:#x}"))?;
        }
    }
    for cmd in [abi::VCMD_get_space_mask, abi::VCMD_get_space_default] {
        expect(raw::vserver(cmd, XID, 0), Errno::FAULT)?;
    }
    ensure!(status(XID, "Spaces")? == format!("{UTS:08x}"));
    ensure!(own("uts")? == uts && uts != guest.namespace("uts")?);
    guest.end()
}

pub fn who_may() -> Result<()> {
    let guest = Guest::new(UnshareFlags::NEWUTS, 0)?;
    isolated(|| {
        become_nobody()?;
        expect(abi::set_space(XID, UTS, 0), Errno::PERM)?;
        expect(abi::enter_space(XID, UTS, 0), Errno::PERM)
    })?;
    isolated(|| {
        abi::ctx_create(XID + 1, abi::VXF_STATE_SETUP)?;
        expect(abi::set_space(XID, UTS, 0), Errno::SRCH)?;
        expect(abi::enter_space(XID, UTS, 0), Errno::SRCH)?;
        abi::set_space(XID + 1, UTS, 0)?;
        abi::enter_space(XID + 1, UTS, 0)?;
        abi::set_cflags(XID + 1, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_space(XID + 1, IPC, 0), Errno::PERM)?;
        ensure!(status(XID + 1, "Spaces")? == format!("{UTS:08x}"));
        // This every client asks.
        abi::get_space_mask()?;
        Ok(())
    })?;
    isolated(|| {
        abi::process::unshare(UnshareFlags::NEWUTS)?;
        abi::ctx_create(XID + 1, abi::VXF_STATE_SETUP)?;
        abi::set_bcaps(XID + 1, !0, !0)?;
        abi::set_space(XID + 1, UTS, 0)?;
        abi::set_cflags(XID + 1, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_space(XID + 1, IPC, 0), Errno::PERM)?;
        // What is held is entered as by setns(2): umask says that it may not.
        expect(abi::enter_space(XID + 1, UTS, 0), Errno::PERM)
    })?;
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        expect(abi::set_space(XID, UTS, 0), Errno::PERM)
    })?;
    guest.end()
}
