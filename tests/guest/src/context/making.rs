// SPDX-License-Identifier: GPL-2.0
//! Making contexts, and who gets in.

use super::{Guest, XID, create, proc_file};
use crate::process::{Status, isolated, spawn};
use crate::unified::expect;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

pub(super) fn create_moves_the_caller_in() -> Result<()> {
    isolated(|| {
        ensure!(create(XID, 0)? == XID);
        ensure!(abi::task_xid(0)? == XID);
        let stat = abi::ctx_stat(XID)?;
        ensure!(stat.tasks == 1, "{stat:?}");
        Ok(())
    })
}

pub(super) fn children_inherit() -> Result<()> {
    isolated(|| {
        create(XID, 0)?;
        let child = spawn(|| {
            let grandchild = isolated(|| {
                ensure!(abi::task_xid(0)? == XID);
                Ok(())
            });
            i32::from(grandchild.is_err())
        })?;
        ensure!(child.wait()? == Status::Exited(0));
        let thread = std::thread::spawn(|| abi::task_xid(0)).join();
        ensure!(matches!(thread, Ok(Ok(XID))));
        Ok(())
    })
}

pub(super) fn any_picks_a_dynamic_id() -> Result<()> {
    isolated(|| {
        let xid = create(abi::VX_XID_ANY, 0)?;
        ensure!(
            (abi::VX_XID_DYNAMIC_MIN..=abi::VX_XID_MAX).contains(&xid),
            "{xid}"
        );
        ensure!(abi::task_xid(0)? == xid);
        Ok(())
    })
}

pub(super) fn create_twice() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| expect(abi::ctx_create(XID, 0), Errno::EXIST))?;
    guest.end()?;
    let guest = Guest::new(XID, abi::VXF_STATE_SETUP)?;
    isolated(|| expect(abi::ctx_create(XID, 0), Errno::BUSY))?;
    guest.end()
}

pub(super) fn bad_ids() -> Result<()> {
    for xid in [
        0,
        1,
        abi::VX_XID_DYNAMIC_MIN,
        abi::VX_XID_MAX + 1,
        0x1_0000,
        abi::VX_XID_SELF,
    ] {
        isolated(|| expect(abi::ctx_create(xid, 0), Errno::INVAL))
            .with_context(|| xid.to_string())?;
    }
    for xid in [0, 1, 99, abi::VX_XID_MAX, abi::VX_XID_SELF, abi::VX_XID_ANY] {
        expect(abi::ctx_stat(xid), Errno::SRCH)?;
        expect(abi::vx_info(xid), Errno::SRCH)?;
        expect(abi::get_cflags(xid), Errno::SRCH)?;
        expect(abi::wait_exit(xid), Errno::SRCH)?;
        expect(abi::get_sched(xid), Errno::SRCH)?;
    }
    for xid in [0, 99, abi::VX_XID_ANY] {
        isolated(|| expect(abi::ctx_migrate(xid, 0), Errno::SRCH))?;
    }
    Ok(())
}

pub(super) fn threads_cannot_enter() -> Result<()> {
    isolated(|| {
        let (hold, release) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || release.recv());
        expect(abi::ctx_create(XID, 0), Errno::INVAL)?;
        ensure!(abi::task_xid(0)? == 0);
        drop(hold);
        ensure!(thread.join().is_ok());
        ensure!(!fs::exists(format!("/proc/virtual/{XID}"))?, "debris");
        Ok(())
    })
}

pub(super) fn nothing_gets_out() -> Result<()> {
    let other = Guest::new(XID + 1, 0)?;
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        expect(abi::ctx_create(XID + 2, 0), Errno::PERM)?;
        for xid in [0, 1, XID + 1] {
            expect(abi::ctx_migrate(xid, 0), Errno::PERM)?;
        }
        ensure!(abi::task_xid(0)? == XID);
        Ok(())
    })?;
    other.end()
}

pub(super) fn enter_from_the_host() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        abi::ctx_migrate(XID, 0)?;
        ensure!(abi::task_xid(0)? == XID);
        ensure!(abi::ctx_stat(XID)?.tasks == 2);
        Ok(())
    })?;
    ensure!(abi::ctx_stat(XID)?.tasks == 1);
    guest.end()
}

pub(super) fn private_cannot_be_entered() -> Result<()> {
    let guest = Guest::new(XID, abi::VXF_INFO_PRIVATE)?;
    isolated(|| expect(abi::ctx_migrate(XID, 0), Errno::ACCESS))?;
    guest.end()
}

pub(super) fn spectator() -> Result<()> {
    let guest = Guest::new(XID, 0)?;
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        ensure!(abi::task_xid(0)? == 1);
        ensure!(abi::ctx_stat(XID)?.tasks == 1);
        ensure!(proc_file(XID, "status")?.contains_key("Tasks"));
        expect(abi::set_cflags(XID, 0, 0), Errno::PERM)?;
        expect(abi::ctx_kill(XID, 0, libc::SIGKILL), Errno::PERM)
    })?;
    guest.end()
}
