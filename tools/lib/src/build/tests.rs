// SPDX-License-Identifier: GPL-2.0

use std::cell::Cell;
use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Mutex;

use rustix::io::Errno;

use super::*;
use crate::attr::{Attributes, UNIFIED};
use crate::exclude::Excludes;
use crate::{abi, hashify};

struct Quiet(Cell<u64>);

impl Progress for Quiet {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, by: u64) {
        self.0.set(self.0.get() + by);
    }
    fn line(&self, _: &str) {}
}

#[test]
fn a_clone_is_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir_all(from.join("usr/bin")).unwrap();
    fs::write(from.join("usr/bin/x"), "content").unwrap();
    fs::set_permissions(from.join("usr/bin/x"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::hard_link(from.join("usr/bin/x"), from.join("y")).unwrap();
    symlink("/etc/passwd", from.join("link")).unwrap();
    fs::set_permissions(from.join("usr"), fs::Permissions::from_mode(0o711)).unwrap();
    let quiet = Quiet(Cell::new(0));
    clone::tree(&from, &to, &Flags::default(), &quiet).unwrap();
    assert_eq!(fs::read_to_string(to.join("y")).unwrap(), "content");
    let meta = |path: &str| fs::symlink_metadata(to.join(path)).unwrap();
    assert_eq!(meta("usr/bin/x").ino(), meta("y").ino());
    assert_eq!(meta("y").mode() & 0o7777, 0o755);
    assert_eq!(meta("usr").mode() & 0o7777, 0o711);
    let link = fs::read_link(to.join("link")).unwrap();
    assert_eq!(link, Path::new("/etc/passwd"));
    let old = fs::symlink_metadata(from.join("usr")).unwrap();
    assert_eq!(meta("usr").mtime_nsec(), old.mtime_nsec());
    assert_eq!(quiet.0.get(), 5);
}

#[test]
fn a_tree_for_one_run_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    store.save("web", "").unwrap();
    let root = store.guests_dir().join("web");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "root").unwrap();
    let path = Brief::path(&store, "web").unwrap();
    let quiet = Quiet(Cell::new(0));
    // What a process of the same number has left.
    fs::create_dir(&path).unwrap();
    let tree = Brief::new(&store, "web", &quiet).unwrap();
    let file = path.join("etc/passwd");
    assert_eq!(fs::read_to_string(&file).unwrap(), "root");
    assert!(Lock::directory(&path).is_err(), "it is in use");
    fs::write(&file, "changed").unwrap();
    tree.remove().unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read_to_string(root.join("etc/passwd")).unwrap(), "root");
    assert_eq!(made_of("web.7.run"), Some("web"));
    assert_eq!(made_of("web.run"), None);
}

/// Does something when the first entry is copied.
struct Meddling<F>(Cell<Option<F>>);

impl<F: FnOnce()> Progress for Meddling<F> {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {
        if let Some(meddle) = self.0.take() {
            meddle();
        }
    }
    fn line(&self, _: &str) {}
}

#[test]
fn a_guest_that_is_deleted_meanwhile_is_not_copied_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir_all(from.join("bin")).unwrap();
    let meddling = Meddling(Cell::new(Some(|| {
        fs::rename(&from, from.with_extension("gone")).unwrap();
    })));
    let error = clone::tree(&from, &to, &Flags::default(), &meddling).unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error}");
}

/// Files of a kernel with the module, by their inodes.
#[derive(Default)]
struct Flags(Mutex<HashMap<u64, u32>>);

impl Attributes for Flags {
    fn get(&self, file: BorrowedFd<'_>) -> std::result::Result<abi::CtxFiattr, Errno> {
        let ino = rustix::fs::fstat(file)?.st_ino;
        let flags = *self.0.lock().unwrap().get(&ino).unwrap_or(&0);
        Ok(abi::CtxFiattr {
            xid: 0,
            flags,
            mask: UNIFIED,
        })
    }

    fn set(&self, file: BorrowedFd<'_>, flags: u32, mask: u32) -> std::result::Result<(), Errno> {
        let ino = rustix::fs::fstat(file)?.st_ino;
        let mut all = self.0.lock().unwrap();
        let old = all.entry(ino).or_default();
        *old = *old & !mask | flags & mask;
        Ok(())
    }
}

/// A guest may go on making directories in directories: the host has so many descriptors, and a stack.
#[test]
fn a_guest_without_an_end_is_not_copied() {
    use rustix::fs::{mkdirat, openat};
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&from).unwrap();
    let mut at = open(&from, DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..2000 {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
    }
    let copy = || clone::tree(&from, &to, &Flags::default(), &Quiet(Cell::new(0)));
    // As the main thread's.
    let stack = std::thread::Builder::new().stack_size(8 << 20);
    let error = std::thread::scope(|scope| {
        let thread = stack.spawn_scoped(scope, copy).unwrap();
        thread.join().unwrap().unwrap_err().to_string()
    });
    assert!(error.contains("d/d/d/d/...: more than 1000"), "{error}");
    for tree in [&from, &to] {
        remove_tree(tree).unwrap();
    }
}

/// Equal files that hashify has made one inode, which nothing would protect in the copy.
#[test]
fn the_names_of_a_unified_file_are_copied_each_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&from).unwrap();
    let kernel = Flags::default();
    for (file, other, flags) in [("x", "y", UNIFIED), ("bare", "too", abi::IATTR_IUNLINK)] {
        fs::write(from.join(file), "equal").unwrap();
        fs::hard_link(from.join(file), from.join(other)).unwrap();
        let ino = fs::metadata(from.join(file)).unwrap().ino();
        kernel.0.lock().unwrap().insert(ino, flags);
    }
    clone::tree(&from, &to, &kernel, &Quiet(Cell::new(0))).unwrap();
    for file in ["x", "y", "bare", "too"] {
        assert_eq!(fs::metadata(to.join(file)).unwrap().nlink(), 1, "{file}");
        assert_eq!(fs::read_to_string(to.join(file)).unwrap(), "equal");
    }
}

#[test]
fn a_hashified_tree_is_cloned_by_links() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    let (from, to) = (store.guests_dir().join("web"), store.guests_dir().join("x"));
    for name in ["usr/bin", "etc"] {
        fs::create_dir_all(from.join(name)).unwrap();
    }
    fs::write(from.join("usr/bin/x"), "program").unwrap();
    fs::write(from.join("etc/x"), "its own").unwrap();
    fs::write(from.join("usr/own"), "its own, too").unwrap();
    let kernel = Flags::default();
    assert!(!crate::clone::is_hashified(&from));
    let why = links::obstacle(&from, &to).unwrap();
    assert!(why.contains("vserver hashify has not shared"), "{why}");
    let why = links::obstacle(&from, Path::new("/proc/x")).unwrap();
    assert!(why.contains("another file system"), "{why}");
    let mut excludes = Excludes::default();
    excludes.add_defaults();
    let options = hashify::Options {
        trees: vec![from.clone()],
        excludes,
        unique: true,
        ..hashify::Options::default()
    };
    hashify::hashify(&options, &kernel, &links::Names::default()).unwrap();
    assert!(crate::clone::is_hashified(&from));

    let quiet = Quiet(Cell::new(0));
    let guest = Guest {
        hashify: crate::config::Hashify {
            exclude: vec!["/usr/own".into()],
        },
        ..Guest::default()
    };
    links::tree(&from, &to, &guest, &kernel, &quiet).unwrap();
    let ino = |tree: &Path, path: &str| fs::metadata(tree.join(path)).unwrap().ino();
    assert_eq!(ino(&from, "usr/bin/x"), ino(&to, "usr/bin/x"));
    assert_ne!(ino(&from, "etc/x"), ino(&to, "etc/x"));
    assert_ne!(ino(&from, "usr/own"), ino(&to, "usr/own"));
    assert_eq!(fs::read_to_string(to.join("etc/x")).unwrap(), "its own");
    assert!(!crate::clone::is_hashified(&to), "it has not its name yet");
    let named = store.guests_dir().join("y");
    fs::rename(&to, &named).unwrap();
    crate::clone::remember(&from, &named);
    assert!(crate::clone::is_hashified(&named));
    // Nothing is remembered of one that is deleted.
    store.save("y", "").unwrap();
    let remembered = || {
        let states = fs::read_dir(store.guests_dir().join(".hash/.state")).unwrap();
        states.count()
    };
    assert_eq!(remembered(), 2);
    delete(&store, "y", false).unwrap();
    assert_eq!(remembered(), 1);
}

#[test]
fn an_init_is_known_by_where_it_leads() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    assert_eq!(confined::own_init(root).unwrap(), Style::Small);
    fs::create_dir_all(root.join("usr/sbin")).unwrap();
    fs::create_dir_all(root.join("lib/systemd")).unwrap();
    fs::write(root.join("lib/systemd/systemd"), "").unwrap();
    symlink("usr/sbin", root.join("sbin")).unwrap();
    symlink("/lib/systemd/systemd", root.join("usr/sbin/init")).unwrap();
    assert_eq!(confined::own_init(root).unwrap(), Style::Systemd);
    fs::remove_file(root.join("usr/sbin/init")).unwrap();
    fs::write(root.join("usr/sbin/init"), "").unwrap();
    assert_eq!(confined::own_init(root).unwrap(), Style::Sysv);
    // A link that leads nowhere in the tree, though it would on the host.
    fs::remove_file(root.join("usr/sbin/init")).unwrap();
    symlink("/etc/passwd", root.join("usr/sbin/init")).unwrap();
    assert_eq!(confined::own_init(root).unwrap(), Style::Small);
}

#[test]
fn a_file_of_the_tree_is_written_in_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("real")).unwrap();
    symlink("/real", root.join("etc")).unwrap();
    confined::write(&root, "etc/hostname", "web\n").unwrap();
    let text = fs::read_to_string(root.join("real/hostname")).unwrap();
    assert_eq!(text, "web\n");
}

#[test]
fn guests_are_built_of_one_thing() {
    let none = Build::default();
    assert!(none.check().is_err());
    let one = Build {
        suite: Some("trixie".into()),
        ..Build::default()
    };
    assert!(one.check().is_ok());
    let two = Build {
        tar: Some("x".into()),
        ..one
    };
    assert!(two.check().is_err());
}

#[test]
fn the_users_of_the_host_do_not_get_to_the_trees() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("bin")).unwrap();
    store.save("from", &format!("root = {from:?}\n")).unwrap();
    let guest = Guest {
        build: Build {
            clone: Some("from".into()),
            ..Build::default()
        },
        ..Guest::default()
    };
    build(&store, "new", guest, &Quiet(Cell::new(0))).unwrap();
    let mode = fs::metadata(store.guests_dir())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
    assert!(!is_open(&store.guests_dir().join("new")));
}

#[test]
fn a_failed_build_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    let guest = Guest {
        build: Build {
            clone: Some("web".into()),
            ..Build::default()
        },
        ..Guest::default()
    };
    let quiet = Quiet(Cell::new(0));
    fs::create_dir_all(store.guests_dir().join("web/only")).unwrap();
    store.save("web", "").unwrap();
    let error = build(&store, "new", guest.clone(), &quiet).unwrap_err();
    assert!(
        error.to_string().contains("neither /bin nor /usr"),
        "{error}"
    );
    assert_eq!(fs::read_dir(store.guests_dir()).unwrap().count(), 1);
    fs::create_dir_all(store.guests_dir().join("web/bin")).unwrap();
    let built = build(&store, "new", guest.clone(), &quiet).unwrap();
    assert_eq!(built.root, store.guests_dir().join("new"));
    assert_eq!(
        store.load("new").unwrap().build.clone.as_deref(),
        Some("web")
    );
    let again = build(&store, "new", guest, &quiet).unwrap_err();
    assert!(matches!(again, Error::Busy(_)), "{again}");
}

#[test]
fn a_guest_without_a_file_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    fs::create_dir_all(store.guests_dir().join("web/bin")).unwrap();
    fs::create_dir_all(store.legacy_dir().join("web")).unwrap();
    // No file can be written there.
    fs::write(store.config_dir(), "").unwrap();
    let guest = Guest {
        build: Build {
            clone: Some("web".into()),
            ..Build::default()
        },
        ..Guest::default()
    };
    build(&store, "new", guest, &Quiet(Cell::new(0))).unwrap_err();
    let names: Vec<_> = fs::read_dir(store.guests_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["web"]);
}

/// A tree without a file is nothing that anybody finds, so the file comes first; and it goes with the
/// tree if that can't have its place.
#[test]
fn a_guest_has_its_file_before_its_tree() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::below(dir.path().to_owned());
    let root = store.guests_dir().join("new");
    fs::create_dir_all(store.guests_dir().join("web/bin")).unwrap();
    store.save("web", "").unwrap();
    let guest = Guest {
        build: Build {
            clone: Some("web".into()),
            ..Build::default()
        },
        ..Guest::default()
    };
    let build_where_one_is = |meddle: &dyn Fn()| {
        let meddling = Meddling(Cell::new(Some(|| {
            fs::create_dir_all(root.join("somebody's")).unwrap();
            meddle();
        })));
        let error = build(&store, "new", guest.clone(), &meddling).unwrap_err();
        assert!(!store.guests_dir().join(".new.new").exists());
        error.to_string()
    };
    let error = build_where_one_is(&|| ());
    assert!(error.starts_with("rename "), "{error}");
    assert!(!store.file("new").exists() && root.join("somebody's").exists());
    fs::remove_dir_all(&root).unwrap();
    let error = build_where_one_is(&|| fs::create_dir(store.file("new")).unwrap());
    assert!(error.starts_with("write "), "{error}");
}
