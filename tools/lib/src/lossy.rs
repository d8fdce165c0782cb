// SPDX-License-Identifier: GPL-2.0
//! Paths in JSON, which knows no bytes that are no text: those are replaced, as in messages.

use std::path::{Path, PathBuf};

use serde::Serializer;

/// A path.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Several.
pub(crate) fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}
