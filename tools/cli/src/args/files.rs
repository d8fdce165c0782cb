// SPDX-License-Identifier: GPL-2.0
//! Arguments of the commands that deal with files.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::hashify::Exclude;

/// Show and change the attributes of files.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Attributes:
  iunlink     immutable, yet may be removed and replaced
  immutable   may not be changed; with iunlink: whoever changes it gets a copy
  barrier     of a directory, against ways out of a chroot
  hide        of an entry of /proc: nobody finds it, but
  admin       the host, and
  watch       the spectator, if these are on")]
pub(crate) enum Attr {
    /// Show the attributes of files: none if there are none, - if there can't be any; and the
    /// context that each belongs to, - where no tags are kept
    Show(AttrShow),
    /// Switch attributes on
    Set(AttrChange),
    /// Switch attributes off
    Clear(AttrChange),
    /// Have files belong to a context
    Tag(AttrTag),
}

/// Arguments of `vserver attr show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vserver attr show -R /vservers/web/usr/bin")]
pub(crate) struct AttrShow {
    /// A letter for each of admin, watch, hide, barrier, iunlink, immutable, cow: capital if it is
    /// on, - if the file can't have it
    #[arg(long, hide = true)]
    pub(crate) letters: bool,
    /// Only the context that each belongs to
    #[arg(long, hide = true)]
    pub(crate) tags: bool,
    /// Directories with all that is in them
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// The files; symbolic links are not followed
    #[arg(required = true)]
    pub(crate) path: Vec<PathBuf>,
}

/// Arguments of `vserver attr set` and `vserver attr clear`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vserver attr set barrier /vservers
  vserver attr set iunlink,immutable /srv/base/lib/libc.so.6
  vserver attr clear hide /proc/diskstats")]
pub(crate) struct AttrChange {
    /// Directories with all that is in them
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// The attributes, comma-separated: iunlink, immutable, barrier, hide, admin, watch
    pub(crate) flags: String,
    /// The files; symbolic links are not followed
    #[arg(required = true)]
    pub(crate) path: Vec<PathBuf>,
}

/// Arguments of `vserver attr tag`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file system has to be mounted with the option tag. Shared files belong to nobody and are left
alone.

Example:
  vserver attr tag -R 101 /vservers/web")]
pub(crate) struct AttrTag {
    /// Directories with all that is in them
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// The context's id, or the name of one that runs; 0 for files that everybody may use
    #[arg(value_name = "XID|NAME")]
    pub(crate) xid: String,
    /// The files; symbolic links are not followed
    #[arg(required = true)]
    pub(crate) path: Vec<PathBuf>,
}

/// Arguments of `vserver unify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Patterns are matched against the path below the tree, with a leading slash; * also matches /.
The first that matches decides: those of --exclude, of --exclude-from, of the guest's file
(hashify.exclude), the built-in ones. One that begins with + includes, with ~ skips the file but
looks into the directory, with - or nothing excludes it with all that is in it.

Examples:
  vserver unify --dry-run /vservers/web /vservers/db
  vserver unify --reference /vservers/base /vservers/web
  vserver unify --exclude '/home/*' --exclude '+/etc/services' /vservers/web /vservers/db

Exit status: 0 if all is done, 1 if some files could not be dealt with, 2 for a wrong option, 5 if
another run is at work, 6 if the file of one of these guests is wrong, 8 if a tree is missing, 9 if
the kernel has no vserver module or does not let us use it, 11 if the file system is full.")]
pub(crate) struct Unify {
    /// Let the others share only with this tree, whose files stay what they are
    #[arg(long, value_name = "TREE")]
    pub(crate) reference: Option<PathBuf>,
    /// Compare, but change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) exclude: Exclude,
    /// Unify only files whose modification times are equal, too
    #[arg(long)]
    pub(crate) keep_times: bool,
    /// Show each file that is not shared, and why
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The trees; two or more, on one file system, with the reference
    #[arg(required = true, value_name = "TREE")]
    pub(crate) tree: Vec<PathBuf>,
}

/// Arguments of `vserver cleanup`.
#[derive(Debug, Args)]
#[command(after_help = "\
What it removes is certain to be a left-over: a temporary name that leads to the very file it was
made for, or to a shared one. Other files with such a name are somebody's own: they are left alone
and named. A shared file that a crash has left without protection gets it back; a file with both
attributes of a shared one that has one name, and is in no pool, is made an ordinary one. Where
guests' trees are, .NAME.new, .NAME.gone and .NAME.cloning are trees that were being made or removed,
and .NAME.NUMBER.run is one of vserver run --clone: they are removed unless somebody is at work on them.

Examples:
  vserver cleanup --dry-run /vservers
  vserver cleanup /vservers/web /vservers/db

Exit status: 0 if all is clean now, 1 if something could not be looked at or removed, 2 for a wrong
option.")]
pub(crate) struct Cleanup {
    /// Look, but change nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Enter what is mounted in the directories, too
    #[arg(long)]
    pub(crate) cross_mounts: bool,
    /// The directories; symbolic links are not followed
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dir: Vec<PathBuf>,
}

/// Arguments of `vserver deunify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vserver deunify -R /vservers/web/usr/lib/postgresql

Exit status: 0 if all is done, 1 if some files could not be dealt with, 2 for a wrong option, 11 if
the file system is full.")]
pub(crate) struct Deunify {
    /// Directories with all that is in them
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// The files; symbolic links are not followed
    #[arg(required = true)]
    pub(crate) path: Vec<PathBuf>,
}
