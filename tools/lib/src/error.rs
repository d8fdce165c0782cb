// SPDX-License-Identifier: GPL-2.0
//! What can go wrong, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why something could not be done. The words have the cause in them, which is no source therefore: who
/// shows an error with its sources would say it twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a `vserver(2)` call.
    #[error("{doing}: {}", explain(*.errno))]
    Kernel {
        /// What was tried, as a phrase: "set the flags of context 5".
        doing: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// Another call failed.
    #[error("{doing}: {cause}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// A name or id belongs to no context.
    #[error("{0}: no such context (vserver list shows those there are)")]
    NoContext(String),
    /// There is no guest of that name.
    #[error("{0}: no such guest (vserver list shows those there are)")]
    NoGuest(String),
    /// A guest's configuration is wrong.
    #[error("{}:{line}:{column}: {}{message}", file.display(), prefix(key))]
    Config {
        /// The file.
        file: PathBuf,
        /// The line in it, from 1,
        line: usize,
        /// and the character in the line.
        column: usize,
        /// The key with those of the tables around it: `limits.processes`.
        key: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// A guest is in a state, or in use, in which this can't be done.
    #[error("{0}")]
    Busy(String),
    /// A guest could not be started.
    #[error("{guest}: start failed at {step}: {cause}")]
    Start {
        /// The guest.
        guest: String,
        /// What was being done: "mounts".
        step: String,
        /// Why it failed.
        cause: String,
    },
    /// A value that was given makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A tree or a pool cannot be used.
    #[error("{0}")]
    Place(String),
    /// A file system is full, or the quota on it used up.
    #[error("{0}")]
    Full(String),
    /// A command could not be started in a context.
    #[error("{program}: {cause}")]
    Exec {
        /// The program.
        program: String,
        /// Why it does not start.
        cause: io::Error,
    },
}

impl Error {
    /// A file operation on `path` that failed: `doing` is a verb, "open".
    pub fn file(doing: &str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::Io {
            doing: format!("{doing} {}", path.display()),
            cause: cause.into(),
        }
    }

    /// The same of a tree or a pool: what is missing or read-only, or on another file system, can't be one.
    pub(crate) fn place(doing: &str, path: &Path, errno: Errno) -> Self {
        let error = Self::file(doing, path, errno);
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::ROFS | Errno::XDEV => {
                Self::Place(error.to_string())
            }
            _ => error,
        }
    }

    /// The same as what failed at a step of a guest's start. What has a status of its own that says what
    /// to do, or names the guest already, stays what it is.
    pub(crate) fn at_step(self, guest: &str, step: &str) -> Self {
        match self {
            Self::Config { .. } | Self::NoGuest(_) | Self::Busy(_) | Self::Start { .. } => self,
            cause => Self::Start {
                guest: guest.to_owned(),
                step: step.to_owned(),
                cause: cause.to_string(),
            },
        }
    }

    /// Whether there is no space left, or no quota.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_)) || self.errno().is_some_and(is_full)
    }

    /// The kernel's error number, if that is what this is.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            Self::Io { cause, .. } | Self::Exec { cause, .. } => Errno::from_io_error(cause),
            _ => None,
        }
    }
}

/// Whether this says that there is no space left, or no quota.
pub(crate) fn is_full(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::DQUOT)
}

/// The key in front of a message.
fn prefix(key: &Option<String>) -> String {
    key.as_ref()
        .map_or_else(String::new, |key| format!("{key}: "))
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an answer of `vserver(2)` means and what to do about it.
fn explain(errno: Errno) -> String {
    let hint = match errno {
        Errno::NOSYS => "the kernel has no vserver module: modprobe vserver",
        Errno::PERM => "not permitted: needs root in the host context",
        Errno::SRCH => "no such context",
        Errno::EXIST => "the context exists: choose another id, or use vserver enter",
        Errno::BUSY => "in use: a context that is being set up or ended, a file with a mount on it",
        Errno::OPNOTSUPP => "the file system does not support it",
        Errno::TXTBSY => "the file is open for writing: close it there, or try later",
        _ => return io::Error::from(errno).to_string(),
    };
    hint.to_owned()
}

/// Says what was being done when a call failed.
pub(crate) trait Doing<T> {
    /// Adds a phrase: "create a context".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

/// Calls of `vserver(2)`.
pub(crate) struct Vserver<T>(pub(crate) std::result::Result<T, Errno>);

impl<T> Doing<T> for Vserver<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.0.map_err(|errno| Error::Kernel {
            doing: what(),
            errno,
        })
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::Io {
            doing: what(),
            cause,
        })
    }
}

impl<T> Doing<T> for std::result::Result<T, Errno> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(io::Error::from).doing(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let error = Vserver::<()>(Err(Errno::NOSYS)).doing(|| "create a context".into());
        assert_eq!(
            error.unwrap_err().to_string(),
            "create a context: the kernel has no vserver module: modprobe vserver"
        );
    }

    #[test]
    fn other_calls_keep_their_own_words() {
        let error = Err::<(), _>(Errno::PERM).doing(|| "mount proc".into());
        let error = error.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("mount proc: Operation not permitted")
        );
        assert_eq!(error.errno(), Some(Errno::PERM));
    }
}
