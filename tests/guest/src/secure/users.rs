// SPDX-License-Identifier: GPL-2.0
//! User namespaces: what is on the disk stays what it is outside.

use super::rights::drop_capabilities;
use crate::namespace::become_root_of_users;
use crate::process::isolated;
use crate::sample::{capability_of, owned};
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{OFlags, XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::fs;
use vserver_abi as abi;

/// 21: a file capability of the breaker's namespace and one of another's; trusted.*, which he can't
/// see; owner and group outside.
pub(super) fn capability_of_a_user_namespace() -> Result<()> {
    const BASE: u32 = 100_000;
    for root in [BASE, 2 * BASE] {
        let pair = Pair::with("capability_of", |a| {
            fs::write(a, CONTENT)?;
            owned(a, BASE + 5, BASE + 6, 0o755)?;
            let none = XattrFlags::empty();
            setxattr(a, "security.capability", &capability_of(root), none)?;
            setxattr(a, "trusted.t", b"t", none)?;
            Ok(())
        })?;
        let value = pair.before.xattrs.get(&b"security.capability"[..]);
        ensure!(value == Some(&capability_of(root)), "{value:?}");
        isolated(|| {
            become_root_of_users(BASE)?;
            open(&pair.a, OFlags::WRONLY)?;
            Ok(())
        })?;
        pair.broken_alike()?;
    }
    Ok(())
}

/// Nobody but the host's administrator says what is unified.
pub(super) fn flags_are_for_the_host() -> Result<()> {
    let pair = Pair::with("flags_for_host", |a| {
        fs::write(a, CONTENT)?;
        owned(a, USER, USER, 0o666)
    })?;
    let becoming: [fn() -> Result<()>; 3] = [
        become_user,
        || become_root_of_users(USER),
        || drop_capabilities(CapabilitySet::LINUX_IMMUTABLE),
    ];
    for become_them in becoming {
        isolated(|| {
            become_them()?;
            for flags in [0, UNIFIED, abi::IATTR_IMMUTABLE] {
                refused("set", set_flags(&pair.a, flags, UNIFIED), Errno::PERM)?;
            }
            Ok(())
        })?;
    }
    pair.intact()
}
