// SPDX-License-Identifier: GPL-2.0
//! The engine behind the `vserver` command.
//!
//! A context is a set of processes that the kernel's vserver module knows by an id, the xid.
//! [`guest`] puts processes into contexts, [`context`] looks at and changes those there are.
//!
//! A unified file is one inode with names in several guests. [`unify`](mod@unify) makes files
//! that, [`deunify`](mod@deunify) gives them inodes of their own again, [`attr`] shows and changes
//! the attributes by which the kernel knows them, [`cleanup`](mod@cleanup) finds what crashes left.

#![forbid(unsafe_code)]

pub mod attr;
pub mod breaks;
pub mod build;
pub mod cgroup;
pub mod cleanup;
pub mod clone;
pub mod config;
mod content;
pub mod context;
mod copy;
pub mod cpu;
mod debris;
pub mod deunify;
pub mod disk;
pub mod dlimit;
pub mod du;
pub mod error;
pub mod exclude;
mod glob;
pub mod guest;
pub mod hashify;
pub mod info;
pub mod limits;
mod lossy;
mod mount_table;
pub mod names;
pub mod proc;
mod protect;
pub mod quota;
mod removal;
mod replace;
pub mod signal;
pub mod space;
mod temp;
pub mod unify;
pub mod usage;
pub mod walk;
mod xattr;

pub use error::{Error, Result};
pub use vserver_abi as abi;
