// SPDX-License-Identifier: GPL-2.0
//! A tree of Debian's packages, by mmdebstrap or debootstrap.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Progress;
use crate::config::Build;
use crate::error::{Doing, Error, Result};

/// How much of what the program said at the end is shown if it fails.
const LAST_WORDS: usize = 8;
/// What a guest is made of where nobody says otherwise: the least that apt works in.
const VARIANT: &str = "minbase";

/// The programs that can, the better one first.
const PROGRAMS: [&str; 2] = ["mmdebstrap", "debootstrap"];

/// Makes the tree.
pub(super) fn bootstrap(build: &Build, part: &Path, progress: &dyn Progress) -> Result<()> {
    let program = PROGRAMS.into_iter().find(|p| installed(p)).ok_or_else(|| {
        Error::Invalid(
            "neither mmdebstrap nor debootstrap is there: apt-get install mmdebstrap".into(),
        )
    })?;
    progress.begin(program, None);
    let doing = || format!("run {program}");
    let mut child = Command::new(program)
        .args(arguments(program, build, part))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .doing(doing)?;
    let mut last = Vec::new();
    if let Some(said) = child.stderr.take() {
        for line in BufReader::new(said).split(b'\n') {
            let line = String::from_utf8_lossy(&line.doing(doing)?).into_owned();
            progress.line(line.trim_end());
            if last.len() == LAST_WORDS {
                last.remove(0);
            }
            last.push(line);
        }
    }
    match child.wait().doing(doing)?.success() {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "{program} failed (is there a network, and such a suite?):\n{}",
            last.join("\n")
        ))),
    }
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| fs::metadata(dir.join(program)).is_ok_and(|m| m.is_file()))
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
