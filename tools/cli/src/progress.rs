// SPDX-License-Identifier: GPL-2.0
//! How far a long run is.

use std::cell::OnceCell;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use vserver::unify::{Progress, Reason};

/// Shows how far it is, on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    verbose: bool,
}

impl Bar {
    /// `verbose`: says which files are not shared, and why.
    pub(crate) fn new(verbose: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar.set_message("names looked at");
        bar.set_style(style("{spinner} {pos} {msg}"));
        Self { bar, verbose }
    }

    /// Takes it off the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn scanned(&self, names: u64) {
        self.bar.inc(names);
    }

    fn planned(&self, files: u64) {
        self.bar
            .set_style(style("{bar:30} {pos}/{len} {msg}, {per_sec}, {eta} left"));
        self.bar.set_message("files compared");
        self.bar.set_length(files);
        self.bar.set_position(0);
        self.bar.reset_eta();
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
pub(crate) struct Counter(OnceCell<ProgressBar>);

impl Counter {
    /// So many it are by now.
    pub(crate) fn at(&self, files: u64) {
        let bar = self.0.get_or_init(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {pos} files looked at"));
            bar
        });
        bar.set_position(files);
    }

    /// Takes it off the terminal.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}
