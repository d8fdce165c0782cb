// SPDX-License-Identifier: GPL-2.0
//! What a pool tells, and what it must not be.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use vserver::error::Error;
use vserver::hashify::{self, Options, check, hashify, status};
use vserver::unify::Reason;

use crate::common::Fake;
use crate::{Quiet, TREES, Trees, skipped};

#[test]
fn status_says_who_shares_what() {
    let trees = Trees::example();
    let fake = Fake::new();
    let look = || {
        status(
            &trees.trees(),
            trees.options().pool.as_deref(),
            &fake,
            &Quiet,
        )
        .unwrap()
    };
    assert_eq!(look()[0].trees[0].hashified, None);
    trees.hashify(&fake);
    let all = look();
    let [pool] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!((pool.entries.files, pool.lone.files), (2, 0));
    assert!(pool.saved >= 1_400_000);
    for tree in &pool.trees {
        assert_eq!(tree.shared.files, 2);
        assert!(tree.hashified.is_some() && tree.broken.is_empty());
        assert_eq!(tree.with.len(), 2);
        assert!(tree.with.iter().all(|with| with.amount.files == 2));
    }
    // b gets a file of its own, as a broken link is.
    fs::remove_file(trees.path("b", "usr/bin/tool")).unwrap();
    trees.write("b", "usr/bin/tool", b"its own");
    let all = look();
    let [a, b, _] = all[0].trees.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(b.broken, [Path::new("usr/bin/tool")]);
    assert!(a.broken.is_empty());
    assert_eq!(b.with[0].amount.files, 1);
    assert_eq!(a.with.iter().map(|with| with.amount.files).sum::<u64>(), 3);
}

#[test]
fn check_finds_damage() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let pool = trees.options().pool;
    let look = || check(&trees.trees(), pool.as_deref(), &fake, &Quiet).unwrap();
    let (entries, damaged) = look();
    assert_eq!((entries, damaged.len()), (2, 0));
    let ino = trees.ino("a", "usr/share/a");
    // A bit flips.
    fs::write(trees.path("a", "usr/share/a"), b"called othErwise").unwrap();
    let (_, damaged) = look();
    let [damage] = damaged.as_slice() else {
        panic!("{damaged:?}")
    };
    assert_eq!(fs::metadata(&damage.entry).unwrap().ino(), ino);
    assert_eq!(damage.files.len(), 3);
    assert!(
        damage
            .files
            .contains(&trees.path("c", "usr/share/c").canonicalize().unwrap())
    );
    // A whole file is not given its place, nor does it take it.
    trees.write("b", "new", b"called otherwise");
    trees.write("c", "new", b"called otherwise");
    let report = trees.hashify(&fake);
    assert_eq!(skipped(&report, Reason::Damaged), 2);
    assert_eq!(
        fs::read(trees.path("b", "new")).unwrap(),
        b"called otherwise"
    );
}

fn refused(options: &Options) -> String {
    match hashify(options, &Fake::new(), &Quiet).unwrap_err() {
        Error::Place(message) => message,
        error => panic!("{error}"),
    }
}

#[test]
fn bad_places_are_refused_in_words() {
    let trees = Trees::example();
    let with_tree = |tree: &Path| Options {
        trees: vec![tree.to_owned()],
        ..trees.options()
    };
    let message = refused(&with_tree(Path::new("/nonexistent/tree")));
    assert_eq!(message, "/nonexistent/tree: no such directory");
    let message = refused(&with_tree(&trees.path("a", "usr/other")));
    assert!(message.contains("no such directory"), "{message}");
    let twice = Options {
        trees: vec![trees.path("a", ""), trees.path("a", "usr/..")],
        ..trees.options()
    };
    assert!(refused(&twice).contains("named twice"));
    let inside = Options {
        pool: Some(trees.path("a", "pool")),
        ..trees.options()
    };
    assert!(refused(&inside).contains("lies in the tree"));
    let elsewhere = Options {
        pool: Some("/dev/shm/vserver-test-pool".into()),
        ..trees.options()
    };
    assert!(refused(&elsewhere).contains("another file system"));
    assert!(!Path::new("/dev/shm/vserver-test-pool").exists());
    fs::create_dir(trees.path("", "loose")).unwrap();
    fs::set_permissions(trees.path("", "loose"), fs::Permissions::from_mode(0o777)).unwrap();
    let loose = Options {
        pool: Some(trees.path("", "loose")),
        ..trees.options()
    };
    assert!(refused(&loose).contains("mode 700"));
}

/// A tree that contains the guests and their pool is walked without it.
#[test]
fn the_pool_is_not_hashified_itself() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let message = refused(&Options {
        trees: vec![trees.path("", "")],
        ..trees.options()
    });
    assert!(message.contains("lies in the tree"), "{message}");
}

#[test]
fn unhashified_files_are_their_own() {
    let trees = Trees::example();
    // Without the module and its attributes: what is not protected is left alone.
    trees.hashify(&Fake::new());
    let undone =
        hashify::unhashify(&trees.trees(), trees.options().pool.as_deref(), &Quiet).unwrap();
    assert_eq!((undone.copied, undone.cleared), (0, 0));
    assert!(undone.errors.is_empty(), "{:?}", undone.errors);
}

#[test]
fn guests_are_directories_that_can_be_seen() {
    let trees = Trees::empty(&["web", "db", ".hash", "lost+found"]);
    trees.write("", "file", b"");
    let found = hashify::guests(&trees.path("", "")).unwrap();
    assert_eq!(found, [trees.path("", "db"), trees.path("", "web")]);
    let none = Trees::empty(&[]);
    assert!(matches!(
        hashify::guests(&none.path("", "")),
        Err(Error::Place(_))
    ));
    assert_eq!(TREES.len(), 3);
}
