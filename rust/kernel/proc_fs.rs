// SPDX-License-Identifier: GPL-2.0

//! Directories and files in `/proc`.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use crate::{
    alloc::{flags, KBox},
    bindings,
    error::{from_result, Result},
    ffi::{c_int, c_void},
    prelude::*,
    seq_file::SeqFile,
    str::CStr,
    sync::Arc,
};
use core::{marker::PhantomData, ptr::NonNull};

/// A directory in `/proc`.
///
/// Files keep their directory alive; the last user removes it. Dropping may sleep.
///
/// # Invariants
///
/// `entry` is a directory made by `proc_mkdir` that nobody but `Drop` removes. The directory above
/// it is the root of `/proc` or `parent`, so it outlives `entry`.
pub struct Dir {
    entry: NonNull<bindings::proc_dir_entry>,
    _parent: Option<Arc<Dir>>,
}

// SAFETY: Entries are reference counted and locked by procfs; any thread may use them.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes the directory `name` in `parent`, or in the root of `/proc`.
    ///
    /// The caller sees to it that the name is free: procfs warns about a second one. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; procfs knows no other.
    pub fn new(name: &CStr, parent: Option<&Arc<Dir>>) -> Result<Arc<Dir>> {
        let above = parent.map_or(core::ptr::null_mut(), |p| p.entry.as_ptr());
        // SAFETY: `name` is a C string, and `above` is null or, by its invariant, a directory.
        let entry = unsafe { bindings::proc_mkdir(name.as_char_ptr(), above) };
        let entry = NonNull::new(entry).ok_or(ENOMEM)?;
        // INVARIANT: Made just now, in `parent`. If the allocation fails, `Drop` of the value
        // that is handed to it removes the entry.
        Arc::new(
            Dir {
                entry,
                _parent: parent.cloned(),
            },
            flags::GFP_KERNEL,
        )
        .map_err(Into::into)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the type invariants `entry` is still there, and its files, which hold
        // references to the directory, are gone.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
    }
}

/// What a file shows, made anew each time that it is opened.
pub trait Show: Send + Sync + 'static {
    /// Prints the contents. Process context, may sleep; runs for several openers at a time, and
    /// again if there was too little room.
    ///
    /// # Errors
    ///
    /// What the opener's `open(2)` is to fail with.
    fn show(&self, m: &SeqFile) -> Result;
}

/// What functions in C print to, to print to `m`.
pub(crate) fn seq_file(m: &SeqFile) -> *mut bindings::seq_file {
    // CAST: `SeqFile` is transparent.
    core::ptr::from_ref(m).cast_mut().cast()
}

/// A read-only file in `/proc`; dropping it removes it, after waiting for who is just opening it.
/// Readers have the text already: they hold up nothing.
///
/// # Invariants
///
/// `entry` is a file in `_dir` that nobody but `Drop` removes, and `data` is the pointer it was
/// made with, with `OPS`. `data` came from [`KBox::into_raw`] and is freed only by `Drop`.
pub struct File<T: Show> {
    entry: NonNull<bindings::proc_dir_entry>,
    data: NonNull<T>,
    _dir: Arc<Dir>,
    _owns: PhantomData<T>,
}

// SAFETY: procfs locks the entry, and `T` is `Send` and `Sync` by the bound of `Show`.
unsafe impl<T: Show> Send for File<T> {}
// SAFETY: As above.
unsafe impl<T: Show> Sync for File<T> {}

impl<T: Show> File<T> {
    /// What procfs calls. An opened file has other operations, so that there must be a
    /// `proc_lseek` only to say that it can seek.
    const OPS: bindings::proc_ops = bindings::proc_ops {
        proc_open: Some(Self::open_callback),
        proc_lseek: Some(bindings::noop_llseek),
        ..pin_init::zeroed()
    };

    /// Makes the world-readable file `name` in `dir`, which shows `data`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &CStr, dir: &Arc<Dir>, data: T) -> Result<Self> {
        let data = KBox::into_raw(KBox::new(data, flags::GFP_KERNEL)?);
        // SAFETY: `name` is a C string, `dir` a directory by its invariant; `OPS` and `data` stay
        // valid until the entry is removed, as `open_callback` needs them.
        let entry = unsafe {
            bindings::proc_create_data(
                name.as_char_ptr(),
                0o444,
                dir.entry.as_ptr(),
                &Self::OPS,
                data.cast(),
            )
        };
        match (NonNull::new(entry), NonNull::new(data)) {
            // INVARIANT: Made just now, in `dir`, with `data` from `KBox::into_raw`.
            (Some(entry), Some(data)) => Ok(File {
                entry,
                data,
                _dir: dir.clone(),
                _owns: PhantomData,
            }),
            _ => {
                // SAFETY: `data` came from `KBox::into_raw` and no entry refers to it.
                drop(unsafe { KBox::from_raw(data) });
                Err(ENOMEM)
            }
        }
    }

    unsafe extern "C" fn open_callback(
        _: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: procfs opens `file`, which is one of an entry that was made with `OPS`.
        unsafe { bindings::vserver_open_text(file, Some(Self::show_callback)) }
    }

    unsafe extern "C" fn show_callback(m: *mut bindings::seq_file, data: *mut c_void) -> c_int {
        // SAFETY: `vserver_open_text` passes the entry's data; it is a `T` by the type invariants, and
        // `Drop` waits for that function before it frees it.
        let data = unsafe { &*data.cast::<T>() };
        // SAFETY: `m` is a `seq_file` of this thread's own.
        let m = unsafe { SeqFile::from_raw(m) };
        from_result(|| data.show(m).map(|()| 0))
    }
}

impl<T: Show> Drop for File<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the entry is still there.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
        // SAFETY: By the type invariants `data` is a leaked box; `proc_remove` waited for the
        // openers and lets no new ones in.
        drop(unsafe { KBox::from_raw(self.data.as_ptr()) });
    }
}
