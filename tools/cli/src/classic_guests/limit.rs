// SPDX-License-Identifier: GPL-2.0
//! `vlimit`: the limits of a context.

use std::process::ExitCode;

use clap::Parser;
use vserver::error::Result;
use vserver::limits::{self, Most, THINGS};

use super::{Then, Xid};
use crate::output;

/// Show and change the limits of a context
#[derive(Debug, Parser)]
#[command(
    name = "vlimit",
    version,
    after_help = "\
Examples:
  vlimit --all --xid web
  vlimit --xid web --nproc 200 --nofile inf"
)]
pub(super) struct Limit {
    #[command(flatten)]
    xid: Xid,
    /// Show all limits
    #[arg(long, short)]
    all: bool,
    /// Hard limits: they are all that acts
    #[arg(long, short = 'H')]
    hard: bool,
    /// Processes and threads: a number, or inf; so with the following
    #[arg(long, value_parser = most)]
    pub(super) nproc: Option<Most>,
    /// Open files
    #[arg(long, value_parser = most)]
    nofile: Option<Most>,
    /// File locks
    #[arg(long, value_parser = most)]
    locks: Option<Most>,
    /// Bytes that message queues may hold
    #[arg(long, value_parser = most)]
    msgqueue: Option<Most>,
    /// Sockets
    #[arg(long, value_parser = most)]
    nsock: Option<Most>,
    /// Pages of shared memory
    #[arg(long, value_parser = most)]
    shmem: Option<Most>,
    /// Arrays of semaphores
    #[arg(long, value_parser = most)]
    semary: Option<Most>,
    /// Semaphores
    #[arg(long, value_parser = most)]
    nsems: Option<Most>,
    #[command(flatten)]
    then: Then,
}

fn most(text: &str) -> Result<Most> {
    match text {
        "inf" => Ok(Most::Unlimited),
        text => text.parse(),
    }
}

pub(super) fn limit(args: &Limit) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    let changes = [
        (limits::PROCESSES, args.nproc),
        (limits::FILES, args.nofile),
        (limits::LOCKS, args.locks),
        (limits::QUEUES, args.msgqueue),
        (limits::SOCKETS, args.nsock),
        (limits::SHARED, args.shmem),
        (limits::ARRAYS, args.semary),
        (limits::SEMAPHORES, args.nsems),
    ];
    let given = changes.into_iter().filter_map(|(t, most)| Some((t, most?)));
    limits::change(xid, &given.collect::<Vec<_>>())?;
    if args.all {
        let rows = limits::get(xid).into_iter().map(|l| {
            let id = THINGS.iter().find(|t| t.name == l.name).map_or(0, |t| t.id);
            let hard = l.hard.map_or_else(|| "inf".to_owned(), |n| n.to_string());
            [
                id.to_string(),
                l.name.replace('_', " "),
                l.current.to_string(),
                hard,
            ]
        });
        output::table([">ID", "LIMIT", ">CURRENT", ">HARD"], rows.collect())?;
    }
    args.then.run()
}
