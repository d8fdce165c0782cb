// SPDX-License-Identifier: GPL-2.0
//! Guests are built, on a kernel without the module: as root, or as root of a user namespace.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
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
        fs::create_dir_all(path.parent().unwrap()).unwrap();
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
        let mut command = Command::new("/bin/sh");
        // An administrator who is careful.
        command.args(["-c", "umask 077 && exec \"$@\"", "sh"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["/usr/bin/unshare", "--map-root-user"]);
        }
        command.arg(vserver);
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

/// The mode of a file of the guest.
fn mode(place: &Place, file: &str) -> u32 {
    let meta = fs::metadata(place.path("vservers/web").join(file));
    meta.unwrap().permissions().mode() & 0o7777
}

/// A user of the guest has to get to his files, whatever the umask of who has built it.
#[test]
fn directories_are_what_the_archive_says_or_usual_ones() {
    let place = Place::new();
    let all = place.tar("all.tar", "tree");
    let files = place.path("files.tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&files).arg("-C").arg(place.path("tree"));
    assert!(
        tar.args(["bin/sh", "etc/passwd", "etc/x"])
            .status()
            .unwrap()
            .success()
    );
    let build = |tar: &Path| place.build(&["--tar".as_ref(), tar.as_ref()]);
    let output = build(&files);
    assert_eq!((mode(&place, ""), mode(&place, "etc")), (0o755, 0o755));
    place.check_built(&output, "without directories");
    fs::set_permissions(place.path("tree"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(place.path("tree/etc"), fs::Permissions::from_mode(0o775)).unwrap();
    place.tar("all.tar", "tree");
    let output = build(&all);
    assert_eq!((mode(&place, ""), mode(&place, "etc")), (0o751, 0o775));
    place.check_built(&output, "with directories");
}

/// Of one format we would take the list of holes for content.
#[test]
fn sparse_files_are_unpacked_or_refused() {
    let place = Place::new();
    let file = fs::File::create(place.path("tree/sparse")).unwrap();
    file.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 1 << 19).unwrap();
    let tar = place.path("sparse.tar");
    for (format, known) in [("gnu", true), ("pax", false)] {
        let mut command = Command::new("tar");
        command.args(["-S", "--format", format, "-cf"]).arg(&tar);
        command.arg("-C").arg(place.path("tree")).arg(".");
        assert!(command.status().unwrap().success(), "{format}");
        let output = place.build(&["--tar".as_ref(), tar.as_ref()]);
        if known {
            let read = |path: &str| fs::read(place.path(path)).unwrap();
            assert!(read("vservers/web/sparse") == read("tree/sparse"));
            place.check_built(&output, format);
        } else {
            place.check_refused(&output, "tar --format=gnu", format);
        }
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

/// As `docker save` writes it: layers that no hash names.
#[test]
fn images_of_docker_are_known() {
    let place = Place::new();
    let layer = place.tar("image/1/layer.tar", "tree");
    place.write("over/etc/.wh.passwd", "");
    place.write("over/etc/x", "over");
    place.tar("image/2/layer.tar", "over");
    place.write(
        "image/config.json",
        r#"{"config": {"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "true"], "User": "web:web"}}"#,
    );
    let layers = r#"["1/layer.tar", "2/layer.tar"]"#;
    let manifest = |layers: &str| format!(r#"[{{"Config": "config.json", "Layers": {layers}}}]"#);
    place.write("image/manifest.json", &manifest(layers));
    let image = place.tar("image.tar", "image");
    let output = place.build(&["--oci".as_ref(), image.as_ref()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("run as web:web: here it is run as root"),
        "{said}"
    );
    let root = place.path("vservers/web");
    assert_eq!(fs::read_to_string(root.join("etc/x")).unwrap(), "over");
    assert!(!root.join("etc/passwd").exists() && root.join("bin/sh").exists());
    let file = fs::read_to_string(place.path("etc/vserver/web.toml")).unwrap();
    assert!(file.contains(r#""/bin/sh""#), "{file}");
    fs::remove_dir_all(place.path("vservers")).unwrap();
    fs::remove_file(place.path("etc/vserver/web.toml")).unwrap();

    // The whole may be packed, and so may its layers.
    place.write("image/manifest.json", &manifest(r#"["1/layer.tar"]"#));
    let image = place.tar("image.tar", "image");
    for program in ["gzip", "xz", "zstd", "bzip2"] {
        if let Some(packed) = packed(program, &image) {
            let output = place.build(&["--oci".as_ref(), packed.as_ref()]);
            place.check_built(&output, program);
        }
    }
    for program in ["gzip", "xz", "zstd", "bzip2"] {
        let Some(packed) = packed(program, &layer) else {
            continue;
        };
        let name = format!(r#"["1/{}"]"#, packed.file_name().unwrap().to_str().unwrap());
        place.write("image/manifest.json", &manifest(&name));
        let image = place.tar("image.tar", "image");
        let output = place.build(&["--oci".as_ref(), image.as_ref()]);
        place.check_built(&output, program);
    }

    place.write("image/manifest.json", &manifest(r#"["3/layer.tar"]"#));
    let image = place.tar("image.tar", "image");
    let output = place.build(&["--oci".as_ref(), image.as_ref()]);
    place.check_refused(&output, "3/layer.tar is missing in the image", "a layer");
    place.write("image/manifest.json", "[]");
    let image = place.tar("image.tar", "image");
    let output = place.build(&["--oci".as_ref(), image.as_ref()]);
    place.check_refused(&output, "there is no image in it", "none");
}

/// Makes a program of this shell script, in a directory of its own; returns that.
fn program(place: &Place, name: &str, script: &str) -> PathBuf {
    let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\nset -e\n{script}");
    let path = place.write(&format!("{name}.d/{name}"), &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.parent().unwrap().to_owned()
}

/// mmdebstrap has the tree as its last argument but one, debootstrap, too, where there is a mirror.
const SUITE: [&str; 4] = ["--suite", "trixie", "--mirror", "http://m/"];

#[test]
fn a_guest_is_built_of_packages() {
    let place = Place::new();
    let tree = place.path("tree");
    for name in ["mmdebstrap", "debootstrap"] {
        let script = format!(
            "echo I: Retrieving\necho I: Unpacking >&2\necho \"$@\" >{args}\n\
             while [ $# -gt 2 ]; do shift; done\ncp -R {tree} $1\n",
            args = place.path("args").display(),
            tree = tree.display()
        );
        let output = place.run(
            &SUITE.map(OsStr::new),
            Some(&program(&place, name, &script)),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, "Retrieving\nUnpacking\n", "{name}");
        let args = fs::read_to_string(place.path("args")).unwrap();
        assert!(
            args.contains("--variant=minbase") && args.contains(" trixie "),
            "{args}"
        );
        let hostname = place.path("vservers/web/etc/hostname");
        assert_eq!(fs::read_to_string(hostname).unwrap(), "web\n");
        place.check_built(&output, name);
    }
}

#[test]
fn what_a_failing_bootstrap_says_is_shown() {
    let place = Place::new();
    for (name, to) in [("mmdebstrap", "2"), ("debootstrap", "1")] {
        let script = format!(
            "while [ $# -gt 2 ]; do shift; done\nmkdir -p $1/debootstrap\n\
             echo dpkg: error >$1/debootstrap/debootstrap.log\n\
             echo I: Retrieving InRelease\necho E: no such suite >&{to}\nexit 1\n"
        );
        let output = place.run(
            &SUITE.map(OsStr::new),
            Some(&program(&place, name, &script)),
        );
        place.check_refused(&output, "E: no such suite", name);
        place.check_refused(&output, "is there a network", name);
        place.check_refused(&output, "dpkg: error", name);
    }
}
