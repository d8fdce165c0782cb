// SPDX-License-Identifier: GPL-2.0
//! What each command does: arguments in, calls of the library, words out.

pub(crate) mod attr;
pub(crate) mod cleanup;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod guests;
pub(crate) mod run;
pub(crate) mod state;
pub(crate) mod unify;
