// SPDX-License-Identifier: GPL-2.0
//! Lists of what to leave alone.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

    /// What the list says of `path`, which begins with a slash.
    pub fn verdict(&self, path: &Path) -> Verdict {
        let path = path.as_os_str().as_bytes();
        let rule = self.rules.iter().find(|r| r.matches(path));
        rule.map_or(Verdict::Include, |r| r.verdict)
    }
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
    fn a_list_that_is_not_there_is_named() {
        let error = Excludes::default().add_file(Path::new("/nonexistent/list"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("--exclude-from /nonexistent/list: "),
            "{error}"
        );
    }
}
