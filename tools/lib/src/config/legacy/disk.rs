// SPDX-License-Identifier: GPL-2.0
//! `dlimits/`: what the files of a guest may take of the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

use super::super::Text;
use super::{Reading, entries};
use crate::error::{Error, Result};
use crate::hashify::GUESTS;

impl Reading<'_> {
    /// A directory for each file system: here there are limits for that of the guest's root.
    pub(super) fn disk(&mut self) -> Result<()> {
        for number in entries(&self.dir.join("dlimits"))? {
            let dir = format!("dlimits/{number}");
            if !self.dir.join(&dir).is_dir() {
                self.note(&dir, "has no counterpart");
                continue;
            }
            let place = self.lines(&format!("{dir}/directory"))?.into_iter().next();
            if !place.is_some_and(|place| self.is_on_disk_of_root(Path::new(&place))) {
                let why = "is not about the file system of the guest's root; see vserver disk";
                self.note(&dir, why);
                continue;
            }
            for name in entries(&self.dir.join(&dir))? {
                let path = format!("{dir}/{name}");
                match name.as_str() {
                    "directory" => {}
                    "space_total" => self.guest.disk.space = self.total(&path)?,
                    "inodes_total" => self.guest.disk.inodes = self.total(&path)?,
                    "reserved" => self.guest.disk.reserved = self.value(&path)?,
                    _ => self.note(&path, "has no counterpart"),
                }
            }
        }
        Ok(())
    }

    /// Whether a limit at `place` is one for the guest's root. What is not there, as on another
    /// machine, is told by its path.
    fn is_on_disk_of_root(&self, place: &Path) -> bool {
        let root = match fs::read_link(self.dir.join("vdir")) {
            Ok(root) => self.dir.join(root),
            Err(_) => Path::new(GUESTS).join(self.dir.file_name().unwrap_or_default()),
        };
        match (fs::metadata(&root), fs::metadata(place)) {
            (Ok(root), Ok(place)) => root.dev() == place.dev(),
            _ => root.starts_with(place),
        }
    }

    /// The first line of a file, as a value that may be without limit: -1 there.
    fn total<T: FromStr<Err = Error>>(&self, name: &str) -> Result<Option<Text<T>>> {
        let Some(text) = self.lines(name)?.into_iter().next() else {
            return Ok(None);
        };
        let text = match text.as_str() {
            "-1" | "inf" => "unlimited",
            text => text,
        };
        text.parse().map(Some).map_err(|e| self.wrong(name, e))
    }
}
