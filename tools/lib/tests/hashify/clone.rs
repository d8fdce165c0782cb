// SPDX-License-Identifier: GPL-2.0
//! Another tree of a tree, by links.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};
use vserver::attr::UNIFIED;
use vserver::clone::{Report, clone};
use vserver::error::{Error, Result};
use vserver::exclude::Excludes;

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

/// They were separate files of the guest, which nothing would keep apart in the copy.
#[test]
fn the_names_of_a_unified_file_are_copied_each_by_itself() {
    let trees = Trees::empty(&["a"]);
    for file in ["one", "two"] {
        trees.write("a", file, b"content");
    }
    let fake = Fake::new();
    trees.hashify(&fake);
    assert!(trees.ino("a", "one") == trees.ino("a", "two"));
    let mut excludes = Excludes::default();
    excludes.add(b"/*");
    let (from, to) = (trees.path("a", ""), trees.path("new", ""));
    let report = clone(&from, &to, &excludes, &fake, &Quiet).unwrap();
    assert_eq!((report.linked, report.copied.files), (0, 2));
    assert_ne!(trees.ino("new", "one"), trees.ino("new", "two"));
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

/// A guest that runs puts symlinks in the place of files whose names were read already.
#[test]
fn what_becomes_a_symlink_is_cloned_as_one() {
    let trees = Trees::empty(&["a"]);
    let names = ["f", "g", "h"];
    for name in names {
        trees.write("a", name, b"content");
    }
    let once = AtomicBool::new(true);
    let fake = Fake::with_hook(move |path| {
        if once.swap(false, Ordering::Relaxed) {
            for name in names.map(|name| path.with_file_name(name)) {
                if name != path {
                    symlink("target", name.with_extension("new")).unwrap();
                    fs::rename(name.with_extension("new"), name).unwrap();
                }
            }
        }
        Ok(())
    });
    cloned(&trees, &fake, "new").unwrap();
    let links = names.map(|name| fs::read_link(trees.path("new", name)));
    assert_eq!(links.iter().filter(|link| link.is_ok()).count(), 2);
    assert!(
        names
            .iter()
            .all(|n| trees.path("new", n).symlink_metadata().is_ok())
    );
}

#[test]
fn a_tree_that_is_deleted_meanwhile_is_not_cloned_in_part() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "f", b"content");
    let (tree, gone) = (trees.path("", "a"), trees.path("", ".a.gone"));
    let fake = Fake::with_hook(move |_| {
        fs::rename(&tree, &gone).unwrap();
        Ok(())
    });
    let error = cloned(&trees, &fake, "new").unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error}");
    assert!(!trees.path("", "new").exists());
}

/// A directory waits until the one above it is done.
#[test]
fn a_directory_that_becomes_something_else_is_cloned_as_that() {
    let trees = Trees::empty(&["a"]);
    trees.write("a", "f", b"content");
    for dir in ["link", "gone", "file"] {
        trees.write("a", &format!("{dir}/g"), b"more");
    }
    let tree = trees.path("a", "");
    let fake = Fake::with_hook(move |path| {
        if path.ends_with("f") {
            for dir in ["link", "gone", "file"] {
                fs::rename(tree.join(dir), tree.with_file_name(dir)).unwrap();
            }
            symlink("f", tree.join("link")).unwrap();
            fs::write(tree.join("file"), b"").unwrap();
        }
        Ok(())
    });
    cloned(&trees, &fake, "new").unwrap();
    let new = |name: &str| trees.path("new", name);
    assert_eq!(fs::read_link(new("link")).unwrap().to_str(), Some("f"));
    assert_eq!(fs::read(new("file")).unwrap(), b"");
    assert!(new("gone").symlink_metadata().is_err());
}

/// However many directories there are, and files that have several names.
#[test]
fn few_descriptors_are_enough() {
    const CHILD: &str = "VSERVER_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        // The limit is of a whole process.
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clone::few_descriptors_are_enough"])
            .env(CHILD, "1")
            // Each thread has some open.
            .env("RAYON_NUM_THREADS", "4")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let few = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let trees = Trees::empty(&["a"]);
    for n in 0..100 {
        trees.write("a", &format!("d{n}/f"), b"content");
        let other = trees.path("a", &format!("d{n}/g"));
        fs::hard_link(trees.path("a", &format!("d{n}/f")), other).unwrap();
    }
    let report = cloned(&trees, &Fake::new(), "new").unwrap();
    assert_eq!((report.directories, report.copied.files), (101, 200));
    for n in 0..100 {
        let ino = |name: &str| trees.ino("new", &format!("d{n}/{name}"));
        assert_eq!(ino("f"), ino("g"));
    }
}

/// The copy is found again however deep it lies.
#[test]
fn hard_links_may_lie_deeper_than_a_path_can_say() {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, linkat, mkdirat, openat};
    let trees = Trees::empty(&["a"]);
    let (step, flags) = ("d".repeat(200), OFlags::RDONLY | OFlags::DIRECTORY);
    let down = |tree: &str, make: bool| {
        let mut dir = openat(CWD, trees.path(tree, ""), flags, Mode::empty()).unwrap();
        for _ in 0..25 {
            if make {
                mkdirat(&dir, &step, Mode::RWXU).unwrap();
            }
            dir = openat(&dir, &step, flags, Mode::empty()).unwrap();
        }
        dir
    };
    let dir = down("a", true);
    let file = openat(&dir, "f", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).unwrap();
    rustix::io::write(file, b"content").unwrap();
    linkat(&dir, "f", &dir, "g", AtFlags::empty()).unwrap();
    cloned(&trees, &Fake::new(), "new").unwrap();
    let dir = down("new", false);
    let ino = |name: &str| {
        let file = openat(&dir, name, OFlags::RDONLY, Mode::empty()).unwrap();
        fstat(file).unwrap().st_ino
    };
    assert_eq!(ino("f"), ino("g"));
}
