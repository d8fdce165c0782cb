// SPDX-License-Identifier: GPL-2.0
//! Which entries of /proc there are for whom, by their attributes.

use super::{XID, expect};
use crate::process::{isolated, until_ended};
use crate::unified::become_user;
use anyhow::{Result, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

const ADMIN: u32 = abi::IATTR_ADMIN;
const WATCH: u32 = abi::IATTR_WATCH;
const HIDE: u32 = abi::IATTR_HIDE;
const ALL: u32 = ADMIN | WATCH | HIDE;

/// An entry that has other attributes while this lives.
struct Entry {
    fd: OwnedFd,
    before: u32,
}

impl Entry {
    fn with(path: &str, flags: u32) -> Result<Self> {
        let fd = rfs::open(path, OFlags::RDONLY, Mode::empty())?;
        let before = abi::fget_iattr(&fd)?;
        ensure!(before.mask == ALL, "{path}: {before:?}");
        let entry = Self {
            fd,
            before: before.flags,
        };
        abi::set_iattr(path, attributes(flags, ALL))?;
        let now = abi::fget_iattr(&entry.fd)?;
        ensure!((now.flags, now.mask) == (flags, ALL), "{path}: {now:?}");
        Ok(entry)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = abi::fset_iattr(&self.fd, attributes(self.before, ALL));
    }
}

fn attributes(flags: u32, mask: u32) -> abi::CtxFiattr {
    abi::CtxFiattr {
        xid: 0,
        flags,
        mask,
    }
}

/// Whether there is an entry: what it is found by and what lists it say the same.
fn is_there(dir: &str, name: &str) -> Result<bool> {
    let path = format!("{dir}/{name}");
    let found = match fs::metadata(&path) {
        Ok(_) => true,
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => false,
        Err(e) => anyhow::bail!("{path}: {e}"),
    };
    let mut listed = false;
    for entry in fs::read_dir(dir)? {
        listed |= entry?.file_name() == name;
    }
    ensure!(found == listed, "{path}: found {found}, listed {listed}");
    let opened = rfs::open(&path, OFlags::RDONLY, Mode::empty());
    ensure!(found == opened.is_ok(), "{path}: found {found}, {opened:?}");
    Ok(found)
}

/// Whether there is one for the host, the spectator, and those inside a context.
fn for_whom(dir: &str, name: &str) -> Result<[bool; 3]> {
    let host = is_there(dir, name)?;
    let mut found = [host; 3];
    for (at, xid) in [(1, abi::VX_XID_WATCH), (2, XID)] {
        for expected in [true, false] {
            let is_so = isolated(|| {
                match xid {
                    abi::VX_XID_WATCH => abi::ctx_migrate(xid, 0)?,
                    xid => drop(abi::ctx_create(xid, 0)?),
                }
                let found = is_there(dir, name)?;
                ensure!(found == expected, "not {expected}");
                Ok(())
            });
            match is_so {
                Ok(()) => found[at] = expected,
                Err(e) if format!("{e:#}") == format!("not {expected}") => {}
                Err(e) => return Err(e),
            }
            if xid == XID {
                until_ended(XID)?;
            }
        }
    }
    Ok(found)
}

pub fn entries_by_default() -> Result<()> {
    for (path, flags) in [
        ("/proc/version", 0),
        ("/proc/meminfo", 0),
        ("/proc/mounts", 0),
        ("/proc/virtual", 0),
        ("/proc/virtual/info", 0),
        ("/proc/sysvipc/shm", 0),
        ("/proc/tty/drivers", 0),
        ("/proc/sys", 0),
        ("/proc/kallsyms", ALL),
        ("/proc/interrupts", ALL),
        ("/proc/sysrq-trigger", ALL),
        ("/proc/timer_list", ALL),
        ("/proc/bus", ALL),
    ] {
        let found = abi::get_iattr(path)?;
        let expected = (flags, ALL);
        ensure!((found.flags, found.mask) == expected, "{path}: {found:?}");
        // Inside it is as that says, and a look tells nothing of what is hidden.
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            match flags {
                0 => ensure!(abi::get_iattr(path)?.mask == ALL, "{path}"),
                _ => expect(abi::get_iattr(path), Errno::NOENT)?,
            }
            Ok(())
        })?;
        until_ended(XID)?;
    }
    for path in [
        "/proc",
        "/proc/self",
        "/proc/1",
        "/proc/1/stat",
        "/proc/self/task",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel",
        "/",
    ] {
        let found = abi::get_iattr(path)?;
        ensure!(
            found.mask & ALL == 0 && found.flags & ALL == 0,
            "{path}: {found:?}"
        );
    }
    Ok(())
}

pub fn entry_shown_inside() -> Result<()> {
    ensure!(for_whom("/proc", "interrupts")? == [true, true, false]);
    {
        let _entry = Entry::with("/proc/interrupts", 0)?;
        ensure!(for_whom("/proc", "interrupts")? == [true; 3]);
        // With hide gone it does not matter who else may see it.
        let _entry = Entry::with("/proc/interrupts", ADMIN | WATCH)?;
        ensure!(for_whom("/proc", "interrupts")? == [true; 3]);
    }
    ensure!(for_whom("/proc", "interrupts")? == [true, true, false]);
    // A directory, and what is in it.
    let _entry = Entry::with("/proc/bus", 0)?;
    ensure!(for_whom("/proc", "bus")? == [true; 3]);
    Ok(())
}

pub fn entry_hidden_inside() -> Result<()> {
    ensure!(for_whom("/proc", "version")? == [true; 3]);
    {
        let _entry = Entry::with("/proc/version", ALL)?;
        ensure!(for_whom("/proc", "version")? == [true, true, false]);
        // What is not in the mask stays.
        abi::set_iattr("/proc/version", attributes(HIDE | ADMIN, WATCH))?;
        ensure!(abi::get_iattr("/proc/version")?.flags == HIDE | ADMIN);
        abi::set_iattr("/proc/version", attributes(WATCH, WATCH))?;
        ensure!(abi::get_iattr("/proc/version")?.flags == ALL);
    }
    ensure!(for_whom("/proc", "version")? == [true; 3]);
    Ok(())
}

pub fn entry_hidden_below() -> Result<()> {
    // By a name that others found before, in another mount too.
    let dir = "/tmp/proc-entries";
    fs::create_dir_all(dir)?;
    rustix::mount::mount(
        "proc",
        dir,
        "proc",
        rustix::mount::MountFlags::empty(),
        None,
    )?;
    let done = (|| -> Result<()> {
        ensure!(for_whom("/proc/sysvipc", "shm")? == [true; 3]);
        {
            let _entry = Entry::with("/proc/sysvipc/shm", ALL)?;
            ensure!(for_whom("/proc/sysvipc", "shm")? == [true, true, false]);
            ensure!(for_whom(&format!("{dir}/sysvipc"), "shm")? == [true, true, false]);
            ensure!(for_whom("/proc/sysvipc", "msg")? == [true; 3]);
        }
        ensure!(for_whom("/proc/sysvipc", "shm")? == [true; 3]);
        let _entry = Entry::with("/proc/sysvipc", ALL)?;
        isolated(|| {
            abi::ctx_create(XID, 0)?;
            let found = rfs::open("/proc/sysvipc/msg", OFlags::RDONLY, Mode::empty());
            expect(found, Errno::NOENT)
        })
    })();
    rustix::mount::unmount(dir, rustix::mount::UnmountFlags::empty())?;
    fs::remove_dir(dir)?;
    done
}

pub fn entry_for_the_host_or_the_spectator() -> Result<()> {
    for (flags, expected) in [
        (HIDE | ADMIN, [true, false, false]),
        (HIDE | WATCH, [false, true, false]),
        (HIDE, [false; 3]),
    ] {
        let _entry = Entry::with("/proc/version", flags)?;
        let found = for_whom("/proc", "version")?;
        ensure!(found == expected, "{flags:#x}: {found:?}");
    }
    ensure!(for_whom("/proc", "version")? == [true; 3]);
    Ok(())
}

pub fn entries_that_cannot_be_set() -> Result<()> {
    let hide = attributes(ALL, ALL);
    for path in [
        "/proc",
        "/proc/self/stat",
        "/proc/1",
        "/proc/sys/kernel/hostname",
    ] {
        expect(abi::set_iattr(path, hide), Errno::OPNOTSUPP)?;
    }
    for flags in [abi::IATTR_IUNLINK, abi::IATTR_IMMUTABLE, abi::IATTR_BARRIER] {
        let other = attributes(flags | HIDE, flags | HIDE);
        expect(abi::set_iattr("/proc/version", other), Errno::INVAL)?;
    }
    // Entries of /proc alone have these.
    expect(abi::set_iattr("/", hide), Errno::OPNOTSUPP)?;
    isolated(|| {
        become_user()?;
        expect(abi::set_iattr("/proc/version", hide), Errno::PERM)
    })?;
    isolated(|| {
        rustix::thread::remove_capability_from_bounding_set(
            rustix::thread::CapabilitySet::LINUX_IMMUTABLE,
        )?;
        let mut sets = rustix::thread::capabilities(None)?;
        sets.effective
            .remove(rustix::thread::CapabilitySet::LINUX_IMMUTABLE);
        sets.permitted
            .remove(rustix::thread::CapabilitySet::LINUX_IMMUTABLE);
        rustix::thread::set_capabilities(None, sets)?;
        ensure!(abi::get_iattr("/proc/version")?.mask == ALL);
        expect(abi::set_iattr("/proc/version", hide), Errno::PERM)
    })?;
    for setup in [abi::VXF_STATE_SETUP, 0] {
        isolated(|| {
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            abi::set_bcaps(XID, !0, !0)?;
            abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP & !setup)?;
            expect(abi::set_iattr("/proc/version", hide), Errno::PERM)?;
            let show = attributes(0, ALL);
            expect(abi::set_iattr("/proc/kallsyms", show), Errno::PERM)
        })?;
        until_ended(XID)?;
    }
    ensure!(abi::get_iattr("/proc/version")?.flags == 0);
    Ok(())
}
