// SPDX-License-Identifier: GPL-2.0
//! New guests, from a distribution, an archive, an image or another guest; and their end.
//!
//! A tree is made beside its place and gets there when it is whole and on the disk: an interrupted build
//! leaves nothing in the place of a guest's tree, and the next one with that name clears it away. The
//! guest's file comes just before the tree: who is killed in between leaves a guest without a tree, which
//! `delete` removes, and never a tree that nobody knows.

mod archive;
mod bootstrap;
mod brief;
mod clone;
mod confined;
mod image;
mod links;
mod remove;
mod unpack;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, open, syncfs};
use rustix::io::Errno;

pub use brief::Brief;
pub(crate) use brief::made_of;
pub(crate) use remove::tree as remove_tree;
pub use remove::{delete, place};

use crate::attr::{self, Kernel};
use crate::config::store::sync_directory;
use crate::config::{Build, Guest, Init, Store, Style};
use crate::error::{Doing, Error, Result};
use crate::guest::Lock;
use crate::unify::Alone;
use crate::walk::DIRECTORY;

/// How the name ends of a tree that is being made,
pub(crate) const NEW: &str = ".new";
/// and of one that is being removed.
pub(crate) const GONE: &str = ".gone";
/// and, behind the number of a process, of one that is there for a run of that.
pub(crate) const RUN: &str = ".run";

/// Is told how far a build is.
pub trait Progress {
    /// Something new begins, of so many bytes or files if that is known.
    fn begin(&self, what: &str, length: Option<u64>);
    /// So much more of it is done.
    fn advance(&self, by: u64);
    /// A line of what a program says.
    fn line(&self, text: &str);
}

/// A guest that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its tree.
    pub root: PathBuf,
    /// Its file.
    pub file: PathBuf,
    /// Its configuration.
    pub guest: Guest,
    /// What was left out of an archive: devices.
    pub left_out: u64,
    /// As whom an image wants its command to be run, if not as root; it is run as root.
    pub user: Option<String>,
    /// Why the files of another guest were copied instead of being linked.
    pub copied: Option<String>,
}

/// Builds guest `name` as its configuration's `build` says, and writes its file. The process must
/// have one thread.
pub fn build(
    store: &Store,
    name: &str,
    mut guest: Guest,
    progress: &dyn Progress,
) -> Result<Built> {
    let _lock = Lock::take(store, name)?;
    let _trees = Lock::trees(store)?;
    let root = store.root(name, &guest);
    refuse_existing(store, name, &root)?;
    guest.build.check()?;
    let part = beside(&root, NEW)?;
    remove::tree(&part)?;
    let parent = part.parent().unwrap_or(Path::new("/"));
    make_private(parent)?;
    let made = make(store, &part, &mut guest, progress).and_then(|made| {
        settle(name, &part, &mut guest)?;
        let text = guest.to_toml()?;
        sync(&part)?;
        let rename = || fs::rename(&part, &root).doing(|| format!("rename {}", part.display()));
        store
            .save(name, &text)
            .and_then(|()| rename())
            .inspect_err(|_| {
                // A file without a tree would be in the way of the next build.
                let _ = fs::remove_file(store.file(name));
            })?;
        Ok(made)
    });
    let made = match made {
        Ok(made) => made,
        Err(e) => {
            // It is the first error that counts; what stays the next build clears away.
            let _ = remove::tree(&part);
            return Err(e);
        }
    };
    sync_directory(parent)?;
    if let Some(original) = &made.linked {
        crate::clone::remember(original, &root);
    }
    Ok(Built {
        root,
        file: store.file(name),
        guest,
        left_out: made.left_out,
        user: made.user,
        copied: made.copied,
    })
}

fn refuse_existing(store: &Store, name: &str, root: &Path) -> Result<()> {
    match store.source(name) {
        Ok(source) => {
            return Err(Error::Busy(format!(
                "{name}: there is such a guest, {}: choose another name, or vserver delete it",
                source.path().display()
            )));
        }
        Err(Error::NoGuest(_)) => {}
        Err(e) => return Err(e),
    }
    match fs::symlink_metadata(root) {
        Ok(_) => Err(Error::Busy(format!(
            "{}: it is there: remove it, or make it a guest by a file {}",
            root.display(),
            store.file(name).display()
        ))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::file("look at", root, e)),
    }
}

/// Has a tree on the disk, all of it.
fn sync(tree: &Path) -> Result<()> {
    let doing = || format!("sync {}", tree.display());
    let dir = open(tree, DIRECTORY, Mode::empty()).doing(doing)?;
    syncfs(dir).doing(doing)
}

/// The name of a tree that is being made or removed: hidden, in the same directory.
fn beside(root: &Path, end: &str) -> Result<PathBuf> {
    match root.file_name() {
        Some(name) => Ok(root.with_file_name(format!(".{}{end}", name.to_string_lossy()))),
        None => Err(Error::Invalid(format!(
            "{}: not a guest's root",
            root.display()
        ))),
    }
}

/// A tree that was made.
#[derive(Default)]
struct Made {
    /// How many files could not be made.
    left_out: u64,
    /// The tree that it shares its files with.
    linked: Option<PathBuf>,
    /// The user whom an image names.
    user: Option<String>,
    /// Why it is a copy of another.
    copied: Option<String>,
}

/// Makes the tree.
fn make(store: &Store, part: &Path, guest: &mut Guest, progress: &dyn Progress) -> Result<Made> {
    let build = guest.build.clone();
    if let Some(archive) = &build.tar {
        make_dir(part)?;
        let left_out = archive::unpack(archive, part, progress)?;
        return Ok(Made {
            left_out,
            ..Made::default()
        });
    }
    if let Some(image) = &build.oci {
        make_dir(part)?;
        let unpacked = image::unpack(image, part, progress)?;
        if guest.init == Init::default() {
            guest.init = unpacked.init;
        }
        return Ok(Made {
            left_out: unpacked.left_out,
            user: unpacked.user,
            ..Made::default()
        });
    }
    if let Some(other) = &build.clone {
        return copy_of(store, other, part, progress);
    }
    bootstrap::bootstrap(&build, part, progress)?;
    Ok(Made::default())
}

/// Makes the tree of a guest anew, by links if that is possible.
fn copy_of(store: &Store, other: &str, to: &Path, progress: &dyn Progress) -> Result<Made> {
    let original = store.load(other)?;
    let from = store.root(other, &original);
    let copied = links::obstacle(&from, to);
    if copied.is_some() {
        clone::tree(&from, to, attr::best(), progress)?;
        return Ok(Made {
            copied,
            ..Made::default()
        });
    }
    let _alone = Alone::new()?;
    links::tree(&from, to, &original, &Kernel, progress)?;
    Ok(Made {
        linked: Some(from),
        ..Made::default()
    })
}

fn make_dir(path: &Path) -> Result<()> {
    let doing = || format!("make {}", path.display());
    fs::create_dir(path).doing(doing)?;
    // Whatever the umask: it is the guest's root.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).doing(doing)
}

/// Makes the directory that guests' trees are in, if there is none, for root alone: see [`is_open`].
fn make_private(path: &Path) -> Result<()> {
    let doing = || format!("make {}", path.display());
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).doing(doing)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.doing(doing),
    }
}

/// Whether users of the host can get to the tree. A program that is made setuid in it is that for them,
/// too.
pub fn is_open(tree: &Path) -> bool {
    let others = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.mode() & 0o001 != 0);
    tree.ancestors().skip(1).all(others)
}

/// What the tree says of how it is started, and what it is told of its name.
fn settle(name: &str, part: &Path, guest: &mut Guest) -> Result<()> {
    if !part.join("bin").exists() && !part.join("usr").exists() && guest.build.oci.is_none() {
        return Err(Error::Invalid(format!(
            "{name}: there is neither /bin nor /usr in it: is the root directory of a system what \
             it was made of?"
        )));
    }
    if guest.init == Init::default() {
        guest.init.style = confined::own_init(part)?;
    }
    match guest.build.suite {
        Some(_) => confined::write(part, "etc/hostname", &format!("{name}\n")),
        None => Ok(()),
    }
}

impl Build {
    /// Finds what contradicts itself.
    pub(crate) fn check(&self) -> Result<()> {
        let given = [
            self.suite.is_some(),
            self.tar.is_some(),
            self.oci.is_some(),
            self.clone.is_some(),
        ];
        match given.into_iter().filter(|g| *g).count() {
            1 => Ok(()),
            0 => Err(Error::Invalid(
                "what shall it be built of? Give --suite, --tar, --oci, --clone or --template"
                    .into(),
            )),
            _ => Err(Error::Invalid(
                "it can be built of one thing only: suite, tar, oci or clone".into(),
            )),
        }
    }
}

/// What a template, `<templates>/<name>.toml` or a file, has for a new guest.
pub fn template(store: &Store, name: &str) -> Result<Guest> {
    let path = match name.contains('/') {
        true => PathBuf::from(name),
        false => store.template_dir().join(format!("{name}.toml")),
    };
    let dir = store.template_dir();
    let mut guest = crate::config::read::file(&path).map_err(|e| match e.errno() {
        Some(Errno::NOENT) => Error::Invalid(format!(
            "{e}; a template is a file NAME.toml in {}, or one that is named with a / in it",
            dir.display()
        )),
        _ => e,
    })?;
    // Those are one guest's own.
    guest.xid = None;
    guest.root = None;
    Ok(guest)
}

/// What a clone takes over of the guest that it is a clone of.
pub fn for_clone(store: &Store, other: &str) -> Result<Guest> {
    let mut guest = store.load(other)?;
    guest.xid = None;
    guest.root = None;
    guest.names.hostname = None;
    guest.init.log = None;
    guest.autostart = false;
    guest.build = Build {
        clone: Some(other.to_owned()),
        ..Build::default()
    };
    Ok(guest)
}

/// The style of the init that a tree has.
fn style_of(init: Option<&Path>) -> Style {
    match init {
        None => Style::Small,
        Some(path) if path.ends_with("systemd") => Style::Systemd,
        Some(_) => Style::Sysv,
    }
}

#[cfg(test)]
mod tests;
