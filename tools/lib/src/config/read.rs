// SPDX-License-Identifier: GPL-2.0
//! Reading a guest's file, and saying what is wrong with it: where, which key, why.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Guest, check};
use crate::error::{Error, Result};

/// How alike two names must be for the one to be taken for the other misspelt.
const ALIKE: f64 = 0.75;

/// Reads the file at `path`.
pub fn file(path: &Path) -> Result<Guest> {
    let text = fs::read_to_string(path).map_err(|e| Error::file("read", path, e))?;
    parse(&text, path)
}

/// Understands the text of a guest's file; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<Guest> {
    let guest = toml::from_str::<Guest>(text).map_err(|e| {
        let at = e.span().unwrap_or_default();
        let (key, message) = explain(e.message());
        wrong(text, path, at, key, message)
    })?;
    check::refuse(guest, path, Some(text))
}

/// Line and column, from 1, of a position in the text.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// Line and column of a key, `table.key`; if the table is one of a list, of that with this
/// number. Where the key is not given, those of what is next around it.
pub(super) fn find(text: &str, key: &str, number: Option<usize>) -> Option<(usize, usize)> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut number = number;
    let mut at = None;
    for part in key.split('.') {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        at = Some(name.span().start);
        let value = match value.get_ref() {
            // A list further down is a value.
            DeValue::Array(items) => match number.take() {
                Some(number) => items.get(number - 1)?,
                None => value,
            },
            _ => value,
        };
        match value.get_ref() {
            DeValue::Table(below) => table = below,
            _ => break,
        }
    }
    at.map(|at| position(text, at))
}

/// The error for what stands at `at` of the text.
fn wrong(text: &str, path: &Path, at: Range<usize>, key: Option<String>, message: String) -> Error {
    let (line, column) = position(text, at.start);
    let found = DeTable::parse(text)
        .ok()
        .and_then(|t| key_at(t.get_ref(), &at));
    Error::Config {
        file: path.to_owned(),
        line,
        column,
        key: found.or(key),
        message,
    }
}

/// The dotted key to which position `at` belongs: it is in the key itself or in its value.
fn key_at(table: &DeTable<'_>, at: &Range<usize>) -> Option<String> {
    let within = |span: Range<usize>| span.start <= at.start && at.end <= span.end;
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let below = in_value(value, at).map(|below| match below.starts_with('[') {
            true => format!("{name}{below}"),
            false => format!("{name}.{below}"),
        });
        let here = within(key.span()) || within(value.span());
        below.or_else(|| here.then(|| name.to_string()))
    })
}

fn in_value(value: &Spanned<DeValue<'_>>, at: &Range<usize>) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_at(table, at),
        DeValue::Array(items) => (1..).zip(items.iter()).find_map(|(number, item)| {
            let below = in_value(item, at)?;
            Some(format!("[{number}].{below}"))
        }),
        _ => None,
    }
}

/// What serde says in other words: an unknown name with the one that was probably meant.
fn explain(message: &str) -> (Option<String>, String) {
    let message = message.trim_end();
    for (begin, what) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some((name, rest)) = message
            .strip_prefix(begin)
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let said = no_such(what, name, &known);
        // A key is found where it stands; a value is not shown by that.
        return match what {
            "key" => (Some(name.to_owned()), said),
            _ => (None, format!("{name}: {said}")),
        };
    }
    if let Some(name) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return (None, format!("{name} is missing"));
    }
    (None, message.to_owned())
}

/// Says that a name is none of those known, and which was probably meant.
pub(super) fn no_such(what: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(meant) => format!("no such {what}; did you mean {meant}?"),
        None => format!("no such {what}; there are {}", known.join(", ")),
    }
}

/// Which of the known names is most like this one, if any is like it at all.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(name, k), *k))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Style;

    fn said(text: &str) -> String {
        let error = parse(text, Path::new("/etc/vserver/web.toml")).unwrap_err();
        error.to_string()
    }

    const ALL: &str = r#"
description = "the shop"
root = "/srv/web"
xid = 101
autostart = true
after = ["log"]
requires = ["db"]
flags = ["virt_uptime", "-virt_load"]

[init]
style = "command"
command = ["/usr/sbin/nginx", "-g", "daemon off;"]
workdir = "/srv"
log = "/var/log/web.log"

[init.env]
LANG = "C.UTF-8"

[stop]
command = ["/usr/sbin/nginx", "-s", "quit"]
signal = "QUIT"
timeout = "2m"
kill_after = 5

[names]
hostname = "shop"

[spaces]
own = ["uts", "net"]
may_make = ["user"]

[capabilities]
linux = "+net_raw"
context = ["secure_mount"]

[limits]
processes = 200
files = "unlimited"
memory = "512M"
swap = 0
oom_bias = -100

[disk]
space = "10G"
inodes = 500000
reserved = 5
quota = true

[scheduler]
cpu = "25%"
tokens_max = 500

[[mount]]
source = "/srv/data"
target = "/data"
type = "bind"
options = ["ro"]
"#;

    #[test]
    fn every_key_is_understood_and_written_again() {
        let guest = parse(ALL, Path::new("x")).unwrap();
        assert_eq!(guest.xid.as_deref().map(|x| x.0), Some(101));
        assert_eq!(guest.init.style, Style::Command);
        assert_eq!(guest.stop_timeout().as_secs(), 120);
        assert_eq!(guest.kill_after().as_secs(), 5);
        assert_eq!(guest.things().len(), 2);
        assert_eq!(guest.disk().unwrap().reserved.unwrap().0, 5);
        assert_eq!(guest.disk().unwrap().quota, Some(true));
        assert_ne!(guest.ccaps() & vserver_abi::VXC_QUOTA_CTL, 0);
        assert_eq!(guest.mounts.len(), 1);
        assert_eq!(guest.sched().tokens_max, Some(500));
        let written = guest.to_toml().unwrap();
        assert_eq!(parse(&written, Path::new("y")).unwrap(), guest);
        assert_eq!(written, ALL.trim_start());
    }

    #[test]
    fn an_empty_file_is_a_guest() {
        let guest = parse("", Path::new("x")).unwrap();
        assert_eq!(guest, Guest::default());
        assert_eq!(guest.to_toml().unwrap(), "");
    }

    #[test]
    fn errors_name_file_line_and_key() {
        assert_eq!(
            said("xid = 5\n[limits]\nprocesess = 3\n"),
            "/etc/vserver/web.toml:3:1: limits.procesess: no such key; did you mean processes?"
        );
        assert_eq!(
            said("[limits]\nprocesses = \"many\"\n"),
            "/etc/vserver/web.toml:2:13: limits.processes: many: not a limit; say a number or \
             unlimited"
        );
        assert_eq!(
            said("[limits]\nfiles = 9\nmemory = \"512MB\"\n"),
            "/etc/vserver/web.toml:3:10: limits.memory: 512MB: not an amount of memory; say 512M, \
             2G or unlimited"
        );
        assert_eq!(
            said("[[mount]]\nsource = \"a\"\ntarget = \"/b\"\n[[mount]]\nsource=1\ntarget=\"/c\""),
            "/etc/vserver/web.toml:5:8: mount[2].source: invalid type: integer `1`, expected a \
             string"
        );
        assert!(said("[disk]\nspace = \"10X\"").contains("disk.space: 10X: not a size"));
        assert!(said("xid = 1").starts_with("/etc/vserver/web.toml:1:7: xid: 1: ids go from 2"));
        let flag = said("flags = [\n  \"virt_uptime\",\n  \"fly\"]");
        assert!(flag.starts_with("/etc/vserver/web.toml:3:3: flags: fly: no such context flag"));
        let style = said("[init]\nstyle = \"systemctl\"");
        assert_eq!(
            style,
            "/etc/vserver/web.toml:2:9: init.style: systemctl: no such value; did you mean systemd?"
        );
        let missing = said("[[mount]]\nsource = \"/a\"");
        assert!(missing.ends_with("target is missing"), "{missing}");
    }

    #[test]
    fn what_is_no_toml_is_said_so() {
        let error = said("root = /vservers/web\n");
        assert!(error.starts_with("/etc/vserver/web.toml:1:8: "), "{error}");
        assert!(said("a = [").starts_with("/etc/vserver/web.toml:1:"));
    }
}
