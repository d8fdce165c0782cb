// SPDX-License-Identifier: GPL-2.0
//! Extended attributes of files: ACLs, capabilities, labels.

use std::fs::File;

use rustix::buffer::spare_capacity;
use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;

use crate::attr::XATTR;

/// Names and values of extended attributes.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The names and values of a file's extended attributes, but for our own, sorted.
pub(crate) fn xattrs(file: &File) -> Result<Xattrs, Errno> {
    let names = match whole(|buffer| flistxattr(file, spare_capacity(buffer))) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        names => names?,
    };
    let names = names.split(|b| *b == 0);
    let mut all = Vec::new();
    for name in names.filter(|n| !n.is_empty() && *n != XATTR.as_bytes()) {
        let value = whole(|buffer| fgetxattr(file, name, spare_capacity(buffer)))?;
        all.push((name.to_vec(), value));
    }
    all.sort_unstable();
    Ok(all)
}

/// Calls with ever larger buffers until the answer fits.
fn whole(mut call: impl FnMut(&mut Vec<u8>) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(256);
    loop {
        match call(&mut buffer) {
            Err(Errno::RANGE) if buffer.capacity() <= 64 * 1024 => {
                buffer = Vec::with_capacity(buffer.capacity() * 4);
            }
            answer => return answer.map(|_| buffer),
        }
    }
}
