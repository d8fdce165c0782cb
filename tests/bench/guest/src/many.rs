// SPDX-License-Identifier: GPL-2.0
//! Many contexts: what memory each takes, and what it costs to look at them all.

use crate::life::{in_child, prepare_cgroups};
use crate::meter::Meter;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;
use std::io::Read as _;
use std::ops::Range;
use std::time::Duration;
use vserver_abi as abi;

const REPS: usize = 5;
/// The first of as many unused contexts as are made.
const XID: u32 = 1000;
/// How many contexts are made to see what memory they take, and how many cgroups.
const MANY: u32 = 10_000;
const CGROUPS: u32 = 1000;

/// Contexts without processes that live on.
fn make(xids: Range<u32>) -> Result<()> {
    for xid in xids {
        in_child(|| Ok(abi::ctx_create(xid, abi::VXF_PERSISTENT).map(drop)?))
            .with_context(|| format!("context {xid}"))?;
    }
    Ok(())
}

fn end(xids: Range<u32>) -> Result<()> {
    for xid in xids {
        abi::set_cflags(xid, 0, abi::VXF_PERSISTENT)?;
    }
    Ok(())
}

/// Waits until what has been put off is done.
fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}

/// A mount of /proc that nobody has looked at: nothing is cached of it. Gone when dropped.
struct Proc;

impl Proc {
    const PLACE: &str = "/run/proc";

    fn new() -> Result<Self> {
        fs::create_dir_all(Self::PLACE)?;
        mount("proc", Self::PLACE, "proc", MountFlags::empty(), None).context("mount /proc")?;
        Ok(Self)
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = unmount(Self::PLACE, UnmountFlags::empty());
    }
}

/// Counts listing all contexts, and reading the status of each, while there are as many of them.
pub fn run(report: &mut Report, counts: &[u32]) {
    let mut made = 0;
    for &count in counts {
        report.group(&format!("many {count}"), || {
            make(XID + made..XID + count)?;
            made = count;
            let meter = Meter::new()?;
            let show = |what: &str, values: &[u64]| {
                figure(&format!("what={what} count={count}"), values);
            };
            let (mut lists, mut first, mut again) = (vec![], vec![], vec![]);
            for _ in 0..REPS {
                let _proc = Proc::new()?;
                settle();
                lists.push(meter.measure(|| list(count))?);
                first.push(meter.measure(|| read_all(count))?);
                again.push(meter.measure(|| read_all(count))?);
            }
            show("list", &lists);
            show("read-first", &first);
            show("read-again", &again);
            Ok(())
        });
    }
    report.group("their end", || end(XID..XID + made));
}

fn list(count: u32) -> Result<()> {
    let mut contexts = 0;
    for entry in fs::read_dir(format!("{}/virtual", Proc::PLACE))? {
        let name = entry?.file_name();
        contexts += u32::from(name.as_encoded_bytes()[0].is_ascii_digit());
    }
    ensure!(contexts == count, "{contexts} contexts are listed");
    Ok(())
}

fn read_all(count: u32) -> Result<()> {
    let mut text = [0; 1024];
    for xid in XID..XID + count {
        let n = fs::File::open(format!("{}/virtual/{xid}/status", Proc::PLACE))?.read(&mut text)?;
        ensure!(text[..n].starts_with(b"UseCnt:"), "the status of {xid}");
    }
    Ok(())
}

/// Measures what memory each context takes, and each cgroup.
pub fn memory(report: &mut Report) {
    report.group("memory", || {
        // What is allocated for the first ones only.
        make(XID..XID + CGROUPS)?;
        end(XID..XID + CGROUPS)?;
        per_each("context", MANY, || make(XID..XID + MANY))?;
        end(XID..XID + MANY)?;

        prepare_cgroups()?;
        per_each("cgroup-full", CGROUPS, || {
            for n in 0..CGROUPS {
                fs::create_dir(format!("/sys/fs/cgroup/full/{n}"))?;
            }
            Ok(())
        })
    });
}

fn per_each(what: &str, count: u32, make: impl FnOnce() -> Result<()>) -> Result<()> {
    settle();
    let before = allocated()?;
    make()?;
    // What the kernel keeps of names only in case it is asked again.
    fs::write("/proc/sys/vm/drop_caches", "2")?;
    settle();
    let each = allocated()?.saturating_sub(before) / u64::from(count);
    figure(&format!("what=memory who={what}"), &[each]);
    Ok(())
}

/// Bytes of pages that the kernel's allocators of small objects have taken: neither contexts nor
/// cgroups have anything elsewhere.
fn allocated() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    ["Slab:", "Percpu:"].iter().try_fold(0, |sum, key| {
        let mut lines = meminfo.lines();
        let kib: u64 = lines
            .find_map(|line| line.strip_prefix(key)?.strip_suffix("kB"))
            .context(*key)?
            .trim()
            .parse()?;
        Ok(sum + (kib << 10))
    })
}
