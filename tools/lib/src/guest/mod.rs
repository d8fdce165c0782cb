// SPDX-License-Identifier: GPL-2.0
//! Processes into contexts: create one with a guest in it, or enter one.
//!
//! These calls change the calling process and end by running a program in its place, so that
//! signals, terminal and exit status are the program's own. The process must have one thread.

mod caps;
mod detach;
mod enter;
mod mounts;
mod run;
mod sealed;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::UnshareFlags;

pub use caps::Caps;
pub use detach::detach;
pub use enter::{Enter, enter};
pub use run::{NewContext, run};
pub use sealed::seal;

use crate::error::Error;

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
        if let Err(errno) = vserver_abi::process::close_others_on_exec() {
            return Error::file("close the descriptors of", Path::new("/proc/self"), errno);
        }
        let shell = [login_shell(), "-l".into()];
        let (program, args) = match self.argv.split_first() {
            Some(given) => given,
            None => (&shell[0], &shell[1..]),
        };
        let mut command = Command::new(program);
        command.args(args);
        if guest {
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
            if let Err(errno) = rustix::process::chdir(dir) {
                return Error::file("change to", dir, errno);
            }
        }
        Error::Exec {
            program: program.to_string_lossy().into_owned(),
            source: command.exec(),
        }
    }
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
