// SPDX-License-Identifier: GPL-2.0
//! Guests are built, on a kernel without the module: as root, or as root of a user namespace.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A place for guests, with the tree of a small one to build them of.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (file, text) in [("bin/sh", "shell"), ("etc/passwd", "root"), ("etc/x", "x")] {
            place.write(&format!("tree/{file}"), text);
        }
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes an archive of a directory.
    fn tar(&self, name: &str, of: &str) -> PathBuf {
        let path = self.path(name);
        let owner = ["--owner=0", "--group=0", "--sort=name", "-cf"].map(OsStr::new);
        let mut tar = Command::new("tar");
        tar.args(owner).arg(&path).arg("-C").arg(self.path(of));
        assert!(tar.arg(".").status().unwrap().success());
        path
    }

    fn build(&self, args: &[&OsStr]) -> Output {
        self.run(args, None)
    }

    /// Builds guest `web`, with programs from this directory alone.
    fn run(&self, args: &[&OsStr], programs: Option<&Path>) -> Output {
        let vserver = env!("CARGO_BIN_EXE_vserver");
        let mut command = match rustix::process::geteuid().is_root() {
            true => Command::new(vserver),
            false => {
                let mut command = Command::new("/usr/bin/unshare");
                command.args(["--map-root-user", vserver]);
                command
            }
        };
        if let Some(dir) = programs {
            command.env("PATH", dir);
        }
        command
            .args(["build", "web"])
            .args(args)
            .env("VSERVER_PREFIX", self.dir.path())
            .output()
            .unwrap()
    }

    /// The guest has all files.
    fn check_built(&self, output: &Output, what: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {said}");
        for (file, text) in [("bin/sh", "shell"), ("etc/passwd", "root"), ("etc/x", "x")] {
            let path = self.path("vservers/web").join(file);
            assert_eq!(fs::read_to_string(path).unwrap(), text, "{what}: {file}");
        }
        fs::remove_dir_all(self.path("vservers")).unwrap();
        fs::remove_file(self.path("etc/vserver/web.toml")).unwrap();
    }

    /// It failed, with these words, and nothing is left.
    fn check_refused(&self, output: &Output, words: &str, what: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        let left = fs::read_dir(self.path("vservers")).unwrap();
        assert_eq!(left.count(), 0, "{what}");
        assert!(!self.path("etc/vserver/web.toml").exists(), "{what}");
    }
}

/// Packs a file; none if the program is not there.
fn packed(program: &str, path: &Path) -> Option<PathBuf> {
    let output = Command::new(program).arg("-c").arg(path).output().ok()?;
    assert!(output.status.success(), "{program}");
    let packed = path.with_extension(program);
    fs::write(&packed, output.stdout).unwrap();
    Some(packed)
}

/// The first bytes of a file.
fn cut(path: &Path, length: usize) -> PathBuf {
    let short = path.with_extension("cut");
    fs::write(&short, &fs::read(path).unwrap()[..length]).unwrap();
    short
}

#[test]
fn archives_may_be_packed() {
    let place = Place::new();
    let tar = place.tar("tree.tar", "tree");
    place.check_built(&place.build(&["--tar".as_ref(), tar.as_ref()]), "plain");
    for program in ["gzip", "xz", "zstd", "bzip2"] {
        let Some(packed) = packed(program, &tar) else {
            continue;
        };
        let args = ["--tar".as_ref(), packed.as_ref()];
        place.check_built(&place.build(&args), program);
    }
}

/// A file that is missing at the end is not noticed by who looks at what there is.
#[test]
fn an_archive_that_was_cut_off_is_refused() {
    let place = Place::new();
    let tar = place.tar("tree.tar", "tree");
    // A header and a block of content for each file, a header for each directory: it ends before the
    // last file, and after it.
    let whole = fs::read(&tar).unwrap();
    let end = (0..whole.len())
        .step_by(512)
        .find(|at| whole[*at..at + 512].iter().all(|byte| *byte == 0))
        .unwrap();
    for length in [end - 1024, end] {
        let short = cut(&tar, length);
        let output = place.build(&["--tar".as_ref(), short.as_ref()]);
        place.check_refused(&output, "its end is missing", "plain");
        // Whole for the program that packs.
        for program in ["gzip", "zstd"] {
            let Some(packed) = packed(program, &short) else {
                continue;
            };
            let output = place.build(&["--tar".as_ref(), packed.as_ref()]);
            place.check_refused(&output, "its end is missing", program);
        }
    }
    for program in ["gzip", "xz", "zstd", "bzip2"] {
        let Some(packed) = packed(program, &tar) else {
            continue;
        };
        // Nothing of the archive is missing, but the sum behind it.
        let length = fs::read(&packed).unwrap().len();
        let short = cut(&packed, length - 2);
        let output = place.build(&["--tar".as_ref(), short.as_ref()]);
        place.check_refused(&output, "", program);
    }
}
