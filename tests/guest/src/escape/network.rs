// SPDX-License-Identifier: GPL-2.0
//! What is left of the network inside, and what there is in a network namespace of one's own.

use super::{diag, enter, xids};
use crate::harness::Test;
use crate::process::isolated;
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

pub const TESTS: &[Test] = tests![shared_network, own_network];

/// What tells of interfaces and counters, and of one's own sockets.
fn shared_network() -> Result<()> {
    isolated(|| {
        enter(xids().0)?;
        for name in ["dev", "route", "snmp", "sockstat", "unix"] {
            fs::read(format!("/proc/net/{name}")).context(name)?;
        }
        Ok(())
    })
}

/// There nothing is of anybody else.
fn own_network() -> Result<()> {
    isolated(|| {
        // SAFETY: nothing of memory is concerned.
        ensure!(unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0);
        enter(xids().0)?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = format!(":{:04X} ", listener.local_addr()?.port());
        let text = fs::read_to_string("/proc/net/tcp")?;
        ensure!(text.contains(&port), "{port} not in {text}");
        for name in ["netlink", "packet", "dev"] {
            fs::read(format!("/proc/net/{name}")).context(name)?;
        }
        ensure!(diag::lists_netlink()? == Ok(1));
        ensure!(diag::hears_of_closed()? == Ok(1));
        Ok(())
    })
}
