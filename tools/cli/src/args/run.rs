// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that run programs.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use rustix::thread::UnshareFlags;
use vserver::guest::{Caps, namespaces};

use super::One;
use super::limits::Limits;

/// Arguments of `vserver run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver run --name try --root /vservers/web --cpu 25% -- /bin/bash -l
  vserver run --root /vservers/db --detach --log /var/log/db.log -- /usr/sbin/mysqld
  vserver run --clone web -- apt-get dist-upgrade -y      (to see what it does)
  vserver run --xid 100 --cpu 10% -- make -j8

With --clone this process waits for the command, hands SIGTERM and SIGHUP on to it, ends what else runs
in the context, removes the clone and ends with the command's status. Of the guest it takes the tree
alone, not what its file says of limits and mounts.")]
pub(crate) struct Run {
    /// The context's id, 2 to 49151 [default: the kernel picks one above]
    #[arg(long, value_name = "N")]
    pub(crate) xid: Option<u32>,
    /// The context's name, for the other commands; none that a guest has
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The guest's root directory
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// A clone of this guest's tree as the root directory, removed when the command has ended; by
    /// links, if the guest is hashified, else a copy
    #[arg(long, value_name = "GUEST", conflicts_with_all = ["root", "detach", "persistent"])]
    pub(crate) clone: Option<String>,
    /// Namespaces of its own: mnt, uts, ipc, net, cgroup, or none [default: mnt,uts,ipc with
    /// --root or --clone, else none]
    #[arg(long, value_name = "LIST", value_parser = namespaces)]
    pub(crate) namespaces: Option<UnshareFlags>,
    /// The host name inside [default: the context's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Capabilities inside: all, none, a list, or changes as in +net_raw,-kill [default: few
    /// with --root or --clone, else all]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) caps: Option<Caps>,
    /// Let the context live on without processes
    #[arg(long)]
    pub(crate) persistent: bool,
    /// Run in the background, print the context's id
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Where output goes in the background [default: nowhere]
    #[arg(long, value_name = "FILE", requires = "detach")]
    pub(crate) log: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) program: Program,
}

/// Arguments of `vserver enter`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver enter web
  vserver exec web -- apt-get update
  vserver enter 1 ps ax            (context 1, the spectator, sees all processes)")]
pub(crate) struct Enter {
    #[command(flatten)]
    pub(crate) one: One,
    /// Another root directory, below that of the context's init
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Other capabilities, as in vserver run
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) caps: Option<Caps>,
    #[command(flatten)]
    pub(crate) program: Program,
}

/// A program to run.
#[derive(Debug, Args)]
pub(crate) struct Program {
    /// Set an environment variable
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The directory to start in
    #[arg(long, short, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    /// The command and its arguments [default: a login shell]
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) argv: Vec<OsString>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text}: say KEY=VALUE")),
    }
}
