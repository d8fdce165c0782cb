// SPDX-License-Identifier: GPL-2.0
//! Who may ask and change what, by call and in /proc.

use super::{Guest, XID, proc_file};
use crate::process::{self, isolated};
use crate::raw;
use crate::unified::expect;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

pub(super) fn inside_sees_only_its_own() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    let other_pid = other.child.id();
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        expect(abi::ctx_stat(XID + 1), Errno::SRCH)?;
        expect(abi::vx_info(XID + 1), Errno::SRCH)?;
        expect(abi::set_cflags(XID + 1, 0, 0), Errno::SRCH)?;
        expect(abi::ctx_kill(XID + 1, 0, libc::SIGKILL), Errno::SRCH)?;
        expect(abi::task_xid(other_pid), Errno::SRCH)?;
        expect(abi::task_xid(1), Errno::SRCH)
    })?;
    other.end()
}

pub(super) fn inside_changes_only_in_setup() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        abi::set_vhi_name(abi::VX_XID_SELF, abi::VHIN_CONTEXT, "guest")?;
        let mut sched = abi::get_sched(XID)?;
        sched.mask = abi::VXSM_FILL_RATE;
        abi::set_sched(XID, sched)?;
        abi::set_bcaps(XID, !0, !0)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_bcaps(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_ccaps(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_umask(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::set_sched(XID, sched), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)?;
        expect(abi::set_vhi_name(XID, abi::VHIN_CONTEXT, "x"), Errno::PERM)?;
        expect(abi::wait_exit(XID), Errno::DEADLK)?;
        ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)? == "guest");
        Ok(())
    })
}

pub(super) fn unprivileged_may_nothing() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(1000, 1000, 1000) } == 0);
        ensure!(abi::get_version().is_ok() && abi::get_vci().is_ok());
        expect(abi::task_xid(0), Errno::PERM)?;
        expect(abi::ctx_create(XID + 1, 0), Errno::PERM)?;
        expect(abi::ctx_migrate(XID, 0), Errno::PERM)?;
        expect(abi::ctx_stat(XID), Errno::PERM)?;
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)?;
        expect(
            abi::set_iattr(std::path::Path::new("/"), abi::CtxFiattr::default()),
            Errno::PERM,
        )?;
        // The files in /proc are for everybody on the host.
        ensure!(proc_file(XID, "status")?.contains_key("Tasks"));
        Ok(())
    })?;
    guest.end()
}

/// Commands that need a structure.
const WITH_DATA: &[u32] = &[
    abi::VCMD_vx_info,
    abi::VCMD_ctx_stat,
    abi::VCMD_get_cflags,
    abi::VCMD_set_cflags,
    abi::VCMD_ctx_kill,
    abi::VCMD_set_sched,
    abi::VCMD_get_sched,
    abi::VCMD_sched_info,
    abi::VCMD_get_iattr,
    abi::VCMD_set_iattr,
    abi::VCMD_set_vhi_name,
    abi::VCMD_get_vhi_name,
];

pub(super) fn bad_pointers() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    let flags = abi::get_cflags(XID)?;
    for &cmd in WITH_DATA {
        for data in [
            0,
            1,
            usize::MAX,
            usize::MAX - 4095,
            1 << 47,
            0xffff_8000_0000_0000,
        ] {
            expect(raw::vserver(cmd, XID, data), Errno::FAULT)
                .with_context(|| format!("{cmd:#x} with {data:#x}"))?;
        }
    }
    for cmd in [abi::VCMD_ctx_create, abi::VCMD_ctx_migrate] {
        expect(raw::vserver(cmd, XID + 1, 1), Errno::FAULT)?;
    }
    ensure!(abi::get_cflags(XID)? == flags && abi::ctx_stat(XID)?.tasks == 1);
    expect(abi::ctx_stat(XID + 1), Errno::SRCH)?;
    guest.end()
}

pub(super) fn unknown_commands() -> Result<()> {
    for cmd in [u32::MAX, 0x3f00_0000, abi::VCMD_ctx_create + 5, 1 << 30] {
        expect(raw::vserver(cmd, XID, 0), Errno::NOSYS).with_context(|| format!("{cmd:#x}"))?;
    }
    Ok(())
}

pub(super) fn names() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)?.is_empty());
    let long = "n".repeat(64);
    for name in ["web", "", &long] {
        abi::set_vhi_name(XID, abi::VHIN_CONTEXT, name)?;
        ensure!(abi::get_vhi_name(XID, abi::VHIN_CONTEXT)? == name);
    }
    expect(abi::get_vhi_name(XID, 99), Errno::INVAL)?;
    expect(abi::set_vhi_name(XID, 99, "x"), Errno::INVAL)?;
    guest.end()
}

pub(super) fn proc_files() -> Result<()> {
    let info = fs::read_to_string("/proc/virtual/info")?;
    ensure!(
        info.starts_with("VCIVersion:\t0002:0308\nVCISyscall:\t236\nVCIKernel:\t0007"),
        "{info}"
    );
    let guest = Guest::new(XID, abi::VXF_SCHED_HARD)?;
    let status = proc_file(XID, "status")?;
    ensure!(status["Tasks"] == "1", "{status:?}");
    ensure!(
        status["Flags"] == format!("{:016x}", abi::VXF_SCHED_HARD),
        "{status:?}"
    );
    for key in ["UseCnt", "BCaps", "CCaps", "Umask", "Wmask", "Spaces"] {
        ensure!(status.contains_key(key), "{key}");
    }
    let info = proc_file(XID, "info")?;
    ensure!(info["ID"] == XID.to_string() && info["Init"] == "0");
    // A hash of 32 bits; a kernel address has its upper bits set.
    ensure!(info["Info"].starts_with("00000000"), "an address: {info:?}");
    let sched = fs::read_to_string(format!("/proc/virtual/{XID}/sched"))?;
    let cpus = sched
        .lines()
        .filter(|line| line.starts_with("cpu "))
        .count();
    ensure!(cpus >= 2, "{sched}");
    let fields = sched
        .lines()
        .last()
        .map_or(0, |line| line.split(' ').count());
    ensure!(fields == 15, "{fields} fields in {sched}");
    process::eventually("one context", || {
        fs::read_to_string("/proc/virtual/status").is_ok_and(|s| s.starts_with("#CTotal:\t1\n"))
    })?;
    guest.end()
}

pub(super) fn proc_hides_from_others() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        ensure!(proc_file(XID, "status")?["Tasks"] == "1");
        for name in ["info", "status", "sched"] {
            ensure!(
                fs::read(format!("/proc/virtual/{}/{name}", XID + 1)).is_err(),
                "{name}"
            );
        }
        Ok(())
    })?;
    other.end()
}
