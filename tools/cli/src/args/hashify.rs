// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that deal with pools.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// What to leave alone.
#[derive(Debug, Args)]
pub(crate) struct Exclude {
    /// Leave alone what matches the pattern
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) exclude: Vec<OsString>,
    /// Read patterns from a file, one a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude_from: Vec<PathBuf>,
    /// Do without the built-in patterns (configuration, logs, spool, locks, databases)
    #[arg(long)]
    pub(crate) no_default_excludes: bool,
}

/// Arguments of `vserver hashify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Patterns are matched against the path below the tree, with a leading slash; * also matches /.
The first that matches decides: those of --exclude, of --exclude-from, of the guest's file
(hashify.exclude), the built-in ones. One that begins with + includes, with ~ skips the file but
looks into the directory, with - or nothing excludes it with all that is in it.

Examples:
  vserver hashify --dry-run /vservers/web /vservers/db
  vserver hashify --all
  vserver hashify --status --all
  vserver hashify --check /vservers/web

Exit status:
  0   all is done
  1   some files could not be dealt with: each is named
  2   a wrong option
  5   another run is at work
  6   the file of a guest whose tree is named is wrong
  8   a tree or the pool cannot be used: missing, read-only, on another file system
  9   the kernel has no vserver module, or does not let us use it
  10  --check has found damage
  11  the file system is full
  130 interrupted by SIGINT, 143 by SIGTERM: run it again, it goes on from there")]
pub(crate) struct Hashify {
    /// All guests: every directory in /vservers, and the roots of those that are configured
    #[arg(long, conflicts_with = "tree")]
    pub(crate) all: bool,
    /// The pool [default: where a link in /etc/vserver/pools leads on the trees' file system, else
    /// /vservers/.hash if that is there, else .hash beside the first tree]
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,
    /// Compare, but change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) exclude: Exclude,
    /// Let only files share whose modification times are equal, too
    #[arg(long)]
    pub(crate) keep_times: bool,
    /// Take files into the pool that no other is equal to: trees that are hashified later, one at
    /// a time, can share them
    #[arg(long)]
    pub(crate) unique: bool,
    /// Show what is shared with whom, what that saves, and what has been changed since; with
    /// --verbose, which files that are
    #[arg(long, group = "instead")]
    pub(crate) status: bool,
    /// Read the whole pool, and say which files are not what they were
    #[arg(long, group = "instead")]
    pub(crate) check: bool,
    /// Only remove what no guest uses any more from the pool; a run does so at its end. With --all, also
    /// from pools without guests
    #[arg(long, group = "instead")]
    pub(crate) gc: bool,
    /// Show each file that is not shared, and why
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The trees
    #[arg(required_unless_present = "all", value_name = "TREE")]
    pub(crate) tree: Vec<PathBuf>,
}

/// Arguments of `vserver unhashify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver unhashify /vservers/web/usr/lib/postgresql
  vserver unhashify --all

The exit status is that of hashify.")]
pub(crate) struct Unhashify {
    /// All guests: every directory in /vservers, and the roots of those that are configured
    #[arg(long, conflicts_with = "path")]
    pub(crate) all: bool,
    /// The pool, as for hashify
    #[arg(long, value_name = "DIR")]
    pub(crate) pool: Option<PathBuf>,
    /// Say what would be done, but change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Files, and directories with all that is in them; symbolic links are not followed
    #[arg(required_unless_present = "all", value_name = "PATH")]
    pub(crate) path: Vec<PathBuf>,
}

/// Arguments of `vserver clone`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is at the new tree's place until it is complete. A guest's own hard links stay hard links;
equal files that share an inode stay files of their own.

Example:
  vserver clone /vservers/web /vservers/web2

The exit status is that of hashify.")]
pub(crate) struct Clone {
    #[command(flatten)]
    pub(crate) exclude: Exclude,
    /// The tree that there is
    #[arg(value_name = "TREE")]
    pub(crate) from: PathBuf,
    /// The tree that is to be, on the same file system
    #[arg(value_name = "NEW")]
    pub(crate) to: PathBuf,
}

/// Arguments of `vserver du`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each inode of a tree counts once, directories and all else that is no shared file as its own.

Example:
  vserver du /vservers/*")]
pub(crate) struct Du {
    /// Do not enter what is mounted there; so it is without --cross-mounts, too
    #[arg(short = 'x', hide = true)]
    pub(crate) _one: bool,
    /// Enter what is mounted there, too
    #[arg(long)]
    pub(crate) cross_mounts: bool,
    /// The trees; symbolic links are not followed
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dir: Vec<PathBuf>,
}
