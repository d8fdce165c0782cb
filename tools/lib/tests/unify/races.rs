// SPDX-License-Identifier: GPL-2.0
//! Trees that change while they are unified: no file ever gets another's content.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::io::Errno;
use vserver::unify::Reason;

use crate::common::{Fake, Trees, in_tree_b, replaced_in_b, skipped, with_hook_in_b, written_in_b};

#[test]
fn a_file_open_for_writing_is_left() {
    let trees = Trees::two_equal_files();
    let fake = with_hook_in_b(|_| Err(Errno::TXTBSY));
    let report = trees.unify(&fake);
    assert_eq!(skipped(&report, Reason::Busy), 2);
    assert_ne!(trees.ino("a", "f"), trees.ino("b", "f"));
    assert_eq!(fake.flags(&trees.path("a", "f")), 0, "protected in vain");
}

#[test]
fn a_write_just_before_the_protection_is_seen() {
    let trees = Trees::two_equal_files();
    let fake = written_in_b(b"CONTENT");
    let report = trees.unify(&fake);
    assert_eq!(skipped(&report, Reason::Content), 2);
    assert_eq!(fs::read(trees.path("a", "f")).unwrap(), b"content");
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"CONTENT");
    for tree in ["a", "b"] {
        assert_eq!(fake.flags(&trees.path(tree, "f")), 0, "protected in vain");
    }
}

/// The flags come first: what is compared later stands still. The link comes last.
#[test]
fn nothing_is_linked_before_both_stand_still() {
    let trees = Trees::two_equal_files();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let fake = Fake::with_hook({
        let (seen, root) = (seen.clone(), trees.path("", ""));
        move |path| {
            for tree in ["a", "b"] {
                let names = fs::read_dir(root.join(tree)).unwrap().count();
                let links = fs::metadata(root.join(tree).join("f")).unwrap().nlink();
                assert_eq!((names, links), (1, 1), "linked too early");
            }
            seen.lock().unwrap().push(in_tree_b(path));
            Ok(())
        }
    });
    let report = trees.unify(&fake);
    assert_eq!(report.shared.files, 1);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [false, true], "both are protected, once");
}

#[test]
fn a_change_of_mode_is_seen() {
    let trees = Trees::two_equal_files();
    let fake = with_hook_in_b(|path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        Ok(())
    });
    let report = trees.unify(&fake);
    assert_eq!(skipped(&report, Reason::Changed), 2);
    assert_ne!(trees.ino("a", "f"), trees.ino("b", "f"));
}

#[test]
fn a_change_of_size_is_seen() {
    let trees = Trees::two_equal_files();
    let fake = written_in_b(b"content and more");
    let report = trees.unify(&fake);
    assert_eq!(skipped(&report, Reason::Changed), 2);
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"content and more");
}

#[test]
fn a_file_put_in_its_place_is_kept() {
    let trees = Trees::two_equal_files();
    let fake = replaced_in_b(b"newer");
    let report = trees.unify(&fake);
    assert_eq!(report.shared.files, 0);
    assert_eq!(fs::read(trees.path("b", "f")).unwrap(), b"newer");
}

#[test]
fn a_full_disk_is_said() {
    let trees = Trees::two_equal_files();
    let report = trees.unify(&with_hook_in_b(|_| Err(Errno::NOSPC)));
    assert!(report.no_space && report.failed());
    assert!(!trees.unify(&Fake::new()).no_space);
}

#[test]
fn a_file_that_is_removed_stays_so() {
    let trees = Trees::two_equal_files();
    let fake = with_hook_in_b(|path| {
        fs::remove_file(path).unwrap();
        Ok(())
    });
    let report = trees.unify(&fake);
    assert_eq!(report.shared.files, 0);
    assert!(!trees.path("b", "f").exists());
}

#[test]
fn a_directory_turned_into_a_symlink_leads_nowhere() {
    let trees = Trees::empty(&["a", "b", "outside"]);
    for tree in ["a", "b", "outside"] {
        trees.write(tree, "dir/f", b"content");
        trees.write(tree, "dir/g", b"content");
    }
    let outside = trees.path("outside", "dir");
    let fake = Fake::with_hook(move |path| {
        let dir = path.parent().unwrap();
        if dir.ends_with("b/dir") && !dir.is_symlink() {
            let aside = dir.with_extension("aside");
            if fs::rename(dir, aside).is_ok() {
                std::os::unix::fs::symlink(&outside, dir).unwrap();
            }
        }
        Ok(())
    });
    let ino = trees.ino("outside", "dir/f");
    let mut two = trees.options();
    two.trees.pop();
    trees.unify_with(&two, &fake);
    assert_eq!(trees.ino("outside", "dir/f"), ino);
    assert_eq!(
        fs::read(trees.path("outside", "dir/f")).unwrap(),
        b"content"
    );
}

#[test]
fn a_file_system_without_support_is_named_as_the_reason() {
    let trees = Trees::two_equal_files();
    let report = trees.unify(&Fake::without_support());
    assert_eq!(report.shared.files, 0);
    assert!(skipped(&report, Reason::Unsupported) > 0);
    let refuses = Fake::with_hook(|_| Err(Errno::OPNOTSUPP));
    let report = trees.unify(&refuses);
    assert_eq!(skipped(&report, Reason::Unsupported), 2);
}

#[test]
fn an_unexpected_error_is_reported_with_the_file() {
    let trees = Trees::two_equal_files();
    let fake = with_hook_in_b(|_| Err(Errno::IO));
    let report = trees.unify(&fake);
    assert_eq!(report.errors.len(), 1);
    assert!(report.errors[0].contains("/b/f: "), "{:?}", report.errors);
    assert_eq!(fake.flags(&trees.path("a", "f")), 0, "protected in vain");
}
