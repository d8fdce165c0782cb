// SPDX-License-Identifier: GPL-2.0
//! How far a long run is.

use std::cell::{Cell, OnceCell};
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use vserver::unify::{Progress, Reason};

/// Shows how far it is, on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    verbose: bool,
    /// It is known how much there is to do.
    planned: AtomicBool,
}

impl Bar {
    /// `verbose`: says which files are not shared, and why.
    pub(crate) fn new(verbose: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {pos} names looked at"));
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self {
            bar,
            verbose,
            planned: AtomicBool::new(false),
        }
    }

    /// Takes it off the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .with_key("left", left)
}

/// Files a second.
fn rate(state: &ProgressState, text: &mut dyn Write) {
    // A line that can't be written is not shown.
    let _ = write!(text, "{}/s", HumanCount(state.per_sec().round() as u64));
}

/// The time that the rest takes, once something is done.
fn left(state: &ProgressState, text: &mut dyn Write) {
    let _ = match state.pos() {
        0 => write!(text, "? left"),
        _ => write!(text, "{:#} left", HumanDuration(state.eta())),
    };
}

impl Progress for Bar {
    fn scanned(&self, names: u64) {
        // The trees of the next file system
        if self.planned.swap(false, Ordering::Relaxed) {
            self.bar.set_style(style("{spinner} {pos} names looked at"));
            self.bar.unset_length();
            self.bar.reset();
        }
        self.bar.inc(names);
    }

    fn planned(&self, files: u64) {
        self.planned.store(true, Ordering::Relaxed);
        // First of all: what was counted so far are no files compared.
        self.bar.reset();
        self.bar.set_length(files);
        self.bar
            .set_style(style("{bar:30} {pos}/{len} files compared, {rate}, {left}"));
    }

    fn done(&self, files: u64) {
        self.bar.inc(files);
    }

    fn skipped(&self, path: &Path, reason: Reason) {
        if self.verbose {
            self.bar
                .suspend(|| eprintln!("{}: {reason}", path.display()));
        }
    }

    fn failed(&self, message: &str) {
        self.bar.suspend(|| eprintln!("vserver: {message}"));
    }
}

/// Shows how many files were looked at, on a terminal. There is no thread behind it, as there may be
/// none before a guest is started; and nothing before there is something to show.
#[derive(Default)]
pub(crate) struct Counter {
    bar: OnceCell<ProgressBar>,
    files: Cell<u64>,
}

impl Counter {
    /// So many it are by now.
    pub(crate) fn at(&self, files: u64) {
        self.files.set(files);
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {pos} files looked at"));
            bar
        });
        bar.set_position(files);
    }

    /// Takes it off the terminal. Says how many it was since this was called last.
    pub(crate) fn clear(&self) -> u64 {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        self.files.take()
    }
}
