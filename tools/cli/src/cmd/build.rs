// SPDX-License-Identifier: GPL-2.0
//! Guests made and removed: `build`, `delete`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use vserver::build::{self, Progress};
use vserver::config::Store;
use vserver::error::{Error, Result};

use crate::args::{Build, Delete};
use crate::output::{self, line};

/// `vserver build`
pub(crate) fn build(args: Build, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let mut guest = match (&args.template, &args.clone) {
        (Some(name), _) => build::template(&store, name)?,
        (None, Some(other)) => build::for_clone(&store, other)?,
        (None, None) => vserver::config::Guest::default(),
    };
    let b = &mut guest.build;
    if args.suite.is_some() || args.tar.is_some() || args.oci.is_some() {
        (b.suite, b.tar, b.oci, b.clone) = (None, None, None, None);
    }
    b.suite = args.suite.or(b.suite.take());
    b.tar = args.tar.map(absolute).transpose()?.or(b.tar.take());
    b.oci = args.oci.map(absolute).transpose()?.or(b.oci.take());
    b.mirror = args.mirror.or(b.mirror.take());
    b.variant = args.variant.or(b.variant.take());
    b.packages.extend(args.include);
    guest.autostart |= args.autostart;
    let bar = Bar::new();
    let built = build::build(&store, &args.guest, guest, &bar);
    bar.clear();
    let built = built?;
    match json {
        true => output::json(&json!({
            "name": args.guest,
            "root": built.root,
            "file": built.file,
            "init": built.guest.init.style,
            "left_out": built.left_out,
            "user": built.user,
            "copied": built.copied,
        }))?,
        false => {
            line(format_args!("{}: {}", args.guest, built.root.display()))?;
            line(format_args!("{}: {}", args.guest, built.file.display()))?;
        }
    }
    if built.left_out > 0 {
        eprintln!(
            "vserver: {} devices were left out: a guest gets those that it may have",
            built.left_out
        );
    }
    if let Some(why) = built.copied {
        eprintln!("vserver: the files are copies and not links: {why}");
    }
    if let Some(user) = built.user {
        eprintln!(
            "vserver: the image wants its command to be run as {user}: here it is run as root; let \
             init.command call setpriv or su"
        );
    }
    if build::is_open(&built.root) {
        eprintln!(
            "vserver: users of this machine can get to {}: what is setuid there is so for them; chmod \
             700 a directory above it",
            built.root.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A path that means the same from everywhere.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|e| Error::file("find", &path, e))
}

/// `vserver delete`
pub(crate) fn delete(args: &Delete, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::system();
    let guest = store.load(&args.guest)?;
    let root = build::place(&store.root(&args.guest, &guest));
    if !args.yes && !confirmed(&args.guest, (!args.keep_tree).then_some(&root))? {
        return Ok(ExitCode::FAILURE);
    }
    build::delete(&store, &args.guest, args.keep_tree)?;
    if json {
        output::json(&json!({ "name": args.guest, "tree": root, "tree_kept": args.keep_tree }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks; who can't be asked has to say so before.
fn confirmed(name: &str, root: Option<&PathBuf>) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        anyhow::bail!("delete {name}? Nobody is there to answer: give --yes");
    }
    let with = root.map_or_else(String::new, |r| format!(" with all in {}", r.display()));
    let mut out = io::stderr().lock();
    write!(out, "Delete guest {name}{with}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Shows how far it is, on a terminal; without one, the steps of the program at work.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        // No thread of its own to turn it: the process must have one only.
        Self(ProgressBar::new_spinner())
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, length: Option<u64>) {
        let template = match length {
            Some(length) => {
                self.0.set_length(length);
                "{msg} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
            }
            None => "{spinner} {msg} {pos}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_position(0);
        self.0.set_message(what.to_owned());
    }

    fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    fn line(&self, text: &str) {
        // What both programs begin their steps with.
        if let Some(step) = text.strip_prefix("I: ") {
            self.0.set_message(step.to_owned());
            self.0.tick();
            if self.0.is_hidden() {
                eprintln!("{step}");
            }
        }
    }
}
