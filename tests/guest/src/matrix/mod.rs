// SPDX-License-Identifier: GPL-2.0
//! The matrix: every operation that can modify a file, and those that look as if they could, on
//! every file system, by the host's root, inside a context and in an ordinary user's user
//! namespace; on ext4 also in a guest with the capabilities that it has by default, and in a user
//! namespace inside a context.
//!
//! Each cell does the operation twice: on plain files, and on unified ones that look the same.
//! Result, names, content and metadata have to be equal then, whatever they are, and the unified
//! inode, which another guest has a name of, has to be what it was: when it was changed last, too,
//! unless it has lost or got a name. Beside that the table says where there must be a copy and where
//! not, and the few operations that are refused.

mod cell;
mod change;
mod errors;
mod look;
mod operations;
mod own;
mod place;
mod site;
pub mod sys;

use crate::harness::{Suite, Test};
use operations::TABLES;

pub const EXT4: Suite = Suite::new("matrix", "ext4 timeout=500", &ALL_TESTS);
pub const EXT4_128: Suite = Suite::new("matrix-ext4-128", "ext4-128 timeout=300", &TESTS);
pub const EXT4_INLINE: Suite = Suite::new("matrix-ext4-inline", "ext4-inline timeout=300", &TESTS);
pub const XFS: Suite = Suite::new("matrix-xfs", "xfs timeout=300", &TESTS);
pub const XFS_PLAIN: Suite = Suite::new("matrix-xfs-plain", "xfs-plain timeout=300", &TESTS);
pub const BTRFS: Suite = Suite::new("matrix-btrfs", "btrfs timeout=300", &TESTS);
pub const F2FS: Suite = Suite::new("matrix-f2fs", "f2fs timeout=300", &TESTS);
pub const TMPFS: Suite = Suite::new("matrix-tmpfs", "tmpfs timeout=300", &TESTS);

const fn count() -> usize {
    let (mut sum, mut table) = (0, 0);
    while table < TABLES.len() {
        sum += TABLES[table].len();
        table += 1;
    }
    sum
}

const TESTS: [Test; count()] = tests(place::PLACES);
const ALL_TESTS: [Test; count()] = tests(place::ALL_PLACES);

/// A test for each operation, with a variant for each place.
const fn tests(places: &'static [&'static str]) -> [Test; count()] {
    let first = Test {
        name: "",
        variants: places,
        body: &TABLES[0][0],
    };
    let mut tests = [first; count()];
    let (mut at, mut table) = (0, 0);
    while table < TABLES.len() {
        let mut line = 0;
        while line < TABLES[table].len() {
            let operation = &TABLES[table][line];
            tests[at].name = operation.name;
            tests[at].body = operation;
            (at, line) = (at + 1, line + 1);
        }
        table += 1;
    }
    tests
}
