// SPDX-License-Identifier: GPL-2.0
//! The command under the names that people know: what it was called says what it does.
//!
//! Options are those of old, as far as there is something to do for them; the rest is handed on to the
//! command of today, which says what it does not know. A guest is named as of old, or by a path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use vserver::hashify::GUESTS;

/// The arguments as the command of today takes them.
pub(crate) fn arguments(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<_> = all.collect();
    let called = all.first().and_then(|path| Path::new(path).file_name());
    let Some(of_old) = called.and_then(|name| Old::named(name.as_bytes())) else {
        return all;
    };
    let given = all.split_off(1);
    all.extend(of_old.arguments(given));
    all
}

/// The names. A link of one of these to the command takes its options of old.
pub(crate) const NAMES: [&str; 7] = [
    "vhashify", "vunify", "vdu", "showattr", "setattr", "lsxid", "chxid",
];

/// The manual page of what such a name stands for.
pub(crate) fn page(name: &str) -> &'static str {
    match name {
        "vhashify" => "vserver-hashify",
        "vunify" => "vserver-unify",
        "vdu" => "vserver-du",
        "chxid" => "vserver-attr-tag",
        "setattr" => "vserver-attr-set",
        _ => "vserver-attr-show",
    }
}

/// A name that the command has, too.
#[derive(Clone, Copy)]
enum Old {
    Hashify,
    Unify,
    Du,
    ShowAttr,
    SetAttr,
    LsXid,
    ChXid,
}

impl Old {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"vhashify" => Self::Hashify,
            b"vunify" => Self::Unify,
            b"vdu" => Self::Du,
            b"showattr" => Self::ShowAttr,
            b"setattr" => Self::SetAttr,
            b"lsxid" => Self::LsXid,
            b"chxid" => Self::ChXid,
            _ => return None,
        })
    }

    fn arguments(self, given: Vec<OsString>) -> Vec<OsString> {
        match self {
            Self::Hashify => share("hashify", given),
            Self::Unify => share("unify", given),
            Self::Du => words("du").chain(given).collect(),
            Self::ShowAttr => show(given),
            Self::SetAttr => set(given),
            Self::LsXid => list_tags(given),
            Self::ChXid => tag(given),
        }
    }
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
        return words("unhashify").chain(trees).collect();
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

/// `showattr [-R] [-d] FILE...`
fn show(given: Vec<OsString>) -> Vec<OsString> {
    // Directories are not entered unless -R says so; nothing else is mounted there.
    let kept = given
        .into_iter()
        .filter(|word| word != "-d" && word != "-x" && word != "-a");
    words("attr show --letters").chain(kept).collect()
}

/// `setattr [-R] --FLAG --~FLAG... FILE...`
fn set(given: Vec<OsString>) -> Vec<OsString> {
    let (mut on, mut off, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let mut given = given.into_iter();
    while let Some(word) = given.next() {
        let flag = word.as_bytes().strip_prefix(b"--").map(|flag| match flag {
            [b'~' | b'!', flag @ ..] => (false, flag),
            flag => (true, flag),
        });
        match flag {
            Some((_, b"")) => {
                rest.push(word);
                rest.extend(given.by_ref());
            }
            Some((set, flag)) if FLAGS.contains(&flag) => {
                let list = if set { &mut on } else { &mut off };
                list.push(OsStr::from_bytes(flag).to_owned());
            }
            _ if word == "-x" => {}
            _ => rest.push(word),
        }
    }
    let joined = |list: Vec<OsString>| list.join(OsStr::new(","));
    let mut all: Vec<_> = words("attr change").collect();
    for (option, list) in [("--on", on), ("--off", off)] {
        if !list.is_empty() {
            all.extend([option.into(), joined(list)]);
        }
    }
    all.extend(rest);
    all
}

/// `lsxid [-R] [-adx1] [FILE...]`
fn list_tags(given: Vec<OsString>) -> Vec<OsString> {
    let (mut recursive, mut rest) = (false, Vec::new());
    let mut given = given.into_iter();
    while let Some(word) = given.next() {
        match word.as_bytes() {
            b"--" => rest.extend(given.by_ref()),
            // Directories are not entered unless -R says so; nothing is hidden.
            [b'-', flags @ ..]
                if !flags.is_empty() && flags.iter().all(|flag| b"Radx1".contains(flag)) =>
            {
                recursive |= flags.contains(&b'R');
            }
            [b'-', _, ..] => return words("attr show --tags").chain([word]).collect(),
            _ => rest.push(word),
        }
    }
    if rest.is_empty() {
        rest.push(".".into());
    }
    let mut all: Vec<_> = words("attr show --tags").collect();
    all.extend(recursive.then(|| "-R".into()));
    all.push("--".into());
    all.extend(rest);
    all
}

/// `chxid [-R] [-dx] -c XID FILE...`
fn tag(given: Vec<OsString>) -> Vec<OsString> {
    let (mut recursive, mut xid, mut rest) = (false, None, Vec::new());
    let mut given = given.into_iter();
    while let Some(word) = given.next() {
        match word.as_bytes() {
            b"--" => rest.extend(given.by_ref()),
            [b'-', flags @ ..] if !flags.is_empty() => {
                let simple = flags.iter().take_while(|flag| b"Rdx".contains(flag));
                let simple = &flags[..simple.count()];
                recursive |= simple.contains(&b'R');
                match flags.strip_prefix(simple) {
                    Some([]) => {}
                    Some([b'c']) => xid = given.next(),
                    Some([b'c', xid_here @ ..]) => {
                        xid = Some(OsString::from_vec(xid_here.to_vec()))
                    }
                    _ => return words("attr tag").chain([word]).collect(),
                }
            }
            _ => rest.push(word),
        }
    }
    let mut all: Vec<_> = words("attr tag").collect();
    // Without an id that is all: it is what is missing.
    if let Some(xid) = xid {
        all.extend(recursive.then(|| "-R".into()));
        all.extend(["--".into(), xid]);
        all.extend(rest);
    }
    all
}

/// The attributes as `setattr` names them.
const FLAGS: [&[u8]; 7] = [
    b"admin",
    b"watch",
    b"hide",
    b"barrier",
    b"iunlink",
    b"immutable",
    b"cow",
];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

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
            ("vunify -R web", "unhashify /vservers/web"),
            ("vdu -x /x/a", "du -x /x/a"),
            ("showattr -d -R /x", "attr show --letters -R /x"),
            ("setattr --barrier /x", "attr change --on barrier /x"),
            (
                "setattr -R --iunlink --~immutable -- /x",
                "attr change --on iunlink --off immutable -R -- /x",
            ),
            ("lsxid", "attr show --tags -- ."),
            ("lsxid -ad1 /x /y", "attr show --tags -- /x /y"),
            ("lsxid -Rd -- -x", "attr show --tags -R -- -x"),
            ("chxid -c 101 /x /y", "attr tag -- 101 /x /y"),
            ("chxid -Rxc web -- -x", "attr tag -R -- web -x"),
            ("chxid /x -R -c101", "attr tag -R -- 101 /x"),
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
            "vunify --what web",
            "setattr --colour /x",
            "lsxid -q /x",
            "lsxid --all /x",
            "chxid -q -c 1 /x",
            "chxid -R /x",
            "chxid -c 1",
            "chxid -c",
        ] {
            let words = arguments(line.split(' ').map(OsString::from));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
