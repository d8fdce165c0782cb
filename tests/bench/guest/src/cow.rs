// SPDX-License-Identifier: GPL-2.0
//! The first modification of a unified file, against a copy-up of overlayfs and against FICLONE on
//! the same file system.
//!
//! Every repetition measures all of them once, one after the other, so that none has the quieter
//! moment. Before each, all is on disk, and the name has just been looked up. What is copied is in
//! the page cache: that is where a file that many share is.

use crate::meter::Meter;
use crate::overlay::Overlay;
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags, Timespec, Timestamps};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use vserver_abi::{self as abi, CtxFiattr};

const SIZES: &[u64] = &[4 << 10, 64 << 10, 1 << 20, 100 << 20];
const HUGE: u64 = 1 << 30;
/// How often an open and read is done for one value.
const READS: u64 = 200;

/// Measures on the file system mounted at /mnt/`kind`.
pub fn run(report: &mut Report, kind: &str) {
    for &size in SIZES {
        for op in [Op::Write, Op::Chmod] {
            let name = format!("{kind} {} {size}", op.name());
            report.group(&name, || Place::new(kind, size)?.first(op));
        }
    }
    let name = format!("{kind} read");
    report.group(&name, || Place::new(kind, 4 << 10)?.read());
    if can_clone(kind) {
        let name = format!("{kind} clone {HUGE}");
        report.group(&name, || Place::new(kind, HUGE)?.clone_all());
    }
}

fn can_clone(kind: &str) -> bool {
    matches!(kind, "xfs" | "btrfs")
}

/// Whether a name may be on the disk before what was cloned to its file.
fn names_come_first(kind: &str) -> bool {
    kind == "btrfs"
}

/// What is done to a file.
#[derive(Clone, Copy)]
enum Op {
    Write,
    Chmod,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Chmod => "chmod",
        }
    }

    fn run(self, path: &Path) -> Result<()> {
        match self {
            Self::Write => write_byte(path),
            Self::Chmod => Ok(rfs::chmod(path, Mode::from_raw_mode(0o600))?),
        }
    }
}

fn write_byte(path: &Path) -> Result<()> {
    let file = rfs::open(path, OFlags::WRONLY, Mode::empty())?;
    rustix::io::pwrite(&file, b"x", 0)?;
    Ok(())
}

/// A unified file and an ordinary one, equal and both with a second name elsewhere.
struct Place {
    meter: Meter,
    kind: String,
    dir: PathBuf,
    size: u64,
}

impl Place {
    fn new(kind: &str, size: u64) -> Result<Self> {
        let dir = Path::new("/mnt").join(kind).join(size.to_string());
        let place = Self {
            meter: Meter::new()?,
            kind: kind.to_owned(),
            dir,
            size,
        };
        if !place.dir.exists() {
            place.fill().context("making the files")?;
        }
        place.warm()?;
        Ok(place)
    }

    fn unified(&self) -> PathBuf {
        self.dir.join("unified")
    }

    fn lower(&self) -> PathBuf {
        self.dir.join("lower")
    }

    fn plain(&self) -> PathBuf {
        self.lower().join("file")
    }

    /// A name of the file elsewhere, as a guest's would be.
    fn name(&self) -> PathBuf {
        self.dir.join("guest/name")
    }

    fn fill(&self) -> Result<()> {
        fs::create_dir_all(self.lower())?;
        fs::create_dir(self.dir.join("guest"))?;
        for path in [self.unified(), self.plain()] {
            let mut block = vec![0; usize::try_from(self.size.min(1 << 20))?];
            for (i, byte) in block.iter_mut().enumerate() {
                *byte = (i % 251) as u8 + 1;
            }
            let mut file = File::create(&path)?;
            for _ in 0..self.size / block.len() as u64 {
                file.write_all(&block)?;
            }
            file.sync_all()?;
        }
        fs::write(self.lower().join("another"), b"another")?;
        let flags = abi::IATTR_IUNLINK | abi::IATTR_IMMUTABLE;
        let attr = CtxFiattr {
            xid: 0,
            flags,
            mask: flags,
        };
        abi::set_iattr(self.unified(), attr).context("set_iattr")
    }

    /// All but the huge ones into the page cache.
    fn warm(&self) -> Result<()> {
        if self.size < HUGE {
            for path in [self.unified(), self.plain()] {
                let mut block = vec![0; 1 << 20];
                let mut file = File::open(path)?;
                while file.read(&mut block)? > 0 {}
            }
        }
        Ok(())
    }

    fn reps(&self) -> usize {
        if self.size < 100 << 20 { 15 } else { 7 }
    }

    fn settle(&self) -> Result<()> {
        Ok(rfs::syncfs(&File::open(&self.dir)?)?)
    }

    /// Measures `f` on a second name of `source`, which has a file of its own then.
    fn on_name(&self, source: &Path, f: impl FnOnce(&Path) -> Result<()>) -> Result<u64> {
        let name = self.name();
        fs::hard_link(source, &name)?;
        self.settle()?;
        fs::symlink_metadata(&name)?;
        let cost = self.meter.measure(|| f(&name))?;
        self.check(&name, source)?;
        fs::remove_file(&name)?;
        Ok(cost)
    }

    /// `copy` is a file of its own with the size and the end of `source`.
    fn check(&self, copy: &Path, source: &Path) -> Result<()> {
        let (copied, original) = (File::open(copy)?, File::open(source)?);
        let (a, b) = (copied.metadata()?, original.metadata()?);
        ensure!(a.ino() != b.ino(), "{} is not a copy", copy.display());
        ensure!(a.len() == self.size, "the copy has {} bytes", a.len());
        let (mut x, mut y) = ([0; 1024], [0; 1024]);
        copied.read_exact_at(&mut x, self.size - 1024)?;
        original.read_exact_at(&mut y, self.size - 1024)?;
        ensure!(x == y, "the copy has other content");
        Ok(())
    }

    fn overlay(&self, op: Op, options: &str) -> Result<u64> {
        let overlay = Overlay::mount(&self.lower(), &self.dir, options)?;
        let path = overlay.path("file");
        // The first one in a directory has more to do.
        write_byte(&overlay.path("another"))?;
        self.settle()?;
        fs::symlink_metadata(&path)?;
        let cost = self.meter.measure(|| op.run(&path))?;
        self.check(&overlay.upper("file"), &self.plain())?;
        Ok(cost)
    }

    /// What a program would do with FICLONE to give `name` a file of its own.
    fn clone_to(&self, name: &Path) -> Result<()> {
        let temp = self.dir.join("guest/temp");
        let from = File::open(name)?;
        let meta = from.metadata()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let to = rfs::open(&temp, flags, Mode::from_raw_mode(0o600))?;
        rfs::ioctl_ficlone(&to, &from)?;
        let (uid, gid) = (
            rfs::Uid::from_raw(meta.uid()),
            rfs::Gid::from_raw(meta.gid()),
        );
        rfs::fchown(&to, Some(uid), Some(gid))?;
        rfs::fchmod(&to, Mode::from_raw_mode(meta.mode()))?;
        rfs::futimens(&to, &times(&meta))?;
        if names_come_first(&self.kind) {
            // Or a crash may leave the name with an empty file; a break does so too.
            rfs::fsync(&to)?;
        }
        Ok(rfs::rename(&temp, name)?)
    }

    /// The ioctl alone, into a new file.
    fn clone_alone(&self) -> Result<u64> {
        let temp = self.dir.join("guest/temp");
        let (from, to) = (File::open(self.plain())?, File::create_new(&temp)?);
        self.settle()?;
        let cost = self.meter.measure(|| Ok(rfs::ioctl_ficlone(&to, &from)?))?;
        self.check(&temp, &self.plain())?;
        fs::remove_file(&temp)?;
        Ok(cost)
    }

    fn print(&self, what: &str, who: &str, values: &[u64]) {
        let Self { kind, size, .. } = self;
        figure(
            &format!("fs={kind} what={what} size={size} who={who}"),
            values,
        );
    }

    /// The first modification of a file.
    fn first(&self, op: Op) -> Result<()> {
        let (mut ours, mut overlay, mut clone) = (vec![], vec![], vec![]);
        let (mut strict, mut volatile) = (vec![], vec![]);
        for _ in 0..self.reps() {
            ours.push(self.on_name(&self.unified(), |name| op.run(name))?);
            overlay.push(self.overlay(op, "")?);
            if names_come_first(&self.kind) {
                strict.push(self.overlay(op, ",fsync=strict")?);
            }
            if can_clone(&self.kind) {
                clone.push(self.on_name(&self.plain(), |name| {
                    self.clone_to(name)?;
                    op.run(name)
                })?);
            } else {
                volatile.push(self.overlay(op, ",volatile")?);
            }
        }
        self.print(op.name(), "ours", &ours);
        self.print(op.name(), "overlayfs", &overlay);
        if names_come_first(&self.kind) {
            self.print(op.name(), "strict", &strict);
        }
        if can_clone(&self.kind) {
            self.print(op.name(), "ficlone", &clone);
        } else {
            self.print(op.name(), "volatile", &volatile);
        }
        Ok(())
    }

    /// Breaking the link to a large file, with nothing written to the copy.
    fn clone_all(&self) -> Result<()> {
        let (mut ours, mut alone, mut renamed) = (vec![], vec![], vec![]);
        for _ in 0..self.reps() {
            ours.push(self.on_name(&self.unified(), |name| {
                rfs::open(name, OFlags::WRONLY, Mode::empty())?;
                Ok(())
            })?);
            alone.push(self.clone_alone()?);
            renamed.push(self.on_name(&self.plain(), |name| self.clone_to(name))?);
        }
        self.print("clone", "ours", &ours);
        self.print("clone", "ficlone-alone", &alone);
        self.print("clone", "ficlone", &renamed);
        Ok(())
    }

    /// Opening, reading and closing a file that nobody modifies.
    fn read(&self) -> Result<()> {
        let unified = self.name();
        fs::hard_link(self.unified(), &unified)?;
        let overlay = Overlay::mount(&self.lower(), &self.dir, "")?;
        let (seen, plain) = (overlay.path("file"), self.plain());
        let (mut ours, mut theirs, mut without) = (vec![], vec![], vec![]);
        self.settle()?;
        for _ in 0..self.reps() {
            for (values, path) in [
                (&mut ours, &unified),
                (&mut theirs, &seen),
                (&mut without, &plain),
            ] {
                let cost = self
                    .meter
                    .measure(|| (0..READS).try_for_each(|_| read_file(path)))?;
                values.push(cost / READS);
            }
        }
        self.print("read", "ours", &ours);
        self.print("read", "overlayfs", &theirs);
        self.print("read", "plain", &without);
        fs::remove_file(&unified)?;
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<()> {
    let file = rfs::open(path, OFlags::RDONLY, Mode::empty())?;
    let mut block = [0; 4096];
    ensure!(rustix::io::read(&file, &mut block)? == block.len());
    Ok(())
}

fn times(meta: &fs::Metadata) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: meta.atime(),
            tv_nsec: meta.atime_nsec(),
        },
        last_modification: Timespec {
            tv_sec: meta.mtime(),
            tv_nsec: meta.mtime_nsec(),
        },
    }
}
