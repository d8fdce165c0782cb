// SPDX-License-Identifier: GPL-2.0
//! What each command does: arguments in, calls of the library, words out.

pub(crate) mod attr;
pub(crate) mod build;
pub(crate) mod cleanup;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod disk;
pub(crate) mod du;
mod file_page;
pub(crate) mod generate;
pub(crate) mod guests;
pub(crate) mod hashify;
pub(crate) mod run;
pub(crate) mod see;
pub(crate) mod state;
pub(crate) mod top;
mod trees;
pub(crate) mod unify;
