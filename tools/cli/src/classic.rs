// SPDX-License-Identifier: GPL-2.0
//! The command under the names that people know: what it was called says what it does.
//!
//! Options are those of old, as far as there is something to do for them; the rest is handed on to the
//! command of today, which says what it does not know. A guest is named as of old, or by a path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};
use vserver::hashify::GUESTS;

use crate::args::Cli;

/// The arguments as the command of today takes them.
pub(crate) fn arguments(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<_> = all.collect();
    let called = all.first().and_then(|path| Path::new(path).file_name());
    let Some(verb) = called.and_then(OsStr::to_str).and_then(verb) else {
        return all;
    };
    let given = all.split_off(1);
    all.extend(share(verb, given));
    all
}

/// The names. A link of one of these to the command takes its options of old.
pub(crate) const NAMES: [&str; 2] = ["vhashify", "vunify"];

/// The command that such a name stands for.
fn verb(name: &str) -> Option<&'static str> {
    match name {
        "vhashify" => Some("hashify"),
        "vunify" => Some("unify"),
        _ => None,
    }
}

/// The command lines, for manual pages and completions: those of today, with what was there of old.
pub(crate) fn commands() -> Vec<Command> {
    let today = Cli::command();
    let of = |name: &'static str| {
        let command = today.find_subcommand(verb(name)?)?.clone();
        let command = command.name(name).bin_name(name).args(options_of_old());
        Some(match name {
            "vhashify" => command.arg(
                Arg::new("destination")
                    .long("destination")
                    .value_name("POOL")
                    .help("The pool"),
            ),
            _ => command,
        })
    };
    NAMES.into_iter().filter_map(of).collect()
}

/// What [`share`] takes for both.
fn options_of_old() -> [Arg; 3] {
    let flag = |name, help| Arg::new(name).action(ArgAction::SetTrue).help(help);
    [
        flag("undo", "Give the files inodes of their own again").short('R'),
        flag("manually", "Trees, each with a list of excludes behind it").long("manually"),
        flag("refresh", "Nothing: what has changed is found out anyway")
            .long("refresh")
            .short('s')
            .short_alias('C'),
    ]
}

fn words(words: &'static str) -> impl Iterator<Item = OsString> {
    words.split(' ').map(OsString::from)
}

/// `vhashify [-Rnsv] [--destination POOL] GUEST...`, `vhashify --manually [-Rn] PATH EXCLUDES...`, and
/// `vunify` in the same way: the first guest is the reference.
fn share(verb: &'static str, given: Vec<OsString>) -> Vec<OsString> {
    let (mut options, mut names) = (Vec::new(), Vec::new());
    let (mut undo, mut manually) = (false, false);
    let mut given = given.into_iter();
    while let Some(word) = given.next() {
        match word.as_bytes() {
            b"--destination" => {
                options.push("--pool".into());
                options.extend(given.next());
            }
            b"--manually" => manually = true,
            // What is fresh enough is found out anyway.
            b"--refresh" | b"-s" | b"-C" => {}
            b"--" => names.extend(given.by_ref()),
            [b'-', flags @ ..] if !flags.is_empty() && flags[0] != b'-' => {
                undo |= flags.contains(&b'R');
                for (flag, word) in [(b'n', "--dry-run"), (b'v', "--verbose")] {
                    options.extend(flags.contains(&flag).then(|| word.into()));
                }
                let known = b"RnsvC";
                let unknown = flags.iter().filter(|flag| !known.contains(flag));
                options.extend(unknown.map(|flag| OsString::from_vec(vec![b'-', *flag])));
            }
            [b'-', ..] => options.push(word),
            _ => names.push(word),
        }
    }
    if manually {
        // Each tree has its list behind it.
        let mut trees = Vec::new();
        for pair in names.chunks(2) {
            trees.extend(pair.first().cloned());
            if let Some(list) = pair.get(1).filter(|list| !list.is_empty() && !undo) {
                options.extend(["--exclude-from".into(), list.clone()]);
            }
        }
        names = trees;
    }
    let mut trees = names.into_iter().map(guest);
    if undo {
        // It has no more to say, whether asked or not.
        options.retain(|word| word != "--verbose");
        return words("unhashify").chain(options).chain(trees).collect();
    }
    if verb == "unify" {
        if let Some(reference) = trees.next() {
            options.extend(["--reference".into(), reference]);
        }
    }
    words(verb).chain(options).chain(trees).collect()
}

/// The tree of a guest that is named.
fn guest(name: OsString) -> OsString {
    let path = Path::new(&name);
    match name.as_bytes().contains(&b'/') || path.exists() {
        true => name,
        false => Path::new(GUESTS).join(path).into_os_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn arguments_of(line: &str) -> Vec<String> {
        let words = arguments(line.split(' ').map(OsString::from));
        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
        words
            .into_iter()
            .map(|w| w.into_string().unwrap())
            .collect()
    }

    #[test]
    fn classic_names_and_options() {
        for (line, want) in [
            ("vserver list", "vserver list"),
            (
                "/sbin/vhashify -nv web /x/db",
                "hashify --dry-run --verbose /vservers/web /x/db",
            ),
            (
                "vhashify --destination /pool -- web",
                "hashify --pool /pool /vservers/web",
            ),
            ("vhashify -R web", "unhashify /vservers/web"),
            (
                "vhashify --manually -n /x/a /list /x/b /other",
                "hashify --dry-run --exclude-from /list --exclude-from /other /x/a /x/b",
            ),
            (
                "vunify -n ref web",
                "unify --dry-run --reference /vservers/ref /vservers/web",
            ),
            (
                "vhashify -Rnv --destination /pool web",
                "unhashify --dry-run --pool /pool /vservers/web",
            ),
            (
                "vhashify --manually -Rn /x/a /list",
                "unhashify --dry-run /x/a",
            ),
            ("vunify -R web", "unhashify /vservers/web"),
        ] {
            let words = arguments_of(line);
            let words = if line == want {
                &words[..]
            } else {
                &words[1..]
            };
            assert_eq!(words.join(" "), want, "{line}");
        }
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for line in [
            "vhashify -q web",
            "vhashify -Rq web",
            "vhashify -R --what web",
            "vunify --what web",
        ] {
            let words = arguments(line.split(' ').map(OsString::from));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
