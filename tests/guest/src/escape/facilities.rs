// SPDX-License-Identifier: GPL-2.0
//! What looks at the kernel or at everybody: it works on the host and is refused inside.

use super::calls::{address, call, done};
use super::processes::PerfEvent;
use super::{Found, ask, diag, enter, taskstats, xids};
use crate::harness::{Body, Test};
use anyhow::{Result, ensure};
use rustix::io::Errno;
use vserver_abi as abi;

/// One facility.
struct Facility {
    /// What comes of it inside.
    inside: Found,
    probe: fn() -> Result<Found>,
}

impl Body for Facility {
    fn run(&self, variant: &str) -> Result<String> {
        let found = ask(|| {
            match variant {
                "inside" => enter(xids().0)?,
                "watch" => enter(abi::VX_XID_WATCH)?,
                _ => {}
            }
            (self.probe)()
        })?;
        if variant == "inside" {
            ensure!(found == self.inside, "{found:?}");
        } else {
            ensure!(found.is_ok() && found != self.inside, "{found:?}");
        }
        Ok(String::new())
    }
}

macro_rules! facilities {
    ($($name:literal, $inside:expr, $probe:expr;)*) => {
        &[$(Test {
            name: $name,
            variants: &["inside", "outside", "watch"],
            body: &Facility { inside: $inside, probe: $probe },
        }),*]
    };
}

const ANY: usize = usize::MAX;
const BPF_MAP_CREATE: usize = 0;
const FAN_MARK_ADD: usize = 1;
const FAN_MARK_MOUNT: usize = 0x10;
const FAN_MARK_FILESYSTEM: usize = 0x100;
const FAN_OPEN: usize = 0x20;

fn perf(event: &mut PerfEvent, pid: usize, cpu: usize) -> Found {
    let args = [address(event), pid, cpu, ANY, 0];
    done(libc::SYS_perf_event_open, &args)
}

fn watch(kind: usize) -> Result<Found> {
    let group = call(libc::SYS_fanotify_init, &[0, 0])? as usize;
    let here = libc::AT_FDCWD as usize;
    let mut name = *b"/tmp\0";
    let args = [
        group,
        FAN_MARK_ADD | kind,
        FAN_OPEN,
        here,
        address(&mut name),
    ];
    Ok(done(libc::SYS_fanotify_mark, &args))
}

pub const ROWS: &[Test] = facilities![
    "bpf, a map", Err(Errno::PERM), || {
        // An array of one element of four bytes.
        let mut attr = [0u32; 18];
        attr[..4].copy_from_slice(&[2, 4, 4, 1]);
        Ok(done(libc::SYS_bpf, &[BPF_MAP_CREATE, address(&mut attr), size_of_val(&attr)]))
    };
    "perf of a processor", Err(Errno::ACCESS), || Ok(perf(&mut PerfEvent::new(), ANY, 0));
    "perf of the kernel", Err(Errno::ACCESS), || {
        let mut event = PerfEvent::new();
        event.flags = 0;
        Ok(perf(&mut event, 0, ANY))
    };
    "fanotify of a mount", Err(Errno::PERM), || watch(FAN_MARK_MOUNT);
    "fanotify of a file system", Err(Errno::PERM), || watch(FAN_MARK_FILESYSTEM);
    "taskstats of all that exit", Err(Errno::INVAL), taskstats::hears_of_exits;
    "/proc/sysrq-trigger", Err(Errno::NOENT), || look("/proc/sysrq-trigger");
    "/proc/kallsyms", Err(Errno::NOENT), || look("/proc/kallsyms");
    "/proc/timer_list", Err(Errno::NOENT), || look("/proc/timer_list");
    "/proc/keys", Err(Errno::NOENT), || look("/proc/keys");
    "/proc/net/packet", Err(Errno::NOENT), || look("/proc/net/packet");
    "/proc/net lists what is hidden", Ok(0), || {
        let mut found = 0;
        for entry in std::fs::read_dir("/proc/net")? {
            let name = entry?.file_name();
            found += i64::from(name == "packet" || name == "netlink");
        }
        Ok(Ok(found))
    };
    "sock_diag of netlink sockets", Err(Errno::NOENT), diag::lists_netlink;
    "sock_diag of SCTP sockets", Err(Errno::NOENT), diag::lists_sctp;
    "sock_diag of sockets that are closed", Err(Errno::PERM), diag::hears_of_closed;
    "/proc lists what is hidden", Ok(0), || {
        let mut found = 0;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            found += i64::from(name == "kallsyms" || name == "interrupts");
        }
        Ok(Ok(found))
    };
];

/// Looks for a file without opening it: not each can be read.
fn look(name: &str) -> Result<Found> {
    Ok(match std::fs::metadata(name) {
        Ok(_) => Ok(1),
        Err(e) => Err(Errno::from_raw_os_error(
            e.raw_os_error().unwrap_or(libc::EIO),
        )),
    })
}
