// SPDX-License-Identifier: GPL-2.0
//! Equal files of several trees become one inode.
//!
//! A pipeline of stages, each cheaper than the next:
//!
//! 1. `scan`: the trees are walked side by side. Names that at least two trees have are
//!    looked at: type, size, file system, mode, owner. What could be equal is in the [`Plan`].
//!    `links`: what several trees share without protection is protected.
//! 2. extended attributes and the first bytes of content;
//! 3. `share`: both files get the attributes that make their content stand still, then it
//!    is compared as a whole, then the kernel makes one name lead to the other's inode.
//!
//! The trees may belong to guests that run, and that wish us no good: no path is looked up
//! twice and no symlink is followed; files are opened once and dealt with by descriptor.

mod alone;
pub(crate) mod compare;
mod group;
pub(crate) mod links;
mod plan;
pub(crate) mod report;
mod scan;
pub(crate) mod share;
mod uses;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::attr::Attributes;
use crate::error::{Error, Result};
use crate::exclude::{self, Excludes};
use crate::hashify::trees::check_directory_writable;
use crate::replace::Inode;

pub use alone::Alone;
pub use plan::{Candidate, DirPlan, Plan};
pub use report::{Amount, Reason, Report};
pub(crate) use scan::disk_bytes;
use uses::Uses;

/// What to unify, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The trees.
    pub trees: Vec<PathBuf>,
    /// Files of the first tree stay what they are, the others' join them and no others.
    pub reference: bool,
    /// What to leave alone,
    pub excludes: Excludes,
    /// but in these trees.
    pub own_excludes: exclude::Own,
    /// Compare, but change nothing.
    pub dry_run: bool,
    /// Only files with the same modification time.
    pub keep_times: bool,
}

/// Somebody who watches. All methods may be called from several threads.
pub trait Progress: Sync {
    /// A directory with so many names has been looked at.
    fn scanned(&self, names: u64);
    /// The scan is over: so many files have to be compared.
    fn planned(&self, files: u64);
    /// So many of them are done.
    fn done(&self, files: u64);
    /// A file is not shared.
    fn skipped(&self, path: &Path, reason: Reason);
    /// Something went wrong with a file.
    fn failed(&self, message: &str);
}

/// What making two names lead to one inode takes.
pub(crate) struct Engine<'a> {
    /// How attributes are read and changed.
    pub(crate) attributes: &'a dyn Attributes,
    /// Compare, but change nothing.
    pub(crate) dry_run: bool,
    /// Only files with the same modification time.
    pub(crate) keep_times: bool,
    /// Files that a run which changes something would have protected by now.
    assumed: HashSet<Inode>,
    uses: Uses,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(attributes: &'a dyn Attributes, dry_run: bool, keep_times: bool) -> Self {
        Self {
            attributes,
            dry_run,
            keep_times,
            assumed: HashSet::new(),
            uses: Uses::default(),
        }
    }
}

/// A run: everything its parts need to know.
struct Run<'a> {
    /// The lists of trees that have one of their own.
    own: Vec<Option<&'a Excludes>>,
    options: &'a Options,
    engine: Engine<'a>,
    progress: &'a dyn Progress,
    trees: Vec<Tree>,
    /// Files that several trees share and that could not be protected, and why.
    left: HashMap<Inode, Reason>,
}

/// An open tree.
struct Tree {
    path: PathBuf,
    fd: OwnedFd,
}

impl Run<'_> {
    /// The path of a tree's file, for messages.
    fn path(&self, tree: usize, relative: &Path) -> PathBuf {
        self.trees[tree].path.join(relative)
    }

    /// Notes that a file is not shared.
    fn skip(&self, report: &mut Report, tree: usize, relative: &Path, reason: Reason, bytes: u64) {
        report.skip(reason, Amount { files: 1, bytes });
        self.progress.skipped(&self.path(tree, relative), reason);
    }

    /// Notes that something went wrong with a file, which is not shared.
    fn fail(&self, report: &mut Report, tree: usize, relative: &Path, doing: &str, errno: Errno) {
        self.complain(report, tree, relative, doing, errno);
        report.skip(Reason::Error, Amount { files: 1, bytes: 0 });
    }

    /// Says what went wrong with a file.
    fn complain(
        &self,
        report: &mut Report,
        tree: usize,
        relative: &Path,
        doing: &str,
        errno: Errno,
    ) {
        let error = Error::file(doing, &self.path(tree, relative), errno);
        report.no_space |= error.is_full();
        let message = error.to_string();
        self.progress.failed(&message);
        report.error(message);
    }

    /// Opens a tree's directory; neither symlinks nor `..` lead out of the tree.
    fn open_dir(&self, tree: usize, relative: &Path) -> Result<OwnedFd, Errno> {
        let path = match relative.as_os_str().is_empty() {
            true => Path::new("."),
            false => relative,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.trees[tree].fd, path, flags, Mode::empty(), resolve)
    }
}

/// Unifies the trees.
pub fn unify(
    options: &Options,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Report> {
    raise_fd_limit();
    let trees = open_trees(&options.trees)?;
    if !options.dry_run {
        let check = |tree: &Tree| check_directory_writable(&tree.fd, &tree.path);
        trees.iter().try_for_each(check)?;
    }
    let own = |tree: &Tree| {
        let path = std::fs::canonicalize(&tree.path).ok()?;
        options.own_excludes.get(&path)
    };
    let mut run = Run {
        own: trees.iter().map(own).collect(),
        options,
        engine: Engine::new(attributes, options.dry_run, options.keep_times),
        progress,
        trees,
        left: HashMap::new(),
    };
    let (plan, links, mut report) = scan::scan(&run);
    links::protect_all(&mut run, links, &mut report);
    progress.planned(plan.files());
    Ok(plan
        .dirs
        .par_iter()
        .map(|dir| group::directory(&run, dir))
        .reduce(Report::default, Report::merge)
        .merge(report))
}

/// Many trees mean many open files: takes as many as the administrator allows.
pub(crate) fn raise_fd_limit() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where this is refused the usual limit has to do, and says so when it does not.
    let _ = setrlimit(Resource::Nofile, all);
}

fn open_trees(paths: &[PathBuf]) -> Result<Vec<Tree>> {
    let mut trees: Vec<Tree> = Vec::new();
    let mut seen = Vec::new();
    for path in paths {
        let failed = |errno: Errno| Error::place("open", path, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        if seen.contains(&(stat.st_dev, stat.st_ino)) {
            return Err(Error::Place(format!(
                "{}: the same tree is named twice",
                path.display()
            )));
        }
        seen.push((stat.st_dev, stat.st_ino));
        trees.push(Tree {
            path: path.clone(),
            fd,
        });
    }
    Ok(trees)
}
