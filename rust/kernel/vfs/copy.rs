// SPDX-License-Identifier: GPL-2.0

//! A file without a name that gets the content of another.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/splice.h`](srctree/include/linux/splice.h)

use super::{check, cred::OwnerCred, nop_idmap, Inode, Path, WriteAccess};
use crate::{
    bindings,
    error::{from_err_ptr, to_result, Result},
    ffi::{c_int, c_void},
    prelude::*,
    sync::aref::ARef,
    task::Task,
};
use core::{ops::Deref, ptr::NonNull};

/// So much is copied between two looks at whether the caller was killed.
const CHUNK: i64 = 1 << 20;

/// A file that the kernel has opened for itself: no descriptor leads here.
///
/// It is released when dropped, not later: whoever looks for writers finds none then.
///
/// # Invariants
///
/// The value owns the only reference to an open file.
pub struct OpenFile(NonNull<bindings::file>);

// SAFETY: The file belongs to no thread.
unsafe impl Send for OpenFile {}

impl OpenFile {
    /// Opens a file for reading. Neither its access time nor watchers notice.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`, for the owner of `cred`.
    // Not for the module: C's function is not exported.
    #[inline(never)]
    pub fn read(path: &Path, cred: &OwnerCred) -> Result<Self> {
        let flags = bindings::O_RDONLY | bindings::O_LARGEFILE | bindings::O_NOATIME;
        // Nobody is asked for permission either: a scanner that is asked may be the one who waits
        // for the copy.
        // SAFETY: `path` and `cred` are valid by their types' invariants.
        let file = from_err_ptr(unsafe {
            bindings::dentry_open_nonotify(&path.0, flags as c_int, cred.as_ptr())
        })?;
        Self::new(file)
    }

    fn new(file: *mut bindings::file) -> Result<Self> {
        // INVARIANT: It was opened by the caller, who gives us the reference.
        NonNull::new(file).map(Self).ok_or(ENOENT)
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::file {
        self.0.as_ptr()
    }

    /// The next offset from `pos` on at which data (or a hole) begins; `None` behind the last.
    fn seek(&mut self, pos: i64, whence: u32) -> Result<Option<i64>> {
        // SAFETY: By the type invariant; `&mut` keeps others from the file's position.
        let ret = unsafe { bindings::vfs_llseek(self.as_ptr(), pos, whence as c_int) };
        match check(ret) {
            Ok(pos) => Ok(Some(pos)),
            Err(e) if e == ENXIO => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is the last reference; process context.
        unsafe { bindings::__fput_sync(self.as_ptr()) };
    }
}

/// The task for which work is done, perhaps by another.
pub struct Caller(ARef<Task>);

impl Caller {
    /// The current task.
    pub fn current() -> Self {
        Self(ARef::from(&**crate::current!()))
    }

    /// # Errors
    ///
    /// `EINTR`: the task is being killed.
    pub fn check_alive(&self) -> Result {
        // SAFETY: The task is valid while there is a reference to it.
        if unsafe { bindings::fatal_signal_pending(self.0.as_ptr()) } != 0 {
            return Err(EINTR);
        }
        Ok(())
    }

    /// Whether the current task may make files of `size` bytes.
    fn may_write(size: i64) -> bool {
        // SAFETY: Always safe in a task.
        let limit = unsafe { bindings::rlimit(bindings::RLIMIT_FSIZE) };
        usize::try_from(size).is_ok_and(|size| size <= limit)
    }
}

/// Runs `f` in a kernel thread, and waits until it has run: neither the limits of the current task
/// nor its signals are in the way. Its cgroups pay for memory and I/O.
///
/// # Errors
///
/// Those of making a thread: `EINTR` if the task is being killed, `ENOMEM`.
fn in_kernel_thread<R: Send, F: FnOnce() -> R + Send>(f: F) -> Result<R> {
    struct Job<F, R> {
        f: Option<F>,
        ret: Option<R>,
    }

    unsafe extern "C" fn run<R, F: FnOnce() -> R>(job: *mut c_void) {
        // SAFETY: `job` is what is passed below; its owner waits and doesn't touch it.
        let job = unsafe { &mut *job.cast::<Job<F, R>>() };
        job.ret = job.f.take().map(|f| f());
    }

    let mut job = Job {
        f: Some(f),
        ret: None,
    };
    // SAFETY: The call returns when `run` has, or fails: until then `job` stays. `F` and `R` may
    // go to another thread.
    to_result(unsafe { bindings::vserver_errand(Some(run::<R, F>), (&raw mut job).cast()) })?;
    job.ret.ok_or(EIO)
}

/// A file that was made without a name.
///
/// Dropped before it was given one, it and its content are gone.
///
/// # Invariants
///
/// The path is that of a regular file that had no name when it was made.
pub struct Unnamed(Path);

/// The same, open for writing.
///
/// # Invariants
///
/// `unnamed` is the path of `file`.
pub struct TempFile {
    file: OpenFile,
    unnamed: Unnamed,
    /// Up to here it has the content that it is to have.
    copied: i64,
}

impl Deref for TempFile {
    type Target = Unnamed;

    fn deref(&self) -> &Unnamed {
        &self.unnamed
    }
}

impl TempFile {
    /// Makes a file that could be linked into the directory `dir`. No watcher notices.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` where the file system has no such files; `EINVAL`: the write access is another
    /// mount's; `ENOTDIR`. Else those of `open(2)`.
    // Not for the module: C's function is not exported.
    #[inline(never)]
    pub fn new(dir: &Path, cred: &OwnerCred, write: &WriteAccess) -> Result<Self> {
        write.check(dir)?;
        if !dir.is_dir() {
            return Err(ENOTDIR);
        }
        let flags = bindings::O_WRONLY | bindings::O_LARGEFILE;
        let mode = bindings::S_IFREG | 0o600;
        // SAFETY: `dir` and `cred` are valid by their types' invariants, and there is write
        // access.
        let file = from_err_ptr(unsafe {
            bindings::vserver_tmpfile_open(
                nop_idmap(),
                &dir.0,
                mode as bindings::umode_t,
                flags as c_int,
                cred.as_ptr(),
            )
        })?;
        let file = OpenFile::new(file)?;
        // SAFETY: The path of an open file holds references and doesn't change; the dentry of an
        // unnamed file is positive. `file` is open until after the clone.
        let path: &Path = unsafe { &*(&raw const (*file.as_ptr()).__bindgen_anon_1.f_path).cast() };
        // INVARIANT: A new file without a name; its own path.
        let unnamed = Unnamed(path.clone());
        Ok(Self {
            file,
            unnamed,
            copied: 0,
        })
    }

    /// Closes the file, which is still there: nobody who executes it later meets a writer.
    pub fn close(self) -> Unnamed {
        self.unnamed
    }

    /// Makes the content that of `from`, of `size` bytes, holes included: by sharing the blocks
    /// where the file system can.
    ///
    /// Returns whether the blocks are shared. Neither the caller's `RLIMIT_FSIZE` nor write access
    /// that it might hold are in the way, nor signals that don't kill it.
    ///
    /// # Errors
    ///
    /// `EINTR` if the caller is being killed; else those of reading and writing.
    pub fn copy_content(
        &mut self,
        from: &mut OpenFile,
        size: i64,
        cred: &OwnerCred,
    ) -> Result<bool> {
        let caller = Caller::current();
        let may_write = Caller::may_write(size);
        let mut copy = || cred.run(|| self.copy_all(from, size, &caller));

        if may_write {
            match copy() {
                // A signal: who gets them all the time would never come to an end.
                Err(e) if e == ERESTARTSYS => caller.check_alive()?,
                ret => return ret,
            }
        }
        in_kernel_thread(copy)?
    }

    fn copy_all(&mut self, from: &mut OpenFile, size: i64, caller: &Caller) -> Result<bool> {
        if size == 0 {
            return Ok(false);
        }
        if self.copied == 0 && self.clone_range(from, size)? {
            return Ok(true);
        }

        let mut pos = self.copied;
        while let Some(start) = from.seek(pos, bindings::SEEK_DATA)? {
            if start >= size {
                break;
            }
            pos = from
                .seek(start, bindings::SEEK_HOLE)?
                .unwrap_or(size)
                .min(size);
            if start > 0 || pos < size {
                // There are holes. A file that grows would have blocks beyond its end.
                self.extend(size)?;
            }
            self.copy_range(from, start, pos, caller)?;
            if pos <= start {
                return Err(EIO);
            }
        }
        // At the end of the largest file that there can be, the page cache's search for data
        // overflows and finds none.
        if size > i64::MAX - CHUNK {
            self.copy_range(from, pos.max(size - CHUNK), size, caller)?;
        }
        self.extend(size)?;
        Ok(false)
    }

    /// Shares the blocks: whole ones, of which the rest is cut off. Returns whether it was possible.
    fn clone_range(&mut self, from: &mut OpenFile, size: i64) -> Result<bool> {
        let all = from.seek(0, bindings::SEEK_END)?.unwrap_or(size);
        let rest = self.inode().block_size().wrapping_sub(1);
        let len = size
            .checked_add(rest)
            .map_or(all, |end| all.min(end & !rest));
        // SAFETY: Both files are open.
        let cloned = check(unsafe {
            bindings::vfs_clone_file_range(from.as_ptr(), 0, self.file.as_ptr(), 0, len, 0)
        });
        match cloned {
            Ok(n) if n == len => {
                if len > size {
                    self.set_size(size)?;
                }
                Ok(true)
            }
            Err(e) if e != EOPNOTSUPP && e != EXDEV && e != EINVAL => Err(e),
            _ => Ok(false),
        }
    }

    fn set_size(&mut self, size: i64) -> Result {
        // SAFETY: The path of an open file is valid.
        to_result(unsafe { bindings::vfs_truncate(&self.path().0, size) })
    }

    fn extend(&mut self, size: i64) -> Result {
        if self.inode().size() < size {
            self.set_size(size)?;
        }
        Ok(())
    }

    fn copy_range(&mut self, from: &mut OpenFile, start: i64, end: i64, caller: &Caller) -> Result {
        let mut pos = start;
        while pos < end {
            caller.check_alive()?;
            // SAFETY: Neither locks nor write access are held.
            unsafe { bindings::vserver_errand_pause() };
            let mut to_pos = pos;
            let len = end.wrapping_sub(pos).min(CHUNK);
            // SAFETY: Both files are open, the positions are locals; nobody else uses either.
            // No write access is held.
            let n = check(unsafe {
                bindings::do_splice_direct(
                    from.as_ptr(),
                    &mut pos,
                    self.file.as_ptr(),
                    &mut to_pos,
                    usize::try_from(len)?,
                    0,
                )
            } as i64)?;
            // The original stands still; a short read is an I/O error that nobody reported.
            if n == 0 || pos != to_pos {
                return Err(EIO);
            }
            self.copied = pos;
        }
        Ok(())
    }
}

impl Path {
    /// Writes the content to the disk, so that no crash can bring a name back without it.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn flush(&self) -> Result {
        // SAFETY: The path holds the inode, whose mapping stays.
        to_result(unsafe {
            bindings::filemap_write_and_wait_range((*self.inode().as_ptr()).i_mapping, 0, i64::MAX)
        })
    }
}

impl Unnamed {
    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file's inode.
    pub fn inode(&self) -> &Inode {
        self.path().inode()
    }
}
