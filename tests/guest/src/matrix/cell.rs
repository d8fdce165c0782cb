// SPDX-License-Identifier: GPL-2.0
//! One cell of the matrix: an operation in a place, on a plain file and on a unified one, and what
//! it must have come to.

use super::change::{Change, Changes, Moment};
use super::errors;
use super::look::Look;
use super::place;
use super::site::{self, Site, Sites};
use super::sys::Outcome;
use crate::harness::Body;
use crate::process::{self, Status, pipe, spawn};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to become of a unified file, beyond that the name looks as a plain file would.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// If the operation is done, the name has a copy of its own; if not, nothing has happened.
    Copy,
    /// The name has a copy in any case: the operation opens it for writing before it fails.
    CopyFirst,
    /// Whether it can be done turns out on the copy: there is one if it is.
    MayCopy,
    /// The same, but this error is right where a copy shares its blocks.
    MayCopyBut(Errno),
    /// Nobody gets a copy.
    Same,
    /// It has this error where a plain file would let it, and nothing has happened.
    Refused(Errno),
    /// Nothing has happened; it has this error if it would have.
    Untouched(Errno),
    /// Names change and no file does.
    Names,
    /// There is one more name, inside a context of a copy.
    Link,
}

/// A line of the matrix.
pub struct Operation {
    pub name: &'static str,
    pub want: Want,
    /// What is in the file.
    pub content: fn() -> Vec<u8>,
    pub run: fn(&Site) -> Outcome,
}

/// An operation on a file of the usual content.
pub const fn op(name: &'static str, want: Want, run: fn(&Site) -> Outcome) -> Operation {
    on(name, want, site::usual, run)
}

/// An operation on a file that has to hold something special.
pub const fn on(
    name: &'static str,
    want: Want,
    content: fn() -> Vec<u8>,
    run: fn(&Site) -> Outcome,
) -> Operation {
    Operation {
        name,
        want,
        content,
        run,
    }
}

type Names = BTreeMap<String, Look>;

impl Body for Operation {
    fn run(&self, place: &str) -> Result<String> {
        process::stay_on_one_cpu()?;
        let start = now()? - 2;
        let sites = Sites::new(&(self.content)())?;
        let before = sites.unified.look()?;
        let plain_before = sites.plain.look()?;
        let shared = Look::at(&sites.other)?;
        let since = Moment::after(&shared);
        let (plain, unified) = self.operate(place, &sites)?;
        let now = start..now()? + 2;

        let (names, after) = (sites.plain.look()?, sites.unified.look()?);
        let other = Look::at(&sites.other)?;
        keeps(&shared, &after, &other)?;
        let found = label(unified, &before, &after);
        let what = || format!("{} on a plain file, {found} here", label_of(plain));
        let differs = plain != unified;
        let wanted = self.may_differ(unified);
        ensure!(!differs || wanted, "{}", what());
        same_names(&names, &after)?;
        let changes = Changes {
            since,
            plain: Change {
                before: &plain_before,
                after: &names,
            },
            unified: Change {
                before: &before,
                after: &after,
            },
            shared: (&shared, &other),
        };
        changes.of_the_shared().with_context(what)?;
        if !differs {
            alike(&names, &after, &now)?;
            changes.of_the_others().with_context(what)?;
        }
        self.judge(place, unified.is_ok(), &before, &after)
            .with_context(what)?;
        Ok(if differs { format!("{found}*") } else { found })
    }
}

impl Operation {
    /// Does it on both sites, in a process that then ends.
    fn operate(&self, place: &str, sites: &Sites) -> Result<(Outcome, Outcome)> {
        let (mut read, write) = pipe()?;
        let child = spawn(|| {
            let done = place::enter(place).map(|()| {
                let plain = (self.run)(&sites.plain);
                (plain, (self.run)(&sites.unified))
            });
            let (code, text) = match done {
                Ok((plain, unified)) => (0, format!("{} {}", encode(plain), encode(unified))),
                Err(e) => (1, format!("{e:#}")),
            };
            i32::from(rustix::io::write(&write, text.as_bytes()).is_err()) | code
        })?;
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text)?;
        let status = child.wait()?;
        ensure!(status == Status::Exited(0), "{status:?}: {text}");
        let (plain, unified) = text.split_once(' ').context("no outcome")?;
        Ok((decode(plain)?, decode(unified)?))
    }

    /// Whether the operation may come to this, whatever it comes to on a plain file.
    fn may_differ(&self, got: Outcome) -> bool {
        match self.want {
            Want::Refused(errno) | Want::Untouched(errno) | Want::MayCopyBut(errno) => {
                got == Err(errno)
            }
            _ => false,
        }
    }

    fn judge(&self, place: &str, done: bool, before: &Names, after: &Names) -> Result<()> {
        let ino = |names: &Names, name| names.get(name).map(|look: &Look| look.ino);
        let shared = ino(before, "a");
        let copied = is_copied(before, after);
        match self.want {
            Want::Copy | Want::MayCopy | Want::MayCopyBut(_) if done => {
                ensure!(copied, "no copy");
            }
            Want::CopyFirst => ensure!(copied, "no copy"),
            Want::MayCopy | Want::MayCopyBut(_) => {}
            Want::Refused(_) if done => bail!("not refused"),
            Want::Copy | Want::Refused(_) | Want::Untouched(_) => untouched(before, after)?,
            Want::Same => ensure!(ino(after, "a") == shared, "not the same"),
            Want::Names => ensure!(!copied, "a copy"),
            Want::Link => {
                ensure!(ino(after, "a") == ino(after, "c"), "a and c are two files");
                ensure!(copied == place::is_inside(place), "copied: {copied}");
            }
        }
        // Whoever modifies one name never does the other.
        let names_only = matches!(self.want, Want::Names);
        ensure!(names_only || ino(after, "b") == shared, "b was copied");
        Ok(())
    }
}

/// Whether `a` has a file now that was not there.
fn is_copied(before: &Names, after: &Names) -> bool {
    after
        .get("a")
        .is_some_and(|a| !a.is_special() && before.values().all(|look| look.ino != a.ino))
}

/// The shared inode is what it was, under all names that it has left; and what is not shared is
/// not unified.
fn keeps(shared: &Look, after: &Names, other: &Look) -> Result<()> {
    let mut links = 1;
    other.is_still(shared).context("another guest's name")?;
    for (name, look) in after {
        if look.ino == shared.ino {
            look.is_still(shared).with_context(|| name.clone())?;
            links += 1;
        } else {
            ensure!(look.flags == 0, "{name} has flags: {look:?}");
        }
    }
    ensure!(other.links == links, "{links} names, {} links", other.links);
    Ok(())
}

/// Every name is there that would be were the files plain, and no other is.
fn same_names(plain: &Names, unified: &Names) -> Result<()> {
    ensure!(
        unified.keys().eq(plain.keys()),
        "names: {:?} instead of {:?}",
        unified.keys(),
        plain.keys()
    );
    Ok(())
}

/// Every name looks as it would were the files plain.
fn alike(plain: &Names, unified: &Names, now: &std::ops::Range<i64>) -> Result<()> {
    for ((name, look), want) in unified.iter().zip(plain.values()) {
        look.is_like(want, now).with_context(|| name.clone())?;
    }
    Ok(())
}

/// What was there is as it was.
fn untouched(before: &Names, after: &Names) -> Result<()> {
    for (name, was) in before {
        let is = after.get(name);
        ensure!(is == Some(was), "{name} was {was:?}\nis {is:?}");
    }
    Ok(())
}

fn label_of(outcome: Outcome) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(e) => errors::name(e),
    }
}

/// What the matrix says of a cell.
fn label(outcome: Outcome, before: &Names, after: &Names) -> String {
    let copied = is_copied(before, after);
    let ino = |names: &Names| names.get("a").map(|a| a.ino);
    match outcome {
        Err(e) if copied => format!("{}, copied", errors::name(e)),
        Err(e) => errors::name(e),
        Ok(_) if copied => "copied".to_owned(),
        Ok(_) if ino(after) == ino(before) => "same".to_owned(),
        Ok(_) if ino(after).is_none() => "gone".to_owned(),
        Ok(_) => "replaced".to_owned(),
    }
}

fn encode(outcome: Outcome) -> String {
    match outcome {
        Ok(value) => format!("+{value}"),
        Err(e) => format!("-{}", e.raw_os_error()),
    }
}

fn decode(text: &str) -> Result<Outcome> {
    Ok(match text.split_at_checked(1) {
        Some(("+", value)) => Ok(value.parse()?),
        Some(("-", errno)) => Err(Errno::from_raw_os_error(errno.parse()?)),
        _ => bail!("no outcome: {text}"),
    })
}

fn now() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_secs())?)
}
