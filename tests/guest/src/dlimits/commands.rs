// SPDX-License-Identifier: GPL-2.0
//! The commands, and what is shown of limits.

use super::{KEEP, OTHER, OWN, counted, limit_inodes, limit_space, on};
use crate::harness::Test;
use crate::process::{Gate, isolated, spawn};
use crate::raw;
use crate::tags::{inside, mount_with};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::statvfs;
use rustix::io::Errno;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use vserver_abi as abi;

pub(super) const TESTS: &[Test] = tests![
    set_and_get,
    there_must_be_one,
    numbers,
    narrow_version,
    who_may,
    where_it_can_be,
    free_space_inside,
    is_listed,
];

fn set_and_get() -> Result<()> {
    let dir = counted("set")?;
    let none = abi::Dlimit {
        space_used: 0,
        space_total: abi::CDLIM64_INFINITY,
        inodes_used: 0,
        inodes_total: abi::CDLIM64_INFINITY,
        reserved: 0,
        flags: abi::CDLIM_COUNTED,
    };
    ensure!(abi::get_dlimit(OWN, &dir)? == none);
    let some = abi::Dlimit {
        space_used: 5,
        space_total: 1 << 40,
        inodes_used: 7,
        inodes_total: 1 << 33,
        reserved: 5,
        flags: abi::CDLIM_COUNTED,
    };
    abi::set_dlimit(OWN, &dir, &some)?;
    ensure!(abi::get_dlimit(OWN, root())? == some, "another file of it");
    abi::set_dlimit(OWN, &dir, &KEEP)?;
    ensure!(abi::get_dlimit(OWN, &dir)? == some);
    abi::set_dlimit(OWN, &dir, &none)?;
    ensure!(abi::get_dlimit(OWN, &dir)? == none);
    Ok(())
}

fn there_must_be_one() -> Result<()> {
    let dir = counted("one")?;
    expect(abi::add_dlimit(OWN, &dir), Errno::EXIST)?;
    expect(abi::get_dlimit(OTHER, &dir), Errno::SRCH)?;
    expect(abi::set_dlimit(OTHER, &dir, &KEEP), Errno::SRCH)?;
    expect(abi::rem_dlimit(OTHER, &dir), Errno::SRCH)?;
    abi::rem_dlimit(OWN, &dir)?;
    expect(abi::get_dlimit(OWN, &dir), Errno::SRCH)?;
    abi::add_dlimit(OWN, &dir)?;
    // Until both are said nobody has counted.
    let half = abi::Dlimit {
        space_used: 5,
        ..KEEP
    };
    abi::set_dlimit(OWN, &dir, &half)?;
    ensure!(abi::get_dlimit(OWN, &dir)?.flags == 0);
    expect(abi::get_dlimit(OWN, dir.join("none")), Errno::NOENT)
}

fn numbers() -> Result<()> {
    let dir = counted("numbers")?;
    for xid in [
        abi::VX_XID_HOST,
        abi::VX_XID_WATCH,
        abi::VX_XID_MAX + 1,
        abi::VX_XID_SELF,
    ] {
        refused("add", abi::add_dlimit(xid, &dir), Errno::INVAL)?;
    }
    let too_large = 1 << 60;
    for limit in [
        abi::Dlimit {
            space_used: too_large,
            ..KEEP
        },
        abi::Dlimit {
            space_used: abi::CDLIM64_INFINITY,
            ..KEEP
        },
        abi::Dlimit {
            space_total: too_large,
            ..KEEP
        },
        abi::Dlimit {
            inodes_used: too_large,
            ..KEEP
        },
        abi::Dlimit {
            inodes_total: too_large,
            ..KEEP
        },
        abi::Dlimit {
            reserved: 101,
            ..KEEP
        },
        abi::Dlimit {
            reserved: abi::CDLIM_INFINITY,
            ..KEEP
        },
    ] {
        let set = abi::set_dlimit(OWN, &dir, &limit);
        refused(&format!("{limit:?}"), set, Errno::INVAL)?;
    }
    Ok(())
}

/// `struct vcmd_ctx_dlimit_v0`
#[repr(C)]
struct Narrow {
    name: *const libc::c_char,
    /// Space used and total, inodes used and total, reserved, flags.
    values: [u32; 6],
}

fn narrow(command: u32, dir: &Path, values: [u32; 6]) -> Result<[u32; 6], Errno> {
    let name = CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
    let mut data = Narrow {
        name: name.as_ptr(),
        values,
    };
    raw::vserver(command, OWN, std::ptr::from_mut(&mut data).addr())?;
    Ok(data.values)
}

fn narrow_version() -> Result<()> {
    let dir = counted("narrow")?;
    let (infinity, keep) = (abi::CDLIM_INFINITY, abi::CDLIM_KEEP);
    narrow(abi::VCMD_set_dlimit_v0, &dir, [1, 2, 3, 4, 5, 0])?;
    ensure!(narrow(abi::VCMD_get_dlimit_v0, &dir, [9; 6])? == [1, 2, 3, 4, 5, 0]);
    narrow(
        abi::VCMD_set_dlimit_v0,
        &dir,
        [keep, infinity, keep, infinity, keep, 0],
    )?;
    let values = [1, infinity, 3, infinity, 5, 0];
    ensure!(narrow(abi::VCMD_get_dlimit_v0, &dir, [9; 6])? == values);
    ensure!(abi::get_dlimit(OWN, &dir)?.space_total == abi::CDLIM64_INFINITY);
    // What does not fit is as much as can be said.
    limit_space(&dir, OWN, 1 << 40)?;
    ensure!(narrow(abi::VCMD_get_dlimit_v0, &dir, [9; 6])?[1] == keep - 1);
    Ok(())
}

fn who_may() -> Result<()> {
    let dir = counted("who")?;
    // Those inside see their own alone, and change it while it is set up.
    isolated(|| {
        abi::ctx_create(OWN, abi::VXF_STATE_SETUP)?;
        limit_space(&dir, OWN, 100)?;
        ensure!(abi::get_dlimit(abi::VX_XID_SELF, &dir)?.space_total == 100);
        expect(abi::get_dlimit(OTHER, &dir), Errno::SRCH)?;
        expect(abi::set_dlimit(OTHER, &dir, &KEEP), Errno::SRCH)
    })?;
    inside(OWN, || {
        ensure!(abi::get_dlimit(OWN, &dir)?.space_total == 100);
        expect(abi::set_dlimit(OWN, &dir, &KEEP), Errno::PERM)?;
        expect(abi::rem_dlimit(OWN, &dir), Errno::PERM)
    })?;
    inside(abi::VX_XID_WATCH, || {
        ensure!(abi::get_dlimit(OWN, &dir)?.space_total == 100);
        expect(abi::set_dlimit(OWN, &dir, &KEEP), Errno::PERM)
    })?;
    isolated(|| {
        become_user()?;
        expect(abi::get_dlimit(OWN, &dir), Errno::PERM)
    })
}

fn where_it_can_be() -> Result<()> {
    for path in ["/proc", "/dev", "/tmp"] {
        refused(
            path,
            abi::add_dlimit(OWN, Path::new(path)),
            Errno::OPNOTSUPP,
        )?;
    }
    mount_with("rw")?;
    expect(abi::add_dlimit(OWN, root()), Errno::OPNOTSUPP)?;
    mount_with("tag")?;
    // A file system without tags has no limits, and loses what it had.
    abi::add_dlimit(OWN, root())?;
    Ok(abi::rem_dlimit(OWN, root())?)
}

/// What `statvfs` says: bytes there are, free, and free for all; inodes there are, and free.
#[derive(Debug)]
struct Room {
    size: u64,
    free: u64,
    available: u64,
    inodes: u64,
    inodes_free: u64,
}

fn room(dir: &Path) -> Result<Room> {
    let stat = statvfs(dir)?;
    Ok(Room {
        size: stat.f_blocks * stat.f_frsize,
        free: stat.f_bfree * stat.f_frsize,
        available: stat.f_bavail * stat.f_frsize,
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

fn free_space_inside() -> Result<()> {
    let dir = counted("free")?;
    let outside = room(&dir)?;
    limit_space(&dir, OWN, 4096)?;
    limit_inodes(&dir, OWN, 100)?;
    inside(OWN, || {
        fs::write(dir.join("file"), vec![1; 1 << 20])?;
        let seen = room(&dir)?;
        ensure!(seen.size == 4 << 20, "{seen:?}");
        ensure!((2 << 20..=3 << 20).contains(&seen.free), "{seen:?}");
        ensure!(seen.available == seen.free, "{seen:?}");
        ensure!((seen.inodes, seen.inodes_free) == (100, 99), "{seen:?}");
        Ok(())
    })?;
    let half = abi::Dlimit {
        reserved: 50,
        ..KEEP
    };
    abi::set_dlimit(OWN, &dir, &half)?;
    inside(OWN, || {
        let seen = room(&dir)?;
        // Half of the whole.
        ensure!(seen.available + (2 << 20) == seen.free, "{seen:?}");
        Ok(())
    })?;
    // More than is left on the disk is not free.
    limit_space(&dir, OWN, 1 << 40)?;
    inside(OWN, || {
        let seen = room(&dir)?;
        // btrfs has its trees in there, which it writes anew all the time.
        let slack = u64::from(on("btrfs")) << 20;
        ensure!(seen.free <= outside.free + slack, "{seen:?}");
        Ok(())
    })?;
    for xid in [OTHER, abi::VX_XID_WATCH, abi::VX_XID_HOST] {
        inside(xid, || {
            ensure!(room(&dir)?.size == outside.size, "{xid}");
            Ok(())
        })?;
    }
    Ok(())
}

fn is_listed() -> Result<()> {
    let dir = counted("listed")?;
    let some = abi::Dlimit {
        space_used: 5,
        space_total: 1000,
        inodes_used: 7,
        inodes_total: abi::CDLIM64_INFINITY,
        reserved: 5,
        flags: abi::CDLIM_COUNTED,
    };
    abi::set_dlimit(OWN, &dir, &some)?;
    let (there, go) = (Gate::new()?, Gate::new()?);
    let child = spawn(|| {
        let made = abi::ctx_create(OWN, 0).is_ok() && there.open().is_ok();
        i32::from(!made || go.pass().is_err())
    })?;
    there.pass()?;
    let text = fs::read_to_string(format!("/proc/virtual/{OWN}/dlimit"))?;
    go.open()?;
    child.wait()?;
    let line = text.lines().nth(1).with_context(|| text.clone())?;
    let (device, rest) = line.split_once('\t').context("no device")?;
    ensure!(
        device.split(':').all(|n| n.parse::<u32>().is_ok()),
        "{line}"
    );
    ensure!(rest == "5\t1000\t7\t-1\t5", "{line}");
    ensure!(text.lines().count() == 2, "{text}");
    Ok(())
}
