// SPDX-License-Identifier: GPL-2.0
//! Figures and whether they could be measured, as lines of text.

use anyhow::Result;
use std::process::ExitCode;

/// What has been printed so far.
#[derive(Default)]
pub struct Report {
    run: u32,
    failed: u32,
}

/// Repeated measurements of one thing; `labels` say which.
pub fn figure(labels: &str, values: &[u64]) {
    let values: Vec<_> = values.iter().map(u64::to_string).collect();
    println!("# figure {labels}: {}", values.join(" "));
}

impl Report {
    /// Measures a group of figures.
    pub fn group(&mut self, name: &str, measure: impl FnOnce() -> Result<()>) {
        self.run += 1;
        match measure() {
            Ok(()) => println!("ok {} - {name}", self.run),
            Err(e) => {
                self.failed += 1;
                println!("# {name}: {e:#}");
                println!("not ok {} - {name}", self.run);
            }
        }
    }

    /// Prints the plan.
    pub fn end(self) -> ExitCode {
        println!("1..{}", self.run);
        if self.run > 0 && self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
