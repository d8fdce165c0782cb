// SPDX-License-Identifier: GPL-2.0
//! What `make bench` runs inside a booted guest. Prints TAP, one test a group of figures, and
//! before each the figures themselves:
//!
//!     # figure GROUP: NAME=WORD...: VALUE VALUE...
//!
//! tests/bench/ boots the guest, reads the lines and makes a table of them.

mod cow;
mod meter;
mod overlay;
mod plain;
mod report;

use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut report = Report::default();
    match args.as_slice() {
        ["cow", kinds @ ..] => kinds.iter().for_each(|kind| cow::run(&mut report, kind)),
        ["plain", places @ ..] => places
            .iter()
            .for_each(|place| plain::run(&mut report, place)),
        _ => {
            eprintln!("usage: guest-bench cow KIND... | plain PLACE...");
            return ExitCode::FAILURE;
        }
    }
    report.end()
}
