// SPDX-License-Identifier: GPL-2.0
//! Trees that change while they are hashified: no file ever gets another's content.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::io::Errno;
use vserver::unify::Reason;

use crate::common::{Fake, Trees, replaced_in_b, with_hook_in_b, written_in_b};
use crate::skipped;

#[test]
fn a_file_open_for_writing_is_left() {
    let trees = Trees::two_equal_files();
    let fake = with_hook_in_b(|_| Err(Errno::TXTBSY));
    let report = trees.hashify(&fake);
    assert!(!trees.same("a", "b", "f"));
    assert_eq!(skipped(&report, Reason::Busy), 1);
    assert_eq!(fake.flags(&trees.path("a", "f")), 0, "protected in vain");
}

#[test]
fn a_leader_that_cannot_lead_is_replaced() {
    let trees = Trees::empty(&["a", "b", "c"]);
    for tree in ["a", "b", "c"] {
        trees.write(tree, "f", b"content");
    }
    let fake = Fake::with_hook(
        |path| match path.parent().is_some_and(|dir| dir.ends_with("a")) {
            true => Err(Errno::TXTBSY),
            false => Ok(()),
        },
    );
    let report = trees.hashify(&fake);
    assert!(trees.same("b", "c", "f") && !trees.same("a", "b", "f"));
    assert_eq!(skipped(&report, Reason::Busy), 1);
}

#[test]
fn a_write_just_before_the_protection_is_seen() {
    let trees = Trees::two_equal_files();
    let fake = written_in_b(b"CONTENT");
    trees.hashify(&fake);
    assert_eq!(fs::read(trees.path("a", "f")).unwrap(), b"content");
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"CONTENT");
    for tree in ["a", "b"] {
        assert_eq!(fake.flags(&trees.path(tree, "f")), 0, "protected in vain");
    }
}

#[test]
fn a_change_of_size_is_seen() {
    let trees = Trees::two_equal_files();
    let fake = written_in_b(b"content and more");
    let report = trees.hashify(&fake);
    assert_eq!(skipped(&report, Reason::Changed), 1);
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"content and more");
}

#[test]
fn a_file_put_in_its_place_is_kept() {
    let trees = Trees::two_equal_files();
    let fake = replaced_in_b(b"newer");
    let report = trees.hashify(&fake);
    assert_eq!(report.files.shared.files, 0);
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"newer");
}

#[test]
fn nothing_is_linked_before_both_stand_still() {
    let trees = Trees::two_equal_files();
    let root = trees.path("", "");
    let fake = Fake::with_hook(move |_| {
        for tree in ["a", "b"] {
            let links = fs::metadata(root.join(tree).join("f")).unwrap().nlink();
            assert_eq!(links, 1, "linked too early");
        }
        Ok(())
    });
    assert_eq!(trees.hashify(&fake).files.shared.files, 1);
}

#[test]
fn a_symlink_where_a_directory_was_leads_nowhere() {
    let trees = Trees::empty(&["a", "b", "outside"]);
    for tree in ["a", "b", "outside"] {
        trees.write(tree, "dir/f", b"content");
        trees.write(tree, "dir/g", b"CONTENT");
    }
    let outside = trees.path("outside", "dir");
    let fake = Fake::with_hook(move |path| {
        let dir = path.parent().unwrap();
        if dir.ends_with("b/dir")
            && !dir.is_symlink()
            && fs::rename(dir, dir.with_extension("x")).is_ok()
        {
            symlink(&outside, dir).unwrap();
        }
        Ok(())
    });
    let before = ["f", "g"].map(|file| trees.ino("outside", &format!("dir/{file}")));
    let mut two = trees.options();
    two.trees.pop();
    trees.hashify_with(&two, &fake);
    let after = ["f", "g"].map(|file| trees.ino("outside", &format!("dir/{file}")));
    assert_eq!(after, before);
}

#[test]
fn a_file_system_without_support_is_named_as_the_reason() {
    let trees = Trees::two_equal_files();
    let report = trees.hashify(&Fake::without_support());
    assert_eq!(report.files.shared.files, 0);
    assert!(skipped(&report, Reason::Unsupported) > 0);
}

#[test]
fn a_full_disk_is_said() {
    let trees = Trees::two_equal_files();
    let report = trees.hashify(&Fake::with_hook(|_| Err(Errno::NOSPC)));
    assert!(report.files.no_space && report.files.failed());
    assert!(
        report.files.errors[0].contains("No space left"),
        "{:?}",
        report.files.errors
    );
    assert!(!trees.same("a", "b", "f"));
    // The next run, with room, does it.
    assert_eq!(trees.hashify(&Fake::new()).files.shared.files, 1);
}
