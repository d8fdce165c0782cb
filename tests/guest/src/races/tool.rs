// SPDX-License-Identifier: GPL-2.0
//! Writers against the tool that makes equal files one.

use super::flags::raced_again;
use super::race::{Order, Race, race_until};
use super::shared::{PAST, place};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::OFlags;
use rustix::io::{Errno, write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// So many that the writer comes to some of them while the tool is at them.
const FILES: usize = 16;

/// What the tool says of a file that somebody has come to meanwhile.
const MEANWHILE: [&str; 2] = ["open for writing", "changed in the meantime"];

/// The tool unifies two trees while a guest goes on writing to one: what was written is there, the
/// other guest's file is what it was, and has been protected only if it was shared.
pub fn tool() -> Result<()> {
    let trees = Trees::new()?;
    let mut whole = Duration::ZERO;
    race_until(&["unified", "left alone", "meanwhile"], |race| {
        trees.renew()?;
        let moments = moments(race, whole);
        let ((unified, took), written) = race.pair(
            || {
                let start = Instant::now();
                let mut tool = Command::new("vserver");
                let unified = tool.arg("unify").args(&trees.dirs).output();
                (unified, start.elapsed())
            },
            || trees.write(&moments),
        )?;
        written.context("the writer")?;
        // At first nobody is beside it.
        if race.order() == Order::Before {
            whole = took;
        }
        let unified = unified?;
        ensure!(
            unified.status.success(),
            "unify: {}",
            String::from_utf8_lossy(&unified.stderr)
        );
        let shared = trees.judge(race)?;
        let report = String::from_utf8(unified.stdout)?;
        ensure!(
            report.contains(&format!(" {shared} shared now,")),
            "{shared} are protected; {report}"
        );
        if MEANWHILE.iter().any(|reason| report.contains(reason)) {
            race.count("meanwhile");
        }
        Ok(())
    })
}

/// When the writer comes to which file, while the tool is under way.
fn moments(race: &mut Race, whole: Duration) -> Vec<(Duration, usize)> {
    let mut moments: Vec<_> = (0..FILES).map(|i| (race.within(whole), i)).collect();
    moments.sort();
    moments
}

const LINE: &[u8] = b"line\n";

fn write_line(path: &Path) -> Result<(), Errno> {
    let fd = loop {
        match open(path, OFlags::WRONLY | OFlags::APPEND) {
            Err(e) if raced_again(e) => {}
            opened => break opened?,
        }
    };
    write(&fd, LINE).map(drop)
}

/// Two guests with equal files.
struct Trees {
    dirs: [PathBuf; 2],
    content: Vec<u8>,
}

impl Trees {
    fn new() -> Result<Self> {
        let dirs = [place()?.join("tree-1"), place()?.join("tree-2")];
        for dir in &dirs {
            fs::create_dir_all(dir)?;
        }
        Ok(Self {
            dirs,
            content: vec![b'.'; 50_000],
        })
    }

    /// A name in the tree that nobody writes to, and in the other one.
    fn names(&self, i: usize) -> [PathBuf; 2] {
        self.dirs.clone().map(|dir| dir.join(i.to_string()))
    }

    fn renew(&self) -> Result<()> {
        for path in (0..FILES).flat_map(|i| self.names(i)) {
            if path.exists() {
                fs::remove_file(&path)?;
            }
            fs::write(&path, &self.content)?;
            set_times(&path, PAST)?;
        }
        Ok(())
    }

    fn write(&self, moments: &[(Duration, usize)]) -> Result<()> {
        let start = Instant::now();
        for (moment, i) in moments {
            std::thread::sleep(moment.saturating_sub(start.elapsed()));
            let [_, written] = self.names(*i);
            write_line(&written).with_context(|| written.display().to_string())?;
        }
        Ok(())
    }

    /// How many files were shared before they were written to.
    fn judge(&self, race: &mut Race) -> Result<usize> {
        let mut shared = 0;
        for i in 0..FILES {
            let [kept, written] = self.names(i).map(|path| look(&path));
            let (kept, written) = (kept?, written?);
            ensure!(kept.content == self.content, "{i}: the other has changed");
            ensure!(
                written.content == [&*self.content, LINE].concat(),
                "{i}: {} bytes written",
                written.content.len()
            );
            ensure!(written.flags == 0, "{i}: {:#x}", written.flags);
            race.count(match kept.flags {
                UNIFIED => "unified",
                flags => {
                    ensure!(flags == 0, "{i}: {flags:#x}");
                    "left alone"
                }
            });
            shared += usize::from(kept.flags == UNIFIED);
        }
        // There are no names but those of the files.
        for dir in &self.dirs {
            let names: Vec<_> = fs::read_dir(dir)?.collect();
            ensure!(names.len() == FILES, "{names:?}");
        }
        Ok(shared)
    }
}

impl Drop for Trees {
    fn drop(&mut self) {
        for dir in &self.dirs {
            let _ = fs::remove_dir_all(dir);
        }
    }
}
