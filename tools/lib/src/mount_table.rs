// SPDX-License-Identifier: GPL-2.0
//! What is mounted, as this process sees it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where the kernel says so.
const TABLE: &str = "/proc/self/mountinfo";

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    /// Major and minor number.
    pub(crate) device: Vec<u8>,
    /// What of the file system is mounted.
    pub(crate) root: PathBuf,
    /// Where.
    pub(crate) point: PathBuf,
    /// The kind of file system: ext4.
    pub(crate) kind: Vec<u8>,
    /// What it was mounted from: a device, or any word.
    pub(crate) source: PathBuf,
}

/// All mounts; those that come later may lie over others.
pub(crate) fn mounts() -> Result<Vec<Mount>> {
    table().map_err(|e| Error::file("read", Path::new(TABLE), e))
}

/// The same, for those who have words of their own for what fails.
pub(crate) fn table() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read(TABLE)?))
}

/// The lines of such a table; what is none is left out.
pub(crate) fn parse(table: &[u8]) -> Vec<Mount> {
    let lines = table.split(|b| *b == b'\n');
    lines.filter_map(line).collect()
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/root rw`; any number of words before
/// the dash.
fn line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|b| *b == b' ');
    let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let device = words.nth(1)?.to_vec();
    let root = unescape(words.next()?);
    let point = unescape(words.next()?);
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    Some(Mount {
        id,
        device,
        root,
        point,
        kind: words.next()?.to_vec(),
        source: unescape(words.next()?),
    })
}

/// Undoes what the kernel does to blanks and the like: `\040`.
fn unescape(word: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        match (first, octal(behind)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// The byte that three digits mean.
fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn mounts_are_understood() {
        let table = b"36 35 98:0 /part /mnt/my\\040disk rw,noatime master:1 - ext4 /dev/root rw\n\
            37 36 0:27 / /mnt/\xff\\134 rw - cgroup2 none rw\n\
            rubbish\n38 37\n";
        let mounts = parse(table);
        let [disk, groups] = mounts.as_slice() else {
            panic!("{mounts:?}")
        };
        assert_eq!((disk.id, disk.device.as_slice()), (36, &b"98:0"[..]));
        assert_eq!(disk.root, Path::new("/part"));
        assert_eq!(disk.point, Path::new("/mnt/my disk"));
        assert_eq!(disk.kind, b"ext4");
        assert_eq!(disk.source, Path::new("/dev/root"));
        assert_eq!(groups.point, Path::new(OsStr::from_bytes(b"/mnt/\xff\\")));
        assert_eq!(groups.kind, b"cgroup2");
    }

    #[test]
    fn there_are_some() {
        let mounts = mounts().unwrap();
        assert!(mounts.iter().any(|m| m.point == Path::new("/proc")));
    }
}
