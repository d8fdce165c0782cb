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

#[path = "../common/mod.rs"]
mod common;
mod races;
mod shared;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use vserver::exclude::Excludes;
use vserver::unify::{Options, Report, unify};

use common::{Fake, Quiet, Trees};

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

    fn options(&self) -> Options {
        let mut excludes = Excludes::default();
        excludes.add_defaults();
        Options {
            trees: self.trees(),
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
}
