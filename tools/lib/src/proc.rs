// SPDX-License-Identifier: GPL-2.0
//! What `/proc/virtual` says.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::error::{Doing, Error, Result};

/// Where the kernel shows contexts.
const ROOT: &str = "/proc/virtual";

/// The lines `Key:\tvalue` of a file.
pub type Fields = BTreeMap<String, String>;

/// The ids of all contexts, smallest first.
pub fn xids() -> Result<Vec<u32>> {
    let entries = match fs::read_dir(ROOT) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(no_module()),
        entries => entries.doing(|| format!("read {ROOT}"))?,
    };
    let mut xids = Vec::new();
    for entry in entries {
        let entry = entry.doing(|| format!("read {ROOT}"))?;
        xids.extend(
            entry
                .file_name()
                .to_str()
                .and_then(|n| n.parse::<u32>().ok()),
        );
    }
    xids.sort_unstable();
    Ok(xids)
}

/// The file `name` of context `xid`; `None` if this kernel does not have it.
pub fn context_file(xid: u32, name: &str) -> Result<Option<String>> {
    read(PathBuf::from(ROOT).join(xid.to_string()).join(name))
}

/// All files of context `xid` by name.
pub fn context_files(xid: u32) -> Result<BTreeMap<String, String>> {
    let dir = PathBuf::from(ROOT).join(xid.to_string());
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.doing(|| format!("read {}", dir.display()))?,
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.doing(|| format!("read {}", dir.display()))?;
        if let Some(text) = read(entry.path())? {
            files.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
    }
    Ok(files)
}

/// The file `name` of the interface as a whole: `info`, `status`.
pub fn global_file(name: &str) -> Result<Option<String>> {
    read(PathBuf::from(ROOT).join(name))
}

fn read(path: PathBuf) -> Result<Option<String>> {
    match fs::read_to_string(&path) {
        // A context may end while it is looked at: before its file is opened, or before that is read.
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::IO)) => Ok(None),
        text => text.map(Some).doing(|| format!("read {}", path.display())),
    }
}

fn no_module() -> Error {
    Error::Kernel {
        doing: format!("read {ROOT}"),
        errno: rustix::io::Errno::NOSYS,
    }
}

/// The `Key:\tvalue` lines of a file; other lines are left out.
pub fn fields(text: &str) -> Fields {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            let key = key.trim();
            (!key.is_empty() && !key.contains(' '))
                .then(|| (key.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// A field as a decimal number.
pub fn number(fields: &Fields, key: &str) -> Option<i64> {
    fields.get(key)?.parse().ok()
}

/// A field as a hexadecimal word of bits.
pub fn bits(fields: &Fields, key: &str) -> Option<u64> {
    u64::from_str_radix(fields.get(key)?, 16).ok()
}

/// A field `real,idle` as two numbers.
pub fn pair(fields: &Fields, key: &str) -> Option<(i32, i32)> {
    let (real, idle) = fields.get(key)?.split_once(',')?;
    Some((real.trim().parse().ok()?, idle.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "UseCnt:\t3\nTasks:\t2\nFlags:\t0000000400000100\n\
        BCaps:\tffffffffffffffff\nCCaps:\t0000000000000000\n";
    const SCHED: &str = "FillRate:\t       1,2\nInterval:\t       4,8\nTokensMin:\t       4\n\
        cpu 0: 10 20 30 0 0 R- 4 4 100 1/4 2/8 0 0\n";

    #[test]
    fn status_is_understood() {
        let fields = fields(STATUS);
        assert_eq!(number(&fields, "Tasks"), Some(2));
        assert_eq!(bits(&fields, "Flags"), Some(0x4_0000_0100));
        assert_eq!(number(&fields, "Nothing"), None);
    }

    #[test]
    fn sched_is_understood() {
        let fields = fields(SCHED);
        assert_eq!(pair(&fields, "FillRate"), Some((1, 2)));
        assert_eq!(pair(&fields, "Interval"), Some((4, 8)));
        assert_eq!(number(&fields, "TokensMin"), Some(4));
        assert!(!fields.contains_key("cpu 0"));
    }

    #[test]
    fn garbage_is_no_field() {
        assert!(fields("\n:\nno colon\n").is_empty());
        assert_eq!(pair(&fields("FillRate:\tx,y\n"), "FillRate"), None);
    }
}
