// SPDX-License-Identifier: GPL-2.0
//! With which status the command ends; the table is in Documentation/admin-guide.rst and in `--help`.

use std::process::ExitCode;

use rustix::io::Errno;
use vserver::error::Error;

/// It failed, for a reason that the others don't name.
pub(crate) const FAILED: u8 = 1;
/// A guest does not run (`vserver status`).
pub(crate) const NOT_RUNNING: u8 = 3;
/// There is no such guest or context.
pub(crate) const NOT_FOUND: u8 = 4;
/// The guest is in use, or in a state in which this can't be done.
pub(crate) const BUSY: u8 = 5;
/// A guest's configuration is wrong.
pub(crate) const CONFIG: u8 = 6;
/// A guest could not be started; nothing of it is left.
pub(crate) const START: u8 = 7;
/// A tree or the pool can't be used.
pub(crate) const PLACE: u8 = 8;
/// The kernel has no vserver module, or does not let us use it.
pub(crate) const NO_MODULE: u8 = 9;
/// `vserver hashify --check` has found damage.
pub(crate) const DAMAGED: u8 = 10;
/// A file system is full.
pub(crate) const FULL: u8 = 11;

/// The status for an error.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    error.downcast_ref().map_or(FAILED, of)
}

/// The status for an error of the library.
pub(crate) fn of(error: &Error) -> u8 {
    match error {
        Error::NoContext(_) | Error::NoGuest(_) => NOT_FOUND,
        Error::Busy(_) => BUSY,
        Error::Config { .. } => CONFIG,
        Error::Start { .. } => START,
        Error::Place(_) => PLACE,
        // Of a call to the module this means that it is not there, or not for us.
        Error::Kernel {
            errno: Errno::NOSYS | Errno::PERM,
            ..
        } => NO_MODULE,
        error if error.is_full() => FULL,
        _ => FAILED,
    }
}

/// The status of a run over many files: whether some failed, and whether for want of space, which is
/// said.
pub(crate) fn of_files(failed: bool, no_space: bool) -> ExitCode {
    if no_space {
        eprintln!("vserver: a file system is full: free some space there, and run this again");
    }
    match (no_space, failed) {
        (true, _) => ExitCode::from(FULL),
        (false, true) => ExitCode::from(FAILED),
        (false, false) => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn want_of_space_is_the_reason_that_is_told() {
        assert_eq!(of_files(true, true), ExitCode::from(FULL));
        assert_eq!(of_files(true, false), ExitCode::FAILURE);
        assert_eq!(of_files(false, false), ExitCode::SUCCESS);
    }

    #[test]
    fn what_is_not_permitted_is_not_a_missing_module() {
        let of_file = |errno: Errno| of(&Error::file("open", Path::new("/f"), errno));
        let of_module = |errno| {
            of(&Error::Kernel {
                doing: "look".to_owned(),
                errno,
            })
        };
        assert_eq!(of_module(Errno::NOSYS), NO_MODULE);
        assert_eq!(of_module(Errno::PERM), NO_MODULE);
        assert_eq!(of_file(Errno::PERM), FAILED);
        assert_eq!(of_file(Errno::ACCESS), FAILED);
        assert_eq!(of_file(Errno::NOSPC), FULL);
        assert_eq!(of_module(Errno::DQUOT), FULL);
        assert_eq!(of(&Error::Full("no space".to_owned())), FULL);
        assert_eq!(of(&Error::Place("gone".to_owned())), PLACE);
    }
}
