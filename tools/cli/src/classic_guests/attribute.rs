// SPDX-License-Identifier: GPL-2.0
//! `vattribute`: the flags and capabilities of a context.

use std::process::ExitCode;

use clap::Parser;
use vserver::context;
use vserver::cpu::SchedChange;
use vserver::names::{CCAPS, FlagChange};

use super::{Then, Xid};

/// Change the flags and capabilities of a context
#[derive(Debug, Parser)]
#[command(
    name = "vattribute",
    version,
    after_help = "Example:\n  vattribute --set --xid web --flag ~persistent --ccap secure_mount"
)]
pub(super) struct Attribute {
    /// Change them
    #[arg(long, required = true)]
    set: bool,
    #[command(flatten)]
    xid: Xid,
    /// Flags, comma-separated; ~ switches one off
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(super) flag: Vec<FlagChange>,
    /// Context capabilities, comma-separated; ~ takes one away
    #[arg(long, value_name = "CCAPS")]
    ccap: Vec<String>,
    /// All other context capabilities are taken away
    #[arg(long)]
    secure: bool,
    #[command(flatten)]
    then: Then,
}

pub(super) fn attribute(args: &Attribute) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    let none = FlagChange::default();
    let flags = args.flag.iter().fold(none, |all, f| all.and(*f));
    let (mut set, mut mask) = (0, if args.secure { u64::MAX } else { 0 });
    for item in args.ccap.iter().flat_map(|list| list.split(',')) {
        let name = item.trim_start_matches(['~', '!', '-']);
        let bit = CCAPS.bit(name)?;
        mask |= bit;
        match name == item {
            true => set |= bit,
            false => set &= !bit,
        }
    }
    context::change(xid, &SchedChange::default(), flags, false)?;
    if mask != 0 {
        context::set_ccaps(xid, set, mask)?;
    }
    args.then.run()
}
