// SPDX-License-Identifier: GPL-2.0
//! `vspace`: the namespaces of a context, and new ones.

use std::process::ExitCode;

use clap::Parser;
use rustix::thread::UnshareFlags;
use vserver::context;
use vserver::guest::{self, Enter, Program};

use super::Then;

/// Enter the namespaces of a context
#[derive(Debug, Parser)]
#[command(
    name = "vspace",
    version,
    after_help = "Example:\n  vspace --enter web -- mount"
)]
pub(super) struct Space {
    /// The context's id or name
    #[arg(long, value_name = "XID|NAME", required_unless_present = "new")]
    enter: Option<String>,
    /// Make new namespaces instead
    #[arg(long, conflicts_with = "enter")]
    new: bool,
    /// With --new: mount namespaces
    #[arg(long)]
    mount: bool,
    /// With --new: uts namespaces
    #[arg(long)]
    uts: bool,
    /// With --new: ipc namespaces
    #[arg(long)]
    ipc: bool,
    /// With --new: net namespaces
    #[arg(long)]
    net: bool,
    #[command(flatten)]
    then: Then,
}

pub(super) fn space(args: Space) -> anyhow::Result<ExitCode> {
    if let Some(context) = &args.enter {
        guest::seal()?;
        let what = Enter {
            xid: context::resolve(context)?,
            root: None,
            caps: None,
        };
        let program = Program {
            argv: args.then.argv,
            env: Vec::new(),
            workdir: None,
        };
        return Err(guest::enter(&what, &program).into());
    }
    let chosen = [
        (args.mount, UnshareFlags::NEWNS),
        (args.uts, UnshareFlags::NEWUTS),
        (args.ipc, UnshareFlags::NEWIPC),
        (args.net, UnshareFlags::NEWNET),
    ];
    let kinds = chosen.into_iter().filter(|(given, _)| *given);
    let kinds = kinds.fold(UnshareFlags::empty(), |all, (_, kind)| all | kind);
    guest::unshare(kinds)?;
    args.then.run()
}
