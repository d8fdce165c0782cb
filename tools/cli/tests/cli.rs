// SPDX-License-Identifier: GPL-2.0
//! The command as a user meets it, on a kernel without the module and without root: what it
//! says, and with which exit status.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

/// What the command says where the system call is missing.
const NO_MODULE: &str = "the kernel has no vserver module: modprobe vserver";

fn vserver(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vserver"))
        .args(args)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the command, which has to fail with this status and these words.
fn fails(args: &[&str], status: i32, words: &str) {
    let output = vserver(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

/// On a kernel with the module these tests have nothing to look at.
fn module_is_there() -> bool {
    vserver::abi::get_version().is_ok()
}

#[test]
fn every_command_teaches() {
    let commands = [
        "run",
        "enter",
        "list",
        "show",
        "info",
        "set",
        "kill",
        "wait",
        "attr show",
        "attr set",
        "attr clear",
        "unify",
        "hashify",
        "unhashify",
        "clone",
        "du",
        "deunify",
        "cleanup",
        "build",
        "delete",
        "top",
        "ps",
        "stat",
        "start",
        "stop",
        "restart",
        "status",
        "config check",
        "config show",
        "config convert",
    ];
    for command in commands {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let output = vserver(&args);
        assert!(output.status.success(), "{command}");
        let help = stdout(&output);
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(
            help.contains(&format!("vserver {command} ")),
            "{command}: {help}"
        );
    }
}

#[test]
fn a_missing_module_is_named() {
    if module_is_there() {
        return;
    }
    for args in [
        &["info"][..],
        &["show", "100"],
        &["show", "web"],
        &["set", "web", "--cpu", "25%"],
        &["set", "web", "--processes", "100"],
        &["set", "web", "--oom-bias", "-5"],
        &["kill", "100"],
        &["wait", "100"],
        &["attr", "show", "/"],
        &["attr", "set", "barrier", "/"],
        &["unify", "/usr", "/var"],
    ] {
        fails(args, 9, NO_MODULE);
    }
    for args in [
        &["run", "true"][..],
        &["run", "--detach", "--", "true"],
        &["run", "--name", "web", "--", "true"],
        &["enter", "web"],
        &["exec", "100", "true"],
    ] {
        fails(args, 125, NO_MODULE);
    }
}

#[test]
fn wrong_options_are_named() {
    fails(
        &["run", "--cpu", "lots", "true"],
        2,
        "lots: not a share of a CPU",
    );
    fails(
        &["set", "web", "--files", "many"],
        2,
        "many: not a limit; say a number or unlimited",
    );
    fails(
        &["set", "web", "--oom-bias", "2000"],
        2,
        "2000: not in -1000 to 1000",
    );
    fails(
        &["run", "--flag", "fly", "true"],
        2,
        "fly: no such context flag",
    );
    fails(
        &["run", "--caps", "fly", "true"],
        2,
        "fly: no such capability",
    );
    fails(
        &["run", "--namespaces", "pid", "true"],
        2,
        "pid: no such namespace",
    );
    fails(&["run", "--log", "x", "true"], 2, "--detach");
    fails(&["run", "--env", "x", "true"], 2, "KEY=VALUE");
    fails(&["kill", "web", "--signal", "NO"], 2, "NO: no such signal");
    fails(
        &["kill", "web", "--init", "--all"],
        2,
        "cannot be used with",
    );
    fails(
        &["attr", "set", "sticky", "/"],
        1,
        "sticky: no such file attribute",
    );
    fails(&["unify", "/usr"], 2, "TREE");
    fails(&["frobnicate"], 2, "frobnicate");
}

#[test]
fn wrong_values_are_found_before_the_kernel_is_asked() {
    // Above are those that the kernel picks.
    for xid in ["1", "49152", "65534"] {
        let said = format!("--xid {xid}: ids go from 2 to 49151");
        fails(&["run", "--xid", xid, "true"], 125, &said);
    }
    fails(
        &["run", "--name", "17", "true"],
        125,
        "--name 17: a name is not a number",
    );
    fails(
        &["run", "--root", "/nonexistent", "true"],
        125,
        "--root /nonexistent: No such file",
    );
    fails(
        &["run", "--hostname", "a", "true"],
        125,
        "--hostname: it would change the host's",
    );
    fails(&["set", "web"], 1, "nothing to set");
}

#[test]
fn trees_can_be_compared_without_module_and_root() {
    let dir = tempfile::tempdir().unwrap();
    for tree in ["a", "b"] {
        fs::create_dir(dir.path().join(tree)).unwrap();
        fs::write(dir.path().join(tree).join("same"), "equal content").unwrap();
        fs::write(dir.path().join(tree).join("own"), format!("content {tree}")).unwrap();
        fs::write(dir.path().join(tree).join("x.db"), "equal but a database").unwrap();
    }
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let output = vserver(&["unify", "--dry-run", "--json", a, b]);
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["dry_run"], true);
    assert_eq!(report["trees"][1], b);
    assert_eq!(report["shared"]["files"], 1);
    assert_eq!(report["skipped"]["content"]["files"], 2);
    assert_eq!(report["skipped"]["excluded"]["files"], 2);

    let output = vserver(&[
        "unify",
        "-n",
        "--exclude",
        "+*.db",
        "--exclude",
        "/own",
        a,
        b,
    ]);
    let said = stdout(&output);
    assert!(said.contains("2 would be shared"), "{said}");
    assert!(said.contains("2 left: excluded by a pattern"), "{said}");

    // Names need not be text, and neither need patterns.
    let name = OsStr::from_bytes(b"own-\xff");
    for tree in [a, b] {
        fs::write(Path::new(tree).join(name), "equal, too").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_vserver"))
        .args(["unify", "-n", "--json", a, b, "--exclude"])
        .arg(OsStr::from_bytes(b"/own-\xff"))
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["skipped"]["excluded"]["files"], 4);

    fails(
        &["unify", "-n", a, "/nonexistent"],
        8,
        "open /nonexistent: No such file",
    );
    fails(&["unify", "-n", a, a], 8, "named twice");
    fails(
        &["unify", "-n", a, b, "--exclude-from", "/nonexistent"],
        1,
        "--exclude-from /nonexistent",
    );
}

#[test]
fn ordinary_files_need_no_deunifying() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "content").unwrap();
    let output = vserver(&["deunify", "--json", file.to_str().unwrap()]);
    if module_is_there() {
        return;
    }
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["copied"], 0);
    fails(
        &["deunify", "/nonexistent"],
        1,
        "/nonexistent: No such file",
    );
}

#[test]
fn copies_of_a_crash_are_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir
        .path()
        .join(".vserver-cow-0000000000000001-00000001-00000001");
    fs::write(&mine, "somebody's").unwrap();
    let at = dir.path().to_str().unwrap();
    let output = vserver(&["cleanup", "--json", at]);
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["dry_run"], false);
    assert_eq!(report["names"], 2);
    assert_eq!(report["found"][0]["what"], "foreign");
    assert_eq!(report["found"][0]["path"], mine.to_str().unwrap());
    assert!(mine.exists());

    let output = vserver(&["cleanup", "-n", at]);
    let said = stdout(&output);
    assert!(said.contains("0 left-overs would be removed"), "{said}");
    assert!(
        said.contains("1 left: other files with such a name"),
        "{said}"
    );
    fails(
        &["cleanup", at, "/nonexistent"],
        1,
        "open /nonexistent: No such file",
    );
    fails(&["cleanup"], 2, "DIR");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vserver"))
        .args(["unify", "-n", "/proc/self", "/proc/self/fd", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !said.contains("panicked") && !said.contains("Broken pipe"),
        "{said}"
    );
}

#[test]
fn hashify_says_what_is_missing() {
    if module_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.join("usr")).unwrap();
        fs::write(path.join("usr/file"), "content").unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (tree("a"), tree("b"));
    fails(&["hashify"], 2, "required");
    fails(&["hashify", &a, &b], 9, NO_MODULE);
    fails(&["clone", &a, &format!("{a}2")], 9, NO_MODULE);
    fails(&["hashify", "-n", "/nonexistent/x"], 8, "no such directory");
    fails(&["hashify", "-n", &a, &a], 8, "named twice");
    fails(&["hashify", "-n", "--pool", &format!("{a}/p"), &a], 8, "");
    fails(
        &["hashify", "-n", "--exclude-from", "/nonexistent/l", &a],
        1,
        "/nonexistent/l",
    );
    assert!(!dir.path().join(".hash").exists());
    let output = vserver(&["--json", "hashify", "--dry-run", &a, &b]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // A file system that can't have unified files says so instead.
    let counted = said["shared"]["files"] == 1 || said["skipped"]["unsupported"]["files"] == 1;
    assert!(counted, "{said}");
    assert!(vserver(&["hashify", "--status", &a, &b]).status.success());
    assert!(vserver(&["hashify", "--check", &a]).status.success());
    assert!(!dir.path().join(".hash").exists());
    let output = vserver(&["du", &a]);
    assert!(stdout(&output).contains(&a), "{}", stdout(&output));
}

#[test]
fn hashify_takes_all_guests_as_their_files_say() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for tree in ["vservers/web", "vservers/db", "srv/shop"] {
        write(&format!("{tree}/srv/own"), "equal");
    }
    let shop = format!("root = {:?}\n", dir.path().join("srv/shop"));
    write("etc/vserver/shop.toml", &shop);
    write("etc/vserver/web.toml", "[hashify]\nexclude = [\"/srv\"]\n");
    write("etc/vserver/gone.toml", "");
    let hashify = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_vserver"))
            .args(["hashify", "--dry-run", "--json"])
            .args(args)
            .env("VSERVER_PREFIX", dir.path())
            .output()
            .unwrap()
    };
    let output = hashify(&["--all"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("left out: "), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let trees = report["trees"].as_array().unwrap();
    assert_eq!(trees.len(), 3, "{report}");
    let why = report["left_out"][0].as_str().unwrap();
    assert!(why.contains("no such directory (guest gone)"), "{why}");
    assert_eq!(report["skipped"]["excluded"]["files"], 1, "{report}");
    // What its own file has wrong is not passed over.
    write("etc/vserver/db.toml", "nonsense = 1\n");
    let tree = dir.path().join("vservers/db");
    let output = hashify(&[tree.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn classic_names_are_links_to_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let called = |name: &str, args: &[&str]| {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vserver"), &link).unwrap();
        Command::new(link).args(args).output().unwrap()
    };
    let help = stdout(&called("vhashify", &["--help"]));
    assert!(help.contains("Let equal files share one inode"), "{help}");
    let du = called("vdu", &[dir.path().to_str().unwrap()]);
    assert!(du.status.success() && stdout(&du).contains("OWN"));
    assert_eq!(
        called("vunify", &["-n", "/nonexistent/a", "/nonexistent/b"])
            .status
            .code(),
        Some(8)
    );
    assert_eq!(
        called("setattr", &["--colour", "/tmp"]).status.code(),
        Some(2)
    );
}

#[test]
fn every_name_has_a_manual_page_and_completions() {
    let dir = tempfile::tempdir().unwrap();
    let names = vserver(&["generate", "--names", dir.path().to_str().unwrap()]);
    let names = stdout(&names);
    for name in names.lines() {
        let page = fs::read_to_string(dir.path().join("man1").join(format!("{name}.1"))).unwrap();
        assert!(page.contains("SYNOPSIS"), "{name}: {page}");
        for file in [
            format!("{name}.bash"),
            format!("_{name}"),
            format!("{name}.fish"),
        ] {
            let path = dir.path().join("completions").join(&file);
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(name), "{file}");
        }
    }
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    assert!(read("man5/vserver.toml.5").contains("init.style"));
    assert!(read("man8/vserver-generator.8").contains("daemon\\-reload"));
    for option in ["dry-run", "destination", "manually"] {
        let of_bash = read("completions/vhashify.bash");
        assert!(of_bash.contains(&format!("--{option}")), "{option}");
        let of_man = read("man1/vhashify.1").replace('\\', "");
        assert!(of_man.contains(&format!("--{option}")), "{option}");
    }
    for name in ["vhashify", "setattr", "lsxid", "chxid", "vps"] {
        assert!(names.lines().any(|line| line == name), "{name}");
    }
}
