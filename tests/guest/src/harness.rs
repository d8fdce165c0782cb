// SPDX-License-Identifier: GPL-2.0
//! Runs tests and prints TAP.
//!
//! Each test has a process of its own, so that what it enters, leaves behind or dies of is not the
//! next one's. A process that outlives its test is killed by the guest runner's end.
//!
//! A test may have variants, each with a line of its own: `NAME (VARIANT)`. What they find, and not
//! only whether it is right, stands behind a `#` and in a table at the end.

use crate::process::{self, Status, pipe, spawn};
use anyhow::{Result, ensure};
use rustix::io;
use std::fmt;
use std::process::ExitCode;

/// What a test does. It says why it failed, or what it found, which may be nothing to speak of.
pub trait Body {
    fn run(&self, variant: &str) -> Result<String>;
}

impl<F: Fn() -> Result<()>> Body for F {
    fn run(&self, _: &str) -> Result<String> {
        self().map(|()| String::new())
    }
}

/// What a test fails with that can't be done on this machine: it is skipped, and that says why.
#[derive(Debug)]
pub struct Skip(pub &'static str);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SKIP {}", self.0)
    }
}

impl std::error::Error for Skip {}

/// A test, or one for each of its variants if it has any.
#[derive(Clone, Copy)]
pub struct Test {
    pub name: &'static str,
    pub variants: &'static [&'static str],
    pub body: &'static dyn Body,
}

/// Tests that are run together.
pub struct Suite {
    pub name: &'static str,
    /// The words of tests/harness/suites.py: disks, time.
    pub wants: &'static str,
    pub tests: &'static [Test],
}

impl Suite {
    pub const fn new(name: &'static str, wants: &'static str, tests: &'static [Test]) -> Self {
        Self { name, wants, tests }
    }
}

/// A table of tests from the names of functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$($crate::harness::Test { name: stringify!($name), variants: &[], body: &$name }),*]
    };
}

/// How long a test may take under emulation, in seconds.
const LIMIT: u32 = 100;

/// What a test has to say fits in a pipe.
const LONGEST: usize = 8192;

/// A test in one variant.
struct Case {
    test: Test,
    variant: &'static str,
}

impl Case {
    fn name(&self) -> String {
        match self.variant {
            "" => self.test.name.to_owned(),
            variant => format!("{} ({variant})", self.test.name),
        }
    }

    /// Runs it in a process of its own; gives what it found, or nothing if it failed.
    fn run(&self) -> Option<String> {
        match self.found() {
            Ok(found) => Some(found),
            Err(e) => {
                for line in format!("{}: {e:#}", self.name()).lines() {
                    println!("# {line}");
                }
                None
            }
        }
    }

    fn found(&self) -> Result<String> {
        let (read, write) = pipe()?;
        let child = spawn(|| {
            process::alarm(LIMIT);
            let (code, text) = match self.test.body.run(self.variant) {
                Ok(found) => (0, found),
                Err(e) => match e.downcast_ref::<Skip>() {
                    Some(skip) => (0, skip.to_string()),
                    None => (1, format!("{e:#}")),
                },
            };
            let text = text.as_bytes();
            let text = text.get(..LONGEST).unwrap_or(text);
            i32::from(io::write(&write, text).is_err()) | code
        })?;
        drop(write);
        let (status, text) = process::last_words(child, read)?;
        ensure!(status == Status::Exited(0), "{status:?} {text}");
        Ok(text)
    }
}

impl Suite {
    /// Runs all tests, or only those with one of the words of `only` in their names, between commas.
    pub fn run(&self, only: &str) -> ExitCode {
        let cases: Vec<_> = self
            .tests
            .iter()
            .flat_map(|&test| {
                let none = test.variants.is_empty().then_some("");
                let variants = test.variants.iter().copied().chain(none);
                variants.map(move |variant| Case { test, variant })
            })
            .filter(|case| only.split(',').any(|word| case.name().contains(word)))
            .collect();
        if cases.is_empty() {
            println!("Bail out! no test has {only} in its name");
        }
        println!("1..{}", cases.len());
        let mut results = Vec::new();
        for (i, case) in cases.iter().enumerate() {
            let found = case.run();
            let verdict = if found.is_some() { "ok" } else { "not ok" };
            let remark = match found.as_deref() {
                None | Some("") => String::new(),
                Some(found) => format!(" # {found}"),
            };
            println!("{verdict} {} - {}{remark}", i + 1, case.name());
            results.push((case, found));
        }
        print_table(&results);
        if !results.is_empty() && results.iter().all(|(_, found)| found.is_some()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// What the tests with variants found, a line each, as comments.
fn print_table(results: &[(&Case, Option<String>)]) {
    let mut last = "";
    let width = results.iter().map(|(case, _)| case.test.name.len()).max();
    let width = width.unwrap_or_default();
    for (case, _) in results.iter().filter(|(case, _)| !case.variant.is_empty()) {
        let name = case.test.name;
        if name == last {
            continue;
        }
        let variants = case.test.variants;
        if last.is_empty() {
            println!("#");
            println!("# {:width$}  {}", "", columns(variants.iter().copied()));
        }
        let found = variants.iter().map(|variant| {
            let of_variant = |(other, _): &&(&Case, Option<String>)| {
                other.test.name == name && other.variant == *variant
            };
            let result = results.iter().find(of_variant);
            result.map_or("", |(_, found)| found.as_deref().unwrap_or("FAILED"))
        });
        println!("# {name:width$}  {}", columns(found));
        last = name;
    }
}

fn columns<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let padded: String = cells.map(|cell| format!("{cell:20}")).collect();
    padded.trim_end().to_owned()
}
