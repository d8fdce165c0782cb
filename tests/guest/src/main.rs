// SPDX-License-Identifier: GPL-2.0
//! The behaviour tests of the kernel part. `guest-tests --list` prints the suites and what the
//! guest runner has to give each (see tests/harness/suites.py); `guest-tests SUITE` runs one in a
//! booted guest and prints TAP.

mod audit;
mod by_fd;
mod calls;
mod capabilities;
mod context;
mod cow;
mod crash;
mod directories;
mod dlimits;
mod dm;
mod ecryptfs;
mod escape;
mod events;
mod failsafe;
mod faults;
mod fuzz;
mod harness;
mod hashify;
mod illusion;
mod input;
mod kernel_log;
mod life;
mod limits;
mod matrix;
mod module;
mod namespace;
mod process;
mod races;
mod raw;
mod sample;
mod sched;
mod secure;
mod spaces;
mod stacked;
mod subvolumes;
mod suspend;
mod tags;
mod tracefs;
mod twin;
mod unified;
mod uring;
mod watch;

use harness::Suite;
use std::process::ExitCode;

/// Every suite there is.
const SUITES: &[Suite] = &[
    capabilities::POWERS,
    capabilities::GIVEN,
    context::SUITE,
    cow::EXT4,
    cow::XFS,
    cow::BTRFS,
    cow::F2FS,
    cow::TMPFS,
    cow::EXT4_128,
    cow::EXT4_EXT3,
    cow::EXT4_INLINE,
    cow::XFS_PLAIN,
    crash::cuts::SUITE,
    crash::replay::SUITE,
    directories::EXT4,
    directories::F2FS,
    directories::TMPFS,
    dlimits::EXT4,
    dlimits::XFS,
    dlimits::BTRFS,
    dlimits::F2FS,
    dlimits::TMPFS,
    dlimits::CRASH_EXT4,
    dlimits::CRASH_XFS,
    dlimits::CRASH_BTRFS,
    dlimits::CRASH_F2FS,
    ecryptfs::SUITE,
    escape::SUITE,
    events::EXT4,
    events::XFS,
    events::BTRFS,
    events::F2FS,
    events::TMPFS,
    failsafe::SUITE,
    faults::EXT4,
    faults::XFS,
    faults::XFS_PLAIN,
    faults::BTRFS,
    faults::F2FS,
    faults::TMPFS,
    fuzz::SUITE,
    hashify::SUITE,
    illusion::SUITE,
    input::EXT4,
    input::XFS,
    input::BTRFS,
    input::F2FS,
    input::TMPFS,
    life::SUITE,
    limits::SUITE,
    matrix::EXT4,
    matrix::EXT4_128,
    matrix::EXT4_INLINE,
    matrix::XFS,
    matrix::XFS_PLAIN,
    matrix::BTRFS,
    matrix::F2FS,
    matrix::TMPFS,
    races::EXT4,
    races::XFS,
    races::XFS_PLAIN,
    races::BTRFS,
    races::F2FS,
    races::TMPFS,
    races::MODULE,
    sched::SUITE,
    sched::nohz::SUITE,
    secure::EXT4,
    secure::XFS,
    secure::BTRFS,
    secure::F2FS,
    secure::TMPFS,
    secure::labels::EXT4,
    secure::labels::XFS,
    secure::labels::BTRFS,
    secure::labels::F2FS,
    secure::labels::TMPFS,
    secure::ima::EXT4,
    secure::ima::XFS,
    secure::ima::BTRFS,
    secure::selinux::EXT4,
    secure::selinux::XFS,
    secure::selinux::BTRFS,
    secure::selinux::F2FS,
    secure::selinux::TMPFS,
    spaces::SUITE,
    stacked::SUITE,
    subvolumes::SUITE,
    tags::EXT4,
    tags::XFS,
    tags::BTRFS,
    tags::F2FS,
    tags::TMPFS,
    tags::EXT4_128,
    watch::EXT4,
    watch::XFS,
    watch::BTRFS,
    watch::F2FS,
    watch::TMPFS,
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("--list"), None) => {
            for suite in SUITES {
                println!("{} {}", suite.name, suite.wants);
            }
            ExitCode::SUCCESS
        }
        // What the suite "escape" runs inside.
        (Some("--probe"), Some(pid)) => escape::probe(&pid),
        (Some(name), only) => match SUITES.iter().find(|suite| suite.name == name) {
            Some(suite) => suite.run(only.as_deref().unwrap_or_default()),
            None => {
                eprintln!("guest-tests: no suite is called {name}; try --list");
                ExitCode::FAILURE
            }
        },
        (None, _) => {
            eprintln!("usage: guest-tests --list | SUITE [WORD,...]");
            ExitCode::FAILURE
        }
    }
}
