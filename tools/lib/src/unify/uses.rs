// SPDX-License-Identifier: GPL-2.0
//! Who works on which inode.
//!
//! A guest that renames files while they are looked at can have two threads of a run work on one
//! inode. What the one has protected and compared must stand still until it is done, so the other
//! may not take the protection off.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::replace::Inode;

/// How many work on each inode.
#[derive(Default)]
pub(crate) struct Uses(Mutex<HashMap<Inode, usize>>);

impl Uses {
    /// Somebody works on an inode, from before he looks whether it is protected.
    pub(crate) fn begin(&self, inode: Inode) -> Use<'_> {
        *self.lock().entry(inode).or_default() += 1;
        Use { uses: self, inode }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Inode, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work on an inode, as long as this lives.
pub(crate) struct Use<'a> {
    uses: &'a Uses,
    inode: Inode,
}

impl Use<'_> {
    /// Runs `action` if nobody else works on the inode, and keeps everybody from beginning to.
    pub(crate) fn if_alone(&self, action: impl FnOnce()) {
        let uses = self.uses.lock();
        if uses.get(&self.inode) == Some(&1) {
            action();
        }
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        let mut uses = self.uses.lock();
        if let Some(count) = uses.get_mut(&self.inode) {
            *count -= 1;
            if *count == 0 {
                uses.remove(&self.inode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_alone(using: &Use<'_>) -> bool {
        let mut ran = false;
        using.if_alone(|| ran = true);
        ran
    }

    #[test]
    fn two_on_one_inode_are_not_alone() {
        let uses = Uses::default();
        let (first, other) = (uses.begin((1, 2)), uses.begin((1, 3)));
        assert!(is_alone(&first) && is_alone(&other));
        let second = uses.begin((1, 2));
        assert!(!is_alone(&first) && !is_alone(&second));
        drop(first);
        assert!(is_alone(&second));
        drop((second, other));
        assert!(uses.lock().is_empty());
    }
}
