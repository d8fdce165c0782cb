// SPDX-License-Identifier: GPL-2.0
//! The configuration of the old tools: a directory `/etc/vservers/<name>` with a file for each
//! setting.

mod apps;
mod disk;
mod names;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Guest, Mount, Text, check};
use crate::error::{Error, Result};

use names::{BUCKET, FLAGS, FLAGS_DONE, LIMITS, NAMES, NOT_NEEDED, OFF, USUAL_MOUNTS};

/// What became of such a directory.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// The guest.
    pub guest: Guest,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Reads such a directory.
pub fn read(dir: &Path) -> Result<Legacy> {
    let mut reading = Reading {
        dir,
        guest: Guest::default(),
        notes: Vec::new(),
    };
    for name in entries(dir)? {
        reading.entry(&name)?;
    }
    let Reading { guest, notes, .. } = reading;
    let guest = check::refuse(guest, dir, None)?;
    Ok(Legacy { guest, notes })
}

/// The names in a directory, sorted.
fn entries(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::file("read", dir, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort_unstable();
    Ok(names)
}

struct Reading<'a> {
    dir: &'a Path,
    guest: Guest,
    notes: Vec<String>,
}

impl Reading<'_> {
    fn note(&mut self, what: &str, why: &str) {
        self.notes.push(format!("{what}: {why}"));
    }

    /// A file's lines, without comments.
    fn lines(&self, name: &str) -> Result<Vec<String>> {
        let path = self.dir.join(name);
        match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::file("read", &path, e)),
            Ok(text) => {
                let lines = text.lines().map(str::trim);
                let lines = lines.filter(|l| !l.is_empty() && !l.starts_with('#'));
                Ok(lines.map(str::to_owned).collect())
            }
        }
    }

    /// The first line of a file, as a value.
    fn value<T: FromStr<Err = Error>>(&self, name: &str) -> Result<Option<Text<T>>> {
        let Some(text) = self.lines(name)?.into_iter().next() else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|e| self.wrong(name, e))
    }

    fn number(&self, name: &str) -> Result<Option<i32>> {
        let Some(text) = self.lines(name)?.into_iter().next() else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|_| self.wrong(name, format!("{text}: not a number")))
    }

    fn wrong(&self, name: &str, why: impl ToString) -> Error {
        Error::Config {
            file: self.dir.join(name),
            line: 1,
            column: 1,
            key: None,
            message: why.to_string(),
        }
    }

    fn entry(&mut self, name: &str) -> Result<()> {
        match name {
            "context" => self.guest.xid = self.value(name)?,
            "vdir" => {
                let path = self.dir.join(name);
                self.guest.root = fs::canonicalize(&path)
                    .or_else(|_| fs::read_link(&path))
                    .ok();
            }
            "uts" => self.names()?,
            "dlimits" => self.disk()?,
            "bcapabilities" => self.bcaps()?,
            "ccapabilities" => self.ccaps()?,
            "flags" => self.flags()?,
            "fstab" => self.fstab()?,
            "apps" => self.apps()?,
            "rlimits" => self.rlimits()?,
            "sched" => self.sched()?,
            "schedule" => self.schedule()?,
            "spaces" => self.spaces()?,
            "badness" => self.guest.limits.oom_bias = self.value(name)?,
            "interfaces" | "nflags" | "ncapabilities" | "nid" => self.note(
                name,
                "a context has no addresses of its own; give the guest a network namespace \
                 (spaces.own) or use the host's",
            ),
            name if NOT_NEEDED.contains(&name) => {}
            other => self.note(other, "has no counterpart"),
        }
        Ok(())
    }

    fn names(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("uts"))? {
            let path = format!("uts/{name}");
            match NAMES.iter().find(|(old, _)| *old == name) {
                Some((_, place)) => *place(&mut self.guest.names) = self.value(&path)?,
                None => self.note(&path, "has no counterpart"),
            }
        }
        Ok(())
    }

    /// Theirs came on top of the usual ones.
    fn bcaps(&mut self) -> Result<()> {
        let changes = self.lines("bcapabilities")?.into_iter().map(|line| {
            let (sign, name) = match line.strip_prefix(OFF) {
                Some(name) => ('-', name),
                None => ('+', line.as_str()),
            };
            let name = name.to_ascii_lowercase();
            format!("{sign}{}", name.strip_prefix("cap_").unwrap_or(&name))
        });
        let changes = changes.collect::<Vec<_>>().join(",");
        if !changes.is_empty() {
            let caps = changes
                .parse()
                .map_err(|e: Error| self.wrong("bcapabilities", e))?;
            self.guest.capabilities.linux = Some(caps);
        }
        Ok(())
    }

    fn ccaps(&mut self) -> Result<()> {
        for line in self.lines("ccapabilities")? {
            let name = line.to_ascii_lowercase();
            match name.parse() {
                Ok(cap) => self.guest.capabilities.context.push(cap),
                Err(_) => self.note("ccapabilities", &format!("{line} has no counterpart")),
            }
        }
        Ok(())
    }

    fn flags(&mut self) -> Result<()> {
        for line in self.lines("flags")? {
            let lower = line.to_ascii_lowercase();
            let (sign, name) = match lower.strip_prefix(OFF) {
                Some(name) => ("-", name),
                None => ("", lower.as_str()),
            };
            if FLAGS_DONE.contains(&name) {
                continue;
            }
            let renamed = FLAGS.iter().find(|(old, _)| *old == name);
            let name = renamed.map_or(name, |(_, new)| new);
            match format!("{sign}{name}").parse() {
                Ok(flag) => self.guest.flags.push(flag),
                Err(_) => self.note("flags", &format!("{line} has no counterpart")),
            }
        }
        Ok(())
    }

    fn fstab(&mut self) -> Result<()> {
        for line in self.lines("fstab")? {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [source, target, kind, rest @ ..] = words.as_slice() else {
                return Err(self.wrong("fstab", format!("{line}: not a line of fstab(5)")));
            };
            if USUAL_MOUNTS.contains(kind) {
                continue;
            }
            let options: Vec<String> = rest
                .first()
                .map(|o| o.split(','))
                .into_iter()
                .flatten()
                .filter(|o| !["defaults", "bind"].contains(o))
                .map(str::to_owned)
                .collect();
            let bind = rest
                .first()
                .is_some_and(|o| o.split(',').any(|o| o.ends_with("bind")));
            self.guest.mounts.push(Mount {
                source: (*source).to_owned(),
                target: PathBuf::from(target),
                kind: if bind { "bind" } else { kind }.to_owned(),
                options,
            });
        }
        Ok(())
    }

    fn rlimits(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("rlimits"))? {
            let (thing, which) = name.split_once('.').unwrap_or((&name, "hard"));
            let path = format!("rlimits/{name}");
            let Some((_, place)) = LIMITS.iter().find(|(old, _)| *old == thing) else {
                self.note(&path, "has no counterpart; a memory cgroup limits memory");
                continue;
            };
            if which != "hard" {
                self.note(&path, "only hard limits act");
                continue;
            }
            let text = self.lines(&path)?.concat();
            let text = text
                .strip_prefix("inf")
                .map_or(text.as_str(), |_| "unlimited");
            let most = Some(text.parse().map_err(|e: Error| self.wrong(&path, e))?);
            *place(&mut self.guest.limits) = most;
        }
        Ok(())
    }

    fn sched(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("sched"))? {
            let path = format!("sched/{name}");
            if self.dir.join(&path).is_dir() {
                self.note(&path, "a context has one bucket for all CPUs");
            } else if let Some((_, place)) = BUCKET.iter().find(|(old, _)| *old == name) {
                *place(&mut self.guest.scheduler) = self.number(&path)?;
            } else if name != "idle-time" {
                // An idle rate acts anyway.
                self.note(&path, "has no counterpart");
            }
        }
        Ok(())
    }

    /// The same in one file, a value a line.
    fn schedule(&mut self) -> Result<()> {
        let mut values = Vec::new();
        for line in self.lines("schedule")?.iter().take(5) {
            let number = line.parse::<i32>();
            values
                .push(number.map_err(|_| self.wrong("schedule", format!("{line}: not a number")))?);
        }
        let mut next = values.into_iter();
        let s = &mut self.guest.scheduler;
        s.fill_rate = next.next();
        s.interval = next.next();
        s.tokens = next.next();
        s.tokens_min = next.next();
        s.tokens_max = next.next();
        Ok(())
    }

    fn spaces(&mut self) -> Result<()> {
        for name in entries(&self.dir.join("spaces"))? {
            if name != "net" {
                self.note(&format!("spaces/{name}"), "has no counterpart");
                continue;
            }
            let own = ["mnt", "uts", "ipc", "net"].iter().map(|n| n.parse());
            self.guest.spaces.own = Some(own.collect::<Result<_>>()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn an_old_directory_becomes_a_file() {
        let dir = dir(&[
            ("context", "42\n"),
            ("name", "web\n"),
            ("uts/nodename", "web.example.org\n"),
            ("bcapabilities", "CAP_NET_RAW\n~CAP_KILL\n# all\n"),
            ("ccapabilities", "secure_mount\nraw_icmp\n"),
            ("flags", "fakeinit\nvirt_uptime\n~virt_load\nnproc\nfly\n"),
            (
                "fstab",
                "none /proc proc defaults 0 0\n/srv /srv none bind,ro 0 0\n\
                 none /tmp tmpfs size=16m,mode=1777 0 0\n",
            ),
            ("apps/init/style", "sysv\n"),
            ("apps/init/mark", "default\n"),
            ("apps/init/depends", "db\n"),
            ("apps/vunify/hash/0", "x"),
            ("apps/vunify/exclude", "# ours\n/srv/*.img\n+/etc/magic\n"),
            ("rlimits/nproc.hard", "200\n"),
            ("rlimits/nofile", "inf\n"),
            ("rlimits/as", "90000\n"),
            ("rlimits/rss", "1000\n"),
            ("schedule", "1\n4\n50\n20\n100\n"),
            ("interfaces/0/ip", "10.0.0.1\n"),
        ]);
        let Legacy { guest, notes } = read(dir.path()).unwrap();
        let expected = r#"xid = 42
autostart = true
requires = ["db"]
flags = ["info_init", "virt_uptime", "-virt_load"]

[init]
style = "small"
command = ["/etc/init.d/rc", "3"]

[stop]
command = ["/etc/init.d/rc", "6"]

[names]
hostname = "web.example.org"

[capabilities]
linux = "+net_raw,-kill"
context = ["secure_mount"]

[limits]
processes = 200
files = "unlimited"
address_space = 90000

[scheduler]
fill_rate = 1
interval = 4
tokens = 50
tokens_min = 20
tokens_max = 100

[hashify]
exclude = ["/srv/*.img", "+/etc/magic"]

[[mount]]
source = "/srv"
target = "/srv"
type = "bind"
options = ["ro"]

[[mount]]
source = "none"
target = "/tmp"
type = "tmpfs"
options = ["size=16m", "mode=1777"]
"#;
        assert_eq!(guest.to_toml().unwrap(), expected);
        for left_out in ["raw_icmp", "fly", "rlimits/rss", "interfaces"] {
            assert!(notes.iter().any(|n| n.contains(left_out)), "{notes:?}");
        }
        assert_eq!(notes.len(), 4, "{notes:?}");
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        let dir = dir(&[
            ("apps/init/killseq", "x"),
            ("apps/pkgmgmt/internal", ""),
            ("sched/fill-rate", "1\n"),
            ("sched/priority-bias", "-2\n"),
            ("sched/idle-time", ""),
            ("sched/0/fill-rate", "2\n"),
            ("sched/cpu-id", "0\n"),
            ("uts/nodename", "web\n"),
            ("uts/context", "web\n"),
        ]);
        let Legacy { guest, notes } = read(dir.path()).unwrap();
        let s = &guest.scheduler;
        assert_eq!((s.fill_rate, s.prio_bias), (Some(1), Some(-2)));
        let named: Vec<_> = notes.iter().filter_map(|n| n.split(": ").next()).collect();
        assert_eq!(
            named,
            [
                "apps/init/killseq",
                "apps/pkgmgmt",
                "sched/0",
                "sched/cpu-id",
                "uts/context"
            ]
        );
    }

    #[test]
    fn what_is_switched_off_is_off_in_each_way() {
        let dir = dir(&[
            ("bcapabilities", "!CAP_KILL\n~LEASE\n-chown\n"),
            ("flags", "!virt_load\n~virt_uptime\n!nproc\n"),
        ]);
        let Legacy { guest, notes } = read(dir.path()).unwrap();
        let text = guest.to_toml().unwrap();
        assert!(text.contains("linux = \"-kill,-lease,-chown\""), "{text}");
        let flags = "flags = [\"-virt_load\", \"-virt_uptime\"]";
        assert!(text.contains(flags), "{text}");
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn mounts_below_come_along_if_they_did() {
        let fstab = "/srv /srv none rbind,ro 0 0\n/a /a none bind 0 0\n";
        let guest = read(dir(&[("fstab", fstab)]).path()).unwrap().guest;
        let kinds: Vec<_> = guest.mounts.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, ["bind", "bind"]);
        assert_eq!(guest.mounts[0].options, ["rbind", "ro"]);
        assert!(guest.mounts[1].options.is_empty());
    }

    #[test]
    fn disk_limits_are_those_of_the_root() {
        let dir = dir(&[
            ("dlimits/0/space_total", "1000000\n"),
            ("dlimits/0/inodes_total", "-1\n"),
            ("dlimits/0/reserved", "5\n"),
            ("dlimits/0/colour", "blue\n"),
            ("dlimits/.keep", ""),
            ("dlimits/1/directory", "/proc\n"),
            ("dlimits/1/space_total", "7\n"),
        ]);
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("web");
        std::os::unix::fs::symlink(&tree, dir.path().join("vdir")).unwrap();
        let place = place.path().to_str().unwrap();
        fs::write(dir.path().join("dlimits/0/directory"), place).unwrap();
        // Also if the tree is not there now.
        for there in [false, true] {
            if there {
                fs::create_dir(&tree).unwrap();
            }
            let Legacy { guest, notes } = read(dir.path()).unwrap();
            let text = guest.to_toml().unwrap();
            let disk = "[disk]\nspace = 1000000\ninodes = \"unlimited\"\nreserved = 5\n";
            assert!(text.contains(disk), "{text}");
            let [keep, colour, other] = &notes[..] else {
                panic!("{notes:?}");
            };
            assert!(keep.starts_with("dlimits/.keep: "), "{keep}");
            assert!(colour.starts_with("dlimits/0/colour: "), "{colour}");
            assert!(other.starts_with("dlimits/1: "), "{other}");
        }
    }

    #[test]
    fn a_wrong_value_is_named() {
        let dir = dir(&[("context", "1\n")]);
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("context:1:1: 1: ids go from 2"), "{error}");
    }
}
