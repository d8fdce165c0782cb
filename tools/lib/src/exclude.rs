// SPDX-License-Identifier: GPL-2.0
//! Lists of what to leave alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::{Guest, Store};
use crate::error::{Error, Result};
use crate::glob;

/// What a list says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Deal with it.
    Include,
    /// Leave the file itself alone, but look into the directory.
    Skip,
    /// Leave it alone with all that is in it.
    Exclude,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    verdict: Verdict,
    pattern: Vec<u8>,
    /// It has nothing that matches more than itself.
    literal: bool,
}

impl Rule {
    fn matches(&self, path: &[u8]) -> bool {
        match self.literal {
            true => self.pattern == path,
            false => glob::matches(&self.pattern, path),
        }
    }
}

/// A list of patterns; the first that matches decides, and what none matches is included.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    rules: Vec<Rule>,
}

/// What is each guest's own, or changed so soon that sharing it is in vain.
const DEFAULTS: &str = "\
/proc
/sys
/dev
/run
/tmp
/var/run
/var/lock
/var/tmp
/var/log
/var/spool
/var/mail
/var/cache
/lost+found
# configuration
/etc
/usr/local/etc
# databases
/var/lib/apt
/var/lib/dpkg/status*
/var/lib/dpkg/available*
/var/lib/dpkg/lock*
/var/lib/dpkg/updates
/var/lib/dpkg/diversions*
/var/lib/dpkg/statoverride*
/var/lib/mysql
/var/lib/postgresql
/var/lib/pgsql
/var/lib/ldap
/var/lib/redis
/var/lib/mongodb
/var/lib/rpm
/var/lib/systemd
/var/lib/dbus
*.db
*.sqlite
*.sqlite3
*.ibd
*.mdb
# locks
*.lock
*.pid
";

impl Excludes {
    /// Appends the rules of a list: one pattern a line, `#` for comments; `+` includes,
    /// `~` skips, `-` or nothing excludes.
    pub fn add_list(&mut self, list: &[u8]) {
        let lines = list.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|l| !l.is_empty() && !l.starts_with(b"#")) {
            self.add(line);
        }
    }

    /// Appends one rule.
    pub fn add(&mut self, rule: &[u8]) {
        let (verdict, pattern) = match rule {
            [b'+', pattern @ ..] => (Verdict::Include, pattern),
            [b'~', pattern @ ..] => (Verdict::Skip, pattern),
            [b'-', pattern @ ..] => (Verdict::Exclude, pattern),
            pattern => (Verdict::Exclude, pattern),
        };
        let pattern = pattern.trim_ascii().to_vec();
        let literal = !pattern.iter().any(|byte| b"*?[\\".contains(byte));
        self.rules.push(Rule {
            verdict,
            pattern,
            literal,
        });
    }

    /// Appends the rules of a file.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let list = fs::read(path).map_err(|e| Error::file("--exclude-from", path, e))?;
        self.add_list(&list);
        Ok(())
    }

    /// Appends the built-in rules.
    pub fn add_defaults(&mut self) {
        self.add_list(DEFAULTS.as_bytes());
    }

    /// Appends what a guest's file has.
    pub fn add_own(&mut self, guest: &Guest) {
        let rules = guest.hashify.exclude.iter();
        rules.for_each(|rule| self.add(rule.as_bytes()));
    }

    /// What the list says of `path`, which begins with a slash.
    pub fn verdict(&self, path: &Path) -> Verdict {
        let path = path.as_os_str().as_bytes();
        let rule = self.rules.iter().find(|r| r.matches(path));
        rule.map_or(Verdict::Include, |r| r.verdict)
    }
}

/// Lists of trees that have one of their own, by their path without symlinks.
pub type Own = BTreeMap<PathBuf, Excludes>;

/// The lists of those of the trees whose guest's file has patterns. `list` makes one of a guest.
///
/// Fails if the file of one of these guests can't be read.
pub fn own(store: &Store, trees: &[PathBuf], list: impl Fn(&Guest) -> Excludes) -> Result<Own> {
    let trees: Vec<_> = trees.iter().flat_map(fs::canonicalize).collect();
    let mut own = Own::new();
    for (name, guest) in store.all()? {
        let root = match &guest {
            Ok(guest) => store.root(&name, guest),
            Err(_) => store.guests_dir().join(&name),
        };
        let Some(root) = fs::canonicalize(root).ok().filter(|r| trees.contains(r)) else {
            continue;
        };
        let guest = guest?;
        if !guest.hashify.exclude.is_empty() {
            own.insert(root, list(&guest));
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(list: &Excludes, path: &str) -> Verdict {
        list.verdict(Path::new(path))
    }

    #[test]
    fn the_first_match_decides() {
        let mut list = Excludes::default();
        list.add_list(b"# own\n+/etc/services\n\n ~/etc\n-/srv\n/home\n");
        assert_eq!(verdict(&list, "/etc/services"), Verdict::Include);
        assert_eq!(verdict(&list, "/etc"), Verdict::Skip);
        assert_eq!(verdict(&list, "/srv"), Verdict::Exclude);
        assert_eq!(verdict(&list, "/home"), Verdict::Exclude);
        assert_eq!(verdict(&list, "/usr"), Verdict::Include);
    }

    #[test]
    fn built_in_rules_come_after_the_users() {
        let mut list = Excludes::default();
        list.add(b"+/var/log");
        list.add_defaults();
        assert_eq!(verdict(&list, "/var/log"), Verdict::Include);
        assert_eq!(verdict(&list, "/etc"), Verdict::Exclude);
        assert_eq!(verdict(&list, "/var/lib/dpkg/status-old"), Verdict::Exclude);
        assert_eq!(
            verdict(&list, "/var/lib/dpkg/info/bash.list"),
            Verdict::Include
        );
        assert_eq!(verdict(&list, "/usr/bin/bash"), Verdict::Include);
        assert_eq!(verdict(&list, "/opt/app/data/x.sqlite"), Verdict::Exclude);
    }

    #[test]
    fn guests_have_patterns_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        let tree = |name: &str| store.guests_dir().join(name);
        for name in ["web", "db", "typo"] {
            fs::create_dir_all(tree(name)).unwrap();
        }
        store
            .save("web", "[hashify]\nexclude = [\"/srv\"]")
            .unwrap();
        store.save("db", "").unwrap();
        store.save("typo", "nonsense = 1").unwrap();
        let list = |guest: &Guest| {
            let mut list = Excludes::default();
            list.add_own(guest);
            list
        };
        let own = super::own(&store, &[tree("web"), tree("db")], list).unwrap();
        assert_eq!(own.len(), 1);
        let web = &own[&tree("web").canonicalize().unwrap()];
        assert_eq!(verdict(web, "/srv"), Verdict::Exclude);
        // Better none is taken than one that shall not be.
        let error = super::own(&store, &[tree("typo")], list).unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error}");
    }

    #[test]
    fn a_list_that_is_not_there_is_named() {
        let error = Excludes::default().add_file(Path::new("/nonexistent/list"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("--exclude-from /nonexistent/list: "),
            "{error}"
        );
    }
}
