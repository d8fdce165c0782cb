// SPDX-License-Identifier: GPL-2.0
//! Finds and removes what a crash, or a killed tool, has left in trees of guests.
//!
//! Temporary names of copies and links that were on their way into another's place, the kernel's
//! and our own; and shared files that a crash caught in the moment in which, on a kernel without the
//! module, their protection was off: those get it back. And files that a killed run has protected
//! and not shared: those are made ordinary again. And whole trees that were being made or removed.

mod report;
mod trees;

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{Stat, fstat};
use rustix::io::Errno;

use crate::config::Store;
use crate::debris::{self, Debris};
use crate::deunify;
use crate::error::{Error, Result};
use crate::hashify::pool;
use crate::protect::{self, Exposed, Protection};
use crate::unify::disk_bytes;
use crate::walk::{self, Entry, walk};

pub use report::{Found, Progress, Report, What};

/// How to clean up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Look, but change nothing.
    pub dry_run: bool,
    /// Enter what is mounted in the trees, too.
    pub cross_mounts: bool,
    /// Make ordinary what is protected though nobody shares it. For the time being that may be so of
    /// what a run of unify or hashify is about to share: only who is
    /// [alone](crate::unify::Alone) may change it.
    pub lone: bool,
}

/// Cleans up these directories: the trees in them, and the left-overs among those of this store.
pub fn cleanup(
    store: &Store,
    dirs: &[PathBuf],
    options: Options,
    progress: &dyn Progress,
) -> Report {
    let mut report = Report::default();
    for found in trees::clean(store, dirs, options.dry_run) {
        report.note(found.map(Some), progress);
    }
    by(protect::best(), dirs, options, progress, report)
}

fn by(
    way: &dyn Protection,
    trees: &[PathBuf],
    options: Options,
    progress: &dyn Progress,
    mut report: Report,
) -> Report {
    let how = walk::Options {
        recursive: true,
        cross_mounts: options.cross_mounts,
    };
    for entry in trees.iter().flat_map(|tree| walk(tree, how).enumerate()) {
        report.names += 1;
        progress.looked_at();
        let entry = match entry {
            // A symlink would seem to be clean, whatever is behind it.
            (0, Ok(tree)) if !tree.kind().is_dir() => {
                Err(Error::file("clean up", tree.path(), Errno::NOTDIR))
            }
            (_, entry) => entry,
        };
        let found = entry.and_then(|entry| look(way, &entry, options));
        report.note(found, progress);
    }
    report
}

/// Deals with a name.
fn look(way: &dyn Protection, entry: &Entry, options: Options) -> Result<Option<Found>> {
    let found = |what, bytes| {
        Some(Found {
            path: entry.path().to_owned(),
            what,
            bytes,
        })
    };
    let failed = |errno: Errno| Error::file("clean up", entry.path(), errno);
    let debris = debris::judge(way.attributes(), entry.dir(), entry.name()).map_err(failed)?;
    let Some(debris) = debris else {
        return match wrongly_protected(way, entry, options) {
            Ok(what) => Ok(what.and_then(|what| found(what, 0))),
            // It is gone by now.
            Err(e) if e.errno() == Some(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        };
    };
    if !options.dry_run {
        debris::remove(way, entry.dir(), entry.name(), &debris).map_err(|e| match e {
            Exposed::Failed(errno) => failed(errno),
            Exposed::Bared(errno) => Error::file("protect", entry.path(), errno),
        })?;
    }
    Ok(match debris {
        Debris::Copy(stat) => found(What::Copy, freed(&stat)),
        Debris::Link(_, stat) => found(What::Link, freed(&stat)),
        Debris::InUse => found(What::InUse, 0),
        Debris::Foreign => found(What::Foreign, 0),
    })
}

/// Protects a shared file that is not, and makes ordinary what is protected for nobody; says which of
/// them it was.
fn wrongly_protected(
    way: &dyn Protection,
    entry: &Entry,
    options: Options,
) -> Result<Option<What>> {
    let failed = |errno: Errno| Error::file("protect", entry.path(), errno);
    let Some(file) = entry.open_file().map_err(failed)? else {
        return Ok(None);
    };
    let attr = match way.attributes().get(file.as_fd()) {
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => return Ok(None),
        attr => attr.map_err(failed)?,
    };
    let names = fstat(&file).map_err(failed)?.st_nlink;
    if protect::is_bared(&attr, names) {
        if !options.dry_run {
            way.restore(&file).map_err(failed)?;
        }
        return Ok(Some(What::Unprotected));
    }
    // What only the pool has left is for `hashify --gc`.
    let lone = names == 1 && protect::is_unified(&attr) && !pool::is_entry(entry.path());
    if !lone || !options.lone {
        return Ok(None);
    }
    if !options.dry_run {
        deunify::by(way, entry)?;
    }
    Ok(Some(What::Lone))
}

/// What the removal of a name frees.
fn freed(stat: &Stat) -> u64 {
    match stat.st_nlink {
        1 => disk_bytes(stat),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt;
    use std::sync::Mutex;

    use rustix::fs::{Mode, OFlags, openat};
    use vserver_abi as abi;

    use super::*;
    use crate::attr::{Attributes, UNIFIED};
    use crate::temp::identity;

    /// Attributes of inodes, kept in memory.
    #[derive(Default)]
    struct Fake(Mutex<Vec<(u64, u32)>>);

    impl Fake {
        fn set(&self, ino: u64, flags: u32) {
            self.0.lock().unwrap().push((ino, flags));
        }

        fn of(&self, ino: u64) -> u32 {
            let all = self.0.lock().unwrap();
            let found = all.iter().rev().find(|(i, _)| *i == ino);
            found.map_or(0, |(_, flags)| *flags)
        }
    }

    impl Attributes for Fake {
        fn get(&self, file: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno> {
            Ok(abi::CtxFiattr {
                xid: 0,
                flags: self.of(fstat(file)?.st_ino),
                mask: UNIFIED,
            })
        }
    }

    impl Protection for Fake {
        fn attributes(&self) -> &dyn Attributes {
            self
        }

        fn clear(&self, file: &File) -> Result<bool, Errno> {
            Self::set(self, fstat(file)?.st_ino, 0);
            Ok(true)
        }

        fn restore(&self, file: &File) -> Result<(), Errno> {
            Self::set(self, fstat(file)?.st_ino, UNIFIED);
            Ok(())
        }

        fn part(&self, _: &File, _: &Entry) -> Result<()> {
            unreachable!("nothing is deunified here")
        }

        fn exposed(
            &self,
            file: &File,
            action: &mut dyn FnMut() -> Result<(), Errno>,
        ) -> Result<(), Exposed> {
            assert_eq!(self.of(fstat(file)?.st_ino), UNIFIED);
            Ok(action()?)
        }
    }

    struct Quiet;

    impl Progress for Quiet {
        fn looked_at(&self) {}
        fn found(&self, _: &Found) {}
        fn failed(&self, _: &str) {}
    }

    /// A tree with a file of two names, and whatever is left in it.
    struct Tree {
        dir: tempfile::TempDir,
        fake: Fake,
    }

    impl Tree {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("sub")).unwrap();
            fs::write(dir.path().join("a"), "shared").unwrap();
            fs::hard_link(dir.path().join("a"), dir.path().join("sub/b")).unwrap();
            let tree = Self {
                dir,
                fake: Fake::default(),
            };
            tree.fake.set(tree.ino("a"), UNIFIED);
            tree
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn ino(&self, name: &str) -> u64 {
            fs::metadata(self.path(name)).unwrap().ino()
        }

        /// Makes a file whose name is made of its inode's number and generation.
        fn copy(&self, name: impl FnOnce(u64, u32) -> String) -> String {
            fs::write(self.path("new"), "copy").unwrap();
            let (ino, generation) = identity(&File::open(self.path("new")).unwrap()).unwrap();
            let name = name(ino, generation);
            fs::rename(self.path("new"), self.path(&name)).unwrap();
            name
        }

        fn cleanup(&self, dry_run: bool) -> Vec<(String, What)> {
            self.cleanup_with(Options {
                dry_run,
                lone: true,
                ..Options::default()
            })
        }

        fn cleanup_with(&self, options: Options) -> Vec<(String, What)> {
            let report = by(
                &self.fake,
                &[self.dir.path().to_owned()],
                options,
                &Quiet,
                Report::default(),
            );
            assert!(report.errors.is_empty(), "{:?}", report.errors);
            let name = |f: &Found| f.path.strip_prefix(self.dir.path()).unwrap().to_owned();
            let found = report.found.iter();
            found
                .map(|f| (name(f).to_str().unwrap().to_owned(), f.what))
                .collect()
        }
    }

    fn kernel(ino: u64, generation: u32) -> String {
        format!(".vserver-cow-{ino:016x}-{generation:08x}-0badcafe")
    }

    fn tool(ino: u64, generation: u32) -> String {
        format!(".vserver-unify.00000000.1.0.{ino:x}.{generation:x}")
    }

    #[test]
    fn copies_are_removed() {
        let tree = Tree::new();
        let names = [tree.copy(kernel), tree.copy(tool)];
        let want = names.each_ref().map(|name| (name.clone(), What::Copy));
        assert_eq!(tree.cleanup(true), want);
        assert!(
            names.iter().all(|name| tree.path(name).exists()),
            "a dry run"
        );
        assert_eq!(tree.cleanup(false), want);
        assert!(names.iter().all(|name| !tree.path(name).exists()));
        assert_eq!(tree.cleanup(false), []);
    }

    #[test]
    fn what_is_not_what_it_says_is_kept() {
        let tree = Tree::new();
        let mut names = vec![
            // Another inode, another generation.
            tree.copy(|ino, generation| kernel(ino + 1, generation)),
            tree.copy(|ino, generation| kernel(ino, generation ^ 1)),
            tree.copy(|ino, generation| tool(ino + 1, generation)),
        ];
        // Its own, but with another name somewhere.
        let linked = tree.copy(kernel);
        fs::hard_link(tree.path(&linked), tree.path("sub/kept")).unwrap();
        // No regular files.
        let (dir, link) = (kernel(1, 1), kernel(2, 2));
        fs::create_dir(tree.path(&dir)).unwrap();
        std::os::unix::fs::symlink("a", tree.path(&link)).unwrap();
        names.extend([linked, dir, link]);
        let found = tree.cleanup(false);
        assert!(
            found.iter().all(|(_, what)| *what == What::Foreign),
            "{found:?}"
        );
        assert_eq!(found.len(), names.len());
        for name in names {
            assert!(tree.path(&name).symlink_metadata().is_ok(), "{name}");
        }
    }

    #[test]
    fn further_names_of_shared_files_are_removed() {
        let tree = Tree::new();
        let (ino, generation) = identity(&File::open(tree.path("a")).unwrap()).unwrap();
        // The kernel's leads to what it says; with ours a copy has exchanged names.
        let debris = [kernel(ino, generation), tool(1, 1)];
        // Somebody else made this one.
        let foreign = kernel(1, 1);
        for name in debris.iter().chain([&foreign]) {
            fs::hard_link(tree.path("a"), tree.path(name)).unwrap();
        }
        let mut found = tree.cleanup(false);
        let mut want = debris.clone().map(|name| (name, What::Link)).to_vec();
        want.push((foreign, What::Foreign));
        for list in [&mut found, &mut want] {
            list.sort_by(|a, b| a.0.cmp(&b.0));
        }
        assert_eq!(found, want);
        assert!(debris.iter().all(|name| !tree.path(name).exists()));
        assert_eq!(fs::metadata(tree.path("a")).unwrap().nlink(), 3);
    }

    #[test]
    fn shared_files_get_their_protection_back() {
        let tree = Tree::new();
        let ino = tree.ino("a");
        tree.fake.set(ino, abi::IATTR_IUNLINK);
        let left = tool(1, 1);
        fs::hard_link(tree.path("a"), tree.path(&left)).unwrap();
        assert_eq!(
            tree.cleanup(true).len(),
            3,
            "each name, as nothing is changed"
        );
        assert_eq!(tree.fake.of(ino), abi::IATTR_IUNLINK);
        assert_eq!(tree.cleanup(false), [(left, What::Link)]);
        assert_eq!(tree.fake.of(ino), UNIFIED);

        tree.fake.set(ino, abi::IATTR_IUNLINK);
        assert_eq!(tree.cleanup(false), [("a".to_owned(), What::Unprotected)]);
        assert_eq!(tree.fake.of(ino), UNIFIED);
        // With one name it is no more than a left-over of making it ordinary.
        fs::remove_file(tree.path("sub/b")).unwrap();
        tree.fake.set(ino, abi::IATTR_IUNLINK);
        assert_eq!(tree.cleanup(false), []);
    }

    #[test]
    fn what_is_protected_for_nobody_is_made_ordinary() {
        let tree = Tree::new();
        let entry = format!(".hash/ab/{}", "0".repeat(62));
        fs::create_dir_all(tree.path(".hash/ab")).unwrap();
        for name in ["lone", entry.as_str()] {
            fs::write(tree.path(name), "protected").unwrap();
            tree.fake.set(tree.ino(name), UNIFIED);
        }
        let busy = tree.cleanup_with(Options::default());
        assert_eq!(busy, [], "a run may be about to share it");
        let found = [("lone".to_owned(), What::Lone)];
        assert_eq!(tree.cleanup(true), found);
        assert_eq!(tree.fake.of(tree.ino("lone")), UNIFIED);
        assert_eq!(tree.cleanup(false), found);
        assert_eq!(tree.fake.of(tree.ino("lone")), 0);
        assert_eq!(tree.fake.of(tree.ino(&entry)), UNIFIED);
        assert_eq!(tree.fake.of(tree.ino("a")), UNIFIED, "it has two names");
        assert_eq!(tree.cleanup(false), []);
    }

    #[test]
    fn a_symlink_is_not_taken_for_a_clean_tree() {
        let tree = Tree::new();
        let link = tree.path("link");
        std::os::unix::fs::symlink("sub", &link).unwrap();
        let report = by(
            &tree.fake,
            &[link],
            Options::default(),
            &Quiet,
            Report::default(),
        );
        assert_eq!(report.errors.len(), 1);
        assert!(
            report.errors[0].contains("/link: Not a directory"),
            "{:?}",
            report.errors
        );
    }

    #[test]
    fn names_in_use_are_left() {
        let tree = Tree::new();
        let dir = File::open(tree.dir.path()).unwrap();
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let copy = openat(&dir, ".", flags, Mode::RUSR).unwrap();
        let temp = crate::temp::Temp::new(dir.as_fd(), &copy.into()).unwrap();
        let want = [(temp.name().to_owned(), What::InUse)];
        assert_eq!(tree.cleanup(false), want);
        assert!(tree.path(temp.name()).exists());
    }
}
