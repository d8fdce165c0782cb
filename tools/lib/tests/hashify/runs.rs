// SPDX-License-Identifier: GPL-2.0
//! One run after another.

use std::fs;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use vserver::attr::UNIFIED;
use vserver::hashify::{self, Options, Pool, Report};
use vserver::unify::Reason;

use crate::common::Fake;
use crate::{Quiet, TREES, Trees, skipped};

#[test]
fn a_second_run_finds_nothing_to_do() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let pool = trees.pool();
    let report = trees.hashify(&fake);
    assert_eq!(report.files.shared.files, 0);
    assert_eq!(report.files.already_shared.files, 6);
    assert_eq!(trees.pool(), pool);
}

/// What was read and not shared is not read again while it does not change.
#[test]
fn a_second_run_reads_only_what_has_changed() {
    let trees = Trees::empty(&["a", "b"]);
    for tree in ["a", "b"] {
        trees.write(tree, "f", format!("differs in {tree}").as_bytes());
        let mut long = vec![1; 100_000];
        long.push(tree.as_bytes()[0]);
        trees.write(tree, "long", &long);
    }
    let fake = Fake::new();
    trees.hashify(&fake);
    let unread = Fake::with_hook(|path| panic!("{} was touched", path.display()));
    // Who read them would find that they are gone.
    let removed = |file: &str| fs::remove_file(trees.path("b", file)).unwrap();
    let report = trees.hashify(&unread);
    assert_eq!(skipped(&report, Reason::Unique), 2);
    assert_eq!(skipped(&report, Reason::Content), 2);
    removed("f");
    trees.write("b", "f", b"differs in a");
    let report = trees.hashify(&Fake::new());
    assert_eq!(report.files.shared.files, 1);
}

/// A run that is asked to stop when it begins to share, on one thread: small files come first.
fn stopped(trees: &Trees) -> (Report, Fake) {
    let options = trees.options();
    let stop = Arc::clone(&options.stop);
    let fake = Fake::with_hook(move |_| {
        stop.store(true, Ordering::Relaxed);
        Ok(())
    });
    let one = rayon::ThreadPoolBuilder::new().num_threads(1);
    let one = one.build().unwrap();
    let report = one.install(|| trees.hashify_with(&options, &fake));
    assert!(report.interrupted);
    (report, fake.recovered())
}

/// The names in the trees that are opened while something is done.
fn opened(trees: &Trees, during: impl FnOnce()) -> Vec<String> {
    let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
    for tree in trees.trees() {
        inotify::add_watch(&watch, tree, WatchFlags::OPEN).unwrap();
    }
    during();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(&watch, &mut buffer);
    let mut names = Vec::new();
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| name.to_str().unwrap());
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    names.dedup();
    names
}

/// What was read before it was stopped is not read again, and the rest is done.
#[test]
fn a_run_that_was_stopped_is_continued() {
    let trees = Trees::empty(&["a", "b"]);
    for tree in ["a", "b"] {
        trees.write(
            tree,
            &format!("small-{tree}"),
            format!("of {tree}").as_bytes(),
        );
        trees.write(tree, &format!("pair-{tree}"), b"both");
        trees.write(
            tree,
            &format!("large-{tree}"),
            format!("large, of {tree}").as_bytes(),
        );
        trees.write(tree, &format!("late-{tree}"), b"large, both");
    }
    let (first, fake) = stopped(&trees);
    assert_eq!(first.files.shared.files, 1);
    assert_ne!(trees.ino("a", "late-a"), trees.ino("b", "late-b"));
    let names = opened(&trees, || {
        let report = trees.hashify(&fake);
        assert!(!report.interrupted);
        assert_eq!(report.files.shared.files, 1);
        assert_eq!(report.files.already_shared.files, 2);
    });
    assert_eq!(names, ["large-a", "large-b", "late-a", "late-b"]);
}

/// What was shared when a run had come to its end is known, although it was not looked at again.
#[test]
fn a_run_that_was_stopped_forgets_nothing() {
    let trees = Trees::example();
    let whole = trees.hashify(&Fake::new());
    assert!(!whole.interrupted);
    fs::remove_file(trees.path("b", "usr/bin/tool")).unwrap();
    trees.write("b", "usr/bin/tool", b"its own");
    for tree in TREES {
        trees.write(tree, "new", b"of all");
    }
    let look = |fake: &Fake| {
        let pool = trees.options().pool;
        let all = hashify::status(&trees.trees(), pool.as_deref(), fake, &Quiet).unwrap();
        all[0].trees[1].clone()
    };
    let fake = Fake::new();
    let before = look(&fake);
    assert_eq!(before.broken.len(), 1);
    let (_, fake) = stopped(&trees);
    let after = look(&fake);
    assert_eq!(
        (&after.broken, after.hashified),
        (&before.broken, before.hashified)
    );
    // Also if it does not even see all.
    let options = Options {
        stop: Arc::new(AtomicBool::new(true)),
        ..trees.options()
    };
    assert!(trees.hashify_with(&options, &fake).interrupted);
    assert_eq!(look(&fake).broken, before.broken);
}

#[test]
fn trees_can_come_one_after_the_other() {
    let trees = Trees::example();
    let fake = Fake::new();
    for tree in TREES {
        let options = Options {
            trees: vec![trees.path(tree, "")],
            unique: true,
            ..trees.options()
        };
        trees.hashify_with(&options, &fake);
    }
    assert!(trees.same("a", "b", "usr/bin/tool") && trees.same("a", "c", "usr/bin/tool"));
    assert_eq!(fake.flags(&trees.path("a", "usr/only")), UNIFIED);
    assert_eq!(fake.flags(&trees.path("a", "etc/conf")), 0);
    // Without --unique what nobody else has stays out of it.
    let trees = Trees::example();
    let report = trees.hashify_with(
        &Options {
            trees: vec![trees.path("a", "")],
            ..trees.options()
        },
        &fake,
    );
    assert_eq!(skipped(&report, Reason::Unique), 5);
    assert!(trees.pool().is_empty());
}

/// Wherever it ends, the files are whole, and the next run finishes.
#[test]
fn an_interrupted_run_is_continued() {
    for after in 0..8 {
        let trees = Trees::example();
        let before = ["usr/bin/tool", "usr/other"].map(|f| fs::read(trees.path("b", f)).unwrap());
        let count = std::sync::atomic::AtomicU32::new(0);
        let fails = Fake::with_hook(move |_| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if n < after { Ok(()) } else { Err(Errno::IO) }
        });
        trees.hashify(&fails);
        let report = trees.hashify(&fails.recovered());
        assert!(report.files.errors.is_empty(), "{:?}", report.files.errors);
        assert!(trees.same("a", "b", "usr/bin/tool") && trees.same("a", "c", "usr/bin/tool"));
        let now = ["usr/bin/tool", "usr/other"].map(|f| fs::read(trees.path("b", f)).unwrap());
        assert_eq!(now, before);
        assert_eq!(trees.pool().len(), 2);
    }
}

/// Killed between the protection of a file and its link.
#[test]
fn what_a_killed_run_has_protected_is_shared_or_ordinary() {
    let trees = Trees::example();
    let fake = Fake::new();
    let all = [
        ("a", "usr/bin/tool"),
        ("b", "usr/bin/tool"),
        ("a", "usr/other"),
        ("c", "usr/other"),
    ];
    for (tree, file) in all {
        fake.protect(&trees.path(tree, file));
    }
    let dry = Options {
        dry_run: true,
        ..trees.options()
    };
    assert_eq!(trees.hashify_with(&dry, &fake).files.released, 0);
    assert_eq!(fake.flags(&trees.path("a", "usr/other")), UNIFIED);
    assert_eq!(trees.hashify(&fake).files.released, 2);
    assert!(trees.same("a", "b", "usr/bin/tool"));
    assert_eq!(fake.flags(&trees.path("a", "usr/bin/tool")), UNIFIED);
    for tree in TREES {
        assert_eq!(fake.flags(&trees.path(tree, "usr/other")), 0, "{tree}");
    }
    assert_eq!(trees.hashify(&fake).files.released, 0);
}

#[test]
fn what_no_tree_uses_any_more_leaves_the_pool() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    for tree in TREES {
        fs::remove_file(trees.path(tree, "usr/bin/tool")).unwrap();
    }
    let report = trees.hashify(&fake);
    assert_eq!(report.collected.entries, 1);
    assert!(report.collected.bytes >= 700_000);
    assert_eq!(trees.pool().len(), 1);
    // Alone, too.
    for tree in TREES {
        fs::remove_file(trees.path(tree, &format!("usr/share/{tree}"))).unwrap();
    }
    let pool = Pool::open(&trees.path("", ".hash"), false)
        .unwrap()
        .unwrap();
    assert_eq!(hashify::gc(&pool, true).unwrap().entries, 1);
    assert_eq!(trees.pool().len(), 1);
    assert_eq!(hashify::gc(&pool, false).unwrap().entries, 1);
    assert!(trees.pool().is_empty());
}

#[test]
fn a_file_that_comes_back_joins_what_is_still_there() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    let ino = trees.ino("a", "usr/bin/tool");
    let content = fs::read(trees.path("a", "usr/bin/tool")).unwrap();
    for tree in TREES {
        fs::remove_file(trees.path(tree, "usr/bin/tool")).unwrap();
    }
    trees.write("b", "opt/tool", &content);
    let report = trees.hashify(&fake);
    assert_eq!(trees.ino("b", "opt/tool"), ino);
    assert_eq!(
        (report.files.shared.files, report.collected.entries),
        (1, 0)
    );
}

/// Nothing of it was ever shared, whatever was there before.
#[test]
fn a_new_tree_in_the_place_of_another_is_new() {
    let trees = Trees::example();
    let fake = Fake::new();
    trees.hashify(&fake);
    fs::remove_dir_all(trees.path("b", "")).unwrap();
    trees.write("b", "usr/bin/tool", b"its own");
    let pool = trees.options().pool;
    let all = hashify::status(&trees.trees(), pool.as_deref(), &fake, &Quiet).unwrap();
    let [a, b, _] = all[0].trees.as_slice() else {
        panic!("{all:?}")
    };
    assert!(a.hashified.is_some());
    assert_eq!((b.hashified, b.broken.len()), (None, 0));
}

/// What a run that keeps times has read is hashed otherwise.
#[test]
fn a_run_that_kept_times_does_not_keep_files_apart_for_ever() {
    let trees = Trees::empty(&["a", "b"]);
    for (tree, age) in [("a", 1000), ("b", 2000)] {
        for file in ["f", "g"] {
            trees.write(tree, file, file.as_bytes());
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
            let file = fs::File::open(trees.path(tree, file)).unwrap();
            file.set_modified(time).unwrap();
        }
    }
    let fake = Fake::new();
    let keep_times = Options {
        keep_times: true,
        ..trees.options()
    };
    let report = trees.hashify_with(&keep_times, &fake);
    assert_eq!(report.files.shared.files, 0);
    assert_eq!(trees.hashify(&fake).files.shared.files, 2);
}
