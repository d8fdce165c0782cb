// SPDX-License-Identifier: GPL-2.0
//! The one list of a group, as long as it has inodes: there may be as many as there are files. The
//! stages part it in its place.

use super::group::Node;

/// A node with the hash by which it is parted from others.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'f> {
    pub(super) key: u64,
    pub(super) node: Node<'f>,
}

/// Moves those that are wanted to the front, in their order, and gives them back.
pub(super) fn keep<T: Copy>(list: &mut [T], mut want: impl FnMut(&mut T) -> bool) -> &mut [T] {
    let mut kept = 0;
    for at in 0..list.len() {
        let mut one = list[at];
        if want(&mut one) {
            list[kept] = one;
            kept += 1;
        }
    }
    &mut list[..kept]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_parted_in_its_place() {
        let mut all = [1, 2, 3, 4, 5, 6];
        let begin = all.as_ptr();
        let kept = keep(&mut all, |number| {
            *number *= 10;
            *number % 20 == 0
        });
        assert_eq!(kept, [20, 40, 60]);
        assert_eq!(kept.as_ptr(), begin);
        assert!(keep(kept, |_| false).is_empty());
    }

    /// With the record, its name and its place in the list of all no more than 100 bytes a file.
    #[test]
    fn what_is_kept_of_a_file_is_small() {
        assert_eq!(size_of::<Keyed<'_>>(), 24);
    }
}
