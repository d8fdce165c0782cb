// SPDX-License-Identifier: GPL-2.0
//! What is shared and what is not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use vserver::attr::UNIFIED;
use vserver::exclude::Excludes;
use vserver::hashify::Options;
use vserver::unify::Reason;

use crate::common::{Fake, what_stays_unprotected_is_named};
use crate::{TREES, Trees, skipped};

#[test]
fn equal_files_become_one_whatever_they_are_called() {
    let trees = Trees::example();
    let fake = Fake::new();
    let content = fs::read(trees.path("b", "usr/bin/tool")).unwrap();
    let report = trees.hashify(&fake);
    for tree in TREES {
        assert!(trees.same("a", tree, "usr/bin/tool"));
        assert_eq!(fs::read(trees.path(tree, "usr/bin/tool")).unwrap(), content);
        assert_eq!(
            trees.ino(tree, &format!("usr/share/{tree}")),
            trees.ino("a", "usr/share/a")
        );
        assert_eq!(fake.flags(&trees.path(tree, "usr/bin/tool")), UNIFIED);
    }
    assert_eq!(report.files.shared.files, 4);
    assert!(report.files.shared.bytes >= 1_400_000);
    assert!(report.files.errors.is_empty(), "{:?}", report.files.errors);
    let pool = trees.pool();
    assert_eq!(pool.len(), 2);
    assert!(
        pool.iter()
            .all(|entry| fs::metadata(entry).unwrap().nlink() == 4)
    );
}

#[test]
fn all_else_is_left_with_a_reason() {
    let trees = Trees::example();
    let fake = Fake::new();
    let report = trees.hashify(&fake);
    // Of one size: "other" in three trees, "mode differs" in three, "alone" in one.
    assert_eq!(skipped(&report, Reason::Unique), 7);
    assert_eq!(skipped(&report, Reason::Empty), 3);
    assert_eq!(skipped(&report, Reason::NotRegular), 3);
    assert_eq!(skipped(&report, Reason::Excluded), 3);
    for file in ["usr/other", "usr/mode", "usr/empty", "etc/conf"] {
        for tree in TREES {
            assert_eq!(trees.ino(tree, file), trees.ino(tree, file));
            assert!(tree == "a" || !trees.same("a", tree, file), "{file}");
            assert_eq!(fake.flags(&trees.path(tree, file)), 0, "{tree}/{file}");
        }
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let trees = Trees::example();
    let fake = Fake::with_hook(|path| panic!("{} was touched", path.display()));
    let options = Options {
        dry_run: true,
        ..trees.options()
    };
    let report = trees.hashify_with(&options, &fake);
    assert_eq!(report.files.shared.files, 4);
    assert!(!trees.path("", ".hash").exists());
    assert!(!trees.same("a", "b", "usr/bin/tool"));
}

#[test]
fn equal_files_of_one_tree_share_too() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "one", b"content");
    trees.write("a", "two", b"content");
    let report = trees.hashify(&Fake::new());
    assert_eq!(report.files.shared.files, 1);
    assert_eq!(trees.ino("a", "one"), trees.ino("a", "two"));
}

#[test]
fn hard_links_stay_as_they_are() {
    let trees = Trees::empty(&["a", "b"]);
    for tree in ["a", "b"] {
        trees.write(tree, "f", b"content");
        fs::hard_link(trees.path(tree, "f"), trees.path(tree, "g")).unwrap();
    }
    let fake = Fake::new();
    let report = trees.hashify(&fake);
    assert_eq!(skipped(&report, Reason::HardLinked), 4);
    assert_eq!(trees.ino("a", "f"), trees.ino("a", "g"));
    assert!(!trees.same("a", "b", "f"));
    assert_eq!(fake.flags(&trees.path("a", "f")), 0);
}

#[test]
fn what_trees_share_unprotected_is_protected() {
    let trees = Trees::empty(&["a", "b"]);
    trees.linked("a", "f", &[("a", "g"), ("b", "f")]);
    let fake = Fake::new();
    let dry = Options {
        dry_run: true,
        ..trees.options()
    };
    assert_eq!(trees.hashify_with(&dry, &fake).files.protected, 3);
    assert_eq!(fake.flags(&trees.path("a", "f")), 0);
    let report = trees.hashify(&fake);
    assert_eq!(
        (report.files.protected, report.files.already_shared.files),
        (3, 3)
    );
    assert_eq!(fake.flags(&trees.path("a", "f")), UNIFIED);
    assert_eq!(trees.pool().len(), 1);
    assert!(trees.same("a", "b", "f"));
    let again = trees.hashify(&fake).files;
    assert_eq!((again.protected, again.already_shared.files), (0, 3));
}

#[test]
fn what_is_linked_outside_of_the_trees_is_named() {
    let trees = Trees::empty(&["a", "b", "out"]);
    trees.linked("a", "f", &[("b", "f"), ("out", "f")]);
    trees.linked("a", "own", &[("out", "own")]);
    let mut some = trees.options();
    some.trees.truncate(2);
    let fake = Fake::new();
    let report = trees.hashify_with(&some, &fake);
    let mut named = report.files.unprotected.clone();
    named.sort();
    let want = [("a", "f"), ("a", "own"), ("b", "f")];
    assert_eq!(named, want.map(|(tree, file)| trees.path(tree, file)));
    assert_eq!(skipped(&report, Reason::LinkedOutside), 3);
    assert_eq!(report.files.protected, 0);
    assert_eq!(fake.flags(&trees.path("a", "f")), 0);
    // Once the third is among them it is theirs alone; all are equal by then.
    assert_eq!(trees.hashify(&fake).files.protected, 5);
    assert!(trees.same("a", "out", "own"));
    assert_eq!(fake.flags(&trees.path("a", "f")), UNIFIED);
}

#[test]
fn a_name_that_two_trees_have_counts_once() {
    let trees = Trees::empty(&["a", "a/sub", "out"]);
    trees.linked("a/sub", "f", &[("out", "f")]);
    trees.linked("a/sub", "own", &[("a/sub", "other")]);
    let mut nested = trees.options();
    nested.trees.truncate(2);
    let fake = Fake::new();
    let report = trees.hashify_with(&nested, &fake);
    assert_eq!(skipped(&report, Reason::LinkedOutside), 2);
    assert_eq!(report.files.protected, 0);
    // The third has another name.
    assert_eq!(trees.hashify(&fake).files.protected, 3);
    assert_eq!(fake.flags(&trees.path("out", "f")), UNIFIED);
    assert_eq!(fake.flags(&trees.path("a/sub", "own")), 0);
}

#[test]
fn a_pool_that_has_lost_its_protection_gets_it_again() {
    let trees = Trees::example();
    trees.hashify(&Fake::new());
    let restored = Fake::new();
    let report = trees.hashify(&restored);
    assert!(report.files.protected > 0);
    assert!(report.files.unprotected.is_empty());
    for entry in trees.pool() {
        assert_eq!(restored.flags(&entry), UNIFIED);
    }
    assert_eq!(trees.hashify(&restored).files.protected, 0);
}

#[test]
fn what_several_trees_share_and_cannot_be_protected_is_named() {
    what_stays_unprotected_is_named(|trees, fake| trees.hashify(fake).files);
}

#[test]
fn files_that_differ_late_are_told_apart() {
    let trees = Trees::empty(&TREES);
    let mut content = vec![7u8; 400_000];
    for (nth, tree) in TREES.iter().enumerate() {
        // "x" ends alike in a and b, "y" differs in all, "z" is equal.
        content[399_999] = u8::from(nth == 2);
        trees.write(tree, "x", &content);
        content[399_999] = 10 + nth as u8;
        trees.write(tree, "y", &content);
        content[399_999] = 0;
        trees.write(tree, "z", &content);
    }
    let fake = Fake::new();
    let report = trees.hashify(&fake);
    assert_eq!(report.files.shared.files, 4, "x and z of a and b, z of c");
    assert_eq!(trees.ino("a", "x"), trees.ino("c", "z"));
    assert_eq!(skipped(&report, Reason::Content), 4);
    for tree in TREES {
        assert_eq!(fake.flags(&trees.path(tree, "y")), 0, "protected in vain");
    }
}

#[test]
fn files_of_one_name_and_age_are_compared() {
    let trees = Trees::empty(&["a", "b"]);
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 42);
    for (tree, content) in [("a", b"content"), ("b", b"CONTENT")] {
        trees.write(tree, "f", content);
        let file = fs::File::open(trees.path(tree, "f")).unwrap();
        file.set_modified(time).unwrap();
    }
    let fake = Fake::new();
    let report = trees.hashify(&fake);
    assert_eq!(report.files.shared.files, 0);
    assert_eq!(fs::read(trees.path("a", "f")).unwrap(), b"content");
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"CONTENT");
    for tree in ["a", "b"] {
        assert_eq!(fake.flags(&trees.path(tree, "f")), 0, "still protected");
    }
}

#[test]
fn holes_do_not_keep_files_apart() {
    let trees = Trees::empty(&["a", "b"]);
    let size = 3 << 20;
    let holes = fs::File::create(trees.path("a", "f")).unwrap();
    holes.set_len(size).unwrap();
    holes.write_all_at(b"end", size - 3).unwrap();
    let mut content = vec![0; size as usize - 3];
    content.extend_from_slice(b"end");
    trees.write("b", "f", &content);
    let report = trees.hashify(&Fake::new());
    assert_eq!(report.files.shared.files, 1);
    assert_eq!(fs::read(trees.path("a", "f")).unwrap(), content);
}

#[test]
fn names_need_not_be_text() {
    let trees = Trees::empty(&["a", "b"]);
    for tree in ["a", "b"] {
        let dir = trees.path(tree, "").join(OsStr::from_bytes(b"d\xff\n"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(OsStr::from_bytes(b"\xfe*?")), "content").unwrap();
    }
    let report = trees.hashify(&Fake::new());
    assert_eq!(report.files.shared.files, 1);
    assert!(report.files.errors.is_empty(), "{:?}", report.files.errors);
}

#[test]
fn paths_may_be_longer_than_a_call_can_take() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let trees = Trees::empty(&["a", "b"]);
    let (step, flags) = ("d".repeat(200), OFlags::RDONLY | OFlags::DIRECTORY);
    for tree in ["a", "b"] {
        let mut dir = openat(CWD, trees.path(tree, ""), flags, Mode::empty()).unwrap();
        for _ in 0..25 {
            mkdirat(&dir, &step, Mode::RWXU).unwrap();
            dir = openat(&dir, &step, flags, Mode::empty()).unwrap();
        }
        let make = OFlags::WRONLY | OFlags::CREATE;
        let file = openat(&dir, "f", make, Mode::RUSR).unwrap();
        rustix::io::write(file, b"content").unwrap();
    }
    let fake = Fake::new();
    let mut options = trees.options();
    // What only this test's attributes can't do is to link by such a path.
    options.dry_run = true;
    let report = vserver::hashify::hashify(&options, &fake, &crate::Quiet).unwrap();
    assert_eq!(report.files.shared.files, 1);
    assert!(report.files.errors.is_empty(), "{:?}", report.files.errors);
}

#[test]
fn extended_attributes_count() {
    use rustix::fs::{XattrFlags, setxattr};
    let trees = Trees::empty(&TREES);
    for tree in TREES {
        trees.write(tree, "f", b"content");
        let value = if tree == "c" { "other" } else { "same" };
        let path = trees.path(tree, "f");
        if setxattr(&path, "user.test", value.as_bytes(), XattrFlags::empty()).is_err() {
            return; // Not every file system has them.
        }
    }
    let report = trees.hashify(&Fake::new());
    assert!(trees.same("a", "b", "f") && !trees.same("a", "c", "f"));
    assert_eq!(report.files.shared.files, 1);
}

#[test]
fn a_full_inode_is_succeeded_by_another() {
    let trees = Trees::empty(&["a", "b", "c", "d", "e"]);
    for tree in ["a", "b", "c", "d", "e"] {
        trees.write(tree, "f", b"content");
    }
    // Two names and the pool's.
    let report = trees.hashify(&Fake::with_most_links(3));
    assert!(report.files.errors.is_empty(), "{:?}", report.files.errors);
    let mut inodes: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|tree| trees.ino(tree, "f"))
        .into();
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes.len(), 3);
    assert_eq!(trees.pool().len(), 1);
}

#[test]
fn a_tree_may_have_patterns_of_its_own() {
    let trees = Trees::example();
    let mut own = Excludes::default();
    own.add(b"/usr/bin");
    let mut options = trees.options();
    let tree = trees.path("b", "").canonicalize().unwrap();
    options.own_excludes.insert(tree, own);
    let report = trees.hashify_with(&options, &Fake::new());
    assert!(trees.same("a", "c", "usr/bin/tool") && !trees.same("a", "b", "usr/bin/tool"));
    assert_eq!(trees.ino("a", "usr/share/a"), trees.ino("b", "usr/share/b"));
    // Its /etc is not excluded, but that of the others is.
    assert_eq!(skipped(&report, Reason::Excluded), 3);
}
