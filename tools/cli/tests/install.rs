// SPDX-License-Identifier: GPL-2.0
//! What `make install` puts where.

#![allow(clippy::unwrap_used, reason = "a test shall fail where it does")]

use std::fs;
use std::process::Command;

#[test]
fn units_run_the_command_where_it_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let built = dir.path().join("tools/x86_64-unknown-linux-gnu/release");
    fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vserver"), built.join("vserver")).unwrap();
    for prefix in ["/usr", "/usr/local"] {
        let root = dir.path().join(format!("root{prefix}"));
        let installed = Command::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../scripts/install.sh"
        ))
        .env("VSERVER_CACHE", dir.path())
        .env("DESTDIR", dir.path().join("root"))
        .env("PREFIX", prefix)
        .env_remove("KDIR")
        .env_remove("KERNEL_TARBALL")
        .output()
        .unwrap();
        assert!(installed.status.success(), "{installed:?}");
        for unit in [
            "vserver.service",
            "vserver@.service",
            "vserver-hashify.service",
        ] {
            let text = fs::read_to_string(root.join("lib/systemd/system").join(unit)).unwrap();
            let command = format!("\nExecStart={prefix}/sbin/vserver ");
            assert!(text.contains(&command), "{unit}: {text}");
            let other = text.matches("sbin/vserver").count();
            let own = text.matches(&format!("{prefix}/sbin/vserver")).count();
            assert_eq!(own, other, "{unit}: {text}");
        }
        let generator = root.join("lib/systemd/system-generators/vserver-generator");
        assert_eq!(
            fs::canonicalize(generator).unwrap(),
            fs::canonicalize(root.join("sbin/vserver")).unwrap()
        );
        for completions in [
            "bash-completion/completions/vkill",
            "zsh/site-functions/_vkill",
            "fish/vendor_completions.d/vkill.fish",
        ] {
            assert!(
                root.join("share").join(completions).exists(),
                "{completions}"
            );
        }
    }
}
