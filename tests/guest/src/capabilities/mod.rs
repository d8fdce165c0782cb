// SPDX-License-Identifier: GPL-2.0
//! What root inside a context can't do that root on the host can, each with its error, and what a
//! context capability gives back of it.

mod given;
mod lent;
mod namespaces;
mod powers;
mod records;

use crate::escape::{count, join};
use crate::harness::{Body, Suite, Test};
use crate::process::isolated;
use crate::unified::refused;
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use vserver_abi as abi;

const XID: u32 = 400;

/// Something that the host's root can do.
struct Power {
    /// What the kernel says to root in a context that has what contexts have by default.
    inside: Errno,
    /// What it says on the host, where that is an error that comes after the question who asks.
    outside: Option<Errno>,
    /// The context capability that gives it, 0 if there is none.
    given: u64,
    /// Done once before that, on the host, in the same process.
    before: fn() -> Result<()>,
    try_it: fn() -> Result<(), Errno>,
}

impl Body for Power {
    fn run(&self, _: &str) -> Result<String> {
        isolated(|| {
            (self.before)()?;
            abi::ctx_create(XID, 0)?;
            refused("inside", (self.try_it)(), self.inside)
        })?;
        for ccaps in [!self.given, self.given] {
            isolated(|| {
                (self.before)()?;
                abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
                abi::set_ccaps(XID, ccaps, !0)?;
                abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?;
                let got = (self.try_it)();
                if ccaps == 0 || ccaps != self.given {
                    return refused("without the one that gives it", got, self.inside);
                }
                ensure!(got.err() == self.outside, "with it: {got:?}");
                Ok(())
            })?;
        }
        isolated(|| {
            (self.before)()?;
            let got = (self.try_it)();
            ensure!(got.err() == self.outside, "on the host: {got:?}");
            Ok(())
        })?;
        // The one who sets it up is not held by it.
        isolated(|| {
            (self.before)()?;
            abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
            let got = (self.try_it)();
            ensure!(got.err() == self.outside, "in setup: {got:?}");
            Ok(())
        })?;
        Ok(String::new())
    }
}

/// Something that root inside a context can do, too.
struct Right {
    before: fn() -> Result<()>,
    try_it: fn() -> Result<(), Errno>,
}

impl Body for Right {
    fn run(&self, _: &str) -> Result<String> {
        isolated(|| {
            (self.before)()?;
            abi::ctx_create(XID, 0)?;
            (self.try_it)().context("inside")
        })?;
        Ok(String::new())
    }
}

const fn test(name: &'static str, body: &'static dyn Body) -> Test {
    Test {
        name,
        variants: &[],
        body,
    }
}

pub const POWERS: Suite = Suite {
    name: "capabilities",
    wants: "ext4 timeout=300",
    tests: &POWERS_TESTS,
};

const POWERS_TABLES: &[&[Test]] = &[powers::TESTS, namespaces::TESTS];

const POWERS_TESTS: [Test; count(POWERS_TABLES)] = join(POWERS_TABLES);

pub const GIVEN: Suite = Suite {
    name: "ccaps",
    wants: "ext4 timeout=300",
    tests: &GIVEN_TESTS,
};

const GIVEN_TABLES: &[&[Test]] = &[given::TESTS, lent::TESTS, records::TESTS];

const GIVEN_TESTS: [Test; count(GIVEN_TABLES)] = join(GIVEN_TABLES);
