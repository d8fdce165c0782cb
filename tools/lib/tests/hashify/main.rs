// SPDX-License-Identifier: GPL-2.0
//! Hashifying trees of temporary directories, with attributes that only this test knows: no root and
//! no module needed.
//!
//! ```text
//! .hash/                    the pool, made by the first run
//! a/, b/ and c/             trees
//! ├── usr/bin/tool          equal in all, more than a chunk long
//! ├── usr/share/NAME        equal in all, called otherwise in each
//! ├── usr/other             same size, content differs
//! ├── usr/mode              mode differs
//! ├── usr/only              in a alone
//! ├── usr/empty             empty
//! ├── usr/link -> bin/tool  a symlink
//! └── etc/conf              equal, excluded by default
//! ```

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

mod clone;
#[path = "../common/mod.rs"]
mod common;
mod pool;
mod races;
mod runs;
mod shared;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use vserver::exclude::Excludes;
use vserver::hashify::{Options, Report, hashify};
use vserver::unify::Reason;

use common::{Fake, Quiet, Trees};

const TREES: [&str; 3] = ["a", "b", "c"];

impl Trees {
    /// The trees drawn above.
    fn example() -> Self {
        let trees = Self::empty(&TREES);
        let tool: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
        for tree in TREES {
            trees.write(tree, "usr/bin/tool", &tool);
            trees.write(tree, &format!("usr/share/{tree}"), b"called otherwise");
            trees.write(tree, "usr/other", format!("differs {tree}").as_bytes());
            trees.write(tree, "usr/mode", b"mode differs");
            trees.write(tree, "usr/empty", b"");
            trees.write(tree, "etc/conf", b"equal but excluded");
            symlink("bin/tool", trees.path(tree, "usr/link")).unwrap();
        }
        trees.write("a", "usr/only", b"alone");
        for (tree, mode) in [("b", 0o755), ("c", 0o700)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(trees.path(tree, "usr/mode"), mode).unwrap();
        }
        trees
    }

    /// Whether the file is the same one in both trees.
    fn same(&self, one: &str, other: &str, file: &str) -> bool {
        self.ino(one, file) == self.ino(other, file)
    }

    fn options(&self) -> Options {
        let mut excludes = Excludes::default();
        excludes.add_defaults();
        Options {
            trees: self.trees(),
            pool: Some(self.dir.path().join(".hash")),
            excludes,
            ..Options::default()
        }
    }

    fn hashify(&self, attributes: &Fake) -> Report {
        self.hashify_with(&self.options(), attributes)
    }

    fn hashify_with(&self, options: &Options, attributes: &Fake) -> Report {
        let report = hashify(options, attributes, &Quiet).unwrap();
        self.check_no_debris();
        report
    }

    /// The files in the pool.
    fn pool(&self) -> Vec<PathBuf> {
        let pool = walkdir::WalkDir::new(self.dir.path().join(".hash")).sort_by_file_name();
        let entries = pool.into_iter().filter_map(Result::ok);
        entries
            .filter(|e| e.file_type().is_file() && e.file_name().len() == 62)
            .map(walkdir::DirEntry::into_path)
            .collect()
    }
}

/// How many files were skipped for a reason.
fn skipped(report: &Report, reason: Reason) -> u64 {
    common::skipped(&report.files, reason)
}
