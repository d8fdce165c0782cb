// SPDX-License-Identifier: GPL-2.0
//! A context's words of bits, and what its capabilities bound.

use super::{Guest, XID, proc_file};
use crate::process::{Gate, Status, isolated};
use crate::unified::expect;
use anyhow::{Result, ensure};
use rustix::io::Errno;
use vserver_abi as abi;

pub(super) fn one_time_flags() -> Result<()> {
    let guest = Guest::new(XID, abi::VXF_STATE_SETUP | abi::VXF_STATE_ADMIN)?;
    abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
    abi::set_cflags(XID, !abi::VXF_PERSISTENT & !abi::VXF_SCHED_PAUSE, u64::MAX)?;
    let flags = abi::get_cflags(XID)?;
    ensure!(flags & abi::VXF_STATE_SETUP == 0, "set again: {flags:#x}");
    ensure!(
        flags & abi::VXF_STATE_ADMIN != 0 && flags & abi::VXF_SCHED_HARD != 0,
        "{flags:#x}"
    );
    // What is outside the mask stays.
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    ensure!(abi::get_cflags(XID)? == flags & !abi::VXF_SCHED_HARD);
    guest.end()
}

/// Each keeps what is outside the mask, and knows bits that nobody has named yet.
pub(super) fn words_of_bits() -> Result<()> {
    type Get = fn(u32) -> abi::Result<u64>;
    type Set = fn(u32, u64, u64) -> abi::Result<()>;
    let words: [(&str, Get, Set); 3] = [
        ("BCaps", abi::get_bcaps, abi::set_bcaps),
        ("CCaps", abi::get_ccaps, abi::set_ccaps),
        ("Umask", abi::get_umask, abi::set_umask),
    ];
    let guest = Guest::new(XID, 0)?;
    for (name, get, set) in words {
        set(XID, 0x8000_0000_0000_0f0f, !0)?;
        set(XID, !0, 0xf0)?;
        set(XID, 0, 0x0f)?;
        ensure!(
            get(XID)? == 0x8000_0000_0000_0ff0,
            "{name}: {:#x}",
            get(XID)?
        );
        ensure!(
            proc_file(XID, "status")?[name] == "8000000000000ff0",
            "{name}"
        );
        expect(get(XID + 1), Errno::SRCH)?;
        expect(set(XID + 1, 0, 0), Errno::SRCH)?;
    }
    guest.end()
}

/// Whether this process may change its root, and the name of the host: to what they are.
fn powers() -> (bool, bool) {
    let uname = rustix::system::uname();
    (
        rustix::process::chroot("/").is_ok(),
        rustix::system::sethostname(uname.nodename().to_bytes()).is_ok(),
    )
}

/// A new context has few capabilities as soon as it is set up, whatever its root holds.
pub(super) fn capabilities_are_bounded() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        ensure!(powers() == (true, true), "in setup: {:?}", powers());
        ensure!(abi::get_bcaps(XID)? & 1 << 21 == 0, "CAP_SYS_ADMIN");
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        ensure!(powers() == (true, false), "{:?}", powers());
        expect(abi::get_bcaps(XID), Errno::PERM)
    })?;
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        ensure!(powers() == (true, false), "without setup: {:?}", powers());
        Ok(())
    })?;
    ensure!(powers() == (true, true), "the host: {:?}", powers());
    Ok(())
}

/// The bound follows credentials into children, and acts at once on those that are there already.
pub(super) fn bounds_hold_for_whatever_credentials() -> Result<()> {
    let (go, done) = (Gate::new()?, Gate::new()?);
    let guest = Guest::with(XID, 0, || {
        let check = || -> Result<()> {
            ensure!(powers() == (true, true), "at first");
            done.open()?;
            go.pass()?;
            // One that is forked, and one that has changed its user and back.
            isolated(|| {
                ensure!(powers() == (false, false), "{:?}", powers());
                // SAFETY: these touch no memory.
                unsafe {
                    ensure!(libc::setresuid(-1i32 as u32, 1000, 0) == 0);
                    ensure!(libc::setresuid(-1i32 as u32, 0, 0) == 0);
                }
                ensure!(powers() == (false, false), "again: {:?}", powers());
                Ok(())
            })
        };
        let failed = check();
        if let Err(e) = &failed {
            println!("# {e:#}");
        }
        std::process::exit(i32::from(failed.is_err()));
    })?;
    done.pass()?;
    // All but CAP_SETUID.
    abi::set_bcaps(XID, 1 << 7, !0)?;
    go.open()?;
    ensure!(guest.child.wait()? == Status::Exited(0));
    Ok(())
}
