// SPDX-License-Identifier: GPL-2.0
//! Unifying trees of temporary directories, with attributes that only this test knows: no
//! root and no module needed.
//!
//! ```text
//! a/ and b/                 two trees
//! ├── usr/bin/tool          equal, more than a chunk long
//! ├── usr/bin/other         same size, content differs
//! ├── usr/only              in a alone
//! ├── usr/mode              mode differs
//! ├── usr/empty             empty
//! ├── usr/link -> bin/tool  a symlink
//! └── etc/conf              equal, excluded by default
//! ```

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

mod fake;
mod races;
mod shared;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vserver::exclude::Excludes;
use vserver::unify::{Options, Progress, Reason, Report, unify};

use fake::Fake;

/// Nobody watches.
struct Quiet;

impl Progress for Quiet {
    fn scanned(&self, _: u64) {}
    fn planned(&self, _: u64) {}
    fn done(&self, _: u64) {}
    fn skipped(&self, _: &Path, _: Reason) {}
    fn failed(&self, _: &str) {}
}

/// Trees below one temporary directory.
struct Trees {
    dir: TempDir,
    names: Vec<&'static str>,
}

impl Trees {
    /// The trees drawn above.
    fn example() -> Self {
        let trees = Self::empty(&["a", "b"]);
        let tool: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
        for tree in ["a", "b"] {
            trees.write(tree, "usr/bin/tool", &tool);
            trees.write(tree, "usr/bin/other", format!("differs {tree}").as_bytes());
            trees.write(tree, "usr/mode", b"mode differs");
            trees.write(tree, "usr/empty", b"");
            trees.write(tree, "etc/conf", b"equal but excluded");
            symlink("bin/tool", trees.path(tree, "usr/link")).unwrap();
        }
        trees.write("a", "usr/only", b"alone");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(trees.path("b", "usr/mode"), mode).unwrap();
        trees
    }

    fn empty(names: &[&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self {
            dir,
            names: names.to_vec(),
        }
    }

    fn path(&self, tree: &str, file: &str) -> PathBuf {
        self.dir.path().join(tree).join(file)
    }

    fn write(&self, tree: &str, file: &str, content: &[u8]) {
        let path = self.path(tree, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn ino(&self, tree: &str, file: &str) -> u64 {
        fs::symlink_metadata(self.path(tree, file)).unwrap().ino()
    }

    fn options(&self) -> Options {
        let mut excludes = Excludes::default();
        excludes.add_defaults();
        Options {
            trees: self
                .names
                .iter()
                .map(|name| self.dir.path().join(name))
                .collect(),
            excludes,
            ..Options::default()
        }
    }

    fn unify(&self, attributes: &Fake) -> Report {
        self.unify_with(&self.options(), attributes)
    }

    fn unify_with(&self, options: &Options, attributes: &Fake) -> Report {
        let report = unify(options, attributes, &Quiet).unwrap();
        self.check_no_debris();
        report
    }

    fn check_no_debris(&self) {
        for entry in walkdir::WalkDir::new(self.dir.path()) {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(".vserver"), "{name} was left behind");
        }
    }
}

/// How many files were skipped for a reason.
fn skipped(report: &Report, reason: Reason) -> u64 {
    report.skipped.get(&reason).map_or(0, |amount| amount.files)
}
