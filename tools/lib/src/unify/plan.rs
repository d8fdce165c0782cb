// SPDX-License-Identifier: GPL-2.0
//! What a scan found: files that may be equal, stored compactly.

use std::ffi::OsStr;
use std::path::PathBuf;

/// Files that may be equal, in all directories.
#[derive(Debug, Default)]
pub struct Plan {
    /// The directories in which there are any.
    pub dirs: Vec<DirPlan>,
}

/// Files that may be equal, in one directory of the trees.
#[derive(Debug)]
pub struct DirPlan {
    /// The directory's path below the trees.
    pub relative: PathBuf,
    /// Its files.
    pub files: Vec<Candidate>,
}

/// Files of one name and size that may be equal.
#[derive(Debug)]
pub struct Candidate {
    /// The name in the directory.
    pub name: Box<OsStr>,
    /// Their size.
    pub size: u64,
    /// The trees that have it; two or more.
    pub trees: Box<[u16]>,
}

impl Plan {
    /// How many files have to be compared.
    pub fn files(&self) -> u64 {
        let files = self.dirs.iter().flat_map(|dir| &dir.files);
        files.map(|candidate| candidate.trees.len() as u64).sum()
    }
}
