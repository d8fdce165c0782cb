// SPDX-License-Identifier: GPL-2.0
//! With which status the command ends; the table is in Documentation/admin-guide.rst.

use vserver::error::Error;

/// It failed, for a reason that the others don't name.
pub(crate) const FAILED: u8 = 1;
/// There is no such guest or context.
pub(crate) const NOT_FOUND: u8 = 4;
/// The guest is in use, or in a state in which this can't be done.
pub(crate) const BUSY: u8 = 5;
/// A guest's configuration is wrong.
pub(crate) const CONFIG: u8 = 6;
/// A guest could not be started; nothing of it is left.
pub(crate) const START: u8 = 7;

/// The status for an error.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::NoContext(_) | Error::NoGuest(_)) => NOT_FOUND,
        Some(Error::Busy(_)) => BUSY,
        Some(Error::Config { .. }) => CONFIG,
        Some(Error::Start { .. }) => START,
        _ => FAILED,
    }
}
