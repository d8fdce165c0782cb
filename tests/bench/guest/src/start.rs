// SPDX-License-Identifier: GPL-2.0
//! How long it takes to start a guest, against a container of the same tree: from the command to the
//! first instruction of the program inside, which writes down the time.

use crate::life::prepare_cgroups;
use crate::report::{Report, figure};
use crate::shared::clock_ns;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const REPS: usize = 11;
const NAME: &str = "bench";
/// Inside: this program, and what it writes.
const PROGRAM: &str = "usr/bin/guest-bench";
const STAMP: &str = "stamp";

/// Measures both on the tree of the disk at `disk` that comes first.
pub fn run(report: &mut Report, disk: &str) {
    report.group("start", || {
        prepare_cgroups()?;
        let root = fs::read_dir(Path::new(disk).join("trees"))?
            .next()
            .context("no tree")??
            .path();
        fs::copy("/proc/self/exe", root.join(PROGRAM))?;
        let (guest, container) = (Guest::new(&root)?, Container::new(&root)?);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // In turns, so that whatever is warm is so for both.
        for _ in 0..=REPS {
            ours.push(first_instruction(&root, || guest.start())?);
            guest.end()?;
            theirs.push(first_instruction(&root, || container.run())?);
        }
        figure("what=start who=ours", &ours[1..]);
        figure("what=start who=crun", &theirs[1..]);
        Ok(())
    });
}

/// Writes down the time.
pub fn stamp() -> Result<()> {
    Ok(fs::write(
        Path::new("/").join(STAMP),
        clock_ns().to_string(),
    )?)
}

/// How many nanoseconds after the start of `start` the program inside runs.
fn first_instruction(root: &Path, start: impl FnOnce() -> Result<()>) -> Result<u64> {
    let stamp = root.join(STAMP);
    let _ = fs::remove_file(&stamp);
    let before = clock_ns();
    start()?;
    let text = loop {
        match fs::read_to_string(&stamp) {
            Ok(text) if !text.is_empty() => break text,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    text.parse::<u64>()?
        .checked_sub(before)
        .context("a clock of its own")
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

/// A guest with a plain command.
struct Guest;

impl Guest {
    fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all("/etc/vserver")?;
        let config = format!(
            "root = {root:?}\n[init]\nstyle = \"command\"\ncommand = [\"/{PROGRAM}\", \"stamp\"]\n"
        );
        fs::write(format!("/etc/vserver/{NAME}.toml"), config)?;
        Ok(Self)
    }

    fn start(&self) -> Result<()> {
        done(Command::new("vserver").args(["start", NAME]))
    }

    /// Its command is over soon, and nothing of it is left then.
    fn end(&self) -> Result<()> {
        while Command::new("vserver")
            .args(["status", NAME])
            .output()?
            .status
            .success()
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// A container as `crun spec` makes them.
struct Container {
    bundle: PathBuf,
}

impl Container {
    fn new(root: &Path) -> Result<Self> {
        let bundle = PathBuf::from("/tmp/bundle");
        fs::create_dir_all(&bundle)?;
        done(Command::new("crun").arg("spec").current_dir(&bundle))?;
        let file = bundle.join("config.json");
        let mut config = fs::read_to_string(&file)?;
        let command = format!("\"/{PROGRAM}\", \"stamp\"");
        for (old, new) in [
            ("\"terminal\": true", "\"terminal\": false"),
            ("\"readonly\": true", "\"readonly\": false"),
            ("\"path\": \"rootfs\"", &format!("\"path\": {root:?}")),
            ("\"sh\"", &command),
        ] {
            ensure!(config.contains(old), "crun spec: no {old} in {config}");
            config = config.replace(old, new);
        }
        fs::write(file, config)?;
        Ok(Self { bundle })
    }

    fn run(&self) -> Result<()> {
        // The initramfs can't be pivoted away from.
        done(
            Command::new("crun")
                .args(["--cgroup-manager=disabled", "run", "--no-pivot", "--bundle"])
                .arg(&self.bundle)
                .arg(NAME),
        )
    }
}
