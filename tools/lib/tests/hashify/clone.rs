// SPDX-License-Identifier: GPL-2.0
//! Another tree of a tree, by links.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::io::Errno;
use vserver::attr::UNIFIED;
use vserver::clone::{Report, clone};
use vserver::error::{Error, Result};

use crate::common::Fake;
use crate::{Quiet, Trees};

fn cloned(trees: &Trees, fake: &Fake, to: &str) -> Result<Report> {
    let options = trees.options();
    clone(
        &trees.path("a", ""),
        &trees.path(to, ""),
        &options.excludes,
        fake,
        &Quiet,
    )
}

#[test]
fn files_are_shared_and_what_is_its_own_is_copied() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    fs::set_permissions(trees.path("a", "usr"), fs::Permissions::from_mode(0o2750)).unwrap();
    let report = cloned(&trees, &fake, "new").unwrap();
    assert!(trees.same("a", "new", "usr/bin/tool"), "in the pool");
    assert!(trees.same("a", "new", "usr/only"), "not in the pool");
    assert_eq!(fake.flags(&trees.path("new", "usr/only")), UNIFIED);
    assert!(
        !trees.same("a", "new", "etc/conf"),
        "configuration is its own"
    );
    assert_eq!(
        fs::read(trees.path("new", "etc/conf")).unwrap(),
        b"equal but excluded"
    );
    assert_eq!(
        fs::read_link(trees.path("new", "usr/link"))
            .unwrap()
            .to_str(),
        Some("bin/tool")
    );
    for path in ["usr", "usr/bin", "etc", "usr/empty", "etc/conf", "usr/link"] {
        let look = |tree: &str| {
            let meta = fs::symlink_metadata(trees.path(tree, path)).unwrap();
            (meta.mode(), meta.uid(), meta.mtime(), meta.mtime_nsec())
        };
        assert_eq!(look("a"), look("new"), "{path}");
    }
    assert_eq!(
        (report.linked, report.copied.files, report.others),
        (5, 2, 1)
    );
    // It is hashified.
    let mut options = trees.options();
    options.trees.push(trees.path("new", ""));
    let again = trees.hashify_with(&options, &fake);
    assert_eq!(again.files.shared.files, 0);
}

#[test]
fn hard_links_stay_hard_links() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "d/f", b"content");
    trees.write("a", "e/x", b"");
    fs::hard_link(trees.path("a", "d/f"), trees.path("a", "e/g")).unwrap();
    cloned(&trees, &Fake::new(), "new").unwrap();
    assert_eq!(trees.ino("new", "d/f"), trees.ino("new", "e/g"));
    assert!(!trees.same("a", "new", "d/f"), "they are not shared");
}

#[test]
fn what_cannot_be_shared_is_copied() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "f", b"content");
    cloned(&trees, &Fake::with_hook(|_| Err(Errno::TXTBSY)), "new").unwrap();
    assert!(!trees.same("a", "new", "f"));
    assert_eq!(fs::read(trees.path("new", "f")).unwrap(), b"content");
}

#[test]
fn nothing_is_left_of_a_clone_that_fails() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "d/f", b"content");
    // Left by one that was killed.
    trees.write(".new.cloning", "d/old", b"old");
    let refused = |to: &str| match cloned(&trees, &Fake::new(), to).unwrap_err() {
        Error::Place(message) => message,
        error => panic!("{error}"),
    };
    assert!(refused("a").contains("exists already"));
    assert!(refused("a/d/new").contains("lies in the tree"));
    assert!(refused("missing/new").contains("no such directory"));
    symlink("nowhere", trees.path("", "dangling")).unwrap();
    assert!(refused("dangling").contains("exists already"));
    cloned(&trees, &Fake::new(), "new").unwrap();
    assert!(!trees.path("new", "d/old").exists());
    let names = fs::read_dir(trees.path("", "")).unwrap();
    let mut names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "dangling", "new"]);
}
