// SPDX-License-Identifier: GPL-2.0
//! What `make bench` runs inside a booted guest. Prints TAP, one test a group of figures, and
//! before each the figures themselves:
//!
//!     # figure GROUP: NAME=WORD...: VALUE VALUE...
//!
//! tests/bench/ boots the guest, reads the lines and makes a table of them.

mod calls;
mod cow;
mod cpu;
mod hashify;
mod life;
mod many;
mod meter;
mod overlay;
mod peak;
mod plain;
mod report;
mod shared;
mod start;
mod tag;
mod tasks;

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
        ["tasks", places @ ..] => {
            report.group("fixed addresses", tasks::at_fixed_addresses);
            places
                .iter()
                .for_each(|place| tasks::run(&mut report, place));
        }
        ["life"] => life::run(&mut report),
        ["many", counts @ ..] => {
            let counts: Vec<_> = counts.iter().filter_map(|n| n.parse().ok()).collect();
            many::run(&mut report, &counts);
        }
        ["costs", place] => {
            report.group("fixed addresses", tasks::at_fixed_addresses);
            tasks::costs(&mut report, place);
        }
        ["cpu", "shares"] => cpu::shares(&mut report),
        ["cpu", "spread"] => cpu::spread(&mut report),
        ["cpu", "latency"] => cpu::latency(&mut report),
        ["cpu", "burst"] => cpu::burst(&mut report),
        ["cpu", "two"] => cpu::two(&mut report),
        ["hashify", disks @ ..] => {
            for disk in disks.chunks_exact(3) {
                hashify::run(&mut report, disk[0], disk[1], disk[2]);
            }
        }
        ["start", disk] => start::run(&mut report, disk),
        ["stamp"] => {
            return match start::stamp() {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        ["peak", root, program, args @ ..] => {
            return match peak::measure(root, program, args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => {
                    eprintln!("{e:#}");
                    ExitCode::FAILURE
                }
            };
        }
        ["tag", setting, labels @ ..] => tag::calls::run(&mut report, setting, labels),
        ["tag-change", labels @ ..] => tag::change::run(&mut report, labels),
        ["tag-mount", count, labels @ ..] => tag::mount::run(&mut report, count, labels),
        ["memory"] => many::memory(&mut report),
        _ => {
            eprintln!(
                "usage: guest-bench cow KIND... | plain PLACE... | tasks PLACE... | costs PLACE | life | many COUNT... | memory | cpu shares|spread|latency|burst|two | hashify [DISK TOOL CACHE]... | start DISK | peak ROOT COMMAND... | tag SETTING DISK... | tag-change DISK... | tag-mount COUNT TAGGED UNTAGGED..."
            );
            return ExitCode::FAILURE;
        }
    }
    report.end()
}
