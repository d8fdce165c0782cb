// SPDX-License-Identifier: GPL-2.0
//! What a pool tells, and what it must not be.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use vserver::config::Store;
use vserver::error::Error;
use vserver::hashify::{self, Options, check, hashify, status};
use vserver::unify::Reason;

use crate::common::Fake;
use crate::{Quiet, Trees, skipped};

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
    // A whole file is not given its place, nor does it take it, and it is an ordinary file.
    trees.write("b", "new", b"called otherwise");
    trees.write("c", "new", b"called otherwise");
    let report = trees.hashify(&fake);
    assert_eq!(skipped(&report, Reason::Damaged), 2);
    assert_eq!(
        fs::read(trees.path("b", "new")).unwrap(),
        b"called otherwise"
    );
    let unique = Options {
        unique: true,
        ..trees.options()
    };
    let report = trees.hashify_with(&unique, &fake);
    assert_eq!(skipped(&report, Reason::Damaged), 2);
    for tree in ["b", "c"] {
        assert_eq!(fake.flags(&trees.path(tree, "new")), 0);
    }
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
fn what_would_be_unhashified_is_counted_and_left() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let pool = trees.options().pool;
    let would = hashify::would_unhashify(&trees.trees(), pool.as_deref(), &fake, &Quiet).unwrap();
    // Two files, each in three trees and the pool: who is the last has it to himself.
    assert_eq!((would.copied, would.cleared), (4, 2));
    assert!(would.errors.is_empty(), "{:?}", would.errors);
    assert!(trees.same("a", "c", "usr/bin/tool") && trees.pool().len() == 2);
}

#[test]
fn what_was_unhashified_is_not_broken() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    for file in ["usr/bin/tool", "usr/share/b"] {
        fs::remove_file(trees.path("b", file)).unwrap();
        trees.write("b", file, b"its own");
    }
    let pool = trees.options().pool;
    let broken = || {
        let all = status(&trees.trees(), pool.as_deref(), &fake, &Quiet).unwrap();
        all[0].trees[1].broken.clone()
    };
    assert_eq!(broken().len(), 2);
    let unhashify = |path| hashify::unhashify(&[path], pool.as_deref(), &Quiet).unwrap();
    unhashify(trees.path("b", "usr/bin/"));
    assert_eq!(broken(), [Path::new("usr/share/b")]);
    unhashify(trees.path("b", "usr/share/b"));
    assert!(broken().is_empty());
}

#[test]
fn of_a_tree_that_was_unhashified_nothing_is_remembered() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let pool = trees.options().pool;
    let hashified = || {
        let all = status(&trees.trees(), pool.as_deref(), &fake, &Quiet).unwrap();
        let tree = &all[0].trees[1];
        (tree.hashified.is_some(), tree.broken.len())
    };
    fs::remove_file(trees.path("b", "usr/bin/tool")).unwrap();
    assert_eq!(hashified(), (true, 0));
    symlink("b", trees.path("", "link")).unwrap();
    let unhashify = |path| hashify::unhashify(&[path], pool.as_deref(), &Quiet).unwrap();
    unhashify(trees.path("", "link"));
    assert_eq!(hashified(), (true, 0), "a link is not followed");
    unhashify(trees.path("b", ""));
    trees.write("b", "usr/bin/tool", b"its own");
    assert_eq!(hashified(), (false, 0));
}

#[test]
fn guests_are_directories_and_what_is_configured() {
    let trees = Trees::empty(&["vservers", "srv"]);
    for dir in ["web", "db", "typo", ".hash", "lost+found"] {
        trees.write("vservers", &format!("{dir}/etc/x"), b"");
    }
    trees.write("vservers", "file", b"");
    trees.write("srv", "shop/etc/x", b"");
    trees.write("srv", "old/etc/x", b"");
    symlink(trees.path("srv", "old"), trees.path("vservers", "old")).unwrap();
    symlink("nowhere", trees.path("vservers", "dangling")).unwrap();
    let store = Store::below(trees.path("", ""));
    let shop = format!("root = {:?}\n", trees.path("srv", "shop"));
    store.save("shop", &shop).unwrap();
    store.save("second", &shop).unwrap();
    store.save("web", "").unwrap();
    store.save("typo", "nonsense = 1\n").unwrap();
    store.save("gone", "").unwrap();
    let found = hashify::guests(&store).unwrap();
    let wanted = [
        trees.path("srv", "old"),
        trees.path("srv", "shop"),
        trees.path("vservers", "db"),
        trees.path("vservers", "web"),
    ];
    assert_eq!(
        found.trees,
        wanted.map(|path| path.canonicalize().unwrap()),
        "each once, where it is"
    );
    let left_out: Vec<_> = found.left_out.iter().map(ToString::to_string).collect();
    let [gone, typo] = left_out.as_slice() else {
        panic!("{left_out:?}")
    };
    assert!(gone.contains("no such directory (guest gone)"), "{gone}");
    assert!(typo.contains("nonsense"), "{typo}");
    let none = Trees::empty(&[]);
    assert!(matches!(
        hashify::guests(&Store::below(none.path("", ""))),
        Err(Error::Place(_))
    ));
}

/// One of them is on a file system of its own, where no pool can be.
#[test]
fn one_guest_that_has_no_pool_does_not_stop_the_others() {
    let trees = Trees::empty(&["vservers"]);
    trees.write("vservers", "web/etc/x", b"");
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    symlink(elsewhere.path(), trees.path("vservers", "db")).unwrap();
    let store = Store::below(trees.path("", ""));
    let pool = trees.path("vservers", ".hash");
    let guests = || hashify::guests(&store).unwrap();
    assert_eq!(guests().trees.len(), 2);
    let found = guests().usable(Some(&pool), true).unwrap();
    assert_eq!(
        found.trees,
        [trees.path("vservers", "web").canonicalize().unwrap()]
    );
    let left_out: Vec<_> = found.left_out.iter().map(ToString::to_string).collect();
    let [why] = left_out.as_slice() else {
        panic!("{left_out:?}")
    };
    assert!(why.contains("on another file system"), "{why}");
    assert!(!pool.exists(), "to look makes none");
    fs::remove_dir_all(trees.path("vservers", "web")).unwrap();
    let none = guests().usable(Some(&pool), true).unwrap_err();
    assert!(matches!(none, Error::Place(_)), "{none}");
}
