// SPDX-License-Identifier: GPL-2.0
//! `vuname`: what uname(2) says in a context.

use std::process::ExitCode;

use clap::Parser;
use vserver::abi;
use vserver::context;
use vserver::error::{Error, Result};

use super::Xid;
use crate::output::line;

/// Show and change what uname(2) says in a context
#[derive(Debug, Parser)]
#[command(
    name = "vuname",
    version,
    after_help = "Examples:\n  vuname --get --xid web nodename\n  vuname --set --xid web --nodename w2"
)]
pub(super) struct Uname {
    #[command(flatten)]
    xid: Xid,
    /// Show names
    #[arg(long, short = 'g')]
    get: bool,
    /// Change names
    #[arg(long, short = 's')]
    set: bool,
    /// The context's own name
    #[arg(long)]
    context: Option<String>,
    /// The host name
    #[arg(long, short = 'n')]
    nodename: Option<String>,
    /// The kernel's name
    #[arg(long)]
    sysname: Option<String>,
    /// Its release
    #[arg(long, short = 'r')]
    release: Option<String>,
    /// Its version
    #[arg(long)]
    version_name: Option<String>,
    /// The machine
    #[arg(long, short = 'm')]
    machine: Option<String>,
    /// The NIS domain
    #[arg(long)]
    domainname: Option<String>,
    /// With --get: which; CONTEXT, NODENAME, ... or =NAME to change it
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// The names and their numbers.
const UTS: [(&str, u32); 7] = [
    ("context", abi::VHIN_CONTEXT),
    ("sysname", abi::VHIN_SYSNAME),
    ("nodename", abi::VHIN_NODENAME),
    ("release", abi::VHIN_RELEASE),
    ("version", abi::VHIN_VERSION),
    ("machine", abi::VHIN_MACHINE),
    ("domainname", abi::VHIN_DOMAINNAME),
];

fn field(name: &str) -> Result<u32> {
    let found = UTS.iter().find(|(n, _)| *n == name.to_ascii_lowercase());
    found.map(|(_, field)| *field).ok_or_else(|| {
        let names = UTS.map(|(name, _)| name).join(", ");
        Error::Invalid(format!("{name}: no such name; there are {names}"))
    })
}

pub(super) fn uname(args: &Uname) -> anyhow::Result<ExitCode> {
    let xid = args.xid.get()?;
    for (name, value) in [
        ("context", &args.context),
        ("nodename", &args.nodename),
        ("sysname", &args.sysname),
        ("release", &args.release),
        ("version", &args.version_name),
        ("machine", &args.machine),
        ("domainname", &args.domainname),
    ] {
        if let Some(value) = value {
            context::set_uts_name(xid, field(name)?, value)?;
        }
    }
    for item in &args.names {
        match item.split_once('=') {
            Some((name, value)) => context::set_uts_name(xid, field(name)?, value)?,
            None => line(context::uts_name(xid, field(item)?)?)?,
        }
    }
    if args.get && args.names.is_empty() {
        for (name, field) in UTS {
            line(format_args!("{name}: {}", context::uts_name(xid, field)?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
