// SPDX-License-Identifier: GPL-2.0

//! Context ids.

use kernel::{prelude::*, vserver::abi};

/// Whether an administrator may name a context so.
pub(crate) fn is_static(xid: u32) -> bool {
    (abi::VX_XID_MIN..=abi::VX_XID_STATIC_MAX).contains(&xid)
}

/// The first free id of the dynamic range, looked for from `next` on and once around.
///
/// `used` says whether an id is taken.
///
/// # Errors
///
/// `EAGAIN`: there is none.
pub(crate) fn pick(next: u32, used: impl Fn(u32) -> bool) -> Result<u32> {
    let next = next.clamp(abi::VX_XID_DYNAMIC_MIN, abi::VX_XID_MAX);
    let free = |&xid: &u32| !used(xid);
    (next..=abi::VX_XID_MAX)
        .find(free)
        .or_else(|| (abi::VX_XID_DYNAMIC_MIN..next).find(free))
        .ok_or(EAGAIN)
}

#[kunit_tests(vserver_xid)]
mod tests {
    use super::*;

    #[test]
    fn static_range() {
        assert!(!is_static(abi::VX_XID_HOST));
        assert!(!is_static(abi::VX_XID_WATCH));
        assert!(is_static(abi::VX_XID_MIN));
        assert!(is_static(abi::VX_XID_STATIC_MAX));
        assert!(!is_static(abi::VX_XID_DYNAMIC_MIN));
        assert!(!is_static(abi::VX_XID_ANY));
    }

    #[test]
    fn picks_in_order() {
        assert_eq!(pick(0, |_| false), Ok(abi::VX_XID_DYNAMIC_MIN));
        assert_eq!(pick(50_000, |_| false), Ok(50_000));
        assert_eq!(pick(50_000, |xid| xid < 50_010), Ok(50_010));
    }

    #[test]
    fn wraps_and_runs_out() {
        let last = abi::VX_XID_MAX;
        assert_eq!(pick(last, |xid| xid == last), Ok(abi::VX_XID_DYNAMIC_MIN));
        assert_eq!(pick(u32::MAX, |_| false), Ok(last));
        assert_eq!(pick(last, |_| true), Err(EAGAIN));
    }
}
