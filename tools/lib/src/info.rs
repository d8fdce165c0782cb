// SPDX-License-Identifier: GPL-2.0
//! The kernel's side as a whole.

use serde::Serialize;
use vserver_abi as abi;

use crate::breaks::Breaks;
use crate::error::{Doing, Result, Vserver};
use crate::names::FEATURES;
use crate::proc;

/// What the kernel says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The interface's version in words: `2.3.8`.
    pub version: String,
    /// The same as the kernel puts it.
    pub vci_version: u32,
    /// The names of its features.
    pub features: Vec<String>,
    /// The same as bits.
    pub vci: u32,
    /// How many contexts there are, also without processes. The kernel's `#CActive` counts the same.
    pub contexts: Option<i64>,
    /// Links of unified files that were broken, by all; `None` if the kernel does not count them.
    pub breaks: Option<Breaks>,
    /// The context of the caller.
    pub xid: u32,
}

/// Asks the kernel.
pub fn get() -> Result<Info> {
    let vci_version = Vserver(abi::get_version()).doing(|| "ask for the version".into())?;
    let vci = Vserver(abi::get_vci()).doing(|| "ask for the features".into())?;
    let status = proc::fields(&proc::global_file("status")?.unwrap_or_default());
    Ok(Info {
        version: version(vci_version),
        vci_version,
        features: FEATURES.words(u64::from(vci)),
        vci,
        contexts: proc::number(&status, "#CTotal"),
        breaks: Breaks::read(&status, "Cow"),
        xid: Vserver(abi::task_xid(0)).doing(|| "ask for the caller's context".into())?,
    })
}

/// `0x00020308` is version 2.3.8.
fn version(vci: u32) -> String {
    format!("{}.{}.{}", vci >> 16, vci >> 8 & 0xff, vci & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_words() {
        assert_eq!(version(abi::VCI_VERSION), "2.3.8");
    }
}
