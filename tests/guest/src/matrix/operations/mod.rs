// SPDX-License-Identifier: GPL-2.0
//! The lines of the matrix. An operation is done in the same way on a site of plain files and on
//! one with unified files, so that it can be said what should come of it without saying it.

mod attributes;
mod blocks;
mod data;
mod devices;
mod flags;
mod handle;
mod ioctls;
mod names;
mod open;
mod reading;
mod size;
mod uring;
mod xattr;

use super::cell::Operation;

pub const TABLES: &[&[Operation]] = &[
    open::TABLE,
    uring::TABLE,
    handle::TABLE,
    size::TABLE,
    attributes::TABLE,
    xattr::TABLE,
    flags::TABLE,
    ioctls::TABLE,
    blocks::TABLE,
    data::TABLE,
    devices::TABLE,
    names::TABLE,
    reading::TABLE,
];

/// What the tables are made of.
mod prelude {
    pub(in crate::matrix) use super::super::cell::Want::*;
    pub(in crate::matrix) use super::super::cell::{Operation, on, op};
    pub(in crate::matrix) use super::super::site::{self, Site};
    pub(in crate::matrix) use super::super::sys::{self, DONE, Outcome};
    pub use rustix::fd::{AsRawFd as _, OwnedFd};
    pub use rustix::fs::CWD;
    pub use rustix::io::Errno;

    use rustix::fs::{Timespec, Timestamps};

    /// Of a call whose value says nothing.
    pub fn done<T>(result: Result<T, Errno>) -> Outcome {
        result.map(|_| 0)
    }

    /// Some times.
    pub const THEN: Timestamps = Timestamps {
        last_access: Timespec {
            tv_sec: 77,
            tv_nsec: 5,
        },
        last_modification: Timespec {
            tv_sec: 78,
            tv_nsec: 6,
        },
    };
}
