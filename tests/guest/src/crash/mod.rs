// SPDX-License-Identifier: GPL-2.0
//! Crash tests: whenever the power fails, every name of a unified file holds the old file or the
//! new one, whole and with its metadata.
//!
//! - [`cuts`]: the machine is killed at random moments of a storm of breaks on all file systems.
//!   QEMU dies, the host does not: each write that the guest saw complete has reached the host's
//!   page cache and survives, and of those under way each may or may not. This is a disk without a
//!   volatile cache.
//! - [`replay`]: a log of every write to the disk is replayed up to each flush, which is all that
//!   a disk with a volatile cache promises to keep, and with some of the writes behind it.

mod check;
pub mod cuts;
mod fast_commit;
mod files;
mod image;
mod log;
mod log_writes;
pub mod replay;
mod storm;
mod ways;
