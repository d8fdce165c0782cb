// SPDX-License-Identifier: GPL-2.0
//! How far `vserver hashify` is, as somebody at a terminal sees it, and what it says at the end. A
//! dry run needs neither root nor the module.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

#[path = "common/terminal.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod terminal;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use terminal::Terminal;

/// So many files are in each tree, each of a size of its own.
const FILES: usize = 3000;

/// Two equal trees.
fn trees() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["a", "b"] {
        let tree = dir.path().join(tree);
        fs::create_dir(&tree).unwrap();
        for n in 1..=FILES {
            fs::write(tree.join(n.to_string()), vec![b'x'; n]).unwrap();
        }
    }
    dir
}

fn dry_run(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vserver"));
    command.args(["hashify", "--dry-run", "a", "b"]);
    command.current_dir(dir).env("VSERVER_PREFIX", dir);
    command
}

/// A line of the bar: files compared, of how many, and whether rate and time are in words that end so.
fn compared(line: &str) -> Option<(usize, usize, bool)> {
    let (counts, rest) = line.split_once(" files compared, ")?;
    let (done, all) = counts.rsplit(' ').next()?.split_once('/')?;
    let (rate, left) = rest.trim_end().split_once("/s, ")?;
    let is_rate = rate.bytes().all(|b| b.is_ascii_digit() || b == b',');
    let well = is_rate && left.ends_with(" left");
    Some((done.parse().ok()?, all.parse().ok()?, well))
}

#[test]
fn a_terminal_shows_files_rate_and_time() {
    let dir = trees();
    let terminal = Terminal::start(&mut dry_run(dir.path()));
    let (status, left) = terminal.end();
    assert!(status.success() && left.ordinary);
    assert!(left.written.contains("names looked at"), "{}", left.written);
    let lines = left.written.split(['\r', '\n']);
    let seen: Vec<_> = lines.filter_map(compared).collect();
    assert!(!seen.is_empty(), "{}", left.written);
    for (done, all, well) in &seen {
        assert!(*all == 2 * FILES && done <= all && *well, "{seen:?}");
    }
    let moves = seen.windows(2).all(|two| two[0].0 <= two[1].0);
    assert!(seen[0].0 < 2 * FILES && moves, "it only grows: {seen:?}");
    assert!(seen.iter().any(|(done, ..)| *done > 0), "{seen:?}");
    let lines: Vec<_> = left.screen.lines().map(str::trim).collect();
    let [trees, shared, took] = lines.as_slice() else {
        panic!("the bar is gone, the summary is there: {lines:?}");
    };
    assert_eq!(*trees, format!("2 trees, {} files", 2 * FILES));
    assert!(shared.starts_with(&format!("{FILES} would be shared, ")));
    assert!(took.starts_with("took "));
}

#[test]
fn a_pipe_gets_the_summary_alone() {
    let dir = trees();
    let output = dry_run(dir.path()).arg("--json").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let blocks = |n: usize| {
        fs::metadata(dir.path().join("b").join(n.to_string()))
            .unwrap()
            .blocks()
    };
    let bytes: u64 = (1..=FILES).map(|n| blocks(n) * 512).sum();
    assert_eq!(said["files"], 2 * FILES);
    assert_eq!(said["shared"]["files"], FILES);
    assert_eq!(said["shared"]["bytes"], bytes);
}
