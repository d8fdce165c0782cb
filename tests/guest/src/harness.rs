// SPDX-License-Identifier: GPL-2.0
//! Runs tests and prints TAP.
//!
//! Each test has a process of its own, so that what it enters, leaves behind or dies of is not the
//! next one's. A process that outlives its test is killed by the guest runner's end.

use crate::process;
use std::process::ExitCode;

/// A test: says why it failed, if it did.
pub struct Test {
    pub name: &'static str,
    pub run: fn() -> anyhow::Result<()>,
}

/// Tests that are run together.
pub struct Suite {
    pub name: &'static str,
    /// The words of tests/harness/suites.py: disks, time.
    pub wants: &'static str,
    pub tests: &'static [Test],
}

/// A table of tests from the names of functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$($crate::harness::Test { name: stringify!($name), run: $name }),*]
    };
}

/// How long a test may take under emulation and on a debug kernel, in seconds.
const LIMIT: u32 = 100;

impl Suite {
    /// Runs all tests, or only the one called so.
    pub fn run(&self, only: Option<&str>) -> ExitCode {
        let tests: Vec<_> = self
            .tests
            .iter()
            .filter(|test| only.is_none_or(|name| name == test.name))
            .collect();
        println!("1..{}", tests.len());
        let mut failed = 0;
        for (i, test) in tests.iter().enumerate() {
            let passed = match process::spawn(|| run_alone(test)) {
                Ok(child) => child
                    .wait()
                    .is_ok_and(|status| status == process::Status::Exited(0)),
                Err(e) => {
                    println!("# no process: {e}");
                    false
                }
            };
            failed += u32::from(!passed);
            let verdict = if passed { "ok" } else { "not ok" };
            println!("{verdict} {} - {}", i + 1, test.name);
        }
        if failed == 0 && !tests.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// In the test's own process.
fn run_alone(test: &Test) -> i32 {
    process::alarm(LIMIT);
    match (test.run)() {
        Ok(()) => 0,
        Err(e) => {
            for line in format!("{}: {e:#}", test.name).lines() {
                println!("# {line}");
            }
            1
        }
    }
}
