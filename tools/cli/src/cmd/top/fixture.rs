// SPDX-License-Identifier: GPL-2.0
//! Contexts that are none: the host, web (7) and db (8).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use vserver::cgroup::Memory;
use vserver::disk::Disk;
use vserver::usage::Usage;

use super::Contexts;

/// What each uses: db has most memory and all of the disk, web a limit and tokens.
pub(super) fn contexts() -> Vec<(Usage, Option<Disk>)> {
    let all = [(0, "host", 50), (7, "web", 10), (8, "db", 90)];
    let one = |(xid, name, mib): (u32, &str, u64)| {
        let usage = Usage {
            xid,
            name: name.to_owned(),
            processes: 1,
            virtual_bytes: 0,
            resident_bytes: mib << 20,
            memory: (xid == 7).then_some(Memory {
                used: 30 << 20,
                limit: Some(64 << 20),
                swap_used: 0,
                swap_limit: None,
                oom_kills: 0,
            }),
            cpu_msec: 1000,
            user_msec: 500,
            sys_msec: 500,
            hold_msec: 0,
            tokens: (xid == 7).then_some(42),
            limit_percent: (xid == 7).then_some(25.0),
            uptime_msec: None,
            state: "running",
        };
        let disk = (xid == 8).then_some(Disk {
            own_bytes: 3 << 30,
            shared_bytes: 0,
            age_sec: 120,
        });
        (usage, disk)
    };
    all.map(one).into()
}

/// Signals are written to the file `signals` of a directory; a file `panic` in it is a reason for one.
pub(super) struct Fixture(pub(super) PathBuf);

impl Contexts for Fixture {
    fn usage(&self) -> vserver::Result<Vec<(Usage, Option<Disk>)>> {
        assert!(!self.0.join("panic").exists(), "there is a reason");
        Ok(contexts())
    }

    fn kill(&self, xid: u32, signal: i32) -> vserver::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.0.join("signals"));
        writeln!(file.unwrap(), "{signal} to {xid}").unwrap();
        Ok(())
    }
}

impl Fixture {
    /// The signals that were sent.
    pub(super) fn signals(&self) -> String {
        fs::read_to_string(self.0.join("signals")).unwrap_or_default()
    }
}
