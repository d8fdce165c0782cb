// SPDX-License-Identifier: GPL-2.0
//! What the tests of programs that let trees share files have in common.

mod fake;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::TempDir;
use vserver::unify::{Progress, Reason, Report};

pub use fake::Fake;

/// Nobody watches.
pub struct Quiet;

impl Progress for Quiet {
    fn scanned(&self, _: u64) {}
    fn planned(&self, _: u64) {}
    fn done(&self, _: u64) {}
    fn skipped(&self, _: &Path, _: Reason) {}
    fn failed(&self, _: &str) {}
}

/// Trees below one temporary directory.
pub struct Trees {
    pub dir: TempDir,
    names: Vec<&'static str>,
}

impl Trees {
    pub fn empty(names: &[&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self {
            dir,
            names: names.to_vec(),
        }
    }

    /// Trees a and b with the file f, equal in both.
    pub fn two_equal_files() -> Self {
        let trees = Self::empty(&["a", "b"]);
        for tree in ["a", "b"] {
            trees.write(tree, "f", b"content");
        }
        trees
    }

    pub fn path(&self, tree: &str, file: &str) -> PathBuf {
        self.dir.path().join(tree).join(file)
    }

    pub fn write(&self, tree: &str, file: &str, content: &[u8]) {
        let path = self.path(tree, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A file with further names, as a restore leaves it that keeps the hard links of all trees.
    pub fn linked(&self, tree: &str, file: &str, others: &[(&str, &str)]) {
        self.write(tree, file, b"was shared");
        for (other, name) in others {
            fs::hard_link(self.path(tree, file), self.path(other, name)).unwrap();
        }
    }

    pub fn ino(&self, tree: &str, file: &str) -> u64 {
        fs::symlink_metadata(self.path(tree, file)).unwrap().ino()
    }

    pub fn trees(&self) -> Vec<PathBuf> {
        self.names
            .iter()
            .map(|name| self.dir.path().join(name))
            .collect()
    }

    pub fn check_no_debris(&self) {
        for entry in walkdir::WalkDir::new(self.dir.path()) {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(".vserver"), "{name} was left behind");
        }
    }
}

/// How many files were skipped for a reason.
pub fn skipped(report: &Report, reason: Reason) -> u64 {
    report.skipped.get(&reason).map_or(0, |amount| amount.files)
}

/// `run` leaves and names a file that trees share and that can't be protected.
pub fn what_stays_unprotected_is_named(run: impl Fn(&Trees, &Fake) -> Report) {
    let trees = Trees::empty(&["a", "b"]);
    trees.linked("a", "f", &[("b", "f")]);
    let refuses = |errno| Fake::with_hook(move |_| Err(errno));
    for (fake, reason) in [
        (refuses(Errno::TXTBSY), Reason::Busy),
        (refuses(Errno::OPNOTSUPP), Reason::Unsupported),
        (refuses(Errno::NOTTY), Reason::Unsupported),
        (Fake::without_support(), Reason::Unsupported),
        (refuses(Errno::IO), Reason::Error),
    ] {
        let report = run(&trees, &fake);
        let left: u64 = report.skipped.values().map(|amount| amount.files).sum();
        assert_eq!((skipped(&report, reason), left), (2, 2), "{reason}");
        assert_eq!(report.unprotected.len(), 2, "{reason}");
        assert_eq!(report.already_shared.files, 0, "{reason}");
        let errors = usize::from(reason == Reason::Error);
        assert_eq!(report.errors.len(), errors, "{:?}", report.errors);
    }
}

pub fn in_tree_b(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("b"))
}

/// Something happens when a file right in tree b is to be protected.
pub fn with_hook_in_b(hook: impl Fn(&Path) -> Result<(), Errno> + Send + Sync + 'static) -> Fake {
    Fake::with_hook(move |path| match in_tree_b(path) {
        true => hook(path),
        false => Ok(()),
    })
}

/// It is written to.
pub fn written_in_b(content: &'static [u8]) -> Fake {
    with_hook_in_b(move |path| {
        fs::write(path, content).unwrap();
        Ok(())
    })
}

/// Another file takes its name.
pub fn replaced_in_b(content: &'static [u8]) -> Fake {
    with_hook_in_b(move |path| {
        fs::write(path.with_extension("new"), content).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        Ok(())
    })
}
