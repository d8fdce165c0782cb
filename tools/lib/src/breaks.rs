// SPDX-License-Identifier: GPL-2.0
//! How often links of unified files were broken, as `/proc/virtual` counts it.

use serde::Serialize;

use crate::proc::{self, Fields};

/// How often links were broken, by how that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Breaks {
    /// The copy shares the blocks of the original.
    pub clone: u64,
    /// The content was copied.
    pub copy: u64,
    /// It was the last name, and became an ordinary file in place.
    pub clear: u64,
    /// It failed, and so did the modification.
    pub fail: u64,
}

impl Breaks {
    /// Reads the fields `Clone`, `Copy`, `Clear` and `Fail`, with `prefix` before each; `None` if the
    /// kernel does not count.
    pub(crate) fn read(fields: &Fields, prefix: &str) -> Option<Self> {
        let number = |key| {
            let number = proc::number(fields, &format!("{prefix}{key}"))?;
            u64::try_from(number).ok()
        };
        Some(Self {
            clone: number("Clone")?,
            copy: number("Copy")?,
            clear: number("Clear")?,
            fail: number("Fail")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_understood() {
        let status = "#CTotal:\t2\n#CActive:\t1\n#NSProxy:\t0\t0 0 0 0\n\
            CowClone:\t1\nCowCopy:\t2\nCowClear:\t3\nCowFail:\t4\n";
        let breaks = Breaks {
            clone: 1,
            copy: 2,
            clear: 3,
            fail: 4,
        };
        assert_eq!(Breaks::read(&proc::fields(status), "Cow"), Some(breaks));
        let context = "Clone:\t1\nCopy:\t2\nClear:\t3\nFail:\t4\n";
        assert_eq!(Breaks::read(&proc::fields(context), ""), Some(breaks));
    }

    #[test]
    fn a_kernel_may_not_count() {
        for text in ["", "#CTotal:\t2\n", "CowClone:\t1\n", "CowClone:\tx\n"] {
            assert_eq!(Breaks::read(&proc::fields(text), "Cow"), None, "{text}");
        }
    }
}
