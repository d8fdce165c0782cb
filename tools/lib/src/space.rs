// SPDX-License-Identifier: GPL-2.0
//! The namespaces that a context holds, one by one.

use rustix::thread::UnshareFlags;
use vserver_abi as abi;

use crate::error::{Doing, Result, Vserver};

/// Moves this process into those namespaces of context `xid` that `kinds` names, of all that the
/// context holds if it names none. The process does not become one of the context, and has the
/// capabilities that it had.
pub fn enter(xid: u32, kinds: UnshareFlags) -> Result<()> {
    Vserver(abi::enter_space(xid, u64::from(kinds.bits()), 0)).doing(|| {
        format!("enter namespaces of context {xid} (vserver show {xid} has what it holds: Spaces)")
    })
}

/// Has the context that this process is in hold those of its namespaces that `kinds` names; the
/// kernel's choice if it names none. The context has to be in its setup.
pub fn hold(kinds: UnshareFlags) -> Result<()> {
    Vserver(abi::set_space(abi::VX_XID_SELF, u64::from(kinds.bits()), 0))
        .doing(|| "have the own context hold the namespaces".into())
}
