// SPDX-License-Identifier: GPL-2.0
//! Tests on a pseudo terminal: this program is started on one again, as `vserver top` that shows
//! contexts which are none. tests/guest.d/packages-12.sh does it with those of a kernel.

#[path = "../../../tests/common/terminal.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod pty;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, ioctl_tiocsctty, setsid};
use tempfile::TempDir;

use super::fixture::Fixture;
use super::{View, show};
use crate::args::Column;
use pty::Terminal;

/// Names the directory of the fixture.
const DIRECTORY: &str = "VSERVER_TEST_TOP";

/// The program on the terminal.
#[test]
#[ignore = "the others start it"]
fn on_the_terminal() {
    let Some(dir) = env::var_os(DIRECTORY) else {
        return;
    };
    setsid().unwrap();
    ioctl_tiocsctty(std::io::stdin()).unwrap();
    let contexts = Box::new(Fixture(PathBuf::from(dir)));
    show(View::new(Column::Xid, contexts), Duration::from_millis(100)).unwrap();
}

/// Starts it, and waits until it shows something.
fn start() -> (Terminal, Fixture, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("{}::on_the_terminal", module_path!());
    let name = name.split_once("::").unwrap().1.to_owned();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &name, "--ignored", "--nocapture"]);
    let mut terminal = Terminal::start(command.env(DIRECTORY, dir.path()));
    terminal.until("q quit", |text| text.contains("q quit"));
    (terminal, Fixture(dir.path().to_owned()), dir)
}

/// The names in the table, from top to bottom.
fn names(text: &str) -> Vec<&str> {
    let rows = text
        .lines()
        .filter(|line| line.contains(" running "))
        .map(|line| line.split_whitespace().nth(1).unwrap());
    rows.collect()
}

#[test]
fn it_shows_sorts_and_quits() {
    let (mut terminal, _, _dir) = start();
    let text = terminal.text();
    let head = text.lines().find(|line| line.contains("XID")).unwrap();
    for column in [
        "NAME", "STATE", "CPU%", "TOKENS", "HELD%", "MEMORY", "DISK", "PROC",
    ] {
        assert!(head.contains(column), "{column}: {head}");
    }
    let web = text.lines().find(|line| line.contains("web")).unwrap();
    for figure in [
        "7", "running", "25.0", "42", "10.0 MiB", "30.0 MiB", "64.0 MiB",
    ] {
        assert!(web.contains(figure), "{figure}: {web}");
    }
    assert!(!terminal.is_ordinary(), "keys come one by one");
    assert_eq!(names(&text), ["host", "web", "db"]);
    for (key, sorted) in [
        ("n", ["db", "host", "web"]),
        ("d", ["db", "host", "web"]),
        ("m", ["db", "host", "web"]),
        ("r", ["web", "host", "db"]),
        ("x", ["db", "web", "host"]),
        ("r", ["host", "web", "db"]),
    ] {
        terminal.press(key);
        terminal.until(&format!("{key}: {sorted:?}"), |text| names(text) == sorted);
    }
    terminal.press("q");
    let (status, left) = terminal.end();
    assert!(status.success() && left.ordinary, "{status}");
}

#[test]
fn it_asks_before_it_kills_and_kills_what_it_named() {
    let (mut terminal, fixture, _dir) = start();
    let asked =
        |text: &str| text.contains("for all in context 8 (Enter sends, Esc does not): TERM");
    // The line below web's, by the arrow.
    terminal.press("\x1b[B\x1b[Bk");
    terminal.until("the question", asked);
    assert_eq!(fixture.signals(), "");
    terminal.press("q");
    terminal.until("a letter more", |text| text.contains(": TERMq"));
    terminal.press("\x1b");
    terminal.until("no question any more", |text| text.contains("q quit"));
    terminal.press("k");
    terminal.until("the question again", asked);
    terminal.press("\x7f\x7f\x7f\x7fKILL\r");
    terminal.until("the answer", |text| text.contains("SIGKILL is sent"));
    assert_eq!(fixture.signals(), "9 to 8\n");
    terminal.press("k");
    terminal.until("the question for the next", asked);
    terminal.press("x\r");
    terminal.until("what is wrong", |text| text.contains("TERMx"));
    assert_eq!(fixture.signals(), "9 to 8\n");
    // Ctrl-C ends it, too.
    terminal.press("\x03");
    let (status, left) = terminal.end();
    assert!(status.success() && left.ordinary, "{status}");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (terminal, _, _dir) = start();
        terminal.signal(signal);
        let (status, left) = terminal.end();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(left.ordinary, "{signal:?}");
    }
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    let (terminal, fixture, _dir) = start();
    fs::write(fixture.0.join("panic"), "").unwrap();
    let (status, left) = terminal.end();
    assert!(!status.success() && left.ordinary, "{status}");
    // Before it is told: what comes then is not sure to come when panics abort.
    let said = left.written.find("there is a reason").unwrap();
    for restored in ["\x1b[?25h", "\x1b[?1049l"] {
        let place = left.written.find(restored);
        assert!(place.is_some_and(|place| place < said), "{restored:?}");
    }
}
