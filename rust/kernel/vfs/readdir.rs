// SPDX-License-Identifier: GPL-2.0

//! The names in a directory.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{copy::OpenFile, cred::OwnerCred, Path};
use crate::{
    bindings,
    error::{to_result, Result},
    ffi::{c_char, c_int, c_uint},
};
use core::slice;

#[repr(C)]
struct Reader<F> {
    ctx: bindings::dir_context,
    called: bool,
    done: bool,
    f: F,
}

/// # Safety
///
/// `ctx` points to a [`Reader<F>`] that nobody else uses, `name` to `len` bytes.
unsafe extern "C" fn take_name<F: FnMut(&[u8], u64) -> bool>(
    ctx: *mut bindings::dir_context,
    name: *const c_char,
    len: c_int,
    _pos: bindings::loff_t,
    ino: u64,
    _kind: c_uint,
) -> bool {
    // SAFETY: The caller's promise.
    let reader = unsafe { &mut *ctx.cast::<Reader<F>>() };
    // SAFETY: The caller's promise.
    let name = unsafe { slice::from_raw_parts(name.cast(), usize::try_from(len).unwrap_or(0)) };

    reader.called = true;
    reader.done = !(reader.f)(name, ino);
    !reader.done
}

/// Calls `f` for each name in the directory `dir` and the number of its inode, until it returns
/// false. To be run as `cred`.
///
/// The directory is locked, shared, while `f` runs. Neither its access time nor watchers notice.
///
/// # Errors
///
/// Those of `open(2)` and `getdents(2)`; `EINTR` if the caller is being killed.
pub fn for_each_name<F: FnMut(&[u8], u64) -> bool>(dir: &Path, cred: &OwnerCred, f: F) -> Result {
    let file = OpenFile::read(dir, cred)?;
    let mut reader = Reader {
        ctx: bindings::dir_context {
            actor: Some(take_name::<F>),
            ..Default::default()
        },
        called: true,
        done: false,
        f,
    };

    // A file system may end a turn early; one in which there is nothing is the last.
    while reader.called && !reader.done {
        reader.called = false;
        // SAFETY: The file is open and nobody else uses its position; the context is the first
        // field of a `Reader<F>`, as its actor asks, and lives until the call returns.
        to_result(unsafe { bindings::iterate_dir(file.as_ptr(), (&raw mut reader).cast()) })?;
    }
    Ok(())
}
