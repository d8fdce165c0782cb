// SPDX-License-Identifier: GPL-2.0
//! How soon a limit that is changed takes effect for a process that writes all the time.

use super::{kind, limit, mount_with};
use crate::calls::XID;
use crate::report::{Report, figure};
use crate::shared::clock_ns;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork, shared_number};

/// How many values there are of each figure.
const REPS: usize = 31;
const PATIENCE: Duration = Duration::from_secs(20);
const MUCH: u64 = 1 << 20;

pub fn run(report: &mut Report, labels: &[&str]) {
    for label in labels {
        report.group(&format!("tag change {label}"), || change(label));
    }
}

/// When the writer got another answer than before, and which.
struct Answer {
    at: &'static AtomicU64,
    refused: &'static AtomicU64,
}

fn change(label: &str) -> Result<()> {
    let dir = mount_with(label, "tag")?.join("change");
    fs::create_dir(&dir)?;
    abi::add_dlimit(XID, &dir).context("add_dlimit")?;
    limit(&dir, MUCH)?;
    let answer = Answer {
        at: shared_number()?,
        refused: shared_number()?,
    };
    let pid = match fork()? {
        Fork::Parent(pid) => pid.as_raw_nonzero().get(),
        Fork::Child => {
            let _ = write(&dir.join("file"), &answer);
            std::process::exit(1)
        }
    };
    let done = toggle(label, &dir, &answer);
    // SAFETY: our own child, not yet waited for.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    abi::rem_dlimit(XID, &dir)?;
    done
}

/// Writes a block to an empty file, again and again.
fn write(path: &Path, answer: &Answer) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    abi::ctx_create(XID, 0)?;
    let file = File::create(path)?;
    loop {
        file.set_len(0)?;
        let refused = match rustix::io::pwrite(&file, &[1; 4096], 0) {
            Ok(_) => 0,
            Err(Errno::NOSPC) => 1,
            Err(e) => return Err(e.into()),
        };
        if answer.refused.swap(refused, Ordering::SeqCst) != refused {
            answer.at.store(clock_ns(), Ordering::SeqCst);
        }
    }
}

fn toggle(label: &str, dir: &Path, answer: &Answer) -> Result<()> {
    let (mut refusals, mut grants, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    // The first one only warms up.
    for rep in 0..=REPS {
        for (total, found) in [(0, &mut refusals), (MUCH, &mut grants)] {
            std::thread::sleep(Duration::from_millis(20));
            answer.at.store(0, Ordering::SeqCst);
            let start = clock_ns();
            limit(dir, total)?;
            let set = clock_ns();
            let until = Instant::now() + PATIENCE;
            while answer.at.load(Ordering::SeqCst) == 0 {
                ensure!(Instant::now() < until, "the writer goes on as before");
                std::hint::spin_loop();
            }
            if rep > 0 {
                let at = answer.at.load(Ordering::SeqCst);
                found.push(at.saturating_sub(start));
                calls.push(set - start);
            }
        }
    }
    let kind = kind(label);
    figure(&format!("fs={kind} what=refused"), &refusals);
    figure(&format!("fs={kind} what=granted"), &grants);
    figure(&format!("fs={kind} what=set"), &calls);
    Ok(())
}
