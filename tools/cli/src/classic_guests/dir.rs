// SPDX-License-Identifier: GPL-2.0
//! Values that a tool reads from a directory, a file each, as those in `/etc/vservers/<name>`.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use vserver::error::{Error, Result};

/// Where values are read from.
#[derive(Debug, Args)]
pub(super) struct Dir {
    /// Read values from the files in this directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The directory need not be there
    #[arg(long, requires = "dir")]
    missingok: bool,
}

impl Dir {
    /// Whether there is one to be read.
    ///
    /// # Errors
    ///
    /// It should be there and is not.
    pub(super) fn is_there(&self) -> Result<bool> {
        let Some(dir) = &self.dir else {
            return Ok(false);
        };
        match fs::metadata(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound && self.missingok => Ok(false),
            metadata => metadata
                .map(|_| true)
                .map_err(|e| Error::file("read", dir, e)),
        }
    }

    /// Whether one is named.
    pub(super) fn is_given(&self) -> bool {
        self.dir.is_some()
    }

    /// What the file `name` in it says; nothing if there is none.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        let path = self.dir.iter().map(|dir| dir.join(name)).next();
        path.map_or(Ok(None), |path| match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            text => text
                .map(|text| Some(text.trim_end().to_owned()))
                .map_err(|e| Error::file("read", &path, e)),
        })
    }

    /// That as a value.
    pub(super) fn value<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let text = self.text(name)?;
        let value = text.map(|text| parse(&text)).transpose();
        value.map_err(|e| Error::Invalid(format!("{name}: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_values() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nodename"), "web\n").unwrap();
        let given = |path: PathBuf, missingok| Dir {
            dir: Some(path),
            missingok,
        };
        let there = given(dir.path().to_owned(), false);
        assert!(there.is_there().unwrap());
        assert_eq!(there.text("nodename").unwrap().as_deref(), Some("web"));
        assert_eq!(there.text("machine").unwrap(), None);
        let gone = dir.path().join("x");
        assert!(given(gone.clone(), false).is_there().is_err());
        assert!(!given(gone, true).is_there().unwrap());
    }
}
