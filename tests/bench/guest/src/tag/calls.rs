// SPDX-License-Identifier: GPL-2.0
//! What files cost to make, write, look at and remove.

use super::{kind, limit, mount_with, project};
use crate::calls::{Calls, XID, check, open_close};
use crate::meter::Meter;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// More than is ever used.
const MOST: u64 = 1 << 30;
const SMALL: usize = 4 << 10;
const BIG: usize = 1 << 20;
/// How many values there are of what the disk takes part in.
const REPS: usize = 15;

/// Counts in one setting: `off`, `on` (in a context), `limits` (in one that does not reach them), or
/// `project`, the quota of one.
pub fn run(report: &mut Report, setting: &str, labels: &[&str]) {
    report.group(&format!("tag {setting}"), || {
        let dirs = labels
            .iter()
            .map(|label| Ok((kind(label), prepared(setting, label)?)))
            .collect::<Result<Vec<_>>>()?;
        // Its helper stays outside.
        let meter = Meter::new()?;
        let calls = Calls::at(match setting {
            "on" | "limits" => "context",
            _ => "host",
        })?;
        for (kind, dir) in dirs {
            Files::new(&dir)?.count_all(kind, &calls, &meter)?;
        }
        Ok(())
    });
}

/// A directory on a file system as the setting wants it.
fn prepared(setting: &str, label: &str) -> Result<PathBuf> {
    let options = match setting {
        "off" => "",
        "on" | "limits" => "tag",
        "project" => "prjquota",
        _ => bail!("no setting {setting}"),
    };
    let dir = mount_with(label, options)?.join("files");
    fs::create_dir(&dir)?;
    match setting {
        "limits" => {
            abi::add_dlimit(XID, &dir).context("add_dlimit")?;
            limit(&dir, MOST)?;
        }
        "project" => project::limit(&dir, MOST)?,
        _ => {}
    }
    Ok(dir)
}

/// A file that is written to, and the name of another one.
struct Files {
    path: CString,
    file: File,
    other: CString,
    content: Vec<u8>,
}

impl Files {
    fn new(dir: &Path) -> Result<Self> {
        let c_path =
            |name: &str| CString::new(dir.join(name).into_os_string().into_encoded_bytes());
        Ok(Self {
            path: c_path("file")?,
            file: File::create(dir.join("file"))?,
            other: c_path("other")?,
            content: vec![1; BIG],
        })
    }

    fn create(&self) -> Result<()> {
        open_close(&self.other, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)
    }

    fn unlink(&self) -> Result<()> {
        // SAFETY: a valid path.
        check(unsafe { libc::unlink(self.other.as_ptr()) }.into()).map(drop)
    }

    fn stat(&self) -> Result<()> {
        // SAFETY: zeroes are a valid stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: valid path and buffer.
        check(unsafe { libc::stat(self.path.as_ptr(), &mut stat) }.into()).map(drop)
    }

    fn write(&self, size: usize) -> Result<()> {
        let piece = self.content.get(..size).context("too large")?;
        ensure!(self.file.write_at(piece, 0)? == size, "a short write");
        Ok(())
    }

    fn count_all(&self, kind: &str, calls: &Calls<'_>, meter: &Meter) -> Result<()> {
        let label = |what: &str| format!("fs={kind} what={what}");
        let empty = || Ok(self.file.set_len(0)?);
        let mut there = false;
        calls.count_after(
            &label("create"),
            || {
                if there {
                    self.unlink()?;
                }
                there = true;
                Ok(())
            },
            || self.create(),
        )?;
        self.unlink()?;
        calls.count_after(&label("unlink"), || self.create(), || self.unlink())?;
        calls.count(&label("stat"), || self.stat())?;
        calls.count_after(&label("write-4k"), empty, || self.write(SMALL))?;
        calls.count_after(&label("write-1m"), empty, || self.write(BIG))?;
        // And all that this leaves for later.
        let mut values = Vec::new();
        for _ in 0..REPS {
            self.file.set_len(0)?;
            self.file.sync_all()?;
            values.push(meter.measure(|| {
                self.write(SMALL)?;
                Ok(self.file.sync_all()?)
            })?);
        }
        figure(&label("write-4k+fsync"), &values);
        Ok(())
    }
}
