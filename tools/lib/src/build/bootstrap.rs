// SPDX-License-Identifier: GPL-2.0
//! A tree of Debian's packages, by mmdebstrap or debootstrap.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

use super::Progress;
use crate::config::Build;
use crate::error::{Doing, Error, Result};

/// How much of what the program said at the end is shown if it fails.
const LAST_WORDS: usize = 8;
/// Where in the tree debootstrap writes what the programs that it runs say.
const LOG: &str = "debootstrap/debootstrap.log";
/// What a guest is made of where nobody says otherwise: the least that apt works in.
const VARIANT: &str = "minbase";

/// The programs that can, the better one first.
const PROGRAMS: [&str; 2] = ["mmdebstrap", "debootstrap"];

/// Makes the tree.
pub(super) fn bootstrap(build: &Build, part: &Path, progress: &dyn Progress) -> Result<()> {
    let found = PROGRAMS.into_iter().find_map(|p| Some((p, find(p)?)));
    let (program, path) = found.ok_or_else(|| {
        Error::Invalid(
            "neither mmdebstrap nor debootstrap is there: apt-get install mmdebstrap".into(),
        )
    })?;
    progress.begin(program, None);
    let doing = || format!("run {program}");
    // The one says what it does on its standard error, the other on both.
    let (said, all) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    let mut child = Command::new(path)
        .args(arguments(program, build, part))
        .stdin(Stdio::null())
        .stdout(all.try_clone().doing(doing)?)
        .stderr(all)
        .spawn()
        .doing(doing)?;
    let mut last = follow(File::from(said), |line| progress.line(line)).doing(doing)?;
    match child.wait().doing(doing)?.success() {
        true => Ok(()),
        false => {
            // It names the file, which goes with the tree.
            let log = File::open(part.join(LOG)).and_then(|log| follow(log, |_| {}));
            last.extend(log.unwrap_or_default());
            Err(Error::Invalid(format!(
                "{program} failed (is there a network, and such a suite?):\n{}",
                last.join("\n")
            )))
        }
    }
}

/// Hands on each line that a program says; returns the last ones.
fn follow(said: File, each: impl Fn(&str)) -> io::Result<Vec<String>> {
    let mut last = Vec::new();
    for line in BufReader::new(said).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
        each(&line);
        if last.len() == LAST_WORDS {
            last.remove(0);
        }
        last.push(line);
    }
    Ok(last)
}

/// Where a program is.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|path| fs::metadata(path).is_ok_and(|m| m.is_file()))
}

fn arguments(program: &str, build: &Build, part: &Path) -> Vec<String> {
    let variant = build.variant.as_deref().unwrap_or(VARIANT);
    let mut words = vec![format!("--variant={variant}")];
    if !build.packages.is_empty() {
        words.push(format!("--include={}", build.packages.join(",")));
    }
    if program == "mmdebstrap" {
        words.push("--format=directory".into());
        words.push("--mode=root".into());
    }
    words.extend(build.suite.clone());
    words.push(part.display().to_string());
    words.extend(build.mirror.clone());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_their_arguments() {
        let build = Build {
            suite: Some("trixie".into()),
            mirror: Some("http://m/".into()),
            packages: vec!["less".into(), "nano".into()],
            ..Build::default()
        };
        assert_eq!(
            arguments("debootstrap", &build, Path::new("/v/.w.new")).join(" "),
            "--variant=minbase --include=less,nano trixie /v/.w.new http://m/"
        );
        let words = arguments("mmdebstrap", &build, Path::new("/x"));
        assert!(words.contains(&"--mode=root".to_owned()));
    }
}
