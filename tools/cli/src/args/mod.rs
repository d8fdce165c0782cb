// SPDX-License-Identifier: GPL-2.0
//! The command line.

mod build;
mod config;
mod control;
mod disk;
mod files;
mod guests;
mod hashify;
mod limits;
mod run;
mod see;

use clap::{Args, Parser, Subcommand};

pub(crate) use build::{Build, Delete};
pub(crate) use config::{Config, Convert, Generate, Guest, Guests, SomeGuests};
pub(crate) use control::{Kill, Set, Wait};
pub(crate) use disk::{Disk, DiskCheck, DiskOne, DiskSave, DiskSet};
pub(crate) use files::{Attr, AttrChange, AttrShow, AttrTag, Cleanup, Deunify, Unify};
pub(crate) use guests::{Start, Stop};
pub(crate) use hashify::{Clone, Du, Exclude, Hashify, Unhashify};
pub(crate) use run::{Enter, Program, Run};
pub(crate) use see::{Column, List, Ps, Top};

/// What `-h` shows at the end, and `--help` before the rest.
macro_rules! examples {
    () => {
        "\
Examples:
  vserver start web
  vserver enter web
  vserver unify /vservers/web /vservers/db
  vserver list
  vserver stop web

Each command has its own help: vserver run --help"
    };
}

/// Linux-VServer: guests as contexts of one kernel, sharing unified files
///
/// A context is a set of processes with an id (xid), a name and limits of its own. A guest
/// is a context whose processes live in a root directory of their own. Guests whose files are
/// equal can share them: unified files use the disk and the memory once, and a guest that
/// changes one gets a copy of its own.
#[derive(Debug, Parser)]
#[command(
    name = "vserver",
    version,
    after_help = examples!(),
    after_long_help = concat!(
        examples!(),
        "

Files:
  /etc/vserver/NAME.toml      a guest's file, which may be empty
  /etc/vserver/templates      such files for new guests
  /etc/vserver/pools          links to pools that are elsewhere than in /vservers
  /vservers/NAME              a guest's tree
  /vservers/.hash             the pool of the files that guests share
  /var/log/vserver/NAME.log   what a guest's init says

Environment:
  VSERVER_PREFIX              a directory before all of these

Exit status:
  0   it is done
  1   it failed, or some of it did
  2   a wrong option
  3   a guest does not run (status)
  4   there is no such guest or context
  5   the guest is in use, or in another state; another run of hashify or the like is at work
  6   a configuration is wrong
  7   a guest could not be started
  8   a tree or the pool can't be used
  9   the kernel has no vserver module, or does not let us use it
  10  hashify --check has found damage
  11  a file system is full
  124 it took too long (wait)
  125 a context could not be made or entered, 126 the command could not be run, 127 there is none;
      else that of the command (run, enter)
  130 interrupted by SIGINT, 143 by SIGTERM: run it again, it goes on (hashify)"
    )
)]
pub(crate) struct Cli {
    /// Print state as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a guest: of Debian's packages, an archive, an image, another guest
    ///
    /// Its tree goes to /vservers/NAME, its file to /etc/vserver/NAME.toml. If it can't be built
    /// nothing of it is left.
    Build(Build),
    /// Remove a guest: its tree, its file, its id
    ///
    /// Its log stays, to be read or removed: it says how the guest ended.
    Delete(Delete),
    /// Start guests, and those that they require before them
    ///
    /// A guest is described by /etc/vserver/NAME.toml. It runs when its first process does. If a
    /// start fails nothing of the guest is left, and it is said at which step it failed.
    Start(Start),
    /// Stop guests: tell their init, then all their processes, then kill these
    Stop(Stop),
    /// Stop guests and start them again
    #[command(after_help = "Example:\n  vserver restart web")]
    Restart(SomeGuests),
    /// Show whether guests run
    #[command(after_help = "\
Examples:
  vserver status
  vserver status web && echo it runs

Exit status: 0 if all of them run, 3 if one does not, 4 if there is no such guest.")]
    Status(Guests),
    /// Create a context and run a command in it
    ///
    /// The command becomes the context's init and takes the place of this process: its exit
    /// status is the command's; it is 125 if the context could not be made, 126 or 127 if the
    /// command could not be run or found. When the command ends, the kernel kills what else runs in the
    /// context, and the context is gone.
    ///
    /// With --root, or --clone, the command gets a guest of its own: namespaces, /proc, /dev, and few
    /// capabilities. Without, it lives in the host's directories.
    Run(Run),
    /// Run a command, or a shell, in a context that exists
    ///
    /// It gets the root directory, the namespaces and the capabilities of the context's init
    /// and takes the place of this process, so that its exit status is the command's.
    #[command(visible_alias = "exec")]
    Enter(Enter),
    /// Watch what contexts use, live
    ///
    /// Sort with the keys c (CPU), m (memory), d (disk), p (processes), h (hold), t (tokens), n
    /// (name), x (id); r turns the order round; the arrows choose a context, k sends it a signal, q
    /// quits. The disk is looked at in the background, every ten minutes. A terminal of 132 columns has
    /// room for all that there is, one of 80 for what matters.
    Top(Top),
    /// List processes with their contexts
    Ps(Ps),
    /// Show what each context uses
    #[command(after_help = "Example:\n  vserver stat --json")]
    Stat,
    /// Look at the configuration of guests
    #[command(subcommand)]
    Config(Config),
    /// List the contexts, and the guests that don't run
    #[command(visible_alias = "ls")]
    List(List),
    /// Show everything about a context
    #[command(after_help = "Example:\n  vserver show web")]
    Show(One),
    /// Show the kernel's version and features
    #[command(after_help = "Example:\n  vserver info")]
    Info,
    /// Change limits, flags or the name of a context
    Set(Set),
    /// Send a signal to processes of a context
    Kill(Kill),
    /// Wait until a context is gone, and print how its init ended
    Wait(Wait),
    /// Show and change the attributes of files
    #[command(subcommand)]
    Attr(Attr),
    /// Show and change how much of a file system a context may take
    #[command(subcommand)]
    Disk(Disk),
    /// Let equal files of several trees share one inode
    ///
    /// Files at the same path below the trees become one if content, type, mode, owner, group
    /// and all extended attributes are equal. The shared inode keeps the times of one of them.
    /// It is protected by the attributes iunlink and immutable: a guest that changes such a
    /// file gets a copy of its own, the others keep theirs.
    ///
    /// The trees may be in use. Interrupted, it leaves every file whole; run it again to go on.
    Unify(Unify),
    /// Let equal files share one inode, wherever they are
    ///
    /// Files of the trees become one if content, type, mode, owner, group and all extended
    /// attributes are equal, whatever their names. Each shared file has a further name in a pool,
    /// by which a later run finds it; what has not changed since the last run is not read again.
    ///
    /// The trees may be in use. Interrupted, it leaves every file whole; run it again to go on.
    Hashify(Hashify),
    /// Give hashified files inodes of their own again
    ///
    /// Also works where the kernel has no vserver module.
    Unhashify(Unhashify),
    /// Show what trees take of the disk for themselves, and what they share
    Du(Du),
    /// Make another tree of a tree by links, in seconds
    ///
    /// The files become shared by both: one that is modified in either gets a copy of its own
    /// there. What hashify leaves alone (configuration, logs, databases) is copied.
    Clone(Clone),
    /// Give files an inode of their own again
    ///
    /// Also works where the kernel has no vserver module.
    Deunify(Deunify),
    /// Find and remove what a crash has left in directories of guests
    ///
    /// Temporary copies and links of files that were being modified or unified; and files that a
    /// crash has left shared but unprotected, which get their protection back. And trees of guests
    /// that an interrupted build, delete, clone or run has left. Also works where the kernel has no
    /// vserver module, and while guests run.
    Cleanup(Cleanup),
    /// Write manual pages and completions of shells
    #[command(hide = true)]
    Generate(Generate),
}

/// A context.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id or name
    #[arg(value_name = "XID|NAME")]
    pub(crate) context: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use vserver::limits::Most;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_keeps_its_options_for_itself() {
        let cli = Cli::try_parse_from(["vserver", "enter", "web", "ls", "-l", "--json"]).unwrap();
        assert!(!cli.json);
        let Command::Enter(enter) = cli.command else {
            panic!("not enter");
        };
        assert_eq!(enter.program.argv, ["ls", "-l", "--json"]);
    }

    #[test]
    fn flags_may_begin_with_a_dash() {
        let words = [
            "vserver",
            "set",
            "web",
            "--flag",
            "-persistent",
            "--flag=+sched_hard",
        ];
        let Command::Set(set) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not set");
        };
        let flags = set.limits.flags();
        assert_eq!(flags.clear, vserver::abi::VXF_PERSISTENT);
        assert_eq!(flags.set, vserver::abi::VXF_SCHED_HARD);
    }

    #[test]
    fn limits_are_collected() {
        let words = [
            "vserver",
            "set",
            "web",
            "--files",
            "9",
            "--processes",
            "unlimited",
        ];
        let Command::Set(set) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not set");
        };
        let expected = [
            (vserver::limits::PROCESSES, Most::Unlimited),
            (vserver::limits::FILES, Most::Number(9)),
        ];
        assert_eq!(set.limits.things(), expected);
    }
}
