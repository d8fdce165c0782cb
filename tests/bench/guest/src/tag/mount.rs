// SPDX-License-Identifier: GPL-2.0
//! How long it takes to mount a file system of many files, with tags and without.

use super::{at, kind, mount};
use crate::calls::XID;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use rustix::mount::{UnmountFlags, unmount};
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

/// How many values there are of each figure.
const REPS: usize = 15;
/// How many files are in a directory.
const EACH: u64 = 1000;

/// Of each pair of labels the first one gets files with a tag.
pub fn run(report: &mut Report, count: &str, labels: &[&str]) {
    for pair in labels.chunks_exact(2) {
        report.group(&format!("tag mount {}", pair[0]), || {
            let count = count.parse().context("not a number")?;
            measure(count, pair[0], pair[1])
        });
    }
}

fn measure(count: u64, tagged: &str, untagged: &str) -> Result<()> {
    const OPTIONS: [&str; 2] = ["tag", ""];
    let labels = [tagged, untagged];
    for (label, options) in labels.iter().zip(OPTIONS) {
        unmount(at(label), UnmountFlags::empty())?;
        mount(label, options)?;
        fill(&at(label).join("many"), count, !options.is_empty())?;
        unmount(at(label), UnmountFlags::empty())?;
    }
    let mut values = [const { Vec::new() }; 2];
    for _ in 0..REPS {
        for ((label, options), values) in labels.iter().zip(OPTIONS).zip(&mut values) {
            fs::write("/proc/sys/vm/drop_caches", "3")?;
            let start = Instant::now();
            mount(label, options)?;
            values.push(u64::try_from(start.elapsed().as_nanos())?);
            ensure!(at(label).join("many/0/0").exists(), "no files");
            unmount(at(label), UnmountFlags::empty())?;
        }
    }
    for (what, values) in ["tagged", "untagged"].iter().zip(&values) {
        figure(&format!("fs={} what={what}", kind(tagged)), values);
    }
    for (label, options) in labels.iter().zip(OPTIONS) {
        mount(label, options)?;
    }
    Ok(())
}

/// Makes the files, as a process in a context or on the host.
fn fill(dir: &Path, count: u64, tagged: bool) -> Result<()> {
    let pid = match fork()? {
        Fork::Parent(pid) => pid.as_raw_nonzero().get(),
        Fork::Child => std::process::exit(i32::from(create(dir, count, tagged).is_err())),
    };
    let mut status = 0;
    // SAFETY: our own child, and a valid status.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    ensure!(status == 0, "making {count} files: status {status:#x}");
    Ok(())
}

fn create(dir: &Path, count: u64, tagged: bool) -> Result<()> {
    fs::create_dir(dir)?;
    if tagged {
        abi::ctx_create(XID, 0)?;
    }
    for i in 0..count {
        let below = dir.join((i / EACH).to_string());
        if i % EACH == 0 {
            fs::create_dir(&below)?;
        }
        File::create(below.join((i % EACH).to_string()))?;
    }
    Ok(())
}
