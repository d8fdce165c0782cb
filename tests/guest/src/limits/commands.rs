// SPDX-License-Identifier: GPL-2.0
//! The commands about limits, and the files in /proc.

use super::{FILES, Guest, LOCKS, PROCESSES, QUEUES, XID, expect, has, inside, null};
use crate::process::{self, isolated};
use crate::raw;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs;
use vserver_abi as abi;

/// What can be limited.
const SETTABLE: [u32; 11] = [
    libc::RLIMIT_AS,
    libc::RLIMIT_MEMLOCK,
    PROCESSES,
    FILES,
    LOCKS,
    QUEUES,
    abi::VLIMIT_NSOCK,
    abi::VLIMIT_OPENFD,
    abi::VLIMIT_SHMEM,
    abi::VLIMIT_SEMARY,
    abi::VLIMIT_NSEMS,
];

/// What is only shown.
const SHOWN: [u32; 4] = [
    libc::RLIMIT_RSS,
    abi::VLIMIT_ANON,
    abi::VLIMIT_MAPPED,
    abi::VLIMIT_DENTRY,
];

/// Free to all, and true: what it names can be set, and nothing else.
pub fn mask() -> Result<()> {
    let mask = abi::get_rlimit_mask()?;
    ensure!(mask.minimum == 0 && mask.softlimit == mask.maximum);
    let settable = SETTABLE.iter().fold(0, |all, id| all | 1 << id);
    ensure!(mask.maximum == settable, "{mask:?}");
    isolated(|| {
        // SAFETY: the process has one thread.
        ensure!(unsafe { libc::setresuid(1000, 1000, 1000) } == 0);
        ensure!(abi::get_rlimit_mask()? == mask);
        Ok(())
    })?;
    inside(|| {
        for id in 0..32 {
            let set = abi::set_hard_limit(XID, id, Some(1 << 40));
            match mask.maximum & 1 << id {
                0 => expect(set, Errno::INVAL).with_context(|| id.to_string())?,
                _ => set.with_context(|| id.to_string())?,
            }
        }
        Ok(())
    })
}

pub fn keep_and_infinity() -> Result<()> {
    // More of each than the test needs.
    const FEW: u64 = 500_000;
    const SOME: u64 = 2 * FEW;
    const MORE: u64 = 4 * FEW;
    const MANY: u64 = 6 * FEW;
    inside(|| {
        for id in SETTABLE {
            let limits = |soft, hard| -> Result<()> {
                let limit = abi::get_rlimit(XID, id)?;
                ensure!(limit.id == id && limit.minimum == 0, "{limit:?}");
                ensure!(
                    (limit.softlimit, limit.maximum) == (soft, hard),
                    "{limit:?}"
                );
                Ok(())
            };
            let (keep, none) = (abi::CRLIM_KEEP, abi::CRLIM_INFINITY);
            limits(none, none)?;
            abi::set_rlimit(XID, id, SOME, MORE)?;
            limits(SOME, MORE)?;
            abi::set_rlimit(XID, id, keep, MANY)?;
            limits(SOME, MANY)?;
            abi::set_rlimit(XID, id, FEW, keep)?;
            limits(FEW, MANY)?;
            abi::set_rlimit(XID, id, keep, keep)?;
            limits(FEW, MANY)?;
            abi::set_rlimit(XID, id, none, none)?;
            limits(none, none)?;
        }
        // Nothing is refused beyond the mark.
        abi::set_rlimit(XID, FILES, 1, 2)?;
        let _two = (null()?, null()?);
        ensure!(abi::rlimit_stat(XID, FILES)?.hits == 0);
        ensure!(null().is_err());
        Ok(())
    })
}

pub fn what_cannot_be_set() -> Result<()> {
    inside(|| {
        for id in SHOWN {
            ensure!(abi::rlimit_stat(XID, id)?.id == id);
            let limit = abi::get_rlimit(XID, id)?;
            ensure!(limit.maximum == abi::CRLIM_INFINITY);
            for (soft, hard) in [(5, abi::CRLIM_KEEP), (abi::CRLIM_KEEP, 5), (0, 0)] {
                expect(abi::set_rlimit(XID, id, soft, hard), Errno::INVAL)?;
            }
            // To change nothing is no error.
            abi::set_rlimit(XID, id, abi::CRLIM_KEEP, abi::CRLIM_INFINITY)?;
            ensure!(abi::get_rlimit(XID, id)? == limit);
        }
        // A minimum is kept for nobody.
        let mut limit = abi::get_rlimit(XID, FILES)?;
        limit.minimum = 1;
        expect(set(&limit), Errno::INVAL)?;
        limit.minimum = 0;
        limit.maximum = 77;
        set(&limit)?;
        ensure!(abi::get_rlimit(XID, FILES)? == limit);
        Ok(())
    })
}

fn set(limit: &abi::Rlimit) -> Result<u32, Errno> {
    raw::vserver(
        abi::VCMD_set_rlimit,
        XID,
        std::ptr::from_ref(limit) as usize,
    )
}

pub fn unknown_things() -> Result<()> {
    inside(|| {
        let unknown = [
            0,
            1,
            2,
            3,
            4,
            11,
            13,
            14,
            15,
            24,
            31,
            32,
            38,
            64,
            255,
            u32::MAX,
        ];
        for id in unknown {
            expect(abi::get_rlimit(XID, id), Errno::INVAL)?;
            expect(abi::rlimit_stat(XID, id), Errno::INVAL)?;
            let keep = abi::CRLIM_KEEP;
            expect(abi::set_rlimit(XID, id, keep, keep), Errno::INVAL)?;
        }
        Ok(())
    })?;
    for xid in [0, 1, XID, XID + 1, abi::VX_XID_SELF, u32::MAX] {
        expect(abi::get_rlimit(xid, FILES), Errno::SRCH)?;
        expect(abi::set_rlimit(xid, FILES, 5, 5), Errno::SRCH)?;
        expect(abi::rlimit_stat(xid, FILES), Errno::SRCH)?;
        expect(abi::reset_hits(xid), Errno::SRCH)?;
        expect(abi::reset_minmax(xid), Errno::SRCH)?;
        expect(abi::sock_stat(xid, 0), Errno::SRCH)?;
        expect(abi::get_badness(xid), Errno::SRCH)?;
        expect(abi::set_badness(xid, 0), Errno::SRCH)?;
    }
    Ok(())
}

pub fn resets() -> Result<()> {
    inside(|| {
        let stat = || abi::rlimit_stat(XID, FILES);
        let files: Vec<_> = (0..4).map(|_| null()).collect::<Result<_, _>>()?;
        super::limit(FILES, 4)?;
        ensure!(null().is_err());
        let before = stat()?;
        ensure!(
            (before.minimum, before.maximum, before.hits) == (0, 4, 1),
            "{before:?}"
        );
        abi::reset_hits(XID)?;
        ensure!(stat()?.hits == 0 && stat()?.minimum == 0);
        abi::reset_minmax(XID)?;
        ensure!(
            (stat()?.minimum, stat()?.maximum) == (4, 4),
            "{:?}",
            stat()?
        );
        drop(files);
        has(FILES, 0)?;
        let _one = null()?;
        ensure!(
            (stat()?.minimum, stat()?.maximum) == (0, 4),
            "{:?}",
            stat()?
        );
        Ok(())
    })
}

pub fn proc_file() -> Result<()> {
    inside(|| {
        let _files = (null()?, null()?);
        abi::set_rlimit(XID, FILES, 10, 3)?;
        let _third = null()?;
        ensure!(null().is_err());
        drop(_third);
        let path = format!("/proc/virtual/{XID}/limit");
        // It is a file too, and the third.
        let text = fs::read_to_string(path)?;
        let mut lines = text.lines();
        ensure!(
            lines.next() == Some("Limit\t current\t     min/max\t\t    soft/hard\t\thits"),
            "{text}"
        );
        let names: Vec<_> = lines.filter_map(|line| line.split(':').next()).collect();
        ensure!(
            names
                == [
                    "PROC", "VM", "VML", "RSS", "ANON", "RMAP", "FILES", "OFD", "LOCKS", "SOCK",
                    "MSGQ", "SHM", "SEMA", "SEMS", "DENT"
                ],
            "{text}"
        );
        let files = "FILES:\t       3\t       0/       3\t      10/       3\t     1\n";
        let processes = "PROC:\t       1\t       0/       1\t      -1/      -1\t     0\n";
        ensure!(text.contains(files) && text.contains(processes), "{text}");
        Ok(())
    })
}

pub fn inside_changes_only_in_setup() -> Result<()> {
    isolated(|| {
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        let all = [u64::MAX; 2];
        raw::vserver(abi::VCMD_set_bcaps, XID, all.as_ptr() as usize)?;
        abi::set_rlimit(XID, FILES, 50, 50)?;
        abi::set_badness(XID, 5)?;
        abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
        expect(abi::set_rlimit(XID, FILES, 60, 60), Errno::PERM)?;
        expect(abi::reset_hits(XID), Errno::PERM)?;
        expect(abi::reset_minmax(XID), Errno::PERM)?;
        expect(abi::set_badness(XID, 0), Errno::PERM)?;
        // To look at its own it has the power.
        ensure!(abi::get_rlimit(XID, FILES)?.maximum == 50);
        ensure!(abi::rlimit_stat(XID, FILES)?.value == 0);
        ensure!(abi::get_badness(XID)? == 5);
        Ok(())
    })?;
    // Without the power, not that.
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        for result in [
            abi::get_rlimit(XID, FILES).map(drop),
            abi::set_rlimit(XID, FILES, 60, 60),
            abi::rlimit_stat(XID, FILES).map(drop),
            abi::sock_stat(XID, 0).map(drop),
            abi::get_badness(XID).map(drop),
        ] {
            expect(result, Errno::PERM)?;
        }
        Ok(())
    })
}

pub fn hides_from_others() -> Result<()> {
    let other = Guest::new(0, || process::sleep_forever())?;
    isolated(|| {
        abi::ctx_create(XID + 1, abi::VXF_STATE_SETUP)?;
        expect(abi::get_rlimit(XID, FILES), Errno::SRCH)?;
        expect(abi::set_rlimit(XID, FILES, 1, 1), Errno::SRCH)?;
        expect(abi::rlimit_stat(XID, FILES), Errno::SRCH)?;
        expect(abi::sock_stat(XID, 1), Errno::SRCH)?;
        expect(abi::set_badness(XID, 1), Errno::SRCH)?;
        for name in ["limit", "cacct"] {
            ensure!(fs::read(format!("/proc/virtual/{XID}/{name}")).is_err());
            fs::read(format!("/proc/virtual/{}/{name}", XID + 1))?;
        }
        Ok(())
    })?;
    // A spectator sees it and changes nothing.
    isolated(|| {
        abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
        ensure!(abi::rlimit_stat(XID, PROCESSES)?.value == 1);
        expect(abi::set_rlimit(XID, FILES, 1, 1), Errno::PERM)
    })?;
    other.end()
}

pub fn bad_pointers() -> Result<()> {
    let guest = Guest::new(0, || process::sleep_forever())?;
    abi::set_rlimit(XID, FILES, 7, 8)?;
    for cmd in [
        abi::VCMD_get_rlimit,
        abi::VCMD_set_rlimit,
        abi::VCMD_get_rlimit_mask,
        abi::VCMD_rlimit_stat,
        abi::VCMD_sock_stat,
        abi::VCMD_get_badness,
        abi::VCMD_set_badness,
    ] {
        for data in [0, 1, usize::MAX, usize::MAX - 4095, 1 << 47] {
            expect(raw::vserver(cmd, XID, data), Errno::FAULT)
                .with_context(|| format!("{cmd:#x} with {data:#x}"))?;
        }
    }
    let limit = abi::get_rlimit(XID, FILES)?;
    ensure!((limit.softlimit, limit.maximum) == (7, 8));
    guest.end()
}
