// SPDX-License-Identifier: GPL-2.0
//! What a cleanup has found.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A copy that never got its name. Removed.
    Copy,
    /// A temporary name of a shared file. Removed.
    Link,
    /// A shared file that was not protected. It is now.
    Unprotected,
    /// A file that was protected though nobody shared it, nor was in a pool. An ordinary one now.
    Lone,
    /// A tree that an interrupted build, delete or clone has left. Removed.
    Tree,
    /// What a tool is at work on: a temporary name, or a tree. Left.
    InUse,
    /// A file that has such a name, but is none of ours. Left.
    Foreign,
}

/// Something that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Where.
    #[serde(serialize_with = "crate::lossy::path")]
    pub path: PathBuf,
    /// What it is.
    pub what: What,
    /// Bytes that its removal frees on disk.
    pub bytes: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Names looked at.
    pub names: u64,
    /// What was found.
    pub found: Vec<Found>,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Somebody who watches.
pub trait Progress {
    /// Another name was looked at.
    fn looked_at(&self);
    /// Something was found and, but for a dry run, dealt with.
    fn found(&self, found: &Found);
    /// Something went wrong.
    fn failed(&self, message: &str);
}

impl Report {
    /// Notes what came of a look.
    pub(super) fn note(&mut self, found: Result<Option<Found>>, progress: &dyn Progress) {
        match found {
            Ok(None) => {}
            Ok(Some(found)) => {
                progress.found(&found);
                self.found.push(found);
            }
            Err(e) => {
                let message = e.to_string();
                progress.failed(&message);
                self.errors.push(message);
            }
        }
    }
}
