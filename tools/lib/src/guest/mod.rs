// SPDX-License-Identifier: GPL-2.0
//! Processes into contexts: create one with a guest in it, or enter one.
//!
//! These calls change the calling process and end by running a program in its place, so that
//! signals, terminal and exit status are the program's own. The process must have one thread.

mod apart;
mod caps;
mod detach;
mod disks;
mod enter;
mod extra;
mod fleet;
mod lock;
mod mounts;
mod reaper;
mod run;
mod sealed;
mod start;
mod status;
mod stop;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::UnshareFlags;

pub use apart::Apart;
pub use caps::Caps;
pub use detach::detach;
pub use enter::{Enter, enter};
pub(crate) use extra::bind_options;
pub use fleet::{Started, start_all, stop_all, to_start, to_stop};
pub use lock::Lock;
pub use reaper::{NAME as REAPER, reaper};
pub use run::{NewContext, run};
pub use sealed::seal;
pub use status::{Overview, Status, check_free, is_taken, overview, rename, runs};
pub use stop::{Stopped, stop};
pub use watch::{WATCHER, Watch, start, start_here, start_if_down, watcher};

use crate::error::{Doing, Error};

/// Where programs are looked for in a guest.
const GUEST_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run in a context.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments; if there are none, a login shell.
    pub argv: Vec<OsString>,
    /// Environment variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// The directory to start in; if there is none: `/` in a guest, else where the caller is.
    pub workdir: Option<PathBuf>,
}

impl Program {
    /// Runs it in place of this process; returns only if that fails. In a `guest` it gets an
    /// environment of its own, else the caller's.
    fn exec(&self, guest: bool) -> Error {
        let shell = [login_shell(), "-l".into()];
        let words = match self.argv.is_empty() {
            true => &shell[..],
            false => &self.argv,
        };
        match self.command(words, guest) {
            Ok(mut command) => self.failed(words, command.exec()),
            Err(e) => e,
        }
    }

    /// Starts it, if there is one, and runs `own`, which is this command, as the small init in
    /// place of this process; returns only if that fails.
    fn run_below(&self, own: &File, guest: bool) -> Error {
        let mut init = Command::new(format!("/proc/self/fd/{}", own.as_raw_fd()));
        init.arg0(REAPER);
        if !self.argv.is_empty() {
            let child = self.command(&self.argv, guest).and_then(|mut command| {
                let spawned = command.spawn();
                spawned.map_err(|e| self.failed(&self.argv, e))
            });
            match child {
                Ok(child) => init.arg(child.id().to_string()),
                Err(e) => return e,
            };
        }
        Error::Exec {
            program: "the small init".into(),
            cause: init.env_clear().exec(),
        }
    }

    /// The command, ready to be run in this process's surroundings.
    fn command(&self, words: &[OsString], guest: bool) -> Result<Command, Error> {
        vserver_abi::process::close_others_on_exec().map_err(|errno| {
            Error::file("close the descriptors of", Path::new("/proc/self"), errno)
        })?;
        let (program, args) = words
            .split_first()
            .ok_or_else(|| Error::Invalid("no command is given".into()))?;
        let mut command = Command::new(program);
        command.args(args);
        if guest {
            // The program is looked for in it, too.
            command
                .env_clear()
                .env("PATH", GUEST_PATH)
                .env("HOME", "/root");
            command.env("container", "vserver");
            command.envs(
                ["TERM", "LANG"]
                    .into_iter()
                    .filter_map(|k| Some((k, std::env::var_os(k)?))),
            );
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.workdir {
            rustix::process::chdir(dir).map_err(|errno| Error::file("change to", dir, errno))?;
        }
        Ok(command)
    }

    fn failed(&self, words: &[OsString], cause: std::io::Error) -> Error {
        let program = words.first().map(|w| w.to_string_lossy().into_owned());
        Error::Exec {
            program: program.unwrap_or_default(),
            cause,
        }
    }
}

/// This command's own file, as it runs.
fn own_program() -> Result<File, Error> {
    let path = Path::new("/proc/self/exe");
    File::open(path).map_err(|e| Error::file("open", path, e))
}

/// The better shell of those that are there.
fn login_shell() -> OsString {
    let bash = "/bin/bash";
    match Path::new(bash).exists() {
        true => bash.into(),
        false => "/bin/sh".into(),
    }
}

/// The namespaces by the names they have in `/proc/<pid>/ns`.
const NAMESPACES: [(&str, UnshareFlags); 5] = [
    ("mnt", UnshareFlags::NEWNS),
    ("uts", UnshareFlags::NEWUTS),
    ("ipc", UnshareFlags::NEWIPC),
    ("net", UnshareFlags::NEWNET),
    ("cgroup", UnshareFlags::NEWCGROUP),
];

/// The namespaces that a comma-separated list names; `none` is none.
pub fn namespaces(list: &str) -> Result<UnshareFlags, Error> {
    if list == "none" {
        return Ok(UnshareFlags::empty());
    }
    list.split(',')
        .try_fold(UnshareFlags::empty(), |all, name| {
            let found = NAMESPACES.iter().find(|(n, _)| *n == name.trim());
            found.map(|(_, flag)| all | *flag).ok_or_else(|| {
                let names = NAMESPACES.map(|(name, _)| name).join(", ");
                Error::Invalid(format!(
                    "{name}: no such namespace; there are {names}, and none"
                ))
            })
        })
}

/// Moves this process, which must have one thread, into new namespaces; mounts in a new mount
/// namespace are not seen outside.
pub fn unshare(kinds: UnshareFlags) -> Result<(), Error> {
    vserver_abi::process::unshare(kinds).doing(|| "make new namespaces".into())?;
    match kinds.contains(UnshareFlags::NEWNS) {
        true => mounts::make_private(),
        false => Ok(()),
    }
}

/// The namespaces a context gets if nobody says otherwise: a guest some, others none.
pub fn default_namespaces(guest: bool) -> UnshareFlags {
    match guest {
        true => UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC,
        false => UnshareFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_by_name() {
        assert_eq!(
            namespaces("mnt, uts,ipc").unwrap(),
            default_namespaces(true)
        );
        assert!(namespaces("none").unwrap().is_empty());
        let error = namespaces("pid").unwrap_err().to_string();
        assert!(error.starts_with("pid: no such namespace"), "{error}");
    }
}
