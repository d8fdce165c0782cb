// SPDX-License-Identifier: GPL-2.0
//! What a run did.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Why a file is not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A pattern excludes it.
    Excluded,
    /// No other tree has a file of that name.
    OneTree,
    /// No other file is equal to it.
    Unique,
    /// It is a symlink, a device, a socket or a pipe.
    NotRegular,
    /// It has no content to share.
    Empty,
    /// The other trees' files lie on another file system.
    OtherFileSystem,
    /// Sizes differ.
    Size,
    /// Mode, owner or group differ.
    Metadata,
    /// Modification times differ, and they shall be kept.
    Times,
    /// Extended attributes differ.
    Xattrs,
    /// Contents differ.
    Content,
    /// It has other names in its tree, which must go on being the same file.
    HardLinked,
    /// It has other names that were not found, and is not protected: outside of the trees, or excluded.
    LinkedOutside,
    /// The administrator has made it immutable or append-only.
    Immutable,
    /// Somebody has it open for writing.
    Busy,
    /// It was changed in the meantime.
    Changed,
    /// The pool has another file in its place.
    Damaged,
    /// The file system has no such attributes.
    Unsupported,
    /// Something went wrong.
    Error,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "excluded by a pattern",
            Self::OneTree => "in one tree only",
            Self::Unique => "no other file is equal",
            Self::NotRegular => "not a regular file",
            Self::Empty => "empty",
            Self::OtherFileSystem => "cannot be linked to the others",
            Self::Size => "size differs",
            Self::Metadata => "mode, owner or group differs",
            Self::Times => "modification time differs",
            Self::Xattrs => "extended attributes differ",
            Self::Content => "content differs",
            Self::HardLinked => "hard link inside its tree",
            Self::LinkedOutside => "hard link out of the trees, unprotected",
            Self::Immutable => "immutable or append-only already",
            Self::Busy => "open for writing",
            Self::Changed => "changed in the meantime",
            Self::Damaged => "the pool has a damaged file in its place: vserver hashify --check",
            Self::Unsupported => "file system without support",
            Self::Error => "failed",
        })
    }
}

/// So many files with so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Names of files.
    pub files: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// How many messages about failures, and how many paths, a report keeps.
const MAX_ERRORS: usize = 100;

/// Keeps a message, if there are not too many.
pub(crate) fn keep(errors: &mut Vec<String>, message: String) {
    if errors.len() < MAX_ERRORS {
        errors.push(message);
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Names looked at in all trees, directories aside.
    pub files: u64,
    /// Names that share an inode now and did not before, and what that freed.
    pub shared: Amount,
    /// Names that shared an inode already.
    pub already_shared: Amount,
    /// Names that do not share one, by reason.
    pub skipped: BTreeMap<Reason, Amount>,
    /// Left-overs of an interrupted run that were removed.
    pub cleaned: u64,
    /// Files that were protected though nobody shared them, and are ordinary again.
    pub released: u64,
    /// Names that led to one file from several trees, or from the pool, without protection, and are
    /// protected now.
    pub protected: u64,
    /// Files that have names outside of the trees, or in several, and could not be protected: who
    /// writes to one of the names writes to all; the first hundred.
    #[serde(serialize_with = "crate::lossy::paths")]
    pub unprotected: Vec<PathBuf>,
    /// Something failed because a file system is full.
    pub no_space: bool,
    /// What went wrong, file by file; the first hundred.
    pub errors: Vec<String>,
}

impl Report {
    pub(crate) fn skip(&mut self, reason: Reason, amount: Amount) {
        self.skipped.entry(reason).or_default().add(amount);
    }

    pub(crate) fn error(&mut self, message: String) {
        keep(&mut self.errors, message);
    }

    pub(crate) fn leave_unprotected(&mut self, path: PathBuf) {
        if self.unprotected.len() < MAX_ERRORS {
            self.unprotected.push(path);
        }
    }

    /// Whether something went wrong.
    pub fn failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Both reports together.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.files += other.files;
        self.shared.add(other.shared);
        self.already_shared.add(other.already_shared);
        for (reason, amount) in other.skipped {
            self.skip(reason, amount);
        }
        self.cleaned += other.cleaned;
        self.released += other.released;
        self.protected += other.protected;
        let unprotected = other.unprotected.into_iter();
        unprotected.for_each(|path| self.leave_unprotected(path));
        self.no_space |= other.no_space;
        other.errors.into_iter().for_each(|e| self.error(e));
        self
    }
}
