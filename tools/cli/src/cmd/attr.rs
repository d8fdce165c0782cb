// SPDX-License-Identifier: GPL-2.0
//! Files one by one: `attr show`, `attr set`, `attr clear`, `attr tag`, `deunify`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use vserver::attr::{self, FileAttrs};
use vserver::context;
use vserver::deunify::{self, Done};
use vserver::error::Error;
use vserver::walk::{self, Entry, walk};

use crate::args::{AttrChange, AttrShow, AttrTag, Deunify};
use crate::exit;
use crate::output;

/// `vserver attr show`
pub(crate) fn show(args: &AttrShow, json: bool) -> anyhow::Result<ExitCode> {
    let mut shown = Vec::new();
    let walked = each(&args.path, args.recursive, |entry| {
        let attrs = attr::show(entry)?;
        if json {
            shown.push(attrs);
        } else if args.letters {
            output::line(format_args!("{} {}", letters(&attrs), attrs.path.display()))?;
        } else if args.tags {
            output::line(format_args!(
                "{:<10} {}",
                tag_of(&attrs),
                attrs.path.display()
            ))?;
        } else {
            output::line(format_args!(
                "{:<20} {:>5} {}",
                words(&attrs),
                tag_of(&attrs),
                attrs.path.display()
            ))?;
        }
        Ok(())
    })?;
    if json {
        output::json(&shown)?;
    }
    Ok(walked.code())
}

/// `vserver attr set` and `vserver attr clear`
pub(crate) fn change(args: &AttrChange, on: bool, json: bool) -> anyhow::Result<ExitCode> {
    let mask = attr::parse(&args.flags)?;
    let flags = if on { mask } else { 0 };
    let walked = each(&args.path, args.recursive, |entry| {
        Ok(attr::change(entry, flags, mask)?)
    })?;
    walked.tell(json)
}

/// `setattr`: makes those attributes that `mask` names equal to `flags`.
pub(crate) fn change_both(
    paths: &[PathBuf],
    recursive: bool,
    flags: u32,
    mask: u32,
) -> anyhow::Result<ExitCode> {
    let walked = each(paths, recursive, |entry| {
        Ok(attr::change(entry, flags, mask)?)
    })?;
    Ok(walked.code())
}

/// The attributes that are on; what can have none is told from what has none.
fn words(attrs: &FileAttrs) -> String {
    match (attrs.flags.as_slice(), attrs.supported.as_slice()) {
        ([], []) => "-".to_owned(),
        ([], _) => "none".to_owned(),
        (flags, _) => flags.join(","),
    }
}

/// The context that a file belongs to.
fn tag_of(attrs: &FileAttrs) -> String {
    attrs.xid.map_or("-".to_owned(), |xid| xid.to_string())
}

/// The attributes as letters.
fn letters(attrs: &FileAttrs) -> String {
    let letter = |(name, letter): &(&str, char)| {
        let among = |list: &[String]| list.iter().any(|n| n == name);
        match (among(&attrs.flags), among(&attrs.supported)) {
            (true, _) => letter.to_ascii_uppercase(),
            (false, true) => *letter,
            (false, false) => '-',
        }
    };
    LETTERS.iter().map(letter).collect()
}

/// In the order of old.
const LETTERS: [(&str, char); 7] = [
    ("admin", 'a'),
    ("watch", 'w'),
    ("hide", 'h'),
    ("barrier", 'b'),
    ("iunlink", 'u'),
    ("immutable", 'i'),
    ("cow", 'c'),
];

/// `vserver attr tag`
pub(crate) fn tag(args: &AttrTag, json: bool) -> anyhow::Result<ExitCode> {
    // Of a context that does not run, too
    let xid = match args.xid.parse() {
        Ok(xid) => xid,
        Err(_) => context::resolve(&args.xid)?,
    };
    let walked = each(&args.path, args.recursive, |entry| {
        Ok(attr::set_tag(entry, xid)?)
    })?;
    walked.tell(json)
}

/// `vserver deunify`
pub(crate) fn deunify(args: &Deunify, json: bool) -> anyhow::Result<ExitCode> {
    let (mut cleared, mut copied) = (0, 0);
    let walked = each(&args.path, args.recursive, |entry| {
        match deunify::deunify(entry)? {
            Done::Nothing => {}
            Done::Cleared => cleared += 1,
            Done::Copied => copied += 1,
        }
        Ok(())
    })?;
    match json {
        true => output::json(&json!({ "cleared": cleared, "copied": copied }))?,
        false => output::line(format_args!(
            "{copied} copied, {cleared} made ordinary files in place"
        ))?,
    }
    Ok(walked.code())
}

/// What came of a walk.
#[derive(Default)]
struct Walked {
    /// Files that were dealt with,
    done: u64,
    /// and those that failed,
    failed: u64,
    /// for want of space.
    no_space: bool,
}

impl Walked {
    /// Says as JSON how many files there were.
    fn tell(&self, json: bool) -> anyhow::Result<ExitCode> {
        if json {
            output::json(&json!({ "done": self.done, "failed": self.failed }))?;
        }
        Ok(self.code())
    }

    fn code(&self) -> ExitCode {
        exit::of_files(self.failed > 0, self.no_space)
    }
}

/// Does something for each file; what fails for a file is said, and the next one tried, unless the disk is
/// full.
fn each(
    paths: &[PathBuf],
    recursive: bool,
    mut action: impl FnMut(&Entry) -> anyhow::Result<()>,
) -> anyhow::Result<Walked> {
    let mut walked = Walked::default();
    let options = walk::Options {
        recursive,
        cross_mounts: false,
    };
    for entry in paths.iter().flat_map(|path| walk(path, options)) {
        let done = entry
            .map_err(anyhow::Error::from)
            .and_then(|entry| action(&entry));
        match done {
            Ok(()) => walked.done += 1,
            Err(e) if is_fatal(&e) => return Err(e),
            Err(e) => {
                eprintln!("vserver: {e:#}");
                walked.failed += 1;
                if e.downcast_ref().is_some_and(Error::is_full) {
                    // The next one would need space, too.
                    walked.no_space = true;
                    break;
                }
            }
        }
    }
    Ok(walked)
}

/// Whether the next file would fail in the same way: there is no module, or no reader.
fn is_fatal(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Error>() {
        Some(e) => e.errno() == Some(rustix::io::Errno::NOSYS),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        for path in &paths {
            std::fs::write(path, "content").unwrap();
        }
        let failed = |errno| {
            let walked = each(&paths, false, |entry| {
                Err(Error::file("copy", entry.path(), errno).into())
            });
            let walked = walked.unwrap();
            (walked.failed, walked.no_space)
        };
        assert_eq!(failed(rustix::io::Errno::NOSPC), (1, true));
        assert_eq!(failed(rustix::io::Errno::IO), (2, false));
    }

    #[test]
    fn what_is_not_set_is_told_from_what_cannot_be() {
        let attrs = |flags: &[&str], supported: &[&str]| FileAttrs {
            path: "f".into(),
            flags: flags.iter().map(|&f| f.to_owned()).collect(),
            supported: supported.iter().map(|&f| f.to_owned()).collect(),
            xid: None,
        };
        let both = ["iunlink", "immutable"];
        assert_eq!(words(&attrs(&[], &[])), "-");
        assert_eq!(words(&attrs(&[], &both)), "none");
        assert_eq!(words(&attrs(&both, &both)), "iunlink,immutable");
        assert_eq!(letters(&attrs(&[], &[])), "-------");
        assert_eq!(letters(&attrs(&both[..1], &both)), "----Ui-");
    }
}
