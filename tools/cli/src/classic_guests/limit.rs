// SPDX-License-Identifier: GPL-2.0
//! `vlimit`: the limits of a context.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser};
use vserver::error::{Error, Result};
use vserver::limits::{self, Most, Thing};

use super::dir::Dir;
use super::{Then, Xid};
use crate::output;

/// Show and change the limits of a context
#[derive(Debug, Parser)]
#[command(
    name = "vlimit",
    version,
    after_help = "\
A limit is a number, which may end in k, K, m or M, or inf. Only hard limits act.

Examples:
  vlimit --all --xid web
  vlimit --xid web --nproc 200 -SH --nofile inf
  vlimit --xid web --dir /etc/vservers/web/rlimits --missingok"
)]
pub(super) struct Limit {
    #[command(flatten)]
    xid: Xid,
    /// Show all limits
    #[arg(long, short)]
    all: bool,
    /// With --all: the resources by number
    #[arg(short = 'n')]
    numbers: bool,
    /// With --all: in decimal, as it is in any case
    #[arg(short = 'd')]
    _decimal: bool,
    #[command(flatten)]
    dir: Dir,
    #[command(flatten)]
    pub(super) resources: Resources,
    #[command(flatten)]
    then: Then,
}

/// The limits given for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    thing: Thing,
    soft: Option<Most>,
    pub(super) hard: Option<Most>,
}

/// The limits that are given: an option for each resource, behind others that say which of its limits
/// it is.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) changes: Vec<Change>,
}

/// A resource: its option, the same by number, and what it is.
macro_rules! resource {
    ($name:literal, $id:literal, $help:literal) => {
        (
            stringify!($id),
            $help,
            Thing {
                name: $name,
                id: $id,
                pages: false,
            },
        )
    };
}

const RESOURCES: [(&str, &str, Thing); 19] = [
    resource!("cpu", 0, "CPU time: the kernel has no such limit"),
    resource!("fsize", 1, "Size of files: no such limit"),
    resource!("data", 2, "Data: no such limit"),
    resource!("stack", 3, "Stacks: no such limit"),
    resource!("core", 4, "Core files: no such limit"),
    resource!("rss", 5, "Memory: the memory cgroup limits it"),
    resource!("nproc", 6, "Processes and threads"),
    resource!("nofile", 7, "Open files"),
    resource!("memlock", 8, "Pages that are locked in memory"),
    resource!("as", 9, "Pages of address space"),
    resource!("locks", 10, "File locks"),
    resource!("msgqueue", 12, "Bytes that message queues may hold"),
    resource!("nsock", 16, "Sockets"),
    resource!(
        "openfd",
        17,
        "Descriptors, however many there are of a file"
    ),
    resource!(
        "anon",
        18,
        "Pages that are no file's: the memory cgroup limits them"
    ),
    resource!("shmem", 19, "Pages of shared memory"),
    resource!("semary", 20, "Arrays of semaphores"),
    resource!("nsems", 21, "Semaphores"),
    resource!("dentry", 22, "Names in memory: no such limit"),
];

/// Which limit a resource's option is for.
const KINDS: [(&str, char, &str); 3] = [
    (
        "min",
        'M',
        "The next is a minimum, which the kernel does not keep",
    ),
    ("soft", 'S', "The next is a soft limit"),
    (
        "hard",
        'H',
        "The next is a hard limit: so it is without one of the three",
    ),
];

impl Args for Resources {
    fn augment_args(command: Command) -> Command {
        let command = KINDS.iter().fold(command, |command, &(id, short, help)| {
            let arg = Arg::new(id).short(short).help(help);
            let arg = arg.action(ArgAction::Append).num_args(0);
            command.arg(arg.default_missing_value("x"))
        });
        RESOURCES
            .iter()
            .fold(command, |command, (number, help, t)| {
                let arg = Arg::new(t.name).long(t.name).alias(number).help(*help);
                let arg = arg.action(ArgAction::Append).value_name("LIMIT");
                command.arg(arg.value_parser(most).allow_negative_numbers(true))
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Resources {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let marks = KINDS.map(|(id, ..)| matches.indices_of(id).into_iter().flatten().collect());
        let marks: [Vec<usize>; 3] = marks;
        let mut given = Vec::new();
        for (_, _, thing) in RESOURCES {
            let values = matches.get_many::<Most>(thing.name).into_iter().flatten();
            let places = matches.indices_of(thing.name).into_iter().flatten();
            given.extend(places.zip(values).map(|(at, most)| (at, thing, *most)));
        }
        given.sort_by_key(|(at, ..)| *at);
        let mut changes = Vec::new();
        let mut before = 0;
        for (at, thing, most) in given {
            let marked = |marks: &[usize]| marks.iter().any(|m| (before..at).contains(m));
            let [min, soft, hard] = [0, 1, 2].map(|kind: usize| marked(&marks[kind]));
            if min && most != Most::Number(0) {
                return Err(clap::Error::raw(
                    clap::error::ErrorKind::InvalidValue,
                    format!(
                        "-M --{}: the kernel keeps no minimum; give -S or -H\n",
                        thing.name
                    ),
                ));
            }
            changes.push(Change {
                thing,
                soft: soft.then_some(most),
                hard: (hard || !(soft || min)).then_some(most),
            });
            before = at;
        }
        Ok(Self { changes })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `inf`, or a number: `200`, `1k` (1000), `1K` (1024), `1m`, `1M`.
fn most(text: &str) -> Result<Most> {
    let units = [
        ('k', 1000),
        ('K', 1 << 10),
        ('m', 1_000_000),
        ('M', 1 << 20),
    ];
    let (number, unit) = units
        .iter()
        .find_map(|&(unit, size)| Some((text.strip_suffix(unit)?, size)))
        .unwrap_or((text, 1));
    let wrong = || Error::Invalid(format!("{text}: not a limit; say a number or inf"));
    match number {
        "inf" if unit == 1 => Ok(Most::Unlimited),
        number => match number.parse().map_err(|_| wrong())? {
            Most::Number(n) => n.checked_mul(unit).map(Most::Number).ok_or_else(wrong),
            Most::Unlimited => Err(wrong()),
        },
    }
}

/// What the files in a directory say of resources that are not among those given.
fn read(dir: &Dir, given: &[Change]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    if !dir.is_there()? {
        return Ok(changes);
    }
    for (_, _, thing) in RESOURCES {
        if given.iter().any(|change| change.thing == thing) {
            continue;
        }
        let both = dir.value(thing.name, most)?;
        let soft = dir.value(&format!("{}.soft", thing.name), most)?.or(both);
        let hard = dir.value(&format!("{}.hard", thing.name), most)?.or(both);
        if soft.is_some() || hard.is_some() {
            changes.push(Change { thing, soft, hard });
        }
    }
    Ok(changes)
}

pub(super) fn limit(args: &Limit) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    let given = &args.resources.changes;
    for change in given.iter().chain(&read(&args.dir, given)?) {
        limits::set(xid, &change.thing, change.soft, change.hard)?;
    }
    if args.all {
        show(xid, args.numbers)?;
    }
    args.then.run()
}

fn show(xid: u32, numbers: bool) -> anyhow::Result<()> {
    let value = |n: Option<u64>| n.map_or_else(|| "inf".to_owned(), |n| n.to_string());
    let mut rows = Vec::new();
    for limit in limits::get(xid).into_iter().filter(|l| l.can_be_set) {
        let id = limits::THINGS.iter().find(|t| t.name == limit.name);
        let of_old = RESOURCES
            .iter()
            .find(|(.., t)| id.is_some_and(|i| i.id == t.id));
        let name = of_old.map_or_else(
            || limit.name.to_owned(),
            |(number, _, thing)| match numbers {
                true => (*number).to_owned(),
                false => thing.name.to_ascii_uppercase(),
            },
        );
        rows.push([
            name,
            limit.current.to_string(),
            value(limit.soft),
            value(limit.hard),
        ]);
    }
    output::table(["LIMIT", ">CURRENT", ">SOFT", ">HARD"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(line: &str) -> Vec<(u32, Option<Most>, Option<Most>)> {
        let limit = Limit::try_parse_from(line.split(' '));
        let limit = limit.unwrap_or_else(|e| panic!("{line}: {e}"));
        let changes = limit.resources.changes.into_iter();
        changes.map(|c| (c.thing.id, c.soft, c.hard)).collect()
    }

    #[test]
    fn each_resource_has_the_limits_that_are_said_before_it() {
        let n = |n| Some(Most::Number(n));
        assert_eq!(
            changes("vlimit -c web --nproc 5 -S --as 1K -SH --9 7 --memlock inf"),
            [
                (6, None, n(5)),
                (9, n(1024), None),
                (9, n(7), n(7)),
                (8, None, Some(Most::Unlimited)),
            ]
        );
        assert_eq!(
            changes("vlimit -nda -H --openfd 3 sh -S"),
            [(17, None, n(3))]
        );
        assert!(changes("vlimit --all --xid web").is_empty());
    }

    #[test]
    fn every_resource_of_old_has_an_option_and_a_number() {
        for (number, _, thing) in RESOURCES {
            assert_eq!(number, thing.id.to_string());
            let by_number = changes(&format!("vlimit --{number} 1"));
            assert_eq!(changes(&format!("vlimit --{} 1", thing.name)), by_number);
        }
        assert_eq!(vserver::abi::VLIMIT_DENTRY, 22);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "vlimit -M --as 5",
            "vlimit --as x",
            "vlimit --as 1X",
            "vlimit --as infk",
            "vlimit --as",
            "vlimit --13 5",
            "vlimit --missingok",
        ] {
            assert!(Limit::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn a_directory_is_read_but_for_what_is_given() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("nproc", "5\n"),
            ("as.hard", "1M"),
            ("as.soft", "1"),
            ("nofile", "9"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let path = dir.path().to_str().unwrap();
        let limit = Limit::parse_from(["vlimit", "--nofile", "7", "--dir", path]);
        let n = |n| Some(Most::Number(n));
        let read = read(&limit.dir, &limit.resources.changes).unwrap();
        let read: Vec<_> = read.iter().map(|c| (c.thing.id, c.soft, c.hard)).collect();
        assert_eq!(read, [(6, n(5), n(5)), (9, n(1), n(1 << 20))]);
    }
}
