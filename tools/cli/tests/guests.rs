// SPDX-License-Identifier: GPL-2.0
//! The commands about guests, as far as they go without the module and without root.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn vserver(prefix: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vserver"))
        .args(args)
        .env("VSERVER_PREFIX", prefix)
        .output()
        .unwrap()
}

/// Status, standard output and error, without the prefix of paths.
fn said(prefix: &Path, args: &[&str]) -> (i32, String, String) {
    let output = vserver(prefix, args);
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(prefix.to_str().unwrap(), "")
    };
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

/// Makes these files below a new directory.
fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn what_failed_is_said_once() {
    let dir = with(&[]);
    let missing = "No such file or directory (os error 2)";
    let (status, _, err) = said(dir.path(), &["build", "web", "--tar", "/nonexistent.tar"]);
    assert_eq!(status, 1);
    assert_eq!(err, format!("vserver: open /nonexistent.tar: {missing}\n"));
    let (status, _, err) = said(dir.path(), &["build", "web", "--template", "shop"]);
    assert_eq!(status, 1);
    let templates = "/etc/vserver/templates";
    assert_eq!(
        err,
        format!(
            "vserver: read {templates}/shop.toml: {missing}; a template is a file NAME.toml in \
             {templates}, or one that is named with a / in it\n"
        )
    );
}

#[test]
fn a_run_needs_a_guest_to_clone_and_waits_for_its_end() {
    let dir = with(&[]);
    let (status, _, err) = said(dir.path(), &["run", "--clone", "nobody", "true"]);
    assert_eq!(status, 125, "{err}");
    for other in ["--root=/x", "--detach", "--persistent"] {
        let (status, _, err) = said(dir.path(), &["run", "--clone", "web", other, "true"]);
        assert_eq!(status, 2, "{other}");
        assert!(err.contains("cannot be used with"), "{err}");
    }
}

#[test]
fn a_delete_can_be_had_as_json() {
    let dir = with(&[("etc/vserver/web.toml", ""), ("vservers/web/bin/sh", "")]);
    let (status, out, err) = said(dir.path(), &["delete", "--yes", "--json", "web"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["name"], "web");
    assert_eq!(told["tree"], "/vservers/web");
    assert_eq!(told["tree_kept"], false);
}

#[test]
fn quotas_of_each_guest_are_written_down_whatever_is_wrong_with_another() {
    let dir = with(&[
        ("etc/vserver/db.toml", "colour = 'red'"),
        ("etc/vserver/web.toml", "xid = 7"),
        (
            "var/lib/vserver/quota/web.json",
            "of a time when it had some",
        ),
    ]);
    let (status, out, err) = said(dir.path(), &["disk", "save"]);
    assert_eq!((status, out.as_str()), (6, ""));
    assert!(err.contains("db.toml:1:1: colour"), "{err}");
    let (status, out, _) = said(dir.path(), &["disk", "save", "web"]);
    let nothing = "web: there is nothing to write\n";
    assert_eq!((status, out.as_str()), (0, nothing));
    let (status, out, _) = said(dir.path(), &["disk", "save", "--json"]);
    assert_eq!(status, 6);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(told[0]["error"].as_str().unwrap().contains("colour"));
    assert_eq!(told[1]["name"], "web");
    assert_eq!(told[1]["saved"], "nothing");
    assert_eq!(said(dir.path(), &["disk", "save", "nobody"]).0, 4);
    let left = dir.path().join("var/lib/vserver/quota/web.json");
    assert!(left.exists());
    assert_eq!(
        said(dir.path(), &["delete", "--yes", "--keep-tree", "web"]).0,
        0
    );
    assert!(!left.exists(), "it goes with the guest");
}

#[test]
fn a_generator_of_systemd_orders_units() {
    let dir = with(&[
        ("etc/vserver/web.toml", "requires = ['db']"),
        ("etc/vserver/db.toml", "colour = 'red'"),
    ]);
    let generator = dir.path().join("vserver-generator");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vserver"), &generator).unwrap();
    let run = |dirs: &[&str]| {
        let dirs = dirs.iter().map(|name| dir.path().join(name));
        let mut command = Command::new(&generator);
        let command = command.args(dirs).env("VSERVER_PREFIX", dir.path());
        command.env_remove("SYSTEMD_SCOPE").output().unwrap()
    };
    for dirs in [&["normal", "early", "late"][..], &["alone"]] {
        let output = run(dirs);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let first = format!("vserver-generator: {}", dir.path().display());
        assert!(said.starts_with(&first), "{said}");
        assert!(said.contains("db.toml:1:1: colour"), "{said}");
        let made = format!("{}/vserver@web.service.d/50-order.conf", dirs[0]);
        let text = fs::read_to_string(dir.path().join(made)).unwrap();
        assert!(text.contains("\nAfter=vserver@db.service\n"), "{text}");
    }
    for other in ["early", "late"] {
        assert!(!dir.path().join(other).exists(), "{other}");
    }
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["etc/vserver/db.toml"]).status.code(), Some(1));
}

#[test]
fn configurations_are_checked_and_shown() {
    let dir = with(&[
        ("etc/vserver/web.toml", "xid = 7\n"),
        ("vservers/web/x", ""),
        ("etc/vserver/db.toml", "[limits]\nprocesess = 1\n"),
    ]);
    let (status, out, _) = said(dir.path(), &["config", "check", "web"]);
    assert_eq!((status, out.as_str()), (0, "1 guest, all is well\n"));
    let (status, _, err) = said(dir.path(), &["config", "check"]);
    assert_eq!(status, 6);
    assert_eq!(
        err,
        "vserver: /etc/vserver/db.toml:2:1: limits.procesess: no such key; did you mean \
         processes?\n"
    );
    let (status, out, _) = said(dir.path(), &["config", "show", "web", "--json"]);
    assert_eq!(status, 0);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["config"]["xid"], 7);
    assert_eq!(shown["root"], "/vservers/web");
    assert_eq!(said(dir.path(), &["config", "show", "db"]).0, 6);
    assert_eq!(said(dir.path(), &["restart", "web", "db"]).0, 6);
    assert_eq!(said(dir.path(), &["config", "show", "nobody"]).0, 4);
    assert_eq!(said(dir.path(), &["config", "show", "../x"]).0, 1);
}

#[test]
fn without_the_module_guests_are_stopped() {
    if Path::new("/proc/virtual").exists() {
        return;
    }
    let dir = with(&[
        ("etc/vserver/web.toml", "xid = 7\n"),
        ("vservers/web/x", ""),
    ]);
    let note = "the kernel has no vserver module: modprobe vserver; until then no guest runs\n";
    let (status, out, err) = said(dir.path(), &["list"]);
    assert_eq!(status, 0);
    assert!(out.contains("7  web   stopped"), "{out}");
    assert!(err.ends_with(note), "{err}");
    let (status, out, _) = said(dir.path(), &["list", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, all[0]["state"].as_str()), (0, Some("stopped")));
    let (status, out, err) = said(dir.path(), &["status", "web"]);
    assert_eq!((status, out.as_str()), (3, "web: stopped\n"));
    assert!(err.ends_with(note), "{err}");
    assert_eq!(said(dir.path(), &["status", "nobody"]).0, 4);
    let (status, out, err) = said(dir.path(), &["stop", "--all", "--json"]);
    assert_eq!((status, out.as_str()), (0, "[]\n"), "{err}");
    // A start could do nothing.
    assert_eq!(said(dir.path(), &["start", "--all"]).0, 9);
}

#[test]
fn a_file_whose_name_no_guest_can_have_is_told() {
    let dir = with(&[
        ("etc/vserver/web.toml", ""),
        ("vservers/web/x", ""),
        ("etc/vserver/17.toml", ""),
    ]);
    let (status, _, err) = said(dir.path(), &["config", "check"]);
    assert_eq!(status, 6);
    assert_eq!(
        err,
        "vserver: /etc/vserver/17.toml: \"17\" can't name a guest: a number would be taken for an \
         id: rename it\n"
    );
    let (status, out, _) = said(dir.path(), &["config", "check", "--json"]);
    assert_eq!(status, 6);
    assert!(out.contains("17.toml"), "{out}");
    assert_eq!(said(dir.path(), &["config", "check", "web"]).0, 0);
}

#[test]
fn a_context_by_hand_is_not_named_like_a_guest() {
    let dir = with(&[
        ("etc/vserver/web.toml", ""),
        ("etc/vservers/old/context", "7\n"),
    ]);
    for (name, file) in [("web", "vserver/web.toml"), ("old", "vservers/old")] {
        let (status, _, err) = said(dir.path(), &["run", "--name", name, "--", "true"]);
        assert_eq!(status, 125);
        assert_eq!(
            err,
            format!(
                "vserver: {name}: it is the name of a guest, /etc/{file}: choose another one\n"
            )
        );
    }
}

#[test]
fn old_directories_are_read_and_converted() {
    let dir = with(&[
        ("etc/vservers/web/context", "7\n"),
        ("etc/vservers/web/uts/nodename", "w\n"),
        ("etc/vservers/web/nice", "5\n"),
    ]);
    let (status, out, _) = said(dir.path(), &["config", "show", "web"]);
    assert_eq!(status, 0);
    assert!(out.starts_with("# /etc/vservers/web\nxid = 7\n"), "{out}");
    let (status, out, err) = said(dir.path(), &["config", "convert", "-n", "web"]);
    assert_eq!(status, 0);
    assert!(out.contains("hostname = \"w\""), "{out}");
    assert_eq!(
        err,
        "vserver: /etc/vservers/web: left out: nice: has no counterpart\n"
    );
    let (_, out, _) = said(dir.path(), &["config", "convert", "-n", "web", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told[0]["name"], "web");
    assert_eq!(told[0]["config"]["names"]["hostname"], "w");
    assert_eq!(told[0]["left_out"][0], "nice: has no counterpart");
    assert!(!dir.path().join("etc/vserver").exists());
    assert_eq!(said(dir.path(), &["config", "convert", "web"]).0, 0);
    let (_, out, _) = said(dir.path(), &["config", "show", "web"]);
    assert!(
        out.starts_with("# /etc/vserver/web.toml\nxid = 7\n"),
        "{out}"
    );
    let (status, _, err) = said(dir.path(), &["config", "convert", "web"]);
    assert_eq!(status, 5);
    assert!(err.contains("--force"), "{err}");
    assert_eq!(
        said(dir.path(), &["config", "convert", "--force", "web"]).0,
        0
    );
    assert_eq!(said(dir.path(), &["config", "convert", "nobody"]).0, 4);
}
