// SPDX-License-Identifier: GPL-2.0
//! What is shared and what is not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use rustix::fd::AsFd;
use rustix::io::Errno;
use vserver::attr::{Attributes, UNIFIED};
use vserver::exclude::Excludes;
use vserver::unify::{Options, Reason, unify};

use crate::common::{Fake, Quiet, Trees, skipped, what_stays_unprotected_is_named};

#[test]
fn equal_files_become_one() {
    let trees = Trees::example();
    let fake = Fake::new();
    let content = fs::read(trees.path("b", "usr/bin/tool")).unwrap();
    let report = trees.unify(&fake);
    assert_eq!(
        trees.ino("a", "usr/bin/tool"),
        trees.ino("b", "usr/bin/tool")
    );
    assert_eq!(fs::read(trees.path("b", "usr/bin/tool")).unwrap(), content);
    assert_eq!(fake.flags(&trees.path("b", "usr/bin/tool")), UNIFIED);
    assert_eq!(report.shared.files, 1);
    assert!(report.shared.bytes >= 700_000);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

#[test]
fn all_else_is_left_with_a_reason() {
    let trees = Trees::example();
    let fake = Fake::new();
    let report = trees.unify(&fake);
    assert_eq!(skipped(&report, Reason::Content), 2);
    assert_eq!(skipped(&report, Reason::Metadata), 2);
    assert_eq!(skipped(&report, Reason::Empty), 2);
    assert_eq!(skipped(&report, Reason::NotRegular), 2);
    assert_eq!(skipped(&report, Reason::Excluded), 2);
    assert_eq!(skipped(&report, Reason::OneTree), 1);
    for file in ["usr/bin/other", "usr/mode", "usr/empty", "etc/conf"] {
        assert_ne!(trees.ino("a", file), trees.ino("b", file), "{file}");
        for tree in ["a", "b"] {
            assert_eq!(fake.flags(&trees.path(tree, file)), 0, "{tree}/{file}");
        }
    }
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.unify(&fake);
    let report = trees.unify(&fake);
    assert_eq!(report.shared.files, 0);
    assert_eq!(report.already_shared.files, 2);
}

#[test]
fn a_dry_run_changes_nothing() {
    let trees = Trees::example();
    let fake = Fake::with_hook(|path| panic!("{} was touched", path.display()));
    let report = trees.unify_with(
        &Options {
            dry_run: true,
            ..trees.options()
        },
        &fake,
    );
    assert_eq!(report.shared.files, 1);
    assert_ne!(
        trees.ino("a", "usr/bin/tool"),
        trees.ino("b", "usr/bin/tool")
    );
}

#[test]
fn many_trees_fall_into_groups() {
    let trees = Trees::empty(&["a", "b", "c", "d", "e"]);
    for (tree, content) in [
        ("a", "one"),
        ("b", "two"),
        ("c", "one"),
        ("d", "two"),
        ("e", "own"),
    ] {
        trees.write(tree, "f", content.as_bytes());
    }
    let report = trees.unify(&Fake::new());
    assert_eq!(trees.ino("a", "f"), trees.ino("c", "f"));
    assert_eq!(trees.ino("b", "f"), trees.ino("d", "f"));
    assert_ne!(trees.ino("a", "f"), trees.ino("b", "f"));
    assert_eq!(report.shared.files, 2);
    assert_eq!(skipped(&report, Reason::Content), 1);
}

#[test]
fn a_new_tree_joins_those_that_share() {
    let trees = Trees::empty(&["new", "b", "c"]);
    let fake = Fake::new();
    for tree in ["new", "b", "c"] {
        trees.write(tree, "f", b"content");
    }
    let mut two = trees.options();
    two.trees.remove(0);
    trees.unify_with(&two, &fake);
    let shared = trees.ino("b", "f");
    let report = trees.unify(&fake);
    assert_eq!(trees.ino("new", "f"), shared);
    assert_eq!((report.shared.files, report.already_shared.files), (1, 1));
}

#[test]
fn a_guests_own_hard_links_stay_as_they_are() {
    let trees = Trees::empty(&["a", "b"]);
    trees.write("a", "f", b"content");
    trees.write("b", "f", b"content");
    fs::hard_link(trees.path("b", "f"), trees.path("b", "g")).unwrap();
    let report = trees.unify(&Fake::new());
    assert_eq!(trees.ino("b", "f"), trees.ino("b", "g"));
    assert_ne!(trees.ino("a", "f"), trees.ino("b", "f"));
    assert_eq!(skipped(&report, Reason::HardLinked), 2);
}

#[test]
fn what_trees_share_unprotected_is_protected() {
    let trees = Trees::empty(&["a", "b", "c"]);
    trees.linked("a", "f", &[("a", "g"), ("b", "f"), ("b", "h")]);
    trees.linked("a", "both", &[("b", "both")]);
    trees.write("c", "f", b"was shared");
    let fake = Fake::new();
    let dry = Options {
        dry_run: true,
        ..trees.options()
    };
    let counts = |report: &vserver::unify::Report| {
        let (shared, already) = (report.shared.files, report.already_shared.files);
        (report.protected, shared, already)
    };
    assert_eq!(counts(&trees.unify_with(&dry, &fake)), (6, 1, 3));
    assert_eq!(fake.flags(&trees.path("a", "f")), 0);
    let report = trees.unify(&fake);
    assert_eq!(counts(&report), (6, 1, 3));
    assert!(report.unprotected.is_empty() && !report.failed());
    for file in ["f", "both"] {
        assert_eq!(fake.flags(&trees.path("a", file)), UNIFIED, "{file}");
    }
    assert_eq!(trees.ino("c", "f"), trees.ino("a", "f"));
    assert_eq!(counts(&trees.unify(&fake)), (0, 0, 5));
}

#[test]
fn what_is_linked_outside_of_the_trees_is_named() {
    let trees = Trees::empty(&["a", "b", "c", "out"]);
    trees.linked("a", "f", &[("b", "f"), ("out", "f")]);
    trees.linked("a", "own", &[("out", "own")]);
    trees.linked("a", "some", &[("b", "some"), ("out", "some")]);
    trees.write("c", "some", b"was shared");
    let mut three = trees.options();
    three.trees.truncate(3);
    let fake = Fake::new();
    let report = trees.unify_with(&three, &fake);
    let mut named = report.unprotected.clone();
    named.sort();
    let want = [("a", "f"), ("a", "some"), ("b", "f"), ("b", "some")];
    assert_eq!(named, want.map(|(tree, file)| trees.path(tree, file)));
    // c has nobody to share with.
    assert_eq!(skipped(&report, Reason::LinkedOutside), 5);
    assert_eq!(report.protected + report.already_shared.files, 0);
    for file in ["f", "own", "some"] {
        assert_eq!(fake.flags(&trees.path("a", file)), 0, "{file}");
    }
    // Once the fourth is among them it is theirs alone.
    assert_eq!(trees.unify(&fake).protected, 8);
    assert_eq!(trees.ino("c", "some"), trees.ino("out", "some"));
}

#[test]
fn a_name_that_two_trees_have_counts_once() {
    let trees = Trees::empty(&["a", "a/sub", "b", "out"]);
    // Where both have a directory of that name, unify finds the inner tree in the outer one, too.
    fs::create_dir(trees.path("a/sub", "sub")).unwrap();
    trees.linked("a/sub", "f", &[("b", "f"), ("out", "f")]);
    trees.linked("a/sub", "own", &[("a/sub", "other")]);
    let mut three = trees.options();
    three.trees.truncate(3);
    let fake = Fake::new();
    let report = trees.unify_with(&three, &fake);
    let mut named = report.unprotected.clone();
    named.sort();
    let want = [("a", "sub/f"), ("a/sub", "f"), ("b", "f")];
    assert_eq!(named, want.map(|(tree, file)| trees.path(tree, file)));
    assert_eq!(report.protected, 0);
    fs::remove_file(trees.path("out", "f")).unwrap();
    assert_eq!(trees.unify_with(&three, &fake).protected, 3);
    assert_eq!(fake.flags(&trees.path("b", "f")), UNIFIED);
    assert_eq!(fake.flags(&trees.path("a/sub", "own")), 0);
}

#[test]
fn what_several_trees_share_and_cannot_be_protected_is_named() {
    what_stays_unprotected_is_named(Trees::unify);
}

#[test]
fn what_stays_unprotected_counts_once_where_it_could_be_joined() {
    let trees = Trees::empty(&["a", "b", "c"]);
    trees.linked("a", "f", &[("b", "f")]);
    trees.write("c", "f", b"was shared");
    let report = trees.unify(&Fake::with_hook(|_| Err(Errno::IO)));
    // c has nobody to share with.
    assert_eq!(skipped(&report, Reason::Error), 3);
    assert_eq!((report.errors.len(), report.unprotected.len()), (1, 2));
}

#[test]
fn times_can_be_kept() {
    let trees = Trees::empty(&["a", "b"]);
    for tree in ["a", "b"] {
        trees.write(tree, "f", b"content");
    }
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(trees.path("a", "f"))
        .unwrap();
    file.set_modified(old).unwrap();
    let report = trees.unify_with(
        &Options {
            keep_times: true,
            ..trees.options()
        },
        &Fake::new(),
    );
    assert_eq!(skipped(&report, Reason::Times), 2);
    let report = trees.unify(&Fake::new());
    assert_eq!(report.shared.files, 1);
}

#[test]
fn own_patterns_come_first() {
    let trees = Trees::example();
    let mut options = trees.options();
    options.excludes = Default::default();
    options.excludes.add(b"+/etc/conf");
    options.excludes.add(b"~/usr/bin/tool");
    trees.unify_with(&options, &Fake::new());
    assert_eq!(trees.ino("a", "etc/conf"), trees.ino("b", "etc/conf"));
    assert_ne!(
        trees.ino("a", "usr/bin/tool"),
        trees.ino("b", "usr/bin/tool")
    );
}

#[test]
fn symlinks_to_directories_are_not_entered() {
    let trees = Trees::empty(&["a", "b", "outside"]);
    trees.write("outside", "f", b"content");
    trees.write("a", "dir/f", b"content");
    std::os::unix::fs::symlink("../outside", trees.path("b", "dir")).unwrap();
    let mut two = trees.options();
    two.trees.pop();
    trees.unify_with(&two, &Fake::new());
    assert_eq!(fs::metadata(trees.path("outside", "f")).unwrap().nlink(), 1);
}

#[test]
fn one_tree_named_twice_is_a_mistake() {
    let trees = Trees::empty(&["a"]);
    let mut options = trees.options();
    options.trees.push(trees.path("a", "."));
    let error = unify(&options, &Fake::new(), &Quiet).unwrap_err();
    assert!(error.to_string().contains("named twice"), "{error}");
    options.trees.push(trees.path("missing", ""));
    options.trees.swap(1, 2);
    let error = unify(&options, &Fake::new(), &Quiet).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn left_overs_of_a_killed_run_are_removed() {
    let trees = Trees::example();
    let name = "usr/.vserver-unify.00000000.2147483647.0.1.1";
    trees.write("b", name, b"debris");
    let fake = Fake::new();
    fake.set(
        fs::File::open(trees.path("b", name)).unwrap().as_fd(),
        UNIFIED,
        UNIFIED,
    )
    .unwrap();
    assert_eq!(trees.unify(&fake).cleaned, 1);
}

#[test]
fn what_a_killed_run_has_protected_is_ordinary_again() {
    let trees = Trees::empty(&["a", "b"]);
    let fake = Fake::new();
    for tree in ["a", "b"] {
        trees.write(tree, "f", format!("content of {tree}").as_bytes());
        fake.protect(&trees.path(tree, "f"));
    }
    let reference = Options {
        reference: true,
        ..trees.options()
    };
    let report = unify(&reference, &fake, &Quiet).unwrap();
    assert_eq!(report.released, 1);
    let flags = || ["a", "b"].map(|tree| fake.flags(&trees.path(tree, "f")));
    assert_eq!(flags(), [UNIFIED, 0], "the reference stays what it is");
    assert_eq!(trees.unify(&fake).released, 1);
    assert_eq!(flags(), [0, 0]);
}

#[test]
fn what_a_guest_moved_onto_a_left_over_is_kept() {
    let trees = Trees::example();
    let path = trees.path("b", "usr/.vserver-unify.00000000.2147483647.0.1.1");
    fs::write(&path, b"the only copy").unwrap();
    let report = unify(&trees.options(), &Fake::new(), &Quiet).unwrap();
    assert_eq!(report.cleaned, 0);
    assert_eq!(fs::read(&path).unwrap(), b"the only copy");
}

#[test]
fn unreadable_files_do_not_stop_the_rest() {
    let trees = Trees::example();
    for tree in ["a", "b"] {
        trees.write(tree, "usr/secret", b"unreadable");
        let mode = fs::Permissions::from_mode(0o000);
        fs::set_permissions(trees.path(tree, "usr/secret"), mode).unwrap();
    }
    let report = trees.unify(&Fake::new());
    // Root can read it all the same.
    let root = rustix::process::geteuid().is_root();
    assert_eq!(report.shared.files, if root { 2 } else { 1 });
    assert_eq!(report.failed(), !root);
}

#[test]
fn a_reference_stays_what_it_is() {
    let trees = Trees::empty(&["ref", "b", "c"]);
    for tree in ["ref", "b", "c"] {
        trees.write(tree, "usr/all", b"equal in all");
        let content = if tree == "ref" { "of ref" } else { "others" };
        trees.write(tree, "usr/two", content.as_bytes());
    }
    let ino = trees.ino("ref", "usr/all");
    let options = Options {
        reference: true,
        ..trees.options()
    };
    let report = trees.unify_with(&options, &Fake::new());
    assert_eq!(trees.ino("ref", "usr/all"), ino);
    assert_eq!(trees.ino("b", "usr/all"), ino);
    assert_eq!(trees.ino("c", "usr/all"), ino);
    // The others share with it alone.
    assert_ne!(trees.ino("b", "usr/two"), trees.ino("c", "usr/two"));
    assert_eq!(skipped(&report, Reason::Content), 3);
}

#[test]
fn a_tree_may_have_patterns_of_its_own() {
    let trees = Trees::empty(&["a", "b", "c"]);
    for tree in ["a", "b", "c"] {
        trees.write(tree, "d/f", b"content");
        trees.write(tree, "g", b"content");
    }
    let mut options = trees.options();
    for (tree, rule) in [("b", "/d"), ("c", "~/g")] {
        let mut own = Excludes::default();
        own.add(rule.as_bytes());
        let tree = trees.path(tree, "").canonicalize().unwrap();
        options.own_excludes.insert(tree, own);
    }
    let report = trees.unify_with(&options, &Fake::new());
    assert_eq!(trees.ino("a", "d/f"), trees.ino("c", "d/f"));
    assert_eq!(trees.ino("a", "g"), trees.ino("b", "g"));
    assert_ne!(trees.ino("a", "d/f"), trees.ino("b", "d/f"));
    assert_ne!(trees.ino("a", "g"), trees.ino("c", "g"));
    assert_eq!(skipped(&report, Reason::Excluded), 2);
}
