// SPDX-License-Identifier: GPL-2.0
//! Where guests, their files and what belongs to them lie.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Guest, legacy, read, xids};
use crate::error::{Doing, Error, Result};

/// In front of all directories of a [`Store`], for tests and for another system's disk.
pub const PREFIX: &str = "VSERVER_PREFIX";

/// The directories in which guests and what belongs to them lie.
#[derive(Clone, Debug)]
pub struct Store {
    prefix: PathBuf,
}

/// Where a guest's configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A TOML file.
    File(PathBuf),
    /// A directory of the old tools.
    Legacy(PathBuf),
}

impl Source {
    /// The file or directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Legacy(path) => path,
        }
    }
}

impl Store {
    /// The system's, or that below the directory which the environment names.
    pub fn system() -> Self {
        Self::below(PathBuf::from(
            env::var_os(PREFIX).unwrap_or_else(|| "/".into()),
        ))
    }

    /// That below a directory.
    pub fn below(prefix: PathBuf) -> Self {
        Self { prefix }
    }

    /// The files: `/etc/vserver`.
    pub fn config_dir(&self) -> PathBuf {
        self.prefix.join("etc/vserver")
    }

    /// The directories of the old tools: `/etc/vservers`.
    pub fn legacy_dir(&self) -> PathBuf {
        self.prefix.join("etc/vservers")
    }

    /// Templates for new guests: `/etc/vserver/templates`.
    pub fn template_dir(&self) -> PathBuf {
        self.config_dir().join("templates")
    }

    /// Links to pools that are in no usual place: `/etc/vserver/pools`.
    pub fn pools_dir(&self) -> PathBuf {
        self.config_dir().join("pools")
    }

    /// Where those links lead, in the order of their names. A pool itself may not be there yet.
    ///
    /// [`Error::Place`]: one leads nowhere.
    pub fn pools(&self) -> Result<Vec<PathBuf>> {
        let mut names = entries(&self.pools_dir())?;
        names.sort_unstable();
        let links = names.iter().map(|name| self.pools_dir().join(name));
        links.map(|link| target(&link)).collect()
    }

    /// Where the guests' trees are: `/vservers`.
    pub fn guests_dir(&self) -> PathBuf {
        self.prefix.join("vservers")
    }

    /// What lasts from boot to boot: `/var/lib/vserver`.
    pub fn state_dir(&self) -> PathBuf {
        self.prefix.join("var/lib/vserver")
    }

    /// What does not: `/run/vserver`.
    pub fn run_dir(&self) -> PathBuf {
        self.prefix.join("run/vserver")
    }

    /// A guest's file, whether there is one or not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.config_dir().join(format!("{name}.toml"))
    }

    /// A guest's tree.
    pub fn root(&self, name: &str, guest: &Guest) -> PathBuf {
        let given = guest.root.clone();
        given.unwrap_or_else(|| self.guests_dir().join(name))
    }

    /// Where the output of a guest's init goes.
    pub fn log(&self, name: &str, guest: &Guest) -> PathBuf {
        let given = guest.init.log.clone();
        given.unwrap_or_else(|| self.prefix.join(format!("var/log/vserver/{name}.log")))
    }

    /// Where a guest's configuration is; the old tools' only if there is no file.
    pub fn source(&self, name: &str) -> Result<Source> {
        check_name(name)?;
        let file = self.file(name);
        if fs::symlink_metadata(&file).is_ok() {
            return Ok(Source::File(file));
        }
        let legacy = self.legacy_dir().join(name);
        match legacy.is_dir() {
            true => Ok(Source::Legacy(legacy)),
            false => Err(Error::NoGuest(name.to_owned())),
        }
    }

    /// A guest's configuration.
    pub fn load(&self, name: &str) -> Result<Guest> {
        match self.source(name)? {
            Source::File(path) => read::file(&path),
            Source::Legacy(path) => legacy::read(&path).map(|old| old.guest),
        }
    }

    /// The names of all guests that are configured.
    pub fn names(&self) -> Result<Vec<String>> {
        let sources = self.sources()?.into_iter();
        let mut names: Vec<String> = sources
            .map(|(name, _)| name)
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// What is wrong with the names of files and directories that look like guests', but can't be.
    pub fn misnamed(&self) -> Result<Vec<Error>> {
        let mut errors = Vec::new();
        for (name, path) in self.sources()? {
            // What is hidden is an editor's.
            if name.starts_with('.') {
                continue;
            }
            if let Err(e) = check_name(&name) {
                errors.push(Error::Invalid(format!(
                    "{}: {e}: rename it",
                    path.display()
                )));
            }
        }
        Ok(errors)
    }

    /// The names that there are files or directories for, whether guests can have them or not.
    fn sources(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut sources = Vec::new();
        for name in entries(&self.config_dir())? {
            let file = self.config_dir().join(&name);
            let name = name.to_string_lossy();
            sources.extend(name.strip_suffix(".toml").map(|n| (n.to_owned(), file)));
        }
        for name in entries(&self.legacy_dir())? {
            let dir = self.legacy_dir().join(&name);
            // The old tools kept defaults and more beside the guests.
            if ["vdir", "context", "name"]
                .iter()
                .any(|f| dir.join(f).exists())
            {
                sources.push((name.to_string_lossy().into_owned(), dir));
            }
        }
        sources.sort_unstable();
        Ok(sources)
    }

    /// All guests that are configured, or what is wrong with them.
    pub fn all(&self) -> Result<BTreeMap<String, Result<Guest>>> {
        let names = self.names()?.into_iter();
        Ok(names
            .map(|name| {
                let guest = self.load(&name);
                (name, guest)
            })
            .collect())
    }

    /// The id of a guest's context: the one it is given, or one that it keeps from now on.
    pub fn xid(&self, name: &str, guest: &Guest) -> Result<u32> {
        if let Some(xid) = &guest.xid {
            return Ok(xid.0);
        }
        let taken = self
            .all()?
            .into_values()
            .filter_map(|guest| guest.ok()?.xid.map(|xid| xid.0))
            .collect();
        xids::assign(&self.state_dir().join("xids"), name, &taken)
    }

    /// The same, but none is assigned; `None` if it has none yet.
    pub fn known_xid(&self, name: &str, guest: &Guest) -> Result<Option<u32>> {
        match &guest.xid {
            Some(xid) => Ok(Some(xid.0)),
            None => xids::assigned(&self.state_dir().join("xids"), name),
        }
    }

    /// Forgets the id that was assigned to a guest.
    pub fn forget_xid(&self, name: &str) -> Result<()> {
        xids::forget(&self.state_dir().join("xids"), name)
    }

    /// Writes a guest's file, whole or not at all.
    pub fn save(&self, name: &str, text: &str) -> Result<()> {
        check_name(name)?;
        let path = self.file(name);
        write_whole(&path, text)
    }
}

/// Replaces a file by one with this text.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let doing = || format!("write {}", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    }
    // No guest's file, nor what an editor leaves beside one, has such a name.
    let mut new = path.as_os_str().to_owned();
    new.push("~new");
    let new = PathBuf::from(new);
    let mut file = fs::File::create(&new).doing(doing)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // It is the first error that counts.
        let _ = fs::remove_file(&new);
    }
    written.doing(doing)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Has the names in a directory on the disk.
pub(crate) fn sync_directory(dir: &Path) -> Result<()> {
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .doing(|| format!("sync {}", dir.display()))
}

/// Where a link leads; the last name on the way need not be there.
fn target(link: &Path) -> Result<PathBuf> {
    if let Ok(path) = fs::canonicalize(link) {
        return Ok(path);
    }
    let path = fs::read_link(link).map_err(|e| Error::file("read", link, e))?;
    let path = link.with_file_name(path);
    let above = path.parent().and_then(|above| fs::canonicalize(above).ok());
    match (above, path.file_name()) {
        (Some(above), Some(name)) => Ok(above.join(name)),
        _ => Err(Error::Place(format!(
            "{}: leads to {}, which can't be made: mount the file system of that pool, or remove the link",
            link.display(),
            path.display()
        ))),
    }
}

/// The names in a directory; none if it is not there.
fn entries(dir: &Path) -> Result<Vec<OsString>> {
    let doing = || format!("read {}", dir.display());
    let listed = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.doing(doing)?,
    };
    let mut names = Vec::new();
    for entry in listed {
        names.push(entry.doing(doing)?.file_name());
    }
    Ok(names)
}

/// Checks that `name` can name a guest: a context and a file.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let bad = |why: &str| {
        Err(Error::Invalid(format!(
            "{name:?} can't name a guest: {why}"
        )))
    };
    if name.is_empty() || name.len() > 64 {
        return bad("a name has 1 to 64 characters");
    }
    if !name.chars().all(fits) || name.starts_with(['-', '.']) {
        return bad("letters, digits, - _ and . make a name, and it begins with none of - and .");
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return bad("a number would be taken for an id");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn names_are_names_of_files() {
        for good in ["web", "web-1", "a.b", "x_y", "1a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "17",
            "a/b",
            "..",
            ".x",
            "-x",
            "a b",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_can_not_be_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        store.save("web", "").unwrap();
        for name in [
            "17.toml",
            "my guest.toml",
            ".#web.toml",
            "web.toml~",
            "notes",
        ] {
            fs::write(store.config_dir().join(name), "").unwrap();
        }
        let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9.toml");
        fs::write(store.config_dir().join(latin1), "").unwrap();
        fs::create_dir_all(store.legacy_dir().join("18")).unwrap();
        fs::write(store.legacy_dir().join("18/context"), "18\n").unwrap();
        assert_eq!(store.names().unwrap(), ["web"]);
        let told = store.misnamed().unwrap();
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        let words = [
            "etc/vserver/17.toml: \"17\" can't name a guest: a number would be taken for an id: \
             rename it",
            "etc/vservers/18: \"18\" can't name",
            "my guest.toml: \"my guest\" can't name",
            "caf",
        ];
        for word in words {
            assert!(told.iter().any(|t| t.contains(word)), "{word}: {told:?}");
        }
    }

    #[test]
    fn files_are_replaced_by_way_of_names_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write_whole(&path("web.new"), "another").unwrap();
        // It is in the way of who would write there.
        fs::create_dir(path("web.test~new")).unwrap();
        write_whole(&path("web.prod"), "whole").unwrap();
        assert!(write_whole(&path("web.test"), "").is_err());
        let text = |name| fs::read_to_string(path(name)).unwrap();
        assert_eq!(
            (text("web.new"), text("web.prod")),
            ("another".into(), "whole".into())
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn guests_are_found_by_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        assert!(store.names().unwrap().is_empty());
        store.save("web", "xid = 1000\n").unwrap();
        store.save("db", "nonsense = 1\n").unwrap();
        fs::create_dir_all(store.legacy_dir().join("old/uts")).unwrap();
        fs::create_dir_all(store.legacy_dir().join(".defaults")).unwrap();
        fs::write(store.legacy_dir().join("old/context"), "77\n").unwrap();
        assert_eq!(store.names().unwrap(), ["db", "old", "web"]);
        assert!(store.all().unwrap()["db"].is_err());
        let old = store.load("old").unwrap();
        assert_eq!(store.xid("old", &old).unwrap(), 77);
        assert!(matches!(store.load("none"), Err(Error::NoGuest(_))));
        let web = store.load("web").unwrap();
        assert_eq!(store.root("web", &web), dir.path().join("vservers/web"));
        // An id is kept, and not one that another guest was given.
        let new = Guest::default();
        assert_eq!(store.known_xid("new", &new).unwrap(), None);
        let xid = store.xid("new", &new).unwrap();
        assert_eq!(store.known_xid("new", &new).unwrap(), Some(xid));
        assert_eq!(store.known_xid("web", &web).unwrap(), Some(1000));
        assert_ne!(xid, 1000);
        assert_eq!(store.xid("new", &new).unwrap(), xid);
        assert_ne!(store.xid("newer", &new).unwrap(), xid);
        store.forget_xid("new").unwrap();
        assert_eq!(store.xid("newest", &new).unwrap(), xid);
    }
}
