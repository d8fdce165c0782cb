// SPDX-License-Identifier: GPL-2.0
//! The first stage: the trees are walked side by side and compared by stat(2) alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat, unlinkat};
use rustix::io::Errno;

use super::Run;
use super::compare::Key;
use super::links::{self, Links};
use super::plan::{Candidate, DirPlan, Plan};
use super::report::{Amount, Reason, Report};
use crate::debris::{self, Debris};
use crate::exclude::Verdict;
use crate::replace::Inode;

/// A file of one tree.
struct Found {
    tree: usize,
    stat: Stat,
    /// The directory it is in, if it has several names and is not protected as far as stat(2) tells.
    loose: Option<Inode>,
}

/// What the tasks of a scan gather.
#[derive(Default)]
struct Gathered {
    dirs: Vec<DirPlan>,
    links: Links,
    report: Report,
}

/// Walks all trees.
pub(super) fn scan(run: &Run<'_>) -> (Plan, Links, Report) {
    let gathered = Mutex::new(Gathered::default());
    let trees: Vec<usize> = (0..run.trees.len()).collect();
    rayon::scope(|scope| directory(scope, run, &gathered, PathBuf::new(), trees));
    let gathered = gathered.into_inner();
    let Gathered {
        mut dirs,
        links,
        report,
    } = gathered.unwrap_or_else(|e| e.into_inner());
    dirs.sort_unstable_by(|a, b| a.relative.cmp(&b.relative));
    (Plan { dirs }, links, report)
}

/// Looks at one directory that at least two trees have; starts a task for each below.
fn directory<'s>(
    scope: &Scope<'s>,
    run: &'s Run<'s>,
    gathered: &'s Mutex<Gathered>,
    relative: PathBuf,
    trees: Vec<usize>,
) {
    let mut report = Report::default();
    let mut names: BTreeMap<OsString, Vec<usize>> = BTreeMap::new();
    let mut fds: Vec<Option<OwnedFd>> = Vec::new();
    fds.resize_with(run.trees.len(), || None);
    for tree in trees {
        match read_names(run, &mut report, tree, &relative, &mut names) {
            Ok(fd) => fds[tree] = Some(fd),
            Err(errno) => run.fail(&mut report, tree, &relative, "read", errno),
        }
    }
    run.progress.scanned(names.len() as u64);
    let (mut files, mut links) = (Vec::new(), Links::new());
    for (name, trees) in names {
        let path = relative.join(&name);
        let below = Path::new("/").join(&path);
        let usual = run.options.excludes.verdict(&below);
        let verdict = |tree: usize| run.own[tree].map_or(usual, |own| own.verdict(&below));
        let (excluded, trees): (Vec<_>, Vec<_>) = trees
            .into_iter()
            .partition(|tree| verdict(*tree) == Verdict::Exclude);
        report.files += excluded.len() as u64;
        for tree in excluded {
            run.skip(&mut report, tree, &path, Reason::Excluded, 0);
        }
        let (dirs, others) = look(run, &mut report, &fds, &path, &name, trees);
        if dirs.len() > 1 {
            let below = path.clone();
            scope.spawn(move |scope| directory(scope, run, gathered, below, dirs));
        }
        report.files += others.len() as u64;
        let (others, skipped): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|found| verdict(found.tree) == Verdict::Include);
        skip_all(run, &mut report, &path, &skipped, Reason::Excluded);
        let all = group(run, &mut report, &path, others, &mut links);
        files.extend(all.into_iter().map(|group| candidate(&name, &group)));
    }
    let mut gathered = gathered.lock().unwrap_or_else(|e| e.into_inner());
    if !files.is_empty() {
        gathered.dirs.push(DirPlan { relative, files });
    }
    for (inode, names) in links {
        gathered.links.entry(inode).or_default().merge(names);
    }
    gathered.report = std::mem::take(&mut gathered.report).merge(report);
}

/// Adds the names in a tree's directory to `names`; removes what an interrupted run has left.
fn read_names(
    run: &Run<'_>,
    report: &mut Report,
    tree: usize,
    relative: &Path,
    names: &mut BTreeMap<OsString, Vec<usize>>,
) -> Result<OwnedFd, Errno> {
    let fd = run.open_dir(tree, relative)?;
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match debris::judge(run.engine.attributes, &fd, name) {
            Ok(None) => {}
            Ok(Some(Debris::Copy(..) | Debris::Link(..))) => {
                if !run.options.dry_run && unlinkat(&fd, name, AtFlags::empty()).is_ok() {
                    report.cleaned += 1;
                }
                continue;
            }
            // Not to be shared, whatever it is.
            _ => continue,
        }
        names.entry(name.to_owned()).or_default().push(tree);
    }
    Ok(fd)
}

/// The trees in which `name` is a directory, and those files that are none.
fn look(
    run: &Run<'_>,
    report: &mut Report,
    fds: &[Option<OwnedFd>],
    path: &Path,
    name: &OsStr,
    trees: Vec<usize>,
) -> (Vec<usize>, Vec<Found>) {
    let (mut dirs, mut others) = (Vec::new(), Vec::new());
    for tree in trees {
        let Some(fd) = &fds[tree] else { continue };
        match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => dirs.push(tree),
            Ok(stat) => others.push(Found {
                tree,
                stat,
                loose: links::loose_in(fd, name, &stat),
            }),
            // It is gone by now.
            Err(Errno::NOENT) => {}
            Err(errno) => run.fail(report, tree, path, "look at", errno),
        }
    }
    (dirs, others)
}

/// Sorts the files of one name into groups that may be equal.
fn group(
    run: &Run<'_>,
    report: &mut Report,
    path: &Path,
    found: Vec<Found>,
    links: &mut Links,
) -> Vec<Vec<Found>> {
    let (regular, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|f| FileType::from_raw_mode(f.stat.st_mode).is_file());
    skip_all(run, report, path, &others, Reason::NotRegular);
    let (empty, regular): (Vec<_>, Vec<_>) = regular.into_iter().partition(|f| f.stat.st_size == 0);
    skip_all(run, report, path, &empty, Reason::Empty);
    let mut groups: Vec<(Key, Vec<Found>)> = Vec::new();
    for file in regular {
        let key = Key::new(&file.stat, run.options.keep_times);
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, group)) => group.push(file),
            None => groups.push((key, vec![file])),
        }
    }
    let keys: Vec<Key> = groups.iter().map(|(key, _)| *key).collect();
    let mut candidates = Vec::new();
    for (i, (key, group)) in groups.into_iter().enumerate() {
        let first = &group[0].stat;
        let settled = group.len() > 1 && group.iter().all(|f| f.stat.st_ino == first.st_ino);
        for file in &group {
            let Some(dir) = file.loose else { continue };
            let names = links.entry((file.stat.st_dev, file.stat.st_ino));
            names.or_default().add(file.tree, path, dir, settled);
        }
        if group.len() == 1 {
            let others = keys
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != i)
                .map(|(_, k)| k);
            skip_all(run, report, path, &group, why_alone(key, others));
        } else if settled {
            let amount = Amount {
                files: group.len() as u64,
                // All but one would take their own space.
                bytes: disk_bytes(first) * (group.len() as u64 - 1),
            };
            match links.get_mut(&(first.st_dev, first.st_ino)) {
                Some(names) => names.settle(amount),
                None => report.already_shared.add(amount),
            }
        } else {
            candidates.push(group);
        }
    }
    candidates
}

fn candidate(name: &OsStr, group: &[Found]) -> Candidate {
    Candidate {
        name: name.into(),
        size: u64::try_from(group[0].stat.st_size).unwrap_or(0),
        trees: group
            .iter()
            .filter_map(|f| u16::try_from(f.tree).ok())
            .collect(),
    }
}

/// What keeps a file from being grouped: what it has least in common with the others.
fn why_alone<'k>(key: Key, others: impl Iterator<Item = &'k Key>) -> Reason {
    others
        .map(|other| {
            if other.dev != key.dev {
                Reason::OtherFileSystem
            } else if other.size != key.size {
                Reason::Size
            } else if (other.mode, other.owner) != (key.mode, key.owner) {
                Reason::Metadata
            } else {
                Reason::Times
            }
        })
        .max()
        .unwrap_or(Reason::OneTree)
}

fn skip_all(run: &Run<'_>, report: &mut Report, path: &Path, files: &[Found], reason: Reason) {
    for file in files {
        run.skip(report, file.tree, path, reason, disk_bytes(&file.stat));
    }
}

/// What a file takes on disk.
pub(crate) fn disk_bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}
