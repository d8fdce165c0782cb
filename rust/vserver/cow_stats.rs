// SPDX-License-Identifier: GPL-2.0

//! What is known of broken links: counters of the host and of each context, and the tracepoint.

use crate::Registration;
use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    vfs::Path,
    vserver::{
        trace::{self, How},
        wait::now_ns,
    },
};

/// How often links were broken, by how, and how often that failed.
pub(crate) struct Counters {
    clone: Atomic<u64>,
    copy: Atomic<u64>,
    clear: Atomic<u64>,
    fail: Atomic<u64>,
}

impl Counters {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self {
            clone: Atomic::new(0),
            copy: Atomic::new(0),
            clear: Atomic::new(0),
            fail: Atomic::new(0),
        }
    }

    fn count(&self, result: Result<How>) {
        let counter = match result {
            Ok(How::Clone) => &self.clone,
            Ok(How::Copy) => &self.copy,
            Ok(How::Clear) => &self.clear,
            Err(_) => &self.fail,
        };
        counter.add(1, Relaxed);
    }

    /// A line for each, whose names begin with `prefix`.
    pub(crate) fn lines<'a>(&'a self, prefix: &'a str) -> Lines<'a> {
        Lines(self, prefix)
    }
}

/// What [`Counters::lines`] prints.
pub(crate) struct Lines<'a>(&'a Counters, &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lines(counters, prefix) = self;

        for (name, counter) in [
            ("Clone", &counters.clone),
            ("Copy", &counters.copy),
            ("Clear", &counters.clear),
            ("Fail", &counters.fail),
        ] {
            writeln!(f, "{prefix}{name}:\t{}", counter.load(Relaxed))?;
        }
        Ok(())
    }
}

/// Breaks the link at `path` by `break_link`, which says how, or `None` if there was nothing to
/// do; counts that for the host and for the caller's context, and tells who traces.
///
/// # Errors
///
/// Those of `break_link`. Each counts, also if the caller then tries again.
pub(crate) fn observe(
    reg: &Registration,
    path: &mut Path,
    break_link: impl FnOnce(&mut Path) -> Result<Option<How>>,
) -> Result {
    let (old, start) = (path.clone(), now_ns());
    let result = break_link(path);
    let ns = now_ns().saturating_sub(start).unsigned_abs();

    let result = match result {
        Ok(None) => return Ok(()),
        Ok(Some(how)) => {
            trace::cow_break(&old, path, how, size(path), ns);
            Ok(how)
        }
        Err(e) => {
            trace::cow_break_failed(&old, e, size(&old), ns);
            Err(e)
        }
    };
    reg.breaks.count(result);
    if let Some(ctx) = reg.current() {
        ctx.breaks.count(result);
    }
    result.map(|_| ())
}

/// Nobody has had the time to write to a file that has become private just now.
fn size(path: &Path) -> u64 {
    path.inode().size().unsigned_abs()
}

#[kunit_tests(vserver_cow_stats)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn each_counts_in_its_line() -> Result {
        let counters = Counters::new();
        for (result, times) in [
            (Ok(How::Clone), 1),
            (Ok(How::Copy), 2),
            (Ok(How::Clear), 3),
            (Err(ENOSPC), 4),
        ] {
            for _ in 0..times {
                counters.count(result);
            }
        }
        let text = CString::try_from_fmt(fmt!("{}", counters.lines("Cow")))?;
        assert!(text.to_bytes() == b"CowClone:\t1\nCowCopy:\t2\nCowClear:\t3\nCowFail:\t4\n");
        Ok(())
    }
}
